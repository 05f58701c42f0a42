"""Results of readers that tell a text and how sure they are, but not where its words stand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.readings import LineResult, ReadWord

Image = NDArray[np.uint8]


class OneLook:
    """What readers of lines have in common that know one way of reading."""

    def look_again(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return the readings as they are."""
        return [result for _, result in first]


def plain_result(
    source: str, text: str, letters: Sequence[float], least: float = 0.0
) -> LineResult:
    """Return the result of a line whose letters are taken to be equally wide.

    Args:
        source: Name of the picture.
        text: What it says; white space is one space a time.
        letters: Probability of each character of ``text`` that it is right.
        least: Confidence below which the text is withheld.
    """
    start = len(text) - len(text.lstrip())
    text = text.strip()
    letters = tuple(letters[start : start + len(text)])
    confidence = math.prod(letters)
    if confidence < least:
        return LineResult(source, "", confidence, ())
    return LineResult(source, text, confidence, tuple(_words(text, letters)), letters)


def _words(text: str, letters: Sequence[float]) -> Iterator[ReadWord]:
    end = 0
    for word in text.split():
        start = text.index(word, end)
        end = start + len(word)
        sure = math.prod(letters[start:end])
        yield ReadWord(word, sure, start / len(text), end / len(text))


def spread(text: str, pieces: Iterable[tuple[str, float]]) -> list[float]:
    """Return the probability of each character of a text, from those of the pieces it is made of.

    Args:
        text: What the pieces decode to, all in all.
        pieces: Each piece, as nearly as it can be told what it adds to the text, and its
            probability, which its characters share.
    """
    letters = [
        probability ** (1 / len(piece)) for piece, probability in pieces for _ in range(len(piece))
    ]
    if not letters:
        return [1.0] * len(text)
    return [letters[i * len(letters) // len(text)] for i in range(len(text))]
