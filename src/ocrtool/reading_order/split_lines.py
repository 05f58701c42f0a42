"""Lines that were found across the gutter between two columns, parted at it.

Between narrow columns the gutter may be hardly wider than the spaces of a justified line, so a
line that is looked at alone cannot tell. Together they can: spaces end after a line, the gutter
runs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, straight_boxes
from ocrtool.document.tree import Line
from ocrtool.reading_order.xy_cut import line_height

WIDE = (0.75, 3.0)
"""Least and greatest space between words where a line may be parted, in heights of the line.
What was found as one line in spite of more white is a row."""
UNUSUAL = 1.4
"""Least such space, in median spaces of the line's other words."""
CORE = 0.6
"""Width of white that has to run past the lines above or below, in heights of a line."""
ROWS = 4
"""Lines that have to begin on its right, and others end on its left."""
LONG = 5.0
"""Least median length of those lines on either side, in heights: shorter ones may be cells. Where
a part of the line itself is shorter, twice as many lines are asked for."""
BESIDE = 2.5
"""How far from it they may begin, in heights of a line; how far others may end is not limited."""


@dataclass(frozen=True)
class _Words:
    """The words of a page, M of them, in pieces of lines without a wide space.

    Attributes:
        boxes: (M, 4) upright.
        first: (M,) whether a piece begins with it.
        last: (M,) whether one ends with it.
        length: (M,) of its piece, in pixels.
        height: Common height of a line in pixels.
    """

    boxes: Boxes
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    length: NDArray[np.float32]
    height: float


def part_lines(lines: Sequence[Line]) -> list[Line]:
    """Part the lines of an upright page that reach across a gutter.

    Args:
        lines: With their words.

    Returns:
        The same lines in the same order, the pieces of a parted one in its place.
    """
    counts = [len(line.words) for line in lines]
    if not lines or max(counts) < 2:
        return list(lines)
    boxes, _ = straight_boxes([word.quad for line in lines for word in line.words])
    ends = np.cumsum(counts)
    starts = ends - counts
    heights = boxes[:, 3] - boxes[:, 1]
    spaces = np.zeros(len(boxes), np.float32)  # after each word
    spaces[:-1] = np.maximum(boxes[1:, 0] - boxes[:-1, 2], 0)
    spaces[ends[ends > 0] - 1] = 0
    wide = spaces > WIDE[0] * heights
    # A word beside a wide space may begin or end a column's line as well as the line's own do.
    first, last = np.roll(wide, 1), wide.copy()
    first[starts[starts < len(boxes)]] = True
    last[ends[ends > 0] - 1] = True
    piece = np.cumsum(first) - 1
    length = (boxes[last, 2] - boxes[first, 0])[piece]
    words = _Words(boxes, first, last, length, line_height(boxes))
    parted: list[Line] = []
    for line, start, end in zip(lines, starts.tolist(), ends.tolist(), strict=True):
        cuts = []
        for k in np.flatnonzero(wide[start : max(start, end - 1)]).tolist():
            others = np.delete(spaces[start : end - 1], k)
            usual = float(np.median(others)) if len(others) else 0.0
            space = spaces[start + k]
            left = boxes[start + k, 2] - boxes[start, 0]
            right = boxes[end - 1, 2] - boxes[start + k + 1, 0]
            rows = ROWS if min(left, right) > LONG * words.height else 2 * ROWS
            if UNUSUAL * usual < space < WIDE[1] * heights[start + k] and _is_gutter(
                words, start + k, rows
            ):
                cuts.append(k + 1)
        parted += _pieces(line, cuts)
    return parted


def _is_gutter(words: _Words, index: int, rows: int) -> bool:
    """Tell whether the space after a word runs on past the lines above or below it.

    Args:
        words: All of the page.
        index: Of the word before the space.
        rows: Lines that have to stand on either side of the gutter.
    """
    boxes, height = words.boxes, words.height
    left, right = float(boxes[index, 2]), float(boxes[index + 1, 0])
    top, foot = float(boxes[index, 1]), float(boxes[index, 3])
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    core = CORE * height
    # A right column's edge is straighter than a left one's, so that side is tried first.
    for x0 in (right - core - 0.1 * height, (left + right - core) / 2, left + 0.1 * height):
        x1 = x0 + core
        inside = (boxes[:, 0] < x1) & (boxes[:, 2] > x0)
        above, below = middles[inside & (middles < top)], middles[inside & (middles > foot)]
        high = above.max() if len(above) else -np.inf
        low = below.min() if len(below) else np.inf
        beside = (middles > high) & (middles < low)
        on_right = beside & words.first & (boxes[:, 0] >= x1 - 0.2 * height)
        on_right &= boxes[:, 0] < x1 + BESIDE * height
        on_left = beside & words.last & (boxes[:, 2] <= x0 + 0.2 * height)
        if all(
            _rows(middles[side], height) >= rows and np.median(words.length[side]) >= LONG * height
            for side in (on_left, on_right)
        ):
            return True
    return False


def _rows(middles: NDArray[np.floating], height: float) -> int:
    """Count the rows that words with these middles stand in."""
    return 1 + int((np.diff(np.sort(middles)) > 0.5 * height).sum()) if len(middles) else 0


def _pieces(line: Line, cuts: Sequence[int]) -> list[Line]:
    """Cut a line before the words of these numbers."""
    if not cuts:
        return [line]
    letters = max(1, sum(len(word.text) for word in line.words))
    pieces = []
    for a, b in zip((0, *cuts), (*cuts, len(line.words)), strict=True):
        words = line.words[a:b]
        share = sum(len(word.text) for word in words) / letters
        first, last = words[0].quad, words[-1].quad
        pieces.append(
            Line(
                " ".join(word.text for word in words),
                line.confidence**share,
                (first[0], last[1], last[2], first[3]),
                words,
                reader=line.reader,
            )
        )
    return pieces
