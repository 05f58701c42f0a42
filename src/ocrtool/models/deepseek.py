"""DeepSeek-OCR: DeepEncoder, a linear projector, and a mixture-of-experts decoder.

A page is given as one view, or as a grid of tiles and one view of the whole page. A learned
newline ends each row of tokens and a learned separator the image; tiles come first, joined to one
large grid. The image tokens replace the placeholders of the prompt.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ocrtool.models.causal import KeyValues
from ocrtool.models.deepencoder import (
    ClipConfig,
    ClipTower,
    SamConfig,
    SamTower,
    arrange_tokens,
    encode_views,
    insert_image_tokens,
)
from ocrtool.models.moe import MoeConfig, MoeLayers


@dataclass(frozen=True)
class DeepseekConfig:
    """Hyperparameters of the network; the defaults are the published values."""

    sam: SamConfig = field(default_factory=SamConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    decoder: MoeConfig = field(default_factory=MoeConfig)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON types."""
        return asdict(self)


class _Projector(nn.Module):
    def __init__(self, config: DeepseekConfig) -> None:
        super().__init__()
        seen = config.clip.width + config.sam.compressor[1]
        self.layers = nn.Linear(seen, config.decoder.width)


class _Model(MoeLayers):
    """Everything but the output head, with the parameter names of the checkpoints."""

    def __init__(self, config: DeepseekConfig) -> None:
        super().__init__(config.decoder)
        self.sam_model = SamTower(config.sam)
        self.vision_model = ClipTower(config.clip)
        self.projector = _Projector(config)
        self.image_newline = nn.Parameter(torch.zeros(config.decoder.width))
        self.view_seperator = nn.Parameter(torch.zeros(config.decoder.width))  # spelt so there


class DeepseekOcr(nn.Module):
    """The whole network.

    ``see`` encodes an image to tokens, ``embed`` inserts them into a prompt, ``read`` continues the
    sequence; all state is passed in and returned.
    """

    def __init__(self, config: DeepseekConfig) -> None:
        """Build the network that ``config`` describes; its weights are loaded afterwards."""
        super().__init__()
        self.config = config
        self.model = _Model(config)
        self.lm_head = nn.Linear(config.decoder.width, config.decoder.vocab_size, bias=False)

    def see(
        self, view: Tensor, tiles: Tensor | None = None, grid: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Return the tokens (P, width) of an image, P from ``image_positions``.

        Args:
            view: (3, S, S), the whole page.
            tiles: (columns * rows, 3, s, s), row by row; None without tiles.
            grid: Columns and rows of the tiles.
        """
        model = self.model
        return arrange_tokens(
            self._projected(view[None])[0],
            None if tiles is None else self._projected(tiles),
            grid,
            model.image_newline,
            model.view_seperator,
        )

    def _projected(self, views: Tensor) -> Tensor:
        seen = encode_views(self.model.sam_model, self.model.vision_model, views)
        out: Tensor = self.model.projector.layers(seen)
        return out

    def embed(self, tokens: Tensor, image: Tensor | None = None, image_token: int = -1) -> Tensor:
        """Return embeddings (1, T, width) of tokens (1, T), with image tokens at placeholders.

        Raises:
            ValueError: The number of placeholders differs from the number of image tokens.
        """
        x: Tensor = self.model.embed_tokens(tokens)
        if image is None:
            return x
        return insert_image_tokens(x, tokens == image_token, image)

    def read(self, x: Tensor, past: KeyValues | None = None) -> tuple[Tensor, KeyValues]:
        """Process embeddings (1, T, width) after a past.

        Returns:
            Scores (1, V) of the next token, and the extended past.
        """
        hidden, past = self.model.read(x, past)
        return self.lm_head(hidden[:, -1]), past

    def num_parameters(self) -> int:
        """Return the number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())
