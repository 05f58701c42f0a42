"""Text rows of a page: lines side by side, and measures of their type."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.patterns import ITEM_MARK
from ocrtool.document.tree import Line
from ocrtool.reading_order.columns import middle
from ocrtool.reading_order.line_pieces import style
from ocrtool.reading_order.xy_cut import line_height, rows

MIN_CELL_GAP = 1.1
"""Minimum space between cells of a row, in line heights."""
MIN_BODY_SHARE = 0.6
"""Minimum share of the characters of a page in the style of its body text."""
TALL = re.compile(r"[A-Z0-9bdfhklt\u00c0-\u00de()\[\]/|]")
DEEP = re.compile(r"[gjpqy,;()\[\]/|]")


@dataclass(frozen=True)
class Metrics:
    """Measures of the body text of a page.

    Attributes:
        height: Common line height in pixels.
        advance: Median width of a character in pixels.
        size: Median type size in pixels; see `type_size`.
        bold: Whether the body text is bold.
        mono: Whether the body text is monospaced.
    """

    height: float
    advance: float
    size: float
    bold: bool = False
    mono: bool = False


@dataclass(frozen=True)
class TextRow:
    """Lines side by side.

    Attributes:
        lines: From left to right.
        boxes: (N, 4) boxes of the lines on the deskewed page, in pixels.
    """

    lines: tuple[Line, ...]
    boxes: NDArray[np.float32]

    @property
    def x0(self) -> float:
        """Left edge."""
        return float(self.boxes[:, 0].min())

    @property
    def x1(self) -> float:
        """Right edge."""
        return float(self.boxes[:, 2].max())

    @property
    def y0(self) -> float:
        """Top edge."""
        return float(self.boxes[:, 1].min())

    @property
    def y1(self) -> float:
        """Bottom edge."""
        return float(self.boxes[:, 3].max())

    @property
    def text(self) -> str:
        """Texts of the lines, joined by spaces."""
        return " ".join(line.text for line in self.lines)

    @property
    def exact(self) -> bool:
        """Whether positions and type sizes are those of a PDF and not estimates."""
        return self.lines[0].size > 0

    @property
    def worded(self) -> bool:
        """Whether the positions of its words are known."""
        return self.exact or all(line.words for line in self.lines)

    def set_in(self, name: str) -> bool:
        """Tell whether it is ``bold``, ``italic`` or ``mono``, except for a few characters."""
        return self.exact and all(style(line, name) > 0.8 for line in self.lines)

    def spread(self, height: float) -> str:
        """Return its text with three spaces between cells; ``height`` as for `cells`."""
        return "   ".join(cell.text for cell in self.cells(height))

    def cells(self, height: float) -> list[TextRow]:
        """Split the row at wide spaces, except after the mark of a list item.

        Args:
            height: Common line height in pixels.
        """
        parts: list[list[int]] = [[0]]
        for i in range(1, len(self.lines)):
            gap = self.boxes[i, 0] - self.boxes[i - 1, 2]
            sign = i == 1 and ITEM_MARK.fullmatch(self.lines[0].text) and gap < 4 * height
            if gap > MIN_CELL_GAP * height and not sign:
                parts.append([i])
            else:
                parts[-1].append(i)
        return [TextRow(tuple(self.lines[i] for i in part), self.boxes[part]) for part in parts]


def rows_of(
    lines: Sequence[Line], boxes: NDArray[np.float32], chosen: Sequence[int]
) -> list[TextRow]:
    """Group lines into rows, from top to bottom.

    Args:
        lines: All lines.
        boxes: (N, 4) boxes of the lines on the deskewed page.
        chosen: Indices of the lines to group.
    """
    found = rows(boxes, np.array(chosen, np.intp), line_height(boxes[list(chosen)]))
    return [TextRow(tuple(lines[i] for i in row), boxes[row]) for row in found]


def metrics_of(lines: Sequence[Line], boxes: NDArray[np.float32]) -> Metrics:
    """Measure the body text of a page; lines are weighted by their length."""
    letters = np.array([len(line.text) for line in lines])
    widths = (boxes[:, 2] - boxes[:, 0]) / np.maximum(letters, 1)
    sizes = np.array(
        [line.size or type_size(line.text, box) for line, box in zip(lines, boxes, strict=True)]
    )
    repeats = np.minimum(letters, 80) // 4 + 1
    styled = [line for line in lines if line.spans]
    return Metrics(
        line_height(boxes),
        max(1.0, middle(np.repeat(widths, repeats))),
        max(1.0, middle(np.repeat(sizes, repeats))),
        *(
            sum(style(line, name) * len(line.text) for line in styled)
            > MIN_BODY_SHARE * letters.sum()
            for name in ("bold", "mono")
        ),
    )


def type_size(text: str, box: NDArray[np.float32]) -> float:
    """Estimate the type size of a line in pixels from its height and its width.

    The height of the ink depends on which letters there are, the width on their number. Each
    estimate may be off by a fifth, their geometric mean rarely is.
    """
    height = float(box[3] - box[1])
    letters = len(text)
    tall = 0.7 if TALL.search(text) else 0.5
    by_height = height / (tall + (0.2 if DEEP.search(text) else 0.02))
    # Boxes with a margin round the ink have one height whatever the letters.
    by_height = 0.5 * by_height + 0.5 * height / 0.9
    if letters < 6:
        return by_height
    capitals = sum(c.isupper() or c.isdigit() for c in text) / letters
    by_width = float(box[2] - box[0]) / letters / (0.45 + 0.17 * capitals)
    return math.sqrt(by_height * by_width)


def row_size(row: TextRow) -> float:
    """Return the type size of the longest line of a row, in pixels."""
    i = max(range(len(row.lines)), key=lambda i: len(row.lines[i].text))
    return row.lines[i].size or type_size(row.lines[i].text, row.boxes[i])
