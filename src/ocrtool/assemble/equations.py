"""Displayed formulas found on pictures of pages: the pieces of one, and its number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ocrtool.assemble.geometry import bounds
from ocrtool.document import Block, Box, Line, Quad
from ocrtool.layout.found import Region
from ocrtool.layout.order import Boxes, line_height

APART = 1.0
"""White before the number of a formula, in heights of its line."""
ASUNDER = 3.0
"""Most white within a formula, in heights of a line."""
LEVEL = 0.5
"""Share of the lower of two pieces of a formula that stands beside the higher one."""
NUMBER = re.compile(r"\(\s*([A-Z]?\.?\d+(?:[.-]\d+)*[a-z]?'*)\s*\)")
"""What a formula is called by: "(12)", "(A.3)"."""


def number_of(block: Block) -> Line | None:
    """Return the line that is the number of a formula, at one of its sides, if there is one."""
    for line in block.lines:
        if not NUMBER.fullmatch(line.text):
            continue
        others = [other.quad for other in block.lines if other is not line]
        own, rest = bounds([line.quad]), bounds(others) if others else block.box
        white = APART * (own.y1 - own.y0)
        if own.x0 > rest.x1 + white or own.x1 < rest.x0 - white:
            return line
    return None


def with_numbers(
    owner: NDArray[np.intp], lines: Sequence[Line], boxes: Boxes, regions: Sequence[Region]
) -> NDArray[np.intp]:
    """Give numbers that stand beside formulas to them.

    Args:
        owner: (N,) the region that each line is in, -1 for none.
        lines: The lines.
        boxes: (N, 4) of them, in pixels.
        regions: Of the page.

    Returns:
        ``owner`` with the numbers of formulas in these.
    """
    owner = owner.copy()
    formulas = [i for i, region in enumerate(regions) if region.kind == "formula"]
    for k in np.flatnonzero(owner < 0).tolist() if formulas else ():
        if not NUMBER.fullmatch(lines[k].text):
            continue
        x0, y0, x1, y1 = boxes[k].tolist()
        level = [i for i in formulas if regions[i].box.y0 < (y0 + y1) / 2 < regions[i].box.y1]
        # Nearest first; one that the number stands in is none that it stands beside.
        gaps = {i: max(regions[i].box.x0 - x1, x0 - regions[i].box.x1) for i in level}
        beside = [i for i in level if gaps[i] > 0]
        if beside:
            owner[k] = min(beside, key=lambda i: gaps[i])
    return owner


def whole_formulas(regions: Sequence[Region], quads: Sequence[Quad]) -> list[Region]:
    """Join formulas that were found in pieces, side by side with nothing between them.

    Args:
        regions: Of a page.
        quads: Corners of its lines, in pixels.
    """
    corners = np.array(quads, np.float32).reshape(-1, 4, 2)
    boxes = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
    formulas = [region for region in regions if region.kind == "formula"]
    rest = [region for region in regions if region.kind != "formula"]
    lowest = min((r.box.y1 - r.box.y0 for r in formulas), default=0.0)
    height = line_height(boxes) if len(boxes) else lowest
    found: list[Region] = []
    for region in sorted(formulas, key=lambda region: region.box.x0):
        for i, other in enumerate(found):
            if _are_one(other.box, region.box, boxes, height):
                box = Box(
                    other.box.x0,
                    min(other.box.y0, region.box.y0),
                    max(other.box.x1, region.box.x1),
                    max(other.box.y1, region.box.y1),
                )
                sure = min(other.confidence, region.confidence)
                found[i] = replace(other, box=box, confidence=sure)
                break
        else:
            found.append(region)
    return [*rest, *found]


def _are_one(left: Box, right: Box, boxes: Boxes, height: float) -> bool:
    top, foot = max(left.y0, right.y0), min(left.y1, right.y1)
    lower = min(left.y1 - left.y0, right.y1 - right.y0)
    if foot - top < LEVEL * lower or right.x0 - left.x1 > ASUNDER * height:
        return False
    between = (boxes[:, 0] < right.x0) & (boxes[:, 2] > left.x1)
    return not bool((between & (boxes[:, 1] < foot) & (boxes[:, 3] > top)).any())
