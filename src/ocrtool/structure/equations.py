"""Displayed formulas of page images: joining the pieces of a formula, and finding its number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, quad_boxes, shared_areas
from ocrtool.document.lines import Region
from ocrtool.document.tree import Block, Box, Line, Quad
from ocrtool.reading_order.xy_cut import line_height

APART = 1.0
"""Minimum white space before the number of a formula, in heights of the number's line."""
ASUNDER = 3.0
"""Maximum white space within a formula, in line heights."""
LEVEL = 0.5
"""Minimum vertical overlap of two pieces of a formula, as a share of the lower height."""
LOWEST = 0.5
"""Minimum height of a formula, in median line heights."""
SURE = 0.88
"""Minimum detector confidence of a formula; handwriting and stamps score less."""
PROSE = 0.7
"""Minimum share of letters in long words of a confident formula region that is prose after all."""
TOUCHED, COVERED = 0.15, 0.5
"""Shares of a formula region covered by lines of text: from the first, these must not contain
words; from the second, they must also contain a relation sign."""
SAME = 0.6
"""Minimum overlap, as a share of the smaller region, of two detections of one object."""
WITHIN = 0.5
"""Ratio of the areas of two overlapping regions below which the smaller one is a part of the
other."""
LONG_WORD = re.compile(r"[^\W\d_]{4,}")
"""Word of prose, which is rare in formulas."""
EQUATION = re.compile(r"[=\u2248\u2261\u2264\u2265\u2208\u2282\u2211\u220f\u222b]")
"""Relation or large operator that marks a line as a formula."""
NUMBER = re.compile(r"\(\s*([A-Z]?\.?\d+(?:[.-]\d+)*[a-z]?'*)\s*\)")
"""Number of a formula in parentheses: "(12)", "(A.3)"."""
ALONE = re.compile(r"\W*([A-Z]?\.?\d+(?:[.-]\d+)*[a-z]?'*)\W*")
"""Number of a formula in any misread brackets, or of a page."""


def number_of(block: Block) -> Line | None:
    """Return the line that is the number of a formula, at one of its sides, if there is one."""
    for line in block.lines:
        if not NUMBER.fullmatch(line.text):
            continue
        others = [other.quad for other in block.lines if other is not line]
        own, rest = line.box, Box.around(others) if others else block.box
        white = APART * own.height
        if own.x0 > rest.x1 + white or own.x1 < rest.x0 - white:
            return line
    return None


def is_number(text: str, quad: Quad, regions: Sequence[Region]) -> bool:
    """Tell whether what was read is the number of a formula that stands beside it, however unsure.

    Args:
        text: What was read.
        quad: Where, in pixels.
        regions: Of the page, as they were found.
    """
    if not NUMBER.fullmatch(text):
        return False
    box = Box.of(quad)
    sure = (region.box for region in regions if region.kind == "formula" and _is_sure(region))
    return any(is_level(box, other) for other in sure)


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
        box = Box(x0, y0, x1, y1)
        gaps = {i: gap(box, regions[i].box) for i in formulas if is_level(box, regions[i].box)}
        # Nearest first; one that the number stands in is none that it stands beside.
        beside = [i for i in gaps if gaps[i] > 0]
        if beside:
            owner[k] = min(beside, key=lambda i: gaps[i])
    return owner


def with_formulas(regions: Sequence[Region], lines: Sequence[Line]) -> list[Region]:
    """Return the regions of a page with its displayed formulas whole, and only those.

    A formula that was found in pieces, side by side with nothing between them, becomes one. One
    that is not sure is none unless it stands beside one that is, and under lines that were read
    these must not speak against it: numbers and words in italics look like it. What says a number
    and nothing else belongs to the formula beside it, or to none. Of a formula and a picture in one
    place the surer one stays, and what is found within a formula is part of it.

    Args:
        regions: As they were found.
        lines: Of the page, as they were read.
    """
    formulas = [region for region in regions if region.kind == "formula"]
    if not formulas:
        return list(regions)
    boxes = quad_boxes([line.quad for line in lines]).astype(np.float32)
    sure = [region for region in formulas if _is_sure(region)]
    formulas = [
        region
        for region in formulas
        if (region in sure or any(is_level(region.box, other.box) for other in sure))
        and not _is_number(region.box, lines, boxes)
    ]
    lowest = min((region.box.height for region in formulas), default=0.0)
    height = line_height(boxes) if lines else lowest
    formulas = [
        region
        for region in _joined(formulas, boxes, height)
        if region.box.height >= LOWEST * height and _says_so(region, lines, boxes)
    ]
    others = [region for region in regions if region.kind != "formula"]
    formulas = [one for one in formulas if not any(_yields(one, other) for other in others)]
    others = [one for one in others if not any(_yields(one, other) for other in formulas)]
    return [*others, *formulas]


def _yields(one: Region, other: Region) -> bool:
    """Tell whether a region is none because another is in its place."""
    own, others = one.box.area, other.box.area
    if max(one.box.share_in(other.box), other.box.share_in(one.box)) < SAME:
        return False
    if own < WITHIN * others and other.kind in ("formula", "table"):
        return True
    return own < others / WITHIN and one.confidence < other.confidence


def _is_sure(region: Region) -> bool:
    return region.confidence >= SURE


def is_level(one: Box, other: Box) -> bool:
    """Tell whether the middle of a box is at the height of another."""
    return other.y0 < one.center_y < other.y1


def gap(one: Box, other: Box) -> float:
    """Return the white between two boxes side by side; below 0 where they share columns."""
    return max(other.x0 - one.x1, one.x0 - other.x1)


def _says_so(region: Region, lines: Sequence[Line], boxes: Boxes) -> bool:
    """Tell whether what was read within a formula does not speak against it."""
    shared = shared_areas(region.box, boxes)
    share = float(shared.sum()) / max(1.0, region.box.area)
    if share < TOUCHED:
        return True
    said = " ".join(lines[i].text for i in np.flatnonzero(shared > 0).tolist())
    words = sum(map(len, LONG_WORD.findall(said)))
    if _is_sure(region):
        return words < PROSE * len("".join(said.split()))
    return not words and (share < COVERED or bool(EQUATION.search(said)))


def _is_number(box: Box, lines: Sequence[Line], boxes: Boxes) -> bool:
    """Tell whether all that was read there is a number: of a formula beside it, or of the page."""
    shares = shared_areas(box, boxes) / max(1.0, box.area)
    places = np.flatnonzero(shares > TOUCHED).tolist()
    return len(places) == 1 and bool(ALONE.fullmatch(lines[places[0]].text))


def _joined(formulas: Sequence[Region], boxes: Boxes, height: float) -> list[Region]:
    found: list[Region] = []
    for region in sorted(formulas, key=lambda region: region.box.x0):
        for i, other in enumerate(found):
            if _are_one(other.box, region.box, boxes, height):
                box = Box.around((other.box, region.box))
                sure = max(other.confidence, region.confidence)
                found[i] = replace(other, box=box, confidence=sure)
                break
        else:
            found.append(region)
    return found


def _are_one(left: Box, right: Box, boxes: Boxes, height: float) -> bool:
    top, foot = max(left.y0, right.y0), min(left.y1, right.y1)
    if foot - top < LEVEL * min(left.height, right.height) or right.x0 - left.x1 > ASUNDER * height:
        return False
    between = (boxes[:, 0] < right.x0) & (boxes[:, 2] > left.x1)
    return not bool((between & (boxes[:, 1] < foot) & (boxes[:, 3] > top)).any())
