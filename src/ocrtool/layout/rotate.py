"""Pages turned with their images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ocrtool.document.tree import Block, Box, Cell, Line, Page, Quad
from ocrtool.layout.orientation import Turn, turn_points, turn_quad


def turned_page(page: Page, turn: Turn, width: float, height: float) -> Page:
    """Return a page whose geometry is turned with its image, which has this size."""
    if turn == 0:
        return page

    def line(given: Line) -> Line:
        return turned_line(given, turn, width, height)

    def cell(given: Cell) -> Cell:
        return replace(given, lines=tuple(map(line, given.lines)))

    def block(given: Block) -> Block:
        return replace(
            given,
            box=turned_box(given.box, turn, width, height),
            lines=tuple(map(line, given.lines)),
            cells=tuple(map(cell, given.cells)),
            rules=tuple(turned_box(rule, turn, width, height) for rule in given.rules),
        )

    return replace(page, blocks=tuple(map(block, page.blocks)))


def turned_line(given: Line, turn: Turn, width: float, height: float) -> Line:
    """Return a line whose geometry is turned with its image, which has this size."""

    def quad(given: Quad) -> Quad:
        return turn_quad(given, turn, width, height)

    words = tuple(replace(word, quad=quad(word.quad)) for word in given.words)
    return replace(given, quad=quad(given.quad), words=words)


def turned_box(box: Box, turn: Turn, width: float, height: float) -> Box:
    """Return where an upright box comes to lie when its image, of this size, is turned."""
    corners = np.array([[box.x0, box.y0], [box.x1, box.y1]])
    turned = turn_points(corners, turn, width, height)
    (x0, y0), (x1, y1) = turned.min(0).tolist(), turned.max(0).tolist()
    return Box(x0, y0, x1, y1)
