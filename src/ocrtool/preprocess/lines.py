"""Images to the input pixels of the networks.

Training and both engines call the very same functions, so a network never meets pixels that were
prepared in another way than those it learned from.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ocrtool.document.geometry import runs_of
from ocrtool.document.tree import Box

WIDTH_STEP = 4
"""Widths of prepared lines are multiples of this: the pixels of one encoder column."""
MIN_WIDTH = 8
"""Least width of a prepared line in pixels."""
MIN_DEVIATION = 2.0
"""Grey levels (of 255). A flatter image is blank but for noise, which must not be blown up."""
MIN_CONTRAST = 8.0
"""Grey levels between ink and paper, on average, below which text is not looked for."""
MIN_BAND = 4
"""Least height in pixels of small letters that can be told from a rule."""
MIN_CHANGES = 3
"""Least changes between ink and paper that a row through letters has."""
SMOOTHED_HEIGHT = 24
"""Height from which the changes of neighbouring rows are averaged."""


def line_pixels(image: NDArray[np.uint8], height: int) -> NDArray[np.float32]:
    """Prepare the image of one text line: loose space is cut (`tighten`), the rest is scaled.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        height: Height in pixels that the network takes. The aspect is kept, whatever the width.

    Returns:
        (1, height, W'), mean 0 and deviation 1 over the image (a blank image: near 0). W' is a
        multiple of 4 and at least 8; what is missing is filled by repeating the last column.

    Raises:
        ValueError: The array is not such an image, or has no pixels.
    """
    grey = tighten(to_grey(image))
    rows, columns = grey.shape
    width = max(1, round(columns * height / rows))
    if (rows, columns) != (height, width):
        grey = _resize(grey, width, height, shrink=rows > height)
    missing = max(MIN_WIDTH, -(-width // WIDTH_STEP) * WIDTH_STEP) - width
    if missing:
        grey = np.concatenate((grey, np.repeat(grey[:, -1:], missing, axis=1)), axis=1)
    mean, deviation = cv2.meanStdDev(grey)
    scale = 1.0 / max(float(deviation[0, 0]), MIN_DEVIATION)
    pixels = grey.astype(np.float32)
    pixels -= np.float32(mean[0, 0])
    pixels *= np.float32(scale)
    return pixels[None]


def square_pixels(image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Prepare an image for a square network: (3, size, size) RGB in [-1, 1], aspect not kept.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        size: Height and width in pixels that the network takes.

    Raises:
        ValueError: The array is not such an image, or has no pixels.
    """
    image = _checked(image)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.shape[:2] != (size, size):
        image = _resize(image, size, size, shrink=max(image.shape[:2]) > size)
    pixels = image.transpose(2, 0, 1).astype(np.float32)
    pixels *= np.float32(1 / 127.5)
    pixels -= np.float32(1.0)
    return np.ascontiguousarray(pixels)


def collate_lines(
    lines: Sequence[NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Stack prepared lines of different widths into one batch.

    Args:
        lines: Each (1, H, W_i).

    Returns:
        Pixels (B, 1, H, max W_i), zero right of each line's own end, and the widths (B,).
    """
    widths = np.array([line.shape[2] for line in lines], dtype=np.int64)
    height = lines[0].shape[1]
    pixels = np.zeros((len(lines), 1, height, int(widths.max())), dtype=np.float32)
    for row, line in zip(pixels, lines, strict=True):
        row[:, :, : line.shape[2]] = line
    return pixels, widths


def tighten(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut loose space above and below the one line of text in a crop.

    Rows through letters change between ink and paper far more often than rows through rules,
    shadows or empty space. The band of rows that change most is taken for the height of small
    letters (or of capitals, where there are only those). Around it stays room for ascenders,
    descenders and accents whether or not any are seen, so that none is cut; beyond it may lie
    ink of neighbouring lines. A crop where no such band stands out is left as it is.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.

    Returns:
        A view of some of its rows, or the image itself.
    """
    grey = to_grey(image)
    height = grey.shape[0]
    level, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark = grey <= level
    if dark.all() or not dark.any() or grey[~dark].mean() - grey[dark].mean() < MIN_CONTRAST:
        return image
    changes = np.count_nonzero(dark[:, 1:] != dark[:, :-1], axis=1).astype(np.float64)
    if height >= SMOOTHED_HEIGHT:
        changes = np.convolve(changes, np.full(3, 1 / 3), "same")
    changes = np.maximum(0.0, changes - 0.5 * np.percentile(changes, 10))  # grain is everywhere
    top, bottom = _band(changes)
    band = bottom - top
    most = changes[top:bottom].max(initial=0.0)
    if band < MIN_BAND or most < MIN_CHANGES or changes[top:bottom].sum() < 0.5 * changes.sum():
        return image
    start = max(0, round(top - 1.0 * band))
    end = min(height, round(bottom + 0.65 * band))
    inked = np.flatnonzero(changes[start:end] > max(1.0, 0.04 * most))
    margin = max(1, round(0.2 * band))
    end = min(end, start + int(inked[-1]) + 1 + margin)
    start = max(start, start + int(inked[0]) - margin)
    return image[start:end] if end - start <= 0.85 * height else image


def _band(changes: NDArray[np.float64]) -> tuple[int, int]:
    """Return start and end of the run of rows with most changes that lies most central.

    A neighbouring line may reach far into a loose crop, but the line that was meant is in the
    middle: a row at an edge counts a third.
    """
    offset = np.abs(np.arange(len(changes)) - (len(changes) - 1) / 2) / (len(changes) / 2)
    weight = changes * (1 - offset / 1.5)
    dense = changes > 0.35 * changes[weight.argmax()]
    runs = runs_of(dense)
    return max(runs, key=lambda run: float(weight[slice(*run)].sum()), default=(0, 0))


def cut_long(image: NDArray[np.uint8], aspect: int) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Cut an extremely long line where it has gaps, because attention grows with the square.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        aspect: Greatest width of a piece, in heights, give or take a tenth.

    Returns:
        The pieces, left to right, and what their texts are joined with: a space where the gap
        is as wide as one, else nothing. An image that is not so long is its only piece.
    """
    height, width = _checked(image).shape[:2]
    count = -(-width // (aspect * height))
    if count <= 1:
        return [image], []
    grey = to_grey(image)
    contrast = grey.max(axis=0).astype(np.int64) - grey.min(axis=0)
    blank = contrast < max(0.25 * float(np.percentile(contrast, 95)), MIN_DEVIATION)
    step = width / count
    cuts, joints = [0], []
    for k in range(1, count):
        start, end = round((k - 0.1) * step), round((k + 0.1) * step)
        gaps = [(b - a, (a + b) // 2) for a, b in runs_of(blank[start:end])]
        gap, place = max(gaps, default=(0, int(contrast[start:end].argmin())))
        cuts.append(start + place)
        joints.append(" " if gap >= 0.2 * height else "")
    cuts.append(width)
    return [image[:, a:b] for a, b in itertools.pairwise(cuts)], joints


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luminance (H, W) of a grey or RGB image, contiguous.

    Raises:
        ValueError: The array is not such an image, or has no pixels.
    """
    image = _checked(image)
    if image.ndim == 3:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    return image


def _resize(image: NDArray[np.uint8], width: int, height: int, shrink: bool) -> NDArray[np.uint8]:
    # Averaging keeps thin strokes when shrinking; cubic keeps edges crisp when growing.
    method = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def _checked(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if not fits or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(
            f"an image is uint8 (H, W) or (H, W, 3), not {image.dtype} {tuple(image.shape)}"
        )
    return np.ascontiguousarray(image)


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
