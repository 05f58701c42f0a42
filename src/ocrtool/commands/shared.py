"""Options shared by several commands."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocrtool.console import Color, Talk
from ocrtool.errors import UsageError
from ocrtool.options import DetectorChoice, engine_names
from ocrtool.writers import PAGE_FORMATS

if TYPE_CHECKING:
    EngineChoice = str
    FormatName = str
else:
    # Typer takes choices from enumerations, which mypy cannot follow when a table makes them.
    FormatName = StrEnum("FormatName", {name.upper(): name for name in PAGE_FORMATS})
    EngineChoice = StrEnum("EngineChoice", {name.upper(): name for name in engine_names()})

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="Images, PDFs, folders, patterns, or - for standard input.",
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        help="File, or FOLDER/ for one file per input; - is stdout.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", show_default=False, help="Replace existing outputs.")
]
Pages = Annotated[
    str | None,
    typer.Option(
        "--pages",
        metavar="1,3-5,8-end",
        show_default=False,
        help="Pages of PDFs and TIFFs; default all.",
    ),
]
FromClipboard = Annotated[
    bool,
    typer.Option("--clipboard", show_default=False, help="Read the image on the clipboard."),
]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        metavar="",
        help="Report choices and their reasons; show tracebacks. -vv reports more.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", show_default=False, help="Report errors only.")
]
ColorChoice = Annotated[
    Color,
    typer.Option(
        "--color", envvar="OCRTOOL_COLOR", help="Colour on stderr; NO_COLOR is respected."
    ),
]
NoProgress = Annotated[
    bool,
    typer.Option(
        "--no-progress",
        envvar="OCRTOOL_NO_PROGRESS",
        show_default=False,
        help="Show no progress bar (none is shown if stderr is not a terminal).",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        envvar="OCRTOOL_DEVICE",
        metavar="auto|cpu|cuda|cuda:N",
        help="Device that computes. A named device that is missing is an error.",
    ),
]
Recursive = Annotated[
    bool,
    typer.Option("--recursive", "-r", show_default=False, help="Search folders to any depth."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        envvar="OCRTOOL_MODEL",
        metavar="MODEL",
        show_default=False,
        help="Bundled or published model, model folder, or hf:OWNER/NAME; default bundled.",
    ),
]
Engine = Annotated[
    EngineChoice, typer.Option("--engine", envvar="OCRTOOL_ENGINE", help="Inference engine.")
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="OCRTOOL_OFFLINE",
        show_default=False,
        help="Never open a connection: published models must be in the cache.",
    ),
]
DetectorName = Annotated[
    DetectorChoice,
    typer.Option("--detector", envvar="OCRTOOL_DETECTOR", help="Detector of text lines."),
]
Escalate = Annotated[
    str | None,
    typer.Option(
        "--escalate",
        envvar="OCRTOOL_ESCALATE",
        metavar="MODEL",
        show_default=False,
        help="Model that re-reads uncertain lines; also tesseract, or tesseract:deu+eng.",
    ),
]
Below = Annotated[
    float,
    typer.Option("--below", metavar="0..1", help="Confidence below which a line is escalated."),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="LINES|TIME",
        show_default=False,
        help="Limit of escalation: 200 (lines), or 30s, 5m; default none.",
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="MODE",
        show_default=False,
        help="How DeepSeek-OCR and DeepOCR see a page: tiny, small, base, large, gundam (tiles).",
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        metavar="PROMPT",
        show_default=False,
        help="Prompt of these models: markdown, ocr, grounding, figure, describe, locate:TEXT.",
    ),
]
Int8 = Annotated[
    bool,
    typer.Option("--int8", show_default=False, help="Keep the weights of these models in 8 bits."),
]
Threads = Annotated[
    int,
    typer.Option(
        "--threads",
        envvar="OCRTOOL_THREADS",
        min=0,
        metavar="N",
        help="CPU threads; 0 leaves the choice to the engine.",
    ),
]
MaxMemory = Annotated[
    float | None,
    typer.Option(
        "--max-memory",
        envvar="OCRTOOL_MAX_MEMORY",
        metavar="GB",
        min=0.0,
        show_default=False,
        help="Memory of a process; default a quarter of the machine's, at least 2; 0 for no limit.",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.json",
        show_default=False,
        help="Write the outcome of every document and page to a JSON file.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        envvar="OCRTOOL_JOBS",
        min=0,
        metavar="N",
        help="Number of processes; 0 for as many as there are cores.",
    ),
]
PageTimeout = Annotated[
    float,
    typer.Option(
        "--page-timeout",
        metavar="SECONDS",
        min=0,
        help="Time limit of a page; 0 for none.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", show_default=False, help="Print JSON.")]


def talk(verbose: int, quiet: bool, color: Color, no_progress: bool) -> Talk:
    """Return the message settings from the options of a command."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    return Talk(-1 if quiet else verbose, color, not no_progress)


MIN_MEMORY_GB = 2.0
"""Least default limit of the memory of a process, in gigabytes."""
MEMORY_SHARE = 0.25
"""Default limit of the memory of a process, as a share of the machine's."""


def limit_memory(gigabytes: float | None, model: str | None) -> None:
    """Limit the memory of this process and of those that it starts, where the system can.

    A page that needs more counts as damaged. Without a limit, a small file could use up all of it.

    Args:
        gigabytes: The limit; 0 for none. None for the default, which published models do not have:
            they may need any amount.
        model: Name of the model, None for the bundled one.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    if gigabytes is None:
        from ocrtool.weights import is_bundled

        if model is not None and not is_bundled(model):
            return
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        gigabytes = max(MIN_MEMORY_GB, MEMORY_SHARE * machine)
    if gigabytes:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = int(gigabytes * 1e9)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def given(inputs: list[str] | None, from_clipboard: bool) -> list[str]:
    """Return the inputs that a command was given, the clipboard last."""
    from ocrtool.inputs.paths import CLIPBOARD

    sources = [*(inputs or []), *[CLIPBOARD] * from_clipboard]
    if not sources:
        raise UsageError("nothing to read", "name images, or give --clipboard; see --help")
    return sources


def pretty(value: Any) -> str:
    """Return ``value`` as JSON for people and programs."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
