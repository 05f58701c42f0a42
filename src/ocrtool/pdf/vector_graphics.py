"""What is drawn on a page of a PDF: rules, shaded areas, and pictures made of lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import Rule
from ocrtool.document.tree import Box
from ocrtool.pdf.content import Flags, Floats, Vectors

THIN = 3.5 / 72
"""Inches up to which a bar is a rule."""
LONG = 4.0
"""Least length of a rule, in its own widths."""
LEAST_RULE = 4.0 / 72
"""Inches; what is shorter is part of a sign."""
TOUCH = 1.0 / 72
"""Inches between pieces that are one rule."""
CELL = 5.0 / 72
"""Inches; parts of one drawing stand no further apart than this."""
LEAST_DRAWING = 0.4
"""Inches, of its shorter side."""
CURVES = 3
"""Pieces that are neither level nor upright, from which a drawing is more than a frame."""
BARS = 4
"""Areas without text from which they are a chart."""
TEXT_SHARE = 0.2
"""Of a drawing that text covers; where it is more, it is text with a frame."""
BACKGROUND = 0.8
"""Share of the page that an area covers which is its ground."""
MOST_RULES = 4000


@dataclass(frozen=True)
class DrawnPath:
    """What is drawn on a page; boxes in pixels, origin top left."""

    rules: tuple[Rule, ...]
    fills: tuple[Box, ...]
    drawings: tuple[Box, ...]


def drawn_of(vectors: Vectors, texts: Floats, size: tuple[int, int], dpi: float) -> DrawnPath:
    """Tell rules, areas and drawings apart.

    Args:
        vectors: What is drawn.
        texts: (N, 4) boxes of letters or words.
        size: Width and height of the page in pixels.
        dpi: Pixels an inch.
    """
    boxes = np.clip(vectors.boxes, 0, [*size, *size])
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    thin, thick = np.minimum(wide, high), np.maximum(wide, high)
    ground = (wide >= BACKGROUND * size[0]) & (high >= BACKGROUND * size[1])
    white = _is_white(vectors.color)
    area = vectors.straight & ~vectors.stroked & (thin > THIN * dpi)
    fill = area & ~ground & ~white
    fills = boxes[fill]
    bar = vectors.straight & (thin <= THIN * dpi) & (thick >= LEAST_RULE * dpi)
    bar &= thick >= LONG * np.minimum(thin, 1.0 * dpi / 72)
    if (bar & white).any() and len(fills):
        middles = np.stack((boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]), axis=1) / 2
        bar &= ~white | _inside_any(middles, fills)
    else:
        bar &= ~white
    frame = vectors.straight & vectors.stroked & (thin > THIN * dpi) & ~white
    pieces = np.concatenate((boxes[bar], _sides(boxes[frame])))
    rules = _joined(pieces[:MOST_RULES], TOUCH * dpi)
    curved = ~vectors.straight & ~ground & ~white & (thick > 1)
    drawings = _drawings(boxes, curved, fill, bar | frame, texts, size, dpi)
    return DrawnPath(
        tuple(rules),
        tuple(Box(*box) for box in fills.tolist()),
        tuple(Box(*box) for box in drawings),
    )


def _is_white(color: NDArray[np.int64]) -> Flags:
    channels = np.stack((color >> 16 & 255, color >> 8 & 255, color & 255))
    return np.asarray(channels.min(axis=0) >= 250)


def _inside_any(points: Floats, areas: Floats) -> Flags:
    inside = np.zeros(len(points), bool)
    for x0, y0, x1, y1 in areas.tolist():
        inside |= (
            (points[:, 0] > x0) & (points[:, 0] < x1) & (points[:, 1] > y0) & (points[:, 1] < y1)
        )
    return inside


def _sides(frames: Floats) -> Floats:
    """Return the four sides of frames, as bars without width."""
    x0, y0, x1, y1 = frames.T
    return np.concatenate(
        [
            np.stack(side, axis=1)
            for side in ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1))
        ]
    )


def _joined(bars: Floats, touch: float) -> list[Rule]:
    """Return bars as rules; those that go on in each other, as the borders of cells, as one."""
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
    """Return the places of what is drawn of many parts: charts, maps, logos."""
    if curved.sum() < CURVES and fill.sum() < BARS:
        return []
    cell = CELL * dpi
    shape = math.ceil(size[1] / cell) + 1, math.ceil(size[0] / cell) + 1
    painted = np.zeros(shape, np.uint8)
    parts = curved | fill | ruled
    cells = (boxes / cell).astype(np.int64)
    for x0, y0, x1, y1 in np.unique(cells[parts], axis=0).tolist():
        painted[y0 : y1 + 1, x0 : x1 + 1] = 1
    count, labels = cv2.connectedComponents(painted, connectivity=8)
    middle = ((cells[:, :2] + cells[:, 2:]) // 2)[parts]
    of = labels[middle[:, 1], middle[:, 0]]
    # An open shape may have its middle in the white; then its corner tells.
    of = np.where(of == 0, labels[cells[parts, 1], cells[parts, 0]], of)
    kinds = np.stack((curved[parts], fill[parts]), axis=1)
    own = boxes[parts]
    found: list[list[float]] = []
    for label in range(1, count):
        chosen = of == label
        curves, fills = kinds[chosen].sum(axis=0).tolist()
        if curves < CURVES and fills < BARS:
            continue
        x0, y0 = own[chosen][:, :2].min(axis=0).tolist()
        x1, y1 = own[chosen][:, 2:].max(axis=0).tolist()
        if min(x1 - x0, y1 - y0) < LEAST_DRAWING * dpi:
            continue
        if _text_share(texts, (x0, y0, x1, y1)) > TEXT_SHARE:
            continue
        if curves < CURVES and not _is_chart(own[chosen & fill[parts]], texts):
            continue
        found.append([x0, y0, x1, y1])
    return _apart(found)


def _text_share(texts: Floats, area: tuple[float, float, float, float]) -> float:
    x0, y0, x1, y1 = area
    wide = np.minimum(texts[:, 2], x1) - np.maximum(texts[:, 0], x0)
    high = np.minimum(texts[:, 3], y1) - np.maximum(texts[:, 1], y0)
    covered = (np.maximum(wide, 0) * np.maximum(high, 0)).sum()
    return float(covered / max((x1 - x0) * (y1 - y0), 1.0))


def _is_chart(fills: Floats, texts: Floats) -> bool:
    """Tell the bars of a chart from the shaded cells of a table: they are of many sizes, empty."""
    bare = [
        box
        for box in fills.tolist()
        if _text_share(texts, (box[0], box[1], box[2], box[3])) < TEXT_SHARE / 4
    ]
    if len(bare) < BARS or len(bare) < 0.7 * len(fills):
        return False
    sizes = np.array([(x1 - x0, y1 - y0) for x0, y0, x1, y1 in bare])
    return min(len(np.unique(np.round(side / 3))) for side in sizes.T) >= 1 and (
        max(len(np.unique(np.round(side / 3))) for side in sizes.T) >= BARS - 1
    )


def _apart(areas: list[list[float]]) -> list[list[float]]:
    """Put areas together that overlap."""
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
