"""Small images that are one line of text, cut out so tightly that the detector finds none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import FoundLine
from ocrtool.pages.upright import OrientedText

if TYPE_CHECKING:
    from ocrtool.readers import ReadsLines

MAX_PIXELS = 400_000
"""Maximum number of pixels of an image that may be a single line."""
MIN_CONFIDENCE = 0.9
"""Minimum mean character confidence to accept the whole image as one line."""


def as_single_line(
    image: NDArray[np.uint8], text: OrientedText, reader: ReadsLines
) -> OrientedText:
    """Return the reading of a small image as one line, where that is more than was found on it.

    Args:
        image: The image as it was given.
        text: The text that was found on it.
        reader: Reads the image.
    """
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        return text
    (result,) = reader.read_stream([("", image)])
    if not result.text or result.mean_char_confidence < MIN_CONFIDENCE:
        return text
    height, width = image.shape[:2]
    whole = FoundLine(((0, 0), (width, 0), (width, height), (0, height)), result.confidence)
    line = OrientedText(
        image, ((whole, result),), (), 0, result.mean_char_confidence, 1, single_line=True
    )
    # The detector may have left a character out.
    more = (line.letters, line.mean_char_confidence) > (text.letters, text.mean_char_confidence)
    return line if more else text
