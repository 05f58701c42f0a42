"""A decoder with a mixture of experts: the language model of DeepSeek-OCR.

Llama's blocks (RMSNorm, rotary positions, SwiGLU), of which all but the first have many small MLPs
instead of one: a router picks a few for each token, and some are shared by all (Dai et al., 2024,
DeepSeekMoE). Parameters are named as in the published checkpoints. The key-value cache is an
argument and a result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtool.models.layers import RMSNorm, attend, rotary_angles, rotate


@dataclass(frozen=True)
class MoeConfig:
    """The decoder; the published figures where nothing else is said.

    Attributes:
        vocab_size: Token ids.
        width: Of the residual stream.
        n_layer: Blocks.
        n_head: Heads, of queries, keys and values alike.
        d_ff: Hidden width of the MLP of a block without experts.
        dense_layers: Blocks without experts; the first ones.
        n_expert: Experts that are chosen from.
        n_shared: Experts that every token goes through, as one MLP.
        d_expert: Hidden width of an expert.
        top_k: Experts that a token is sent to.
        rope_theta: Base of the rotary frequencies.
        max_length: Positions, those of the image and the prompt included.
    """

    vocab_size: int = 129_280
    width: int = 1280
    n_layer: int = 12
    n_head: int = 10
    d_ff: int = 6848
    dense_layers: int = 1
    n_expert: int = 64
    n_shared: int = 2
    d_expert: int = 896
    top_k: int = 6
    rope_theta: float = 10_000.0
    max_length: int = 8192


class MoePast(NamedTuple):
    """What the decoder has read before: keys and values (n_layer, B, heads, P, D)."""

    keys: Tensor
    values: Tensor


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class MoeMlp(nn.Module):
    """The experts of a block, their router, and the shared ones."""

    def __init__(self, config: MoeConfig) -> None:
        """Build the experts that ``config`` describes."""
        super().__init__()
        self.top_k = config.top_k
        self.gate = nn.Linear(config.width, config.n_expert, bias=False)
        self.experts = nn.ModuleList(
            _Mlp(config.width, config.d_expert) for _ in range(config.n_expert)
        )
        self.shared_experts = _Mlp(config.width, config.n_shared * config.d_expert)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, width) to the same shape."""
        flat = x.flatten(0, 1)
        weights, chosen = self.route(flat)
        out: Tensor = self.shared_experts(x) + self._grouped(flat, weights, chosen).view_as(x)
        return out

    def route(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights and numbers (N, top_k) of the experts of tokens (N, width).

        The weights are those of a softmax over all experts, in float32, and are not made to add
        up to one again.
        """
        scores = F.linear(flat.float(), self.gate.weight.float()).softmax(-1)
        weights, chosen = scores.topk(self.top_k, dim=-1)
        return weights, chosen

    def _grouped(self, flat: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Send each expert its tokens in one go: the pairs are sorted by expert, and cut."""
        order = chosen.flatten().argsort(stable=True)
        tokens = order // self.top_k
        counts = chosen.flatten().bincount(minlength=len(self.experts)).tolist()
        sent = flat[tokens]
        back = torch.empty_like(sent)
        start = 0
        for expert, count in zip(self.experts, counts, strict=True):
            if count:
                back[start : start + count] = expert(sent[start : start + count])
            start += count
        back = back * weights.flatten()[order, None].to(back.dtype)
        return torch.zeros_like(flat).index_add_(0, tokens, back)


class _Attention(nn.Module):
    def __init__(self, config: MoeConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        width = config.width
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        heads = (
            project(x).unflatten(-1, (self.n_head, -1))
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        queries, keys, values = heads
        queries, keys = rotate(queries, angles), rotate(keys, angles)
        queries, keys, values = (part.transpose(1, 2) for part in (queries, keys, values))
        seen_keys, seen_values = keys, values
        if past is not None:
            seen_keys, seen_values = (
                torch.cat((old, new), 2) for old, new in zip(past, (keys, values), strict=True)
            )
        mixed = attend(queries, seen_keys, seen_values, flash=True, mask=mask, causal=mask is None)
        return self.o_proj(mixed), keys, values


class MoeBlock(nn.Module):
    """Causal self-attention and an MLP or experts, each on its own RMSNorm and residual."""

    def __init__(self, config: MoeConfig, *, dense: bool) -> None:
        """Build a block with or without experts."""
        super().__init__()
        self.input_layernorm = RMSNorm(config.width)
        self.self_attn = _Attention(config)
        self.post_attention_layernorm = RMSNorm(config.width)
        self.mlp = _Mlp(config.width, config.d_ff) if dense else MoeMlp(config)

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None,
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map (B, T, width) to the same shape; return the new keys and values too."""
        mixed, keys, values = self.self_attn(self.input_layernorm(x), angles, mask, past)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), keys, values


class MoeLayers(nn.Module):
    """The blocks, from embeddings to what the head scores; rows of a batch are equally long."""

    def __init__(self, config: MoeConfig) -> None:
        """Build the blocks that ``config`` describes."""
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(
            MoeBlock(config, dense=i < config.dense_layers) for i in range(config.n_layer)
        )
        self.norm = RMSNorm(config.width)

    def read(self, x: Tensor, past: MoePast | None = None) -> tuple[Tensor, MoePast]:
        """Read embeddings (B, T, width) behind a past.

        Returns:
            (B, T, width), normalised; and the past with what is new, of P + T positions.
        """
        config = self.config
        start = 0 if past is None else past.keys.shape[3]
        step = torch.arange(x.shape[1], device=x.device)
        angles = rotary_angles(start + step[None], config.width // config.n_head, config.rope_theta)
        mask = None
        if past is not None:
            seen = torch.arange(start + x.shape[1], device=x.device) <= start + step[:, None]
            lowest = torch.finfo(x.dtype).min
            mask = torch.zeros_like(seen, dtype=x.dtype).masked_fill(~seen, lowest)
        keys, values = [], []
        for i, block in enumerate(self.layers):
            earlier = None if past is None else (past.keys[i], past.values[i])
            x, new_keys, new_values = block(x, angles, mask, earlier)
            keys.append(new_keys)
            values.append(new_values)
        new = MoePast(torch.stack(keys), torch.stack(values))
        if past is not None:
            new = MoePast(*(torch.cat(pair, 3) for pair in zip(past, new, strict=True)))
        return self.norm(x), new
