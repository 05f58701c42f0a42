"""Confidence calibration: raw network probabilities to probabilities of being right.

Networks are overconfident. A logistic curve over the log-odds of the raw probability (Platt
scaling; Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) is fitted on held-out
lines, one each for characters, words and lines, and stored in ``model.json`` as ``calibration``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ocrtool.errors import ModelError

EPSILON = 1e-6
"""Minimum distance of a raw probability from 0 and 1; probabilities are clipped to it."""
PRIOR_WEIGHT = 1.0
"""Weight of the Gaussian prior on slope and offset, which is centred on the identity."""


@dataclass(frozen=True)
class Curve:
    """Calibration curve ``sigmoid(slope * log-odds(raw) + offset)``; the default is the identity.

    Attributes:
        slope: Factor of the log-odds, above 0, so that the order of confidences is kept.
        offset: Offset in log-odds.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, raw: float) -> float:
        """Return the calibrated probability of a raw one."""
        clipped = min(max(raw, EPSILON), 1 - EPSILON)
        score = self.slope * (math.log(clipped) - math.log1p(-clipped)) + self.offset
        return 1 / (1 + math.exp(-min(max(score, -60.0), 60.0)))


@dataclass(frozen=True)
class Calibration:
    """Calibration curves by unit of text: to the probability that the unit is exactly right."""

    character: Curve = field(default_factory=Curve)
    word: Curve = field(default_factory=Curve)
    line: Curve = field(default_factory=Curve)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, which ``from_dict`` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, float]]) -> Calibration:
        """Read the values written by ``to_dict``.

        Raises:
            ModelError: A name is unknown, or the values have another structure.
        """
        try:
            return cls(**{unit: Curve(**curve) for unit, curve in values.items()})
        except (TypeError, AttributeError) as error:
            raise ModelError(f"the model's calibration is damaged: {error}") from None


def fit(raw: ArrayLike, right: ArrayLike) -> Curve:
    """Fit a curve by maximum a posteriori estimation with Newton's method.

    Args:
        raw: (n,) raw probabilities in 0 to 1.
        right: (n,) whether each unit was read exactly.
    """
    odds = _log_odds(raw)
    target = np.asarray(right, np.float64)
    features = np.stack((odds, np.ones_like(odds)), axis=1)
    start = np.array([1.0, 0.0])
    weights = start.copy()
    loss = _loss(features, target, weights, start)
    for _ in range(100):
        predicted = _sigmoid(features @ weights)
        gradient = features.T @ (predicted - target) + PRIOR_WEIGHT * (weights - start)
        hessian = features.T @ (features * (predicted * (1 - predicted))[:, None])
        step = np.linalg.solve(hessian + PRIOR_WEIGHT * np.eye(2), gradient)
        while _loss(features, target, weights - step, start) > loss and np.abs(step).max() > 1e-9:
            step = step / 2
        weights = weights - step
        loss = _loss(features, target, weights, start)
        if np.abs(step).max() < 1e-9:
            break
    return Curve(slope=max(float(weights[0]), 1e-3), offset=float(weights[1]))


def expected_calibration_error(confidences: ArrayLike, right: ArrayLike, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy over bins of equal width.

    Args:
        confidences: (n,) confidences, 0 to 1.
        right: (n,) whether each unit was read exactly.
        bins: Number of bins.
    """
    stated = np.asarray(confidences, np.float64)
    target = np.asarray(right, np.float64)
    if not stated.size:
        return 0.0
    places = np.minimum((stated * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(places, weights=stated - target, minlength=bins)
    return float(np.abs(gaps).sum() / stated.size)


def _loss(
    features: NDArray[np.float64],
    target: NDArray[np.float64],
    weights: NDArray[np.float64],
    start: NDArray[np.float64],
) -> float:
    scores = features @ weights
    likelihood = np.logaddexp(0.0, scores) - target * scores
    return float(likelihood.sum() + PRIOR_WEIGHT / 2 * np.square(weights - start).sum())


def _log_odds(raw: ArrayLike) -> NDArray[np.float64]:
    clipped = np.clip(np.asarray(raw, np.float64), EPSILON, 1 - EPSILON)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(scores, -60.0, 60.0))))
