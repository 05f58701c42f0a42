"""Grounded text of DeepSeek-OCR: labels, boxes and what stands in them, parsed by a strict grammar.

    <|ref|>title<|/ref|><|det|>[[61, 50, 938, 97]]<|/det|>
    # What it says

Coordinates are whole numbers from 0 to 999, of the page as it was given. What a model writes is
never evaluated; a box that is none is dropped, and told.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from ocrtool.document.tree import Box

SCALE = 999
_MARK = re.compile(
    r"<\|ref\|>(?P<label>.*?)<\|/ref\|>\s*<\|det\|>(?P<boxes>.*?)<\|/det\|>", re.DOTALL
)
_NUMBER = r"\s*\d{1,3}\s*"
_BOX = re.compile(rf"\[({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})\]")
_BOXES = re.compile(rf"\s*\[\s*{_BOX.pattern}(?:\s*,\s*{_BOX.pattern})*\s*\]\s*")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Grounded:
    """A piece of grounded text.

    Attributes:
        label: What it is, as the model calls it; empty before the first mark.
        boxes: Where it stands, in pixels.
        text: What follows the mark.
        start: Where that begins in the whole text.
    """

    label: str
    boxes: tuple[Box, ...]
    text: str
    start: int


def grounded(text: str, width: int, height: int) -> Iterator[Grounded]:
    """Return the pieces of a text.

    Args:
        text: As the model wrote it.
        width: Of the page, in pixels.
        height: Of the page.
    """
    marks = list(_MARK.finditer(text))
    first = marks[0].start() if marks else len(text)
    if text[:first].strip():
        yield Grounded("", (), text[:first], 0)
    for i, mark in enumerate(marks):
        end = marks[i + 1].start() if i + 1 < len(marks) else len(text)
        boxes = tuple(boxes_of(mark["boxes"], width, height))
        yield Grounded(mark["label"].strip(), boxes, text[mark.end() : end], mark.end())


def boxes_of(text: str, width: int, height: int) -> Iterator[Box]:
    """Return the boxes of a list such as ``[[1, 2, 3, 4]]``; of what is none, nothing."""
    if _BOXES.fullmatch(text) is None:
        logger.warning("a list of boxes is none and was dropped: %.60s", text)
        return
    for match in _BOX.finditer(text):
        x0, y0, x1, y1 = (int(part) for part in match.groups())
        if x0 >= x1 or y0 >= y1:
            logger.warning("a box without extent was dropped: %s", match[0])
            continue
        across, down = width / SCALE, height / SCALE
        yield Box(x0 * across, y0 * down, x1 * across, y1 * down)


# --------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class HtmlCell:
    """A cell of a table in HTML; rows and columns count from 0."""

    row: int
    column: int
    row_span: int
    column_span: int
    text: str
    header: bool


MOST_SPAN = 200


class _Table(HTMLParser):
    """Collects the cells of the first table; what is malformed is read as far as it goes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.cells: list[HtmlCell] = []
        self._taken: set[tuple[int, int]] = set()
        self._row = -1
        self._open: tuple[bool, int, int] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Begin a row or cell."""
        if tag == "tr":
            self._close()
            self._row += 1
        elif tag in ("td", "th"):
            self._close()
            self._row = max(0, self._row)
            given = dict(attributes)
            spans = (_span(given.get(name)) for name in ("rowspan", "colspan"))
            self._open = (tag == "th", *spans)  # type: ignore[assignment]
        elif tag == "br":
            self._text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """End a cell."""
        if tag in ("td", "th", "tr", "table"):
            self._close()

    def handle_data(self, data: str) -> None:
        """Note what a cell says."""
        if self._open is not None:
            self._text.append(data)

    def close(self) -> None:
        """End what is open."""
        super().close()
        self._close()

    def _close(self) -> None:
        if self._open is None:
            return
        header, down, across = self._open
        column = 0
        while (self._row, column) in self._taken:
            column += 1
        places = ((self._row + i, column + j) for i in range(down) for j in range(across))
        self._taken.update(places)
        text = "".join(self._text).strip()
        self.cells.append(HtmlCell(self._row, column, down, across, text, header))
        self._open, self._text = None, []


def _span(text: str | None) -> int:
    return min(MOST_SPAN, max(1, int(text))) if text is not None and text.isdigit() else 1


def html_cells(text: str) -> list[HtmlCell]:
    """Return the cells of a table in HTML; none where there is none."""
    parser = _Table()
    parser.feed(text)
    parser.close()
    return parser.cells
