"""Classification of a gutter: between columns of text, or between the cells of rows.

Columns of prose are read one after the other, labels and amounts of a receipt row by row, but both
are separated by the same white space. So evidence is added up: length, row alignment, edges and
texts of the lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes
from ocrtool.document.patterns import AMOUNT, BULLETS

Index = NDArray[np.intp]

MIN_GUTTER = 0.7
"""Minimum width of a gutter beside most of its lines, in line heights."""
MIN_BANDS = 4
"""Minimum number of rows of wrapped cells by which a table is recognised."""
MAX_TOP_OFFSET = 0.3
"""Maximum vertical distance of the tops of cells of one row, in line heights."""


@dataclass(frozen=True)
class Signs:
    """(N,) flags of the texts of lines that tell rows from columns.

    Attributes:
        known: There is a text.
        amount: It is an amount.
        listed: It starts with a bullet.
        running: It starts with a lower-case letter, as within a sentence.
        label: It ends with a colon.
        value: It starts with a colon.
    """

    known: NDArray[np.bool_]
    amount: NDArray[np.bool_]
    listed: NDArray[np.bool_]
    running: NDArray[np.bool_]
    label: NDArray[np.bool_]
    value: NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Signs:
        """Return the flags of texts, which may be empty."""
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
        height: Common line height in pixels.
        page: Height of the page in pixels.
        signs: Flags of their texts.
        rules: (M, 4) vertical rules.
    """

    boxes: Boxes
    height: float
    page: float
    signs: Signs
    rules: Boxes


def middle(values: NDArray[np.floating]) -> float:
    """Return the upper median, many times faster than NumPy's for short arrays."""
    half = len(values) // 2
    return float(np.partition(values, half)[half])


def are_columns(page: Lines, left: Index, right: Index) -> bool:
    """Tell whether the sides of a gutter are columns, read one after the other, or cells of rows.

    Args:
        page: All lines.
        left: Indices of the lines to the left of the gutter.
        right: Indices of the lines to its right.
    """
    height = page.height
    one, two = page.boxes[left], page.boxes[right]
    near_left = left[_next_to_gutter(one, from_right=True)]
    near_right = right[_next_to_gutter(two, from_right=False)]
    a, b = page.boxes[near_left], page.boxes[near_right]
    gutter = float(two[:, 0].min() - one[:, 2].max())
    fewer = min(len(a), len(b))
    # Beside few lines, a narrow gutter may be a space between words.
    least = 2.0 if fewer < 3 else 1.2 if fewer < 5 else 0.0
    if middle(b[:, 0]) - middle(a[:, 2]) < MIN_GUTTER * height or gutter < least * height:
        return False
    aligned, pairs = _aligned(a, b, height)
    long = [middle(s[:, 2] - s[:, 0]) / height for s in (a, b)]
    heights = np.sort(np.concatenate((a[:, 3] - a[:, 1], b[:, 3] - b[:, 1])))
    tall = float(heights[int(0.9 * (len(heights) - 1))])
    pitches = [_pitch(s, max(height, tall)) for s in (a, b)]
    score = 0.0
    # Long lines are prose; short ones are cells.
    score += 2.0 * (min(long) >= 9) + 1.0 * (min(long) >= 14) - 1.0 * (min(long) < 4.5)
    score -= 1.0 * (min(long) < 3)
    # Rows of a table are aligned; lines of two columns only by chance or on a baseline grid.
    score += (2.0 if aligned < 0.7 else 1.0 if aligned < 0.86 else -0.5) * (fewer > 2)
    # A paragraph fills the width of its column, labels do not.
    width = max(1.0, float(b[:, 0].min() - a[:, 0].min()))
    fill = float(np.mean((a[:, 2] - a[:, 0].min()) / width))
    score += -1.0 if fill < 0.55 else 0.5 if fill > 0.75 else 0.0
    # Tight lines on both sides are text; loose ones are rows.
    score += 1.0 * (max(pitches) < 1.9) + 1.0 * (max(pitches) < 1.75) - 1.0 * (min(pitches) > 2.4)
    score -= 2.0 * _is_right_aligned(b, height)
    score -= 4.0 * (_is_unaligned(a, height) or _is_unaligned(b, height))
    score -= 6.0 * in_rows(one, two, height)
    score += _text_evidence(page.signs, near_left, near_right, pairs)
    score += 2.0 * _has_rule(page.rules, a, b)
    score -= 1.5 * (_cells_per_row(one, two, height) >= 3.5 and min(long) < 9)
    # One or two lines beside many: a marginal note beside a paragraph, else a cell.
    if fewer < 3:
        many, pitch = (b, pitches[1]) if len(a) < len(b) else (a, pitches[0])
        prose = middle(many[:, 2] - many[:, 0]) / height >= 14 and pitch < 2.2
        ends = fill > 0.8 if len(b) < len(a) else min(long) > 2.5
        score += 1.5 if prose and ends and len(many) >= 3 else -1.0 if len(many) < 4 else -2.0
    return score > 0


