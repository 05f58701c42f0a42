"""Line results of readers that give text and probabilities but no positions of words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import LineResult, ReadWord

Image = NDArray[np.uint8]


class SinglePassReader:
    """Base of line readers without test-time augmentation."""

    def reread_uncertain(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return the readings unchanged."""
        return [result for _, result in first]


def plain_result(
    source: str, text: str, probabilities: Sequence[float], min_confidence: float = 0.0
) -> LineResult:
    """Return the result of a line whose characters are assumed to be equally wide.

    Args:
        source: Name of the image.
        text: Text of the line, in which each white-space character is a single space.
        probabilities: Probability, 0 to 1, of each character of ``text``.
        min_confidence: Confidence below which the result has no text.
    """
    start = len(text) - len(text.lstrip())
    text = text.strip()
    characters = tuple(probabilities[start : start + len(text)])
    confidence = math.prod(characters)
    if confidence < min_confidence:
        return LineResult(source, "", confidence, ())
    return LineResult(source, text, confidence, tuple(_words(text, characters)), characters)


def _words(text: str, characters: Sequence[float]) -> Iterator[ReadWord]:
    end = 0
    for word in text.split():
        start = text.index(word, end)
        end = start + len(word)
        confidence = math.prod(characters[start:end])
        yield ReadWord(word, confidence, start / len(text), end / len(text))


def char_probabilities(text: str, tokens: Iterable[tuple[str, float]]) -> list[float]:
    """Distribute token probabilities over the characters of the decoded text.

    Each character of a token gets the n-th root of the token's probability, n being the token's
    length. Where the lengths of tokens and text differ, the list is stretched to the text.

    Args:
        text: Text that all tokens together decode to.
        tokens: Name of each token, about as long as the text it decodes to, and its probability.
    """
    spread = [
        probability ** (1 / len(token)) for token, probability in tokens for _ in range(len(token))
    ]
    if not spread:
        return [1.0] * len(text)
    return [spread[i * len(spread) // len(text)] for i in range(len(text))]
