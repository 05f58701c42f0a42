"""What is scored: sets of items with their truth, and what a program read of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Task(StrEnum):
    """What a program is asked to do with an item."""

    PAGE = "page"
    """Read the text of a page as it stands there."""
    LINE = "line"
    """Read an image of a single line or word."""
    MARKDOWN = "markdown"
    """Convert a page or document to Markdown."""
    TABLE = "table"
    """Convert the image of a table to HTML."""
    FORMULA = "formula"
    """Convert the image of a formula to LaTeX."""


@dataclass(frozen=True)
class Item:
    """A page, line, table or formula with its truth.

    Attributes:
        name: Unique in its set: the path of the source below the set, without its suffix.
        source: Image or PDF.
        origin: Where the truth stands: ``FILE`` or ``FILE:LINE``.
        truth: Text, Markdown, HTML or LaTeX; empty where ``facts`` hold the truth.
        page: Page of a PDF, from 1; ``None`` for the whole document.
        group: Part of the set that it belongs to, where a benchmark has parts.
        facts: Records of a benchmark: unit tests, or the annotated regions of a page.
    """

    name: str
    source: Path
    origin: str
    truth: str = ""
    page: int | None = None
    group: str = ""
    facts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class TestSet:
    """Items to be scored, and what was wrong with the others.

    Attributes:
        path: Folder or file that was named.
        protocol: Name of the rules by which it is scored.
        items: Items with a usable truth, sorted by name.
        problems: One line ``FILE:LINE: reason`` for each truth that was left out.
        why: What the protocol was recognised by.
    """

    __test__ = False
    """Not a test class, although its name begins like one."""

    path: Path
    protocol: str
    items: tuple[Item, ...]
    problems: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Reading:
    """What a program said of an item.

    Attributes:
        text: In the form that the task asks for.
        words: Words with their confidences (0 to 1), where the program states them.
        missing: Whether there is no output at all; it is scored as an empty one.
    """

    text: str = ""
    words: tuple[tuple[str, float], ...] = ()
    missing: bool = False


@dataclass(frozen=True)
class Cost:
    """What reading cost, of whole processes with everything that they started.

    Attributes:
        items: Number of items that were read.
        seconds: From start to end.
        cpu_seconds: Of all processes; ``None`` where the system does not tell.
        peak_mb: Most memory in use at a time, in MB; ``None`` where the system does not tell.
    """

    items: int = 0
    seconds: float = 0.0
    cpu_seconds: float | None = None
    peak_mb: float | None = None

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of two runs one after the other."""
        return Cost(
            self.items + other.items,
            self.seconds + other.seconds,
            _both(self.cpu_seconds, other.cpu_seconds, lambda a, b: a + b),
            _both(self.peak_mb, other.peak_mb, max),
        )


def _both(first: float | None, second: float | None, join: Any) -> float | None:
    known = [value for value in (first, second) if value is not None]
    return join(*known) if len(known) == 2 else (known[0] if known else None)


@dataclass(frozen=True)
class Readings:
    """What a program said of a set.

    Attributes:
        system: Name of the program.
        by_name: Readings by the name of the item.
        cost: What it cost; ``None`` for outputs that were there already.
        command: Command that was run, as typed; empty for outputs that were there already.
    """

    system: str
    by_name: Mapping[str, Reading] = field(default_factory=dict)
    cost: Cost | None = None
    command: str = ""

    def of(self, item: Item) -> Reading:
        """Return what was said of an item."""
        return self.by_name.get(item.name, Reading(missing=True))

    def unread(self, items: tuple[Item, ...]) -> tuple[str, ...]:
        """Return the names of items without an output."""
        return tuple(item.name for item in items if self.of(item).missing)
