"""Vector graphics of a PDF page classified into rules, fills and drawings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import points_inside, shared_areas
from ocrtool.document.lines import Rule
from ocrtool.document.tree import Box
from ocrtool.pdf.content import Flags, Floats, Vectors

MAX_RULE_WIDTH = 3.5 / 72
"""Maximum width of a rule, in inches."""
MIN_RULE_ASPECT = 4.0
"""Minimum length of a rule, in its own widths."""
MIN_RULE_LENGTH = 4.0 / 72
"""Minimum length of a rule, in inches; shorter bars are parts of symbols."""
MAX_JOIN_GAP = 1.0 / 72
"""Maximum gap between pieces of one rule, in inches."""
DRAWING_CELL = 5.0 / 72
"""Cell side, in inches, of the grid on which adjacent parts are joined into a drawing."""
MIN_DRAWING_SIDE = 0.4
"""Minimum shorter side of a drawing, in inches."""
MIN_CURVES = 3
"""Minimum number of paths that are neither horizontal nor vertical in a drawing; with fewer it is a
frame."""
MIN_BARS = 4
"""Minimum number of fills without text in a bar chart."""
MAX_TEXT_SHARE = 0.2
"""Maximum share of a drawing's area covered by text; with more it is framed text."""
MIN_BACKGROUND_SHARE = 0.8
"""Minimum share of the page's width and height that a page background covers."""
MAX_RULES = 4000
"""Maximum number of rule pieces of a page that are joined."""


@dataclass(frozen=True)
class PageGraphics:
    """Classified vector graphics of a page; boxes in pixels, origin top left."""

    rules: tuple[Rule, ...]
    fills: tuple[Box, ...]
    drawings: tuple[Box, ...]


def classify_vectors(
    vectors: Vectors, texts: Floats, size: tuple[int, int], dpi: float
) -> PageGraphics:
    """Classify vector graphics into rules, fills and drawings.

    Args:
        vectors: Vector graphics of the page.
        texts: (N, 4) bounding boxes of characters or words.
        size: Width and height of the page in pixels.
        dpi: Resolution in pixels per inch.
    """
    boxes = np.clip(vectors.boxes, 0, [*size, *size])
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    thin, thick = np.minimum(wide, high), np.maximum(wide, high)
    ground = (wide >= MIN_BACKGROUND_SHARE * size[0]) & (high >= MIN_BACKGROUND_SHARE * size[1])
    white = _is_white(vectors.color)
    area = vectors.straight & ~vectors.stroked & (thin > MAX_RULE_WIDTH * dpi)
    fill = area & ~ground & ~white
    fills = boxes[fill]
    bar = vectors.straight & (thin <= MAX_RULE_WIDTH * dpi) & (thick >= MIN_RULE_LENGTH * dpi)
    bar &= thick >= MIN_RULE_ASPECT * np.minimum(thin, 1.0 * dpi / 72)
    if (bar & white).any() and len(fills):
        middles = np.stack((boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]), axis=1) / 2
        bar &= ~white | _inside_any(middles, fills)
    else:
        bar &= ~white
    frame = vectors.straight & vectors.stroked & (thin > MAX_RULE_WIDTH * dpi) & ~white
    pieces = np.concatenate((boxes[bar], _sides(boxes[frame])))
    rules = _join_bars(pieces[:MAX_RULES], MAX_JOIN_GAP * dpi)
    curved = ~vectors.straight & ~ground & ~white & (thick > 1)
    drawings = _drawings(boxes, curved, fill, bar | frame, texts, size, dpi)
    return PageGraphics(
        tuple(rules),
        tuple(Box(*box) for box in fills.tolist()),
        tuple(Box(*box) for box in drawings),
    )


def _is_white(color: NDArray[np.int64]) -> Flags:
    channels = np.stack((color >> 16 & 255, color >> 8 & 255, color & 255))
    return np.asarray(channels.min(axis=0) >= 250)


def _inside_any(points: Floats, areas: Floats) -> Flags:
    inside = np.zeros(len(points), bool)
    for area in areas.tolist():
        inside |= points_inside(points, Box(*area))
    return inside


def _sides(frames: Floats) -> Floats:
    """Return the four sides of rectangles as bars of zero width."""
    x0, y0, x1, y1 = frames.T
    return np.concatenate(
        [
            np.stack(side, axis=1)
            for side in ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1))
        ]
    )


