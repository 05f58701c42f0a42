"""Texts that go round in circles are found, and nothing else."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtool.readers.loops import EVERY, LEAST_TOKENS, LoopGuard, loop_of


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(100, 900), min_size=0, max_size=80, unique=True),
    st.lists(st.integers(0, 50), min_size=1, max_size=40, unique=True),
    st.integers(0, 39),
)
def test_a_loop_is_found_where_it_begins(before: list[int], period: list[int], more: int) -> None:
    rounds = max(6, -(-LEAST_TOKENS // len(period)))
    text = before + period * rounds + period[: more % len(period)]
    assert loop_of(text) == len(before) + len(period)


def test_what_repeats_for_good_reason_is_none() -> None:
    assert loop_of([]) is None and loop_of([1] * 100) is None
    dots = [7] * 120  # leads on to a page number
    assert loop_of([1, 2, 3, *dots, 4, 5]) is None
    rows = [token for row in range(60) for token in (1, 2, 100 + row, 3)]  # a table's marks
    assert loop_of(rows) is None
    assert loop_of(list(range(3000))) is None


def test_only_the_row_that_loops_is_stopped() -> None:
    guard = LoopGuard()
    prompt = torch.zeros(2, 5, dtype=torch.int64)
    fine = torch.arange(400)
    looping = torch.cat((torch.arange(20), torch.tensor([5, 6, 7] * 127)))[:400]
    stopped = None
    for count in range(1, 400):
        rows = torch.stack((fine[:count], looping[:count]))
        stop = guard(torch.cat((prompt, rows), 1), None)
        assert not stop[0]
        if stop[1]:
            stopped = count
            break
    assert stopped is not None and stopped <= 20 + LEAST_TOKENS + EVERY
    assert guard.found == {1: 20 + 3}
