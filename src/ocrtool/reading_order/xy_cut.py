"""Reading order of the lines of a page by a recursive XY-cut.

See Nagy and Seth, "Hierarchical representation of optically scanned documents", 1984. At a gutter
between columns, the lines above it come first, then the columns from left to right, then the lines
below. Gutters are white rectangles with text on both sides (Breuel, "Two algorithms for geometric
layout analysis", 2002); :mod:`ocrtool.reading_order.columns` tells whether they separate columns or
the cells of rows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, hull, shared_areas
from ocrtool.document.lines import Region
from ocrtool.reading_order.columns import Lines, Signs
from ocrtool.reading_order.gutters import Band, find_band

MIN_SHARE_INSIDE = 0.6
"""Minimum share of a line's area inside a region that holds the line."""
MIN_VERTICAL_RATIO = 4.0
"""Minimum ratio of the height of a vertical line to its width and to the common line height."""
WORD_GAP, WIDE_WORD_GAP = 0.6, 2.5
"""Maximum space between words, in line heights, and in widely spaced lines or after sentences."""
SENTENCE_END, SENTENCE_START = (
    re.compile("[.!?:;][\"'\u201d\u2019\u00bb)\\]]*$"),
    re.compile("[\"'\u201c\u2018\u00ab\u201e(\\[]*[A-Z\u00c0-\u00de]"),
)
MIN_ROW_OVERLAP = 0.5
"""Minimum vertical overlap of boxes of a row, relative to the lower one."""


def reading_order(
    boxes: Boxes,
    regions: Sequence[Region] = (),
    size: tuple[int, int] = (0, 0),
    texts: Sequence[str] = (),
    owner: NDArray[np.intp] | None = None,
) -> list[list[int]]:
    """Group the lines of a page and order them.

    Args:
        boxes: (N, 4) x0, y0, x1, y1 of lines, in pixels of the upright page, origin top left.
            Pictures without text may be included as boxes inside their regions.
        regions: Lines inside tables, pictures and formulas stay together; a vertical rule separates
            columns.
        size: Width and height of the page in pixels; (0, 0) for the extent of the boxes.
        texts: Texts of the lines, if known; they tell rows from columns better than boxes do.
        owner: (N,) index of the region of each line, -1 for none; by default the smallest region
            that holds the line.

    Returns:
        Groups of indices of lines: each a part of a column, a table or a picture. The groups are in
        reading order, and so are the lines of each group. Every line occurs exactly once.

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
    boxes = np.hstack((boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2] + 1)))  # at least 1 px
    said = np.array(texts or [""] * len(boxes), np.object_)
    owner = owners(boxes, regions) if owner is None else owner
    inside = [np.flatnonzero(owner == i) for i in range(len(regions))]
    page = _Page(boxes, said, _upright_rules(regions), float(size[1] or boxes[:, 3].max()))
    wholes = [part for part in inside if len(part)]
    groups: list[list[int]] = []
    for group in _ordered(page, np.flatnonzero(owner < 0), wholes):
        region = regions[owner[group[0]]] if owner[group[0]] >= 0 else None
        if region is not None and region.kind == "figure":
            # A whole screen may be detected as a picture: its text is ordered, too.
            parts = _ordered(page, np.array(group, np.intp), [])
            groups.append([i for part in parts for i in part])
        else:
            groups.append(group)
    return groups


@dataclass(frozen=True)
class _Page:
    """Boxes and texts of the lines of a page, its vertical rules and its height."""

    boxes: Boxes
    texts: NDArray[np.object_]
    rules: Boxes
    height: float


def _ordered(
    page: _Page, chosen: NDArray[np.intp], wholes: Sequence[NDArray[np.intp]]
) -> list[list[int]]:
    """Group and order lines; wholes (tables, pictures) are groups of their own."""
    boxes = page.boxes
    height = line_height(boxes[chosen] if len(chosen) else boxes)
    wide, high = (boxes[chosen, 2 + k] - boxes[chosen, k] for k in (0, 1))
    turned = (high > MIN_VERTICAL_RATIO * wide) & (high > MIN_VERTICAL_RATIO * height)
    parts = _pieces(page, chosen[~turned], height)
    # Pieces of a line and wholes are ordered as one box each.
    members = [*parts, *(part.tolist() for part in wholes)]
    hulls = [astuple(hull(boxes[part])) for part in members]
    items = np.array(hulls, np.float32).reshape(-1, 4)
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
    """Group boxes into rows.

    Args:
        boxes: (N, 4) boxes in pixels.
        chosen: Indices of the boxes to group.
        height: Common line height in pixels; 0 for that of the chosen boxes.

    Returns:
        Indices of each row; rows from top to bottom, boxes of a row from left to right.
    """
    height = height or line_height(boxes[chosen])
    x0, y0, x1, y1 = boxes.T.tolist()
    # A tall box, such as a drop capital, belongs to the row of its upper part.
    foot = [min(bottom, top + 1.8 * height) for top, bottom in zip(y0, y1, strict=True)]
    found: list[list[int]] = []

    def gap(i: int, j: int) -> float:
        return float(max(x0[i], x0[j]) - min(x1[i], x1[j]))

    for i in sorted(chosen.tolist(), key=lambda i: y0[i] + foot[i]):
        for row in reversed(found[-4:]):
            near = min(row, key=lambda j: gap(i, j))
            shared = min(foot[i], foot[near]) - max(y0[i], y0[near])
            lower = min(foot[i] - y0[i], foot[near] - y0[near])
            if shared >= MIN_ROW_OVERLAP * lower and gap(i, near) > -0.3 * min(
                x1[i] - x0[i], x1[near] - x0[near]
            ):
                row.append(i)
                break
        else:
            found.append([i])
    return [sorted(row, key=lambda i: x0[i]) for row in found]


def line_height(boxes: Boxes) -> float:
    """Return the common line height in pixels, at least 1.

    It is above the median, as many lines have no ascenders or descenders.
    """
    heights = np.sort(boxes[:, 3] - boxes[:, 1])
    return max(1.0, float(heights[int(0.7 * (len(heights) - 1))]))


def _cut(page: Lines, chosen: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Split recursively at the longest gutter between columns."""
    band = find_band(page, chosen) if len(chosen) > 2 else None
    if band is None:
        return [chosen]
    parts = (band.above, *_sides(page, band), band.below)
    return [leaf for part in parts if len(part) for leaf in _cut(page, part)]


