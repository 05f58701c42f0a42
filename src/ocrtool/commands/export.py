"""``ocrtool export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ocrtool import console
from ocrtool.commands.shared import AsJson, ColorChoice, Overwrite, Quiet, Verbose, pretty, talk
from ocrtool.console import Color
from ocrtool.errors import MissingDependencyError, OutputError, install_command
from ocrtool.options import Precision


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Bundled model, or folder that ocrtool train wrote."),
    ],
    out: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", show_default=False, help="Folder to write."),
    ],
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="fp16 is for GPUs, int8 for CPUs."),
    ] = Precision.FP32,
    opset: Annotated[
        int, typer.Option("--opset", metavar="N", help="Version of the standard operators.")
    ] = 20,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            show_default=False,
            help="Standard operators only, for other runtimes; slower in ONNX Runtime.",
        ),
    ] = False,
    optimize: Annotated[
        bool,
        typer.Option(
            "--optimize",
            show_default=False,
            help="Optimise the graphs ahead of time for a shorter start.",
        ),
    ] = False,
    share: Annotated[
        bool,
        typer.Option(
            "--share-weights",
            show_default=False,
            help="Keep the weights in model.safetensors beside the graphs, which refer to it.",
        ),
    ] = False,
    no_check: Annotated[
        bool,
        typer.Option(
            "--no-check", show_default=False, help="Do not compare the graphs with PyTorch."
        ),
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            "--check-on",
            metavar="CSV",
            show_default=False,
            help="Compare on these images (columns image,text) instead of drawn ones.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    color: ColorChoice = Color.AUTO,
) -> None:
    """Export a model to ONNX and check that it reads like the original.

    DIR gets the graphs, model.json, which describes how to run them, and export-report.json.
    Nothing is written if PyTorch and ONNX Runtime disagree.

    \b
    Examples:
      ocrtool export run/best -o model
      ocrtool read --model model --layout line line.png
      ocrtool export line -o small --precision int8
      ocrtool export run/best -o model --check-on held.csv
    """
    console.begin(talk(verbose, quiet, color, no_progress=True))
    if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is there already", "--overwrite replaces it")
    try:
        from ocrtool.export import ExportOptions, export_model
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("ocrtool"):
            raise
        raise MissingDependencyError(
            f"exporting needs {error.name}", install_command("torch")
        ) from None
    options = ExportOptions(precision, opset, portable, optimize, share, not no_check, table)
    report = export_model(model, out, options)
    for name, size in report.bytes.items():
        console.say(f"{out / name}: {report.nodes[name]} operators, {size / 1e6:.1f} MB")
    for line in report.lines():
        console.say(line)
    if as_json:
        console.data().write(pretty(report.to_dict()))
