"""``ocrtool read``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ocrtool import console
from ocrtool.commands.shared import ColorChoice, Device, NoProgress, Quiet, Verbose, talk
from ocrtool.console import Color
from ocrtool.errors import ExitCode, InputError
from ocrtool.options import EngineName, Layout, ReadOptions, TextFormat

if TYPE_CHECKING:
    import numpy as np

    from ocrtool.recognize import LineResult


def read(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Images, folders, patterns, or - for standard input."),
    ],
    layout: Annotated[
        Layout, typer.Option("--layout", help="What an image holds: line is one line of text.")
    ] = Layout.LINE,
    form: Annotated[
        TextFormat | None,
        typer.Option(
            "--format",
            "-f",
            show_default=False,
            help="Output format; without it the suffix of OUT decides, else txt.",
        ),
    ] = None,
    out: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="File to write; - is stdout.")
    ] = "-",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", show_default=False, help="Replace OUT if it exists.")
    ] = False,
    recursive: Annotated[
        bool,
        typer.Option("--recursive", "-r", show_default=False, help="Search folders to any depth."),
    ] = False,
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence",
            envvar="OCRTOOL_MIN_CONFIDENCE",
            metavar="0..1",
            help="Withhold text read with less confidence than this.",
        ),
    ] = 0.0,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            envvar="OCRTOOL_MODEL",
            metavar="MODEL",
            show_default=False,
            help="Bundled model or model folder; default the bundled reader.",
        ),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option("--engine", envvar="OCRTOOL_ENGINE", help="What computes.")
    ] = EngineName.AUTO,
    device: Device = "auto",
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            envvar="OCRTOOL_THREADS",
            min=0,
            metavar="N",
            help="CPU threads; 0 leaves the choice to the engine.",
        ),
    ] = 0,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    color: ColorChoice = Color.AUTO,
    no_progress: NoProgress = False,
) -> int:
    """Read the text of images.

    \b
    Examples:
      ocrtool read line.png
      ocrtool read *.png -f jsonl -o lines.jsonl
      ocrtool read scans/ --recursive --min-confidence 0.8
      curl -s https://example.org/line.png | ocrtool read - -f json

    With txt each image is a line, in the order of the inputs; json is one array; jsonl is one
    object a line. An image that cannot be read is reported and left out; the others are read, and
    the exit code is 1 (4 if it is the only one).
    """
    console.begin(talk(verbose, quiet, color, no_progress))
    options = ReadOptions(
        layout=layout,
        model=model,
        engine=engine,
        device=device,
        threads=threads,
        min_confidence=min_confidence,
    )
    from ocrtool.sources import expand

    sources = list(expand(inputs, recursive))
    failures: list[str] = []
    with console.output(out, overwrite) as write, console.progress("Reading", len(sources)) as step:
        # After the output was opened: what cannot be written need not be read.
        from ocrtool.recognize import LineReader
        from ocrtool.writers import WRITERS

        reader = LineReader(options)
        images = _images(sources, failures, step)
        results = _counted(reader.read_stream(images), min_confidence, step)
        WRITERS[form or _format_of(out)](results, write)
        if len(failures) == len(sources) == 1:
            # Raised inside the block, so that no output file appears.
            raise InputError(failures[0])
    if failures:
        console.say(f"{len(sources) - len(failures)} read, {len(failures)} failed")
        return ExitCode.FAILED
    return ExitCode.OK


def _images(
    sources: Iterable[str | InputError], failures: list[str], step: Callable[[int], None]
) -> Iterator[tuple[str, np.ndarray]]:
    """Load images one by one; those that cannot be read are told and noted in ``failures``."""
    from ocrtool.inputs import load_image
    from ocrtool.sources import STDIN

    alone = isinstance(sources, Sequence) and len(sources) == 1
    for source in sources:
        try:
            if isinstance(source, InputError):
                raise source
            content = sys.stdin.buffer.read() if source == STDIN else Path(source)
            image = load_image(content)
        except InputError as problem:
            failures.append(str(problem))
            if not alone:  # The only input's failure is the command's, and told as such.
                console.error(str(problem))
            step(1)
            continue
        yield source, image


def _counted(
    results: Iterable[LineResult], minimum: float, step: Callable[[int], None]
) -> Iterator[LineResult]:
    """Move the progress on with each result, and tell how many were withheld."""
    withheld = 0
    for result in results:
        step(1)
        withheld += result.confidence < minimum
        yield result
    if withheld:
        console.say(f"{withheld} withheld, their confidence being below {minimum:g}")


def _format_of(out: str) -> TextFormat:
    suffix = Path(out).suffix.lower().lstrip(".")
    return TextFormat(suffix) if suffix in set(TextFormat) else TextFormat.TXT
