"""The order in which the lines of a page are read.

A page is cut from its outside in, as a recursive XY-cut does (Nagy and Seth, "Hierarchical
representation of optically scanned documents", 1984): where a white gutter parts columns, what
stands above it comes first, then the columns from left to right, then what stands below. Gutters
are white rectangles with text on both sides (Breuel, "Two algorithms for geometric layout
analysis", 2002); whether they part columns or the cells of rows is judged in
:mod:`ocrtool.reading_order.columns`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import Region
from ocrtool.document.geometry import Boxes, shared_areas
from ocrtool.reading_order.columns import Lines, Signs
from ocrtool.reading_order.gutters import Band, find_band

INSIDE = 0.6
"""Share of a line's area that lies in a region of which the line is a part."""
TURNED = 4.0
"""Height of a box, in widths and in lines, from which its line is taken to run up or down."""
WORD_GAP, WIDE_WORD_GAP = 0.6, 2.5
"""Greatest space between words, in heights of a line, and in lines that are set very wide or have
typewriters' double spaces."""
SENTENCE_END, SENTENCE_START = (
    re.compile("[.!?:;][\"'\u201d\u2019\u00bb)\\]]*$"),
    re.compile("[\"'\u201c\u2018\u00ab\u201e(\\[]*[A-Z\u00c0-\u00de]"),
)
SAME_ROW = 0.5
"""Share of the lower box's height by which boxes of a row overlap."""


def reading_order(
    boxes: Boxes,
    regions: Sequence[Region] = (),
    size: tuple[int, int] = (0, 0),
    texts: Sequence[str] = (),
    owner: NDArray[np.intp] | None = None,
) -> list[list[int]]:
    """Group the lines of a page and bring them in order.

    Args:
        boxes: (N, 4) x0, y0, x1, y1 of lines, in pixels of the upright page, origin top left.
            Pictures without text may be passed along as boxes that lie in their regions.
        regions: Tables, pictures and formulas keep the lines inside them together; a rule that
            stands upright parts columns.
        size: Width and height of the page in pixels; (0, 0) takes the extent of the boxes.
        texts: What the lines say, where it is known: amounts and broken sentences tell rows from
            columns better than boxes do.
        owner: (N,) number of the region that each line belongs to, -1 for none, where it is
            known; else the smallest that holds it.

    Returns:
        Groups of indices of lines: a column's worth, a table or a picture each. The groups are in
        reading order, and so are the lines within each. Every line occurs exactly once.

    Raises:
        ValueError: The boxes are not (N, 4), or texts are given but not one a box.
    """
    boxes = np.asarray(boxes, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes are (N, 4), not {boxes.shape}")
    if texts and len(texts) != len(boxes):
        raise ValueError(f"{len(texts)} texts for {len(boxes)} boxes")
    if not len(boxes):
        return []
    boxes = np.hstack((boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2] + 1)))  # none is flat
    said = np.array(texts or [""] * len(boxes), np.object_)
    owner = owners(boxes, regions) if owner is None else owner
    inside = [np.flatnonzero(owner == i) for i in range(len(regions))]
    page = _Page(boxes, said, _upright_rules(regions), float(size[1] or boxes[:, 3].max()))
    wholes = [part for part in inside if len(part)]
    groups: list[list[int]] = []
    for group in _ordered(page, np.flatnonzero(owner < 0), wholes):
        region = regions[owner[group[0]]] if owner[group[0]] >= 0 else None
        if region is not None and region.kind == "figure":
            # A whole screen may be taken for a picture: its text has an order of its own.
            parts = _ordered(page, np.array(group, np.intp), [])
            groups.append([i for part in parts for i in part])
        else:
            groups.append(group)
    return groups


@dataclass(frozen=True)
class _Page:
    """What is known of a page: boxes and texts of its lines, upright rules, its height."""

    boxes: Boxes
    texts: NDArray[np.object_]
    rules: Boxes
    height: float


def _ordered(
    page: _Page, chosen: NDArray[np.intp], wholes: Sequence[NDArray[np.intp]]
) -> list[list[int]]:
    """Group and order lines, among them wholes (tables, pictures), each a group of its own."""
    boxes = page.boxes
    height = line_height(boxes[chosen] if len(chosen) else boxes)
    wide, high = (boxes[chosen, 2 + k] - boxes[chosen, k] for k in (0, 1))
    turned = (high > TURNED * wide) & (high > TURNED * height)
    parts = _pieces(page, chosen[~turned], height)
    # What belongs together takes part in the order as one box.
    members = [*parts, *(part.tolist() for part in wholes)]
    items = np.array([_hull(boxes, part) for part in members], np.float32).reshape(-1, 4)
    said = [" ".join(page.texts[part]) for part in parts] + [""] * len(wholes)
    lines = Lines(items, height, page.height, Signs.of(said), page.rules)
    groups: list[list[int]] = []
    for leaf in _cut(lines, np.arange(len(items))):
        group: list[int] = []
        for item in (item for row in rows(items, leaf, height) for item in row):
            if item < len(parts):
                group += members[item]
                continue
            whole = wholes[item - len(parts)]
            groups += [group, [i for row in rows(boxes, whole) for i in row]]
            group = []
        groups.append(group)
    groups += [[i] for i in chosen[turned].tolist()]
    return [group for group in groups if group]


