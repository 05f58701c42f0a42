from __future__ import annotations

import numpy as np
import pytest

from ocrtool.decoding import calibration
from ocrtool.decoding.calibration import Calibration, Curve, expected_calibration_error, fit
from ocrtool.errors import ModelError


def overconfident(count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Raw probabilities whose true log-odds are half as large, less a bit."""
    rng = np.random.default_rng(0)
    odds = rng.normal(3.0, 2.0, count)
    truth = 1 / (1 + np.exp(-(0.5 * odds - 0.3)))
    return 1 / (1 + np.exp(-odds)), rng.random(count) < truth


def test_fitting_finds_the_curve_and_removes_the_error() -> None:
    raw, right = overconfident()
    curve = fit(raw, right)
    assert curve.slope == pytest.approx(0.5, abs=0.03)
    assert curve.offset == pytest.approx(-0.3, abs=0.08)
    before = expected_calibration_error(raw, right)
    after = expected_calibration_error([curve(p) for p in raw], right)
    assert before > 0.1 and after < 0.015


@pytest.mark.parametrize("right", [True, False])
def test_fitting_survives_sets_without_both_kinds(right: bool) -> None:
    curve = fit([0.0, 0.5, 1.0, 1.0], [right] * 4)
    assert 0.0 <= curve(0.5) <= 1.0 and curve.slope > 0
    assert (curve(0.5) > 0.5) == right
    assert fit([], []) == Curve()


def test_the_default_changes_nothing_and_order_stays() -> None:
    assert [Curve()(p) for p in (0.1, 0.5, 0.99)] == pytest.approx([0.1, 0.5, 0.99])
    curve = Curve(0.3, -1.0)
    values = [curve(p) for p in np.linspace(0, 1, 50)]
    assert values == sorted(values) and values[0] >= 0 and values[-1] <= 1


def test_one_probability_is_worked_out_as_the_fit_sees_many() -> None:
    raw = np.array([0.0, 1e-9, 0.01, 0.5, 0.999, 1.0])
    for curve in (Curve(0.9, 0.2), Curve(100.0, -3.0)):
        many = calibration._sigmoid(curve.slope * calibration._log_odds(raw) + curve.offset)
        assert [curve(p) for p in raw.tolist()] == pytest.approx(many.tolist(), rel=1e-12)


def test_error_of_known_sets() -> None:
    assert expected_calibration_error([], []) == 0.0
    assert expected_calibration_error([1.0, 1.0], [True, False]) == pytest.approx(0.5)
    assert expected_calibration_error([0.5, 0.5], [True, False]) == pytest.approx(0.0)
    assert expected_calibration_error([0.0, 1.0], [True, False]) == pytest.approx(1.0)


def test_json_round_trip() -> None:
    calibration = Calibration(line=Curve(0.7, -0.2))
    assert Calibration.from_dict(calibration.to_dict()) == calibration
    assert Calibration.from_dict({}) == Calibration()
    with pytest.raises(ModelError, match="calibration"):
        Calibration.from_dict({"page": {}})
