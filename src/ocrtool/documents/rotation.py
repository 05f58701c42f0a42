"""Pages of PDFs that lie on their side: turned upright, put in order, and turned back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ocrtool.document.lines import FoundLine, Rule
from ocrtool.document.tree import Box, Page
from ocrtool.layout.orientation import Turn, page_turn, rotate_box, rotate_line, rotate_page
from ocrtool.pdf.native import NativePage

_BACK: dict[Turn, Turn] = {0: 0, 90: 270, 180: 180, 270: 90}


def upright(native: NativePage, assemble: Callable[[NativePage], Page]) -> Page:
    """Put a page in order the way up that most of its text reads.

    Args:
        native: The page as it is shown.
        assemble: Puts a page in order whose lines are level.

    Returns:
        The page; its geometry is that of the page as it is shown.
    """
    turn = page_turn([FoundLine(line.quad, 1.0) for line in native.lines])
    if turn == 0:
        return assemble(native)
    page = assemble(turned_native(native, turn))
    page = rotate_page(page, _BACK[turn], page.width, page.height)
    return replace(page, width=native.width, height=native.height, turned=turn)


def turned_native(native: NativePage, turn: Turn) -> NativePage:
    """Return a page turned counter-clockwise."""
    width, height = native.width, native.height

    def box(given: Box) -> Box:
        return rotate_box(given, turn, width, height)

    def boxes(given: tuple[Box, ...]) -> tuple[Box, ...]:
        return tuple(map(box, given))

    def rule(given: Rule) -> Rule:
        place = box(Box(given.x0, given.y0, given.x1, given.y1))
        return Rule(place.x0, place.y0, place.x1, place.y1, given.width)

    return replace(
        native,
        width=width if turn == 180 else height,
        height=height if turn == 180 else width,
        lines=tuple(rotate_line(line, turn, width, height) for line in native.lines),
        rules=tuple(map(rule, native.rules)),
        fills=boxes(native.fills),
        pictures=boxes(native.pictures),
        drawings=boxes(native.drawings),
        formulas=boxes(native.formulas),
        hidden=tuple(rotate_line(line, turn, width, height) for line in native.hidden),
        fields=tuple(replace(field, box=box(field.box)) for field in native.fields),
        notes=tuple(rotate_line(line, turn, width, height) for line in native.notes),
        watermarks=tuple(rotate_line(line, turn, width, height) for line in native.watermarks),
    )
