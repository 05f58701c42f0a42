"""Test-time augmentation: a short line read with low confidence is read again in modified views.

How confidently a network reads a word depends on small changes of the image: the width of the
letters, their slant, their contrast. The most confident of several readings is therefore right
more often than the first one, and the share of views that agree tells how far to trust it. The
method is that of ten-crop testing (Krizhevsky et al., 2012), limited here to uncertain lines, so
that the others cost nothing more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import MIN_MEAN_CHAR_CONFIDENCE, LineResult
from ocrtool.preprocess.lines import to_grey

Image = NDArray[np.uint8]

MAX_ASPECT = 12.0
"""Maximum width, in image heights, of a line that is read again. In long lines of print single
characters are uncertain, which no other view of the whole line settles."""
FIRST_VIEWS = 2
"""Number of views after which no further ones are read if all readings agree."""
WIDTH_FACTOR = 1.3
"""Factor by which the widened view is stretched horizontally."""
ROTATION = 5.0
"""Angle of the rotated views in degrees, once in each direction."""
TRIM_SHARE = 0.08
"""Share of the image height that the trimmed view loses at the top, and again at the bottom."""
CLAHE_CLIP_LIMIT = 3.0
"""Clip limit of OpenCV's contrast-limited adaptive histogram equalisation."""


def reread(
    first: Sequence[tuple[Image, LineResult]],
    read: Callable[[list[tuple[str, Image]]], Iterable[LineResult]],
) -> dict[int, tuple[LineResult, float]]:
    """Read uncertain lines again in modified views.

    Where the first views all read the same, no further ones are read.

    Args:
        first: Images and their first readings.
        read: Reads images, each with its source, in their order.

    Returns:
        For the index of each uncertain line the most confident reading and the probability that it
        is right.
    """
    uncertain = [i for i, pair in enumerate(first) if is_uncertain(*pair)]
    views = {i: augmented_views(first[i][0]) for i in uncertain}
    readings = {i: [first[i][1]] for i in uncertain}
    for limit in (FIRST_VIEWS, None):
        owners, copies = [], []
        for i in uncertain:
            if limit or len({result.text for result in readings[i]}) > 1:
                further = list(itertools.islice(views[i], limit))
                owners += [i] * len(further)
                copies += [(first[i][1].source, view) for view in further]
        for i, result in zip(owners, read(copies), strict=True):
            readings[i].append(result)
    return {i: most_confident(readings[i]) for i in uncertain}


def is_uncertain(image: Image, result: LineResult) -> bool:
    """Tell whether a line should be read again: short, not blank, and read with low confidence.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        result: The first reading of the image.
    """
    height, width = image.shape[:2]
    return (
        bool(result.text)
        and result.mean_char_confidence < MIN_MEAN_CHAR_CONFIDENCE
        and width <= MAX_ASPECT * height
    )


def augmented_views(image: Image) -> Iterator[Image]:
    """Yield six grey views: widened, trimmed, equalised, inverted, rotated in both directions.

    The views that most often give the most confident reading come first.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
    """
    grey = to_grey(image)
    height, width = grey.shape
    size = max(1, round(WIDTH_FACTOR * width)), height
    yield np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    edge = round(TRIM_SHARE * height)
    yield np.ascontiguousarray(grey[edge : height - edge])
    yield np.asarray(cv2.createCLAHE(CLAHE_CLIP_LIMIT, (2, 4)).apply(grey), np.uint8)
    yield 255 - grey
    yield _rotated(grey, ROTATION)
    yield _rotated(grey, -ROTATION)


def most_confident(results: Sequence[LineResult]) -> tuple[LineResult, float]:
    """Choose among readings of one line.

    Args:
        results: One reading a view, that of the unmodified image first.

    Returns:
        The reading with the highest mean character confidence, and the probability that it is
        right: the geometric mean of its own confidence and of the mean over all views of the
        confidence in its text, which is 0 for a view with another text.
    """
    best = max(results, key=lambda result: result.mean_char_confidence)
    agreed = sum(result.confidence for result in results if result.text == best.text)
    return best, math.sqrt(best.confidence * agreed / len(results))


def _rotated(grey: Image, degrees: float) -> Image:
    """Rotate an image counter-clockwise; the canvas grows, and edge pixels are replicated."""
    height, width = grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = int(height * sine + width * cosine), int(height * cosine + width * sine)
    matrix[0, 2] += (size[0] - width) / 2
    matrix[1, 2] += (size[1] - height) / 2
    return np.asarray(
        cv2.warpAffine(grey, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )
