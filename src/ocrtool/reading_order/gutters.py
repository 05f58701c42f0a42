"""Gutters: vertical white strips with lines on both sides (Breuel, 2002)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, runs_of
from ocrtool.reading_order.columns import MIN_GUTTER, Index, Lines, are_columns, in_rows, middle

MIN_WIDTH = 0.2
"""Minimum width of a gutter beside any line, in line heights."""
BIG_GAP = 3.0
"""Height of a horizontal white band that separates parts of the page, in line heights."""
BIG_GAP_SHORT = 2.0
"""Height of such a band among short lines, which are no prose that could continue, in line
heights."""
INSET_LENGTH = 9.0
"""Minimum width of lines of prose beside an inset figure or quotation, in line heights."""
INSET_FLANK = 6
"""Minimum number of lines of prose on either side of the gutter into which an inset is set."""
MAX_TRIED = 50
"""Maximum number of gutters, longest first, that are examined; tables have many."""
MARGIN_SHARE = 0.12
"""Share of the page's height, at its top and bottom, in which running headers and footers are."""


@dataclass(frozen=True)
class Band:
    """A part of the page with a gutter: indices of the lines on each side of it."""

    above: Index
    left: Index
    right: Index
    below: Index


def find_band(page: Lines, chosen: Index) -> Band | None:
    """Find the longest gutter between columns.

    Args:
        page: All lines.
        chosen: Indices of the lines to examine.

    Returns:
        The lines around it; nothing if there is no gutter between columns. A figure or a quotation
        set into both columns counts as below them.
    """
    boxes = page.boxes[chosen]
    chosen = chosen[np.argsort(boxes[:, 1] + boxes[:, 3], kind="stable")]
    length, band = _best_band(page, chosen)
    inset = _inset(page.boxes[chosen], page.height)
    if inset is not None:
        longer, around = _best_band(page, chosen[~inset])
        if around is not None and longer > 1.3 * length:
            below = np.concatenate((chosen[inset], around.below))
            return Band(around.above, around.left, around.right, below)
    return band


def _best_band(page: Lines, chosen: Index) -> tuple[float, Band | None]:
    """Return the longest gutter between columns with its lines, and its length in line heights."""
    boxes = page.boxes[chosen]
    best = 0.0
    band: Band | None = None
    for bound, edge, start, end in _gutters(boxes, page.height)[:MAX_TRIED]:
        if bound <= best:
            break
        is_left = boxes[:, 2] <= edge - MIN_WIDTH * page.height
        for first, last in _slabs(page, boxes, is_left, start, end):
            found = _flanked(page, boxes, is_left, first, last)
            if found is None or found[0] <= best:
                continue
            length, first, last = found
            inside = np.arange(first, last)
            left, right = chosen[inside[is_left[inside]]], chosen[inside[~is_left[inside]]]
            # A side may consist of adjacent lines only that are not beside the gutter.
            if len(left) and len(right) and are_columns(page, left, right):
                best = length
                band = Band(chosen[:first], left, right, chosen[last:])
    return best, band


def _inset(boxes: Boxes, height: float) -> NDArray[np.bool_] | None:
    """Return (N,) flags of lines set into two columns of prose: across the gutter, text beside."""
    best = INSET_FLANK - 1
    found: NDArray[np.bool_] | None = None
    long = boxes[:, 2] - boxes[:, 0] > INSET_LENGTH * height
    beside = (boxes[:, None, 1] < boxes[:, 3]) & (boxes[:, 1] < boxes[:, None, 3])
    for edge in _left_edges(boxes, height):
        lefts = boxes[:, 2] <= edge - MIN_WIDTH * height
        rights = boxes[:, 0] >= edge - 0.05 * height
        crossing = ~lefts & ~rights
        if not crossing.any() or crossing.sum() > 0.3 * len(boxes):
            continue
        inset = crossing & (beside & lefts).any(axis=1) & (beside & rights).any(axis=1)
        near_left = lefts & long & (boxes[:, 2] > edge - 2 * height)
        near_right = rights & long & (boxes[:, 0] < edge + height)
        flank = int(min(near_left.sum(), near_right.sum()))
        if inset.any() and flank > best:
            best, found = flank, inset
    return found


def _gutters(boxes: Boxes, height: float) -> list[tuple[float, float, int, int]]:
    """Find vertical white strips left of the possible left edges of a right column.

    Args:
        boxes: (N, 4) boxes of the lines, from top to bottom.
        height: Common line height in pixels.

    Returns:
        For each strip the maximum length with text on both sides, in line heights; its right edge,
        in pixels; and start and end of the run of lines that do not cross it. Longest first.
    """
    edges = np.array(_left_edges(boxes, height), np.float32)
    is_left = boxes[:, 2] <= edges[:, None] - MIN_WIDTH * height
    is_right = boxes[:, 0] >= edges[:, None] - 0.05 * height
    found: dict[tuple[bytes, int], tuple[float, float, int, int]] = {}
    for edge, lefts, rights in zip(edges.tolist(), is_left, is_right, strict=True):
        for start, end in runs_of(lefts | rights):
            if end - start < 3:
                continue
            one, two = boxes[start:end][lefts[start:end]], boxes[start:end][rights[start:end]]
            if not len(one) or not len(two):
                continue
            foot = min(one[:, 3].max(), two[:, 3].max())
            bound = float(foot - max(one[:, 1].min(), two[:, 1].min())) / height
            # The same lines on the left and on the right: the same gutter.
            key = (lefts[start:end].tobytes(), start)
            if bound > 0.3 and key not in found:
                found[key] = (bound, edge, start, end)
    return sorted(found.values(), key=lambda strip: -strip[0])


