"""Edit distance and error rates of readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ocrtool.weights import split


def edit_distance(first: Sequence[object], second: Sequence[object]) -> int:
    """Return the Levenshtein distance of strings (in characters) or lists (in words).

    Equal ends are cut first, which leaves little work for readings with few errors.
    """
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    end = 0
    shortest = min(len(first), len(second)) - start
    while end < shortest and first[-1 - end] == second[-1 - end]:
        end += 1
    first = first[start : len(first) - end]
    second = second[start : len(second) - end]
    if not first or not second:
        return len(first) + len(second)
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(second, 1):
            substitution = diagonal if left == right else diagonal + 1
            diagonal = row[j]
            row[j] = min(substitution, diagonal + 1, row[j - 1] + 1)
    return row[-1]


@dataclass(frozen=True)
class Rates:
    """Error rates over a set of lines.

    Attributes:
        cer: Edit distance in characters (or tokens), as a share of the labels' characters.
        wer: Edit distance in words separated by white space, as a share of the labels' words.
        exact: Share of lines read without error, 0 to 1.
        similarity: Mean over lines of 1 less the edit distance as a share of the longer text.
    """

    cer: float
    wer: float
    exact: float
    similarity: float


def rates(readings: Sequence[str], truths: Sequence[str], separator: str = "") -> Rates:
    """Return error rates of readings, with sums over the set before dividing.

    Args:
        readings: The readings.
        truths: Their labels, as many.
        separator: Separator of tokens; empty where characters are compared.
    """
    characters = words = edits = word_edits = exact = 0
    similarity = 0.0
    for reading, truth in zip(readings, truths, strict=True):
        wanted = split(truth, separator)
        characters += len(wanted)
        words += len(truth.split())
        if reading == truth:
            exact += 1
            similarity += 1.0
            continue
        found = split(reading, separator)
        distance = edit_distance(found, wanted)
        edits += distance
        similarity += 1.0 - distance / max(len(found), len(wanted), 1)
        word_edits += edit_distance(reading.split(), truth.split())
    return Rates(
        cer=edits / max(characters, 1),
        wer=word_edits / max(words, 1),
        exact=exact / max(len(truths), 1),
        similarity=similarity / max(len(truths), 1),
    )
