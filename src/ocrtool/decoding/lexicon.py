"""How likely words are, and what that tells of letters that a reader could hardly tell apart.

A network that sees single letters may find è and ê about equally likely where the print is old;
that one of the two makes a word and the other none then decides. Only letters that CTC itself
holds possible are considered, only inside words, and only as far as the two are nearly equal: what
is read surely stays, word or not. Noisy-channel correction, as in Kernighan, Church and Gale, "A
spelling correction program based on a noisy channel model", 1990, with CTC as the channel.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.ctc import Decoded, FloatArray
from ocrtool.weights.bundled import BUNDLED
from ocrtool.weights.vocabulary import SPECIALS, Vocabulary

WORDS = BUNDLED / "spelling" / "words.npy"
"""The bundled table."""
CLASSES = 8
"""How many classes of frequency there are; they take the lowest three bits of an entry."""
RAREST = 22
"""A word of class 0 makes up 2^-22 of a text, one of each further class four times as much."""
UNKNOWN = (14, 2)
"""A word of n letters that is not in the table has 2^-(14 + 2 n): what is short, such as SDN, is
more often an abbreviation or a name."""
LEAST = 0.02
"""Probability that CTC must give a letter for it to be considered."""
SHORTEST = 3
"""Letters of a word that is judged: shorter ones are words in one language or another. In capitals
it has one more: three capitals are more often an abbreviation."""
PASSES = 2
"""Letters of a word that may be changed."""

_WORD = re.compile(r"[^\W_]+")


class Lexicon:
    """Frequencies of words, without the words: what is asked for is looked up by its hash.

    One word of a thousand that are none is taken for a known one.

    Args:
        table: Sorted uint32: 29 bits of a word's hash, then 3 of its class of frequency.
    """

    def __init__(self, table: NDArray[np.uint32]) -> None:
        self.table = table

    @classmethod
    def of(cls, shares: Mapping[str, float]) -> Lexicon:
        """Make a table of words in small letters and their shares of the texts, 0 to 1."""
        entries: dict[int, int] = {}
        for word, share in shares.items():
            rank = min(CLASSES - 1, max(0, round((RAREST + math.log2(share)) / 2)))
            key = _key(word)
            entries[key] = max(rank, entries.get(key, 0))
        packed = sorted(key * CLASSES + rank for key, rank in entries.items())
        return cls(np.array(packed, np.uint32))

    @classmethod
    def load(cls, path: Path = WORDS) -> Lexicon:
        """Read a table that was saved by NumPy."""
        return cls(np.load(path, allow_pickle=False))

    def __contains__(self, word: str) -> bool:
        """Tell whether a word is known, in small letters or capitals."""
        return self._rank(word) is not None

    def log_probability(self, word: str) -> float:
        """Return the natural logarithm of how likely a word is, in small letters or capitals."""
        rank = self._rank(word)
        halvings = UNKNOWN[0] + UNKNOWN[1] * len(word) if rank is None else RAREST - 2 * rank
        return -halvings * math.log(2)

    def _rank(self, word: str) -> int | None:
        """Return the class of frequency of a word."""
        key = _key(word.lower())
        place = int(np.searchsorted(self.table, np.uint32(key * CLASSES)))
        if place < len(self.table) and int(self.table[place]) // CLASSES == key:
            return int(self.table[place]) % CLASSES
        return None


@cache
def bundled_lexicon() -> Lexicon:
    """Return the bundled table; it is read once."""
    return Lexicon.load()


def _key(word: str) -> int:
    return zlib.crc32(word.encode()) // CLASSES


def rescore_with_lexicon(
    reading: Decoded,
    log_probs: FloatArray,
    vocabulary: Vocabulary,
    lexicon: Lexicon,
    weight: float,
) -> Decoded:
    """Return a reading whose doubtful letters make the likeliest words.

    Args:
        reading: With ``columns``, or nothing is changed.
        log_probs: (N, V), natural logarithms that CTC gives its labels in each frame.
        vocabulary: Of characters.
        lexicon: How likely words are.
        weight: Of a word's log-probability beside that of what is seen, 0 to 1.
    """
    columns, text = reading.columns, vocabulary.decode(reading.ids)
    if columns is None or len(text) != len(reading.ids):
        return reading
    ids, probabilities = list(reading.ids), list(reading.probabilities)
    for word in _WORD.finditer(text):
        if not _is_judged(word[0]) or text[word.end() :] == "-":  # it goes on in the next line
            continue
        letters = {
            i: _alternatives(log_probs[slice(*columns[i])], ids[i], vocabulary)
            for i in range(word.start(), word.end())
            if probabilities[i] < 1 - LEAST
        }
        if not any(letters.values()):
            continue
        for _ in range(PASSES):
            changed = _better(ids, word.span(), letters, vocabulary, lexicon, weight)
            if changed is None:
                break
            place, id_, gain = changed
            ids[place], probabilities[place] = id_, 1 / (1 + math.exp(-gain))
            del letters[place]
    if ids == list(reading.ids):
        return reading
    return replace(reading, ids=tuple(ids), probabilities=tuple(probabilities))


def _is_judged(word: str) -> bool:
    """Tell whether it matters if a text is a word: codes and numbers need not be one."""
    return word.isalpha() and len(word) >= SHORTEST + word.isupper()


def _alternatives(frames: FloatArray, own: int, vocabulary: Vocabulary) -> dict[int, float]:
    """Return letters that may stand in some frames instead of another, with their log-odds."""
    if not len(frames):
        return {}
    highest = frames.max(0)
    possible = np.flatnonzero(highest >= math.log(LEAST))
    return {
        id_: min(0.0, float(highest[id_] - highest[own]))
        for id_ in possible.tolist()
        if id_ != own and id_ >= SPECIALS and vocabulary.decode([id_]).isalpha()
    }


def _better(
    ids: list[int],
    span: tuple[int, int],
    letters: Mapping[int, Mapping[int, float]],
    vocabulary: Vocabulary,
    lexicon: Lexicon,
    weight: float,
) -> tuple[int, int, float] | None:
    """Return the change of one letter that makes a word likeliest; None where none does.

    It is the letter's place, its new id, and by how many natural logarithms it is likelier.
    """
    start, end = span
    own = lexicon.log_probability(vocabulary.decode(ids[start:end]))
    best: tuple[int, int, float] | None = None
    for place, others in letters.items():
        for id_, odds in others.items():
            word = vocabulary.decode([*ids[start:place], id_, *ids[place + 1 : end]])
            gain = odds + weight * (lexicon.log_probability(word) - own)  # odds are 0 at most
            if gain > 0 and (best is None or gain > best[2]):
                best = place, id_, gain
    return best


def counts_of(lines: Iterable[str]) -> dict[str, int]:
    """Count the words of a text, in small letters."""
    counts: dict[str, int] = {}
    for line in lines:
        for word in _WORD.findall(line.lower()):
            if _is_judged(word):
                counts[word] = counts.get(word, 0) + 1
    return counts


def shares_of(languages: Iterable[Mapping[str, int]], least: int = 2) -> dict[str, float]:
    """Return the share of each word in the language that uses it most.

    Args:
        languages: Words in small letters and how often they come.
        least: Times that a word must come in one of them.
    """
    found: dict[str, float] = {}
    for counts in languages:
        total = sum(counts.values())
        for word, count in counts.items():
            if count >= least:
                found[word] = max(count / total, found.get(word, 0.0))
    return found
