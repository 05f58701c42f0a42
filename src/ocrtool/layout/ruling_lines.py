"""Ruling lines of tables in a page image, found by morphological filtering."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import DetectedLayout, FoundLine, Rule
from ocrtool.document.tree import Box

MIN_RULE_LENGTH = 40
"""Minimum length of a rule in pixels; strokes of letters are shorter."""
SUBSAMPLING = 4
"""Subsampling factor along a rule."""
CLOSING_LENGTH = 5
"""Length of the closing kernel that bridges gaps in a rule, in subsampled pixels."""
MAX_RULE_WIDTH = 14
"""Maximum width of a rule in pixels."""
MAX_SLOPE = 0.04
"""Maximum slope of a rule on a skewed page."""
MIN_CONTRAST = 14
"""Minimum contrast, in grey levels, of a rule against the paper beside it."""
MIN_HAIRLINE_CONTRAST = 4
"""Minimum contrast, in grey levels, of a hairline between its detected pieces."""
HAIRLINE_WINDOW = 17
"""Number of subsampled pixels over which the density of a hairline is measured."""
MIN_HAIRLINE_DENSITY = (0.75, 0.85)
"""Minimum share of faint pixels in that window, for horizontal and vertical rules; it is higher for
vertical ones because tables may stand closely below each other."""
MARGIN = 12
"""Margin, in pixels, around a table in which its outer rules may lie."""
LINE_MARGIN = 0.2
"""Maximum distance, in line heights, by which a stroke of a letter exceeds its text line."""
MIN_DETECTED_RULES = 4
"""Minimum number of rules found by the detector that suggest an undetected table."""
MIN_TABLE_RULES = 3
"""Minimum number of rules of a ruled table."""
END_TOLERANCE = 0.02
"""Maximum distance, in page widths, between the ends of horizontal rules of one table."""
MIN_TABLE_RULE_WIDTH = 0.12
"""Minimum length, in page widths, of the horizontal rules of a table that the detector missed."""


def table_rules(image: NDArray[np.uint8], layout: DetectedLayout) -> tuple[Rule, ...]:
    """Find the ruling lines of the tables of a page.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        layout: Detected layout of the page.

    Returns:
        Rules in pixels of the image; none where there seems to be no table. Where the detector
        finds no table, for example with thin and pale rules, some horizontal ones must have aligned
        ends.
    """
    areas = [region.box for region in layout.regions if region.kind == "table"]
    rules = [region.box for region in layout.regions if region.kind == "rule"]
    if len(rules) >= MIN_DETECTED_RULES:
        areas.append(Box.around(rules))
    height, width = image.shape[:2]
    page = Box(0, 0, width, height)  # tables are often found in part only
    figures = [region.box for region in layout.regions if region.kind == "figure"]
    if not areas:
        if len(layout.lines) < 2 * MIN_TABLE_RULES:
            return ()
        level = _outside_text(find_rules(image, page, (True,)), layout.lines)
        level = _aligned([rule for rule in level if not _contains(figures, rule)], width)
        if not level:
            return ()
        areas = [_around(level)]
        upright = _outside_text(find_rules(image, page, (False,)), layout.lines)
        return (*level, *(rule for rule in upright if _contains(areas, rule)))
    found = _outside_text(find_rules(image, page), layout.lines)
    found = [rule for rule in found if _contains(areas, rule) or not _contains(figures, rule)]
    return tuple(found) if len(found) >= MIN_TABLE_RULES else ()


def _aligned(rules: Sequence[Rule], width: int) -> list[Rule]:
    """Return the horizontal rules whose two ends align with those of enough others."""
    near = END_TOLERANCE * width
    long = [rule for rule in rules if rule.x1 - rule.x0 >= MIN_TABLE_RULE_WIDTH * width]
    return [
        rule
        for rule in long
        if sum(abs(rule.x0 - other.x0) < near and abs(rule.x1 - other.x1) < near for other in long)
        >= MIN_TABLE_RULES
    ]


def _around(rules: Sequence[Rule]) -> Box:
    ys = [y for rule in rules for y in (rule.y0, rule.y1)]
    return Box(min(rule.x0 for rule in rules), min(ys), max(rule.x1 for rule in rules), max(ys))


def find_rules(
    image: NDArray[np.uint8], box: Box, directions: Sequence[bool] = (True, False)
) -> list[Rule]:
    """Find the ruling lines in a part of an image.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        box: The part in pixels, upright except for a small skew.
        directions: Wanted orientations in order: True for horizontal, False for vertical.

    Returns:
        Rules in pixels of the image; their ends follow the skew of the page.
    """
    height, width = image.shape[:2]
    x0, y0 = max(0, int(box.x0) - MARGIN), max(0, int(box.y0) - MARGIN)
    x1, y1 = min(width, int(box.x1) + MARGIN), min(height, int(box.y1) + MARGIN)
    part = image[y0:y1, x0:x1]
    if min(part.shape[:2]) < MIN_RULE_LENGTH:
        return []
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) if part.ndim == 3 else part
    found: list[Rule] = []
    for level in directions:
        # Subsampling along the rule keeps rules whole, while strokes of letters get gaps.
        size = (
            (len(grey[0]) // SUBSAMPLING, len(grey))
            if level
            else (len(grey[0]), len(grey) // SUBSAMPLING)
        )
        small = cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST)
        # Across the rule there is paper on both sides.
        wide = (1, 2 * MAX_RULE_WIDTH + 1) if level else (2 * MAX_RULE_WIDTH + 1, 1)
        contrast = cv2.subtract(cv2.blur(small, wide), small)
        dark = cv2.threshold(contrast, MIN_CONTRAST, 1, cv2.THRESH_BINARY)[1]
        along = np.ones(
            (1, MIN_RULE_LENGTH // SUBSAMPLING) if level else (MIN_RULE_LENGTH // SUBSAMPLING, 1),
            np.uint8,
        )
        long = cv2.morphologyEx(dark, cv2.MORPH_OPEN, along)
        # Where rules cross there is no paper on either side.
        gap = np.ones((1, CLOSING_LENGTH) if level else (CLOSING_LENGTH, 1), np.uint8)
        long = cv2.morphologyEx(long, cv2.MORPH_CLOSE, gap)
        # A hairline is found in pieces; between them it is slightly darker than the paper.
        across, window = ((1, 3), (HAIRLINE_WINDOW, 1)) if level else ((3, 1), (1, HAIRLINE_WINDOW))
        faint = cv2.threshold(
            cv2.blur(contrast, across), MIN_HAIRLINE_CONTRAST, 255, cv2.THRESH_BINARY
        )[1]
        dense = cv2.threshold(
            cv2.blur(faint, window), 255 * MIN_HAIRLINE_DENSITY[not level], 1, cv2.THRESH_BINARY
        )[1]
        long = _extend_by_faint(np.asarray(long, np.uint8), np.asarray(dense, np.uint8))
        x, y = (SUBSAMPLING, 1) if level else (1, SUBSAMPLING)
        found += [
            Rule(r.x0 * x + x0, r.y0 * y + y0, r.x1 * x + x0, r.y1 * y + y0, r.width)
            for r in _strokes(np.asarray(long, np.uint8), level)
        ]
    return found


def _extend_by_faint(pieces: NDArray[np.uint8], faint: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return rule pieces extended by connected faint pixels (hysteresis)."""
    both = cv2.bitwise_or(pieces, faint)
    count, labels = cv2.connectedComponents(both, connectivity=8)
    sure = np.zeros(count, np.uint8)
    sure[labels[pieces > 0]] = 1
    sure[0] = 0
    return np.asarray(sure[labels], np.uint8)


