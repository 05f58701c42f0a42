"""The encoder of formulas: two dimensions, any size, padding without influence; its decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ocrtool.errors import UsageError
from ocrtool.models.cache import KVCache
from ocrtool.models.ocr import OcrModel
from ocrtool.models.presets import FORMULA

VOCABULARY = 20


def build(*, flash: bool = True, **changes: Any) -> OcrModel:
    """A small formula reader with lively random weights."""
    vision = replace(
        FORMULA.vision, d_model=24, n_layer=2, n_head=2, d_ff=32, stem=(4, 6, 8, 12), dropout=0.0
    )
    decoder = replace(
        FORMULA.decoder, d_model=32, n_layer=2, n_head=4, n_kv_head=4, d_ff=40, max_length=24
    )
    decoder = replace(decoder, **changes)
    config = replace(FORMULA, vision=vision, decoder=decoder, vocab_size=VOCABULARY, flash=flash)
    torch.manual_seed(0)
    model = OcrModel(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
        else:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model.requires_grad_(False)


def test_the_preset_has_its_size_and_is_cheap() -> None:
    model = OcrModel(replace(FORMULA, vocab_size=800, flash=False)).eval()
    assert 10_000_000 < model.num_parameters() < 14_000_000
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, 1, 64, 320), torch.ones(1, 40, dtype=torch.int64))
    assert counter.get_total_flops() < 2.6e9


def test_a_token_a_cell() -> None:
    encoding = build().encode(
        torch.randn(3, 1, 48, 40), torch.tensor([[48, 40], [16, 24], [33, 9]])
    )
    assert encoding.memory.shape == (3, 15, 32)
    assert encoding.lengths.tolist() == [15, 3, 6]
    assert encoding.ctc_logits is None


def test_a_batch_never_changes_a_row() -> None:
    """Pictures of different sizes, whatever lies beyond their edges, as each alone."""
    model = build()
    sizes = torch.tensor([[48, 64], [16, 8], [32, 40], [48, 24], [16, 64], [40, 20], [17, 63]])
    images = 5 * torch.randn(len(sizes), 1, 64, 80)  # noise, not zeros, in the padding
    tokens = torch.randint(4, VOCABULARY, (len(sizes), 6))
    encoding, output = model.encode(images, sizes), model(images, tokens, sizes)
    for row, (height, width) in enumerate(sizes.tolist()):
        image = images[row : row + 1, :, :height, :width]
        count = -(-height // 16) * -(-width // 8)
        for alone in (model.encode(image), model.encode(image, sizes[row : row + 1])):
            assert alone.lengths.tolist() == [count] == [encoding.lengths[row].item()]
            assert alone.memory.shape[1] == count
            torch.testing.assert_close(
                alone.memory[0], encoding.memory[row, :count], rtol=1e-4, atol=1e-4
            )
        single = model(image, tokens[row : row + 1]).logits
        torch.testing.assert_close(single[0], output.logits[row], rtol=1e-4, atol=1e-4)


def test_rows_and_columns_are_told_apart() -> None:
    """The same ink in another place of the grid is another formula."""
    model, tokens = build(), torch.tensor([[1, 5, 6]])
    images = torch.full((4, 1, 48, 48), -0.5)
    for image, (y, x) in zip(images, ((20, 20), (4, 20), (20, 36), (36, 4)), strict=True):
        image[0, y : y + 8, x : x + 6] = 2.5
    first, *others = model(images, tokens.expand(4, 3)).logits
    for other in others:
        assert not torch.allclose(first, other, atol=1e-2)


@pytest.mark.parametrize("n_kv_head", [4, 2])
def test_fused_equals_plain(n_kv_head: int) -> None:
    fused, plain = build(n_kv_head=n_kv_head), build(n_kv_head=n_kv_head, flash=False)
    plain.load_state_dict(fused.state_dict())
    images, tokens = torch.randn(2, 1, 32, 48), torch.randint(4, VOCABULARY, (2, 6))
    sizes = torch.tensor([[32, 48], [16, 24]])
    torch.testing.assert_close(
        fused(images, tokens, sizes).logits,
        plain(images, tokens, sizes).logits,
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("parts", [(1,) * 8, (3, 1, 4), (8,)])
def test_decoding_with_a_cache_equals_decoding_without(parts: tuple[int, ...]) -> None:
    model = build()
    images, tokens = torch.randn(3, 1, 48, 56), torch.randint(4, VOCABULARY, (3, 8))
    sizes = torch.tensor([[48, 56], [32, 16], [16, 56]])
    encoding = model.encode(images, sizes)
    cross = model.cross(encoding)
    cache = KVCache.allocate(model.config.decoder, 3)
    found: list[Tensor] = []
    start = 0
    for part in parts:
        logits, keys, values = model.step(tokens[:, start : start + part], cross, *cache.past())
        cache.append(keys, values)
        found.append(logits)
        start += part
    whole = model(images, tokens, sizes).logits
    torch.testing.assert_close(torch.cat(found, 1), whole, rtol=1e-4, atol=1e-4)


def test_every_parameter_learns_under_autocast() -> None:
    model = build().requires_grad_(True).train()
    images, tokens = torch.randn(2, 1, 32, 32), torch.randint(4, VOCABULARY, (2, 5))
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images, tokens, torch.tensor([[32, 32], [16, 24]])).logits
    logits.float().square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 16}, "patch"),
        ({"height": 150}, "multiples of 16"),
        ({"width": 0}, "multiples of 16"),
        ({"width": 1001}, "multiples of 16"),
        ({"stem": (8, 8, 8)}, "four channels"),
        ({"d_model": 48, "n_head": 8}, "4 divides"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(FORMULA.vision, **changes)
