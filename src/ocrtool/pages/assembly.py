"""Read lines to the blocks of a page: turned upright, completed, put in order, turned back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import part_of
from ocrtool.document.lines import DetectedLayout, FoundLine, LineResult, ReadLine, ReadWord, Region
from ocrtool.document.tree import Page
from ocrtool.layout.orientation import Turn, rotate_box, rotate_image, rotate_page, rotate_quad
from ocrtool.layout.ruling_lines import table_rules
from ocrtool.pages.filters import drop_bleed_through, is_cell_text
from ocrtool.pages.recognise import FoundPage, recognise, reread_doubtful
from ocrtool.pages.upright import OrientedText
from ocrtool.preprocess.lines import MARGIN, cut_box
from ocrtool.structure import AssembleOptions, assemble

if TYPE_CHECKING:
    from ocrtool.readers import ReadsFormulas, ReadsLines

OPPOSITE_TURN: dict[Turn, Turn] = {0: 0, 90: 270, 180: 180, 270: 90}
"""Turn, in degrees counter-clockwise, that undoes another."""


@dataclass(frozen=True, eq=False)
class UprightPage:
    """Text of a page whose image was turned upright.

    Attributes:
        image: The upright image.
        layout: Lines, regions and table rules, in pixels of ``image``.
        readings: The readings of the lines, in their order.
        turn: Degrees, counter-clockwise, by which the given image was turned.
    """

    image: NDArray[np.uint8]
    layout: DetectedLayout
    readings: tuple[ReadLine, ...]
    turn: Turn


def turned_upright(text: OrientedText) -> UprightPage:
    """Turn the image, the lines and the regions of a page upright; drop bleed-through."""
    margin = 0.0 if text.single_line else MARGIN
    placed = [
        placed_words(line, result, margin)
        for line, result in drop_bleed_through(text.image, text.lines)
    ]
    height, width = text.image.shape[:2]
    layout = DetectedLayout(tuple(line for line, _ in placed), text.regions)
    layout = turned_layout(layout, text.turn, width, height)
    image = rotate_image(text.image, text.turn)
    layout = replace(layout, rules=table_rules(image, layout))
    turn = cast(Turn, (text.turned_by + text.turn) % 360)
    return UprightPage(image, layout, tuple(reading for _, reading in placed), turn)


def with_missed_cells(page: UprightPage, reader: ReadsLines) -> UprightPage:
    """Read the text in the cells of ruled tables in which no line was found.

    Args:
        page: The page.
        reader: Reads the lines that are found in addition.
    """
    if not page.layout.rules:
        return page
    from ocrtool.tables.missed_cells import missed_lines

    missed, wrong = missed_lines(page.image, page.layout)
    if not missed:
        return page
    (read,) = recognise([FoundPage(page.image, page.layout, missed)], reader)
    added = [
        placed_words(line, result)
        for line, result in reread_doubtful(page.image, read.lines, reader)
        if is_cell_text(line, result)
    ]
    if not added:
        return page
    kept = [i for i in range(len(page.readings)) if i not in wrong]
    lines = (*(page.layout.lines[i] for i in kept), *(line for line, _ in added))
    readings = (*(page.readings[i] for i in kept), *(reading for _, reading in added))
    return replace(page, layout=replace(page.layout, lines=lines), readings=readings)


def assembled(
    page: UprightPage,
    number: int,
    options: AssembleOptions,
    formulas: Callable[[], ReadsFormulas] | None = None,
) -> Page:
    """Put the lines of a page in order, and read its displayed formulas.

    Args:
        page: The page.
        number: Of the page, from 1.
        options: How lines become blocks.
        formulas: Returns the reader of formulas; without it they stay text.

    Returns:
        The page; all geometry in pixels of the image as it was given.
    """
    height, width = page.image.shape[:2]
    result = assemble(number, (width, height), page.layout, page.readings, options)
    if formulas is not None and any(block.kind == "formula" for block in result.blocks):
        from ocrtool.pages.formulas import with_latex

        result = with_latex(result, lambda box: cut_box(page.image, box), formulas)
    result = rotate_page(result, OPPOSITE_TURN[page.turn], width, height)
    given = (width, height) if page.turn in (0, 180) else (height, width)
    return replace(result, width=given[0], height=given[1], turned=page.turn)


def placed_words(
    line: FoundLine, result: LineResult, margin: float = MARGIN
) -> tuple[FoundLine, ReadLine]:
    """Return a line cut to its words, and its reading with the words placed along it.

    A detected line may reach beyond its text into the gap between columns, which then could not be
    told from the space between words.

    Args:
        line: The detected line.
        result: Its reading.
        margin: Width that the image that was read had beyond each end, in heights of the line.
    """
    margin *= line.height / max(line.length, 1e-6)

    def along(place: float) -> float:
        return min(max(place * (1 + 2 * margin) - margin, 0.0), 1.0)

    spans = [(along(word.start), along(word.end)) for word in result.words]
    first, last = spans[0][0], spans[-1][1]
    if last <= first:
        first, last = 0.0, 1.0
    words = (
        ReadWord(
            word.text,
            word.confidence,
            (start - first) / (last - first),
            (end - first) / (last - first),
        )
        for word, (start, end) in zip(result.words, spans, strict=True)
    )
    cut = FoundLine(part_of(line.quad, first, last), line.confidence)
    return cut, ReadLine(result.text, result.confidence, tuple(words), result.reader)


def turned_layout(
    layout: DetectedLayout, turn: Turn, width: float, height: float
) -> DetectedLayout:
    """Return a layout turned with its image, which has this size in pixels."""
    if turn == 0:
        return layout
    lines = (
        FoundLine(rotate_quad(line.quad, turn, width, height), line.confidence)
        for line in layout.lines
    )
    regions = (
        Region(region.kind, rotate_box(region.box, turn, width, height), region.confidence)
        for region in layout.regions
    )
    return DetectedLayout(tuple(lines), tuple(regions))
