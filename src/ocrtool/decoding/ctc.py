"""Connectionist temporal classification: greedy decoding and the probability of a text. NumPy.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from ocrtool.weights import BLANK, BOS, EOS

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Decoded:
    """One decoded text as token ids, with probabilities.

    Attributes:
        ids: Token ids without BOS and EOS.
        probabilities: Probability of each token, 0 to 1.
        complete: Probability, 0 to 1, that no token is missing within the text or at its end.
        columns: CTC frames of each token, first and one past the last; None without a CTC head.
        runaway: Whether the text was cut because it repeats itself or exceeds its limit.
    """

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    complete: float
    columns: tuple[tuple[int, int], ...] | None = None
    runaway: bool = False

    def min_probability(self) -> float:
        """Return the least of the token probabilities and ``complete``."""
        return min((*self.probabilities, self.complete))


def greedy_path(log_probs: FloatArray) -> Decoded:
    """Take the best label of each frame, merge repeats and drop blanks.

    A token's probability is the highest within its frames. ``complete`` is 1 minus the probability
    of the most probable label within a gap of blank frames, not counting the two labels next to
    the gap, which only begin early or end late.

    Args:
        log_probs: (N, V) natural log-probabilities of N frames; the blank is id 0.
    """
    best = log_probs.argmax(1)
    best[(best == BOS) | (best == EOS)] = BLANK  # CTC has no such labels
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(starts[1:], len(best))
    labels = best[starts]
    nonblank = labels != BLANK
    highest = np.maximum.reduceat(log_probs[np.arange(len(best)), best], starts)
    spans = np.stack((starts, ends), axis=1)
    return Decoded(
        ids=tuple(labels[nonblank].tolist()),
        probabilities=tuple(np.exp(highest[nonblank]).tolist()),
        complete=1.0 - _missed_label(log_probs, labels, spans),
        columns=tuple((start, end) for start, end in spans[nonblank].tolist()),
    )


def _missed_label(log_probs: FloatArray, labels: IntArray, spans: IntArray) -> float:
    """Return the probability of the most probable label within any gap of blank frames."""
    # 1 - P(blank) bounds the probability of any label in a gap, so few gaps need a closer look.
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
    """Transfer token positions from a draft to a similar text.

    Tokens that both texts share in the same order keep their frames; tokens in between divide the
    frames between them evenly. This is cheaper than aligning the text with the frames, and as
    accurate for word boxes.

    Args:
        draft: The similar text, with ``columns``.
        ids: Token ids of the text.

    Returns:
        First frame of each token, and one past its last.
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
    """Return the log-probability of each text, summed over all its alignments (forward algorithm).

    Args:
        log_probs: (B, N, V) natural log-probabilities.
        lengths: (B,) number of frames of each row without padding.
        texts: B texts as token ids; a text too long for its frames gets minus infinity.

    Returns:
        (B,) natural log-probabilities.
    """
    rows = len(texts)
    longest = max((len(text) for text in texts), default=0)
    labels = np.full((rows, 2 * longest + 1), BLANK, np.int64)  # blank a blank b blank ...
    for row, text in enumerate(texts):
        labels[row, 1 : 2 * len(text) : 2] = text
    # A label may follow a different label directly, skipping the blank between them.
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
