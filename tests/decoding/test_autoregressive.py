from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ocrtool.decoding.autoregressive import (
    DecodeOptions,
    Hypothesis,
    beam_search,
    decode,
    generate,
    width_limits,
    without_repeats,
)
from ocrtool.decoding.ctc import Decoded, forward_log_probs
from ocrtool.engines import Encoded, Engine, EngineCache
from ocrtool.engines.torch import TorchEngine
from ocrtool.errors import UsageError
from ocrtool.weights import BOS, EOS, PAD, SPECIALS, UNK
from small_models import small_engine

GREEDY = DecodeOptions(strategy="greedy")
SEEDS = st.integers(0, 100_000)


def patch_of(seed: int) -> int:
    return 4 if seed % 3 else 8


def encode(engine: Engine, seed: int, widths: list[int]) -> Encoded:
    rng = np.random.default_rng(seed)
    pixels = rng.standard_normal((len(widths), 1, 32, max(widths))).astype(np.float32)
    return engine.encode(pixels, np.array(widths))


def spelled_out(engine: Engine, encoded: Encoded, row: int) -> tuple[int, ...]:
    """Greedy decoding as its definition reads: one row, no cache, all tokens at every step."""
    alone = encoded.select(np.array([row]))
    (limit,) = width_limits(engine, alone)
    ids: list[int] = []
    while True:
        cache = EngineCache.allocate(engine.metadata.config.decoder, 1, engine.store)
        scores = engine.step(np.array([[BOS, *ids]]), alone, cache)[0, -1]
        scores[[PAD, BOS]] = -np.inf
        token = int(scores.argmax())
        if token == EOS or len(ids) == limit:
            return tuple(ids)
        ids.append(token)
        if (kept := without_repeats(ids, limit)) < len(ids):
            return tuple(ids[:kept])


class CountingEngine(TorchEngine):
    """Counts its steps."""

    steps = 0

    def step(self, tokens, encoded, cache):  # type: ignore[no-untyped-def]
        self.steps += 1
        return super().step(tokens, encoded, cache)


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.lists(st.integers(2, 30), min_size=1, max_size=4))
def test_greedy_equals_its_definition(seed: int, columns: list[int]) -> None:
    engine = small_engine(seed % 7, patch=patch_of(seed))
    encoded = encode(engine, seed, [4 * count for count in columns])
    readings = decode(engine, encoded, GREEDY)
    assert [r.ids for r in readings] == [
        spelled_out(engine, encoded, row) for row in range(len(columns))
    ]


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.lists(st.integers(2, 30), min_size=1, max_size=5))
def test_full_verification_equals_greedy_token_for_token(seed: int, columns: list[int]) -> None:
    engine = small_engine(seed % 7, kv_heads=1 + seed % 2, patch=patch_of(seed))
    encoded = encode(engine, seed, [4 * count for count in columns])
    verified = decode(engine, encoded, DecodeOptions(strategy="verify", verify="all"))
    greedy = decode(engine, encoded, GREEDY)
    assume(all(is_clear(engine, encoded, row, reading.ids) for row, reading in enumerate(greedy)))
    assert [(r.ids, r.runaway) for r in verified] == [(r.ids, r.runaway) for r in greedy]


def is_clear(engine: Engine, encoded: Encoded, row: int, ids: tuple[int, ...]) -> bool:
    """Whether no two tokens are so nearly alike that rounding may choose between them."""
    image = encoded.select(np.array([row]))
    cache = EngineCache.allocate(engine.metadata.config.decoder, 1, engine.store)
    scores = engine.step(np.array([[BOS, *ids]]), image, cache)[0]
    scores[:, [PAD, BOS]] = -np.inf
    scores.sort(-1)
    return bool((scores[:, -1] - scores[:, -2]).min() > 1e-5)


def edited(ids: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...]:
    """A draft of a text: some tokens wrong, lost or doubled."""
    draft: list[int] = []
    for token in ids:
        kind = rng.random()
        if kind < 0.1:
            continue
        draft.append(int(rng.integers(SPECIALS, 15)) if kind < 0.2 else token)
        if kind > 0.95:
            draft.append(token)
    return tuple(draft)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.lists(st.integers(2, 30), min_size=1, max_size=5))
def test_no_draft_changes_a_token(seed: int, columns: list[int]) -> None:
    engine = small_engine(seed % 7, patch=patch_of(seed))
    rng = np.random.default_rng(seed)
    encoded = encode(engine, seed, [4 * count for count in columns])
    limits = width_limits(engine, encoded)
    plain = generate(engine, encoded, limits)
    drafted = generate(engine, encoded, limits, [edited(row.ids, rng) for row in plain])
    assert [row.ids for row in drafted] == [row.ids for row in plain]
    for a, b in zip(drafted, plain, strict=True):
        assert a.runaway == b.runaway
        assert a.log_prob == pytest.approx(b.log_prob, abs=1e-3)


