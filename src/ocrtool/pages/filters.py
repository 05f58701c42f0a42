"""Filters of lines: which detected lines are read, and which readings are accepted as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import FoundLine, LineResult, ReadWord, Region
from ocrtool.document.tree import MIN_CHAR_CONFIDENCE
from ocrtool.preprocess.lines import cut_line

LineReading = tuple[FoundLine, LineResult]
"""A detected line and its reading."""

MIN_DETECTION_CONFIDENCE = 0.6
"""Minimum confidence of the detector to read a line, 0 to 1."""
MIN_LINE_HEIGHT = 5.5
"""Minimum height of a line to be read, in pixels."""
SMALL_LINE_HEIGHT = 7.0
"""Height, in pixels, below which a line may be a rule on grainy paper."""
MIN_SMALL_LINE_CONFIDENCE = 0.9
"""Minimum mean character confidence of a line lower than ``SMALL_LINE_HEIGHT``."""
SHORT_TEXT = 3
"""Number of characters up to which a reading may be of a stain; the detector must be sure, too."""
MIN_SHORT_PRODUCT = 0.6
"""Minimum product of detector and mean character confidence of a text of ``SHORT_TEXT``, and of one
that is mostly symbols, as dots of a half-tone are read."""
MIN_SYMBOL_PRODUCT = 0.75
"""Minimum product of detector and mean character confidence of a text without letter or digit."""
MIN_DOUBTFUL_DETECTION = 0.8
"""Minimum confidence of the detector in a line that is kept although it was read badly."""
MIN_DOUBTFUL_PRODUCT = 0.42
"""Minimum product of detector and mean character confidence of a line that is kept although it was
read badly. Of 5,900 lines on drawn pages it keeps 118 of text and, besides bleed-through, 1 of
noise."""
MIN_LONE_DOUBTFUL_PRODUCT = 0.58
"""Minimum product of such a line on a page without any surely read line."""
MIN_LETTER_SHARE = 0.5
"""Share of letters and digits, spaces not counted, below which a text is mostly symbols."""
MIN_CONTEXT_LINES = 3
"""Number of surely read lines of a page from which their median height is the usual one."""
CONTEXT_HEIGHTS = (0.6, 1.7)
"""Heights, in medians of the surely read lines, of short text that belongs to them."""
MIN_CONTEXT_PRODUCT = 0.45
"""Minimum product of detector and mean character confidence of a text of ``SHORT_TEXT`` characters
that is as high as the surely read lines of its page."""
MIN_REREAD_CONFIDENCE = 0.5
"""Minimum mean character confidence of a text of ``SHORT_TEXT`` after its second reading."""
MIN_CELL_CONFIDENCE = 0.5
"""Minimum mean character confidence of a word inside a ruled table cell."""


def is_readable(line: FoundLine) -> bool:
    """Tell whether a detected line is high and certain enough to be read."""
    return line.height >= MIN_LINE_HEIGHT and line.confidence >= MIN_DETECTION_CONFIDENCE


def is_text(line: FoundLine, result: LineResult) -> bool:
    """Tell text from noise by the confidences of the detector and the reader."""
    small = line.height < SMALL_LINE_HEIGHT
    least = MIN_SMALL_LINE_CONFIDENCE if small else MIN_CHAR_CONFIDENCE
    if result.mean_char_confidence < least or not result.text:
        return False
    product = line.confidence * result.mean_char_confidence
    letters = letter_share(result.text)
    if not letters:
        return product >= MIN_SYMBOL_PRODUCT
    short = len(result.text) <= SHORT_TEXT or letters < MIN_LETTER_SHARE
    return not short or product >= MIN_SHORT_PRODUCT


def letter_share(text: str) -> float:
    """Return the share of letters and digits among the characters that are no space."""
    return sum(map(str.isalnum, text)) / max(1, len("".join(text.split())))


def is_doubtful_text(line: FoundLine, result: LineResult, alone: bool) -> bool:
    """Tell a line that is probably text, though read with low confidence, from noise.

    Noise that the detector mistakes for text is short or mostly symbols, or neither the detector
    nor the reader is confident.

    Args:
        line: The detected line.
        result: Its reading.
        alone: Whether no line of the page was read surely: then it may be a picture.
    """
    least = MIN_LONE_DOUBTFUL_PRODUCT if alone else MIN_DOUBTFUL_PRODUCT
    return (
        len(result.text) > SHORT_TEXT
        and letter_share(result.text) >= MIN_LETTER_SHARE
        and line.confidence >= MIN_DOUBTFUL_DETECTION
        and line.confidence * result.mean_char_confidence >= least
        and line.height >= SMALL_LINE_HEIGHT
    )


def is_short_text(line: FoundLine, result: LineResult, usual_height: float) -> bool:
    """Tell short text that stands among other text of its height from noise."""
    low, high = CONTEXT_HEIGHTS
    return (
        letter_share(result.text) > 0
        and line.confidence * result.mean_char_confidence >= MIN_CONTEXT_PRODUCT
        and low < line.height / usual_height < high
    )


def is_cell_text(line: FoundLine, result: LineResult) -> bool:
    """Tell text from noise inside a ruled table cell, where a single word is likely text."""
    word = result.text.isalnum() and result.mean_char_confidence >= MIN_CELL_CONFIDENCE
    return is_text(line, result) or word


def text_lines(read: Iterable[LineReading], regions: Sequence[Region]) -> list[LineReading]:
    """Return the lines that are text, surely or probably, or the number of a displayed formula.

    Short texts are accepted more easily where they are as high as sure text on the same page.

    Args:
        read: Lines of a page and their readings.
        regions: Regions of the same page, among them its formulas.
    """
    judged = [(line, result, is_text(line, result)) for line, result in read]
    heights = sorted(
        line.height for line, result, sure in judged if sure and len(result.text) > SHORT_TEXT
    )
    usual = heights[len(heights) // 2] if len(heights) >= MIN_CONTEXT_LINES else math.inf
    formulas = [region for region in regions if region.kind == "formula"]
    return [
        (line, result)
        for line, result, sure in judged
        if sure
        or is_doubtful_text(line, result, alone=not heights)
        or is_short_text(line, result, usual)
        or (formulas and _is_formula_number(line, result, formulas))
    ]


def _is_formula_number(line: FoundLine, result: LineResult, formulas: Sequence[Region]) -> bool:
    from ocrtool.structure.equations import is_number

    return is_number(result.text, line.quad, formulas)


def without_unstable(read: Iterable[LineReading]) -> list[LineReading]:
    """Drop lines whose second reading is of low confidence and not doubtful text."""

    def least(text: str) -> float:
        return MIN_REREAD_CONFIDENCE if len(text) <= SHORT_TEXT else MIN_CHAR_CONFIDENCE

    return [
        (line, result)
        for line, result in read
        if result.mean_char_confidence >= least(result.text)
        or is_doubtful_text(line, result, alone=False)
    ]


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
