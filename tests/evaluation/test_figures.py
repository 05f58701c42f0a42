from __future__ import annotations

import numpy as np
import pytest

from ocrtool.evaluation.figures import MIN_ITEMS, Figure, Verdict, difference, estimate
from ocrtool.evaluation.metrics import WORD_F1

CER = Figure("cer", "CER", lower_is_better=True)


def rates(edits: list[int], characters: int = 100) -> np.ndarray:
    return np.array([(count, characters) for count in edits], float)


def test_a_rate_is_a_ratio_of_sums_with_an_interval_round_it() -> None:
    value = estimate(CER, rates([1, 9, 4, 6, 2, 8, 5, 5]), seed=0)
    assert value is not None and value.low is not None and value.high is not None
    assert value.value == pytest.approx(0.05)
    assert 0.02 < value.low < 0.05 < value.high < 0.08


def test_the_interval_covers_what_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for trial in range(200):
        value = estimate(CER, rates(list(rng.binomial(100, 0.1, 40))), seed=trial)
        assert value is not None and value.low is not None and value.high is not None
        inside += value.low <= 0.1 <= value.high
    assert 0.88 <= inside / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    addends = rates([1, 9, 4, 6, 2, 8])
    assert estimate(CER, addends, 3) == estimate(CER, addends, 3) != estimate(CER, addends, 4)


def test_few_items_have_no_interval_and_no_verdict() -> None:
    few = MIN_ITEMS - 1
    value = estimate(CER, rates([5] * few), 0)
    assert value is not None and value.low is None
    gap = difference(CER, rates([1] * few), rates([50] * few), 0)
    assert gap is not None and gap.verdict is Verdict.UNDECIDED


def test_a_figure_that_no_item_has_is_none() -> None:
    assert estimate(CER, np.zeros((8, 2)), 0) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([1, 2, 1, 2, 1, 2, 1, 2], [5, 6, 5, 6, 5, 6, 5, 6], Verdict.BETTER),
        ([5, 6, 5, 6, 5, 6, 5, 6], [1, 2, 1, 2, 1, 2, 1, 2], Verdict.WORSE),
        ([1, 9, 1, 9, 1, 9, 1, 9], [9, 1, 9, 1, 9, 1, 9, 2], Verdict.UNDECIDED),
    ],
)
def test_verdicts_on_error_rates(ours: list[int], theirs: list[int], verdict: Verdict) -> None:
    gap = difference(CER, rates(ours), rates(theirs), 0)
    assert gap is not None and gap.verdict is verdict


def test_pairing_decides_where_pages_differ_more_than_programs() -> None:
    pages = np.array([2, 60, 10, 40, 5, 80, 20, 33])
    gap = difference(CER, rates(list(pages)), rates(list(pages + 3)), 0)
    alone = estimate(CER, rates(list(pages)), 0)
    assert gap is not None and gap.verdict is Verdict.BETTER
    assert alone is not None and alone.low is not None and alone.high is not None
    assert alone.high - alone.low > 0.1


def test_more_is_better_for_f1() -> None:
    ours = np.array([(9.0, 10, 10)] * 8)
    theirs = np.array([(5.0, 10, 10)] * 8)
    gap = difference(WORD_F1, ours, theirs, 0)
    assert gap is not None
    assert gap.estimate.value == pytest.approx(0.4)
    assert gap.verdict is Verdict.BETTER
