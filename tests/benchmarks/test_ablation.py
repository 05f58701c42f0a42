"""The ablation benchmark: every rule exists and is replaced wherever it is imported."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtool.reading_order import columns, gutters
from tests.benchmarks.ablation import NO, RULES, _owner, switched_off, watched

LEFT = np.array([(0, 40 * i, 90, 40 * i + 20) for i in range(3)], np.float32)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_a_function(name: str) -> None:
    owner, attribute = _owner(name)
    assert callable(getattr(owner, attribute))


def test_a_rule_is_replaced_where_it_is_imported() -> None:
    original = columns.in_rows
    with switched_off("reading_order.columns.in_rows", lambda *_: "neutral"):
        assert gutters.in_rows(LEFT, LEFT, 20.0) == "neutral"
    assert columns.in_rows is gutters.in_rows is original


def test_rules_that_give_another_answer_are_told() -> None:
    names = ("reading_order.columns._is_right_aligned", "reading_order.columns._is_unaligned")
    fired: set[str] = set()
    right = LEFT + np.array([(60, 0, 0, 0), (30, 0, 0, 0), (0, 0, 0, 0)], np.float32)
    with watched(dict.fromkeys(names, NO), fired):
        assert columns._is_right_aligned(right, 20.0)
        assert not columns._is_unaligned(right, 20.0)
    assert fired == {names[0]}
