"""Texts that go round in circles are found, and nothing else."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtool.readers.repetition import (
    CHECK_INTERVAL,
    MIN_LOOP_TOKENS,
    LoopGuard,
    loop_end,
    stagnation_start,
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(100, 900), min_size=0, max_size=80, unique=True),
    st.lists(st.integers(0, 50), min_size=1, max_size=40, unique=True),
    st.integers(0, 39),
)
def test_a_loop_is_found_where_it_begins(before: list[int], period: list[int], more: int) -> None:
    rounds = max(6, -(-MIN_LOOP_TOKENS // len(period)))
    text = before + period * rounds + period[: more % len(period)]
    assert loop_end(text) == len(before) + len(period)


def test_what_repeats_for_good_reason_is_none() -> None:
    assert loop_end([]) is None and loop_end([1] * 100) is None
    dots = [7] * 120  # leads on to a page number
    assert loop_end([1, 2, 3, *dots, 4, 5]) is None
    rows = [token for row in range(60) for token in (1, 2, 100 + row, 3)]  # a table's marks
    assert loop_end(rows) is None
    assert loop_end(list(range(3000))) is None


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
    assert stopped is not None and stopped <= 20 + MIN_LOOP_TOKENS + CHECK_INTERVAL
    assert guard.found == {1: 20 + 3}


def mean_char_confidence(count: int, spread: float, seed: int = 0) -> list[float]:
    """Largest logits of so many tokens; a text's spread is about 5, a stuck one's next to none."""
    return list(15 + spread * np.random.default_rng(seed).standard_normal(count))


def test_a_text_that_got_stuck_is_given_up_after_a_while() -> None:
    text = mean_char_confidence(600, 5.0)
    stuck = [*text, *mean_char_confidence(2000, 0.1, seed=1)]
    assert stagnation_start(text) is None
    given_up = next(n for n in range(600, len(stuck)) if stagnation_start(stuck[:n]) is not None)
    # All of the window must be even, and then some patience is due.
    assert 600 + 215 < given_up <= (600 + 215) * 1.15 + 350 + 1
    start = stagnation_start(stuck[:given_up])
    assert start is not None and 550 < start <= 600
    assert (
        stagnation_start([*stuck[:900], *mean_char_confidence(300, 5.0, seed=2)]) is None
    )  # it came to itself


def test_only_who_asks_for_it_stops_what_is_stuck() -> None:
    tokens = torch.arange(1200)[None]  # never the same
    peaks = mean_char_confidence(1200, 0.1)
    for guard, stops in ((LoopGuard(), False), (LoopGuard(lambda row: peaks), True)):
        guard(tokens[:, :1], None)
        assert bool(guard(tokens[:, :1120], None)[0]) is stops
    assert guard.found == {0: 0}
