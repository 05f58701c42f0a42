"""Modules that export to ONNX Runtime's fused operators.

PyTorch's exporter would write normalisation, rotary embedding and attention as dozens of small
operators, each with one pass through memory. ONNX Runtime has one fused operator for each (domain
``com.microsoft``, on CPU and CUDA). ``fuse`` replaces modules of the network by modules that
represent these operators; they have the same parameters, and can be exported but not run.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.onnx.ops import symbolic

from ocrtool.models.layers import CrossAttention, RMSNorm, SelfAttention, additive_mask
from ocrtool.models.ocr import OcrModel

Angles = tuple[Tensor, Tensor]


def fuse(model: OcrModel) -> OcrModel:
    """Return a copy of the network for export, with shared parameters."""
    memo = {id(parameter): parameter for parameter in model.parameters()}
    fused = copy.deepcopy(model, memo)
    _replace(fused)
    return fused


def _replace(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, RMSNorm):
            setattr(module, name, FusedRMSNorm(child))
        elif isinstance(child, SelfAttention):
            setattr(module, name, FusedSelfAttention(child))
        elif isinstance(child, CrossAttention):
            setattr(module, name, FusedCrossAttention(child))
        else:
            _replace(child)


class FusedRMSNorm(nn.Module):
    """Exports ``RMSNorm`` as ``SimplifiedLayerNormalization``."""

    def __init__(self, norm: RMSNorm) -> None:
        """Share the weight of ``norm``."""
        super().__init__()
        self.weight = norm.weight
        self.eps = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over the last axis."""
        attributes = {"axis": -1, "epsilon": self.eps, "stash_type": 1}
        # ONNX Runtime defines this operator in the standard domain.
        return _operator("SimplifiedLayerNormalization", (x, self.weight), attributes, x)


class FusedSelfAttention(nn.Module):
    """Exports ``SelfAttention`` as ``RotaryEmbedding`` and ``MultiHeadAttention``."""

    def __init__(self, attention: SelfAttention) -> None:
        """Share the projections of ``attention``."""
        super().__init__()
        self.n_head = attention.n_head
        self.n_kv_head = attention.n_kv_head
        self.d_head = attention.d_head
        self.qkv = attention.qkv
        self.out = attention.out

    def forward(
        self,
        x: Tensor,
        angles: Angles | None,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See ``SelfAttention.forward``; without ``past``, ``mask`` may only hide padding."""
        narrow = self.n_kv_head * self.d_head
        queries, keys, values = self.qkv(x).split((x.shape[2], narrow, narrow), dim=2)
        if angles is not None:
            queries = self._rotate(queries, angles, self.n_head)
            keys = self._rotate(keys, angles, self.n_kv_head)
        new_keys, new_values = (
            part.unflatten(-1, (self.n_kv_head, self.d_head)).transpose(1, 2)
            for part in (keys, values)
        )
        groups = self.n_head // self.n_kv_head
        if past is None and not causal and groups == 1:
            mixed = _attention(queries, keys, values, self.n_head, padding=mask)
            return self.out(mixed), new_keys, new_values
        if causal:
            step = torch.arange(x.shape[1], device=x.device)
            mask = additive_mask((step <= step[:, None])[None, None], x.dtype)
        seen_keys, seen_values = new_keys, new_values
        if past is not None:
            seen_keys = torch.cat((past[0], new_keys), dim=2)
            seen_values = torch.cat((past[1], new_values), dim=2)
        if groups > 1:
            seen_keys = seen_keys.repeat_interleave(groups, dim=1)
            seen_values = seen_values.repeat_interleave(groups, dim=1)
        mixed = _attention(queries, seen_keys, seen_values, self.n_head, bias=mask)
        return self.out(mixed), new_keys, new_values

    @staticmethod
    def _rotate(x: Tensor, angles: Angles, heads: int) -> Tensor:
        """Rotate (B, T, heads * D); position p is row p of the operator's two tables."""
        cos, sin = (part.flatten(0, 2) for part in angles)
        if angles[0].shape[0] == 1:  # equal for all rows: a start offset of zero
            positions = torch.zeros(1, dtype=torch.int64)
        else:
            positions = torch.arange(cos.shape[0]).view(x.shape[0], x.shape[1])
        attributes = {"interleaved": 0, "num_heads": heads}
        return _operator("com.microsoft::RotaryEmbedding", (x, positions, cos, sin), attributes, x)


class FusedCrossAttention(nn.Module):
    """Exports ``CrossAttention`` as ``MultiHeadAttention``."""

    def __init__(self, attention: CrossAttention) -> None:
        """Share the projections of ``attention``."""
        super().__init__()
        self.n_head = attention.n_head
        self.n_kv_head = attention.n_kv_head
        self.q = attention.q
        self.out = attention.out
        self.keys_values = attention.keys_values

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """See ``CrossAttention.forward``; ``mask`` may only hide padding."""
        groups = self.n_head // self.n_kv_head
        if groups > 1:
            keys = keys.repeat_interleave(groups, dim=1)
            values = values.repeat_interleave(groups, dim=1)
        mixed: Tensor = self.out(_attention(self.q(x), keys, values, self.n_head, padding=mask))
        return mixed


def _attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    heads: int,
    *,
    padding: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Attend from (B, T, H * D) to keys and values (B, S, H * D) or (B, H, S, D).

    Args:
        queries: (B, T, H * D).
        keys: (B, S, H * D) or (B, H, S, D).
        values: Shape of ``keys``.
        heads: Number of query heads H.
        padding: Additive mask (B, 1, 1, S) of valid keys.
        bias: Additive mask (B, 1, T, S).
    """
    exists = None if padding is None else (padding[:, 0, 0] == 0).to(torch.int32)
    inputs = (queries, keys, values, None, exists, bias)
    attributes = {"num_heads": heads}
    return _operator("com.microsoft::MultiHeadAttention", inputs, attributes, queries)


def _operator(
    name: str,
    inputs: Sequence[Tensor | None],
    attributes: Mapping[str, int | float],
    like: Tensor,
) -> Tensor:
    """Represent an ONNX operator whose output has the shape and type of ``like``."""
    version = 1 if "::" in name else None
    return symbolic(
        name, inputs, dict(attributes), dtype=like.dtype, shape=like.shape, version=version
    )
