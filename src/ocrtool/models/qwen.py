"""The language model of DeepOCR: Qwen2 (Yang et al., 2024), with grouped queries and QKV biases."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ocrtool.models.causal import CausalLayers, GatedMlp, KeyValues


@dataclass(frozen=True)
class QwenConfig:
    """The decoder; the figures of Qwen2-7B where nothing else is said.

    Attributes:
        vocab_size: Token ids.
        width: Of the residual stream.
        n_layer: Blocks.
        n_head: Heads of queries.
        n_kv_head: Heads of keys and values.
        d_ff: Hidden width of the MLP.
        rope_theta: Base of the rotary frequencies.
        norm_eps: What keeps the norm of a zero vector finite.
        max_length: Positions, those of the image and the prompt included.
    """

    vocab_size: int = 152_064
    width: int = 3584
    n_layer: int = 28
    n_head: int = 28
    n_kv_head: int = 4
    d_ff: int = 18_944
    rope_theta: float = 1_000_000.0
    norm_eps: float = 1e-6
    max_length: int = 4096


class Qwen(nn.Module):
    """The blocks and a head of its own; parameters are named as in the published checkpoints."""

    def __init__(self, config: QwenConfig) -> None:
        """Build the network that ``config`` describes."""
        super().__init__()
        self.model = CausalLayers(
            config.vocab_size,
            config.width,
            (config.n_head, config.n_kv_head),
            (GatedMlp(config.width, config.d_ff) for _ in range(config.n_layer)),
            config.rope_theta,
            bias=True,
            norm_eps=config.norm_eps,
        )
        self.lm_head = nn.Linear(config.width, config.vocab_size, bias=False)

    def read(self, x: Tensor, past: KeyValues | None = None) -> tuple[Tensor, KeyValues]:
        """Read embeddings (B, T, width) behind a past.

        Returns:
            Scores (B, V) of what follows the last of them, and the past with what is new.
        """
        hidden, past = self.model.read(x, past)
        return self.lm_head(hidden[:, -1]), past

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        """Read whole texts, embeddings (B, T, width).

        Args:
            x: The embeddings; rows that are shorter are filled up at their end.
            where: (B, T) bool, after which positions something is to be scored.

        Returns:
            Scores (N, V) of what follows each of the N places, row by row.
        """
        scores: Tensor = self.lm_head(self.model(x)[where])
        return scores
