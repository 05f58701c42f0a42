"""Decoder-only transformer layers: embeddings, causal attention and MLP blocks, and a final norm.

The blocks are Llama's (RMSNorm, rotary positions, SwiGLU; Touvron et al., 2023), as used by Qwen2
and DeepSeek's models, with the parameter names of the published checkpoints. The key-value cache
is an argument and a result. All rows of a batch have one length; shorter ones are padded at their
end, which causal attention ignores.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ocrtool.models.layers import RMSNorm, additive_mask, attend, rotary_angles, rotate


class KeyValues(NamedTuple):
    """Keys and values (n_layer, B, G, P, D) of the preceding positions."""

    keys: Tensor
    values: Tensor


class GatedMlp(nn.Module):
    """SwiGLU with three separate linear maps."""

    def __init__(self, width: int, hidden: int) -> None:
        """Expand to ``hidden`` and project back."""
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class _Attention(nn.Module):
    def __init__(self, width: int, n_head: int, n_kv_head: int, bias: bool) -> None:
        super().__init__()
        self.d_head = width // n_head
        shared = n_kv_head * self.d_head
        self.q_proj = nn.Linear(width, width, bias=bias)
        self.k_proj = nn.Linear(width, shared, bias=bias)
        self.v_proj = nn.Linear(width, shared, bias=bias)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, values = (
            project(x).unflatten(-1, (-1, self.d_head))
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        queries, keys = rotate(queries, angles), rotate(keys, angles)
        queries, keys, values = (part.transpose(1, 2) for part in (queries, keys, values))
        seen_keys, seen_values = keys, values
        if past is not None:
            seen_keys, seen_values = (
                torch.cat((old, new), 2) for old, new in zip(past, (keys, values), strict=True)
            )
        mixed = attend(queries, seen_keys, seen_values, flash=True, mask=mask, causal=mask is None)
        return self.o_proj(mixed), keys, values


class CausalBlock(nn.Module):
    """Causal self-attention and an MLP of any kind, each on its own RMSNorm and residual."""

    def __init__(self, width: int, attention: _Attention, mlp: nn.Module, norm_eps: float) -> None:
        """Combine attention and MLP."""
        super().__init__()
        self.input_layernorm = RMSNorm(width, norm_eps)
        self.self_attn = attention
        self.post_attention_layernorm = RMSNorm(width, norm_eps)
        self.mlp = mlp

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map (B, T, width) to the same shape; return the new keys and values too."""
        mixed, keys, values = self.self_attn(self.input_layernorm(x), angles, mask, past)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), keys, values


class CausalLayers(nn.Module):
    """Transformer blocks from token embeddings to final hidden states.

    Attributes:
        recompute: Whether the backward pass recomputes the activations of each block instead of
            storing them (gradient checkpointing; Chen et al., 2016): a third more computation, a
            fraction of the memory.
    """

    recompute = False

    def __init__(
        self,
        vocab_size: int,
        width: int,
        heads: tuple[int, int],
        mlps: Iterable[nn.Module],
        rope_theta: float,
        *,
        bias: bool = False,
        norm_eps: float = 1e-6,
    ) -> None:
        """Build one block per MLP.

        Args:
            vocab_size: Number of token ids.
            width: Width of the residual stream.
            heads: Numbers of query heads and of key-value heads.
            mlps: MLPs of the blocks, in order.
            rope_theta: Base of the rotary frequencies.
            bias: Whether queries, keys and values have biases.
            norm_eps: Epsilon of the normalisation.
        """
        super().__init__()
        self.d_head = width // heads[0]
        self.rope_theta = rope_theta
        self.embed_tokens = nn.Embedding(vocab_size, width)
        self.layers = nn.ModuleList(
            CausalBlock(width, _Attention(width, *heads, bias), mlp, norm_eps) for mlp in mlps
        )
        self.norm = RMSNorm(width, norm_eps)

    def _angles(self, x: Tensor, start: int) -> tuple[Tensor, Tensor]:
        places = torch.arange(start, start + x.shape[1], device=x.device)
        return rotary_angles(places[None], self.d_head, self.rope_theta)

    def read(self, x: Tensor, past: KeyValues | None = None) -> tuple[Tensor, KeyValues]:
        """Process embeddings (B, T, width) that follow cached positions.

        Returns:
            (B, T, width), normalised; and the cache extended to P + T positions.
        """
        start = 0 if past is None else past.keys.shape[3]
        angles = self._angles(x, start)
        mask = None
        if past is not None:
            step = torch.arange(x.shape[1], device=x.device)
            seen = torch.arange(start + x.shape[1], device=x.device) <= start + step[:, None]
            mask = additive_mask(seen, x.dtype)
        keys, values = [], []
        for i, block in enumerate(self.layers):
            earlier = None if past is None else (past.keys[i], past.values[i])
            x, new_keys, new_values = block(x, angles, mask, earlier)
            keys.append(new_keys)
            values.append(new_values)
        new = KeyValues(torch.stack(keys), torch.stack(values))
        if past is not None:
            new = KeyValues(*(torch.cat(pair, 3) for pair in zip(past, new, strict=True)))
        return self.norm(x), new

    def forward(self, x: Tensor) -> Tensor:
        """Process whole sequences of embeddings (B, T, width) without a cache.

        Returns:
            (B, T, width), normalised.
        """
        angles = self._angles(x, 0)
        for block in self.layers:
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(_without_cache, block, x, angles, use_reentrant=False)
            else:
                x = _without_cache(block, x, angles)
        out: Tensor = self.norm(x)
        return out


def _without_cache(block: nn.Module, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    out: Tensor = block(x, angles)[0]
    return out