def _sides(page: Lines, band: Band) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the sides of a gutter in reading order: a narrow left column of notes comes last."""
    left, right = page.boxes[band.left], page.boxes[band.right]
    width, beside = (float(np.ptp(part[:, ::2])) for part in (left, right))
    if width < 0.4 * beside and len(left) < 0.5 * len(right):
        return band.right, band.left
    return band.left, band.right


def owners(boxes: Boxes, regions: Sequence[Region]) -> NDArray[np.intp]:
    """Return for every box the index of the smallest region that holds it, -1 for none.

    Args:
        boxes: (N, 4) boxes in pixels.
        regions: Regions; rules hold no boxes.
    """
    owner = np.full(len(boxes), -1)
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-6)
    sizes = [region.box.area for region in regions]
    for i in sorted(range(len(regions)), key=lambda i: -sizes[i]):
        if regions[i].kind == "rule":
            continue
        owner[shared_areas(regions[i].box, boxes) >= MIN_SHARE_INSIDE * area] = i
    return owner


def _pieces(page: _Page, chosen: NDArray[np.intp], height: float) -> list[list[int]]:
    """Join boxes of a row that are pieces of one line.

    Their distance is that of words, or a little more if lines right above and right below cross the
    gap, which therefore is no gutter; between sentences one such line is enough.
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


def _upright_rules(regions: Sequence[Region]) -> Boxes:
    boxes = [astuple(region.box) for region in regions if region.kind == "rule"]
    rules = np.array(boxes, np.float32).reshape(-1, 4)
    return rules[rules[:, 3] - rules[:, 1] > 4 * (rules[:, 2] - rules[:, 0])]
