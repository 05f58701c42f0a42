"""Detection of repetition loops in generated text, which large models produce on difficult pages.

A text loops if its end consists of one period repeated many times. Tables and dot leaders repeat as
well, so a loop has to be long. The text is then cut after the first period. Nougat has a further
rule: where generation stagnates, with or without a period, the largest logits hardly vary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

MAX_PERIOD = 160
"""Maximum length of a period in tokens; some lines of text."""
MIN_REPEATS = 6
"""Minimum number of periods of a loop."""
MIN_LOOP_TOKENS = 160
"""Minimum length of a loop in tokens, all periods together."""
CHECK_INTERVAL = 16
"""Number of tokens between two checks for a loop."""

LOGIT_WINDOW = 15
"""Length in tokens of the windows in which the variance of the largest logits is taken."""
VARIANCE_WINDOW = 200
"""Number of successive logit windows over which the variance of that variance is taken."""
MAX_STAGNANT_VARIANCE = 0.015
"""Variance of the variance below which generation stagnates."""
GRACE_FACTOR, GRACE_TOKENS = 1.15, 350
"""Length to which a stagnating text may grow before it is stopped: a multiple of its length where
it began to stagnate, plus a number of tokens."""
MAX_TEXT_TOKENS = 4095
"""Maximum length of a text in tokens, from which a stagnating text is stopped at once."""


def loop_end(ids: Sequence[int]) -> int | None:
    """Return the index after the first period of a loop at the end of a text; None without a loop.

    Args:
        ids: Tokens of the text.
    """
    count = len(ids)
    for period in range(1, min(MAX_PERIOD, count // MIN_REPEATS) + 1):
        if ids[-1] != ids[-1 - period] or ids[-period:] != ids[-2 * period : -period]:
            continue
        start = count - period
        while start > 0 and ids[start - 1] == ids[start - 1 + period]:
            start -= 1
        if count - start >= max(MIN_LOOP_TOKENS, MIN_REPEATS * period):
            return start + period
    return None


def stagnation_start(peaks: ArrayLike) -> int | None:
    """Return the token index at which generation began to stagnate; None if it does not.

    Nougat's rule (Blecher et al., 2023, arXiv:2308.13418, section 5.4, with the figures of its
    code): the variance of the largest logits within a window itself varies from window to window
    in normal text, and hardly varies where the network repeats itself. Generation may recover, so
    it is stopped only after a grace period.

    Args:
        peaks: (T,) the largest logit of each token so far.
    """
    values = np.asarray(peaks, np.float64)
    if len(values) < LOGIT_WINDOW + VARIANCE_WINDOW:
        return None
    within = (
        np.lib.stride_tricks.sliding_window_view(values, LOGIT_WINDOW).var(1, ddof=1) / LOGIT_WINDOW
    )
    between = np.lib.stride_tricks.sliding_window_view(within, VARIANCE_WINDOW).var(1, ddof=1)
    varied = np.flatnonzero(between >= MAX_STAGNANT_VARIANCE)
    first = int(varied[-1]) + 1 if len(varied) else 0  # index of the first stagnant window
    start = first + LOGIT_WINDOW + VARIANCE_WINDOW - 1  # tokens generated up to its end
    limit = min(start * GRACE_FACTOR + GRACE_TOKENS, MAX_TEXT_TOKENS)
    if first == len(between) or len(values) < limit:
        return None
    return first


class LoopGuard:
    """Stopping criterion for rows that loop; `transformers` calls it after every token.

    Args:
        peaks: Returns the largest logit of each token of a row; given if stagnating rows are to be
            stopped as well.

    Attributes:
        found: Number of tokens to keep of each row that was stopped, by row.
    """

    def __init__(self, peaks: Callable[[int], Sequence[float]] | None = None) -> None:
        self.found: dict[int, int] = {}
        self._peaks = peaks
        self._start: int | None = None

    def __call__(self, ids: Any, _: Any, **__: Any) -> Any:
        """Return a mask (B,) of the rows to stop.

        Args:
            ids: (B, T) tokens of prompt and text so far.
        """
        import torch

        if self._start is None:
            self._start = ids.shape[1] - 1
        if (ids.shape[1] - self._start) % CHECK_INTERVAL == 0:
            for row, tokens in enumerate(ids[:, self._start :].tolist()):
                if row in self.found:
                    continue
                end = loop_end(tokens)
                if end is None and self._peaks is not None:
                    end = stagnation_start(self._peaks(row))
                if end is not None:
                    self.found[row] = end
        stop = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
        stop[list(self.found)] = True
        return stop
