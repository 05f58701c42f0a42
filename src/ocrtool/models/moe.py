"""A mixture-of-experts decoder: the language model of DeepSeek-OCR.

Llama's blocks (RMSNorm, rotary positions, SwiGLU), where all but the first have many small expert
MLPs: a router selects a few for each token, and some are shared by all tokens (Dai et al., 2024,
DeepSeekMoE). Parameters have the names of the published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtool.models.causal import CausalLayers, GatedMlp


@dataclass(frozen=True)
class MoeConfig:
    """Hyperparameters of the decoder; the defaults are the published values.

    Attributes:
        vocab_size: Number of token ids.
        width: Width of the residual stream.
        n_layer: Number of blocks.
        n_head: Attention heads, of queries, keys and values alike.
        d_ff: Hidden width of the MLP of a block without experts.
        dense_layers: Number of blocks without experts, at the start.
        n_expert: Number of routed experts.
        n_shared: Number of shared experts, which form one MLP.
        d_expert: Hidden width of an expert.
        top_k: Number of routed experts per token.
        rope_theta: Base of the rotary frequencies.
        max_length: Maximum number of positions, with those of image and prompt.
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
    """The routed experts of a block, their router, and the shared experts."""

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
        """Return weights and indices (N, top_k) of the experts of tokens (N, width).

        The weights are those of a softmax over all experts, in float32, and are not renormalised.
        """
        scores = F.linear(flat.float(), self.gate.weight.float()).softmax(-1)
        weights, chosen = scores.topk(self.top_k, dim=-1)
        return weights, chosen

    def _grouped(self, flat: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Run each expert once on all its tokens: the pairs are sorted and split by expert."""
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
    """Transformer blocks from token embeddings to hidden states; the first ones are dense."""

    def __init__(self, config: MoeConfig) -> None:
        """Build the blocks that ``config`` describes."""
        mlps = (
            GatedMlp(config.width, config.d_ff) if i < config.dense_layers else MoeMlp(config)
            for i in range(config.n_layer)
        )
        heads = (config.n_head, config.n_head)
        super().__init__(config.vocab_size, config.width, heads, mlps, config.rope_theta)
        self.config = config
