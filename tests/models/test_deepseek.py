"""DeepSeek-OCR: the published table of tensors, and the same numbers as another implementation.

The other one is `unlimited_ocr` of `transformers`, which has the same encoder and, within its
window, the same decoder; it is given the same random weights under its own names.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ocrtool.models.deepencoder import ClipConfig, SamConfig, image_positions
from ocrtool.models.deepseek import DeepseekConfig, DeepseekOcr
from ocrtool.models.moe import MoeConfig, MoeMlp

SMALL = DeepseekConfig(
    SamConfig(32, 4, 2, 48, 16, 8, 3, (1, 3), 12, (16, 24)),
    ClipConfig(24, 2, 2, 40, 4, 14),
    MoeConfig(60, 32, 3, 2, 40, 1, 8, 2, 12, 3, max_length=512),
)


def lively(model: DeepseekOcr, seed: int = 0) -> DeepseekOcr:
    """Random weights, norms and positions included."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.normal_(1.0, 0.2)
            else:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
    return model.eval().requires_grad_(False)


def test_the_published_checkpoint_fits() -> None:
    with torch.device("meta"):
        model = DeepseekOcr(DeepseekConfig())
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert len(shapes) == 2710
    assert model.num_parameters() == 3_336_106_240
    parts = {
        "model.sam_model.": (179, 88_883_456 + 787_456 + 5_898_240),
        "model.vision_model.": (293, 303_177_728),
        "model.projector.": (2, 2_622_720),
    }
    for prefix, (count, numbers) in parts.items():
        own = [p for name, p in model.named_parameters() if name.startswith(prefix)]
        assert (len(own), sum(p.numel() for p in own)) == (count, numbers)
    known = {
        "lm_head.weight": (129_280, 1280),
        "model.embed_tokens.weight": (129_280, 1280),
        "model.norm.weight": (1280,),
        "model.image_newline": (1280,),
        "model.view_seperator": (1280,),
        "model.projector.layers.weight": (1280, 2048),
        "model.sam_model.pos_embed": (1, 64, 64, 768),
        "model.sam_model.patch_embed.proj.weight": (768, 3, 16, 16),
        "model.sam_model.blocks.0.attn.rel_pos_h": (27, 64),
        "model.sam_model.blocks.2.attn.rel_pos_w": (127, 64),
        "model.sam_model.blocks.11.mlp.lin1.weight": (3072, 768),
        "model.sam_model.neck.0.weight": (256, 768, 1, 1),
        "model.sam_model.neck.3.bias": (256,),
        "model.sam_model.net_3.weight": (1024, 512, 3, 3),
        "model.vision_model.embeddings.class_embedding": (1024,),
        "model.vision_model.embeddings.patch_embedding.weight": (1024, 3, 14, 14),
        "model.vision_model.embeddings.position_embedding.weight": (257, 1024),
        "model.vision_model.pre_layrnorm.bias": (1024,),
        "model.vision_model.transformer.layers.23.self_attn.qkv_proj.weight": (3072, 1024),
        "model.vision_model.transformer.layers.0.mlp.fc2.bias": (1024,),
        "model.layers.0.mlp.gate_proj.weight": (6848, 1280),
        "model.layers.0.self_attn.o_proj.weight": (1280, 1280),
        "model.layers.11.mlp.gate.weight": (64, 1280),
        "model.layers.1.mlp.experts.63.down_proj.weight": (1280, 896),
        "model.layers.5.mlp.shared_experts.up_proj.weight": (1792, 1280),
        "model.layers.11.post_attention_layernorm.weight": (1280,),
    }
    assert {name: shapes[name] for name in known} == known


def test_images_take_the_published_numbers_of_positions() -> None:
    assert [image_positions(side) for side in (512, 640, 1024, 1280)] == [73, 111, 273, 421]
    gundam = {(2, 1): 483, (1, 2): 493, (2, 2): 693, (3, 2): 893, (2, 3): 903, (3, 3): 1203}
    for grid, count in gundam.items():
        assert image_positions(1024, grid) == count
        columns, rows = grid
        assert count == 10 * rows * (10 * columns + 1) + 273


