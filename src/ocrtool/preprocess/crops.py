"""Crops of a page image: lines rotated upright, and axis-parallel boxes."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ocrtool.document.tree import Box

MARGIN = 0.12
"""Share of a line's height that is added on every side: boxes are tight and may be a little off."""
STRAIGHT = 0.75
"""Pixels by which an edge may leave its row or column and still be cut without resampling."""
HIGHEST = 160
"""Pixels; higher lines are scaled down while they are cut: no reader needs more."""


def cut_line(
    image: NDArray[np.uint8], quad: ArrayLike, margin: float = MARGIN
) -> NDArray[np.uint8]:
    """Cut a line out of an image.

    Args:
        image: (H, W) or (H, W, 3).
        quad: Four corners in reading direction (``document.Quad``), in pixels of the image; they
            may lie outside, where the image's edge is repeated.
        margin: Share of the line's height that is added on every side.

    Returns:
        (h, w) or (h, w, 3), at least one pixel, upright in reading direction. A line that lies
        straight is a copy of the image's own pixels; others are resampled at about their scale.
    """
    corners = _grown(np.asarray(quad, np.float32).reshape(4, 2), margin)
    steps = corners[[1, 2]] - corners[[0, 3]]
    for quarter, (x, y) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
        ahead = steps @ np.array((x, y), np.float32)
        aside = np.abs(steps @ np.array((-y, x), np.float32))
        if (ahead > 0).all() and (aside <= STRAIGHT).all():
            straight = _slice(image, corners)
            if straight is not None:
                return np.ascontiguousarray(np.rot90(straight, quarter))
    return _warp(image, corners)


def cut_box(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return a part of a picture, as a view of it.

    Args:
        image: (H, W) or (H, W, 3).
        box: In its pixels; at least a pixel is returned each way.
    """
    rows = slice(math.floor(box.y0), max(math.ceil(box.y1), math.floor(box.y0) + 1))
    columns = slice(math.floor(box.x0), max(math.ceil(box.x1), math.floor(box.x0) + 1))
    return image[rows, columns]


def _slice(image: NDArray[np.uint8], corners: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """The upright box round the corners; None where it is too high or leaves the image."""
    rows, columns = image.shape[:2]
    x0, y0 = np.floor(corners.min(axis=0)).astype(int)
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int)
    if x0 < 0 or y0 < 0 or x1 > columns or y1 > rows or min(x1 - x0, y1 - y0) < 1:
        return None
    return None if min(x1 - x0, y1 - y0) > HIGHEST else image[y0:y1, x0:x1]


def _warp(image: NDArray[np.uint8], corners: NDArray[np.float32]) -> NDArray[np.uint8]:
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    long, high = float(sides[[0, 2]].mean()), float(sides[[1, 3]].mean())
    scale = min(1.0, HIGHEST / max(high, 1.0))
    width, height = max(1, round(long * scale)), max(1, round(high * scale))
    # Corners are pixel edges, OpenCV's coordinates pixel centres.
    x0, y0 = np.floor(corners.min(axis=0)).astype(int) - 1
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int) + 1
    rows, columns = image.shape[:2]
    x0, y0 = min(max(x0, 0), columns - 1), min(max(y0, 0), rows - 1)
    part = image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    source = corners - (x0, y0)
    if scale < 0.5:  # averaging keeps thin strokes; a warp alone would skip pixels
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        source = source * (size[0] / part.shape[1], size[1] / part.shape[0])
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(
        (source - 0.5).astype(np.float32), (target - 0.5).astype(np.float32)
    )
    cut = cv2.warpPerspective(
        part, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)


def _grown(corners: NDArray[np.float32], margin: float) -> NDArray[np.float32]:
    """Move the edges of a quad outwards by a share of its height."""
    a, b, c, d = corners
    along, down = b - a + c - d, d - a + c - b
    grow = margin * float(np.hypot(*down)) / 2
    u = along / max(float(np.hypot(*along)), 1e-6) * grow
    v = down / max(float(np.hypot(*down)), 1e-6) * grow
    return np.stack((a - u - v, b + u - v, c + u + v, d - u + v)).astype(np.float32)
