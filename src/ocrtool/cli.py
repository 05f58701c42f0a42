"""The command line: the commands together, and the one entry to them.

Nothing heavy is imported at module level, so ``ocrtool --help`` answers at once; the linter forbids
it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ocrtool import console

COMMANDS = ("read", "pdf", "latex", "eval", "train", "export", "models", "doctor", "completions")
"""Commands in the order of the help, each in a module of this name."""


def make_app(only: str | None = None) -> typer.Typer:
    """Return the command line.

    Args:
        only: Name of the command that is going to be run, so that no other one is imported.
    """
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
    app.callback()(root)
    for name in (only,) if only in COMMANDS else COMMANDS:
        module = importlib.import_module(f"ocrtool.commands.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(no_args_is_help=name != "doctor")(getattr(module, name))
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from ocrtool.version import __version__

        typer.echo(f"ocrtool {__version__}")
        raise typer.Exit


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
      ocrtool eval my-pages/                     score it on pages of your own
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
        arguments = ()
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        # Help and the version, before a command takes over the streams.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    command = typer.main.get_command(make_app(arguments[0] if arguments else None))
    return console.run(
        lambda: command.main(args=list(arguments), prog_name="ocrtool", standalone_mode=False)
    )
