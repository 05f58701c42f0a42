"""Cells of ruled tables with ink in which the detector found no text line.

A detector misses single digits, or merges those of close rows into one line. The ruling lines tell
where such text must be.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import quad_boxes
from ocrtool.document.lines import DetectedLayout, FoundLine, Rule
from ocrtool.document.tree import Box

MAX_RULES = 400
"""Maximum number of ruling lines of a page; more are a drawing."""
MAX_JOINT_GAP = 10
"""Maximum gap between ruling lines that meet, in pixels."""
MIN_CELL_SIDE = 12
"""Minimum side of a cell, in pixels."""
RULE_MARGIN = 3
"""Distance from a ruling line, in pixels, up to which ink may belong to it."""
MAX_SAMPLED_LINES = 40
"""Maximum number of lines by which the contrast of the page's text is measured."""
MIN_INK_CONTRAST = 0.5
"""Minimum contrast of an ink pixel, relative to that of the page's text."""
MIN_INK_AREA = 0.02
"""Minimum area of a connected component of ink, in squared line heights."""
LINE_HEIGHTS = (0.4, 1.7)
"""Minimum and maximum height of a single text line, in line heights of the page."""
LINE_PADDING = 0.12
"""Margin round the ink of a line, in line heights."""
MIN_SHARED_HEIGHT = 0.35
"""Minimum height of the overlap of a line and a cell that holds it, in line heights."""


def missed_lines(
    image: NDArray[np.uint8], layout: DetectedLayout
) -> tuple[list[FoundLine], frozenset[int]]:
    """Find missed text in the cells of ruled tables.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8, upright except for a small skew.
        layout: Detected layout of the page.

    Returns:
        Possible lines that were not detected; and the indices of lines of the layout that extend
        over several rows of cells, which the former replace.
    """
    cells = cells_between(layout.rules)
    if not cells or not layout.lines:
        return [], frozenset()
    colour = image.ndim == 3
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if colour else image, np.uint8)
    heights = sorted(line.height for line in layout.lines)
    height = heights[len(heights) // 2]
    boxes = quad_boxes([line.quad for line in layout.lines])
    walls = np.array([(f.x0, f.y0, f.x1, f.y1) for f in cells])
    across = np.minimum(boxes[:, None, 2], walls[:, 2]) - np.maximum(boxes[:, None, 0], walls[:, 0])
    down = np.minimum(boxes[:, None, 3], walls[:, 3]) - np.maximum(boxes[:, None, 1], walls[:, 1])
    stands = (across > 0) & (down > MIN_SHARED_HEIGHT * height)  # (lines, cells)
    wrong = frozenset(i for i in range(len(boxes)) if _are_stacked(walls[stands[i]]))
    kept = [i for i in range(len(boxes)) if i not in wrong]
    contrast = _contrast(grey, boxes[kept][:: max(1, len(kept) // MAX_SAMPLED_LINES)])
    told = stands[kept].any(axis=0).tolist()
    empty = [cell for cell, text in zip(cells, told, strict=True) if not text]
    found = [_line(grey, cell, height, contrast) for cell in empty]
    return [line for line in found if line is not None], wrong


def cells_between(rules: Sequence[Rule]) -> list[Box]:
    """Return the cells that have a ruling line on all four sides, in pixels."""
    level = sorted((r for r in rules if r.level), key=lambda rule: rule.y0 + rule.y1)
    upright = sorted((r for r in rules if not r.level), key=lambda rule: rule.x0 + rule.x1)
    if len(rules) > MAX_RULES or len(level) < 2 or len(upright) < 2:
        return []
    found: list[Box] = []
    for (i, top), (j, left) in itertools.product(enumerate(level[:-1]), enumerate(upright[:-1])):
        corner = _x(left, top.y0), _y(top, left.x0)
        if not (_reaches(top, corner[0]) and _reaches(left, corner[1])):
            continue
        inside = corner[0] + MIN_CELL_SIDE, corner[1] + MIN_CELL_SIDE
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
            wide, high = RULE_MARGIN + left.width / 2, RULE_MARGIN + top.width / 2
            found.append(Box(x0 + wide, y0 + high, x1 - wide, y1 - high))
    return found


def _reaches(rule: Rule, place: float) -> bool:
    """Tell whether a rule extends to a position along its direction."""
    a, b = (rule.x0, rule.x1) if rule.level else (rule.y0, rule.y1)
    return a - MAX_JOINT_GAP <= place <= b + MAX_JOINT_GAP


def _y(rule: Rule, x: float) -> float:
    """Return the vertical position of a horizontal rule at a horizontal one."""
    return rule.y0 + (rule.y1 - rule.y0) * (x - rule.x0) / max(rule.x1 - rule.x0, 1e-6)


def _x(rule: Rule, y: float) -> float:
    return rule.x0 + (rule.x1 - rule.x0) * (y - rule.y0) / max(rule.y1 - rule.y0, 1e-6)


def _are_stacked(walls: NDArray[np.float64]) -> bool:
    """Tell whether one cell ends above the start of another."""
    return len(walls) > 1 and float(walls[:, 3].min()) < float(walls[:, 1].max())


def _contrast(grey: NDArray[np.uint8], boxes: NDArray[np.float64]) -> float:
    """Return the median contrast of paper and ink, in grey levels; negative on dark paper."""
    found: list[float] = []
    for x0, y0, x1, y1 in np.maximum(boxes, 0).astype(int).tolist():
        part = grey[y0:y1, x0:x1]
        if part.size:
            low, paper, high = np.percentile(part, (5, 60, 95))
            found.append(paper - low if paper - low >= high - paper else paper - high)
    return float(np.median(found)) if found else 0.0


def _line(grey: NDArray[np.uint8], cell: Box, height: float, contrast: float) -> FoundLine | None:
    """Return the text line of a cell; nothing if the cell seems to hold none or several."""
    x0, y0, x1, y1 = max(0, int(cell.x0)), max(0, int(cell.y0)), int(cell.x1), int(cell.y1)
    part = grey[y0:y1, x0:x1].astype(np.float32)
    if min(part.shape) < MIN_CELL_SIDE // 2 or abs(contrast) < 1:
        return None
    ink = (float(np.median(part)) - part) / contrast > MIN_INK_CONTRAST
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    pieces = [
        (left, top, left + wide, top + high)
        for left, top, wide, high, area in stats[1:].tolist()
        if area > MIN_INK_AREA * height**2
        and wide < 0.9 * part.shape[1]
        and high < LINE_HEIGHTS[1] * height
    ]
    if not pieces:
        return None
    own = np.array(pieces)
    low, high = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
    if not LINE_HEIGHTS[0] * height < high[1] - low[1] < LINE_HEIGHTS[1] * height:
        return None
    pad = LINE_PADDING * height
    a, b = float(x0 + low[0] - pad), float(x0 + high[0] + pad)
    c, d = float(y0 + low[1] - pad), float(y0 + high[1] + pad)
    return FoundLine(((a, c), (b, c), (b, d), (a, d)), 1.0)
