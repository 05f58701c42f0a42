"""Filters of lines: which detected lines are read, and which readings are accepted as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ocrtool.document.detected import FoundLine, Region
from ocrtool.document.readings import LineResult
from ocrtool.structure.equations import is_number

LineReading = tuple[FoundLine, LineResult]
"""A detected line and its reading."""

MIN_DETECTION_CONFIDENCE = 0.6
"""Minimum confidence of the detector to read a line, 0 to 1."""
MIN_LINE_HEIGHT = 5.5
"""Minimum height of a line to be read, in pixels."""
MIN_CHAR_CONFIDENCE = 0.75
"""Minimum mean character confidence (geometric mean, 0 to 1) of a line accepted as text."""
SMALL_LINE_HEIGHT = 7.0
"""Height, in pixels, below which a line may be a rule on grainy paper."""
MIN_SMALL_LINE_CONFIDENCE = 0.9
"""Minimum mean character confidence of a line lower than ``SMALL_LINE_HEIGHT``."""
SHORT_TEXT = 3
"""Number of characters up to which a reading may be of a stain; the detector must be sure, too."""
MIN_SHORT_PRODUCT = 0.6
"""Minimum product of detector and mean character confidence of a text of ``SHORT_TEXT``."""
MIN_SYMBOL_PRODUCT = 0.75
"""Minimum product of detector and mean character confidence of a text without letter or digit."""
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
    if not any(character.isalnum() for character in result.text):
        return product >= MIN_SYMBOL_PRODUCT
    return len(result.text) > SHORT_TEXT or product >= MIN_SHORT_PRODUCT


def is_cell_text(line: FoundLine, result: LineResult) -> bool:
    """Tell text from noise inside a ruled table cell, where a single word is likely text."""
    word = result.text.isalnum() and result.mean_char_confidence >= MIN_CELL_CONFIDENCE
    return is_text(line, result) or word


def text_lines(read: Iterable[LineReading], regions: Sequence[Region]) -> list[LineReading]:
    """Return the lines that are text, or the number of a displayed formula.

    Args:
        read: Lines of a page and their readings.
        regions: Regions of the same page, among them its formulas.
    """
    return [
        (line, result)
        for line, result in read
        if is_text(line, result) or is_number(result.text, line.quad, regions)
    ]


def without_unstable(read: Iterable[LineReading]) -> list[LineReading]:
    """Drop short lines whose second reading disagreed with the first: they are noise."""
    return [
        (line, result)
        for line, result in read
        if len(result.text) > SHORT_TEXT or result.mean_char_confidence >= MIN_REREAD_CONFIDENCE
    ]
