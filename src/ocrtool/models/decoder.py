"""The text decoder: a causal transformer that looks at the image tokens in every block."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ocrtool.models.config import DecoderConfig
from ocrtool.models.layers import (
    CrossAttention,
    Dropout,
    GeluMLP,
    RMSNorm,
    SelfAttention,
    SwiGLU,
    additive_mask,
    rotary_angles,
)


class CrossCache(NamedTuple):
    """Keys and values of the image tokens for every block, computed once an image.

    Attributes:
        keys: (n_layer, B, G, N, D).
        values: (n_layer, B, G, N, D).
        lengths: (B,) int64, valid image tokens of each row.
    """

    keys: Tensor
    values: Tensor
    lengths: Tensor


class Past(NamedTuple):
    """What the decoder has read before.

    Attributes:
        keys: (n_layer, B, G, P, D), rotated to their positions.
        values: (n_layer, B, G, P, D).
        lengths: (B,) int64; entry j of row b counts if ``j < lengths[b]``, the rest is stale.
    """

    keys: Tensor
    values: Tensor
    lengths: Tensor


class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention, MLP, each on its own RMSNorm and residual."""

    def __init__(self, config: DecoderConfig, *, flash: bool) -> None:
        """Build the block that ``config`` describes."""
        super().__init__()
        width, heads, kv_heads = config.d_model, config.n_head, config.n_kv_head
        self.self_norm = RMSNorm(width)
        self.self_attention = SelfAttention(width, heads, kv_heads, flash=flash)
        self.cross_norm = RMSNorm(width)
        self.cross_attention = CrossAttention(width, heads, kv_heads, flash=flash)
        self.mlp_norm = RMSNorm(width)
        self.mlp = (SwiGLU if config.swiglu else GeluMLP)(width, config.d_ff)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
        image: tuple[Tensor, Tensor],
        image_mask: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map (B, T, d_model) to the same shape; return the new keys and values too."""
        mixed, keys, values = self.self_attention(
            self.self_norm(x), angles, mask=mask, causal=mask is None, past=past
        )
        x = x + self.dropout(mixed)
        x = x + self.dropout(self.cross_attention(self.cross_norm(x), *image, image_mask))
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x, keys, values


class TextDecoder(nn.Module):
    """Token embedding, decoder blocks, final RMSNorm and an untied linear head."""

    def __init__(self, config: DecoderConfig, vocab_size: int, *, flash: bool) -> None:
        """Build the decoder that ``config`` describes for ``vocab_size`` token ids."""
        super().__init__()
        self.d_head = config.d_head
        self.rope_theta = config.rope_theta
        self.embed = nn.Embedding(vocab_size, config.d_model)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            DecoderBlock(config, flash=flash) for _ in range(config.n_layer)
        )
        self.norm = RMSNorm(config.d_model)
        self.head = nn.Linear(config.d_model, vocab_size, bias=False)

    def cross(self, memory: Tensor, lengths: Tensor) -> CrossCache:
        """Project image tokens (B, N, d_model) to the keys and values of every block."""
        blocks = (cast(DecoderBlock, block) for block in self.blocks)
        pairs = [block.cross_attention.keys_values(memory) for block in blocks]
        keys, values = (torch.stack(part) for part in zip(*pairs, strict=True))
        return CrossCache(keys, values, lengths)

    def forward(
        self, tokens: Tensor, cross: CrossCache, past: Past | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read ``tokens`` behind ``past`` and score what follows each of them.

        Token t of row b stands at position ``past.lengths[b] + t`` and sees the row's valid past
        and its new tokens up to t. One code path serves training and prefill (no past), single
        steps, and the verification of drafts in rows of different lengths.

        Args:
            tokens: (B, T) int64.
            cross: the image, from ``cross``.
            past: earlier keys and values; None is the same as P = 0, with a faster kernel.

        Returns:
            Logits (B, T, V), and new keys and values (n_layer, B, G, T, D).
        """
        step = torch.arange(tokens.shape[1], device=tokens.device)
        mask = None
        positions = step[None]
        if past is not None:
            positions = past.lengths[:, None] + step
            mask = self._past_mask(step, past)
        angles = rotary_angles(positions, self.d_head, self.rope_theta)
        column = torch.arange(cross.keys.shape[3], device=tokens.device)
        in_image = (column < cross.lengths[:, None])[:, None, None]
        image_mask = additive_mask(in_image, cross.keys.dtype)
        x = self.dropout(self.embed(tokens))
        new_keys, new_values = [], []
        for i, block in enumerate(self.blocks):
            earlier = None if past is None else (past.keys[i], past.values[i])
            image = (cross.keys[i], cross.values[i])
            x, keys, values = block(x, angles, mask, earlier, image, image_mask)
            new_keys.append(keys)
            new_values.append(values)
        logits: Tensor = self.head(self.norm(x))
        return logits, torch.stack(new_keys), torch.stack(new_values)

    @staticmethod
    def _past_mask(step: Tensor, past: Past) -> Tensor:
        """Return the additive mask (B, 1, T, P + T): valid past, then new tokens up to t."""
        entry = torch.arange(past.keys.shape[3], device=step.device)
        rows, steps = past.lengths.shape[0], step.shape[0]
        valid = (entry < past.lengths[:, None])[:, None].expand(-1, steps, -1)
        causal = (step <= step[:, None])[None].expand(rows, -1, -1)
        return additive_mask(torch.cat((valid, causal), dim=-1)[:, None], past.keys.dtype)
