"""Orientation of an image of text: read as it lies, and turned where that reads better."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.lexicon import bundled_lexicon
from ocrtool.document.lines import FoundLine, Region
from ocrtool.layout.orientation import OTHER_TURNS, Turn, is_left_to_right, likely_turns, page_turn
from ocrtool.pages.filters import LineReading
from ocrtool.pages.recognise import RecognisedPage
from ocrtool.preprocess.lines import cut_line

LONGEST_LINES = 24
"""Number of longest lines by which an orientation is judged; specks and stains tell nothing."""
PROBED_LINES = 12
"""Number of lines that are read to judge another orientation."""
MAX_DOUBTFUL_CONFIDENCE = 0.9
"""Mean character confidence of an image's longest lines below which other orientations are tried,
and of a line above which its known words count."""
MIN_KNOWN_LETTERS = 6
"""Number of letters of known words that settle an orientation."""
LONG_WORDS = re.compile(r"[^\W\d_]{4,}")
"""Words that may be looked up in the lexicon; shorter ones come up by chance, too."""
MIN_WORD_ASPECT = 1.5
"""Minimum ratio of length to height of a line whose known words count: of words that lie on their
side, the detector finds pieces that are higher than wide."""
MIN_TURNED_LINES = 3
"""Minimum number of lines accepted as text in another orientation to prefer it."""
MIN_CONFIDENCE_GAIN = 0.08
"""Minimum gain in mean character confidence to prefer another orientation."""


@dataclass(frozen=True, eq=False)
class OrientedText:
    """Text of an image in one orientation.

    Attributes:
        image: The image in this orientation.
        lines: The lines accepted as text, and their readings.
        regions: Regions that were found on ``image``.
        turn: Degrees, counter-clockwise, by which the reading directions of the lines say that
            ``image`` has to be turned to be upright.
        mean_char_confidence: Geometric mean of the character confidences of the longest lines,
            accepted or not.
        found: Number of lines that were found.
        other_ways: Orientations that the shapes of the lines leave open.
        turned_by: Degrees, counter-clockwise, by which the given image had been turned.
        single_line: Whether all of the image was read as one line.
    """

    image: NDArray[np.uint8]
    lines: tuple[LineReading, ...]
    regions: tuple[Region, ...]
    turn: Turn
    mean_char_confidence: float
    found: int
    other_ways: tuple[Turn, ...] = OTHER_TURNS
    turned_by: Turn = 0
    single_line: bool = False

    @property
    def letters(self) -> int:
        """Number of characters in the accepted lines."""
        return sum(len(result.text) for _, result in self.lines)

    @cached_property
    def known_word_letters(self) -> int:
        """Number of letters of long known words in surely read lines that run left to right."""
        lexicon = bundled_lexicon()
        return sum(
            len(word)
            for line, result in self.lines
            if result.mean_char_confidence >= MAX_DOUBTFUL_CONFIDENCE
            and line.length > MIN_WORD_ASPECT * line.height
            if is_left_to_right(line.quad)
            for word in LONG_WORDS.findall(result.text)
            if word in lexicon
        )

    def cut(self, line: FoundLine) -> NDArray[np.uint8]:
        """Return the image of a line."""
        return self.image if self.single_line else cut_line(self.image, line.quad)


def oriented(page: RecognisedPage, accepted: Sequence[LineReading]) -> OrientedText:
    """Return the text of a page in the orientation in which it was read.

    Args:
        page: The page.
        accepted: Its lines that are text.
    """
    longest = [result for _, result in page.lines[:LONGEST_LINES] if result.text]
    letters = sum(len(result.text) for result in longest)
    log_confidence = sum(math.log(max(result.confidence, 1e-30)) for result in longest)
    return OrientedText(
        page.found.image,
        tuple(accepted),
        page.found.layout.regions,
        page_turn(page.found.layout.lines),
        math.exp(log_confidence / letters) if letters else 0.0,
        len(page.found.layout.lines),
        likely_turns([line for line, _ in page.lines]),
        page.found.turned_by,
    )


def best_orientation(
    given: OrientedText, read: Callable[[Turn, int], OrientedText]
) -> OrientedText:
    """Return the text of an image in the orientation that reads best.

    Other orientations are only tried where the image reads badly as it lies, and none of its words
    is known.

    Args:
        given: The text of the image as it lies.
        read: Reads the image turned by so many degrees, and so many of its lines; 0 for all.
    """
    if (
        given.mean_char_confidence >= MAX_DOUBTFUL_CONFIDENCE
        or not given.found
        or given.known_word_letters >= MIN_KNOWN_LETTERS
    ):
        return given
    tried: list[OrientedText] = []
    for way in given.other_ways:
        tried.append(read(way, PROBED_LINES))
        if tried[-1].known_word_letters >= MIN_KNOWN_LETTERS:
            break
    best = max(
        tried,
        key=lambda text: (text.known_word_letters >= MIN_KNOWN_LETTERS, text.mean_char_confidence),
    )
    surer = best.mean_char_confidence > given.mean_char_confidence + MIN_CONFIDENCE_GAIN
    if best.known_word_letters >= MIN_KNOWN_LETTERS or (
        surer and len(best.lines) >= MIN_TURNED_LINES
    ):
        return read(best.turned_by, 0)
    return given