def rows(boxes: Boxes, chosen: NDArray[np.intp], height: float = 0.0) -> list[list[int]]:
    """Gather boxes that stand side by side on one line of the page.

    Args:
        boxes: (N, 4) in pixels.
        chosen: Indices of the boxes to gather.
        height: Common height of a line in pixels; 0 takes that of the chosen.

    Returns:
        Indices, a list a row, rows from top to bottom and boxes of a row from left to right.
    """
    height = height or line_height(boxes[chosen])
    x0, y0, x1, y1 = boxes.T.tolist()
    # A tall box, say a drop capital, belongs to the row of its head.
    foot = [min(bottom, top + 1.8 * height) for top, bottom in zip(y0, y1, strict=True)]
    found: list[list[int]] = []

    def gap(i: int, j: int) -> float:
        return float(max(x0[i], x0[j]) - min(x1[i], x1[j]))

    for i in sorted(chosen.tolist(), key=lambda i: y0[i] + foot[i]):
        for row in reversed(found[-4:]):
            near = min(row, key=lambda j: gap(i, j))
            shared = min(foot[i], foot[near]) - max(y0[i], y0[near])
            lower = min(foot[i] - y0[i], foot[near] - y0[near])
            if shared >= SAME_ROW * lower and gap(i, near) > -0.3 * min(
                x1[i] - x0[i], x1[near] - x0[near]
            ):
                row.append(i)
                break
        else:
            found.append([i])
    return [sorted(row, key=lambda i: x0[i]) for row in found]


def line_height(boxes: Boxes) -> float:
    """Return the common height in pixels, at least 1.

    More than half of the boxes may lack ascenders or descenders, so it lies above the median.
    """
    heights = np.sort(boxes[:, 3] - boxes[:, 1])
    return max(1.0, float(heights[int(0.7 * (len(heights) - 1))]))


def _cut(page: Lines, chosen: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Cut at the best gutter, and the parts again, until none is left."""
    band = find_band(page, chosen) if len(chosen) > 2 else None
    if band is None:
        return [chosen]
    parts = (band.above, *_sides(page, band), band.below)
    return [leaf for part in parts if len(part) for leaf in _cut(page, part)]


def _sides(page: Lines, band: Band) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the left and the right side, a narrow column of notes on the left after the text."""
    left, right = page.boxes[band.left], page.boxes[band.right]
    width, beside = (float(np.ptp(part[:, ::2])) for part in (left, right))
    if width < 0.4 * beside and len(left) < 0.5 * len(right):
        return band.right, band.left
    return band.left, band.right


def owners(boxes: Boxes, regions: Sequence[Region]) -> NDArray[np.intp]:
    """Return for every box the index of the smallest region that holds it, -1 where none does.

    Args:
        boxes: (N, 4) in pixels.
        regions: Rules hold nothing.
    """
    owner = np.full(len(boxes), -1)
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-6)
    sizes = [region.box.area for region in regions]
    for i in sorted(range(len(regions)), key=lambda i: -sizes[i]):
        if regions[i].kind == "rule":
            continue
        owner[shared_areas(regions[i].box, boxes) >= INSIDE * area] = i
    return owner


def _pieces(page: _Page, chosen: NDArray[np.intp], height: float) -> list[list[int]]:
    """Join boxes of a row that are one line found in pieces.

    They stand no further apart than words do, or a little further where lines right above and
    right below run across the gap, as they would not if it parted columns; between sentences one
    such line is enough.
    """
    boxes = page.boxes
    others = boxes[chosen]
    parts: list[list[int]] = []
    for row in rows(boxes, chosen, height):
        parts.append(row[:1])
        for i, j in itertools.pairwise(row):
            gap = boxes[j, 0] - boxes[i, 2]
            alike = 0.55 < (boxes[j, 3] - boxes[j, 1]) / (boxes[i, 3] - boxes[i, 1]) < 1.8
            if alike and gap < WIDE_WORD_GAP * height:
                across = others[(others[:, 0] < boxes[i, 2]) & (others[:, 2] > boxes[j, 0])]
                above = np.abs(boxes[i, 1] - across[:, 3]) < height
                below = np.abs(across[:, 1] - boxes[i, 3]) < height
                sentences = SENTENCE_END.search(page.texts[i]) and SENTENCE_START.match(
                    page.texts[j]
                )
                needed = 1 if sentences else 2
                alike = gap < WORD_GAP * height or above.any() + below.any() >= needed
            else:
                alike = False
            if alike:
                parts[-1].append(j)
            else:
                parts.append([j])
    return parts


def _hull(boxes: Boxes, part: Sequence[int]) -> list[float]:
    chosen = boxes[list(part)]
    return [*chosen[:, :2].min(axis=0).tolist(), *chosen[:, 2:].max(axis=0).tolist()]


def _upright_rules(regions: Sequence[Region]) -> Boxes:
    boxes = [(r.box.x0, r.box.y0, r.box.x1, r.box.y1) for r in regions if r.kind == "rule"]
    rules = np.array(boxes, np.float32).reshape(-1, 4)
    return rules[rules[:, 3] - rules[:, 1] > 4 * (rules[:, 2] - rules[:, 0])]
