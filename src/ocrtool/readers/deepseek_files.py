"""DeepSeek-OCR's files: geometry told by the tensors themselves, and weights loaded one at a time.

A checkpoint fits or is refused: every tensor must be there, and nothing besides. Tensors go from
the file straight to their device and type, so that no more than one is in memory twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ocrtool.errors import ModelError
from ocrtool.models.deepencoder import ClipConfig, SamConfig
from ocrtool.models.deepseek import DeepseekConfig, DeepseekOcr
from ocrtool.models.int8 import Int8Linear
from ocrtool.models.moe import MoeConfig
from ocrtool.readers.model_lookup import CONFIG

CLIP_HEAD = 64
"""Width of a head of the second tower."""

Shapes = dict[str, tuple[int, ...]]


def load_network(folder: Path, device: str, dtype: torch.dtype, int8: bool = False) -> DeepseekOcr:
    """Load the network in a folder.

    Args:
        folder: With ``config.json`` and safetensors files.
        device: Where it shall compute.
        dtype: Of its numbers.
        int8: Whether the decoder's linear maps are kept in eight bits.

    Raises:
        ModelError: Files are missing or damaged, or not of such a network.
    """
    with ExitStack() as stack:
        files = []
        try:
            raw = json.loads((folder / CONFIG).read_text("utf-8"))
            for path in sorted(folder.glob("*.safetensors")):
                files.append(stack.enter_context(safe_open(path, "pt", device="cpu")))
            places = {name: file for file in files for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(f.get_slice(name).get_shape()) for name, f in places.items()}
            config = config_of(shapes, raw.get("language_config", raw))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(f"{folder} is no DeepSeek-OCR, or damaged: {error}") from None
        with torch.device("meta"):
            network = DeepseekOcr(config)
        wanted = {name: tuple(p.shape) for name, p in network.named_parameters()}
        compare(wanted, shapes, f"{folder} is no DeepSeek-OCR")
        for name in wanted:
            put(
                network, name, places[name].get_tensor(name), device, dtype, int8 and in_eight(name)
            )
    return network.eval().requires_grad_(False)


def config_of(shapes: Shapes, language: dict[str, Any]) -> DeepseekConfig:
    """Tell the geometry by the shapes of the tensors, and what they do not tell by the config.

    Raises:
        KeyError: A tensor is missing by which it is told.
    """
    sam, clip = towers_of(shapes, "model.")
    vocabulary, text_width = shapes["model.embed_tokens.weight"]
    layers = count(shapes, "model.layers.")
    dense = sum(f"model.layers.{i}.mlp.gate_proj.weight" in shapes for i in range(layers))
    decoder = MoeConfig(
        vocab_size=vocabulary,
        width=text_width,
        n_layer=layers,
        n_head=int(language.get("num_attention_heads", MoeConfig.n_head)),
        d_ff=shapes["model.layers.0.mlp.gate_proj.weight"][0],
        dense_layers=dense,
        top_k=int(language.get("num_experts_per_tok", MoeConfig.top_k)),
        rope_theta=float(language.get("rope_theta") or MoeConfig.rope_theta),
        max_length=int(language.get("max_position_embeddings", MoeConfig.max_length)),
    )
    if dense < layers:
        experts = f"model.layers.{dense}.mlp."
        hidden = shapes[f"{experts}experts.0.gate_proj.weight"][0]
        decoder = replace(
            decoder,
            n_expert=count(shapes, f"{experts}experts."),
            n_shared=shapes[f"{experts}shared_experts.gate_proj.weight"][0] // hidden,
            d_expert=hidden,
        )
    return DeepseekConfig(sam, clip, decoder)


def towers_of(shapes: Shapes, prefix: str) -> tuple[SamConfig, ClipConfig]:
    """Tell the geometry of the two vision towers, whose names begin with ``prefix``.

    Raises:
        KeyError: A tensor is missing by which it is told.
    """
    first, stem = f"{prefix}sam_model.", f"{prefix}vision_model."
    width = shapes[f"{first}pos_embed"][3]
    grid = shapes[f"{first}pos_embed"][1]
    blocks = count(shapes, f"{first}blocks.")
    sides = [(shapes[f"{first}blocks.{i}.attn.rel_pos_h"][0] + 1) // 2 for i in range(blocks)]
    window = min(sides)
    sam = SamConfig(
        width=width,
        n_layer=blocks,
        n_head=width // shapes[f"{first}blocks.0.attn.rel_pos_h"][1],
        d_ff=shapes[f"{first}blocks.0.mlp.lin1.weight"][0],
        patch=shapes[f"{first}patch_embed.proj.weight"][2],
        grid=grid,
        window=window,
        global_blocks=tuple(i for i, side in enumerate(sides) if side == grid),
        neck=shapes[f"{first}neck.0.weight"][0],
        compressor=(
            shapes[f"{first}net_2.weight"][0],
            shapes[f"{first}net_3.weight"][0],
        ),
    )
    clip_width = shapes[f"{stem}embeddings.class_embedding"][0]
    clip = ClipConfig(
        width=clip_width,
        n_layer=count(shapes, f"{stem}transformer.layers."),
        n_head=max(1, clip_width // CLIP_HEAD),
        d_ff=shapes[f"{stem}transformer.layers.0.mlp.fc1.weight"][0],
        grid=int((shapes[f"{stem}embeddings.position_embedding.weight"][0] - 1) ** 0.5),
        patch=shapes[f"{stem}embeddings.patch_embedding.weight"][2],
    )
    return sam, clip


def count(shapes: Shapes, prefix: str) -> int:
    """Return how many numbered parts have names that begin so."""
    return len(
        {name[len(prefix) :].partition(".")[0] for name in shapes if name.startswith(prefix)}
    )


def compare(wanted: Shapes, found: Shapes, told: str) -> None:
    """Refuse tensors that are not exactly those of a network.

    Args:
        wanted: Of the network.
        found: In the files.
        told: What the error says first.

    Raises:
        ModelError: One is missing, left over, or of another shape.
    """

    def first(names: Iterator[str]) -> str:
        return next(names, "")

    missing = first(name for name in wanted if name not in found)
    strange = first(name for name in found if name not in wanted)
    unlike = first(name for name in wanted if wanted[name] != found.get(name, wanted[name]))
    reason = (
        (missing and f"{missing} is missing")
        or (strange and f"{strange} has no place")
        or (unlike and f"{unlike} is {found[unlike]}, not {wanted[unlike]}")
    )
    if reason:
        raise ModelError(f"{told}: {reason}")


def in_eight(name: str) -> bool:
    """Tell whether a tensor may be kept in eight bits: the decoder's maps, but no router.

    The router's few numbers decide which experts are asked: they stay as they are.
    """
    in_decoder = name.startswith(("model.layers.", "lm_head."))
    return in_decoder and not name.endswith("mlp.gate.weight")


def put(
    network: nn.Module,
    name: str,
    tensor: torch.Tensor,
    device: str,
    dtype: torch.dtype,
    int8: bool,
) -> None:
    """Give a parameter its numbers, or, with ``int8``, a linear map its place in eight bits."""
    path, _, last = name.rpartition(".")
    owner = network.get_submodule(path)
    if int8 and last == "weight" and isinstance(owner, nn.Linear):
        parent, _, own = path.rpartition(".")
        setattr(network.get_submodule(parent), own, Int8Linear(tensor, dtype).to(device))
        return
    setattr(owner, last, nn.Parameter(tensor.to(device, dtype), requires_grad=False))
