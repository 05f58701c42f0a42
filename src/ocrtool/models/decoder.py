"""The text decoder: a causal transformer that transcribes an encoded image.

It attends to the image in one of two ways. With ``cross`` attention, every block attends to the
image tokens. As a ``prefix``, image tokens and prompt precede the text in one causal sequence. In
both cases the keys and values of the image are computed once per image.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtool.models import DecoderConfig
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
    """Keys and values of the image in every block, computed once per image.

    They belong to the cross-attention or to the prefix. For a prefix, N counts image tokens and
    prompt, the keys are rotated to their positions, and the text follows them.

    Attributes:
        keys: (n_layer, B, G, N, D).
        values: (n_layer, B, G, N, D).
        lengths: (B,) int64, number of valid tokens at the start of each row.
    """

    keys: Tensor
    values: Tensor
    lengths: Tensor


class Past(NamedTuple):
    """Keys and values of the tokens decoded so far.

    Attributes:
        keys: (n_layer, B, G, P, D), rotated to their positions.
        values: (n_layer, B, G, P, D).
        lengths: (B,) int64; entry j of row b is valid if ``j < lengths[b]``.
    """

    keys: Tensor
    values: Tensor
    lengths: Tensor


class DecoderOutput(NamedTuple):
    """Output of the decoder for new tokens.

    Attributes:
        logits: (B, T, V), scores of the token after each input token.
        keys: (n_layer, B, G, T, D), new keys, rotated to their positions.
        values: (n_layer, B, G, T, D), new values.
        attention: (n_layer, B, T, N), log attention weights of the first cross-attention heads
            over the image tokens; None where not requested or where the image is a prefix.
    """

    logits: Tensor
    keys: Tensor
    values: Tensor
    attention: Tensor | None


class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention and MLP, each with its own RMSNorm and residual.

    With prefix fusion there is no cross-attention.
    """

    def __init__(self, config: DecoderConfig, *, flash: bool) -> None:
        """Build the block that ``config`` describes."""
        super().__init__()
        width, heads, kv_heads = config.d_model, config.n_head, config.n_kv_head
        self.self_norm = RMSNorm(width, config.norm_eps)
        self.self_attention = SelfAttention(width, heads, kv_heads, flash=flash)
        if config.fusion == "cross":
            self.cross_norm = RMSNorm(width, config.norm_eps)
            self.cross_attention = CrossAttention(width, heads, kv_heads, flash=flash)
        self.mlp_norm = RMSNorm(width, config.norm_eps)
        self.mlp = (SwiGLU if config.swiglu else GeluMLP)(width, config.d_ff)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
        image: tuple[Tensor, Tensor] | None = None,
        image_mask: Tensor | None = None,
        return_attention: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Map (B, T, d_model) to the same shape; also return the new keys and values.

        If ``return_attention``, the last result is the log attention of the first
        cross-attention head.
        """
        mixed, keys, values = self.self_attention(
            self.self_norm(x), angles, mask=mask, causal=mask is None, past=past
        )
        x = x + self.dropout(mixed)
        attention = None
        if image is not None:
            queries = self.cross_norm(x)
            x = x + self.dropout(self.cross_attention(queries, *image, image_mask))
            if return_attention:
                attention = self.cross_attention.log_attention(queries, image[0], image_mask)
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x, keys, values, attention


class TextDecoder(nn.Module):
    """Token embedding, decoder blocks, final RMSNorm and a linear head, tied or untied."""

    prompt: Tensor

    def __init__(
        self,
        config: DecoderConfig,
        vocab_size: int,
        *,
        flash: bool,
        prompt_ids: tuple[int, ...] = (),
    ) -> None:
        """Build the decoder that ``config`` describes for ``vocab_size`` token ids."""
        super().__init__()
        self.d_head = config.d_head
        self.rope_theta = config.rope_theta
        self.prefixed = config.fusion == "prefix"
        self.embed = nn.Embedding(vocab_size, config.d_model)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            DecoderBlock(config, flash=flash) for _ in range(config.n_layer)
        )
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.head: nn.Linear | None = None
        if not config.tied:
            self.head = nn.Linear(config.d_model, vocab_size, bias=False)
        self.register_buffer(
            "prompt", torch.tensor(prompt_ids, dtype=torch.int64), persistent=False
        )

    def cross(self, memory: Tensor, lengths: Tensor) -> CrossCache:
        """Compute the keys and values of the image tokens (B, N, d_model) in every block.

        For cross-attention these are projections of the tokens. A prefix passes through the blocks:
        the image tokens of each row, then the prompt, with causal attention.
        """
        if self.prefixed:
            return self._read_prefix(memory, lengths)
        blocks = (cast(DecoderBlock, block) for block in self.blocks)
        pairs = [block.cross_attention.keys_values(memory) for block in blocks]
        keys, values = (torch.stack(part) for part in zip(*pairs, strict=True))
        return CrossCache(keys, values, lengths)

    def _read_prefix(self, memory: Tensor, lengths: Tensor) -> CrossCache:
        x = torch.cat((memory, self.embed(self.prompt).expand(memory.shape[0], -1, -1)), dim=1)
        # The prompt follows each row's own last image token. Entries after the prompt are stale
        # and invisible to those before them.
        slot = torch.arange(x.shape[1], device=x.device)
        beyond = slot - lengths[:, None]
        sources = torch.where(beyond < 0, slot, memory.shape[1] + beyond)
        sources = torch.where(beyond < len(self.prompt), sources, 0)
        x = x.gather(1, sources[..., None].expand_as(x))
        angles = rotary_angles(slot[None], self.d_head, self.rope_theta)
        _, keys, values, _ = self._run_blocks(self.dropout(x), angles, None, None, None, None)
        return CrossCache(keys, values, lengths + len(self.prompt))

    def forward(
        self,
        tokens: Tensor,
        cross: CrossCache,
        past: Past | None = None,
        return_attention: bool = False,
    ) -> DecoderOutput:
        """Process ``tokens`` after ``past`` and score the next token at each position.

        Token t of row b has position ``past.lengths[b] + t``, plus the length of the prefix, if
        any, and attends to the row's prefix, its valid past and its new tokens up to t. The same
        code serves training and prefill (no past), single steps, and the verification of drafts in
        rows of different lengths.

        Args:
            tokens: (B, T) int64.
            cross: keys and values of the image, from ``cross``.
            past: earlier keys and values; None is equivalent to P = 0, with a faster kernel.
            return_attention: return the attention over the image tokens.
        """
        step = torch.arange(tokens.shape[1], device=tokens.device)
        positions = step[None]
        if past is not None:
            positions = past.lengths[:, None] + step
        if self.prefixed:
            positions = cross.lengths[:, None] + positions
        angles = rotary_angles(positions, self.d_head, self.rope_theta)
        x = self.dropout(self.embed(tokens))
        dtype = cross.keys.dtype
        if self.prefixed:
            seen = [_valid(cross.keys, cross.lengths)]
            earlier = cross.keys, cross.values
            if past is not None:
                seen.append(_valid(past.keys, past.lengths))
                earlier = (
                    torch.cat((cross.keys, past.keys.to(dtype)), dim=3),
                    torch.cat((cross.values, past.values.to(dtype)), dim=3),
                )
            mask = _causal_mask(torch.cat(seen, dim=-1), step, dtype)
            x, keys, values, attention = self._run_blocks(x, angles, mask, earlier, None, None)
        else:
            mask = None
            if past is not None:
                mask = _causal_mask(_valid(past.keys, past.lengths), step, past.keys.dtype)
            image_mask = additive_mask(_valid(cross.keys, cross.lengths)[:, None, None], dtype)
            image = cross.keys, cross.values
            x, keys, values, attention = self._run_blocks(
                x, angles, mask, past, image, image_mask, return_attention
            )
        x = self.norm(x)
        logits = F.linear(x, self.embed.weight) if self.head is None else self.head(x)
        return DecoderOutput(logits, keys, values, attention)

    def _run_blocks(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | Past | None,
        image: tuple[Tensor, Tensor] | None,
        image_mask: Tensor | None,
        return_attention: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Run (B, T, d_model) through all blocks; return it, new keys, values and attention."""
        new_keys, new_values, all_attention = [], [], []
        for i, block in enumerate(self.blocks):
            earlier = None if past is None else (past[0][i], past[1][i])
            image_key_values = None if image is None else (image[0][i], image[1][i])
            x, keys, values, attention = block(
                x, angles, mask, earlier, image_key_values, image_mask, return_attention
            )
            new_keys.append(keys)
            new_values.append(values)
            if attention is not None:
                all_attention.append(attention)
        stacked = torch.stack(all_attention) if all_attention else None
        return x, torch.stack(new_keys), torch.stack(new_values), stacked


def _valid(entries: Tensor, lengths: Tensor) -> Tensor:
    """Return a mask (B, P) of the valid entries (n_layer, B, G, P, D): the first ``lengths``."""
    return torch.arange(entries.shape[3], device=lengths.device) < lengths[:, None]


def _causal_mask(valid: Tensor, step: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the additive mask (B, 1, T, P + T): the valid past (B, P), then causal new tokens."""
    rows, steps = valid.shape[0], step.shape[0]
    seen = valid[:, None].expand(-1, steps, -1)
    causal = (step <= step[:, None])[None].expand(rows, -1, -1)
    return additive_mask(torch.cat((seen, causal), dim=-1)[:, None], dtype)
