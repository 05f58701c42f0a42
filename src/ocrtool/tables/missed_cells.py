"""Fields between the rules of a table that hold ink but no line of text that was found.

A detector passes over lone digits, or takes those of rows that stand close below each other for
one line. Where rules wall off each field, they tell where such text must be.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import DetectedLayout, FoundLine, Rule
from ocrtool.document.tree import Box

MOST = 400
"""Rules from which a drawing is no table."""
MEETING = 10
"""Pixels between rules that meet, at most: their ends are found to a few."""
LEAST_SIDE = 12
"""Pixels, of a field."""
MARGIN = 3
"""Pixels beside a rule that may be of it."""
SAMPLE = 40
"""Lines whose contrast is looked at."""
DARK = 0.5
"""Share of the contrast of the page's text from which a pixel is ink."""
SPECK = 0.02
"""Least area of a piece of ink, in squares of the height of a line."""
HIGH = (0.4, 1.7)
"""Least and greatest height of what may be one line, in heights of the page's lines."""
PADDING = 0.12
"""White round a line, in heights of one."""
SHARED = 0.35
"""Height that a line shares with a field that it stands in, in heights of a line, at least."""


def missed_lines(
    image: NDArray[np.uint8], layout: DetectedLayout
) -> tuple[list[FoundLine], frozenset[int]]:
    """Find the text in the fields of a grid that was passed over.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8, upright but for a little skew.
        layout: What was found on it.

    Returns:
        Where lines may be that were not found; and the indices of lines of the layout that reach
        over several fields below each other, in which the others stand.
    """
    fields = fields_between(layout.rules)
    if not fields or not layout.lines:
        return [], frozenset()
    colour = image.ndim == 3
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if colour else image, np.uint8)
    heights = sorted(line.height for line in layout.lines)
    height = heights[len(heights) // 2]
    boxes = _boxes(layout.lines)
    walls = np.array([(f.x0, f.y0, f.x1, f.y1) for f in fields])
    across = np.minimum(boxes[:, None, 2], walls[:, 2]) - np.maximum(boxes[:, None, 0], walls[:, 0])
    down = np.minimum(boxes[:, None, 3], walls[:, 3]) - np.maximum(boxes[:, None, 1], walls[:, 1])
    stands = (across > 0) & (down > SHARED * height)  # (lines, fields)
    wrong = frozenset(i for i in range(len(boxes)) if _below_each_other(walls[stands[i]]))
    kept = [i for i in range(len(boxes)) if i not in wrong]
    contrast = _contrast(grey, boxes[kept][:: max(1, len(kept) // SAMPLE)])
    told = stands[kept].any(axis=0).tolist()
    empty = [field for field, text in zip(fields, told, strict=True) if not text]
    found = [_line(grey, field, height, contrast) for field in empty]
    return [line for line in found if line is not None], wrong


def fields_between(rules: Sequence[Rule]) -> list[Box]:
    """Return the fields that have a rule on all four sides, in pixels.

    Args:
        rules: Of a page, in pixels.
    """
    level = sorted((r for r in rules if r.level), key=lambda rule: rule.y0 + rule.y1)
    upright = sorted((r for r in rules if not r.level), key=lambda rule: rule.x0 + rule.x1)
    if len(rules) > MOST or len(level) < 2 or len(upright) < 2:
        return []
    found: list[Box] = []
    for (i, top), (j, left) in itertools.product(enumerate(level[:-1]), enumerate(upright[:-1])):
        corner = _x(left, top.y0), _y(top, left.x0)
        if not (_reaches(top, corner[0]) and _reaches(left, corner[1])):
            continue
        inside = corner[0] + LEAST_SIDE, corner[1] + LEAST_SIDE
        below = [r for r in level[i + 1 :] if _y(r, inside[0]) > inside[1]]
        beside = [r for r in upright[j + 1 :] if _x(r, inside[1]) > inside[0]]
        low = next((r for r in below if _reaches(r, inside[0])), None)
        right = next((r for r in beside if _reaches(r, inside[1])), None)
        if low is None or right is None:
            continue
        x, y = (corner[0] + _x(right, inside[1])) / 2, (corner[1] + _y(low, inside[0])) / 2
        x0, x1, y0, y1 = _x(left, y), _x(right, y), _y(top, x), _y(low, x)
        if all((_reaches(top, x1), _reaches(low, x0), _reaches(low, x1),
                _reaches(left, y1), _reaches(right, y0), _reaches(right, y1))):  # fmt: skip
            wide, high = MARGIN + left.width / 2, MARGIN + top.width / 2
            found.append(Box(x0 + wide, y0 + high, x1 - wide, y1 - high))
    return found


def _reaches(rule: Rule, place: float) -> bool:
    """Tell whether a rule stands beside a place along it."""
    a, b = (rule.x0, rule.x1) if rule.level else (rule.y0, rule.y1)
    return a - MEETING <= place <= b + MEETING


def _y(rule: Rule, x: float) -> float:
    """Return how far down a level rule stands at a place along it."""
    return rule.y0 + (rule.y1 - rule.y0) * (x - rule.x0) / max(rule.x1 - rule.x0, 1e-6)


def _x(rule: Rule, y: float) -> float:
    return rule.x0 + (rule.x1 - rule.x0) * (y - rule.y0) / max(rule.y1 - rule.y0, 1e-6)


def _boxes(lines: Sequence[FoundLine]) -> NDArray[np.float64]:
    corners = np.array([line.quad for line in lines], np.float64)
    return np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)


def _below_each_other(walls: NDArray[np.float64]) -> bool:
    """Tell whether there are fields one of which ends where another begins."""
    return len(walls) > 1 and float(walls[:, 3].min()) < float(walls[:, 1].max())


def _contrast(grey: NDArray[np.uint8], boxes: NDArray[np.float64]) -> float:
    """Return the usual difference between paper and ink, in grey levels; below 0 on dark paper."""
    found: list[float] = []
    for x0, y0, x1, y1 in np.maximum(boxes, 0).astype(int).tolist():
        part = grey[y0:y1, x0:x1]
        if part.size:
            low, paper, high = np.percentile(part, (5, 60, 95))
            found.append(paper - low if paper - low >= high - paper else paper - high)
    return float(np.median(found)) if found else 0.0


def _line(grey: NDArray[np.uint8], field: Box, height: float, contrast: float) -> FoundLine | None:
    """Return where a line of text may stand in a field; nothing where it holds none, or several."""
    x0, y0, x1, y1 = max(0, int(field.x0)), max(0, int(field.y0)), int(field.x1), int(field.y1)
    part = grey[y0:y1, x0:x1].astype(np.float32)
    if min(part.shape) < LEAST_SIDE // 2 or abs(contrast) < 1:
        return None
    ink = (float(np.median(part)) - part) / contrast > DARK
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    pieces = [
        (left, top, left + wide, top + high)
        for left, top, wide, high, area in stats[1:].tolist()
        if area > SPECK * height**2 and wide < 0.9 * part.shape[1] and high < HIGH[1] * height
    ]
    if not pieces:
        return None
    own = np.array(pieces)
    low, high = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
    if not HIGH[0] * height < high[1] - low[1] < HIGH[1] * height:
        return None
    pad = PADDING * height
    a, b = float(x0 + low[0] - pad), float(x0 + high[0] + pad)
    c, d = float(y0 + low[1] - pad), float(y0 + high[1] + pad)
    return FoundLine(((a, c), (b, c), (b, d), (a, d)), 1.0)
