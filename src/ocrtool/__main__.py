"""``python -m ocrtool``, and the ``ocrtool`` command itself."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys

OBJECTS = 100_000
"""New objects between two searches for garbage: by default importing alone causes dozens."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(OBJECTS, 20, 20)
    from ocrtool.cli import main as run

    code = run(sys.argv[1:])
    # What is left need not be taken apart piece by piece, which takes a tenth of a short run.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or never there
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
