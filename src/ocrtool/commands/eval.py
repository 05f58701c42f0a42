"""``ocrtool eval``."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ocrtool import console
from ocrtool.commands.shared import (
    AsJson,
    ColorChoice,
    Device,
    NoProgress,
    Offline,
    Overwrite,
    Quiet,
    Recursive,
    Threads,
    Verbose,
    talk,
)
from ocrtool.console import Color


class Normalise(StrEnum):
    """Values of ``--normalise``."""

    NONE = "none"
    OCR = "ocr"
    BENCHMARK = "benchmark"


def eval(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="SET",
            show_default=False,
            help="Folder of images or PDFs beside their truth, table of labels, or benchmark.",
        ),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            "-a",
            metavar="SYSTEM",
            show_default=False,
            help="Other systems, repeatable, or several with commas: tesseract, rapidocr, pymupdf, "
            "docling, marker, markitdown, pix2tex; 'ocrtool OPTIONS'; or a command with {input} "
            "and {output}, or {inputs} and {outputs} for folders.",
        ),
    ] = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            "--predictions",
            "-p",
            metavar="[NAME=]PATH",
            show_default=False,
            help="Score these outputs, named as the items, instead of running ocrtool; repeatable.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", show_default=False, help="Model that ocrtool uses."
        ),
    ] = None,
    options: Annotated[
        str,
        typer.Option(
            "--options",
            metavar="OPTIONS",
            show_default=False,
            help="Further options of the ocrtool command that reads, such as '--ocr always'.",
        ),
    ] = "",
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            show_default=False,
            help="Rules to score by, where the files do not tell: see docs/eval.md.",
        ),
    ] = None,
    normalise: Annotated[
        Normalise | None,
        typer.Option(
            "--normalise",
            show_default=False,
            help="What counts as the same text; default the benchmark's own rules, else ocr.",
        ),
    ] = None,
    ignore_case: Annotated[
        bool, typer.Option("--ignore-case", show_default=False, help="Capitals are small letters.")
    ] = False,
    cased: Annotated[
        bool,
        typer.Option(
            "--cased", show_default=False, help="Words: capitals are no small letters (62, not 36)."
        ),
    ] = False,
    punctuation: Annotated[
        bool,
        typer.Option("--punctuation", show_default=False, help="Words: compare punctuation, too."),
    ] = False,
    recursive: Recursive = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=1,
            metavar="N",
            show_default=False,
            help="Score N items that are drawn by the seed.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of --limit and of the bootstrap.")
    ] = 0,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="FOLDER",
            show_default=False,
            help="Keep what is read here; a stopped run goes on, and new scores need no reading.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE.html", show_default=False, help="Write an HTML report."
        ),
    ] = None,
    as_json: AsJson = False,
    out: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="File; - is stdout.")
    ] = "-",
    overwrite: Overwrite = False,
    peer_python: Annotated[
        list[str] | None,
        typer.Option(
            "--peer-python",
            envvar="OCRTOOL_PEER_PYTHON",
            metavar="PYTHON",
            show_default=False,
            help="Python that has the packages of other systems; repeatable.",
        ),
    ] = None,
    languages: Annotated[
        str, typer.Option("--languages", metavar="eng+deu", help="Languages of Tesseract.")
    ] = "eng",
    offline: Offline = False,
    device: Device = "auto",
    threads: Threads = 0,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    color: ColorChoice = Color.AUTO,
    no_progress: NoProgress = False,
) -> int:
    """Score ocrtool, its models and other programs on your own pages or a public benchmark.

    \b
    Examples:
      ocrtool eval my-pages/                               images beside NAME.txt or NAME.md
      ocrtool eval labels.csv --model run/best             image,text: lines or words
      ocrtool eval my-pages/ --against tesseract,rapidocr  the same pages, whole processes
      ocrtool eval my-pages/ --predictions THEIR-OUTPUTS/  what another program wrote
      ocrtool eval my-pages/ --report report.html --keep run/

    Every figure has its 95 % bootstrap interval, every other system the paired difference. The exit
    code is 1 where a truth was left out or ocrtool did not read an item, and 4 where nothing can
    be scored.
    """
    console.begin(talk(verbose, quiet, color, no_progress))
    from ocrtool.evaluation.job import EvalJob, run
    from ocrtool.evaluation.normalise import Normalisation

    passed = [*shlex.split(options), *["--offline"] * offline]
    if device != "auto":
        passed += ["--device", device]
    if threads:
        passed += ["--threads", str(threads)]
    job = EvalJob(
        path=path,
        options=tuple(passed),
        model=model,
        against=tuple(system for given in against or () for system in _systems(given)),
        predictions=tuple(predictions or ()),
        protocol=protocol,
        normalisation=None if normalise is None else Normalisation(normalise),
        ignore_case=ignore_case,
        cased=cased,
        punctuation=punctuation,
        recursive=recursive,
        limit=limit,
        seed=seed,
        keep=keep,
        report=report,
        as_json=as_json,
        out=out,
        overwrite=overwrite,
        pythons=tuple(peer_python or ()),
        languages=languages,
    )
    return run(job)


def _systems(given: str) -> list[str]:
    """Return the systems of one ``--against``; a command with placeholders is a single one."""
    return [given] if "{" in given else [name.strip() for name in given.split(",") if name.strip()]
