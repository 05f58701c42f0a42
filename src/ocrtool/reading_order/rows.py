"""Rows of a page: what stands side by side on one line, with what is needed to judge it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.tree import Line
from ocrtool.reading_order.columns import middle
from ocrtool.reading_order.line_pieces import style
from ocrtool.reading_order.patterns import BULLETS
from ocrtool.reading_order.xy_cut import line_height, rows

WIDE_GAP = 1.1
"""Space between pieces of a row, in heights of a line, from which they are cells."""
MARKER = re.compile(
    rf"(?:[{re.escape(BULLETS)}]|\(?\d{{1,3}}[.)]|\(?[a-zA-Z][.)]|\(?[ivxIVX]{{1,5}}[.)]|\[\d+\])"
)
"""What the items of a list begin with."""
MOSTLY = 0.6
"""Share of the letters of a page from which a style is that of its text."""
TALL = re.compile(r"[A-Z0-9bdfhklt\u00c0-\u00de()\[\]/|]")
DEEP = re.compile(r"[gjpqy,;()\[\]/|]")


@dataclass(frozen=True)
class Metrics:
    """What is common on a page.

    Attributes:
        height: Height of a line in pixels.
        advance: Width of a character in pixels.
        size: Size of type in pixels, as `type_size` measures it.
        bold: Most of its text is set in bold type, which then tells nothing.
        mono: Most of it is set in type of one width.
    """

    height: float
    advance: float
    size: float
    bold: bool = False
    mono: bool = False


@dataclass(frozen=True)
class TextRow:
    """Pieces side by side.

    Attributes:
        lines: From left to right.
        boxes: (N, 4) x0, y0, x1, y1 of each on the straightened page, in pixels.
    """

    lines: tuple[Line, ...]
    boxes: NDArray[np.float32]

    @property
    def x0(self) -> float:
        """Where it begins."""
        return float(self.boxes[:, 0].min())

    @property
    def x1(self) -> float:
        """Where it ends."""
        return float(self.boxes[:, 2].max())

    @property
    def y0(self) -> float:
        """Its head."""
        return float(self.boxes[:, 1].min())

    @property
    def y1(self) -> float:
        """Its foot."""
        return float(self.boxes[:, 3].max())

    @property
    def text(self) -> str:
        """What it says, a space between pieces."""
        return " ".join(line.text for line in self.lines)

    @property
    def exact(self) -> bool:
        """Whether the file itself tells how it is set."""
        return self.lines[0].size > 0

    @property
    def worded(self) -> bool:
        """Whether the places of its words are known."""
        return self.exact or all(line.words for line in self.lines)

    def set_in(self, name: str) -> bool:
        """Tell whether all of it is set in ``bold``, ``italic`` or ``mono`` type.

        A sign or two may be of another font.
        """
        return self.exact and all(style(line, name) > 0.8 for line in self.lines)

    def spread(self, height: float) -> str:
        """Return what it says, more space where pieces stand far apart.

        Args:
            height: Common height of a line in pixels.
        """
        return "   ".join(cell.text for cell in self.cells(height))

    def cells(self, height: float) -> list[TextRow]:
        """Split it where the space is wider than between words or after the sign of an item.

        Args:
            height: Common height of a line in pixels.
        """
        parts: list[list[int]] = [[0]]
        for i in range(1, len(self.lines)):
            gap = self.boxes[i, 0] - self.boxes[i - 1, 2]
            sign = i == 1 and MARKER.fullmatch(self.lines[0].text) and gap < 4 * height
            if gap > WIDE_GAP * height and not sign:
                parts.append([i])
            else:
                parts[-1].append(i)
        return [TextRow(tuple(self.lines[i] for i in part), self.boxes[part]) for part in parts]


def rows_of(
    lines: Sequence[Line], boxes: NDArray[np.float32], chosen: Sequence[int]
) -> list[TextRow]:
    """Gather chosen lines into rows, from top to bottom.

    Args:
        lines: All lines.
        boxes: (N, 4) of them, on the straightened page.
        chosen: Indices.
    """
    found = rows(boxes, np.array(chosen, np.intp), line_height(boxes[list(chosen)]))
    return [TextRow(tuple(lines[i] for i in row), boxes[row]) for row in found]


def metrics_of(lines: Sequence[Line], boxes: NDArray[np.float32]) -> Metrics:
    """Measure what is common on a page; long lines count more, as there is more of them."""
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
            sum(style(line, name) * len(line.text) for line in styled) > MOSTLY * letters.sum()
            for name in ("bold", "mono")
        ),
    )


def type_size(text: str, box: NDArray[np.float32]) -> float:
    """Estimate the size of the type of a line in pixels, from its height and its width.

    How tall the box round the ink is depends on the letters in it, how wide on how many they are,
    so neither is trusted alone: each may be wrong by a fifth, their mean rarely is.
    """
    height = float(box[3] - box[1])
    letters = len(text)
    tall = 0.7 if TALL.search(text) else 0.5
    by_height = height / (tall + (0.2 if DEEP.search(text) else 0.02))
    # Boxes with room above and below the ink are equally high whatever the letters.
    by_height = 0.5 * by_height + 0.5 * height / 0.9
    if letters < 6:
        return by_height
    capitals = sum(c.isupper() or c.isdigit() for c in text) / letters
    by_width = float(box[2] - box[0]) / letters / (0.45 + 0.17 * capitals)
    return math.sqrt(by_height * by_width)


def row_size(row: TextRow) -> float:
    """Return the size of type of the longest piece of a row, in pixels."""
    i = max(range(len(row.lines)), key=lambda i: len(row.lines[i].text))
    return row.lines[i].size or type_size(row.lines[i].text, row.boxes[i])
