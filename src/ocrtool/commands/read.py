"""``ocrtool read``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    FromClipboard,
    Inputs,
    Int8,
    Jobs,
    MaxMemory,
    Mode,
    Model,
    NoProgress,
    Offline,
    Out,
    Overwrite,
    Pages,
    PageTimeout,
    Prompt,
    Quiet,
    Recursive,
    Report,
    Threads,
    Verbose,
    given,
    limit_memory,
    talk,
)
from ocrtool.console import Color
from ocrtool.errors import ExitCode, InputError, UsageError
from ocrtool.options import (
    BatchOptions,
    DetectorChoice,
    EngineName,
    HeaderChoice,
    HyphenChoice,
    ImageChoice,
    LayoutMode,
    OcrChoice,
    PageOptions,
    ReadOptions,
    TextFormat,
    WriteOptions,
    parse_budget,
)
from ocrtool.writers import formats, page_format

if TYPE_CHECKING:
    import numpy as np

    from ocrtool.document.lines import LineResult


def read(
    inputs: Inputs = None,
    layout: Annotated[
        LayoutMode,
        typer.Option(
            "--layout",
            help="What an image holds: a page of any kind, one block of rows, text here and there, "
            "or a single line.",
        ),
    ] = LayoutMode.AUTO,
    forms: Annotated[
        list[FormatName] | None,
        typer.Option(
            "--format",
            "-f",
            show_default=False,
            help="Output format, repeatable; without it the suffix of OUT decides, else txt.",
        ),
    ] = None,
    out: Out = "-",
    overwrite: Overwrite = False,
    pages: Pages = None,
    ocr: Annotated[
        OcrChoice,
        typer.Option(
            "--ocr",
            help="Read pages of PDFs from their picture: where their own text is bad, or not.",
        ),
    ] = OcrChoice.AUTO,
    hyphens: Annotated[
        HyphenChoice,
        typer.Option(
            "--hyphens", help="Words split at line ends: left as they are, or put together."
        ),
    ] = HyphenChoice.KEEP,
    headers: Annotated[
        HeaderChoice | None,
        typer.Option(
            "--headers",
            show_default=False,
            help="Running headers, footers and page numbers: kept, or left out of the text; "
            "default drop in Markdown and LaTeX, else keep.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay",
            metavar="PNG",
            show_default=False,
            help="Also draw what was found on the picture; further pages go to NAME-2.png.",
        ),
    ] = None,
    recursive: Recursive = False,
    from_clipboard: FromClipboard = False,
    copy: Annotated[
        bool,
        typer.Option("--copy", show_default=False, help="Also leave the text on the clipboard."),
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
            help="Mark words read with less confidence than this; of lines, withhold them.",
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
    threads: Threads = 0,
    max_memory: MaxMemory = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    color: ColorChoice = Color.AUTO,
    no_progress: NoProgress = False,
) -> int:
    """Read the text of images and PDFs.

    \b
    Examples:
      ocrtool read photo.jpg
      ocrtool read scan.pdf -o scan.md
      ocrtool read scans/ -f txt -f pdf -o text/
      ocrtool read lines/*.png --layout line -f jsonl -o lines.jsonl
      curl -s https://example.org/photo.png | ocrtool read - -f json
      ocrtool read --clipboard --copy

    What cannot be read is reported and left out; the others are read, and the exit code is 1 (that
    of its own failure if it is the only one). Outputs in a folder mirror the inputs, and a run that
    was stopped goes on when the same command is given again.
    """
    console.begin(talk(verbose, quiet, color, no_progress))
    limit_memory(max_memory, model)
    lines, seconds = parse_budget(budget)
    options = ReadOptions(
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
    from ocrtool.inputs.paths import READABLE_SUFFIXES, expand, paths_of, refuse_replacing
    from ocrtool.options import PageSelection
    from ocrtool.pipelines import folder_of

    sources = given(inputs, from_clipboard)
    in_batch = folder_of(out) is not None or report is not None
    if layout is LayoutMode.LINE:
        for name, value in (("--pages", pages), ("--overlay", overlay), ("--report", report)):
            if value is not None:
                raise UsageError(f"{name} is of no use for single lines", "leave out --layout line")
        single = list(paths_of(expand(sources, recursive)))
        refuse_replacing([one for one in single if isinstance(one, str)], [Path(out)])
        return _read_lines(single, options, forms or [], out, overwrite, copy)
    page_options = PageOptions(
        ocr=ocr, pictures=False, hyphens=hyphens, layout=layout, reading=options
    )
    writing = WriteOptions(
        min_confidence=min_confidence,
        keep_furniture=None if headers is None else headers is HeaderChoice.KEEP,
        as_printed=True,
    )
    selection = PageSelection.parse(pages) if pages is not None else PageSelection()
    wanted_forms = tuple(page_format(name) for name in forms or ())
    if not in_batch:
        from ocrtool.pipelines.read import PageJob, read_pages

        job = PageJob(
            sources=tuple(paths_of(expand(sources, recursive, READABLE_SUFFIXES))),
            forms=wanted_forms,
            out=out,
            overwrite=overwrite,
            selection=selection,
            writing=writing,
            overlay=overlay,
            copy=copy,
        )
        return read_pages(job, page_options)
    for name, wanted in (("--overlay", overlay is not None), ("--copy", copy)):
        if wanted:
            raise UsageError(
                f"{name} goes with standard output or one file", "leave out -o FOLDER/ and --report"
            )
    from ocrtool.batch.plan import make_plan
    from ocrtool.batch.runner import BatchRunner, BatchSettings

    plan = make_plan(
        sources, recursive, out, wanted_forms, ImageChoice.NONE, formats.TXT, READABLE_SUFFIXES
    )
    settings = BatchSettings(
        pages=page_options,
        writing=writing,
        selection=selection,
        running=BatchOptions(jobs, page_timeout),
        overwrite=overwrite,
        report=report,
    )
    with BatchRunner(plan, settings) as batch:
        return batch.run()


def _read_lines(
    sources: list[str | InputError],
    options: ReadOptions,
    forms: list[FormatName],
    out: str,
    overwrite: bool,
    copy: bool,
) -> int:
    """Read images of single lines."""
    from ocrtool.inputs import clipboard
    from ocrtool.writers.line_records import WRITERS

    form = _line_format(forms, out)
    failures: list[str] = []
    texts: list[str] = []
    with console.output(out, overwrite) as write, console.progress("Reading", len(sources)) as step:
        # After the output was opened: what cannot be written need not be read.
        from ocrtool.readers import open_lines

        reader = open_lines(options)
        images = _images(sources, failures, step)
        results = _counted(reader.read_stream(images), options.min_confidence, step, texts)
        WRITERS[form](results, write)
        if len(failures) == len(sources) == 1:
            # Raised inside the block, so that no output file appears.
            raise InputError(failures[0])
    if copy:
        clipboard.put("\n".join(texts))
    if failures:
        console.say(f"{len(sources) - len(failures)} read, {len(failures)} failed")
        return ExitCode.FAILED
    return ExitCode.OK


def _images(
    sources: Iterable[str | InputError], failures: list[str], step: Callable[[int], None]
) -> Iterator[tuple[str, np.ndarray]]:
    """Load images one by one; those that cannot be read are told and noted in ``failures``."""
    from ocrtool.inputs.images import load_image
    from ocrtool.inputs.paths import content_of

    alone = isinstance(sources, Sequence) and len(sources) == 1
    for source in sources:
        try:
            if isinstance(source, InputError):
                raise source
            image = load_image(content_of(source))
        except InputError as problem:
            failures.append(str(problem))
            if not alone:  # The only input's failure is the command's, and told as such.
                console.error(str(problem))
            step(1)
            continue
        yield source, image


def _counted(
    results: Iterable[LineResult],
    minimum: float,
    step: Callable[[int], None],
    texts: list[str],
) -> Iterator[LineResult]:
    """Move the progress on with each result, collect texts, and tell how many were withheld."""
    withheld = 0
    for result in results:
        step(1)
        withheld += result.confidence < minimum
        texts.append(result.text)
        yield result
    if withheld:
        console.say(f"{withheld} withheld, their confidence being below {minimum:g}")


def _line_format(forms: list[FormatName], out: str) -> TextFormat:
    known = {form.value for form in TextFormat}
    if len(forms) > 1 or any(name not in known for name in forms):
        raise UsageError(
            "single lines are written in one of txt, json, jsonl", "leave out --layout line"
        )
    if forms:
        return TextFormat(forms[0])
    suffix = Path(out).suffix.lower().lstrip(".")
    return TextFormat(suffix) if suffix in known else TextFormat.TXT
