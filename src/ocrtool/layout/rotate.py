"""Rotation of page geometry together with the page image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ocrtool.document.tree import Block, Box, Cell, Line, Page, Quad
from ocrtool.layout.orientation import Turn, rotate_points, rotate_quad


def rotate_page(page: Page, turn: Turn, width: float, height: float) -> Page:
    """Return a page rotated with its image, whose size is given before the rotation."""
    if turn == 0:
        return page

    def line(given: Line) -> Line:
        return rotate_line(given, turn, width, height)

    def cell(given: Cell) -> Cell:
        return replace(given, lines=tuple(map(line, given.lines)))

    def block(given: Block) -> Block:
        return replace(
            given,
            box=rotate_box(given.box, turn, width, height),
            lines=tuple(map(line, given.lines)),
            cells=tuple(map(cell, given.cells)),
            rules=tuple(rotate_box(rule, turn, width, height) for rule in given.rules),
        )

    return replace(page, blocks=tuple(map(block, page.blocks)))


def rotate_line(given: Line, turn: Turn, width: float, height: float) -> Line:
    """Return a line rotated with its image, whose size is given before the rotation."""

    def quad(given: Quad) -> Quad:
        return rotate_quad(given, turn, width, height)

    words = tuple(replace(word, quad=quad(word.quad)) for word in given.words)
    return replace(given, quad=quad(given.quad), words=words)


def rotate_box(box: Box, turn: Turn, width: float, height: float) -> Box:
    """Return a box rotated with its image, whose size is given before the rotation."""
    corners = np.array([[box.x0, box.y0], [box.x1, box.y1]])
    turned = rotate_points(corners, turn, width, height)
    (x0, y0), (x1, y1) = turned.min(0).tolist(), turned.max(0).tolist()
    return Box(x0, y0, x1, y1)
