"""Figures of a set as functions of sums over its items, with bootstrap intervals.

An error rate, an F1, a BLEU or a mean is a function of sums over the items: of edits and
characters, of hits and words, of matching n-grams. An item contributes a vector of such addends;
:class:`Figure` says how long it is and what becomes of the sum. That is all the bootstrap needs: it
draws items with replacement and combines the sums anew (Efron & Tibshirani, 1993; for paired
differences of text scores: Koehn, "Statistical Significance Tests for Machine Translation
Evaluation", EMNLP 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 2_000
"""Number of bootstrap samples of an interval."""
MIN_ITEMS = 6
"""Fewest items for an interval: even if all of five agree, chance alone does that in 1 of 16 sets
(two-sided), which is more than 5 %."""
COVERAGE = 0.95
"""Share of bootstrap samples that an interval covers."""


class Verdict(StrEnum):
    """Outcome of a comparison with another system."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "cannot be told"


def ratio(sums: Array) -> Array:
    """Return the first sum as a share of the second; NaN where that is 0. Shape (..., 2)."""
    above, below = sums[..., 0], sums[..., 1]
    return np.asarray(np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0))


@dataclass(frozen=True)
class Figure:
    """A figure of a set.

    Attributes:
        key: Name in JSON.
        title: Name in tables.
        lower_is_better: Whether it counts errors.
        combine: From sums of addends, shape (..., width), to values, shape (...).
        width: Number of addends of an item.
        percent: Whether people are shown it in per cent.
        note: What it is, in a sentence.
    """

    key: str
    title: str
    lower_is_better: bool = False
    combine: Callable[[Array], Array] = ratio
    width: int = 2
    percent: bool = True
    note: str = ""

    def show(self, value: float) -> str:
        """Return a value as people are shown it."""
        return f"{100 * value:.2f} %" if self.percent else f"{value:.3f}"


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; the bounds are ``None`` where there are too few items."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """How far a figure of one system is above that of another, on the same items."""

    estimate: Estimate
    verdict: Verdict


def estimate(figure: Figure, addends: Array, seed: int) -> Estimate | None:
    """Return a figure of a set with its percentile interval.

    Args:
        figure: The figure.
        addends: (n, width) addends of the items.
        seed: Of the bootstrap.

    Returns:
        The estimate; ``None`` where no item has such a figure.
    """
    value = float(figure.combine(addends.sum(axis=0)))
    if np.isnan(value):
        return None
    return Estimate(value, *_bounds(figure.combine(_resampled(addends, seed)), addends))


def difference(figure: Figure, ours: Array, theirs: Array, seed: int) -> Difference | None:
    """Return the paired difference of two systems, ours less theirs.

    Args:
        figure: The figure.
        ours: (n, width) addends of the items.
        theirs: The same of the other system, in the same order.
        seed: Of the bootstrap, which draws the same items for both.
    """
    value = float(figure.combine(ours.sum(axis=0)) - figure.combine(theirs.sum(axis=0)))
    if np.isnan(value):
        return None
    samples = figure.combine(_resampled(ours, seed)) - figure.combine(_resampled(theirs, seed))
    low, high = _bounds(samples, ours)
    verdict = Verdict.UNDECIDED
    if low is not None and high is not None and (low > 0 or high < 0):
        verdict = Verdict.BETTER if (high < 0) == figure.lower_is_better else Verdict.WORSE
    return Difference(Estimate(value, low, high), verdict)


def _resampled(addends: Array, seed: int) -> Array:
    """Return (RESAMPLES, width) sums over items drawn with replacement."""
    count = len(addends)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return np.asarray(draws @ addends, np.float64)


def _bounds(samples: Array, addends: Array) -> tuple[float | None, float | None]:
    samples = samples[~np.isnan(samples)]
    if np.any(addends, axis=1).sum() < MIN_ITEMS or not samples.size:
        return None, None
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def addends_of(figure: Figure, scores: Sequence[dict[str, tuple[float, ...]]]) -> Array:
    """Return (n, width) addends of a figure; zeros where an item has none."""
    empty = (0.0,) * figure.width
    return np.array([score.get(figure.key, empty) for score in scores], np.float64).reshape(
        len(scores), figure.width
    )
