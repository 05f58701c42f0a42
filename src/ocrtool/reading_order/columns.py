"""Whether a white gutter parts columns of text or the cells of rows.

The same shape parts two columns of prose, which are read one after the other, and the labels and
amounts of a receipt, which are read row by row; so evidence is added up: how long the lines are,
whether they stand in rows, how they are aligned, and what they say.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes
from ocrtool.reading_order.patterns import AMOUNT, BULLETS

Index = NDArray[np.intp]

GUTTER = 0.7
"""Least width of a gutter beside most lines, in heights of a line."""
BANDS = 4
"""Rows of wrapped cells from which the white between them is no chance."""
TOGETHER = 0.3
"""How far the heads of cells side by side lie apart, in heights of a line, at most."""


@dataclass(frozen=True)
class Signs:
    """What the lines say that tells rows from columns: (N,) flags each.

    Attributes:
        known: There is a text.
        amount: It is a number.
        listed: It begins with a bullet.
        running: It begins with a small letter, as most lines of a long sentence do.
        label: It ends with a colon.
        value: It begins with one.
    """

    known: NDArray[np.bool_]
    amount: NDArray[np.bool_]
    listed: NDArray[np.bool_]
    running: NDArray[np.bool_]
    label: NDArray[np.bool_]
    value: NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Signs:
        """Look at the text of every line, which may be empty."""
        said = [text.strip() for text in texts]
        flags = [
            [bool(text) for text in said],
            [AMOUNT.fullmatch(text) is not None for text in said],
            [text[:1] in BULLETS for text in said],
            [text.lstrip("([«\"' ")[:1].islower() for text in said],
            [text.endswith(":") for text in said],
            [text.startswith(":") for text in said],
        ]
        return cls(*(np.array(flag, np.bool_) for flag in flags))


@dataclass(frozen=True)
class Lines:
    """The lines of a page.

    Attributes:
        boxes: (N, 4) x0, y0, x1, y1 in pixels, origin top left.
        height: Common height of a line in pixels.
        page: Height of the page in pixels.
        signs: What the lines say.
        rules: (M, 4) upright rules.
    """

    boxes: Boxes
    height: float
    page: float
    signs: Signs
    rules: Boxes


def middle(values: NDArray[np.floating]) -> float:
    """Return the median (the upper one of two), many times faster than NumPy's for short arrays."""
    half = len(values) // 2
    return float(np.partition(values, half)[half])


def are_columns(page: Lines, left: Index, right: Index) -> bool:
    """Judge whether two sides of a gutter are read one after the other, or row by row.

    Args:
        page: The lines.
        left: Indices of the lines on the left of the gutter.
        right: Indices of those on its right.
    """
    height = page.height
    one, two = page.boxes[left], page.boxes[right]
    near_left = left[_nearest(one, from_right=True)]
    near_right = right[_nearest(two, from_right=False)]
    a, b = page.boxes[near_left], page.boxes[near_right]
    gutter = float(two[:, 0].min() - one[:, 2].max())
    fewer = min(len(a), len(b))
    # Beside few lines, only a wide gutter is more than a chance space between words.
    least = 2.0 if fewer < 3 else 1.2 if fewer < 5 else 0.0
    if middle(b[:, 0]) - middle(a[:, 2]) < GUTTER * height or gutter < least * height:
        return False
    aligned, pairs = _aligned(a, b, height)
    long = [middle(s[:, 2] - s[:, 0]) / height for s in (a, b)]
    heights = np.sort(np.concatenate((a[:, 3] - a[:, 1], b[:, 3] - b[:, 1])))
    tall = float(heights[int(0.9 * (len(heights) - 1))])
    pitches = [_pitch(s, max(height, tall)) for s in (a, b)]
    score = 0.0
    # Lines that are long are prose; short ones are cells.
    score += 2.0 * (min(long) >= 9) + 1.0 * (min(long) >= 14) - 1.0 * (min(long) < 4.5)
    score -= 1.0 * (min(long) < 3)
    # Rows of a table stand on one line; those of two columns only by chance or on a grid.
    score += (2.0 if aligned < 0.7 else 1.0 if aligned < 0.86 else -0.5) * (fewer > 2)
    # A paragraph fills its column, a label ends where it ends.
    width = max(1.0, float(b[:, 0].min() - a[:, 0].min()))
    fill = float(np.mean((a[:, 2] - a[:, 0].min()) / width))
    score += -1.0 if fill < 0.55 else 0.5 if fill > 0.75 else 0.0
    # Lines set tight on both sides are text; loose ones are rows.
    score += 1.0 * (max(pitches) < 1.9) + 1.0 * (max(pitches) < 1.75) - 1.0 * (min(pitches) > 2.4)
    score -= 2.0 * _flush_right(b, height)
    score -= 4.0 * (_edgeless(a, height) or _edgeless(b, height))
    score -= 6.0 * in_rows(one, two, height)
    score += _said(page.signs, near_left, near_right, pairs)
    score += 2.0 * _ruled(page.rules, a, b)
    score -= 1.5 * (_cells_a_row(one, two, height) >= 3.5 and min(long) < 9)
    # One or two lines beside many: a note where the others are a paragraph, else a cell.
    if fewer < 3:
        many, pitch = (b, pitches[1]) if len(a) < len(b) else (a, pitches[0])
        prose = middle(many[:, 2] - many[:, 0]) / height >= 14 and pitch < 2.2
        ends = fill > 0.8 if len(b) < len(a) else min(long) > 2.5
        score += 1.5 if prose and ends and len(many) >= 3 else -1.0 if len(many) < 4 else -2.0
    return score > 0


