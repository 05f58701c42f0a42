"""The command line: the commands together, and the one entry to them.

Nothing heavy is imported at module level, so ``ocrtool --help`` answers at once; the linter forbids
it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ocrtool import console
from ocrtool.commands import models
from ocrtool.commands.completions import completions
from ocrtool.commands.doctor import doctor
from ocrtool.commands.export import export
from ocrtool.commands.latex import latex
from ocrtool.commands.pdf import pdf
from ocrtool.commands.read import read
from ocrtool.commands.train import train
from ocrtool.version import __version__

app = typer.Typer(
    name="ocrtool",
    epilog="Documentation: docs/ in the source; exit codes: docs/errors.md.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help: Rich would cost more time than everything else together.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
)
app.command(no_args_is_help=True)(read)
app.command(no_args_is_help=True)(pdf)
app.command(no_args_is_help=True)(latex)
app.command(no_args_is_help=True)(train)
app.command(no_args_is_help=True)(export)
app.add_typer(models.app, name="models")
app.command()(doctor)
app.command(no_args_is_help=True)(completions)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ocrtool {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            callback=_version,
            is_eager=True,
            show_default=False,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Read text from images and PDFs, on your own machine.

    \b
    Examples:
      ocrtool read line.png                      print the text of one line
      ocrtool read scans/ -f jsonl -o out.jsonl  a folder, with confidences
      ocrtool pdf reports/ -r -o text/           PDFs to Markdown
      ocrtool latex equation.png                 a formula, a table or a page to LaTeX
      ocrtool train words.csv -o run             train a model on your own data
      ocrtool export run/best -o model           a trained model to ONNX
      ocrtool doctor                             installed packages, devices, problems
    """


def main(arguments: Sequence[str]) -> int:
    """Run the command line.

    Args:
        arguments: What was typed after ``ocrtool``.

    Returns:
        The exit code; every error has been told.
    """
    if "_OCRTOOL_COMPLETE" in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        # Help and the version, before a command takes over the streams.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    command = typer.main.get_command(app)
    return console.run(
        lambda: command.main(args=list(arguments), prog_name="ocrtool", standalone_mode=False)
    )