def test_what_is_seen_has_its_positions() -> None:
    model = lively(DeepseekOcr(SMALL))
    view, tiles = torch.randn(3, 256, 256), torch.randn(6, 3, 128, 128)
    assert model.see(view).shape == (image_positions(256), 32)
    seen = model.see(view, tiles, (3, 2))
    assert seen.shape == (image_positions(256, (3, 2), 128), 32)
    # Row by row over all tiles: the first row ends behind three tiles of two tokens.
    first = model._projected(tiles)
    torch.testing.assert_close(seen[0:2], first[0, :2])
    torch.testing.assert_close(seen[2:4], first[1, :2])
    torch.testing.assert_close(seen[6], model.model.image_newline)
    torch.testing.assert_close(seen[7:9], first[0, 2:])
    torch.testing.assert_close(seen[14:16], first[3, :2])
    torch.testing.assert_close(seen[28:], model.see(view))
    torch.testing.assert_close(seen[-1], model.model.view_seperator)


def test_with_a_cache_as_without() -> None:
    model = lively(DeepseekOcr(SMALL))
    tokens = torch.randint(0, 60, (1, 24))
    whole, _ = model.model.read(model.embed(tokens))
    for cuts in ([24], [1] * 24, [10, 1, 1, 12]):
        past, found, start = None, [], 0
        for count in cuts:
            hidden, past = model.model.read(model.embed(tokens[:, start : start + count]), past)
            found.append(hidden)
            start += count
        torch.testing.assert_close(torch.cat(found, 1), whole, rtol=1e-4, atol=1e-5)


def test_experts_in_groups_as_one_by_one() -> None:
    config = SMALL.decoder
    torch.manual_seed(1)
    mlp = MoeMlp(config).eval().requires_grad_(False)
    for parameter in mlp.parameters():
        parameter.normal_(std=0.4)
    x = torch.randn(2, 7, config.width)
    weights, chosen = mlp.route(x.flatten(0, 1))
    assert (weights.sum(-1) < 0.999).all()  # not made to add up to one
    slowly = torch.stack(
        [
            sum(w * mlp.experts[e](token) for w, e in zip(ws, es, strict=True))
            for token, ws, es in zip(x.flatten(0, 1), weights, chosen.tolist(), strict=True)
        ]
    ).view_as(x)
    torch.testing.assert_close(mlp(x), slowly + mlp.shared_experts(x), rtol=1e-4, atol=1e-5)


def test_places_and_tokens_of_an_image_must_agree() -> None:
    model = lively(DeepseekOcr(SMALL))
    image = torch.randn(2, 32)
    x = model.embed(torch.tensor([[5, 9, 9, 7]]), image, 9)
    torch.testing.assert_close(x[0, 1:3], image)
    with pytest.raises(ValueError, match="1 places for 2 tokens"):
        model.embed(torch.tensor([[5, 9, 7]]), image, 9)


# --------------------------------------------------------------------------- parity


def other(config: DeepseekConfig, state: dict[str, Tensor]) -> Any:
    """The network of `transformers` with our weights."""
    import transformers

    sam, clip, decoder = config.sam, config.clip, config.decoder
    library: Any = transformers
    theirs = library.UnlimitedOcrModel(
        library.UnlimitedOcrConfig(
            vision_config={
                "sam_config": {
                    "hidden_size": sam.width, "output_channels": sam.neck,
                    "num_hidden_layers": sam.n_layer, "num_attention_heads": sam.n_head,
                    "image_size": sam.grid * sam.patch, "patch_size": sam.patch,
                    "window_size": sam.window, "global_attn_indexes": list(sam.global_blocks),
                    "mlp_dim": sam.d_ff, "downsample_channels": list(sam.compressor),
                },
                "encoder_config": {
                    "hidden_size": clip.width, "intermediate_size": clip.d_ff,
                    "num_hidden_layers": clip.n_layer, "num_attention_heads": clip.n_head,
                    "image_size": clip.grid * clip.patch, "patch_size": clip.patch,
                },
            },
            text_config={
                "vocab_size": decoder.vocab_size, "hidden_size": decoder.width,
                "intermediate_size": decoder.d_ff, "num_hidden_layers": decoder.n_layer,
                "num_attention_heads": decoder.n_head, "num_key_value_heads": decoder.n_head,
                "n_routed_experts": decoder.n_expert, "n_shared_experts": decoder.n_shared,
                "moe_intermediate_size": decoder.d_expert, "num_experts_per_tok": decoder.top_k,
                "first_k_dense_replace": decoder.dense_layers, "sliding_window": 4096,
            },
        )
    ).eval()  # fmt: skip
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.startswith("lm_head") or "patch_embedding" in name:
            continue
        for pattern, place in _RENAMED:
            name = re.sub(pattern, place, name)
        if "qkv_proj" in name:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                renamed[name.replace("qkv_proj", f"{letter}_proj")] = part
        else:
            renamed[name] = tensor
    for i in range(decoder.dense_layers, decoder.n_layer):
        stem = f"language_model.layers.{i}.mlp.experts."
        experts = [
            {p: renamed.pop(f"{stem}{e}.{p}_proj.weight") for p in ("gate", "up", "down")}
            for e in range(decoder.n_expert)
        ]
        renamed[f"{stem}gate_up_proj"] = torch.stack(
            [torch.cat((expert["gate"], expert["up"])) for expert in experts]
        )
        renamed[f"{stem}down_proj"] = torch.stack([expert["down"] for expert in experts])
    theirs.load_state_dict(renamed)
    return theirs


