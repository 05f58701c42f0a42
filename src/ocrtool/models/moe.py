"""A decoder with a mixture of experts: the language model of DeepSeek-OCR.

Llama's blocks (RMSNorm, rotary positions, SwiGLU), of which all but the first have many small MLPs
instead of one: a router picks a few for each token, and some are shared by all (Dai et al., 2024,
DeepSeekMoE). Parameters are named as in the published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtool.models.causal import CausalLayers, GatedMlp


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


class MoeMlp(nn.Module):
    """The experts of a block, their router, and the shared ones."""

    def __init__(self, config: MoeConfig) -> None:
        """Build the experts that ``config`` describes."""
        super().__init__()
        self.top_k = config.top_k
        self.gate = nn.Linear(config.width, config.n_expert, bias=False)
        self.experts = nn.ModuleList(
            GatedMlp(config.width, config.d_expert) for _ in range(config.n_expert)
        )
        self.shared_experts = GatedMlp(config.width, config.n_shared * config.d_expert)

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


class MoeLayers(CausalLayers):
    """The blocks, from embeddings to what the head scores; the first ones have no experts."""

    def __init__(self, config: MoeConfig) -> None:
        """Build the blocks that ``config`` describes."""
        mlps = (
            GatedMlp(config.width, config.d_ff) if i < config.dense_layers else MoeMlp(config)
            for i in range(config.n_layer)
        )
        heads = (config.n_head, config.n_head)
        super().__init__(config.vocab_size, config.width, heads, mlps, config.rope_theta)
        self.config = config
