"""Marks of lists that are drawn, not set: browsers print discs, circles and squares as shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ocrtool.document.tree import Box, Line, Word
from ocrtool.pdf.content import Flags, Floats, Vectors
from ocrtool.pdf.lines import FOOT

POINTS_HIGH = (1.2, 9.0)
"""Least and greatest side of a mark in points."""
SIDE = (0.12, 0.62)
"""The same in ems of the line beside it; what is larger is a box to tick."""
GAP = (0.08, 1.8)
"""White between mark and line, in ems."""
LEVEL = (-0.05, 0.7)
"""How far above the feet of the letters the middle of a mark stands, in ems."""
MOST = 400
"""Small shapes on a page; of more it is a drawing."""
DISC, CIRCLE, SQUARE = "•", "◦", "▪"


@dataclass(frozen=True)
class _Mark:
    sign: str
    box: Box
    color: int


def with_marks(
    lines: Sequence[Line], vectors: Vectors, drawings: Sequence[Box], scale: float
) -> tuple[list[Line], list[Box]]:
    """Put drawn marks before the lines that they stand beside.

    Args:
        lines: Of a page.
        vectors: What is drawn on it.
        drawings: Places of charts and the like, whose small shapes mean something else.
        scale: Pixels a point.

    Returns:
        The lines, and the places of the marks.
    """
    marks = _marks(vectors, scale)
    if not marks:
        return list(lines), []
    level = np.array([line.quad[0][1] == line.quad[1][1] for line in lines], bool)
    boxes = np.array([(*line.quad[0], *line.quad[2]) for line in lines]).reshape(-1, 4)
    size = np.array([max(line.size, 1e-6) for line in lines])
    placed: dict[int, _Mark] = {}
    for mark in marks:
        x, y = (mark.box.x0 + mark.box.x1) / 2, (mark.box.y0 + mark.box.y1) / 2
        if any(area.x0 < x < area.x1 and area.y0 < y < area.y1 for area in drawings):
            continue
        i = _beside(mark.box, boxes, size, level)
        if i is not None and i not in placed:
            placed[i] = mark
    coloured = {mark.color for mark in placed.values() if _is_coloured(mark.color)}
    if not placed or len(coloured) > 1:  # the key of a chart
        return list(lines), []
    found = [_marked(line, placed[i]) if i in placed else line for i, line in enumerate(lines)]
    return found, [mark.box for mark in placed.values()]


def _marks(vectors: Vectors, scale: float) -> list[_Mark]:
    wide = vectors.boxes[:, 2] - vectors.boxes[:, 0]
    high = vectors.boxes[:, 3] - vectors.boxes[:, 1]
    least, most = (side * scale for side in POINTS_HIGH)
    small = (np.minimum(wide, high) > least) & (np.maximum(wide, high) < most)
    small &= np.abs(wide - high) < 0.15 * high
    small &= ~(vectors.straight & vectors.stroked)
    chosen = np.flatnonzero(small)
    if len(chosen) > MOST:
        return []
    marks: dict[tuple[int, ...], _Mark] = {}
    for i in chosen.tolist():
        box = vectors.boxes[i].tolist()
        sign = SQUARE if vectors.straight[i] else CIRCLE if vectors.stroked[i] else DISC
        # A ring may be a white area with a stroke round it: the later is on top.
        marks[tuple(round(side / scale) for side in box)] = _Mark(
            sign, Box(*box), int(vectors.color[i])
        )
    return list(marks.values())


def _beside(mark: Box, boxes: Floats, size: Floats, level: Flags) -> int | None:
    """Return the number of the line that a mark stands before."""
    side, middle = mark.y1 - mark.y0, (mark.y0 + mark.y1) / 2
    rise = (boxes[:, 3] - FOOT * size - middle) / size
    row = level & (rise > LEVEL[0]) & (rise < LEVEL[1])
    gap = (boxes[:, 0] - mark.x1) / size
    fits = row & (gap > GAP[0]) & (gap < GAP[1])
    fits &= (side > SIDE[0] * size) & (side < SIDE[1] * size)
    # Text before the mark on its row: it is a sign within a line.
    if not fits.any() or (row & (np.abs(boxes[:, 2] - mark.x0) < 0.8 * size)).any():
        return None
    return int(np.argmin(np.where(fits, gap, np.inf)))


def _is_coloured(color: int) -> bool:
    channels = color >> 16 & 255, color >> 8 & 255, color & 255
    return max(channels) - min(channels) > 48


def _marked(line: Line, mark: _Mark) -> Line:
    (_, y0), (x1, _), (_, y1), _ = line.quad
    left, right = mark.box.x0, mark.box.x1
    word = Word(mark.sign, 1.0, ((left, y0), (right, y0), (right, y1), (left, y1)))
    step = len(mark.sign) + 1
    return replace(
        line,
        text=f"{mark.sign} {line.text}",
        quad=((left, y0), (x1, y0), (x1, y1), (left, y1)),
        words=(word, *line.words),
        spans=tuple(
            replace(span, start=span.start + step, end=span.end + step) for span in line.spans
        ),
    )
