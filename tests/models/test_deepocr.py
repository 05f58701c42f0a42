"""DeepOCR: the published layout, and the same numbers as other implementations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from ocrtool.models.deepencoder import ClipConfig, ClipTower, SamConfig, SamTower, image_positions
from ocrtool.models.deepocr import (
    DEEPOCR,
    DEEPOCR_SMALL,
    IMAGE,
    Deepocr,
    DeepocrConfig,
    initialize,
)
from ocrtool.models.deepseek import DeepseekConfig, DeepseekOcr
from ocrtool.models.moe import MoeConfig
from ocrtool.models.qwen import Qwen, QwenConfig

SMALL = DeepocrConfig(
    SamConfig(32, 4, 2, 48, 16, 8, 3, (1, 3), 12, (16, 24)),
    ClipConfig(24, 2, 2, 40, 4, 14),
    QwenConfig(60, 48, 3, 6, 2, 40, max_length=512),
    base=256,
    tile=128,
)


def lively(model: Any, seed: int = 0) -> Any:
    """Random weights, norms, biases and positions included."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.normal_(1.0, 0.2)
            else:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
    return model.eval().requires_grad_(False)


def pictures() -> tuple[torch.Tensor, list[torch.Tensor | None], list[tuple[int, int]]]:
    """Three images: without tiles, with six, with two."""
    torch.manual_seed(3)
    tiles = [None, torch.randn(6, 3, 128, 128), torch.randn(2, 3, 128, 128)]
    return torch.randn(3, 3, 256, 256), tiles, [(0, 0), (3, 2), (1, 2)]


def test_the_published_layout_fits() -> None:
    with torch.device("meta"):
        model = Deepocr(DEEPOCR)
        towers = {"sam_model": SamTower(SamConfig()), "vision_model": ClipTower(ClipConfig())}
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    width, shared = 3584, 512
    wanted = {
        "mm_projector.layers.weight": (width, 2048),
        "mm_projector.layers.bias": (width,),
        "mm_projector.image_newline": (width,),
        "mm_projector.view_seperator": (width,),
        "llm.model.embed_tokens.weight": (152_064, width),
        "llm.model.norm.weight": (width,),
        "llm.lm_head.weight": (152_064, width),
    }
    for i in range(28):
        layer = f"llm.model.layers.{i}."
        for letter, rows in (("q", width), ("k", shared), ("v", shared)):
            wanted[f"{layer}self_attn.{letter}_proj.weight"] = (rows, width)
            wanted[f"{layer}self_attn.{letter}_proj.bias"] = (rows,)
        wanted[f"{layer}self_attn.o_proj.weight"] = (width, width)
        wanted[f"{layer}mlp.gate_proj.weight"] = (18_944, width)
        wanted[f"{layer}mlp.up_proj.weight"] = (18_944, width)
        wanted[f"{layer}mlp.down_proj.weight"] = (width, 18_944)
        wanted[f"{layer}input_layernorm.weight"] = (width,)
        wanted[f"{layer}post_attention_layernorm.weight"] = (width,)
    for tower, network in towers.items():  # they are those of DeepSeek-OCR
        for name, tensor in network.state_dict().items():
            wanted[f"vision_tower.{tower}.{name}"] = tuple(tensor.shape)
    assert shapes == wanted
    numbers = {
        part: sum(p.numel() for p in getattr(model, part).parameters())
        for part in ("llm", "vision_tower", "mm_projector")
    }
    assert numbers == {
        "llm": 7_615_616_512,
        "vision_tower": 88_883_456 + 787_456 + 5_898_240 + 303_177_728,
        "mm_projector": 2048 * width + 3 * width,
    }


def test_the_small_one_is_small_and_alike() -> None:
    with torch.device("meta"):
        small, large = Deepocr(DEEPOCR_SMALL), Deepocr(DEEPOCR)
    assert 2e6 < small.num_parameters() < 8e6
    kinds = [
        {"".join(c for c in name if not c.isdigit()) for name in model.state_dict()}
        for model in (small, large)
    ]
    assert kinds[0] == kinds[1]


# --------------------------------------------------------------------------- parity