_RENAMED = (
    (r"^model\.", ""),
    (r"^sam_model\.", "vision_tower.sam_encoder."),
    (r"^vision_model\.", "vision_tower.vision_encoder."),
    (r"^(embed_tokens|layers|norm)\.", r"language_model.\1."),
    (r"^projector\.layers", "multi_modal_projector"),
    (r"^view_seperator", "view_separator"),
    (r"sam_encoder\.blocks\.", "sam_encoder.layers."),
    (r"(sam_encoder\.layers\.\d+)\.norm", r"\1.layer_norm"),
    (r"patch_embed\.proj", "patch_embed.projection"),
    (r"neck\.0", "neck.conv1"),
    (r"neck\.1", "neck.layer_norm1"),
    (r"neck\.2", "neck.conv2"),
    (r"neck\.3", "neck.layer_norm2"),
    (r"net_2", "proj.conv1"),
    (r"net_3", "proj.conv2"),
    (r"vision_encoder\.transformer", "vision_encoder.encoder"),
)


@torch.no_grad()
def test_it_sees_what_the_other_implementation_sees() -> None:
    model = lively(DeepseekOcr(SMALL))
    theirs = other(SMALL, model.state_dict())
    for side, tile in ((128, 128), (256, 128), (256, 192)):  # 128 is the size of the positions
        view, tiles = torch.randn(3, side, side), torch.randn(6, 3, tile, tile)
        found = theirs.get_image_features(view[None], tiles, [6], [[3, 2]]).pooler_output[0]
        torch.testing.assert_close(model.see(view, tiles, (3, 2)), found, rtol=1e-4, atol=1e-4)
        found = theirs.get_image_features(view[None]).pooler_output[0]
        torch.testing.assert_close(model.see(view), found, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_it_reads_what_the_other_implementation_reads() -> None:
    model = lively(DeepseekOcr(SMALL))
    theirs = other(SMALL, model.state_dict()).language_model
    x = model.embed(torch.randint(0, 60, (1, 40)))
    hidden, past = model.model.read(x)
    torch.testing.assert_close(
        hidden, theirs(inputs_embeds=x).last_hidden_state, rtol=1e-4, atol=1e-4
    )
    more = model.embed(torch.randint(0, 60, (1, 5)))
    behind, _ = model.model.read(more, past)
    whole = theirs(inputs_embeds=torch.cat((x, more), 1)).last_hidden_state
    torch.testing.assert_close(behind, whole[:, 40:], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@torch.no_grad()
def test_it_sees_the_same_at_full_size() -> None:
    config = replace(DeepseekConfig(), decoder=SMALL.decoder)
    model = lively(DeepseekOcr(config))
    theirs = other(config, model.state_dict())
    view = torch.randn(3, 512, 512)
    found = theirs.get_image_features(view[None]).pooler_output[0]
    seen = model.see(view)
    assert seen.shape == (73, 32)
    torch.testing.assert_close(seen, found, rtol=1e-3, atol=1e-3 * float(found.abs().max()))
