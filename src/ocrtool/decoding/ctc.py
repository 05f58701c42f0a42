"""Connectionist temporal classification: the greedy path and the probability of a text. NumPy.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from ocrtool.weights.vocabulary import BLANK, BOS, EOS

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Decoded:
    """One text as token ids, and how sure it is.

    Attributes:
        ids: Token ids without BOS and EOS.
        probabilities: One a token, in 0 to 1.
        complete: Probability, in 0 to 1, that nothing was left out or stands behind.
        columns: CTC frames of each token, first and one past the last; None without a CTC head.
        runaway: Whether it was cut because it repeats itself or outgrows its width.
    """

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    complete: float
    columns: tuple[tuple[int, int], ...] | None = None
    runaway: bool = False

    def certainty(self) -> float:
        """Return the least of all its probabilities."""
        return min((*self.probabilities, self.complete))


def greedy_path(log_probs: FloatArray) -> Decoded:
    """Take the best label of every column, merge repeats and drop blanks.

    A token's probability is the highest within its frames. ``complete`` falls with the most
    probable label that a blank column hides, the two neighbours of the gap not counted: those
    are only early or late.

    Args:
        log_probs: (N, V), natural logarithms; blank is id 0.
    """
    best = log_probs.argmax(1)
    best[(best == BOS) | (best == EOS)] = BLANK  # never among CTC's labels
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(starts[1:], len(best))
    labels = best[starts]
    inked = labels != BLANK
    highest = np.maximum.reduceat(log_probs[np.arange(len(best)), best], starts)
    spans = np.stack((starts, ends), axis=1)
    return Decoded(
        ids=tuple(labels[inked].tolist()),
        probabilities=tuple(np.exp(highest[inked]).tolist()),
        complete=1.0 - _hidden(log_probs, labels, spans),
        columns=tuple((start, end) for start, end in spans[inked].tolist()),
    )


def _hidden(log_probs: FloatArray, labels: IntArray, spans: IntArray) -> float:
    """Return the probability of the most probable label that a gap hides."""
    # Most gaps are plainly blank, which bounds what they can hide: look into the others only.
    possible = 1.0 - np.exp(np.minimum.reduceat(log_probs[:, BLANK], spans[:, 0]))
    possible[labels != BLANK] = 0.0
    worst = 0.0
    for gap in np.argsort(-possible).tolist():
        if possible[gap] <= worst:
            break
        hidden = log_probs[slice(*spans[gap])].copy()
        neighbours = labels[max(gap - 1, 0) : gap + 2].tolist()
        hidden[:, [BLANK, BOS, EOS, *neighbours]] = -np.inf
        worst = max(worst, float(np.exp(hidden.max())))
    return worst


def carry_columns(draft: Decoded, ids: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return where the tokens of a text stand, given where those of a like text do.

    Tokens that both have in the same order keep their frames; those in between share what lies
    there. Cheaper than aligning the text with the frames, and as good for the boxes of words.

    Args:
        draft: The like text, with ``columns``.
        ids: The text as token ids.
    """
    known = draft.columns or ()
    columns: list[tuple[int, int]] = []
    matcher = SequenceMatcher(None, draft.ids, ids, autojunk=False)
    for same, start, end, first, last in matcher.get_opcodes():
        if same == "equal":
            columns += known[start:end]
            continue
        left = known[start - 1][1] if start else 0
        right = known[end][0] if end < len(known) else max(left, known[-1][1] if known else 0)
        places = np.linspace(left, right, last - first + 1).round().astype(int).tolist()
        columns += itertools.pairwise(places)
    return tuple(columns)


def forward_log_probs(
    log_probs: FloatArray, lengths: IntArray, texts: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Return the log-probability of each text: the sum over all its alignments.

    Args:
        log_probs: (B, N, V), natural logarithms.
        lengths: (B,), frames of each row that are image.
        texts: B texts as token ids; one that does not fit its frames gets minus infinity.

    Returns:
        (B,).
    """
    rows = len(texts)
    longest = max((len(text) for text in texts), default=0)
    labels = np.full((rows, 2 * longest + 1), BLANK, np.int64)  # blank a blank b blank ...
    for row, text in enumerate(texts):
        labels[row, 1 : 2 * len(text) : 2] = text
    # A state may be reached from two places back, over a blank, between different labels.
    skips = np.zeros(labels.shape, bool)
    skips[:, 2:] = (labels[:, 2:] != BLANK) & (labels[:, 2:] != labels[:, :-2])
    emitted = np.take_along_axis(log_probs, labels[:, None], axis=2).astype(np.float64)
    padding = np.full((rows, 2), -np.inf)
    alpha = np.full(labels.shape, -np.inf)
    alpha[:, :2] = emitted[:, 0, :2]
    finals = np.empty(alpha.shape)
    finals[lengths == 1] = alpha[lengths == 1]
    for n in range(1, log_probs.shape[1]):
        before = np.concatenate((padding, alpha), axis=1)
        jump = np.where(skips, before[:, :-2], -np.inf)
        alpha = np.logaddexp(np.logaddexp(alpha, before[:, 1:-1]), jump) + emitted[:, n]
        finals[lengths == n + 1] = alpha[lengths == n + 1]
    ends = np.array([2 * len(text) for text in texts])
    index = np.arange(rows)
    last = np.where(ends > 0, finals[index, np.maximum(ends - 1, 0)], -np.inf)
    return np.asarray(np.logaddexp(finals[index, ends], last))
