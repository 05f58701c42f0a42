"""Texts that go round in circles, as large readers write them on dense or empty pages.

A text is looping when its end is one period, over and over. Tables and dotted lines repeat, too, so
a loop must be long; it is found a little after it has begun, and the text is then cut behind its
first round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LONGEST_PERIOD = 160
"""Tokens of the longest period that is sought: some lines of text."""
LEAST_ROUNDS = 6
LEAST_TOKENS = 160
"""Both of what a loop must have gone through."""
EVERY = 16
"""Tokens between two looks."""


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


class LoopGuard:
    """Stops the rows of a generation that loop; called by `transformers` after every token.

    Attributes:
        found: Of each row that looped, the tokens up to the end of the first round.
    """

    def __init__(self) -> None:
        self.found: dict[int, int] = {}
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
                end = None if row in self.found else loop_of(tokens)
                if end is not None:
                    self.found[row] = end
        stop = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
        stop[list(self.found)] = True
        return stop
