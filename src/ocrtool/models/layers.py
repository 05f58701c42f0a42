"""Building blocks: RMSNorm, dropout, rotary embedding, attention and the two MLPs.

Shape symbols: B rows, T or N positions, H query heads, G key and value heads, D width of a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last axis (Zhang and Sennrich, 2019)."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        """Normalise vectors of ``width`` with epsilon ``eps``."""
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` normalised, in its own dtype; computed in float32."""
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale * self.weight).to(x.dtype)


def norm_layer(kind: str, width: int, eps: float) -> nn.Module:
    """Return a normalisation of vectors of ``width``: kind ``rms`` or ``layer``."""
    return RMSNorm(width, eps) if kind == "rms" else nn.LayerNorm(width, eps)


class Dropout(nn.Dropout):
    """Dropout with cheap random numbers on the CPU.

    PyTorch draws one number per element there, which costs more than the layer before it. Here one
    64-bit number serves four elements, so the probability is rounded to a multiple of 1 / 65536.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Zero elements at random and scale up the rest, in training only."""
        if not self.training or self.p == 0.0:
            return x
        if x.device.type != "cpu":
            return super().forward(x)
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        dropped = round(self.p * 2**16)
        uniform = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = (uniform >= dropped - 2**15).to(x.dtype)
        return x * kept.mul_(2**16 / (2**16 - dropped))


def rotary_angles(positions: Tensor, d_head: int, theta: float) -> tuple[Tensor, Tensor]:
    """Return the cosines and sines for ``rotate``.

    Args:
        positions: (B, T) integers; B may be 1 for all rows.
        d_head: width D of a head, even.
        theta: base of the frequencies; pair i turns by ``theta ** (-2 i / D)`` per position.

    Returns:
        Two float32 tensors (B, T, 1, D / 2), to be broadcast over heads.
    """
    pair = torch.arange(0, d_head, 2, device=positions.device, dtype=torch.float32)
    angles = positions[..., None].float() * theta ** (-pair / d_head)
    return angles.cos()[:, :, None], angles.sin()[:, :, None]


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate each pair (i, i + D/2) of ``x`` by its angle (RoPE; Su et al., 2021).

    Args:
        x: (B, T, heads, D).
        angles: from ``rotary_angles``.

    Returns:
        (B, T, heads, D) in the dtype of ``x``. Dot products of two rotated vectors depend only on
        the difference of their positions.
    """
    cos, sin = (part.to(x.dtype) for part in angles)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def additive_mask(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert a boolean mask to one that is added to attention scores.

    Disallowed positions get the lowest finite number: it vanishes in the softmax like minus
    infinity, but a row without any allowed key stays finite.
    """
    mask = torch.zeros_like(allowed, dtype=dtype)
    return mask.masked_fill(~allowed, torch.finfo(dtype).min)


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    flash: bool,
    mask: Tensor | None = None,
    causal: bool = False,
) -> Tensor:
    """Scaled dot-product attention, with grouped queries when G < H (Ainslie et al., 2023).

    Args:
        queries: (B, H, T, D).
        keys: (B, G, S, D), G dividing H; query head h uses key head ``h // (H / G)``.
        values: (B, G, S, D).
        flash: use the fused kernels; otherwise plain matrix products (results agree). The fused
            kernels store no scores, but on the CPU their backward pass is three times as slow, so
            there they are used for inference only.
        mask: additive, broadcastable to (B, H, T, S).
        causal: position t attends to keys up to t; needs T == S and no ``mask``.

    Returns:
        (B, T, H * D).
    """
    groups = queries.shape[1] // keys.shape[1]
    if groups > 1:
        keys = keys.repeat_interleave(groups, dim=1)
        values = values.repeat_interleave(groups, dim=1)
    if mask is not None:
        mask = mask.to(queries.dtype)
    if flash and not (queries.requires_grad and queries.device.type == "cpu"):
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal
        )
    else:
        mixed = _attend_reference(queries, keys, values, mask, causal)
    return mixed.transpose(1, 2).flatten(2)


def _attend_reference(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool
) -> Tensor:
    """Attention by its definition, the reference for the fused kernels."""
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    if causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, torch.finfo(scores.dtype).min)
    mixed: Tensor = scores.softmax(-1).to(values.dtype) @ values
    return mixed


