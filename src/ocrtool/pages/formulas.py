"""Displayed formulas of a page, read as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import usual_height
from ocrtool.document.tree import Block, Box, Line, Page
from ocrtool.structure.equations import NUMBER, gap, is_level, number_of

if TYPE_CHECKING:
    from ocrtool.readers import ReadsFormulas
    from ocrtool.readers.formulas import FormulaResult

MIN_CONFIDENCE = 0.2
"""Minimum confidence, 0 to 1, of the LaTeX of a formula that also has plain text to show."""
MIN_TOKEN_CONFIDENCE = 0.87
"""Minimum geometric mean of the token probabilities of a formula without plain text; below, it is
a signature, a stamp or an ornament."""
MAX_PARTIAL_TEXT = 0.5
"""Number of characters for each LaTeX token up to which the plain text of a formula is only a part
of it."""
FORMULA_MARGIN = 0.25
"""Margin that is cut out round a formula, in heights of a line."""

Image = NDArray[np.uint8]


def with_latex(
    page: Page, cut: Callable[[Box], Image], reader: Callable[[], ReadsFormulas]
) -> Page:
    """Return a page whose displayed formulas are LaTeX; those of low confidence stay text.

    A formula with little or no plain text gets its LaTeX as text. One that is only a number becomes
    the tag of the formula beside it. One that cannot be read, and has no text, is dropped.

    Args:
        page: The page, whose formulas have no LaTeX yet.
        cut: Returns the image of a part of the page.
        reader: Returns the reader of formulas; called only where there are any.
    """
    places = [
        i for i, block in enumerate(page.blocks) if block.kind == "formula" and not block.latex
    ]
    if not places:
        return page
    blocks = list(page.blocks)
    numbers = [number_of(blocks[i]) for i in places]
    pictures = (
        ("", cut(_frame(blocks[i], number, page)))
        for i, number in zip(places, numbers, strict=True)
    )
    read = zip(places, reader().read_stream(pictures), strict=True)
    # A page without any text may be a picture.
    least = 0.0 if any(block.lines for block in blocks) else MIN_CONFIDENCE
    results = {
        i: result
        for i, result in read
        if blocks[i].lines or (_is_legible(result) and result.confidence >= least)
    }
    tags = {i: number.text for i, number in zip(places, numbers, strict=True) if number}
    for i in [i for i in results if not blocks[i].lines and NUMBER.fullmatch(results[i].latex)]:
        beside = _beside(blocks[i].box, {j: blocks[j].box for j in results if j != i})
        if beside in results and results[beside].latex and beside not in tags:
            tags[beside] = results.pop(i).latex
    for i, result in results.items():
        tag = NUMBER.fullmatch(tags.get(i, ""))
        said = "".join(line.text for line in blocks[i].lines if line.text != tags.get(i))
        has_text = len(said) > MAX_PARTIAL_TEXT * len(result.tokens)
        sure = result.confidence >= MIN_CONFIDENCE if has_text else _is_legible(result)
        if result.latex and result.valid and sure:
            latex = result.latex + (rf" \tag{{{tag[1]}}}" if tag else "")
            text = blocks[i].text if has_text else latex
            blocks[i] = replace(blocks[i], latex=latex, text=text)
    gone = set(places) - set(results)
    return replace(page, blocks=tuple(block for i, block in enumerate(blocks) if i not in gone))


def _is_legible(result: FormulaResult) -> bool:
    return result.confidence >= MIN_TOKEN_CONFIDENCE ** max(1, len(result.tokens))


def _beside(box: Box, others: Mapping[int, Box]) -> int:
    """Return the key of the nearest of other boxes on the level of a box; -1 for none."""
    gaps = {i: gap(box, other) for i, other in others.items() if is_level(box, other)}
    return min(gaps, key=lambda i: gaps[i], default=-1)


def _frame(block: Block, number: Line | None, page: Page) -> Box:
    """Return the box of a formula with a margin and without its number."""
    box = block.box
    around = [line for other in page.blocks for line in other.lines]
    margin = FORMULA_MARGIN * (usual_height(block.lines or around) or box.height)
    x0, x1 = box.x0 - margin, box.x1 + margin
    if number is not None:
        own = number.box
        if own.x0 > box.center_x:
            x1 = own.x0 - margin
        else:
            x0 = own.x1 + margin
    return Box(x0, box.y0 - margin, x1, box.y1 + margin).clipped(page.width, page.height)
