"""``ocrtool models``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ocrtool import console
from ocrtool.commands.shared import AsJson, Verbose, pretty
from ocrtool.console import Talk
from ocrtool.errors import ExitCode, ModelError

if TYPE_CHECKING:
    from ocrtool.weights.records import StoredModel
    from ocrtool.weights.registry import Reference

Published = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Published model, or hf:OWNER/NAME or hf:OWNER/NAME@REV."),
]

app = typer.Typer(
    help="""List and describe models, and manage the cache of published ones.

    \b
    Examples:
      ocrtool models list
      ocrtool models show tiny
      ocrtool models download trocr-base-printed
    """,
    no_args_is_help=True,
)


@app.command("list")
def models_list(as_json: AsJson = False, verbose: Verbose = 0) -> None:
    """List the bundled models, the presets that can be trained, and the published models.

    Published models in the cache are marked. Name any other repository of the hub as
    hf:OWNER/NAME.

    \b
    Examples:
      ocrtool models list
      ocrtool models list --json
    """
    console.begin(Talk(level=verbose))
    from ocrtool.commands.catalog import entries

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
            help="Alphabet size for counting a preset's parameters; default its own, or 95.",
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """Show the architecture of a model and count its parameters.

    \b
    Examples:
      ocrtool models show tiny
      ocrtool models show run/best --json
    """
    console.begin(Talk(level=verbose))
    from ocrtool.commands.catalog import describe

    described = describe(name, characters)
    if as_json:
        console.data().write(pretty(described.to_dict()))
        return
    for line in described.lines():
        console.data().write(line + "\n")


@app.command("download", no_args_is_help=True)
def models_download(
    name: Published,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", show_default=False, help="Do not ask before large downloads."),
    ] = False,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept-license",
            show_default=False,
            help="Accept a licence that forbids commercial use; remembered.",
        ),
    ] = False,
    verbose: Verbose = 0,
) -> None:
    """Download a published model into the cache, check it, and print its folder.

    An interrupted download resumes where it stopped.

    \b
    Examples:
      ocrtool models download trocr-base-printed
      ocrtool models download hf:microsoft/trocr-base-stage1@main --yes
    """
    console.begin(Talk(level=verbose))
    from ocrtool.weights.cache import ModelCache, consenting

    model = ModelCache().get(_reference(name), consenting(yes, accept))
    console.data().write(f"{model.folder}\n")


@app.command("path", no_args_is_help=True)
def models_path(name: Published, verbose: Verbose = 0) -> None:
    """Print the folder of a bundled or downloaded model.

    \b
    Examples:
      ocrtool models path line
      ocrtool models path trocr-base-printed
    """
    console.begin(Talk(level=verbose))
    from ocrtool.weights import BUNDLED, is_bundled

    folder = BUNDLED / name if is_bundled(name) else _stored(name).folder
    console.data().write(f"{folder}\n")


@app.command("remove", no_args_is_help=True)
def models_remove(name: Published, verbose: Verbose = 0) -> None:
    """Remove a published model and its partial downloads from the cache.

    \b
    Examples:
      ocrtool models remove nougat-base
    """
    console.begin(Talk(level=verbose))
    from ocrtool.weights.cache import ModelCache

    size = ModelCache().remove(_reference(name))
    console.say(f"{name} removed, {size / 1e6:,.0f} MB")


@app.command("verify")
def models_verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", show_default=False, help="Default: all in the cache."),
    ] = None,
    verbose: Verbose = 0,
) -> int:
    """Hash the files of downloaded models and report those that changed.

    \b
    Examples:
      ocrtool models verify
      ocrtool models verify trocr-base-printed
    """
    console.begin(Talk(level=verbose))
    from ocrtool.weights.cache import ModelCache

    store, failed = ModelCache(), False
    models = list(store.models()) if not names else [_stored(name, False) for name in names]
    for model in models:
        wrong = store.verify(model)
        failed |= bool(wrong)
        told = "ok" if not wrong else f"changed or missing: {', '.join(wrong)}"
        console.data().write(f"{model.repository}@{model.commit[:12]}  {told}\n")
    return ExitCode.MODEL if failed else ExitCode.OK


def _reference(name: str) -> Reference:
    from ocrtool.weights.registry import TABLE, refer

    reference = refer(name)
    if reference is None:
        known = ", ".join(spec.name for spec in TABLE)
        raise ModelError(f"no published model {name!r}", f"name one of {known}, or hf:OWNER/NAME")
    return reference


def _stored(name: str, check: bool = True) -> StoredModel:
    from ocrtool.weights.cache import ModelCache

    reference, store = _reference(name), ModelCache()
    model = store.find(reference) if check else store.recorded(reference)
    if model is None:
        raise ModelError(f"{name} is not in the cache", f"ocrtool models download {name}")
    return model
