"""The text decoder: a causal transformer that writes the text of an image.

The image joins in one of two ways. By ``cross`` attention, every block looks at the image tokens.
As a ``prefix``, image tokens and prompt stand before the text in one causal sequence. Either way
the blocks' keys and values of the image are computed once, and text is read behind them.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
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
    """Keys and values of the image for every block, computed once an image.

    They are those of cross-attention, or those of the prefix: N is then image tokens and prompt,
    the keys are rotated to their positions, and the text's own follow them.

    Attributes:
        keys: (n_layer, B, G, N, D).
        values: (n_layer, B, G, N, D).
        lengths: (B,) int64, valid tokens of each row; the first ones.
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


class DecoderOutput(NamedTuple):
    """What the decoder makes of new tokens.

    Attributes:
        logits: (B, T, V), scores of what follows each token.
        keys: (n_layer, B, G, T, D), new ones, rotated to their positions.
        values: (n_layer, B, G, T, D), new ones.
        looks: (n_layer, B, T, N), log-probabilities by which the first heads of the cross-attention
            attend to image tokens; None where not asked for, or where there is only a prefix.
    """

    logits: Tensor
    keys: Tensor
    values: Tensor
    looks: Tensor | None


class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention, MLP, each on its own RMSNorm and residual.

    A decoder that reads images as a prefix has no cross-attention.
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
        looking: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Map (B, T, d_model) to the same shape; return the new keys and values too.

        Last comes, if ``looking``, where the first head of the cross-attention looks.
        """
        mixed, keys, values = self.self_attention(
            self.self_norm(x), angles, mask=mask, causal=mask is None, past=past
        )
        x = x + self.dropout(mixed)
        looks = None
        if image is not None:
            asking = self.cross_norm(x)
            x = x + self.dropout(self.cross_attention(asking, *image, image_mask))
            if looking:
                looks = self.cross_attention.looks(asking, image[0], image_mask)
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x, keys, values, looks


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
        """Compute what text attends to of the image tokens (B, N, d_model) in every block.

        By cross-attention these are projections of the tokens. A prefix is read by the blocks
        themselves: the image tokens of each row, then the prompt, causally.
        """
        if self.prefixed:
            return self._read_prefix(memory, lengths)
        blocks = (cast(DecoderBlock, block) for block in self.blocks)
        pairs = [block.cross_attention.keys_values(memory) for block in blocks]
        keys, values = (torch.stack(part) for part in zip(*pairs, strict=True))
        return CrossCache(keys, values, lengths)

    def _read_prefix(self, memory: Tensor, lengths: Tensor) -> CrossCache:
        x = torch.cat((memory, self.embed(self.prompt).expand(memory.shape[0], -1, -1)), dim=1)
        # The prompt follows each row's own last image token; what is beyond the prompt is stale,
        # and nothing before it can see it.
        slot = torch.arange(x.shape[1], device=x.device)
        beyond = slot - lengths[:, None]
        sources = torch.where(beyond < 0, slot, memory.shape[1] + beyond)
        sources = torch.where(beyond < len(self.prompt), sources, 0)
        x = x.gather(1, sources[..., None].expand_as(x))
        angles = rotary_angles(slot[None], self.d_head, self.rope_theta)
        _, keys, values, _ = self._through(self.dropout(x), angles, None, None, None, None)
        return CrossCache(keys, values, lengths + len(self.prompt))

    def forward(
        self,
        tokens: Tensor,
        cross: CrossCache,
        past: Past | None = None,
        looking: bool = False,
    ) -> DecoderOutput:
        """Read ``tokens`` behind ``past`` and score what follows each of them.

        Token t of row b stands at position ``past.lengths[b] + t``, behind a prefix so much
        further, and sees the row's prefix, its valid past and its new tokens up to t. One code
        path serves training and prefill (no past), single steps, and the verification of drafts in
        rows of different lengths.

        Args:
            tokens: (B, T) int64.
            cross: the image, from ``cross``.
            past: earlier keys and values; None is the same as P = 0, with a faster kernel.
            looking: tell where each token looks.
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
            mask = _behind(torch.cat(seen, dim=-1), step, dtype)
            x, keys, values, looks = self._through(x, angles, mask, earlier, None, None)
        else:
            mask = None
            if past is not None:
                mask = _behind(_valid(past.keys, past.lengths), step, past.keys.dtype)
            image_mask = additive_mask(_valid(cross.keys, cross.lengths)[:, None, None], dtype)
            image = cross.keys, cross.values
            x, keys, values, looks = self._through(
                x, angles, mask, past, image, image_mask, looking
            )
        x = self.norm(x)
        logits = F.linear(x, self.embed.weight) if self.head is None else self.head(x)
        return DecoderOutput(logits, keys, values, looks)

    def _through(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | Past | None,
        image: tuple[Tensor, Tensor] | None,
        image_mask: Tensor | None,
        looking: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Take (B, T, d_model) through all blocks; return it, new keys and values, and looks."""
        new_keys, new_values, all_looks = [], [], []
        for i, block in enumerate(self.blocks):
            earlier = None if past is None else (past[0][i], past[1][i])
            looked = None if image is None else (image[0][i], image[1][i])
            x, keys, values, looks = block(x, angles, mask, earlier, looked, image_mask, looking)
            new_keys.append(keys)
            new_values.append(values)
            if looks is not None:
                all_looks.append(looks)
        stacked = torch.stack(all_looks) if all_looks else None
        return x, torch.stack(new_keys), torch.stack(new_values), stacked


def _valid(entries: Tensor, lengths: Tensor) -> Tensor:
    """Return which of the entries (n_layer, B, G, P, D) count, (B, P): the first ``lengths``."""
    return torch.arange(entries.shape[3], device=lengths.device) < lengths[:, None]


def _behind(valid: Tensor, step: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the additive mask (B, 1, T, P + T): the valid past (B, P), then new tokens up to t."""
    rows, steps = valid.shape[0], step.shape[0]
    seen = valid[:, None].expand(-1, steps, -1)
    causal = (step <= step[:, None])[None].expand(rows, -1, -1)
    return additive_mask(torch.cat((seen, causal), dim=-1)[:, None], dtype)
