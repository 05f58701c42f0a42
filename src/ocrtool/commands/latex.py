"""``ocrtool latex``."""

from __future__ import annotations

from typing import Annotated

import typer

from ocrtool import console
from ocrtool.commands.shared import (
    ColorChoice,
    Device,
    Engine,
    FromClipboard,
    Inputs,
    MaxMemory,
    NoProgress,
    Offline,
    Out,
    Overwrite,
    Pages,
    Quiet,
    Recursive,
    Threads,
    Verbose,
    given,
    limit_memory,
    talk,
)
from ocrtool.console import Color
from ocrtool.options import EngineName, LatexFormat, PictureKind, ReadOptions, Wrap


def latex(
    inputs: Inputs = None,
    kind: Annotated[
        PictureKind, typer.Option("--kind", "-k", help="What a picture holds.")
    ] = PictureKind.AUTO,
    form: Annotated[
        LatexFormat | None,
        typer.Option(
            "--format",
            "-f",
            show_default=False,
            help="Output format; without it the suffix of OUT decides, else tex. Typst and MathML "
            "are for formulas.",
        ),
    ] = None,
    wrap: Annotated[
        Wrap, typer.Option("--wrap", "-w", help="What is put round a formula.")
    ] = Wrap.NONE,
    out: Out = "-",
    overwrite: Overwrite = False,
    pages: Pages = None,
    beam: Annotated[
        int,
        typer.Option(
            "--beam",
            min=0,
            max=16,
            metavar="N",
            help="Texts that are followed for each formula: 1 is greedy, 0 means 1, with --verify "
            "4.",
        ),
    ] = 0,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            show_default=False,
            help="Draw what was read, compare it with the picture, take what looks most like it, "
            "and tell where nothing does.",
        ),
    ] = False,
    recursive: Recursive = False,
    from_clipboard: FromClipboard = False,
    copy: Annotated[
        bool,
        typer.Option("--copy", show_default=False, help="Also leave the LaTeX on the clipboard."),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            envvar="OCRTOOL_FORMULA_MODEL",
            metavar="MODEL",
            show_default=False,
            help="What reads formulas: a bundled model or a model folder; default formula.",
        ),
    ] = None,
    engine: Engine = EngineName.AUTO,
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    color: ColorChoice = Color.AUTO,
    no_progress: NoProgress = False,
) -> int:
    """Turn pictures of formulas, tables and pages into LaTeX.

    \b
    Examples:
      ocrtool latex equation.png
      ocrtool latex equation.png --wrap display --copy
      ocrtool latex --clipboard -f typst
      ocrtool latex crops/ -f jsonl -o formulas.jsonl --verify
      ocrtool latex table.png --kind table
      ocrtool latex page.png -o page.tex

    A formula is a line of LaTeX, a table a tabular, a page a document that compiles by itself.
    What cannot be read is reported and left out; the others are read, and the exit code is 1 (that
    of its own failure if it is the only one).
    """
    console.begin(talk(verbose, quiet, color, no_progress))
    limit_memory(max_memory, model)
    options = ReadOptions(
        model=model, engine=engine, device=device, threads=threads, offline=offline
    )
    from ocrtool.inputs.paths import READABLE_SUFFIXES, expand
    from ocrtool.options import PageSelection
    from ocrtool.pipelines.latex import LatexJob, typeset

    sources = given(inputs, from_clipboard)
    job = LatexJob(
        sources=tuple(dict.fromkeys(expand(sources, recursive, READABLE_SUFFIXES))),
        kind=kind,
        form=form,
        wrap=wrap,
        out=out,
        overwrite=overwrite,
        selection=PageSelection.parse(pages) if pages is not None else PageSelection(),
        beam=beam,
        verify=verify,
        copy=copy,
    )
    return typeset(job, options)