def other(config: QwenConfig, model: Qwen) -> Any:
    """Qwen2 of `transformers` with our weights."""
    import transformers

    library: Any = transformers
    theirs = library.Qwen2ForCausalLM(
        library.Qwen2Config(
            vocab_size=config.vocab_size, hidden_size=config.width,
            intermediate_size=config.d_ff, num_hidden_layers=config.n_layer,
            num_attention_heads=config.n_head, num_key_value_heads=config.n_kv_head,
            rms_norm_eps=config.norm_eps, max_position_embeddings=config.max_length,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip
    theirs.load_state_dict(model.state_dict())
    return theirs


@torch.no_grad()
def test_it_reads_what_the_other_implementation_reads() -> None:
    model = lively(Qwen(SMALL.decoder))
    theirs = other(SMALL.decoder, model)
    x = model.model.embed_tokens(torch.randint(0, 60, (2, 30)))
    wanted = theirs(inputs_embeds=x).logits
    everywhere = torch.ones(2, 30, dtype=torch.bool)
    torch.testing.assert_close(model(x, everywhere), wanted.flatten(0, 1), rtol=1e-4, atol=1e-4)
    scores, past = model.read(x[:, :20])
    torch.testing.assert_close(scores, wanted[:, 19], rtol=1e-4, atol=1e-4)
    scores, _ = model.read(x[:, 20:], past)
    torch.testing.assert_close(scores, wanted[:, 29], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_with_a_cache_as_without() -> None:
    model = lively(Qwen(SMALL.decoder))
    x = model.model.embed_tokens(torch.randint(0, 60, (1, 24)))
    whole = model.model(x)
    for cuts in ([24], [1] * 24, [10, 1, 1, 12]):
        past, found = None, []
        for part in x.split(cuts, 1):
            hidden, past = model.model.read(part, past)
            found.append(hidden)
        torch.testing.assert_close(torch.cat(found, 1), whole, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_it_sees_what_deepseek_ocr_sees() -> None:
    """The same towers and projector: the order of channels, tiles, newlines and separator."""
    config = DeepseekConfig(SMALL.sam, SMALL.clip, MoeConfig(60, 48, 1, 2, 40, 1, 8, 2, 12, 3))
    model, theirs = lively(Deepocr(SMALL)), DeepseekOcr(config)
    state = theirs.state_dict()
    for name, tensor in model.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "llm":
            continue
        place = f"model.{rest}"
        if rest.startswith("layers."):
            place = f"model.projector.{rest}"
        state[place].copy_(tensor)
    views, tiles, grids = pictures()
    for view, part, grid in zip(views, tiles, grids, strict=True):
        seen = model.see(view, part, grid)
        assert seen.shape == (image_positions(256, grid, 128), 48)
        torch.testing.assert_close(seen, theirs.see(view, part, grid), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_every_image_of_a_batch_is_seen() -> None:
    model = lively(Deepocr(SMALL))
    views, tiles, grids = pictures()
    together = model.encode_images(views, tiles, grids)
    for seen, *image in zip(together, views, tiles, grids, strict=True):
        torch.testing.assert_close(seen, model.see(*image), rtol=1e-4, atol=1e-5)
    # Scores of rows of a batch, filled up at their end, are those of each row alone.
    counts = [len(seen) for seen in together]
    rows = [[1, *[IMAGE] * count, 2, 3 + i, 4] for i, count in enumerate(counts)]
    tokens = torch.zeros(3, max(map(len, rows)), dtype=torch.int64)
    where = torch.zeros_like(tokens, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
        where[i, len(row) - 2 : len(row)] = True
    scores = model(tokens, where, views, tiles, grids).view(3, 2, -1)
    for i, row in enumerate(rows):
        x = model.embed(torch.tensor([row]), together[i])
        alone, _ = model.read(x)
        torch.testing.assert_close(scores[i, 1], alone[0], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="places for"):
        model.embed(tokens, together[0])


def test_gradients_with_recomputing_as_without() -> None:
    torch.manual_seed(0)
    model = Deepocr(replace(SMALL, base=128))
    initialize(model)
    views = torch.randn(2, 3, 128, 128)
    count = image_positions(128)
    tokens = torch.tensor([[1, *[IMAGE] * count, 5, 6, 7]] * 2)
    where = (tokens >= 5) & (tokens < 7)
    found = []
    for recompute in (False, True):
        model.llm.model.recompute = recompute
        model.zero_grad()
        scores = model(tokens, where, views, [None, None], [(0, 0)] * 2)
        F.cross_entropy(scores, torch.tensor([6, 7, 6, 7])).backward()
        found.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    unused = "vision_tower.vision_model.embeddings.patch_embedding.weight"
    assert set(found[0]) == {name for name, _ in model.named_parameters()} - {unused}
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-6)
    assert all(gradient.abs().max() > 0 for gradient in found[0].values())