def _left_edges(boxes: Boxes, height: float) -> list[float]:
    """Return possible left edges of a right column; of close ones only the leftmost."""
    edges: list[float] = []
    for x in sorted(boxes[:, 0].tolist()):
        if not edges or x > edges[-1] + 0.1 * height:
            edges.append(x)
    return edges[1:]


def _slabs(
    page: Lines, boxes: Boxes, is_left: NDArray[np.bool_], start: int, end: int
) -> list[tuple[int, int]]:
    """Split a run of lines at high white bands and around single lines.

    A single line is split off at the edge of the page, where it is a running header or footer, and
    where the other column leaves room for it, where it is a heading over both columns.
    """
    tops, feet = boxes[start:end, 1], boxes[start:end, 3]
    reach = np.maximum.accumulate(feet)
    ahead = np.minimum.accumulate(tops[::-1])[::-1]
    gaps = (ahead[1:] - reach[:-1]) / page.height
    white = np.flatnonzero(gaps > 0.3)
    bounds = [0, *(white + 1).tolist(), end - start]
    usual = _usual_gap(boxes[start:end], is_left[start:end], page.height)
    widths = middle(boxes[start:end, 2] - boxes[start:end, 0])
    wide = max(BIG_GAP if widths > 6 * page.height else BIG_GAP_SHORT, 2.5 * usual)
    apart = max(1.0, 1.6 * usual)
    others = boxes[start:end][~is_left[start:end]]
    column = middle(others[:, 0]) if len(others) else 0.0
    cuts = {0, end - start}
    for k in range(len(bounds) - 1):
        a, b = bounds[k], bounds[k + 1]
        before = gaps[a - 1] if a else np.inf
        after = gaps[b - 1] if b < end - start else np.inf
        if before > wide:
            cuts.add(a)
        if feet[a:b].max() - tops[a:b].min() > 2.2 * page.height or min(before, after) < 0.5:
            continue
        sides = is_left[start + a : start + b]
        both = bool((~is_left[start + b : end]).any())
        outdented = not sides.any() and abs(boxes[start + a, 0] - column) > page.height
        lone = bool((sides.all() and both) or outdented) and a > 0 and b < end - start
        low = feet[a:b].max() < MARGIN_SHARE * page.page or tops[a:b].min() > (
            (1 - MARGIN_SHARE) * page.page
        )
        plain = middle(feet[a:b] - tops[a:b]) < 1.25 * page.height
        edge = low and plain and not 0 < a < b < end - start
        if (lone or edge) and min(before, after) > apart:
            cuts |= {a, b}
    marks = sorted(cuts)
    return [(start + a, start + b) for a, b in itertools.pairwise(marks) if b - a > 2]


def _usual_gap(boxes: Boxes, is_left: NDArray[np.bool_], height: float) -> float:
    """Return the median vertical gap between lines of one side, in line heights."""
    gaps = [
        side[1:, 1] - side[:-1, 3] for side in (boxes[is_left], boxes[~is_left]) if len(side) > 1
    ]
    found = np.concatenate(gaps) if gaps else np.zeros(0)
    found = found[found > -0.5 * height]  # not between boxes of one row
    return middle(found) / height if len(found) else 0.0


def _flanked(
    page: Lines, boxes: Boxes, is_left: NDArray[np.bool_], first: int, last: int
) -> tuple[float, int, int] | None:
    """Reduce a run to the lines beside the gutter and those adjacent to them.

    Returns:
        The length of the gutter with text on both sides, in line heights, and start and end of the
        run; nothing if no lines of the two sides are beside each other.
    """
    side = is_left[first:last]
    if side.all() or not side.any():
        return None
    part = boxes[first:last]
    left, right = part[side], part[~side]
    top = max(float(left[:, 1].min()), float(right[:, 1].min()))
    foot = min(float(left[:, 3].max()), float(right[:, 3].max()))
    if foot - top < 0.3 * page.height:
        return None
    middles = (part[:, 1] + part[:, 3]) / 2
    inside = np.flatnonzero((middles > top) & (middles < foot))
    if not len(inside):
        return None
    a, b = int(inside[0]), int(inside[-1]) + 1
    near = max(1.0, 1.3 * _usual_gap(part, side, page.height)) * page.height
    while a > 0 and part[a : a + 4, 1].min() - part[a - 1, 3] <= near:
        a -= 1
    # Adjacent lines below are the rest of a longer column, or the next heading.
    longer = len(part) - b > 4 or last == len(boxes)
    while b < len(part) and (part[b, 1] - part[max(a, b - 4) : b, 3].max() <= near or longer):
        b += 1
    return (foot - top) / page.height, first + a, first + b


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
