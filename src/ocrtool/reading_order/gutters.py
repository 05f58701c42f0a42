"""White gutters: upright white strips with lines on both sides (Breuel, 2002)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes
from ocrtool.reading_order.columns import Index, Lines, are_columns, middle

NARROW = 0.2
"""Least width of a gutter beside any line, in heights of a line."""
BIG_GAP = 3.0
"""Height of a white band, in heights of a line, that parts what is above from what is below."""
BIG_GAP_SHORT = 2.0
"""The same among short lines, which are no prose that could run on beyond it."""
INSET_LENGTH = 9.0
"""Least width of lines of prose beside a picture or a quotation, in heights of a line."""
INSET_FLANK = 6
"""Least lines of prose on either side of the gutter that it is set into."""
MOST_TRIED = 50
"""Gutters, longest first, that are looked at; tables have many that part no columns."""
FURNITURE = 0.12
"""Share of the page's height, at its top and bottom, where running heads and feet stand."""


@dataclass(frozen=True)
class Band:
    """A part of the page with a gutter: indices of the lines around it."""

    above: Index
    left: Index
    right: Index
    below: Index


def find_band(page: Lines, chosen: Index) -> Band | None:
    """Find the gutter between columns that runs past most lines.

    Args:
        page: The lines.
        chosen: Indices of those to be looked at.

    Returns:
        What stands around it; nothing where no gutter parts columns. A picture or a quotation
        that is set into both columns stands below them.
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
    """Return the band with the longest gutter between columns, and its length in heights."""
    boxes = page.boxes[chosen]
    best = 0.0
    band: Band | None = None
    for bound, edge, start, end in _gutters(boxes, page.height)[:MOST_TRIED]:
        if bound <= best:
            break
        is_left = boxes[:, 2] <= edge - NARROW * page.height
        for first, last in _slabs(page, boxes, is_left, start, end):
            found = _flanked(page, boxes, is_left, first, last)
            if found is None or found[0] <= best:
                continue
            length, first, last = found
            inside = np.arange(first, last)
            left, right = chosen[inside[is_left[inside]]], chosen[inside[~is_left[inside]]]
            # What hangs on to the lines beside a gutter may be all that there is of a side.
            if len(left) and len(right) and are_columns(page, left, right):
                best = length
                band = Band(chosen[:first], left, right, chosen[last:])
    return best, band


def _inset(boxes: Boxes, height: float) -> NDArray[np.bool_] | None:
    """Find what is set into two columns of prose: it crosses their gutter, with text beside it.

    Returns:
        (N,) flags; nothing where there is no such thing.
    """
    best = INSET_FLANK - 1
    found: NDArray[np.bool_] | None = None
    long = boxes[:, 2] - boxes[:, 0] > INSET_LENGTH * height
    beside = (boxes[:, None, 1] < boxes[:, 3]) & (boxes[:, 1] < boxes[:, None, 3])
    for edge in _left_edges(boxes, height):
        lefts = boxes[:, 2] <= edge - NARROW * height
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
    """Find upright white strips left of where a right column may begin.

    Args:
        boxes: Lines from top to bottom.
        height: Common height of a line in pixels.

    Returns:
        For each strip the most height that it may have with text on both sides, in heights of a
        line; where it ends on the right, in pixels; and the run of lines that do not cross it.
        Longest first.
    """
    edges = np.array(_left_edges(boxes, height), np.float32)
    is_left = boxes[:, 2] <= edges[:, None] - NARROW * height
    is_right = boxes[:, 0] >= edges[:, None] - 0.05 * height
    found: dict[tuple[bytes, int], tuple[float, float, int, int]] = {}
    for edge, lefts, rights in zip(edges.tolist(), is_left, is_right, strict=True):
        for start, end in _runs(~lefts & ~rights):
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
    """Return where a right column may begin: left edges, near ones only once (the leftmost)."""
    edges: list[float] = []
    for x in sorted(boxes[:, 0].tolist()):
        if not edges or x > edges[-1] + 0.1 * height:
            edges.append(x)
    return edges[1:]


def _runs(crossing: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and end of the runs of lines that leave the gutter free."""
    edges = np.flatnonzero(np.diff(~crossing, prepend=False, append=False)).reshape(-1, 2)
    return [(a, b) for a, b in edges.tolist() if b - a > 2]


def _slabs(
    page: Lines, boxes: Boxes, is_left: NDArray[np.bool_], start: int, end: int
) -> list[tuple[int, int]]:
    """Cut a run where white bands part it: wide ones, and those around single lines.

    A single line is cut off where it stands at the edge of the page, as running heads do, or
    where the other column leaves room for it, as for a heading over both.
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
        low = feet[a:b].max() < FURNITURE * page.page or tops[a:b].min() > (
            (1 - FURNITURE) * page.page
        )
        plain = middle(feet[a:b] - tops[a:b]) < 1.25 * page.height
        edge = low and plain and not 0 < a < b < end - start
        if (lone or edge) and min(before, after) > apart:
            cuts |= {a, b}
    marks = sorted(cuts)
    return [(start + a, start + b) for a, b in itertools.pairwise(marks) if b - a > 2]


def _usual_gap(boxes: Boxes, is_left: NDArray[np.bool_], height: float) -> float:
    """Return the median white between lines that follow each other on one side, in heights."""
    gaps = [
        side[1:, 1] - side[:-1, 3] for side in (boxes[is_left], boxes[~is_left]) if len(side) > 1
    ]
    found = np.concatenate(gaps) if gaps else np.zeros(0)
    found = found[found > -0.5 * height]  # boxes of one row are no neighbours
    return middle(found) / height if len(found) else 0.0


def _flanked(
    page: Lines, boxes: Boxes, is_left: NDArray[np.bool_], first: int, last: int
) -> tuple[float, int, int] | None:
    """Narrow a run to the lines that have the gutter beside them and what hangs on to them.

    Returns:
        How many lines of height the gutter has text on both sides, start and end of the run;
        nothing where the sides are never beside each other.
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
    # Below may hang the rest of a longer column, but also the heading of what comes next.
    longer = len(part) - b > 4 or last == len(boxes)
    while b < len(part) and (part[b, 1] - part[max(a, b - 4) : b, 3].max() <= near or longer):
        b += 1
    return (foot - top) / page.height, first + a, first + b
