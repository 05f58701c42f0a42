"""Page columns recognised by their prose, whatever tables they contain.

A gutter between cells may separate columns of the page or of a table. With lines of prose of one
width on both sides, and nothing across it, it separates columns of the page.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes
from ocrtool.reading_order.columns import MIN_GUTTER, Index, in_rows

MIN_WORDS = 5
"""Minimum number of words of a line of prose."""
MIN_LENGTH = 11.0
"""Minimum length of a line of prose, in line heights."""
LINES = 3
"""Minimum number of lines of prose in a column."""
MAX_WIDTH_DIFFERENCE = 0.2
"""Maximum difference of the widths of two columns, relative to the wider one."""


def page_columns(boxes: Boxes, texts: Sequence[str], height: float) -> list[list[int]]:
    """Split a page where columns of prose start and end.

    Args:
        boxes: (N, 4) boxes of lines, pictures and tables, in pixels.
        texts: Their texts.
        height: Common line height in pixels.

    Returns:
        Indices of the parts in reading order; a single part if there are no columns of prose.
    """
    prose = _prose(boxes, texts, height)
    return [part.tolist() for part in _parted(boxes, prose, np.arange(len(boxes)), height)]


def gutter_of(
    boxes: Boxes, texts: Sequence[str], height: float
) -> tuple[float, float, float] | None:
    """Return position, top and bottom of the longest gutter between columns of prose, in pixels.

    Args:
        boxes: (N, 4) boxes of lines, pictures and tables, in pixels.
        texts: Their texts.
        height: Common line height in pixels.
    """
    return _gutter(boxes, _prose(boxes, texts, height), height) if len(boxes) else None


def is_prose_line(text: str, width: float, height: float) -> bool:
    """Tell whether a line is long enough for prose; width and height in pixels."""
    return len(text.split()) >= MIN_WORDS and width > MIN_LENGTH * height


def _prose(boxes: Boxes, texts: Sequence[str], height: float) -> NDArray[np.bool_]:
    widths = (boxes[:, 2] - boxes[:, 0]).tolist()
    flags = [is_prose_line(text, width, height) for text, width in zip(texts, widths, strict=True)]
    return np.array(flags, np.bool_)


def _parted(boxes: Boxes, prose: NDArray[np.bool_], chosen: Index, height: float) -> list[Index]:
    found = _gutter(boxes[chosen], prose[chosen], height)
    if found is None:
        return [chosen]
    place, top, foot = found
    own = boxes[chosen]
    middles = (own[:, 1] + own[:, 3]) / 2
    beside = (middles > top) & (middles < foot)
    left = beside & (own[:, 2] <= place)
    parts = [middles <= top, left, beside & ~left, middles >= foot]
    return [
        part
        for flags in parts
        if flags.any()
        for part in _parted(boxes, prose, chosen[flags], height)
    ]


def _gutter(
    boxes: Boxes, prose: NDArray[np.bool_], height: float
) -> tuple[float, float, float] | None:
    """Return position, top and bottom of the longest gutter; ``prose`` are (N,) flags."""
    columns = _columns(boxes[prose], height)
    best, found = 0.0, None
    for i, begun in enumerate(columns):
        for right in columns[i + 1 :]:
            b = float(right[:, 0].min())
            left = begun[begun[:, 2] < b]  # a title over both columns may be left-aligned
            if len(left) < LINES:
                continue
            a = float(left[:, 2].max())
            widths = sorted((a - left[:, 0].min(), right[:, 2].max() - b))
            if b - a < MIN_GUTTER * height or widths[0] < (1 - MAX_WIDTH_DIFFERENCE) * widths[1]:
                continue
            place = (a + b) / 2
            across = (boxes[:, 0] < place) & (boxes[:, 2] > place)
            crossed = boxes[across]
            if _is_flanked(crossed, boxes[prose & ~across]):
                continue  # a caption or picture with text beside it
            for low, high in _between(crossed):
                sides = [s[(s[:, 1] > low - 1) & (s[:, 3] < high + 1)] for s in (left, right)]
                if min(map(len, sides)) < LINES:
                    continue
                tops = [float(side[:, 1].min()) for side in sides]
                feet = [float(side[:, 3].max()) for side in sides]
                first, last = min(tops), max(feet)
                if min(feet) <= max(tops) or last - first <= best:
                    continue
                top, foot = _reach(boxes, first, last, low, high, height)
                around = boxes[(boxes[:, 1] > top) & (boxes[:, 3] < foot)]
                is_left = around[:, 2] <= place
                if not in_rows(around[is_left], around[~is_left], height):
                    best, found = last - first, (place, top, foot)
    return found


def _is_flanked(crossed: Boxes, lines: Boxes) -> bool:
    """Tell whether any line is beside one of some boxes."""
    top = np.maximum(crossed[:, None, 1], lines[:, 1])
    foot = np.minimum(crossed[:, None, 3], lines[:, 3])
    return bool((foot - top > 0.5 * (lines[:, 3] - lines[:, 1])).any())


def _between(crossed: Boxes) -> list[tuple[float, float]]:
    """Return top and bottom of the vertical gaps between boxes."""
    found, low = [], -np.inf
    for _, top, _, foot in crossed[np.argsort(crossed[:, 1], kind="stable")].tolist():
        if top > low:
            found.append((low, top))
        low = max(low, foot)
    return [*found, (low, np.inf)]


def _columns(boxes: Boxes, height: float) -> list[Boxes]:
    """Group left-aligned lines of prose, from left to right."""
    found: list[Boxes] = []
    order = np.argsort(boxes[:, 0], kind="stable")
    start = 0
    for k in range(1, len(order) + 1):
        if k == len(order) or boxes[order[k], 0] - boxes[order[k - 1], 0] > 0.5 * height:
            if k - start >= LINES:
                found.append(boxes[order[start:k]])
            start = k
    return found


def _reach(
    boxes: Boxes, first: float, last: float, low: float, high: float, height: float
) -> tuple[float, float]:
    """Return top and bottom of columns: of the prose and what is close to it."""
    top, foot = first - 1, last + 1
    for _ in range(len(boxes)):
        near = (boxes[:, 3] > top - 1.5 * height) & (boxes[:, 1] < top) & (boxes[:, 1] > low)
        more = (boxes[:, 1] < foot + 1.5 * height) & (boxes[:, 3] > foot) & (boxes[:, 3] < high)
        if not near.any() and not more.any():
            break
        top = min(top, float(boxes[near, 1].min()) - 1) if near.any() else top
        foot = max(foot, float(boxes[more, 3].max()) + 1) if more.any() else foot
    return top, foot
