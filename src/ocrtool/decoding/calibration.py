"""From what a network says of itself to the probability that it is right.

Networks are surer than they should be. A logistic curve over the log-odds of the raw probability
(Platt scaling; Guo et al., "On Calibration of Modern Neural Networks", ICML 2017) is fitted on
lines that training has not seen, for characters, words and lines each, and kept in ``model.json``
under ``calibration``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ocrtool.errors import ModelError

EDGE = 1e-6
"""Raw probabilities are held this far from 0 and 1."""
TRUST = 1.0
"""Weight of the prior: as many observations' worth that the raw probability is right as it is."""


@dataclass(frozen=True)
class Curve:
    """``sigmoid(slope * log-odds(raw) + offset)``; the default changes nothing.

    Attributes:
        slope: Above 0, so that the order of confidences stays.
        offset: In log-odds.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, raw: float) -> float:
        """Return the calibrated probability of one raw one."""
        held = min(max(raw, EDGE), 1 - EDGE)
        score = self.slope * (math.log(held) - math.log1p(-held)) + self.offset
        return 1 / (1 + math.exp(-min(max(score, -60.0), 60.0)))


@dataclass(frozen=True)
class Calibration:
    """One curve for each unit of text. All are probabilities that the unit is exactly right."""

    character: Curve = field(default_factory=Curve)
    word: Curve = field(default_factory=Curve)
    line: Curve = field(default_factory=Curve)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; ``from_dict`` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, float]]) -> Calibration:
        """Read what ``to_dict`` wrote.

        Raises:
            ModelError: A name is unknown, or it is no such table.
        """
        try:
            return cls(**{unit: Curve(**curve) for unit, curve in values.items()})
        except (TypeError, AttributeError) as error:
            raise ModelError(f"the model's calibration is damaged: {error}") from None


def fit(raw: ArrayLike, right: ArrayLike) -> Curve:
    """Fit a curve by maximum likelihood (Newton's method), held gently to the default.

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
        slope = features.T @ (predicted - target) + TRUST * (weights - start)
        bend = features.T @ (features * (predicted * (1 - predicted))[:, None])
        step = np.linalg.solve(bend + TRUST * np.eye(2), slope)
        while _loss(features, target, weights - step, start) > loss and np.abs(step).max() > 1e-9:
            step = step / 2
        weights = weights - step
        loss = _loss(features, target, weights, start)
        if np.abs(step).max() < 1e-9:
            break
    return Curve(slope=max(float(weights[0]), 1e-3), offset=float(weights[1]))


def expected_calibration_error(confidences: ArrayLike, right: ArrayLike, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy over equally wide bins.

    Args:
        confidences: (n,) in 0 to 1.
        right: (n,) whether each unit was read exactly.
        bins: How many.
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
    return float(likelihood.sum() + TRUST / 2 * np.square(weights - start).sum())


def _log_odds(raw: ArrayLike) -> NDArray[np.float64]:
    held = np.clip(np.asarray(raw, np.float64), EDGE, 1 - EDGE)
    return np.asarray(np.log(held) - np.log1p(-held))


def _sigmoid(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(scores, -60.0, 60.0))))
