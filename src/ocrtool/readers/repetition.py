"""Texts that go round in circles, as large readers write them on dense or empty pages.

A text is looping when its end is one period, over and over. Tables and dotted lines repeat, too, so
a loop must be long; it is found a little after it has begun, and the text is then cut behind its
first round. Nougat has a rule of its own besides: of a text that has got stuck, with or without a
period, the network is evenly sure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

LONGEST_PERIOD = 160
"""Tokens of the longest period that is sought: some lines of text."""
LEAST_ROUNDS = 6
LEAST_TOKENS = 160
"""Both of what a loop must have gone through."""
EVERY = 16
"""Tokens between two looks."""

SPAN, WINDOW = 15, 200
"""Tokens over which the confidence of a text varies, and over which that variation does."""
EVEN = 0.015
"""Variation of the variation below which a text is stuck."""
PATIENCE = 1.15, 350
"""Share and number of tokens that a text may go on when it seems to be stuck."""
LAST = 4095
"""Tokens of the longest text, at whose end no more patience is due."""


def loop_of(ids: Sequence[int]) -> int | None:
    """Return where the first round of a loop at the end of a text ends; None without a loop.

    Args:
        ids: Tokens of the text.
    """
    count = len(ids)
    for period in range(1, min(LONGEST_PERIOD, count // LEAST_ROUNDS) + 1):
        if ids[-1] != ids[-1 - period] or ids[-period:] != ids[-2 * period : -period]:
            continue
        start = count - period
        while start > 0 and ids[start - 1] == ids[start - 1 + period]:
            start -= 1
        if count - start >= max(LEAST_TOKENS, LEAST_ROUNDS * period):
            return start + period
    return None


def stuck_since(peaks: ArrayLike) -> int | None:
    """Return where a text got stuck that is stuck at its end; None where it is not.

    Nougat's rule (Blecher et al., 2023, arXiv:2308.13418, section 5.4, with the figures of its
    code): the largest logit of each token varies within a window; where that variation hardly
    varies any more, the network writes the same again and again. It may come to itself once more,
    so the text is only given up some time after it seemed stuck.

    Args:
        peaks: The largest logit of each token so far.
    """
    values = np.asarray(peaks, np.float64)
    if len(values) < SPAN + WINDOW:
        return None
    within = np.lib.stride_tricks.sliding_window_view(values, SPAN).var(1, ddof=1) / SPAN
    between = np.lib.stride_tricks.sliding_window_view(within, WINDOW).var(1, ddof=1)
    lively = np.flatnonzero(between >= EVEN)
    first = int(lively[-1]) + 1 if len(lively) else 0  # window that is the first of the even ones
    start = first + SPAN + WINDOW - 1  # tokens that had been written by then
    if first == len(between) or len(values) < min(start * PATIENCE[0] + PATIENCE[1], LAST):
        return None
    return first


class LoopGuard:
    """Stops the rows of a generation that loop; called by `transformers` after every token.

    Args:
        peaks: Returns the largest logit of each token of a row, where a text that is stuck shall be
            stopped, too.

    Attributes:
        found: Of each row that looped, the tokens up to the end of the first round.
    """

    def __init__(self, peaks: Callable[[int], Sequence[float]] | None = None) -> None:
        self.found: dict[int, int] = {}
        self._peaks = peaks
        self._start: int | None = None

    def __call__(self, ids: Any, _: Any, **__: Any) -> Any:
        """Return which rows (B,) shall stop.

        Args:
            ids: (B, T) of prompt and text so far.
        """
        import torch

        if self._start is None:
            self._start = ids.shape[1] - 1
        if (ids.shape[1] - self._start) % EVERY == 0:
            for row, tokens in enumerate(ids[:, self._start :].tolist()):
                if row in self.found:
                    continue
                end = loop_of(tokens)
                if end is None and self._peaks is not None:
                    end = stuck_since(self._peaks(row))
                if end is not None:
                    self.found[row] = end
        stop = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
        stop[list(self.found)] = True
        return stop
