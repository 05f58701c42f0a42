"""Images as a prefix of the text: sequence, causality, padding, cache; the ViT that sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ocrtool.models import ModelConfig
from ocrtool.models.cache import KVCache
from ocrtool.models.ocr import CrossCache, OcrModel
from ocrtool.models.presets import EQUATION_VLM, EQUATION_VLM_SMALL, FORMULA

VOCABULARY = 20
PROMPT = (5, 9, 4)


def small(**changes: Any) -> ModelConfig:
    """The small preset, smaller; changes are to the decoder but for ``flash``."""
    flash = changes.pop("flash", True)
    vision = replace(EQUATION_VLM_SMALL.vision, height=16, width=24, d_model=24, n_head=2, d_ff=32)
    decoder = replace(EQUATION_VLM_SMALL.decoder, d_model=24, d_ff=40, max_length=24, **changes)
    return replace(
        EQUATION_VLM_SMALL,
        vision=vision,
        decoder=decoder,
        vocab_size=VOCABULARY,
        prompt_ids=PROMPT,
        flash=flash,
    )


def ragged() -> ModelConfig:
    """A prefix of pictures of different sizes."""
    vision = replace(
        FORMULA.vision, d_model=24, n_layer=1, n_head=2, d_ff=32, stem=(4, 6, 8, 12), dropout=0.0
    )
    return replace(small(), vision=vision)


def build(config: ModelConfig) -> OcrModel:
    """The network with lively random weights."""
    torch.manual_seed(0)
    model = OcrModel(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
        else:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model.requires_grad_(False)


def pictures(model: OcrModel, rows: int) -> tuple[Tensor, Tensor | None]:
    """Noise of the size that the network takes, or of three sizes."""
    vision = model.config.vision
    if vision.kind == "vit":
        return torch.randn(rows, 3, vision.height, vision.width), None
    sizes = torch.tensor([[48, 56], [32, 16], [16, 40], [17, 9]])[:rows]
    return torch.randn(rows, 1, 48, 56), sizes


def test_the_preset_has_the_published_size() -> None:
    with torch.device("meta"):
        model = OcrModel(EQUATION_VLM)
    sizes = {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in model.named_children()
    }
    vit_b, smollm = 85_798_656, 134_515_008
    assert sizes == {"vision": vit_b, "projector": 768 * 576 + 576, "decoder": smollm}
    assert "decoder.head.weight" not in model.state_dict()


def test_image_prompt_and_text_are_one_sequence() -> None:
    """The decoder's own blocks over the embeddings, all at once, with a causal mask."""
    model, tokens = build(ragged()), torch.randint(4, VOCABULARY, (3, 6))
    images, sizes = pictures(model, 3)
    encoding, decoder = model.encode(images, sizes), model.decoder
    logits = model(images, tokens, sizes).logits
    assert model.cross(encoding).lengths.tolist() == [n + 3 for n in encoding.lengths.tolist()]
    for row, count in enumerate(encoding.lengths.tolist()):
        text = decoder.embed(torch.cat((torch.tensor(PROMPT), tokens[row])))
        x = torch.cat((encoding.memory[row, :count], text))[None]
        angles = rotary(x.shape[1], decoder.d_head)
        for block in decoder.blocks:
            x, *_ = block(x, angles, None, None)
        scores = decoder.norm(x)[0, -6:] @ decoder.embed.weight.T
        torch.testing.assert_close(scores, logits[row], rtol=1e-4, atol=1e-4)


def rotary(length: int, width: int) -> tuple[Tensor, Tensor]:
    angles = torch.arange(length)[:, None] * 10_000.0 ** (-torch.arange(0, width, 2) / width)
    return angles.cos()[None, :, None], angles.sin()[None, :, None]


@pytest.mark.parametrize("switches", [{}, {"flash": False}, {"n_kv_head": 3, "tied": False}])
def test_a_token_never_changes_what_comes_before(switches: dict[str, Any]) -> None:
    model = build(small(**switches))
    images, _ = pictures(model, 2)
    tokens = torch.randint(4, VOCABULARY, (2, 8))
    before = model(images, tokens).logits
    for place in range(1, 8):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % VOCABULARY
        after = model(images, changed).logits
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.allclose(before[:, place:], after[:, place:])


def test_text_depends_on_image_and_prompt() -> None:
    model, tokens = build(small()), torch.randint(4, VOCABULARY, (1, 4))
    images, _ = pictures(model, 1)
    logits = model(images, tokens).logits
    assert not torch.allclose(logits, model(images + 1, tokens).logits, atol=1e-2)
    other = build(replace(small(), prompt_ids=(5, 9, 6)))
    assert not torch.allclose(logits, other(images, tokens).logits, atol=1e-2)
    assert model.state_dict().keys() == other.state_dict().keys()  # the prompt is no weight


def test_a_batch_never_changes_a_row() -> None:
    """Pictures of different sizes in a batch, noise beyond their edges, as each alone."""
    model, tokens = build(ragged()), torch.randint(4, VOCABULARY, (4, 6))
    images, sizes = pictures(model, 4)
    assert sizes is not None
    together = model(images, tokens, sizes).logits
    for row, (height, width) in enumerate(sizes.tolist()):
        alone = model(images[row : row + 1, :, :height, :width], tokens[row : row + 1]).logits
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [small(), small(flash=False), ragged()], ids=str)
def test_decoding_with_a_cache_equals_decoding_without(config: ModelConfig) -> None:
    """Rows get ahead of one another: every call reads other numbers of tokens a row."""
    model, tokens = build(config), torch.randint(4, VOCABULARY, (4, 12))
    images, sizes = pictures(model, 4)
    expected = model(images, tokens, sizes).logits
    cross = model.cross(model.encode(images, sizes))
    empty = KVCache.allocate(config.decoder, 4)
    torch.testing.assert_close(model.step(tokens, cross, *empty.past())[0], expected)
    cache = KVCache.allocate(config.decoder, 4)
    for counts in ([1, 3, 2, 4], [4, 1, 1, 0], [2, 2, 5, 3], [1, 5, 0, 2]):
        ends = cache.lengths.clone()
        chunk = torch.zeros(4, max(counts), dtype=torch.int64)
        for row, count in enumerate(counts):
            chunk[row, :count] = tokens[row, ends[row] : ends[row] + count]
        logits, keys, values = model.step(chunk, cross, *cache.past())
        cache.append(keys, values, torch.tensor(counts))
        for row, count in enumerate(counts):
            wanted = expected[row, ends[row] : ends[row] + count]
            torch.testing.assert_close(logits[row, :count], wanted, rtol=1e-4, atol=1e-4)
    rows = torch.tensor([3, 0, 0])
    cache.reorder(rows)
    moved = CrossCache(cross.keys[:, rows], cross.values[:, rows], cross.lengths[rows])
    following = tokens[rows, cache.lengths][:, None]
    logits, _, _ = model.step(following, moved, *cache.past())
    wanted = expected[rows, cache.lengths]
    torch.testing.assert_close(logits[:, 0], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [small(), ragged()], ids=["vit", "formula"])
def test_every_parameter_learns_under_autocast(config: ModelConfig) -> None:
    model = build(config).requires_grad_(True).train()
    images, sizes = pictures(model, 2)
    tokens = torch.randint(4, VOCABULARY, (2, 5))
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images, tokens, sizes).logits
    logits.float().square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name
