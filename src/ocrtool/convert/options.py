"""How PDFs are converted: frozen dataclasses, checked when they are built."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ocrtool.errors import UsageError
from ocrtool.options import HyphenChoice, ReadOptions


class OcrChoice(StrEnum):
    """When pages are read from their picture."""

    AUTO = "auto"
    """Where the text that a page holds is missing or bad."""
    NEVER = "never"
    """The text that a page holds is taken as it is."""
    ALWAYS = "always"
    """The text that a page holds is passed over."""


class FormulaChoice(StrEnum):
    """What becomes of displayed formulas."""

    LATEX = "latex"
    """They are read from their picture; where that is not sure, their text is taken."""
    TEXT = "text"
    """Their text as the page holds it."""


class ImageChoice(StrEnum):
    """What becomes of pictures."""

    NONE = "none"
    REFS = "refs"
    """Files in a folder beside the output, which refers to them."""
    EMBED = "embed"
    """Part of the output, as data URLs."""


class TableChoice(StrEnum):
    """How tables are written in Markdown."""

    MD = "md"
    """GitHub's tables; those with merged cells as HTML."""
    HTML = "html"
    CSV = "csv"
    """Fenced blocks of comma-separated values."""


@dataclass(frozen=True)
class PageOptions:
    """How a page is read.

    Attributes:
        ocr: When it is read from its picture.
        pictures: Whether pictures are cut out.
        hyphens: What becomes of words that are split at the ends of lines.
        formulas: Whether displayed formulas are read from their picture, unless nothing is.
        reading: Model, device and the like, for pages that are read from their picture.
    """

    ocr: OcrChoice = OcrChoice.AUTO
    formulas: FormulaChoice = FormulaChoice.LATEX
    pictures: bool = True
    hyphens: HyphenChoice = HyphenChoice.KEEP
    reading: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True)
class BatchOptions:
    """How a batch is run.

    Attributes:
        jobs: Processes; 0 takes as many as there are cores.
        page_timeout: Seconds after which a page is given up; 0 for never.

    Raises:
        UsageError: A value is out of its range.
    """

    jobs: int = 0
    page_timeout: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.jobs < 0:
            raise UsageError(f"--jobs must be 0 or more, not {self.jobs}")
        if self.page_timeout < 0:
            raise UsageError(f"--page-timeout must be 0 or more, not {self.page_timeout:g}")
