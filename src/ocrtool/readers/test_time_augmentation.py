"""Second looks: a short line that was read with doubt is shown to the network in other ways.

A network reads a sign surely or not depending on small things: how wide its letters stand, which
way they lean, how dark they are. So the surest of several readings is right more often than the
first one, and how many of them agree tells how far it can be trusted. The idea is test-time
augmentation, as in ten-crop testing (Krizhevsky et al., 2012); here only what is in doubt costs
more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.preprocess.lines import to_grey

Image = NDArray[np.uint8]

DOUBT = 0.95
"""Geometric mean of the letters' probabilities below which a line is looked at again."""
LONGEST = 12.0
"""Width, in heights, up to which it is: in long lines of print the doubt is about single letters,
which no other look at the whole line settles."""
FIRST_LOOKS = 2
"""Looks after which no more are taken if all read the same."""
WIDER = 1.3
TURN = 5.0
"""Degrees."""
TRIM = 0.08
"""Of the height, above and below."""
CONTRAST = 3.0
"""Limit of the local contrast, in OpenCV's terms."""


class Result(Protocol):
    """What has been read."""

    @property
    def text(self) -> str:
        """The line."""

    @property
    def confidence(self) -> float:
        """Probability, 0 to 1, that it is right."""

    @property
    def mean_char_confidence(self) -> float:
        """Geometric mean of its letters' probabilities."""


R = TypeVar("R", bound=Result)


def in_doubt(image: Image, result: Result) -> bool:
    """Tell whether an image should be looked at again."""
    height, width = image.shape[:2]
    return bool(result.text) and result.mean_char_confidence < DOUBT and width <= LONGEST * height


def looks(image: Image) -> Iterator[Image]:
    """Return an image in other ways: wider, trimmed, richer in contrast, inverted, turned.

    Those that most often read surest come first.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
    """
    grey = to_grey(image)
    height, width = grey.shape
    wider = cv2.resize(grey, (max(1, round(WIDER * width)), height), interpolation=cv2.INTER_CUBIC)
    yield np.asarray(wider, np.uint8)
    edge = round(TRIM * height)
    yield np.ascontiguousarray(grey[edge : height - edge])
    yield np.asarray(cv2.createCLAHE(CONTRAST, (2, 4)).apply(grey), np.uint8)
    yield 255 - grey
    yield _turned(grey, TURN)
    yield _turned(grey, -TURN)


def surest(results: Sequence[R]) -> tuple[R, float]:
    """Choose among readings of one image.

    Args:
        results: One a look, the plain one first.

    Returns:
        The surest one, and the probability that it is right: the mean, as of factors, of what it
        says itself and of what all looks say of its text, those with another text nothing.
    """
    best = max(results, key=lambda result: result.mean_char_confidence)
    agreed = sum(result.confidence for result in results if result.text == best.text)
    return best, math.sqrt(best.confidence * agreed / len(results))


def _turned(grey: Image, degrees: float) -> Image:
    """Turn an image counter-clockwise; it grows, its edges go on."""
    height, width = grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    size = int(height * sine + width * cosine), int(height * cosine + width * sine)
    turn[0, 2] += (size[0] - width) / 2
    turn[1, 2] += (size[1] - height) / 2
    return np.asarray(
        cv2.warpAffine(grey, turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )
