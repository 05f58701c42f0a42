"""Bleed-through: text of the other side of thin paper, pale and mirrored, is dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.readings import LineResult, ReadWord
from ocrtool.pages.filters import LineReading
from ocrtool.preprocess.crops import cut_line

MAX_PALE_CONTRAST = 0.35
"""Contrast of a line, as a share of the contrast of the page's good lines, below which it is pale
and may be bleed-through."""
MAX_CERTAIN_CONTRAST = 0.17
"""Contrast, as the same share, below which a line of any confidence is bleed-through, on a page
with ``MIN_BLEED_LINES``."""
MIN_GOOD_CONFIDENCE = 0.95
"""Minimum mean character confidence of the good lines, whose contrast is the reference."""
MAX_DOUBTFUL_CONFIDENCE = 0.9
"""Mean character confidence below which a pale line is dropped, and a line loses pale words."""
MIN_BLEED_LINES = 3
"""Number of bleed-through lines on a page above which surely read ones are dropped, too."""
MIN_GOOD_LINES = 5
"""Minimum number of good lines on a page; where all lines are pale, it is printed so."""


def drop_bleed_through(image: NDArray[np.uint8], read: Sequence[LineReading]) -> list[LineReading]:
    """Return lines without those that show through from the other side of the paper.

    Args:
        image: (H, W) or (H, W, 3), uint8.
        read: Lines of the image and their readings.
    """
    doubtful = [result.mean_char_confidence < MAX_DOUBTFUL_CONFIDENCE for _, result in read]
    if not any(doubtful) or len(read) - sum(doubtful) < MIN_GOOD_LINES:
        return list(read)
    grey = image
    if image.ndim == 3:
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    crops = [cut_line(grey, line.quad) for line, _ in read]
    contrasts = [_contrast(crop) for crop in crops]
    good = [
        c
        for c, (_, result) in zip(contrasts, read, strict=True)
        if result.mean_char_confidence > MIN_GOOD_CONFIDENCE
    ]
    if len(good) < MIN_GOOD_LINES:
        return list(read)
    usual = float(np.median(good))
    through = [
        doubt and contrast < MAX_PALE_CONTRAST * usual
        for doubt, contrast in zip(doubtful, contrasts, strict=True)
    ]
    kept: list[LineReading] = []
    for (line, result), crop, contrast, doubt, away in zip(
        read, crops, contrasts, doubtful, through, strict=True
    ):
        if away or (sum(through) >= MIN_BLEED_LINES and contrast < MAX_CERTAIN_CONTRAST * usual):
            continue
        kept_result = _without_pale(result, crop, MAX_PALE_CONTRAST * usual) if doubt else result
        kept.append((line, kept_result))
    return kept


def _contrast(crop: NDArray[np.uint8]) -> float:
    """Return the number of grey levels between ink and paper."""
    ink, paper = np.percentile(crop, (4, 85))
    return float(paper - ink)


def _without_pale(result: LineResult, crop: NDArray[np.uint8], least: float) -> LineResult:
    """Return a reading without the words at its ends whose contrast is below ``least``."""
    width = crop.shape[1]

    def is_pale(word: ReadWord) -> bool:
        x0, x1 = int(word.start * width), math.ceil(word.end * width)
        part = crop[:, max(0, x0) : max(x1, x0 + 1)]
        return part.size > 0 and _contrast(part) < least

    pale = [is_pale(word) for word in result.words]
    if all(pale) or not (pale and (pale[0] or pale[-1])):
        return result
    first, last = pale.index(False), len(pale) - pale[::-1].index(False)
    words = result.words[first:last]
    start = sum(len(word.text) + 1 for word in result.words[:first])
    text = " ".join(word.text for word in words)
    return replace(
        result,
        text=text,
        confidence=math.prod(word.confidence for word in words),
        words=words,
        characters=result.characters[start : start + len(text)],
    )