def in_rows(one: Boxes, two: Boxes, height: float) -> bool:
    """Tell whether the sides of a gutter are wrapped cells that begin side by side.

    Columns of prose have their paragraphs end each for itself; the white between the rows of a
    table runs on through all its columns, and below it all of them begin again.

    Args:
        one: (N, 4) of the lines on the left, in pixels.
        two: (M, 4) of those on the right.
        height: Common height of a line in pixels.
    """
    top = max(float(one[:, 1].min()), float(two[:, 1].min())) - TOGETHER * height
    foot = min(float(one[:, 3].max()), float(two[:, 3].max()))
    sides = [side[(side[:, 3] > top) & (side[:, 1] < foot)] for side in (one, two)]
    if min(map(len, sides)) < BANDS:
        return False
    both = np.concatenate(sides)
    right = np.arange(len(both)) >= len(sides[0])
    order = np.argsort(both[:, 1], kind="stable")
    both, right = both[order], right[order]
    gaps = both[1:, 1] - np.maximum.accumulate(both[:, 3])[:-1]
    white = gaps[gaps > -0.3 * height]  # lines of one row are no neighbours
    if len(white) < BANDS:
        return False
    # The white within cells is the least; that between rows is plainly more.
    usual = float(np.quantile(white, 0.25))
    starts = np.flatnonzero(gaps > usual + 0.3 * height) + 1
    bands = np.split(np.arange(len(both)), starts)
    begin, wrapped, uneven = 0, 0, 0
    for band in bands:
        heads = [both[band[right[band] == side], 1] for side in (False, True)]
        if all(map(len, heads)):
            begin += abs(float(heads[0].min()) - float(heads[1].min())) < TOGETHER * height
            counts = _rows(both[band, 1], height)
            wrapped += len(counts) > 1
            uneven += min(counts) < max(counts)
    together = begin >= BANDS and begin >= 0.8 * len(bands)
    # The stanzas of verse are even.
    return together and wrapped >= 0.5 * begin and uneven >= 0.3 * begin


def _rows(tops: NDArray[np.floating], height: float) -> list[int]:
    """Count the pieces of each row of text, which have these heads, from the top down."""
    starts = np.flatnonzero(np.diff(np.sort(tops)) > 0.5 * height) + 1
    bounds = [0, *starts.tolist(), len(tops)]
    return [b - a for a, b in itertools.pairwise(bounds)]


def _nearest(boxes: Boxes, from_right: bool) -> Index:
    """Return the boxes of a side that no other box parts from the gutter."""
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    beside = (boxes[None, :, 1] < middles[:, None]) & (middles[:, None] < boxes[None, :, 3])
    if from_right:
        hidden = beside & (boxes[None, :, 0] >= boxes[:, None, 2])
    else:
        hidden = beside & (boxes[None, :, 2] <= boxes[:, None, 0])
    return np.flatnonzero(~hidden.any(axis=1))


