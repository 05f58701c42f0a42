"""Which way up a page lies: a vote of its lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import FoundLine
from ocrtool.document.tree import Quad

Turn = Literal[0, 90, 180, 270]
"""Degrees, counter-clockwise, by which an image has to be turned to read upright."""

WAYS: tuple[Turn, ...] = (180, 90, 270)
"""The ways other than as it is in which an image may lie."""
WIDE = 2.5
"""Heights from which a line is wide, as words are, upright or on their heads."""
ON_ITS_SIDE = 2.5
"""Lines that are no wide ones, for each that is, from which an image lies on a side."""
FEW = 3
"""Lines below which their shapes tell nothing."""

_ROTATIONS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


def page_turn(lines: Sequence[FoundLine]) -> Turn:
    """Return the turn that most of the text asks for; 0 for a page without lines.

    A line votes with the number of letters that it has room for: a page number does not outvote
    a paragraph.
    """
    if not lines:
        return 0
    quads = np.array([line.quad for line in lines], np.float64)
    along = quads[:, 1] - quads[:, 0] + quads[:, 2] - quads[:, 3]
    length = np.hypot(*along.T)
    height = np.linalg.norm(quads[:, 3] - quads[:, 0] + quads[:, 2] - quads[:, 1], axis=1)
    letters = length / np.maximum(height, 1e-6)
    weight = letters * np.array([line.confidence for line in lines])
    # Reading down the page (y grows downwards) is what one turn counter-clockwise puts right.
    quarter = np.rint(np.arctan2(along[:, 1], along[:, 0]) / (np.pi / 2)).astype(int) % 4
    votes = np.bincount(quarter, weight, 4)
    return cast(Turn, int(votes.argmax()) * 90)


def likely_ways(lines: Sequence[FoundLine]) -> tuple[Turn, ...]:
    """Return the ways in which an image may lie if it does not lie right, by its lines' shapes.

    Upright and on their heads, words are wide; of words that lie on a side, pieces are found that
    are higher than wide, or lines that run up or down.
    """
    wide = sum(is_level(line.quad) and line.length > WIDE * line.height for line in lines)
    other = sum(not is_level(line.quad) or line.length < line.height for line in lines)
    if wide + other < FEW:
        return WAYS
    return WAYS[1:] if other > ON_ITS_SIDE * wide else WAYS[:1]


def is_level(quad: Quad) -> bool:
    """Tell whether a line runs to the right or left, and not up or down."""
    (x0, y0), (x1, y1) = quad[:2]
    return abs(x1 - x0) > abs(y1 - y0)


def runs_across(quad: Quad) -> bool:
    """Tell whether a line runs from left to right, and neither up or down nor on its head."""
    return is_level(quad) and quad[1][0] > quad[0][0]


def turn_image(image: NDArray[np.uint8], turn: Turn) -> NDArray[np.uint8]:
    """Turn an image (H, W) or (H, W, 3) counter-clockwise."""
    return image if turn == 0 else np.asarray(cv2.rotate(image, _ROTATIONS[turn]), np.uint8)


def turn_points(
    points: NDArray[np.floating], turn: Turn, width: float, height: float
) -> NDArray[np.floating]:
    """Return where points (..., 2) come to lie when their image is turned.

    Args:
        points: x and y in pixels of the image as it is.
        turn: Degrees, counter-clockwise.
        width: Of the image as it is.
        height: Likewise.
    """
    x, y = points[..., 0], points[..., 1]
    if turn == 90:
        x, y = y, width - x
    elif turn == 180:
        x, y = width - x, height - y
    elif turn == 270:
        x, y = height - y, x
    return np.stack((x, y), axis=-1)


def turn_quad(quad: Quad, turn: Turn, width: float, height: float) -> Quad:
    """Return where a quad comes to lie when its image is turned; see ``turn_points``."""
    turned = turn_points(np.array(quad), turn, width, height)
    return cast(Quad, tuple(map(tuple, turned.tolist())))
