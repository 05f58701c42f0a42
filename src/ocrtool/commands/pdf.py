"""``ocrtool pdf``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ocrtool import console
from ocrtool.commands.shared import (
    Below,
    Budget,
    ColorChoice,
    DetectorName,
    Device,
    Engine,
    Escalate,
    FormatName,
    Int8,
    Jobs,
    MaxMemory,
    Mode,
    Model,
    NoProgress,
    Offline,
    PageTimeout,
    Prompt,
    Quiet,
    Recursive,
    Report,
    Verbose,
    limit_memory,
    talk,
)
from ocrtool.console import Color
from ocrtool.errors import InputError, UsageError
from ocrtool.options import (
    BatchOptions,
    DetectorChoice,
    EngineName,
    FormulaChoice,
    HeaderChoice,
    HyphenChoice,
    ImageChoice,
    OcrChoice,
    PageOptions,
    ReadOptions,
    TableChoice,
    TextLayerChoice,
    parse_budget,
)
from ocrtool.writers import page_format


def pdf(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            show_default=False,
            help="PDFs, folders, patterns, images, or - for standard input.",
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="FOLDER/, which mirrors the inputs, or a file; - is stdout.",
        ),
    ] = "-",
    forms: Annotated[
        list[FormatName] | None,
        typer.Option(
            "--format",
            "-f",
            show_default=False,
            help="Output format, repeatable; without it the suffix of OUT decides, else md.",
        ),
    ] = None,
    recursive: Recursive = False,
    pages: Annotated[
        str | None,
        typer.Option(
            "--pages", metavar="1,3-5,8-end", show_default=False, help="Pages; default all."
        ),
    ] = None,
    ocr: Annotated[
        OcrChoice,
        typer.Option(
            "--ocr", help="Read pages from their picture: where their own text is bad, or not."
        ),
    ] = OcrChoice.AUTO,
    images: Annotated[
        ImageChoice | None,
        typer.Option(
            "--images",
            show_default=False,
            help="Pictures: none, files in NAME_images/, or part of the output; default refs, "
            "none on stdout.",
        ),
    ] = None,
    formulas: Annotated[
        FormulaChoice,
        typer.Option(
            "--formulas", help="Displayed formulas: read from their picture, or left as text."
        ),
    ] = FormulaChoice.LATEX,
    tables: Annotated[
        TableChoice, typer.Option("--tables", help="How tables are written in Markdown.")
    ] = TableChoice.MD,
    headers: Annotated[
        HeaderChoice,
        typer.Option(
            "--headers",
            help="Running headers, footers and page numbers: left out of the text (JSON and the "
            "report have them), or kept, in Markdown and LaTeX as comments.",
        ),
    ] = HeaderChoice.DROP,
    text_layer: Annotated[
        TextLayerChoice,
        typer.Option(
            "--text-layer",
            help="Text layer of the pages of a searchable PDF: kept where it agrees with the page, "
            "its invisible text read anew, or every page made an image under new text.",
        ),
    ] = TextLayerChoice.KEEP,
    page_breaks: Annotated[
        bool,
        typer.Option("--page-breaks", show_default=False, help="Comments tell where pages begin."),
    ] = False,
    front_matter: Annotated[
        bool,
        typer.Option(
            "--front-matter",
            show_default=False,
            help="Begin Markdown with title, author, pages and source.",
        ),
    ] = False,
    hyphens: Annotated[
        HyphenChoice,
        typer.Option(
            "--hyphens",
            help="Words split at line ends: left as they are, or put together (Markdown, HTML and "
            "LaTeX do so in any case).",
        ),
    ] = HyphenChoice.KEEP,
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file",
            metavar="FILE",
            show_default=False,
            help="Passwords of encrypted PDFs, one a line; on a terminal they are asked for.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            show_default=False,
            help="Replace files that no earlier run wrote, or that were changed since.",
        ),
    ] = False,
    report: Report = None,
    jobs: Jobs = 0,
    page_timeout: PageTimeout = BatchOptions.page_timeout,
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence",
            envvar="OCRTOOL_MIN_CONFIDENCE",
            metavar="0..1",
            help="Mark words read with less confidence than this.",
        ),
    ] = 0.0,
    model: Model = None,
    engine: Engine = EngineName.AUTO,
    detector: DetectorName = DetectorChoice.AUTO,
    escalate: Escalate = None,
    below: Below = 0.85,
    budget: Budget = None,
    offline: Offline = False,
    mode: Mode = None,
    prompt: Prompt = None,
    int8: Int8 = False,
    device: Device = "auto",
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            envvar="OCRTOOL_THREADS",
            min=0,
            metavar="N",
            help="CPU threads of each process; 0 shares the cores out.",
        ),
    ] = 0,
    max_memory: MaxMemory = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    color: ColorChoice = Color.AUTO,
    no_progress: NoProgress = False,
) -> int:
    """Convert PDFs to Markdown and other forms, folders of them at a time.

    \b
    Examples:
      ocrtool pdf paper.pdf
      ocrtool pdf paper.pdf -o paper.md --front-matter
      ocrtool pdf reports/ -r -o text/ --report report.json
      ocrtool pdf scans/*.pdf -f md -f pdf -o out/
      curl -s https://example.org/paper.pdf | ocrtool pdf - -f json

    A run that was stopped goes on when the same command is given again: only pages that are not
    done are read. What cannot be read is reported, pages are marked in the output, and the exit
    code is 1 (that of its own failure for a document that is the only one).
    """
    console.begin(talk(verbose, quiet, color, no_progress))
    limit_memory(max_memory, model)
    lines, seconds = parse_budget(budget)
    reading = ReadOptions(
        model=model,
        engine=engine,
        device=device,
        threads=threads,
        min_confidence=min_confidence,
        offline=offline,
        detector=detector,
        escalate=escalate,
        below=below,
        budget_lines=lines,
        budget_seconds=seconds,
        mode=mode,
        prompt=prompt,
        int8=int8,
    )
    if not inputs:
        raise UsageError("nothing to convert", "name PDFs or folders; see --help")
    from ocrtool.batch.plan import make_plan
    from ocrtool.batch.runner import BatchRunner, BatchSettings
    from ocrtool.options import PageSelection, WriteOptions

    settings = BatchSettings(
        pages=PageOptions(ocr=ocr, hyphens=hyphens, formulas=formulas, reading=reading),
        writing=WriteOptions(
            min_confidence=min_confidence,
            tables=tables,
            keep_furniture=headers is HeaderChoice.KEEP,
            page_breaks=page_breaks,
            front_matter=front_matter,
            text_layer=text_layer,
        ),
        selection=PageSelection.parse(pages) if pages is not None else PageSelection(),
        running=BatchOptions(jobs, page_timeout),
        passwords=_passwords(password_file),
        overwrite=overwrite,
        report=report,
    )
    wanted = [page_format(name) for name in forms or ()]
    with BatchRunner(make_plan(inputs, recursive, out, wanted, images), settings) as batch:
        return batch.run()


def _passwords(path: Path | None) -> tuple[str, ...]:
    """Return the lines of a file.

    Raises:
        InputError: It cannot be read.
    """
    if path is None:
        return ()
    try:
        return tuple(line for line in path.read_text("utf-8-sig").split("\n") if line)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
