"""What writers take: pages one by one, each with what it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ocrtool.document.tree import Page
from ocrtool.inputs.page_source import PageSource

if TYPE_CHECKING:
    from ocrtool.pdf import PdfFile


@dataclass(frozen=True, eq=False)
class PageInput:
    """A page on its way to the writers.

    Attributes:
        source: Name of the input: a path, or ``-``.
        page: What was read.
        picture: What it was read from. An HTML page shows it beside the text; a PDF needs it where
            there is no ``original``.
        metadata: Of the document, where they are known; those of its first sheet count.
        pictures: Content of the image files that figures were cut out to, by ``Block.image``;
            needed where they become part of the output.
        count: Pages of the document, 0 where that is not known.
        original: The PDF, still open, whose page ``Page.number`` it is. Lines of known size of type
            are its own text; the others were read, and a PDF that is written gets them.
    """

    source: str
    page: Page
    picture: PageSource | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    count: int = 0
    original: PdfFile | None = None


class PageWriter(Protocol):
    """Writes one output; holds no more than a page at a time, and what goes on over pages."""

    def add(self, sheet: PageInput) -> None:
        """Write the next page."""

    def finish(self) -> None:
        """Write what comes after the last page. Without it the output is not complete."""
