"""Rules of tables in the picture of a page: long thin strokes, found by morphology."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import DetectedLayout, FoundLine, Rule
from ocrtool.document.tree import Box

LEAST = 40
"""Pixels; no stroke of a letter is as long."""
SHRUNK = 4
"""Pixels along a rule of which one is looked at."""
GAP = 5
"""The same of a gap in a rule, and one."""
THICK = 14
"""Pixels, of the thickest rule."""
SLOPE = 0.04
"""Rise of a rule on a page that lies askew, over its length."""
CONTRAST = 14
"""Grey levels between a rule and the paper beside it."""
FAINT, FAINT_LENGTH, DENSE = 4, 17, (0.75, 0.85)
"""Least grey levels of a hairline between the pieces that are found of it; over how many looks;
and at what share of them, of level and of upright ones: upright, tables stand close below each
other."""
MARGIN = 12
"""Pixels around a table in which its outer rules may lie."""
SPARE = 0.2
"""How far a stroke of a letter may reach beyond the line that it is in, in heights of the line."""
FEW = 4
"""Rules found by the detector from which a page may have a table that it did not find."""
ENOUGH = 3
"""Rules without which nothing is ruled."""
ALIKE, WIDE = 0.02, 0.12
"""How far the ends of level rules of one table lie apart, and how long they are at least, in widths
of the page."""


def table_rules(image: NDArray[np.uint8], layout: DetectedLayout) -> tuple[Rule, ...]:
    """Find the rules of the tables of a page.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        layout: What was found on it.

    Returns:
        Rules in pixels of the image; none where there seems to be no table. Where the detector
        sees none, as where rules are thin and pale, some level ones must begin and end alike.
    """
    areas = [region.box for region in layout.regions if region.kind == "table"]
    rules = [region.box for region in layout.regions if region.kind == "rule"]
    if len(rules) >= FEW:
        areas.append(Box(min(box.x0 for box in rules), min(box.y0 for box in rules),
                         max(box.x1 for box in rules), max(box.y1 for box in rules)))  # fmt: skip
    height, width = image.shape[:2]
    page = Box(0, 0, width, height)  # tables are often found in part only
    figures = [region.box for region in layout.regions if region.kind == "figure"]
    if not areas:
        if len(layout.lines) < 2 * ENOUGH:
            return ()
        level = _not_of_letters(rules_in(image, page, (True,)), layout.lines)
        level = _alike([rule for rule in level if not _holds(figures, rule)], width)
        if not level:
            return ()
        areas = [_around(level)]
        upright = _not_of_letters(rules_in(image, page, (False,)), layout.lines)
        return (*level, *(rule for rule in upright if _holds(areas, rule)))
    found = _not_of_letters(rules_in(image, page), layout.lines)
    found = [rule for rule in found if _holds(areas, rule) or not _holds(figures, rule)]
    return tuple(found) if len(found) >= ENOUGH else ()


def _alike(rules: Sequence[Rule], width: int) -> list[Rule]:
    """Return the level rules that begin and end where enough others do."""
    near = ALIKE * width
    long = [rule for rule in rules if rule.x1 - rule.x0 >= WIDE * width]
    return [
        rule
        for rule in long
        if sum(abs(rule.x0 - other.x0) < near and abs(rule.x1 - other.x1) < near for other in long)
        >= ENOUGH
    ]


def _around(rules: Sequence[Rule]) -> Box:
    ys = [y for rule in rules for y in (rule.y0, rule.y1)]
    return Box(min(rule.x0 for rule in rules), min(ys), max(rule.x1 for rule in rules), max(ys))


def rules_in(
    image: NDArray[np.uint8], box: Box, directions: Sequence[bool] = (True, False)
) -> list[Rule]:
    """Find the rules in a part of a picture.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        box: The part, in pixels, upright but for a little skew.
        directions: Whether level ones (true), upright ones (false), or both are wanted, in order.

    Returns:
        Rules in pixels of the image; their ends lie as the page does.
    """
    height, width = image.shape[:2]
    x0, y0 = max(0, int(box.x0) - MARGIN), max(0, int(box.y0) - MARGIN)
    x1, y1 = min(width, int(box.x1) + MARGIN), min(height, int(box.y1) + MARGIN)
    part = image[y0:y1, x0:x1]
    if min(part.shape[:2]) < LEAST:
        return []
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) if part.ndim == 3 else part
    found: list[Rule] = []
    for level in directions:
        # Along a rule every few pixels tell as much as all; letters leave gaps at some of them.
        size = (len(grey[0]) // SHRUNK, len(grey)) if level else (len(grey[0]), len(grey) // SHRUNK)
        small = cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST)
        # Across it the paper is on both sides.
        wide = (1, 2 * THICK + 1) if level else (2 * THICK + 1, 1)
        contrast = cv2.subtract(cv2.blur(small, wide), small)
        dark = cv2.threshold(contrast, CONTRAST, 1, cv2.THRESH_BINARY)[1]
        along = np.ones((1, LEAST // SHRUNK) if level else (LEAST // SHRUNK, 1), np.uint8)
        long = cv2.morphologyEx(dark, cv2.MORPH_OPEN, along)
        # Where rules cross there is no paper on either side.
        gap = np.ones((1, GAP) if level else (GAP, 1), np.uint8)
        long = cv2.morphologyEx(long, cv2.MORPH_CLOSE, gap)
        # A hairline is found in pieces; between them it is still a little darker than the paper.
        across, window = ((1, 3), (FAINT_LENGTH, 1)) if level else ((3, 1), (1, FAINT_LENGTH))
        faint = cv2.threshold(cv2.blur(contrast, across), FAINT, 255, cv2.THRESH_BINARY)[1]
        dense = cv2.threshold(
            cv2.blur(faint, window), 255 * DENSE[not level], 1, cv2.THRESH_BINARY
        )[1]
        long = _grown(np.asarray(long, np.uint8), np.asarray(dense, np.uint8))
        x, y = (SHRUNK, 1) if level else (1, SHRUNK)
        found += [
            Rule(r.x0 * x + x0, r.y0 * y + y0, r.x1 * x + x0, r.y1 * y + y0, r.width)
            for r in _strokes(np.asarray(long, np.uint8), level)
        ]
    return found


def _grown(pieces: NDArray[np.uint8], faint: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pieces of rules with what is faint between and beside them."""
    both = cv2.bitwise_or(pieces, faint)
    count, labels = cv2.connectedComponents(both, connectivity=8)
    sure = np.zeros(count, np.uint8)
    sure[labels[pieces > 0]] = 1
    sure[0] = 0
    return np.asarray(sure[labels], np.uint8)


