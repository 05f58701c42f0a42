"""Lexicon of word frequencies, and rescoring of uncertain characters with it.

On old print, CTC may give è and ê nearly the same probability; which of them makes a known word
then decides. Only characters that CTC considers possible replace others, only within words, and
only where the probabilities are close: a confident reading stays, whether it is a word or not. This
is noisy-channel correction (Kernighan, Church and Gale, "A spelling correction program based on a
noisy channel model", 1990) with CTC as the channel.
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
from ocrtool.weights import BUNDLED, SPECIALS, Vocabulary

BUNDLED_TABLE = BUNDLED / "spelling" / "words.npy"
"""Path of the bundled lexicon."""
CLASSES = 8
"""Number of frequency classes, which take the lowest three bits of a table entry."""
RAREST_BITS = 22
"""Words of frequency class 0 have probability 2^-22, those of each higher class four times that."""
UNKNOWN_BITS, UNKNOWN_BITS_PER_CHAR = 14, 2
"""Unknown words of n letters have probability 2^-(14 + 2 n); short ones are often abbreviations."""
MIN_CTC_PROBABILITY = 0.02
"""Minimum CTC probability of a character that may replace another one."""
MIN_WORD_LENGTH = 3
"""Minimum length in letters of a rescored word, one more in capitals: shorter ones are words in
some language, and three capitals are often an abbreviation."""
MAX_CHANGES = 2
"""Maximum number of characters that are replaced in a word."""

_WORD = re.compile(r"[^\W_]+")


class Lexicon:
    """Word frequencies, stored by hash instead of by word.

    About one in a thousand unknown words collides with a known one.

    Args:
        table: Sorted uint32 entries: 29 bits of a word's hash, then 3 of its frequency class.
    """

    def __init__(self, table: NDArray[np.uint32]) -> None:
        self.table = table

    @classmethod
    def of(cls, shares: Mapping[str, float]) -> Lexicon:
        """Build a lexicon from lower-case words and their relative frequencies, 0 to 1."""
        entries: dict[int, int] = {}
        for word, share in shares.items():
            rank = min(CLASSES - 1, max(0, round((RAREST_BITS + math.log2(share)) / 2)))
            key = _key(word)
            entries[key] = max(rank, entries.get(key, 0))
        packed = sorted(key * CLASSES + rank for key, rank in entries.items())
        return cls(np.array(packed, np.uint32))

    @classmethod
    def load(cls, path: Path = BUNDLED_TABLE) -> Lexicon:
        """Load a table from a ``.npy`` file."""
        return cls(np.load(path, allow_pickle=False))

    def __contains__(self, word: str) -> bool:
        """Tell whether a word is known; case is ignored."""
        return self._rank(word) is not None

    def log_probability(self, word: str) -> float:
        """Return the natural log-probability of a word; case is ignored."""
        rank = self._rank(word)
        unknown = UNKNOWN_BITS + UNKNOWN_BITS_PER_CHAR * len(word)
        bits = unknown if rank is None else RAREST_BITS - 2 * rank
        return -bits * math.log(2)

    def _rank(self, word: str) -> int | None:
        """Return the frequency class of a word; None if it is unknown."""
        key = _key(word.lower())
        place = int(np.searchsorted(self.table, np.uint32(key * CLASSES)))
        if place < len(self.table) and int(self.table[place]) // CLASSES == key:
            return int(self.table[place]) % CLASSES
        return None


@cache
def bundled_lexicon() -> Lexicon:
    """Return the bundled lexicon, which is loaded once."""
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
    """Replace uncertain characters where that makes a more probable word.

    Args:
        reading: The decoded text; without ``columns`` it is returned unchanged.
        log_probs: (N, V) natural CTC log-probabilities of N frames.
        vocabulary: A vocabulary of characters.
        lexicon: Word frequencies.
        weight: Weight of a word's log-probability relative to that of its characters, 0 to 1.
    """
    columns, text = reading.columns, vocabulary.decode(reading.ids)
    if columns is None or len(text) != len(reading.ids):
        return reading
    ids, probabilities = list(reading.ids), list(reading.probabilities)
    for word in _WORD.finditer(text):
        if not _is_rescored(word[0]) or text[word.end() :] == "-":  # hyphenated
            continue
        alternatives = {
            i: _alternatives(log_probs[slice(*columns[i])], ids[i], vocabulary)
            for i in range(word.start(), word.end())
            if probabilities[i] < 1 - MIN_CTC_PROBABILITY
        }
        if not any(alternatives.values()):
            continue
        for _ in range(MAX_CHANGES):
            changed = _best_change(ids, word.span(), alternatives, vocabulary, lexicon, weight)
            if changed is None:
                break
            place, id_, gain = changed
            ids[place], probabilities[place] = id_, 1 / (1 + math.exp(-gain))
            del alternatives[place]
    if ids == list(reading.ids):
        return reading
    return replace(reading, ids=tuple(ids), probabilities=tuple(probabilities))


def _is_rescored(word: str) -> bool:
    """Tell whether a string should be a word of the lexicon; codes and numbers should not."""
    return word.isalpha() and len(word) >= MIN_WORD_LENGTH + word.isupper()


def _alternatives(frames: FloatArray, own: int, vocabulary: Vocabulary) -> dict[int, float]:
    """Return the ids of letters that may replace ``own`` in its frames, with their log-odds."""
    if not len(frames):
        return {}
    highest = frames.max(0)
    possible = np.flatnonzero(highest >= math.log(MIN_CTC_PROBABILITY))
    return {
        id_: min(0.0, float(highest[id_] - highest[own]))
        for id_ in possible.tolist()
        if id_ != own and id_ >= SPECIALS and vocabulary.decode([id_]).isalpha()
    }


def _best_change(
    ids: list[int],
    span: tuple[int, int],
    alternatives: Mapping[int, Mapping[int, float]],
    vocabulary: Vocabulary,
    lexicon: Lexicon,
    weight: float,
) -> tuple[int, int, float] | None:
    """Return the replacement of one character that makes the most probable word.

    Returns:
        Index of the character, its new id and the gain in log-probability (nats); None if no
        replacement is more probable.
    """
    start, end = span
    own = lexicon.log_probability(vocabulary.decode(ids[start:end]))
    best: tuple[int, int, float] | None = None
    for place, others in alternatives.items():
        for id_, odds in others.items():
            word = vocabulary.decode([*ids[start:place], id_, *ids[place + 1 : end]])
            gain = odds + weight * (lexicon.log_probability(word) - own)  # odds <= 0
            if gain > 0 and (best is None or gain > best[2]):
                best = place, id_, gain
    return best


def counts_of(lines: Iterable[str]) -> dict[str, int]:
    """Count the words of a text in lower case."""
    counts: dict[str, int] = {}
    for line in lines:
        for word in _WORD.findall(line.lower()):
            if _is_rescored(word):
                counts[word] = counts.get(word, 0) + 1
    return counts


def shares_of(languages: Iterable[Mapping[str, int]], least: int = 2) -> dict[str, float]:
    """Return the relative frequency of each word in the language that uses it most.

    Args:
        languages: Lower-case words and their counts, one mapping per language.
        least: Minimum count of a word in one of the languages.
    """
    found: dict[str, float] = {}
    for counts in languages:
        total = sum(counts.values())
        for word, count in counts.items():
            if count >= least:
                found[word] = max(count / total, found.get(word, 0.0))
    return found
