"""Programs that read: ocrtool, known peers, and any command with ``{input}`` and ``{output}``."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ocrtool.errors import MissingDependencyError, UsageError
from ocrtool.evaluation.items import Reading, Task

PEER_SCRIPT = Path(__file__).parent / "peers" / "script.py"


class Output(StrEnum):
    """Where a command leaves what it read."""

    RECORDS = "records"
    """A JSON record ``{"source", ...}`` a line on standard output."""
    FORM_FEEDS = "form feeds"
    """Texts on standard output in the order of the inputs, a form feed after each."""
    FILES = "files"
    """Files named as the inputs, in a folder."""
    STDOUT = "stdout"
    """The text of the only input on standard output."""
    FILE = "file"
    """The text of the only input in a file."""


@dataclass(frozen=True)
class System:
    """A program and how it is called.

    Attributes:
        name: For tables.
        command: Program and arguments. ``{files}`` as an argument of its own stands for all
            inputs, ``{list}`` for a file that lists them, ``{inputs}`` and ``{outputs}`` for
            folders, ``{input}`` and ``{output}`` for one file at a time.
        output: Where it leaves what it read.
        field: Of its records, the one that holds the text.
        reads_pdf: Whether it takes PDFs; otherwise it gets their pages as images.
    """

    name: str
    command: tuple[str, ...]
    output: Output
    field: str = "text"
    reads_pdf: bool = True

    @property
    def one_by_one(self) -> bool:
        """Whether a process is started for each input."""
        return self.output in (Output.STDOUT, Output.FILE)

    def arguments(self, files: Sequence[Path], places: Mapping[str, Path]) -> list[str]:
        """Return the command line for some inputs.

        Args:
            files: The inputs.
            places: What ``{list}``, ``{inputs}``, ``{outputs}``, ``{input}``, ``{output}`` stand
                for.
        """
        line: list[str] = []
        for part in self.command:
            if part == "{files}":
                line += map(str, files)
                continue
            for name, place in places.items():
                part = part.replace(f"{{{name}}}", str(place))
            line.append(part)
        return line

    def typed(self) -> str:
        """Return the command as it would be typed."""
        return shlex.join(self.command).replace("'{", "{").replace("}'", "}")


_OURS: dict[Task, tuple[tuple[str, ...], Output, str]] = {
    Task.PAGE: (("read", "{files}", "-f", "jsonl"), Output.RECORDS, "text"),
    Task.LINE: (("read", "{files}", "--layout", "line", "-f", "jsonl"), Output.RECORDS, "text"),
    Task.MARKDOWN: (
        ("pdf", "{files}", "-o", "{outputs}/", "-f", "md", "--images", "none"),
        Output.FILES,
        "text",
    ),
    Task.TABLE: (
        ("latex", "{files}", "--kind", "table", "-f", "jsonl"),
        Output.RECORDS,
        "markdown",
    ),
    Task.FORMULA: (
        ("latex", "{files}", "--kind", "formula", "-f", "jsonl"),
        Output.RECORDS,
        "latex",
    ),
}
"""Command line of ocrtool, place of its output and name of the field, by task."""


def ocrtool(task: Task, options: Sequence[str] = (), name: str = "ocrtool") -> System:
    """Return this installation of ocrtool as a whole process.

    Args:
        task: What it is asked to do.
        options: Further options of the command that does it.
        name: For tables.
    """
    command, output, field = _OURS[task]
    start = (sys.executable, "-m", "ocrtool")
    return System(name, (*start, *command, "-q", "--no-progress", *options), output, field)


_TESSERACT_MODES = {Task.LINE: "7"}
"""Page segmentation mode for a task: 7 is a single line; 3, the default, finds lines itself."""
_PEERS: dict[str, tuple[frozenset[Task], bool]] = {
    "rapidocr": (frozenset({Task.PAGE, Task.LINE, Task.MARKDOWN}), False),
    "pymupdf": (frozenset({Task.PAGE, Task.MARKDOWN}), True),
    "docling": (frozenset({Task.PAGE, Task.MARKDOWN, Task.TABLE}), True),
    "marker": (frozenset({Task.PAGE, Task.MARKDOWN, Task.TABLE}), True),
    "markitdown": (frozenset({Task.PAGE, Task.MARKDOWN}), True),
    "pix2tex": (frozenset({Task.FORMULA}), False),
}
"""Packages of Python that are known: what they do, and whether they take PDFs."""
_MODULES = {"pymupdf": "pymupdf4llm"}
"""Module by which a package is found, where that is not its name."""
NAMES = ("ocrtool", "tesseract", *_PEERS)
"""What ``--against`` knows by name."""


def named(
    wanted: str, task: Task, pythons: Sequence[str], languages: str, options: Sequence[str]
) -> System:
    """Return a system that ``--against`` names.

    Args:
        wanted: A known name; ``ocrtool`` with options; or ``[NAME=]COMMAND`` with ``{input}`` or
            ``{inputs}``.
        task: What it is asked to do.
        pythons: Pythons in which a package is looked for, the first that has it counts.
        languages: Codes of Tesseract, joined by ``+``.
        options: Options that every ocrtool gets, such as ``--device``.

    Raises:
        UsageError: It is unknown, or does not do such a thing.
        MissingDependencyError: It is not installed.
    """
    label, _, rest = wanted.partition("=")
    if "{" in wanted:
        name, command = (label, rest) if label.isidentifier() else ("", wanted)
        return _of_command(name, command)
    first, *more = shlex.split(wanted)
    if first == "ocrtool":
        return ocrtool(task, (*options, *more), wanted)
    if more or first not in NAMES:
        raise UsageError(
            f"{wanted} is no system that is known",
            f"name one of {', '.join(NAMES)}, or a command with {{input}} and {{output}}",
        )
    if first == "tesseract":
        return _tesseract(task, languages)
    tasks, reads_pdf = _PEERS[first]
    if task not in tasks:
        raise UsageError(f"{first} has no command for this set (task: {task})")
    python = _python_with(_MODULES.get(first, first), pythons)
    script = (python, str(PEER_SCRIPT), first, "{list}", str(task))
    return System(first, script, Output.RECORDS, reads_pdf=reads_pdf)


def _of_command(name: str, command: str) -> System:
    parts = shlex.split(command)
    has = {place for place in ("inputs", "outputs", "input", "output") if f"{{{place}}}" in command}
    if "inputs" in has and "outputs" in has and not has & {"input", "output"}:
        output = Output.FILES
    elif "input" in has and not has & {"inputs", "outputs"}:
        output = Output.FILE if "output" in has else Output.STDOUT
    else:
        raise UsageError(
            f"{command}: needs {{input}}, with {{output}} or a text on standard output, "
            "or {inputs} and {outputs} for folders"
        )
    return System(name or Path(parts[0]).name, tuple(parts), output)


def _tesseract(task: Task, languages: str) -> System:
    if task not in (Task.PAGE, Task.LINE, Task.MARKDOWN):
        raise UsageError(f"tesseract has no command for this set (task: {task})")
    program = shutil.which("tesseract")
    if program is None:
        raise MissingDependencyError("tesseract is not installed", "install it, or leave it out")
    mode = _TESSERACT_MODES.get(task, "3")
    command = (program, "{list}", "-", "-l", languages, "--psm", mode)
    return System("tesseract", command, Output.FORM_FEEDS, reads_pdf=False)


def _python_with(module: str, pythons: Sequence[str]) -> str:
    """Return the first Python that has a module.

    Raises:
        MissingDependencyError: None has it.
    """
    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    for python in pythons:
        try:
            if subprocess.run([python, "-c", probe], capture_output=True).returncode == 0:
                return python
        except OSError as error:
            raise UsageError(f"--peer-python {python}: {error.strerror or error}") from None
    raise MissingDependencyError(
        f"{module} is not installed for {', '.join(pythons)}",
        "name the Python that has it by --peer-python",
    )


def reading_of(record: Mapping[str, Any], field: str) -> Reading:
    """Return the reading that a record holds, with the confidences of ocrtool's records."""
    words = (
        [
            (str(word["text"]), float(word["confidence"]))
            for block in [record, *record.get("blocks", ())]
            for line in [block, *block.get("lines", ())]
            for word in line.get("words", ())
            if isinstance(word, dict) and "confidence" in word
        ]
        if isinstance(record.get("confidence"), (int, float))
        else []
    )
    return Reading(str(record.get(field) or ""), tuple(words))


def record_on(line: str) -> dict[str, Any] | None:
    """Return the record on a line of output; ``None`` for anything else that was printed."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "source" in record else None
