from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtool.decoding.ctc import Decoded, carry_columns, forward_log_probs, greedy_path
from ocrtool.weights import BLANK


def log_probs_of(path: list[int], certainty: float = 0.97, size: int = 8) -> np.ndarray:
    """Columns that say ``path``, one label each."""
    probabilities = np.full((len(path), size), (1 - certainty) / (size - 1))
    probabilities[np.arange(len(path)), path] = certainty
    return np.log(probabilities).astype(np.float32)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != BLANK)


def test_greedy_merges_repeats_and_drops_blanks() -> None:
    reading = greedy_path(log_probs_of([0, 4, 4, 0, 4, 5, 0, 0]))
    assert reading.ids == (4, 4, 5)
    assert reading.columns == ((1, 3), (4, 5), (5, 6))
    assert reading.probabilities == pytest.approx((0.97,) * 3, abs=1e-5)
    assert reading.min_probability() > 0.96
    assert not reading.runaway


def test_blank_image_reads_nothing() -> None:
    reading = greedy_path(log_probs_of([0] * 6))
    assert reading.ids == () and reading.columns == ()
    assert reading.complete > 0.99


def test_a_label_hidden_in_a_gap_lowers_completeness() -> None:
    log_probs = log_probs_of([4, 0, 0, 0, 5])
    log_probs[2] = np.log(0.01)
    log_probs[2, [BLANK, 6]] = np.log([0.52, 0.42])
    assert greedy_path(log_probs).complete == pytest.approx(0.58, abs=1e-3)
    log_probs[2, [4, 6]] = log_probs[2, [6, 4]]  # a neighbour that is only late hides nothing
    assert greedy_path(log_probs).complete > 0.95


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_forward_equals_the_sum_over_all_paths(seed: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((2, columns + 1, 4)) * 2
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    log_probs = logits.astype(np.float32)
    texts = [tuple(rng.integers(1, 4, rng.integers(0, columns + 2)).tolist()) for _ in range(2)]
    lengths = np.array([columns, columns + 1])
    found = forward_log_probs(log_probs, lengths, texts)
    for row, (length, text) in enumerate(zip(lengths, texts, strict=True)):
        total = sum(
            np.exp(sum(float(log_probs[row, n, label]) for n, label in enumerate(path)))
            for path in itertools.product(range(4), repeat=int(length))
            if collapse(path) == text
        )
        assert np.exp(found[row]) == pytest.approx(total, abs=1e-6)


def test_forward_of_all_texts_sums_to_one() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((1, 3, 3))
    log_probs = (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)
    texts = [t for n in range(4) for t in itertools.product((1, 2), repeat=n)]
    rows = np.repeat(log_probs, len(texts), axis=0)
    found = forward_log_probs(rows, np.full(len(texts), 3), texts)
    assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-5)


def test_a_text_like_the_draft_stands_where_the_draft_does() -> None:
    draft = Decoded((4, 5, 6), (0.9,) * 3, 1.0, ((1, 2), (4, 5), (7, 9)))
    assert carry_columns(draft, (4, 5, 6)) == draft.columns
    assert carry_columns(draft, (4, 6)) == ((1, 2), (7, 9))
    assert carry_columns(draft, (4, 7, 6)) == ((1, 2), (2, 7), (7, 9))
    assert carry_columns(draft, (4, 7, 8, 6)) == ((1, 2), (2, 4), (4, 7), (7, 9))
    assert carry_columns(draft, (7, 4, 5, 6)) == ((0, 1), *draft.columns)
    assert carry_columns(draft, (4, 5, 6, 7))[-1] == (9, 9)
    assert carry_columns(Decoded((), (), 1.0, ()), (4, 5)) == ((0, 0), (0, 0))


@given(st.lists(st.integers(4, 7), max_size=12), st.lists(st.integers(4, 7), max_size=12))
def test_carried_columns_run_from_left_to_right(drafted: list[int], text: list[int]) -> None:
    columns = tuple((3 * i + 1, 3 * i + 3) for i in range(len(drafted)))
    draft = Decoded(tuple(drafted), (0.9,) * len(drafted), 1.0, columns)
    edges = [edge for column in carry_columns(draft, text) for edge in column]
    assert len(edges) == 2 * len(text) and edges == sorted(edges)