def _join_bars(bars: Floats, touch: float) -> list[Rule]:
    """Return bars as rules; collinear bars that touch, such as cell borders, become one."""
    wide, high = bars[:, 2] - bars[:, 0], bars[:, 3] - bars[:, 1]
    level = wide >= high
    rules: list[Rule] = []
    for along in (True, False):
        some = bars[level == along]
        if not along:
            some = some[:, [1, 0, 3, 2]]  # now its length runs along x
        place = (some[:, 1] + some[:, 3]) / 2
        width = some[:, 3] - some[:, 1]
        open_: list[list[float]] = []  # start, place, end, width
        order = np.lexsort((some[:, 0], np.round(place / touch)))
        for k in order.tolist():
            x0, x1, y, w = some[k, 0], some[k, 2], place[k], width[k]
            for rule in open_[-2:]:
                if abs(rule[1] - y) <= touch and x0 <= rule[2] + touch and x1 >= rule[0] - touch:
                    rule[0], rule[2] = min(rule[0], x0), max(rule[2], x1)
                    rule[3] = max(rule[3], w)
                    break
            else:
                open_.append([float(x0), float(y), float(x1), float(w)])
        for x0, y, x1, w in open_:
            rules.append(Rule(x0, y, x1, y, w) if along else Rule(y, x0, y, x1, w))
    return rules


def _drawings(
    boxes: Floats,
    curved: Flags,
    fill: Flags,
    ruled: Flags,
    texts: Floats,
    size: tuple[int, int],
    dpi: float,
) -> list[list[float]]:
    """Return the bounding boxes of drawings of many parts: charts, maps, logos."""
    if curved.sum() < MIN_CURVES and fill.sum() < MIN_BARS:
        return []
    cell = DRAWING_CELL * dpi
    shape = math.ceil(size[1] / cell) + 1, math.ceil(size[0] / cell) + 1
    painted = np.zeros(shape, np.uint8)
    parts = curved | fill | ruled
    cells = (boxes / cell).astype(np.int64)
    for x0, y0, x1, y1 in np.unique(cells[parts], axis=0).tolist():
        painted[y0 : y1 + 1, x0 : x1 + 1] = 1
    count, labels = cv2.connectedComponents(painted, connectivity=8)
    middle = ((cells[:, :2] + cells[:, 2:]) // 2)[parts]
    of = labels[middle[:, 1], middle[:, 0]]
    # The centre of an open shape may lie on an empty cell; then its corner gives the label.
    of = np.where(of == 0, labels[cells[parts, 1], cells[parts, 0]], of)
    kinds = np.stack((curved[parts], fill[parts]), axis=1)
    own = boxes[parts]
    found: list[list[float]] = []
    for label in range(1, count):
        chosen = of == label
        curves, fills = kinds[chosen].sum(axis=0).tolist()
        if curves < MIN_CURVES and fills < MIN_BARS:
            continue
        x0, y0 = own[chosen][:, :2].min(axis=0).tolist()
        x1, y1 = own[chosen][:, 2:].max(axis=0).tolist()
        if min(x1 - x0, y1 - y0) < MIN_DRAWING_SIDE * dpi:
            continue
        if _text_share(texts, Box(x0, y0, x1, y1)) > MAX_TEXT_SHARE:
            continue
        if curves < MIN_CURVES and not _is_chart(own[chosen & fill[parts]], texts):
            continue
        found.append([x0, y0, x1, y1])
    return _merge_overlapping(found)


def _text_share(texts: Floats, area: Box) -> float:
    """Return the share of an area that is covered by text boxes."""
    return float(shared_areas(area, texts).sum() / max(area.area, 1.0))


def _is_chart(fills: Floats, texts: Floats) -> bool:
    """Tell whether fills are bars of a chart (of many sizes, empty) and not cells of a table."""
    bare = [box for box in fills.tolist() if _text_share(texts, Box(*box)) < MAX_TEXT_SHARE / 4]
    if len(bare) < MIN_BARS or len(bare) < 0.7 * len(fills):
        return False
    sizes = np.array([(x1 - x0, y1 - y0) for x0, y0, x1, y1 in bare])
    return min(len(np.unique(np.round(side / 3))) for side in sizes.T) >= 1 and (
        max(len(np.unique(np.round(side / 3))) for side in sizes.T) >= MIN_BARS - 1
    )


def _merge_overlapping(areas: list[list[float]]) -> list[list[float]]:
    """Merge overlapping areas."""
    merged: list[list[float]] = []
    for area in sorted(areas, key=lambda a: -(a[2] - a[0]) * (a[3] - a[1])):
        for other in merged:
            if (
                area[0] < other[2] and area[2] > other[0]
                and area[1] < other[3] and area[3] > other[1]
            ):  # fmt: skip
                other[0], other[1] = min(area[0], other[0]), min(area[1], other[1])
                other[2], other[3] = max(area[2], other[2]), max(area[3], other[3])
                break
        else:
            merged.append(list(area))
    return merged
