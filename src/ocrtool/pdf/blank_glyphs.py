"""Glyphs without ink that a font maps to a sign: unmapped spaces.

A font whose space is not in its ToUnicode table yields the character of its code instead, as in
"The$keeper$of$the$lock". The page shows nothing there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.pdf.content import Floats, Ints, Letters
from ocrtool.pdf.file import POINTS_PER_INCH, PdfFile

MIN_FONT_LETTERS = 8
"""Minimum number of characters of a font that is examined."""
MAX_SPACED_SHARE = 0.02
"""Maximum share of characters after white space of a font that may lack a space."""
MIN_SPACE_SHARE, MAX_SPACE_SHARE = 0.05, 0.4
"""Range of the share of spaces among the characters of a font."""
MIN_INNER_SHARE = 0.6
"""Minimum share of the occurrences of a space that are between two other characters."""
MIN_SPACES = 3
"""Minimum number of occurrences of a space that is mapped to a usual sign within words."""
MAX_PROBES = 40
"""Maximum number of occurrences that are examined for ink."""
MIN_BLANK_SHARE = 0.9
"""Minimum share of examined occurrences without ink."""
BLANK_CONTRAST = 24
"""Maximum difference between the pixels of a blank glyph, in grey levels."""
PROBE_DPI = 144.0
"""Resolution of the rendering that is examined for ink, in pixels per inch."""
MAX_PROBE_PIXELS = 4_000_000
"""Maximum number of pixels of that rendering."""
_WITHIN_WORDS = frozenset("-'.,/:()_\u2019\u2013")


def remove_blank_glyphs(file: PdfFile, index: int, letters: Letters, boxes: Floats) -> Letters:
    """Return the characters of a page with blank glyphs turned into white space.

    Args:
        file: The document.
        index: Page index from 0.
        letters: Characters of the page.
        boxes: (N, 4) bounding boxes of the characters, in points.
    """
    candidates = list(_possible_spaces(letters))
    if not candidates:
        return letters
    wide, high = file.size(index)
    dpi = min(PROBE_DPI, POINTS_PER_INCH * (MAX_PROBE_PIXELS / max(wide * high, 1.0)) ** 0.5)
    grey = np.asarray(cv2.cvtColor(file.rasterise(index, dpi), cv2.COLOR_RGB2GRAY), np.uint8)
    blank = np.zeros(len(letters.text), bool)
    for places in candidates:
        probes = places[:: len(places) // MAX_PROBES + 1]
        empty = [
            crop.size > 0 and int(np.ptp(crop)) <= BLANK_CONTRAST
            for crop in (
                _middle(grey, box, dpi / POINTS_PER_INCH) for box in boxes[probes].tolist()
            )
        ]
        blank[places] = np.mean(empty) >= MIN_BLANK_SHARE
    if not blank.any():
        return letters
    kept = np.flatnonzero(~blank)
    last = np.maximum.accumulate(np.where(blank, np.arange(len(blank)), -1))[kept]
    before = np.concatenate(([-1], kept))[: len(kept)]
    spaced = letters.spaced[kept] | ((last > before) & (letters.row[last] == letters.row[kept]))
    return replace(letters.of(kept), spaced=spaced)


def _possible_spaces(letters: Letters) -> Iterator[Ints]:
    """Yield the indices of characters that may be spaces, one array for each glyph."""
    if not len(letters.text):
        return
    text = np.array(letters.text)
    same = (letters.row[1:] == letters.row[:-1]) & (text[1:] != text[:-1])
    same &= letters.font[1:] == letters.font[:-1]
    inner = np.append(same, False) & np.insert(same, 0, False)
    for number in np.unique(letters.font).tolist():
        own = letters.font == number
        total = int(own.sum())
        if total < MIN_FONT_LETTERS or letters.spaced[own].mean() > MAX_SPACED_SHARE:
            continue
        for char, count in Counter(text[own].tolist()).items():
            if not MIN_SPACE_SHARE * total <= count <= MAX_SPACE_SHARE * total:
                continue
            if char.islower() or (count < MIN_SPACES and (char in _WITHIN_WORDS or char.isalnum())):
                continue
            places = np.flatnonzero(own & (text == char))
            if inner[places].mean() < MIN_INNER_SHARE:
                continue
            lower = [letters.text[i - 1].islower() for i in places.tolist() if i]
            if not char.isalnum() or sum(lower) > MIN_INNER_SHARE * len(places):
                yield places


def _middle(grey: NDArray[np.uint8], box: list[float], scale: float) -> NDArray[np.uint8]:
    """Return the middle half of a glyph's box, over its whole height."""
    x0, y0, x1, y1 = (side * scale for side in box)
    quarter = (x1 - x0) / 4
    left, right = round(x0 + quarter), max(round(x1 - quarter), round(x0 + quarter) + 1)
    return grey[max(0, round(y0)) : round(y1), max(0, left) : right]