def _aligned(a: Boxes, b: Boxes, height: float) -> tuple[float, Index]:
    """Return the share of the fewer lines that have a row partner, and the pairs (P, 2)."""
    middle_a, middle_b = (a[:, 1] + a[:, 3]) / 2, (b[:, 1] + b[:, 3]) / 2
    offset = np.abs(middle_a[:, None] - middle_b[None, :])
    foot = np.abs(a[:, None, 3] - b[None, :, 3])
    offset = np.minimum(offset, foot)
    pairs = np.argwhere(offset < 0.3 * height)
    top = max(float(a[:, 1].min()), float(b[:, 1].min())) - 0.3 * height
    bottom = min(float(a[:, 3].max()), float(b[:, 3].max())) + 0.3 * height
    counts = [int(((s[:, 1] >= top) & (s[:, 3] <= bottom)).sum()) for s in (a, b)]
    return min(1.0, len(pairs) / max(1, min(counts))), pairs


def _pitch(boxes: Boxes, height: float) -> float:
    """Return the median distance of lines that follow each other, in heights; 9 for one line."""
    feet = np.sort(boxes[:, 3])
    steps = np.diff(feet)
    steps = steps[steps > 0.5 * height]
    return middle(steps) / height if len(steps) else 9.0


def _flush_right(boxes: Boxes, height: float) -> bool:
    """Tell whether lines end at one edge but begin anywhere, as amounts do."""
    if len(boxes) < 3:
        return False
    widths = boxes[:, 2] - boxes[:, 0]
    starts, ends = np.std(boxes[:, 0]), np.std(boxes[:, 2])
    return bool(ends < 0.35 * height and starts > 2.5 * ends + 0.2 * height
                and middle(widths) < 10 * height)  # fmt: skip


def _edgeless(boxes: Boxes, height: float) -> bool:
    """Tell whether lines have neither an edge nor an axis in common, so are no column."""
    if len(boxes) < 3:
        return False
    for places in (boxes[:, 0], boxes[:, 2], (boxes[:, 0] + boxes[:, 2]) / 2):
        if middle(np.abs(places - middle(places))) < 1.5 * height:
            return False
    return True


def _said(signs: Signs, left: Index, right: Index, pairs: Index) -> float:
    """Weigh what the lines say: above 0 for columns, below for rows."""
    left_known, right_known = left[signs.known[left]], right[signs.known[right]]
    if not len(left_known) or not len(right_known):
        return 0.0

    def shares(flag: NDArray[np.bool_]) -> tuple[float, float]:
        both = [float(flag[side].sum()) / len(side) for side in (left_known, right_known)]
        return min(both), max(both)

    amounts = shares(signs.amount)[1]
    score = -3.0 * float(amounts >= 0.6) - 1.0 * (amounts >= 0.3)
    score += 2.5 * (shares(signs.listed)[0] >= 0.4)
    labels = signs.label[left[pairs[:, 0]]] | signs.value[right[pairs[:, 1]]]
    score -= 3.0 * float(labels.sum() >= 0.4 * max(1, len(labels)))
    longer = min(len(left_known), len(right_known)) > 2
    return score + 2.5 * float(longer and shares(signs.running)[0] >= 0.4)


def _ruled(rules: Boxes, a: Boxes, b: Boxes) -> bool:
    """Tell whether an upright rule stands in the gutter."""
    top = max(float(a[:, 1].min()), float(b[:, 1].min()))
    foot = min(float(a[:, 3].max()), float(b[:, 3].max()))
    place = (rules[:, 0] + rules[:, 2]) / 2
    inside = (place > middle(a[:, 2])) & (place < middle(b[:, 0]))
    length = np.minimum(rules[:, 3], foot) - np.maximum(rules[:, 1], top)
    return bool((inside & (length > 0.6 * (foot - top))).any())


def _cells_a_row(one: Boxes, two: Boxes, height: float) -> float:
    """Return how many boxes stand side by side, in the middle, where there are any."""
    boxes = np.concatenate((one, two))
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    beside = np.abs(middles[:, None] - middles[None, :]) < 0.4 * height
    return middle(beside.sum(axis=1))
