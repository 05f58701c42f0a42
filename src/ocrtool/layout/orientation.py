"""Page orientation by a vote of the detected lines, and rotation of images and points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import FoundLine
from ocrtool.document.tree import Quad

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