def _strokes(ink: NDArray[np.uint8], level: bool) -> list[Rule]:
    """Return the long thin components of a mask as rules."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    found: list[Rule] = []
    for i in range(1, count):
        left, top, wide, high, area = stats[i].tolist()
        long, thin = (wide, high) if level else (high, wide)
        if thin > MAX_RULE_WIDTH + MAX_SLOPE * SUBSAMPLING * long:
            continue
        own = labels[top : top + high, left : left + wide] == i
        if level:
            places = [float(np.flatnonzero(own[:, k]).mean()) for k in (0, -1)]
            ends = (left, top + places[0], left + wide, top + places[1])
        else:
            places = [float(np.flatnonzero(own[k]).mean()) for k in (0, -1)]
            ends = (left + places[0], top, left + places[1], top + high)
        found.append(Rule(*ends, max(1.0, area / long)))
    return found


def _outside_text(rules: Sequence[Rule], lines: Sequence[FoundLine]) -> list[Rule]:
    """Drop strokes that lie within a text line."""
    if not lines:
        return list(rules)
    corners = np.array([line.quad for line in lines], np.float64)
    low, high = corners.min(axis=1), corners.max(axis=1)
    slack = LINE_MARGIN * (high - low).min(axis=1)[:, None]
    low, high = low - slack, high + slack
    return [
        rule
        for rule in rules
        if not (
            (low[:, 0] < rule.x0) & (high[:, 0] > rule.x1)
            & (low[:, 1] < min(rule.y0, rule.y1)) & (high[:, 1] > max(rule.y0, rule.y1))
        ).any()
    ]  # fmt: skip


def _contains(boxes: Sequence[Box], rule: Rule) -> bool:
    """Tell whether the centre of a rule lies in one of the boxes."""
    x, y = (rule.x0 + rule.x1) / 2, (rule.y0 + rule.y1) / 2
    return any(box.contains(x, y, MARGIN) for box in boxes)
