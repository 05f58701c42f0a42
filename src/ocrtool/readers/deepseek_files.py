"""DeepSeek-OCR checkpoints: geometry from the tensor shapes, weights loaded one tensor at a time.

A checkpoint must have exactly the tensors of the network, or it is refused. Tensors go from the
file directly to their device and data type, so that at most one of them is in memory twice.
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

CLIP_HEAD_WIDTH = 64
"""Width of an attention head of the CLIP tower."""

Shapes = dict[str, tuple[int, ...]]


def load_network(folder: Path, device: str, dtype: torch.dtype, int8: bool = False) -> DeepseekOcr:
    """Load the network from a folder.

    Args:
        folder: Folder with ``config.json`` and safetensors files.
        device: Device of the network.
        dtype: Data type of the parameters.
        int8: Whether the decoder's linear layers are quantised to 8 bits.

    Raises:
        ModelError: Files are missing, damaged, or of another network.
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
    """Return the geometry: from tensor shapes where possible, otherwise from the configuration.

    Args:
        shapes: Tensor shapes by name.
        language: Configuration of the language model.

    Raises:
        KeyError: A tensor that determines the geometry is missing.
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
    """Return the geometry of the two vision towers, whose tensor names begin with ``prefix``.

    Raises:
        KeyError: A tensor that determines the geometry is missing.
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
        n_head=max(1, clip_width // CLIP_HEAD_WIDTH),
        d_ff=shapes[f"{stem}transformer.layers.0.mlp.fc1.weight"][0],
        grid=int((shapes[f"{stem}embeddings.position_embedding.weight"][0] - 1) ** 0.5),
        patch=shapes[f"{stem}embeddings.patch_embedding.weight"][2],
    )
    return sam, clip


def count(shapes: Shapes, prefix: str) -> int:
    """Return the number of different names that follow ``prefix``, such as layer numbers."""
    return len(
        {name[len(prefix) :].partition(".")[0] for name in shapes if name.startswith(prefix)}
    )


def compare(wanted: Shapes, found: Shapes, told: str) -> None:
    """Check that the tensors of a checkpoint are exactly those of the network.

    Args:
        wanted: Tensor shapes of the network.
        found: Tensor shapes of the files.
        told: Beginning of the error message.

    Raises:
        ModelError: A tensor is missing, unknown, or of another shape.
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
    """Tell whether a tensor may be quantised to 8 bits: linear layers of the decoder, no router.

    The router is small and decides which experts are used, so it keeps its precision.
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
    """Set a parameter, or with ``int8`` replace its linear layer by a quantised one."""
    path, _, last = name.rpartition(".")
    owner = network.get_submodule(path)
    if int8 and last == "weight" and isinstance(owner, nn.Linear):
        parent, _, own = path.rpartition(".")
        setattr(network.get_submodule(parent), own, Int8Linear(tensor, dtype).to(device))
        return
    setattr(owner, last, nn.Parameter(tensor.to(device, dtype), requires_grad=False))
