"""Conversion of published checkpoints: tensor names and hyperparameters.

Supported are the vision transformer (``ViTModel`` of the library transformers, such as
``google/vit-base-patch16-224``) and the Llama family (``LlamaForCausalLM``, such as
``HuggingFaceTB/SmolLM-135M``). Input and output are mappings from names to tensors; this module
reads no files and imports PyTorch only where it computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ocrtool.errors import ModelError
from ocrtool.models import DecoderConfig, VisionConfig

if TYPE_CHECKING:
    from torch import Tensor

VIT_UNUSED = ("pooler.", "classifier.")
"""Name prefixes of classification heads, which are not used."""
LLAMA_UNUSED = ("rotary_emb.",)
"""Name prefixes of tensors of published Llama models that are not used."""

Names = dict[str, tuple[str, ...]]


def vit_names(n_layer: int) -> Names:
    """Return, for each tensor of our encoder, the tensors of a published ViT that form it.

    Several tensors are concatenated along their rows: queries, keys and values are one layer here.
    """
    names: Names = {
        "class_token": ("embeddings.cls_token",),
        "positions": ("embeddings.position_embeddings",),
    }
    pairs: Names = {
        "embed": ("embeddings.patch_embeddings.projection",),
        "norm": ("layernorm",),
    }
    for i in range(n_layer):
        layer, block = f"encoder.layer.{i}.", f"blocks.{i}."
        parts = ("query", "key", "value")
        pairs |= {
            block + "attention_norm": (layer + "layernorm_before",),
            block + "attention.qkv": tuple(f"{layer}attention.attention.{p}" for p in parts),
            block + "attention.out": (layer + "attention.output.dense",),
            block + "mlp_norm": (layer + "layernorm_after",),
            block + "mlp.up": (layer + "intermediate.dense",),
            block + "mlp.out": (layer + "output.dense",),
        }
    for ours, theirs in pairs.items():
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = tuple(f"{name}.{kind}" for name in theirs)
    return names


def llama_names(n_layer: int, *, tied: bool) -> Names:
    """Return, for each tensor of our decoder, the tensors of a published Llama that form it.

    Several tensors are concatenated along their rows. Both networks apply the rotary embedding to
    the two halves of a head, so rows keep their order.
    """
    names: Names = {"embed.weight": ("embed_tokens.weight",), "norm.weight": ("norm.weight",)}
    if not tied:
        names["head.weight"] = ("lm_head.weight",)
    for i in range(n_layer):
        layer, block = f"layers.{i}.", f"blocks.{i}."
        attention, mlp = layer + "self_attn.", layer + "mlp."
        names |= {
            block + "self_norm.weight": (layer + "input_layernorm.weight",),
            block + "self_attention.qkv.weight": tuple(
                f"{attention}{part}_proj.weight" for part in "qkv"
            ),
            block + "self_attention.out.weight": (attention + "o_proj.weight",),
            block + "mlp_norm.weight": (layer + "post_attention_layernorm.weight",),
            block + "mlp.gate_up.weight": (mlp + "gate_proj.weight", mlp + "up_proj.weight"),
            block + "mlp.out.weight": (mlp + "down_proj.weight",),
        }
    return names


def vit_weights(published: Mapping[str, Tensor], config: VisionConfig) -> dict[str, Tensor]:
    """Return the state dict of our vision encoder from that of a published ViT.

    Positions are interpolate_positions where the image size differs.

    Args:
        published: Tensors of ``ViTModel`` or ``ViTForImageClassification``, by name.
        config: The encoder's configuration, from ``vit_config``.

    Raises:
        ModelError: A tensor is missing, unexpected or of another shape.
    """
    found = _without_prefix(published, "vit.")
    tensors = _combine(found, vit_names(config.n_layer), VIT_UNUSED)
    tensors["class_token"] = tensors["class_token"].reshape(-1)
    positions = tensors["positions"].reshape(-1, config.d_model)
    grid = config.height // config.patch, config.width // config.patch
    tensors["positions"] = interpolate_positions(positions, *grid)
    return tensors


def llama_weights(published: Mapping[str, Tensor], config: DecoderConfig) -> dict[str, Tensor]:
    """Return the state dict of our text decoder from that of a published Llama.

    Args:
        published: The tensors of ``LlamaForCausalLM``, by name. A head that is the embedding may
            be there or not.
        config: The decoder, as ``llama_config`` makes it.

    Raises:
        ModelError: A tensor is missing or left over.
    """
    unused = (*LLAMA_UNUSED, "lm_head.") if config.tied else LLAMA_UNUSED
    found = _without_prefix(published, "model.")
    return _combine(found, llama_names(config.n_layer, tied=config.tied), unused)


def interpolate_positions(positions: Tensor, rows: int, columns: int) -> Tensor:
    """Resize learned positions (1 + n * n, width), the class token's first, to another grid.

    Returns:
        (1 + rows * columns, width), bicubic where the grid differs, as in transformers.
    """
    import torch
    import torch.nn.functional as F

    side = int((len(positions) - 1) ** 0.5)
    if 1 + side * side != len(positions):
        raise ModelError(f"{len(positions)} positions are no square and a class token")
    if (rows, columns) == (side, side):
        return positions
    first, grid = positions[:1], positions[1:].T.reshape(1, -1, side, side)
    resized = F.interpolate(grid.float(), (rows, columns), mode="bicubic", align_corners=False)
    return torch.cat((first, resized.flatten(2)[0].T.to(first.dtype)))


def vit_config(published: Mapping[str, Any], base: VisionConfig) -> VisionConfig:
    """Return ``base`` with the hyperparameters of a published ViT; the image size is kept.

    Args:
        published: Content of its ``config.json``.
        base: Configuration of everything else.

    Raises:
        ModelError: It is no ViT, or our encoder does not support it.
    """
    _expect(published, {"model_type": "vit", "hidden_act": "gelu", "qkv_bias": True})
    return replace(
        base,
        kind="vit",
        channels=_integer(published, "num_channels"),
        patch=_integer(published, "patch_size"),
        d_model=_integer(published, "hidden_size"),
        n_layer=_integer(published, "num_hidden_layers"),
        n_head=_integer(published, "num_attention_heads"),
        d_ff=_integer(published, "intermediate_size"),
        norm="layer",
        norm_eps=float(published.get("layer_norm_eps", 1e-12)),
        bias=True,
        class_token=True,
    )


def llama_config(published: Mapping[str, Any], base: DecoderConfig) -> DecoderConfig:
    """Return ``base`` with the hyperparameters of a published Llama, with the image as a prefix.

    Args:
        published: Content of its ``config.json``.
        base: Configuration of everything else.

    Raises:
        ModelError: It is no Llama, or our decoder does not support it.
    """
    expected = {"model_type": "llama", "hidden_act": "silu"}
    _expect(published, {**expected, "attention_bias": False, "mlp_bias": False})
    rope = published.get("rope_parameters") or {}
    scaling = published.get("rope_scaling") or {}
    kind = (rope or scaling).get("rope_type", scaling.get("type", "default"))
    if kind != "default":
        raise ModelError(f"its positions are scaled ({kind}), which this decoder does not do")
    width, heads = _integer(published, "hidden_size"), _integer(published, "num_attention_heads")
    if (published.get("head_dim") or width // heads) * heads != width:
        raise ModelError("its heads together are not as wide as the decoder")
    return replace(
        base,
        d_model=width,
        n_layer=_integer(published, "num_hidden_layers"),
        n_head=heads,
        n_kv_head=published.get("num_key_value_heads") or heads,
        d_ff=_integer(published, "intermediate_size"),
        swiglu=True,
        rope_theta=float(rope.get("rope_theta", published.get("rope_theta", 10_000.0))),
        fusion="prefix",
        tied=bool(published.get("tie_word_embeddings", False)),
        norm_eps=float(published.get("rms_norm_eps", 1e-6)),
    )


def _expect(published: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise ModelError where a given value differs from the expected one; absent values match."""
    for key, wanted in values.items():
        if key == "model_type" and published.get(key) != wanted:
            raise ModelError(f"model_type is {published.get(key)!r}, not {wanted!r}")
        if published.get(key, wanted) != wanted:
            raise ModelError(f"{key} is {published[key]!r}, this network knows {wanted!r}")


def _integer(published: Mapping[str, Any], key: str) -> int:
    value = published.get(key)
    if not isinstance(value, int):
        raise ModelError(f"{key} is {value!r}, not a whole number")
    return value


def _without_prefix(published: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors with the prefix removed from their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in published.items()}


def _combine(
    found: Mapping[str, Tensor], names: Names, unused: tuple[str, ...]
) -> dict[str, Tensor]:
    """Concatenate the parts of each of our tensors; none may be missing or left over."""
    import torch

    wanted = {name for parts in names.values() for name in parts}
    missing = sorted(wanted - found.keys())
    if missing:
        raise ModelError(f"{len(missing)} tensors are missing, {missing[0]} first")
    left = sorted(name for name in found.keys() - wanted if not name.startswith(unused))
    if left:
        raise ModelError(f"{len(left)} tensors are of another network, {left[0]} first")
    return {
        ours: torch.cat([found[name] for name in parts]) if len(parts) > 1 else found[parts[0]]
        for ours, parts in names.items()
    }
