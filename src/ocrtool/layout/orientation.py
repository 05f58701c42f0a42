"""Page orientation by a vote of the detected lines, and rotation of images and points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import FoundLine
from ocrtool.document.tree import Block, Box, Cell, Line, Page, Quad

Turn = Literal[0, 90, 180, 270]
"""Counter-clockwise rotation, in degrees, that makes an image upright."""

OTHER_TURNS: tuple[Turn, ...] = (180, 90, 270)
"""Rotations of an image that is not upright."""
MIN_WIDE_ASPECT = 2.5
"""Minimum length of a wide line, in line heights; words are wide when upright or upside down."""
SIDEWAYS_RATIO = 2.5
"""Number of lines that are not wide, per wide line, above which an image lies on its side."""
MIN_VOTING_LINES = 3
"""Minimum number of lines whose shapes are a reliable vote."""

_ROTATIONS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


def page_turn(lines: Sequence[FoundLine]) -> Turn:
    """Return the rotation that makes most of the text upright; 0 for a page without lines.

    A line's vote is weighted by its length in line heights, about its number of letters, so that a
    page number does not outvote a paragraph.
    """
    if not lines:
        return 0
    quads = np.array([line.quad for line in lines], np.float64)
    along = quads[:, 1] - quads[:, 0] + quads[:, 2] - quads[:, 3]
    length = np.hypot(*along.T)
    height = np.linalg.norm(quads[:, 3] - quads[:, 0] + quads[:, 2] - quads[:, 1], axis=1)
    letters = length / np.maximum(height, 1e-6)
    weight = letters * np.array([line.confidence for line in lines])
    # Text that runs down the page (y grows downwards) needs one counter-clockwise quarter turn.
    quarter = np.rint(np.arctan2(along[:, 1], along[:, 0]) / (np.pi / 2)).astype(int) % 4
    votes = np.bincount(quarter, weight, 4)
    return cast(Turn, int(votes.argmax()) * 90)


def likely_turns(lines: Sequence[FoundLine]) -> tuple[Turn, ...]:
    """Return the likely rotations of an image that is not upright, by the shapes of its lines.

    Upright or upside down, words are wide; sideways words are detected as fragments that are higher
    than wide, or as lines that run up or down.
    """
    wide = sum(
        is_level(line.quad) and line.length > MIN_WIDE_ASPECT * line.height for line in lines
    )
    other = sum(not is_level(line.quad) or line.length < line.height for line in lines)
    if wide + other < MIN_VOTING_LINES:
        return OTHER_TURNS
    return OTHER_TURNS[1:] if other > SIDEWAYS_RATIO * wide else OTHER_TURNS[:1]


def is_level(quad: Quad) -> bool:
    """Tell whether a line runs horizontally rather than vertically."""
    (x0, y0), (x1, y1) = quad[:2]
    return abs(x1 - x0) > abs(y1 - y0)


def is_left_to_right(quad: Quad) -> bool:
    """Tell whether a line runs from left to right: neither vertical nor upside down."""
    return is_level(quad) and quad[1][0] > quad[0][0]


def rotate_image(image: NDArray[np.uint8], turn: Turn) -> NDArray[np.uint8]:
    """Rotate an image (H, W) or (H, W, 3) counter-clockwise."""
    return image if turn == 0 else np.asarray(cv2.rotate(image, _ROTATIONS[turn]), np.uint8)


def rotate_points(
    points: NDArray[np.floating], turn: Turn, width: float, height: float
) -> NDArray[np.floating]:
    """Return the positions of points (..., 2) after a rotation of their image.

    Args:
        points: x and y in pixels of the unrotated image.
        turn: Counter-clockwise rotation in degrees.
        width: Width of the unrotated image in pixels.
        height: Height of the unrotated image in pixels.
    """
    x, y = points[..., 0], points[..., 1]
    if turn == 90:
        x, y = y, width - x
    elif turn == 180:
        x, y = width - x, height - y
    elif turn == 270:
        x, y = height - y, x
    return np.stack((x, y), axis=-1)


def rotate_quad(quad: Quad, turn: Turn, width: float, height: float) -> Quad:
    """Return a quad after a rotation of its image; see ``rotate_points``."""
    turned = rotate_points(np.array(quad), turn, width, height)
    return cast(Quad, tuple(map(tuple, turned.tolist())))


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

    fields = tuple(
        replace(field, box=rotate_box(field.box, turn, width, height)) for field in page.fields
    )
    return replace(page, blocks=tuple(map(block, page.blocks)), fields=fields)


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
