"""The key-value cache, and decoding with it against decoding without."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ocrtool.models.cache import KVCache
from ocrtool.models.ocr import CrossCache, OcrModel
from ocrtool.models.presets import LINE

Build = Callable[..., OcrModel]

SWITCHES = [
    {},
    {"n_kv_head": 2},
    {"n_kv_head": 1, "swiglu": False},
    {"flash": False},
    {"flash": False, "n_kv_head": 2, "swiglu": False},
]


def _start(model: OcrModel, rows: int, length: int) -> tuple[Tensor, CrossCache, Tensor]:
    """Return random tokens, their images, and the logits of all tokens read at once."""
    torch.manual_seed(1)
    images = torch.randn(rows, 1, 32, 64)
    widths = torch.tensor([64, 32, 12, 48][:rows])
    tokens = torch.randint(0, model.config.vocab_size, (rows, length))
    cross = model.cross(model.encode(images, widths))
    return tokens, cross, model(images, tokens, widths).logits


def _read(
    model: OcrModel, tokens: Tensor, cross: CrossCache, cache: KVCache, counts: Tensor | None
) -> Tensor:
    """Read tokens behind a cache, keep the first ``counts``, return the logits."""
    logits, keys, values = model.step(tokens, cross, *cache.past())
    cache.append(keys, values, counts)
    return logits


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_cached_decoding_equals_uncached_at_every_step(
    build: Build, switches: dict[str, int]
) -> None:
    model = build(**switches)
    tokens, cross, expected = _start(model, 3, 9)
    cache = KVCache.allocate(model.config.decoder, 3)
    for step in range(9):
        logits = _read(model, tokens[:, step : step + 1], cross, cache, None)
        torch.testing.assert_close(logits[:, 0], expected[:, step], rtol=1e-4, atol=1e-4)
    assert cache.lengths.tolist() == [9, 9, 9]


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_cached_decoding_of_ragged_rows_equals_uncached(
    build: Build, switches: dict[str, int]
) -> None:
    """Rows get ahead of one another: every call reads other numbers of tokens a row."""
    model = build(**switches)
    tokens, cross, expected = _start(model, 4, 12)
    cache = KVCache.allocate(model.config.decoder, 4)
    for counts in ([1, 3, 2, 4], [4, 1, 1, 0], [2, 2, 5, 3], [1, 5, 0, 2]):
        ends = cache.lengths.clone()
        wide = max(counts)
        chunk = torch.zeros(4, wide, dtype=torch.int64)  # PAD where a row has no token
        for row, count in enumerate(counts):
            chunk[row, :count] = tokens[row, ends[row] : ends[row] + count]
        logits = _read(model, chunk, cross, cache, torch.tensor(counts))
        for row, count in enumerate(counts):
            torch.testing.assert_close(
                logits[row, :count],
                expected[row, ends[row] : ends[row] + count],
                rtol=1e-4,
                atol=1e-4,
            )
    assert cache.lengths.tolist() == [8, 11, 8, 9]
    assert cache.longest == 11


def test_prefill_behind_an_empty_past_equals_training(build: Build) -> None:
    model = build()
    tokens, cross, expected = _start(model, 3, 9)
    empty = KVCache.allocate(model.config.decoder, 3).past()
    assert empty[0].shape[3] == 0
    torch.testing.assert_close(model.step(tokens, cross, *empty)[0], expected)


def test_verifying_and_truncating_drafts_equals_plain_greedy(build: Build) -> None:
    """Drafts that go wrong at a different place in each row; stale entries stay behind."""
    model = build()
    _, cross, _ = _start(model, 4, 1)
    begin = torch.ones(4, 1, dtype=torch.int64)

    cache = KVCache.allocate(model.config.decoder, 4)
    plain = begin
    for _ in range(10):
        logits = _read(model, plain[:, -1:], cross, cache, None)
        plain = torch.cat((plain, logits[:, -1:].argmax(-1)), dim=1)

    draft = plain[:, :-1].clone()
    wrong = [2, 9, 5, 1]
    for row, place in enumerate(wrong):
        draft[row, place] = (draft[row, place] + 1) % model.config.vocab_size
    cache = KVCache.allocate(model.config.decoder, 4)
    proposed = _read(model, draft, cross, cache, None).argmax(-1)
    agreed = (proposed[:, :-1] == draft[:, 1:]).long().cumprod(dim=1).sum(dim=1)
    assert agreed.tolist() == [place - 1 for place in wrong]
    cache.truncate(agreed + 1)  # BOS and what agreed
    texts = [proposed[row, : count + 1].tolist() for row, count in enumerate(agreed.tolist())]
    while min(map(len, texts)) < 10:
        last = torch.tensor([[text[-1]] for text in texts])
        counts = torch.tensor([int(len(text) < 10) for text in texts])
        logits = _read(model, last, cross, cache, counts)
        for row, text in enumerate(texts):
            if counts[row]:
                text.append(int(logits[row, 0].argmax()))
    assert texts == plain[:, 1:].tolist()


def test_reordered_rows_go_on_as_their_sources_would(build: Build) -> None:
    model = build(n_kv_head=2)
    tokens, cross, expected = _start(model, 3, 6)
    cache = KVCache.allocate(model.config.decoder, 3)
    _read(model, tokens[:, :5], cross, cache, torch.tensor([5, 3, 4]))
    rows = torch.tensor([2, 0, 0, 1])
    cache.reorder(rows)
    moved = CrossCache(cross.keys[:, rows], cross.values[:, rows], cross.lengths[rows])
    following = torch.stack([tokens[2, 4], tokens[0, 5], tokens[0, 5], tokens[1, 3]])
    logits = _read(model, following[:, None], moved, cache, None)[:, 0]
    wanted = torch.stack([expected[2, 4], expected[0, 5], expected[0, 5], expected[1, 3]])
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)
    assert cache.lengths.tolist() == [5, 6, 6, 4]
    assert cache.longest == 6


def test_stale_entries_have_no_influence(build: Build) -> None:
    model = build()
    tokens, cross, expected = _start(model, 2, 6)
    cache = KVCache.allocate(model.config.decoder, 2)
    _read(model, tokens[:, :5], cross, cache, torch.tensor([2, 5]))
    cache.keys[:, 0, :, 2:] = 1e4
    cache.values[:, 0, :, 2:] = 1e4
    following = torch.stack([tokens[0, 2], tokens[1, 5]])[:, None]
    logits = _read(model, following, cross, cache, None)[:, 0]
    wanted = torch.stack([expected[0, 2], expected[1, 5]])
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)


def test_a_full_cache_refuses_more() -> None:
    cache = KVCache.allocate(LINE.decoder, 1)
    new = torch.zeros(2, 1, 4, LINE.decoder.max_length, 48)
    cache.append(new, new)
    with pytest.raises(ValueError, match="do not fit"):
        cache.append(new[:, :, :, :1], new[:, :, :, :1])


def test_truncate_never_lengthens() -> None:
    cache = KVCache.allocate(LINE.decoder, 2)
    new = torch.zeros(2, 2, 4, 5, 48)
    cache.append(new, new, torch.tensor([5, 2]))
    cache.truncate(torch.tensor([3, 4]))
    assert cache.lengths.tolist() == [3, 2]
    assert cache.past()[0].shape[3] == cache.longest == 3
