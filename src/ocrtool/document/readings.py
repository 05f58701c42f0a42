"""What line recognisers return: words and lines with their confidences."""

from __future__ import annotations

from dataclasses import dataclass


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
