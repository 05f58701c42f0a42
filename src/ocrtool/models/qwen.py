"""The language model of DeepOCR: Qwen2 (Yang et al., 2024), with grouped queries and QKV biases."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ocrtool.models.causal import CausalLayers, GatedMlp, KeyValues


@dataclass(frozen=True)
class QwenConfig:
    """Hyperparameters of the decoder; the defaults are those of Qwen2-7B.

    Attributes:
        vocab_size: Number of token ids.
        width: Width of the residual stream.
        n_layer: Number of blocks.
        n_head: Query heads.
        n_kv_head: Key and value heads.
        d_ff: Hidden width of the MLP.
        rope_theta: Base of the rotary frequencies.
        norm_eps: Epsilon of the normalisation.
        max_length: Maximum number of positions, with those of image and prompt.
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
    """Transformer blocks and an output head, with the parameter names of published checkpoints."""

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
        """Process embeddings (B, T, width) after a past.

        Returns:
            Scores (B, V) of the next token, and the extended past.
        """
        hidden, past = self.model.read(x, past)
        return self.lm_head(hidden[:, -1]), past

    def forward(self, x: Tensor, where: Tensor) -> Tensor:
        """Process whole sequences of embeddings (B, T, width).

        Args:
            x: The embeddings; shorter rows are padded at their end.
            where: (B, T) bool, positions whose next token is scored.

        Returns:
            Scores (N, V) of the N positions, row by row.
        """
        scores: Tensor = self.lm_head(self.model(x)[where])
        return scores