class SelfAttention(nn.Module):
    """Self-attention with optional rotary positions; the cache is an argument and a result."""

    def __init__(
        self, d_model: int, n_head: int, n_kv_head: int, *, flash: bool, bias: bool = False
    ) -> None:
        """Build the projections: ``qkv`` (queries, then keys, then values) and ``out``."""
        super().__init__()
        self.n_head = n_head
        self.n_kv_head = n_kv_head
        self.d_head = d_model // n_head
        self.flash = flash
        self.qkv = nn.Linear(d_model, (n_head + 2 * n_kv_head) * self.d_head, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from ``x`` to ``past`` and ``x``.

        Args:
            x: (B, T, d_model).
            angles: from ``rotary_angles`` for the positions of ``x``; None for no rotation.
            mask: additive, broadcastable to (B, H, T, P + T).
            causal: see ``attend``; only without ``past``.
            past: keys (already rotated) and values of earlier positions, each (B, G, P, D).

        Returns:
            The attention output (B, T, d_model), and the new keys and values (B, G, T, D) of ``x``.
        """
        qkv = self.qkv(x).unflatten(-1, (-1, self.d_head))
        heads, values = qkv.split((self.n_head + self.n_kv_head, self.n_kv_head), dim=2)
        if angles is not None:
            heads = rotate(heads, angles)
        queries, keys = heads.split((self.n_head, self.n_kv_head), dim=2)
        queries, keys, values = (part.transpose(1, 2) for part in (queries, keys, values))
        seen_keys, seen_values = keys, values
        if past is not None:
            seen_keys = torch.cat((past[0].to(keys.dtype), keys), dim=2)
            seen_values = torch.cat((past[1].to(values.dtype), values), dim=2)
        mixed = attend(queries, seen_keys, seen_values, flash=self.flash, mask=mask, causal=causal)
        return self.out(mixed), keys, values


class CrossAttention(nn.Module):
    """Attention from text to image tokens, without positions."""

    def __init__(self, d_model: int, n_head: int, n_kv_head: int, *, flash: bool) -> None:
        """Build the projections ``q``, ``kv`` (keys, then values) and ``out``."""
        super().__init__()
        self.n_head = n_head
        self.n_kv_head = n_kv_head
        self.d_head = d_model // n_head
        self.flash = flash
        self.q = nn.Linear(d_model, d_model, bias=False)
        self.kv = nn.Linear(d_model, 2 * n_kv_head * self.d_head, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Project image tokens (B, N, d_model) to keys and values, each (B, G, N, D)."""
        heads = self.kv(memory).unflatten(-1, (-1, self.d_head)).transpose(1, 2)
        keys, values = heads.split((self.n_kv_head, self.n_kv_head), dim=1)
        return keys, values

    def log_attention(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Return the log attention weights (B, T, N) of the first head over the image tokens."""
        queries = F.linear(x, self.q.weight[: self.d_head])
        scores = queries @ keys[:, 0].mT * self.d_head**-0.5
        if mask is not None:
            scores = scores + mask[:, 0]
        log_attention: Tensor = scores.float().log_softmax(-1)
        return log_attention

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Attend from ``x`` (B, T, d_model) to the image; ``mask`` as in ``attend``."""
        queries = self.q(x).unflatten(-1, (-1, self.d_head)).transpose(1, 2)
        mixed: Tensor = self.out(attend(queries, keys, values, flash=self.flash, mask=mask))
        return mixed


class GeluMLP(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, d_model: int, d_ff: int, *, bias: bool = False) -> None:
        """Expand to ``d_ff`` and project back."""
        super().__init__()
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.out = nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., d_model) to (..., d_model)."""
        mapped: Tensor = self.out(F.gelu(self.up(x)))
        return mapped


class SwiGLU(nn.Module):
    """A gated MLP, ``out(silu(gate x) * up x)`` (Shazeer, 2020)."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        """Expand to a gate and a value of ``d_ff`` each, and project back."""
        super().__init__()
        self.gate_up = nn.Linear(d_model, 2 * d_ff, bias=False)
        self.out = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., d_model) to (..., d_model)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        mapped: Tensor = self.out(F.silu(gate) * up)
        return mapped
