"""``python -m ocrtool``, and the ``ocrtool`` command itself."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    from ocrtool.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