def in_rows(one: Boxes, two: Boxes, height: float) -> bool:
    """Tell whether the sides of a gutter are wrapped cells whose first lines are aligned.

    Paragraphs of two columns end independently; the gap between two rows of a table extends through
    all columns.

    Args:
        one: (N, 4) boxes of the lines on the left, in pixels.
        two: (M, 4) boxes of the lines on the right.
        height: Common line height in pixels.
    """
    top = max(float(one[:, 1].min()), float(two[:, 1].min())) - MAX_TOP_OFFSET * height
    foot = min(float(one[:, 3].max()), float(two[:, 3].max()))
    sides = [side[(side[:, 3] > top) & (side[:, 1] < foot)] for side in (one, two)]
    if min(map(len, sides)) < MIN_BANDS:
        return False
    both = np.concatenate(sides)
    right = np.arange(len(both)) >= len(sides[0])
    order = np.argsort(both[:, 1], kind="stable")
    both, right = both[order], right[order]
    gaps = both[1:, 1] - np.maximum.accumulate(both[:, 3])[:-1]
    white = gaps[gaps > -0.3 * height]  # not between lines of one row
    if len(white) < MIN_BANDS:
        return False
    # The gaps within cells are the smallest; those between rows are clearly larger.
    usual = float(np.quantile(white, 0.25))
    starts = np.flatnonzero(gaps > usual + 0.3 * height) + 1
    bands = np.split(np.arange(len(both)), starts)
    begin, wrapped, uneven = 0, 0, 0
    for band in bands:
        heads = [both[band[right[band] == side], 1] for side in (False, True)]
        if all(map(len, heads)):
            begin += abs(float(heads[0].min()) - float(heads[1].min())) < MAX_TOP_OFFSET * height
            counts = row_sizes(both[band, 1], height)
            wrapped += len(counts) > 1
            uneven += min(counts) < max(counts)
    together = begin >= MIN_BANDS and begin >= 0.8 * len(bands)
    # Stanzas of verse have equally many lines.
    return together and wrapped >= 0.5 * begin and uneven >= 0.3 * begin


def row_sizes(tops: NDArray[np.floating], height: float) -> list[int]:
    """Return the number of boxes in each text row, given the vertical positions of the boxes."""
    starts = np.flatnonzero(np.diff(np.sort(tops)) > 0.5 * height) + 1
    bounds = [0, *starts.tolist(), len(tops)]
    return [b - a for a, b in itertools.pairwise(bounds)]


def _next_to_gutter(boxes: Boxes, from_right: bool) -> Index:
    """Return the boxes of a side that are next to the gutter."""
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    beside = (boxes[None, :, 1] < middles[:, None]) & (middles[:, None] < boxes[None, :, 3])
    if from_right:
        hidden = beside & (boxes[None, :, 0] >= boxes[:, None, 2])
    else:
        hidden = beside & (boxes[None, :, 2] <= boxes[:, None, 0])
    return np.flatnonzero(~hidden.any(axis=1))


def _aligned(a: Boxes, b: Boxes, height: float) -> tuple[float, Index]:
    """Return the share of lines aligned with one on the other side, and the pairs (P, 2)."""
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
    """Return the median baseline distance, in line heights; 9 for a single line."""
    feet = np.sort(boxes[:, 3])
    steps = np.diff(feet)
    steps = steps[steps > 0.5 * height]
    return middle(steps) / height if len(steps) else 9.0


def _is_right_aligned(boxes: Boxes, height: float) -> bool:
    """Tell whether lines are right-aligned only, as amounts are."""
    if len(boxes) < 3:
        return False
    widths = boxes[:, 2] - boxes[:, 0]
    starts, ends = np.std(boxes[:, 0]), np.std(boxes[:, 2])
    return bool(ends < 0.35 * height and starts > 2.5 * ends + 0.2 * height
                and middle(widths) < 10 * height)  # fmt: skip


def _is_unaligned(boxes: Boxes, height: float) -> bool:
    """Tell whether lines are neither left-aligned nor right-aligned nor centred."""
    if len(boxes) < 3:
        return False
    for places in (boxes[:, 0], boxes[:, 2], (boxes[:, 0] + boxes[:, 2]) / 2):
        if middle(np.abs(places - middle(places))) < 1.5 * height:
            return False
    return True


def _text_evidence(signs: Signs, left: Index, right: Index, pairs: Index) -> float:
    """Return the evidence of the texts: positive for columns, negative for rows."""
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


def _has_rule(rules: Boxes, a: Boxes, b: Boxes) -> bool:
    """Tell whether there is a vertical rule in the gutter."""
    top = max(float(a[:, 1].min()), float(b[:, 1].min()))
    foot = min(float(a[:, 3].max()), float(b[:, 3].max()))
    place = (rules[:, 0] + rules[:, 2]) / 2
    inside = (place > middle(a[:, 2])) & (place < middle(b[:, 0]))
    length = np.minimum(rules[:, 3], foot) - np.maximum(rules[:, 1], top)
    return bool((inside & (length > 0.6 * (foot - top))).any())


def _cells_per_row(one: Boxes, two: Boxes, height: float) -> float:
    """Return the median number of boxes side by side."""
    boxes = np.concatenate((one, two))
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    beside = np.abs(middles[:, None] - middles[None, :]) < 0.4 * height
    return middle(beside.sum(axis=1))
