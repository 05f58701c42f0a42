"""Results of detection and recognition: lines, regions, rules and words.

Geometry is in pixels, origin top left, y down; confidences are probabilities, 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ocrtool.document.tree import Box, Quad

RegionKind = Literal["table", "formula", "figure", "rule"]


@dataclass(frozen=True)
class FoundLine:
    """A line of text that has been found, not yet read.

    Attributes:
        quad: Its corners in reading direction, tight round the ink; see ``document.Quad``.
        confidence: 0 to 1, that it is text.
    """

    quad: Quad
    confidence: float

    @property
    def length(self) -> float:
        """Pixels from the first letter's head to the last letter's."""
        return math.dist(self.quad[0], self.quad[1])

    @property
    def height(self) -> float:
        """Pixels from the first letter's head to its foot."""
        return math.dist(self.quad[0], self.quad[3])


@dataclass(frozen=True)
class Region:
    """A part of the page that is more than lines of text.

    Attributes:
        kind: What it is; a rule is a drawn line that separates parts.
        box: Where it is.
        confidence: 0 to 1.
    """

    kind: RegionKind
    box: Box
    confidence: float


@dataclass(frozen=True)
class Rule:
    """A straight stroke or thin bar, level or upright; pixels, origin top left.

    Attributes:
        x0: Left end, in the middle of its width where it is upright.
        y0: Upper end.
        x1: Right end.
        y1: Lower end.
        width: Of the stroke.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    width: float

    @property
    def level(self) -> bool:
        """Whether it runs from left to right."""
        return self.x1 - self.x0 >= self.y1 - self.y0


@dataclass(frozen=True)
class DetectedLayout:
    """What a page holds.

    Attributes:
        lines: In no particular order.
        regions: In no particular order.
        rules: Those of tables, where they have been looked for.
    """

    lines: tuple[FoundLine, ...]
    regions: tuple[Region, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class ReadWord:
    """A word of a line that has been read.

    Attributes:
        text: Its characters, no white space.
        confidence: Probability, 0 to 1, that all of them are right.
        start: Where it begins along the line, from 0 to 1.
        end: Where it ends.
    """

    text: str
    confidence: float
    start: float = 0.0
    end: float = 1.0


MIN_MEAN_CHAR_CONFIDENCE = 0.95
"""Mean character confidence (geometric mean, 0 to 1) below which a line is read again."""


@dataclass(frozen=True)
class LineResult:
    """What one image says.

    Attributes:
        source: Where the image came from, as it was given.
        text: The line without white space at its ends; empty for a blank image.
        confidence: Probability, 0 to 1, that the whole text is right.
        words: Its words in order, split at white space.
        characters: Probability, 0 to 1, of each character of ``text`` that it is right.
        reader: Name of the model that read it, where that is not the one that was asked first.
    """

    source: str
    text: str
    confidence: float
    words: tuple[ReadWord, ...]
    characters: tuple[float, ...] = ()
    reader: str = ""

    @property
    def mean_char_confidence(self) -> float:
        """Geometric mean of its letters' probabilities: short and long lines compare by it."""
        return self.confidence ** (1 / len(self.text)) if self.text else 0.0


@dataclass(frozen=True)
class ReadLine:
    """A line that has been read.

    Attributes:
        text: What it says.
        confidence: Probability, 0 to 1, that all of it is right.
        words: Its words in order.
        reader: Name of the model that read it, where that is not the one that was asked first.
    """

    text: str
    confidence: float
    words: tuple[ReadWord, ...] = ()
    reader: str = ""
