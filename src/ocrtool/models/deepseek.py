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

from ocrtool.models.deepencoder import STRIDE, ClipConfig, ClipTower, SamConfig, SamTower, fused
from ocrtool.models.moe import MoeConfig, MoeLayers, MoePast


@dataclass(frozen=True)
class DeepseekConfig:
    """Geometry of the network; the published one where nothing else is said."""

    sam: SamConfig = field(default_factory=SamConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    decoder: MoeConfig = field(default_factory=MoeConfig)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def image_positions(side: int, tiles: tuple[int, int] = (0, 0), tile_side: int = 640) -> int:
    """Return how many positions of the text an image takes.

    Args:
        side: Pixels a side of the view of the whole.
        tiles: Columns and rows of tiles; none where there are none.
        tile_side: Pixels a side of a tile.
    """
    columns, rows = tiles
    whole, tile = side // STRIDE, tile_side // STRIDE
    count = whole * (whole + 1) + 1
    if columns * rows:
        count += rows * tile * (columns * tile + 1)
    return count


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
        parts = []
        if tiles is not None:
            columns, rows = grid
            side = tiles.shape[-1] // STRIDE
            seen = self._projected(tiles).view(rows, columns, side, side, -1)
            parts.append(self._with_newlines(seen.transpose(1, 2).flatten(2, 3).flatten(0, 1)))
        side = view.shape[-1] // STRIDE
        parts.append(self._with_newlines(self._projected(view[None]).view(side, side, -1)))
        parts.append(model.view_seperator[None])
        return torch.cat(parts)

    def _projected(self, views: Tensor) -> Tensor:
        seen = fused(self.model.sam_model, self.model.vision_model, views)
        out: Tensor = self.model.projector.layers(seen)
        return out

    def _with_newlines(self, grid: Tensor) -> Tensor:
        """Return a grid (H, W, width) row by row, each ended: (H * (W + 1), width)."""
        ends = self.model.image_newline.expand(grid.shape[0], 1, -1)
        return torch.cat((grid, ends), 1).flatten(0, 1)

    def embed(self, tokens: Tensor, image: Tensor | None = None, image_token: int = -1) -> Tensor:
        """Return embeddings (1, T, width) of tokens (1, T), an image's in the places of its own.

        Raises:
            ValueError: There are not as many places as tokens of the image.
        """
        x: Tensor = self.model.embed_tokens(tokens)
        if image is None:
            return x
        places = tokens == image_token
        if int(places.sum()) != image.shape[0]:
            raise ValueError(f"{int(places.sum())} places for {image.shape[0]} tokens of an image")
        return x.masked_scatter(places[..., None], image.to(x.dtype))

    def read(self, x: Tensor, past: MoePast | None = None) -> tuple[Tensor, MoePast]:
        """Read embeddings (1, T, width) behind a past.

        Returns:
            Scores (1, V) of what follows the last of them, and the past with what is new.
        """
        hidden, past = self.model.read(x, past)
        return self.lm_head(hidden[:, -1]), past

    def num_parameters(self) -> int:
        """Return the count of its numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