def test_a_right_draft_takes_one_step_and_a_wrong_token_one_more() -> None:
    # Seeds are searched for a network that ends its text by itself.
    for seed in range(200):
        base = small_engine(seed)
        encoded = encode(base, seed, [112])
        limits = width_limits(base, encoded)
        (row,) = generate(base, encoded, limits)
        if not row.runaway and len(row.ids) >= 6 and len(set(row.ids[:6])) == 6:
            break
    engine = CountingEngine(base.metadata, base.model)
    (again,) = generate(engine, encoded, limits, [row.ids])
    assert engine.steps == 1 and again.ids == row.ids
    assert again.draft_log_prob == pytest.approx(row.log_prob, abs=1e-3)
    wrong = next(token for token in range(SPECIALS, 15) if token not in row.ids[:6])
    engine.steps = 0
    (again,) = generate(engine, encoded, limits, [(*row.ids[:2], wrong, *row.ids[3:])])
    assert engine.steps == 2 and again.ids == row.ids


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.lists(st.integers(2, 24), min_size=1, max_size=3))
def test_a_beam_of_one_is_greedy(seed: int, columns: list[int]) -> None:
    engine = small_engine(seed % 7, patch=patch_of(seed))
    encoded = encode(engine, seed, [4 * count for count in columns])
    beam = decode(engine, encoded, DecodeOptions(strategy="beam", beam=1))
    greedy = decode(engine, encoded, GREEDY)
    assert [(r.ids, r.runaway) for r in beam] == [(r.ids, r.runaway) for r in greedy]


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_wide_beam_finds_the_most_probable_text(seed: int) -> None:
    engine = small_engine(seed % 7, gain=3.0, patch=patch_of(seed))
    encoded = encode(engine, seed, [8])
    limits = [1]
    options = DecodeOptions(strategy="beam", beam=300, ctc_weight=0.0)
    (found,) = beam_search(engine, encoded, limits, options)
    texts = [(), *((token,) for token in range(UNK, engine.metadata.config.vocab_size))]
    best = max(texts, key=lambda ids: score(engine, encoded, ids))
    assert found.ids == best


def score(engine: Engine, encoded: Encoded, ids: tuple[int, ...]) -> float:
    """Log-probability of a text and its end, by teacher forcing."""
    cache = EngineCache.allocate(engine.metadata.config.decoder, 1, engine.store)
    logits = engine.step(np.array([[BOS, *ids]]), encoded, cache)[0].astype(np.float64)
    logits[:, [PAD, BOS]] = -1e9
    top = logits.max(-1)
    norms = np.log(np.exp(logits - top[:, None]).sum(-1)) + top
    return float(sum(logits[t, token] - norms[t] for t, token in enumerate((*ids, EOS))))


@settings(max_examples=15, deadline=None)
@given(
    SEEDS,
    st.lists(st.integers(2, 30), min_size=2, max_size=5),
    st.sampled_from(["ctc", "greedy", "beam", "verify"]),
)
def test_a_row_reads_the_same_alone(seed: int, columns: list[int], strategy: str) -> None:
    engine = small_engine(seed % 7, patch=patch_of(seed))
    options = DecodeOptions(strategy=strategy, beam=3)  # type: ignore[arg-type]
    encoded = encode(engine, seed, [4 * count for count in columns])
    together = decode(engine, encoded, options)
    for row, reading in enumerate(together):
        (alone,) = decode(engine, encoded.select(np.array([row])), options)
        assert alone.ids == reading.ids
        assert alone.probabilities == pytest.approx(reading.probabilities, abs=1e-4)


def sure_of(engine: Engine, encoded: Encoded, row: int, ids: list[int], p: float) -> Encoded:
    """Let the CTC head say ``ids`` on one row, with probability ``p`` in every column."""
    assert encoded.ctc_log_probs is not None
    log_probs = encoded.ctc_log_probs.copy()
    path = [PAD] * log_probs.shape[1]
    path[1 : 2 * len(ids) : 2] = ids
    log_probs[row] = np.log((1 - p) / (log_probs.shape[2] - 1))
    log_probs[row, np.arange(len(path)), path] = np.log(p)
    return encoded._replace(ctc_log_probs=log_probs)


