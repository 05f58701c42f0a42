"""Parser of DeepSeek-OCR's grounded text: layout labels and boxes, each followed by its content.

    <|ref|>title<|/ref|><|det|>[[61, 50, 938, 97]]<|/det|>
    # Text of the title

Coordinates are integers from 0 to 999 relative to the page, origin at the top left. Generated text
is matched by regular expressions, never evaluated; malformed boxes are dropped with a warning.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from ocrtool.document.tree import Box

MAX_COORDINATE = 999
"""Coordinate of the right and lower page edges."""
_MARK = re.compile(
    r"<\|ref\|>(?P<label>.*?)<\|/ref\|>\s*<\|det\|>(?P<boxes>.*?)<\|/det\|>", re.DOTALL
)
_NUMBER = r"\s*\d{1,3}\s*"
_BOX = re.compile(rf"\[({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})\]")
_BOXES = re.compile(rf"\s*\[\s*{_BOX.pattern}(?:\s*,\s*{_BOX.pattern})*\s*\]\s*")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GroundedPiece:
    """A layout label with its boxes and content.

    Attributes:
        label: Layout label of the model; empty for text before the first label.
        boxes: Boxes of the content in pixels.
        text: Content: the text up to the next label.
        start: Index of the content in the whole text.
    """

    label: str
    boxes: tuple[Box, ...]
    text: str
    start: int


def grounded_pieces(text: str, width: int, height: int) -> Iterator[GroundedPiece]:
    """Yield the labelled pieces of a grounded text.

    Args:
        text: Generated text.
        width: Width of the page in pixels.
        height: Height of the page in pixels.
    """
    marks = list(_MARK.finditer(text))
    first = marks[0].start() if marks else len(text)
    if text[:first].strip():
        yield GroundedPiece("", (), text[:first], 0)
    for i, mark in enumerate(marks):
        end = marks[i + 1].start() if i + 1 < len(marks) else len(text)
        boxes = tuple(parse_boxes(mark["boxes"], width, height))
        yield GroundedPiece(mark["label"].strip(), boxes, text[mark.end() : end], mark.end())


def parse_boxes(text: str, width: int, height: int) -> Iterator[Box]:
    """Yield the boxes of a list such as ``[[1, 2, 3, 4]]``; nothing if it is malformed."""
    if _BOXES.fullmatch(text) is None:
        logger.warning("a malformed list of boxes was dropped: %.60s", text)
        return
    for match in _BOX.finditer(text):
        x0, y0, x1, y1 = (int(part) for part in match.groups())
        if x0 >= x1 or y0 >= y1:
            logger.warning("an empty box was dropped: %s", match[0])
            continue
        across, down = width / MAX_COORDINATE, height / MAX_COORDINATE
        yield Box(x0 * across, y0 * down, x1 * across, y1 * down)


# --------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class HtmlCell:
    """Cell of an HTML table; rows and columns count from 0."""

    row: int
    column: int
    row_span: int
    column_span: int
    text: str
    header: bool


MAX_SPAN = 200
"""Maximum number of rows or columns that a cell may span."""


class _Table(HTMLParser):
    """Collects table cells; malformed HTML is read as far as possible."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.cells: list[HtmlCell] = []
        self._taken: set[tuple[int, int]] = set()
        self._row = -1
        self._open: tuple[bool, int, int] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Begin a row or a cell."""
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
        """Collect the text of a cell."""
        if self._open is not None:
            self._text.append(data)

    def close(self) -> None:
        """End the open cell."""
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
    return min(MAX_SPAN, max(1, int(text))) if text is not None and text.isdigit() else 1


def html_cells(text: str) -> list[HtmlCell]:
    """Return the cells of an HTML table; an empty list without a table."""
    parser = _Table()
    parser.feed(text)
    parser.close()
    return parser.cells
