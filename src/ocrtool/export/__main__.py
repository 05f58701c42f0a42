"""``python -m ocrtool.export CHECKPOINT -o DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ocrtool.errors import ExitCode, OcrToolError
from ocrtool.export import export_model


def main() -> int:
    """Export the model that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ocrtool.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of the trained model")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--portable", action="store_true", help="standard ONNX operators only")
    given = parser.parse_args()
    try:
        report = export_model(given.checkpoint, given.output, portable=given.portable)
    except OcrToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for name, nodes in report.nodes.items():
        size = report.bytes[name] / 1e6
        print(f"{report.folder / name}: {nodes} operators, {size:.1f} MB", file=sys.stderr)
    print(f"greatest difference from PyTorch: {report.difference:.1e}", file=sys.stderr)
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