def _strokes(ink: NDArray[np.uint8], level: bool) -> list[Rule]:
    """Return the long thin parts of a mask, with where their ends lie."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    found: list[Rule] = []
    for i in range(1, count):
        left, top, wide, high, area = stats[i].tolist()
        long, thin = (wide, high) if level else (high, wide)
        if thin > THICK + SLOPE * SHRUNK * long:
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


def _not_of_letters(rules: Sequence[Rule], lines: Sequence[FoundLine]) -> list[Rule]:
    """Leave out strokes that lie within a line of text."""
    if not lines:
        return list(rules)
    corners = np.array([line.quad for line in lines], np.float64)
    low, high = corners.min(axis=1), corners.max(axis=1)
    slack = SPARE * (high - low).min(axis=1)[:, None]
    low, high = low - slack, high + slack
    return [
        rule
        for rule in rules
        if not (
            (low[:, 0] < rule.x0) & (high[:, 0] > rule.x1)
            & (low[:, 1] < min(rule.y0, rule.y1)) & (high[:, 1] > max(rule.y0, rule.y1))
        ).any()
    ]  # fmt: skip


def _holds(boxes: Sequence[Box], rule: Rule) -> bool:
    """Tell whether the middle of a rule lies in one of some boxes."""
    x, y = (rule.x0 + rule.x1) / 2, (rule.y0 + rule.y1) / 2
    return any(
        box.x0 - MARGIN < x < box.x1 + MARGIN and box.y0 - MARGIN < y < box.y1 + MARGIN
        for box in boxes
    )
