"""List bullets that a page draws as vector shapes instead of setting them as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ocrtool.document.tree import Box, Line, Word
from ocrtool.pdf.content import Flags, Floats, Vectors
from ocrtool.pdf.lines import DESCENT_EMS

BULLET_SIDE_POINTS = (1.2, 9.0)
"""Minimum and maximum side of a bullet shape, in points."""
BULLET_SIDE_EMS = (0.12, 0.62)
"""Minimum and maximum side of a bullet, in ems of the line beside it; larger squares are
checkboxes."""
BULLET_GAP_EMS = (0.08, 1.8)
"""Minimum and maximum gap between a bullet and its line, in ems."""
BULLET_RISE_EMS = (-0.05, 0.7)
"""Minimum and maximum height of a bullet's centre above the baseline, in ems."""
MAX_SMALL_SHAPES = 400
"""Maximum number of small shapes on a page; with more, the page is a drawing without bullets."""
DISC = "•"
"""Bullet of a filled round shape."""
CIRCLE = "◦"
"""Bullet of a stroked round shape."""
SQUARE = "▪"
"""Bullet of a filled square shape."""


@dataclass(frozen=True)
class _Bullet:
    sign: str
    box: Box
    color: int


def add_bullets(
    lines: Sequence[Line], vectors: Vectors, drawings: Sequence[Box], scale: float
) -> tuple[list[Line], list[Box]]:
    """Prepend drawn bullets to the lines that they stand before.

    Args:
        lines: Text lines of the page.
        vectors: Vector graphics of the page.
        drawings: Bounding boxes of charts and drawings, whose small shapes are no bullets.
        scale: Pixels per point.

    Returns:
        All lines, and the bounding boxes of the bullets in pixels.
    """
    marks = _find_bullets(vectors, scale)
    if not marks:
        return list(lines), []
    level = np.array([line.quad[0][1] == line.quad[1][1] for line in lines], bool)
    boxes = np.array([(*line.quad[0], *line.quad[2]) for line in lines]).reshape(-1, 4)
    size = np.array([max(line.size, 1e-6) for line in lines])
    placed: dict[int, _Bullet] = {}
    for mark in marks:
        x, y = mark.box.center_x, mark.box.center_y
        if any(area.x0 < x < area.x1 and area.y0 < y < area.y1 for area in drawings):
            continue
        i = _line_beside(mark.box, boxes, size, level)
        if i is not None and i not in placed:
            placed[i] = mark
    coloured = {mark.color for mark in placed.values() if _is_coloured(mark.color)}
    if not placed or len(coloured) > 1:  # several colours: the legend of a chart
        return list(lines), []
    found = [_with_bullet(line, placed[i]) if i in placed else line for i, line in enumerate(lines)]
    return found, [mark.box for mark in placed.values()]


def _find_bullets(vectors: Vectors, scale: float) -> list[_Bullet]:
    wide = vectors.boxes[:, 2] - vectors.boxes[:, 0]
    high = vectors.boxes[:, 3] - vectors.boxes[:, 1]
    least, most = (side * scale for side in BULLET_SIDE_POINTS)
    small = (np.minimum(wide, high) > least) & (np.maximum(wide, high) < most)
    small &= np.abs(wide - high) < 0.15 * high
    small &= ~(vectors.straight & vectors.stroked)
    chosen = np.flatnonzero(small)
    if len(chosen) > MAX_SMALL_SHAPES:
        return []
    marks: dict[tuple[int, ...], _Bullet] = {}
    for i in chosen.tolist():
        box = vectors.boxes[i].tolist()
        sign = SQUARE if vectors.straight[i] else CIRCLE if vectors.stroked[i] else DISC
        # A circle may be a white fill with a stroke around it: the later path is on top.
        marks[tuple(round(side / scale) for side in box)] = _Bullet(
            sign, Box(*box), int(vectors.color[i])
        )
    return list(marks.values())


def _line_beside(mark: Box, boxes: Floats, size: Floats, level: Flags) -> int | None:
    """Return the index of the line that a bullet belongs to, or None."""
    side, middle = mark.height, mark.center_y
    rise = (boxes[:, 3] - DESCENT_EMS * size - middle) / size
    row = level & (rise > BULLET_RISE_EMS[0]) & (rise < BULLET_RISE_EMS[1])
    gap = (boxes[:, 0] - mark.x1) / size
    fits = row & (gap > BULLET_GAP_EMS[0]) & (gap < BULLET_GAP_EMS[1])
    fits &= (side > BULLET_SIDE_EMS[0] * size) & (side < BULLET_SIDE_EMS[1] * size)
    # With text to its left on the same row, the shape is a symbol within a line.
    if not fits.any() or (row & (np.abs(boxes[:, 2] - mark.x0) < 0.8 * size)).any():
        return None
    return int(np.argmin(np.where(fits, gap, np.inf)))


def _is_coloured(color: int) -> bool:
    channels = color >> 16 & 255, color >> 8 & 255, color & 255
    return max(channels) - min(channels) > 48


def _with_bullet(line: Line, mark: _Bullet) -> Line:
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
