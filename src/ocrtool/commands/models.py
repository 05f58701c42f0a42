"""``ocrtool models``."""

from __future__ import annotations

from typing import Annotated

import typer

from ocrtool import console
from ocrtool.commands.shared import AsJson, Verbose, pretty
from ocrtool.console import Talk

app = typer.Typer(
    help="""List the models and show what one is made of.

    \b
    Examples:
      ocrtool models list
      ocrtool models show tiny
    """,
    no_args_is_help=True,
)


@app.command("list")
def models_list(as_json: AsJson = False, verbose: Verbose = 0) -> None:
    """List the bundled models and the presets that can be trained.

    \b
    Examples:
      ocrtool models list
      ocrtool models list --json
    """
    console.begin(Talk(level=verbose))
    from ocrtool.catalog import entries

    found = list(entries())
    if as_json:
        console.data().write(pretty([entry.to_dict() for entry in found]))
        return
    for entry in found:
        console.data().write(entry.line() + "\n")


@app.command("show", no_args_is_help=True)
def models_show(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="Preset, bundled model, or model folder.")
    ],
    characters: Annotated[
        int | None,
        typer.Option(
            "--characters",
            metavar="N",
            min=1,
            show_default=False,
            help="Size of the alphabet with which a preset's parameters are counted; default its"
            " own, or 95.",
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """Show what a model is made of, and count its parameters.

    \b
    Examples:
      ocrtool models show tiny
      ocrtool models show run/best --json
    """
    console.begin(Talk(level=verbose))
    from ocrtool.catalog import describe

    described = describe(name, characters)
    if as_json:
        console.data().write(pretty(described.to_dict()))
        return
    for line in described.lines():
        console.data().write(line + "\n")
