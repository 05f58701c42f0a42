"""Splitting of lines that were detected across the gutter between two columns.

Between narrow columns the gutter may be hardly wider than the spaces of a justified line. Unlike a
space, it continues through the lines above and below.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, straight_boxes
from ocrtool.document.tree import Line
from ocrtool.reading_order.columns import row_sizes
from ocrtool.reading_order.line_pieces import cut
from ocrtool.reading_order.xy_cut import line_height

SPACES = (0.75, 3.0)
"""Minimum and maximum width of a space at which a line may be split, in line heights; a line with a
wider space is a row of cells."""
MIN_SPACE_RATIO = 1.4
"""Minimum ratio of such a space to the median of the other spaces of the line."""
MIN_GUTTER = 0.6
"""Minimum width of the white strip that continues above or below, in line heights."""
MIN_LINES = 4
"""Minimum number of lines that start right of the strip, and that end left of it."""
MIN_LENGTH = 5.0
"""Minimum median length of those lines on either side, in line heights; shorter ones may be cells.
If a part of the line itself is shorter, twice as many lines are required."""
MAX_DISTANCE = 2.5
"""Maximum distance from the strip to the start of those lines, in line heights."""


@dataclass(frozen=True)
class _Words:
    """The M words of a page; a piece is a part of a line without a wide space.

    Attributes:
        boxes: (M, 4) upright boxes.
        first: (M,) whether the word starts a piece.
        last: (M,) whether it ends one.
        length: (M,) length of its piece, in pixels.
        height: Common line height in pixels.
    """

    boxes: Boxes
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    length: NDArray[np.float32]
    height: float


def split_lines(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of an upright page, those across a gutter split into their parts."""
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
    wide = spaces > SPACES[0] * heights
    # A word beside a wide space may start or end a line of a column.
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
            rows = MIN_LINES if min(left, right) > MIN_LENGTH * words.height else 2 * MIN_LINES
            if MIN_SPACE_RATIO * usual < space < SPACES[1] * heights[start + k] and _is_gutter(
                words, start + k, rows
            ):
                cuts.append(k + 1)
        places = itertools.pairwise((0, *cuts, len(line.words)))
        parted += [cut(line, start, end) for start, end in places]
    return parted


def _is_gutter(words: _Words, index: int, rows: int) -> bool:
    """Tell whether the space after a word continues through the lines above or below.

    Args:
        words: All words of the page.
        index: Index of the word before the space.
        rows: Minimum number of lines on either side of the gutter.
    """
    boxes, height = words.boxes, words.height
    left, right = float(boxes[index, 2]), float(boxes[index + 1, 0])
    top, foot = float(boxes[index, 1]), float(boxes[index, 3])
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    core = MIN_GUTTER * height
    # The left edge of a column is straighter than the right one, so it is tried first.
    for x0 in (right - core - 0.1 * height, (left + right - core) / 2, left + 0.1 * height):
        x1 = x0 + core
        inside = (boxes[:, 0] < x1) & (boxes[:, 2] > x0)
        above, below = middles[inside & (middles < top)], middles[inside & (middles > foot)]
        high = above.max() if len(above) else -np.inf
        low = below.min() if len(below) else np.inf
        beside = (middles > high) & (middles < low)
        on_right = beside & words.first & (boxes[:, 0] >= x1 - 0.2 * height)
        on_right &= boxes[:, 0] < x1 + MAX_DISTANCE * height
        on_left = beside & words.last & (boxes[:, 2] <= x0 + 0.2 * height)
        if all(
            side.any()
            and len(row_sizes(middles[side], height)) >= rows
            and np.median(words.length[side]) >= MIN_LENGTH * height
            for side in (on_left, on_right)
        ):
            return True
    return False
