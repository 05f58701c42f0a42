"""How far a reading is from the truth: edit distance and the rates made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ocrtool.weights.vocabulary import split


def edit_distance(first: Sequence[object], second: Sequence[object]) -> int:
    """Levenshtein distance: fewest insertions, deletions and substitutions between two sequences.

    Works on strings (characters) and on lists (words). Equal ends are cut first, which leaves
    little to do for readings that are nearly right.
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
        cer: Edited characters over characters of the truth; tokens, where a text is made of tokens.
        wer: Edited words over words of the truth; words are what white space parts.
        exact: Share of lines read without any error, 0 to 1.
        similarity: Mean over lines of 1 less the edit distance as a share of the longer text.
    """

    cer: float
    wer: float
    exact: float
    similarity: float


def rates(readings: Sequence[str], truths: Sequence[str], separator: str = "") -> Rates:
    """Error rates of readings; sums are taken over the set before dividing.

    Args:
        readings: What was read.
        truths: What it should be.
        separator: What parts the tokens of a text; empty where characters are compared.

    Raises:
        ValueError: The two sequences differ in length.
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