def test_a_sure_draft_stands_unchecked() -> None:
    base = small_engine(0)
    engine = CountingEngine(base.metadata, base.model)
    encoded = sure_of(engine, encode(engine, 0, [80]), 0, [4, 5, 6], 0.99)
    (reading,) = decode(engine, encoded, DecodeOptions())
    assert reading.ids == (4, 5, 6) and engine.steps == 0
    assert reading.columns == ((1, 2), (3, 4), (5, 6))
    decode(engine, encoded, DecodeOptions(min_draft_confidence=0.995))
    assert engine.steps > 0


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_an_unsure_line_gets_the_text_with_the_higher_score(seed: int) -> None:
    engine = small_engine(seed % 7, gain=3.0, patch=patch_of(seed))
    encoded = encode(engine, seed, [80])
    (drafted,) = decode(engine, encoded, DecodeOptions(strategy="ctc"))
    (written,) = decode(engine, encoded, GREEDY)
    (chosen,) = decode(engine, encoded, DecodeOptions(min_draft_confidence=1.0, max_rounds=0))
    assert chosen.ids in (drafted.ids, written.ids)
    if written.runaway:
        assert chosen.ids == drafted.ids or written.ids == drafted.ids
        return
    texts = [drafted.ids, written.ids]
    assert encoded.ctc_log_probs is not None
    ctc = forward_log_probs(encoded.ctc_log_probs.repeat(2, 0), encoded.frames.repeat(2), texts)
    scores = [float(c) + score(engine, encoded, ids) for c, ids in zip(ctc, texts, strict=True)]
    assert chosen.ids == texts[int(scores[1] > scores[0])]


def test_a_draft_stands_after_many_disagreements() -> None:
    base = small_engine(0, gain=3.0)
    engine = CountingEngine(base.metadata, base.model)
    encoded = encode(engine, 3, [80, 64, 40])
    drafted = decode(engine, encoded, DecodeOptions(strategy="ctc"))
    free = decode(engine, encoded, DecodeOptions(min_draft_confidence=1.0, max_rounds=0))
    needed = engine.steps
    assert needed > 2
    engine.steps = 0
    limited = decode(engine, encoded, DecodeOptions(min_draft_confidence=1.0, max_rounds=2))
    assert engine.steps == 2
    for row in range(3):
        assert limited[row].ids in (drafted[row].ids, free[row].ids)
    assert (
        decode(engine, encoded, DecodeOptions(min_draft_confidence=1.0, max_rounds=needed)) == free
    )


def test_models_without_a_ctc_head_read_greedily() -> None:
    engine = small_engine(1, ctc=False)
    encoded = encode(engine, 1, [60, 40])
    greedy = decode(engine, encoded, GREEDY)
    for strategy in ("ctc", "verify"):
        assert decode(engine, encoded, DecodeOptions(strategy=strategy)) == greedy  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("999449", 8, 6),  # a number
        ("1000000", 30, 7),
        ("Contents ..................... 7", 60, 32),  # leader dots
        ("a" * 21, 30, 1),  # wider than the image
        ("xy" + "ab" * 12, 30, 4),
        ("abcabcabc" * 4, 36, 3),
        ("ab" * 3, 8, 6),  # three times is no runaway
    ],
)
def test_only_endless_repetition_is_cut(text: str, limit: int, kept: int) -> None:
    assert without_repeats([ord(c) for c in text], limit) == kept


def test_runaways_are_cut_and_flagged() -> None:
    row = Hypothesis(limit=30)
    while not row.done:
        row.write(7, -0.01)
    assert row.ids == (7,) and row.runaway and row.reading().runaway
    row = Hypothesis(limit=12)
    for token in range(4, 40):
        if not row.done:
            row.write(token, -0.01)
    assert len(row.ids) == 12 and row.runaway
    row = Hypothesis(limit=2)
    for token in (4, 5, EOS):
        row.write(token, -0.01)
    assert row.ids == (4, 5) and row.done and not row.runaway


def test_agreement_of_both_heads_is_the_mean_of_their_odds() -> None:
    draft = Decoded((4, 5), (0.5, 1.0), 0.8, ((0, 1), (2, 3)))
    row = Hypothesis(limit=9, ids=(4, 5), log_probs=[0.0, float(np.log(0.5))], done=True)
    both = row.reading(draft)
    assert both.columns == draft.columns
    assert both.probabilities == pytest.approx((0.5**0.5, 0.5**0.5))
    assert row.reading(replace(draft, ids=(4, 6))).columns is not None
    assert row.reading().columns is None


def test_options_are_checked() -> None:
    for wrong in (
        {"beam": 0},
        {"max_rounds": -1},
        {"min_draft_confidence": 1.5},
        {"ctc_weight": -0.1},
    ):
        with pytest.raises(UsageError):
            DecodeOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("draft", "text", "place"),
    [
        ((5, 6, 7, 8, 9, 10), (5, 6, 8, 9), 5),  # one left out
        ((5, 6, 7, 8, 9, 10), (5, 6, 11, 7, 8), 4),  # one put in
        (
            (5, 6, 11, 12, 13, 7, 8, 9, 10, 14),
            (5, 6, 7, 8, 9, 10),
            9,
        ),  # three of the draft are none
        ((5, 6, 7, 5, 6, 7, 5, 6, 7), (5, 6, 8, 5), 4),  # of many the nearest
    ],
)
def test_a_text_that_left_its_draft_finds_back(
    draft: tuple[int, ...], text: tuple[int, ...], place: int
) -> None:
    row = Hypothesis(20, draft)
    for token in text:
        row.write(token, -0.1)
    assert row.draft_position == place
