"""Scores of texts: addends of error rates, word F1 and calibration for one item each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import jiwer
import numpy as np
from rapidfuzz.distance import Levenshtein

from ocrtool.evaluation.figures import Array, Figure

CALIBRATION_BINS = 15
"""Number of bins of equal width that confidences are sorted into."""

CER = Figure("cer", "CER", True, note="Edits in characters as a share of the truth's characters.")
WER = Figure("wer", "WER", True, note="Edits in words as a share of the truth's words.")


def f1(sums: Array) -> Array:
    """Return the F1 from sums of hits, of what was said and of what is true. Shape (..., 3)."""
    total = sums[..., 1] + sums[..., 2]
    empty = np.full_like(total, np.nan)
    return np.asarray(np.divide(2 * sums[..., 0], total, out=empty, where=total != 0))


def calibration_error(sums: Array) -> Array:
    """Return the mean gap between confidence and accuracy over bins. Shape (..., bins + 1)."""
    gaps, count = np.abs(sums[..., :-1]).sum(axis=-1), sums[..., -1]
    empty = np.full_like(gaps, np.nan)
    return np.asarray(np.divide(gaps, count, out=empty, where=count != 0))


WORD_F1 = Figure("word_f1", "Word F1", combine=f1, width=3, note="Words found, in any order.")
EXACT = Figure("exact", "Exact", note="Items read without an error.")
CALIBRATION = Figure(
    "calibration_error",
    "Calibration error",
    True,
    calibration_error,
    CALIBRATION_BINS + 1,
    note="Mean gap between the confidence of words and the share that is right, over 15 bins.",
)


def character_errors(truth: str, said: str) -> tuple[float, float]:
    """Return edits and characters of the truth, which is not empty."""
    counts = jiwer.process_characters(truth, said)
    edits = counts.substitutions + counts.deletions + counts.insertions
    return float(edits), float(counts.hits + counts.substitutions + counts.deletions)


def word_errors(truth: str, said: str) -> tuple[float, float]:
    """Return edits and words of the truth, which is not empty."""
    counts = jiwer.process_words(truth, said)
    edits = counts.substitutions + counts.deletions + counts.insertions
    return float(edits), float(counts.hits + counts.substitutions + counts.deletions)


def word_overlap(truth: str, said: str) -> tuple[float, float, float]:
    """Return words of both (each as often as it stands in both), words said, words of the truth."""
    wanted, found = Counter(truth.split()), Counter(said.split())
    return (float((wanted & found).total()), float(found.total()), float(wanted.total()))


def calibration(truth: Sequence[str], words: Sequence[tuple[str, float]]) -> tuple[float, ...]:
    """Return, for each bin, the sum of confidence less rightness, then the number of words.

    A word is right where an alignment with the truth by fewest edits leaves it as it is.

    Args:
        truth: Words of the truth.
        words: Words with confidences (0 to 1), normalised like the truth.
    """
    right = np.zeros(len(words))
    for step in Levenshtein.opcodes([word for word, _ in words], list(truth)):
        if step.tag == "equal":
            right[step.src_start : step.src_end] = 1
    stated = np.array([confidence for _, confidence in words])
    bins = np.minimum((stated * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=stated - right, minlength=CALIBRATION_BINS)
    return (*map(float, gaps), float(len(words)))


def confusions(truth: str, said: str) -> Counter[tuple[str, str]]:
    """Count pairs of a character and what it was read as; "" where one is lost or added."""
    counts: Counter[tuple[str, str]] = Counter()
    for step in Levenshtein.editops(truth, said):
        wanted = "" if step.tag == "insert" else truth[step.src_pos]
        found = "" if step.tag == "delete" else said[step.dest_pos]
        counts[wanted, found] += 1
    return counts


def bare_words(text: str) -> list[str]:
    """Return the words of a text without punctuation, in small letters."""
    return re.findall(r"\w+", text.casefold())
