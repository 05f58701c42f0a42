"""What shines through thin paper from its other side: pale, mirrored, and hardly readable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import FoundLine
from ocrtool.document.readings import LineResult, ReadWord
from ocrtool.preprocess.crops import cut_line

PALE = 0.35
"""Contrast, in that of the page's good lines, below which a line is pale."""
PALEST = 0.17
"""The same from which nothing is printed, where other lines shine through."""
SURE = 0.95
"""Sureness of good lines."""
DOUBTFUL = 0.9
"""Sureness below which pale lines, and pale words of others, are not of this side."""
MANY = 3
"""Lines that shine through, from which even those that read surely are doubted."""
FEW = 5
"""Good lines a page must have: where all is pale, it is printed so."""

Read = tuple[FoundLine, LineResult]


def drop_bleed_through(image: NDArray[np.uint8], read: Sequence[Read]) -> list[Read]:
    """Return lines without what shines through from the other side of the paper.

    Args:
        image: (H, W) or (H, W, 3).
        read: Its lines, and what they say.
    """
    doubtful = [result.mean_char_confidence < DOUBTFUL for _, result in read]
    if not any(doubtful) or len(read) - sum(doubtful) < FEW:
        return list(read)
    grey = image
    if image.ndim == 3:
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    crops = [cut_line(grey, line.quad) for line, _ in read]
    contrasts = [_contrast(crop) for crop in crops]
    good = [
        c
        for c, (_, result) in zip(contrasts, read, strict=True)
        if result.mean_char_confidence > SURE
    ]
    if len(good) < FEW:
        return list(read)
    usual = float(np.median(good))
    through = [
        doubt and contrast < PALE * usual
        for doubt, contrast in zip(doubtful, contrasts, strict=True)
    ]
    kept: list[Read] = []
    for (line, result), crop, contrast, doubt, away in zip(
        read, crops, contrasts, doubtful, through, strict=True
    ):
        if away or (sum(through) >= MANY and contrast < PALEST * usual):
            continue
        said = _without_pale(result, crop, PALE * usual) if doubt else result
        kept.append((line, said))
    return kept


def _contrast(crop: NDArray[np.uint8]) -> float:
    """Return the grey levels between ink and paper."""
    ink, paper = np.percentile(crop, (4, 85))
    return float(paper - ink)


def _without_pale(result: LineResult, crop: NDArray[np.uint8], least: float) -> LineResult:
    """Return a reading without the pale words at its ends."""
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
