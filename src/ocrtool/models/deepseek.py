"""DeepSeek-OCR: DeepEncoder, a linear projector, and a decoder with a mixture of experts.

A page is shown as one view, or as a grid of tiles and one view of the whole. Each row of tokens is
ended by a learned newline, and the image by a learned separator; tiles come first, joined to one
large grid. The image's tokens stand in the text where the prompt has its image tokens.
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
    arranged,
    fused,
    placed,
)
from ocrtool.models.moe import MoeConfig, MoeLayers


@dataclass(frozen=True)
class DeepseekConfig:
    """Geometry of the network; the published one where nothing else is said."""

    sam: SamConfig = field(default_factory=SamConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    decoder: MoeConfig = field(default_factory=MoeConfig)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class _Projector(nn.Module):
    def __init__(self, config: DeepseekConfig) -> None:
        super().__init__()
        seen = config.clip.width + config.sam.compressor[1]
        self.layers = nn.Linear(seen, config.decoder.width)


class _Model(MoeLayers):
    """Everything but the head; its parts bear the names of the checkpoints."""

    def __init__(self, config: DeepseekConfig) -> None:
        super().__init__(config.decoder)
        self.sam_model = SamTower(config.sam)
        self.vision_model = ClipTower(config.clip)
        self.projector = _Projector(config)
        self.image_newline = nn.Parameter(torch.zeros(config.decoder.width))
        self.view_seperator = nn.Parameter(torch.zeros(config.decoder.width))  # spelt so there


class DeepseekOcr(nn.Module):
    """The whole network.

    ``see`` makes tokens of an image, ``embed`` puts them into a prompt, ``read`` goes on from
    there; all state is handed in and out.
    """

    def __init__(self, config: DeepseekConfig) -> None:
        """Build the network that ``config`` describes; its weights are to be loaded."""
        super().__init__()
        self.config = config
        self.model = _Model(config)
        self.lm_head = nn.Linear(config.decoder.width, config.decoder.vocab_size, bias=False)

    def see(
        self, view: Tensor, tiles: Tensor | None = None, grid: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Return the tokens (P, width) of an image, P as of `image_positions`.

        Args:
            view: (3, S, S), the whole page.
            tiles: (columns * rows, 3, s, s), row by row; None where there are none.
            grid: Columns and rows of the tiles.
        """
        model = self.model
        return arranged(
            self._projected(view[None])[0],
            None if tiles is None else self._projected(tiles),
            grid,
            model.image_newline,
            model.view_seperator,
        )

    def _projected(self, views: Tensor) -> Tensor:
        seen = fused(self.model.sam_model, self.model.vision_model, views)
        out: Tensor = self.model.projector.layers(seen)
        return out

    def embed(self, tokens: Tensor, image: Tensor | None = None, image_token: int = -1) -> Tensor:
        """Return embeddings (1, T, width) of tokens (1, T), an image's in the places of its own.

        Raises:
            ValueError: There are not as many places as tokens of the image.
        """
        x: Tensor = self.model.embed_tokens(tokens)
        if image is None:
            return x
        return placed(x, tokens == image_token, image)

    def read(self, x: Tensor, past: KeyValues | None = None) -> tuple[Tensor, KeyValues]:
        """Read embeddings (1, T, width) behind a past.

        Returns:
            Scores (1, V) of what follows the last of them, and the past with what is new.
        """
        hidden, past = self.model.read(x, past)
        return self.lm_head(hidden[:, -1]), past

    def num_parameters(self) -> int:
        """Return the count of its numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
