"""DeepOCR: DeepEncoder, a linear projector, and Qwen2 as the decoder.

The open reproduction of DeepSeek-OCR (github.com/pkulium/DeepOCR). An image's tokens stand in the
text in DeepSeek-OCR's order; newline and separator belong to the projector. Parameters are named as
in the published checkpoint, whose folders are the three parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from ocrtool.models.qwen import Qwen, QwenConfig

IMAGE = -1
"""Stands among token ids where a token of the image goes."""


@dataclass(frozen=True)
class DeepocrConfig:
    """Geometry of the network; the published one where nothing else is said.

    Attributes:
        sam: The first tower.
        clip: The second tower.
        decoder: The language model.
        base: Pixels a side of the view of the whole.
        tile: Pixels a side of a tile.
    """

    sam: SamConfig = field(default_factory=SamConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    decoder: QwenConfig = field(default_factory=QwenConfig)
    base: int = 1024
    tile: int = 640

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


DEEPOCR = DeepocrConfig()
DEEPOCR_SMALL = DeepocrConfig(
    SamConfig(96, 4, 3, 384, 16, 8, 4, (1, 3), 96, (128, 192)),
    ClipConfig(192, 2, 3, 512, 2, 14),
    QwenConfig(272, 192, 4, 6, 2, 576, 10_000.0, max_length=1024),
    base=128,
    tile=128,
)
"""The same structure at a size for trials on a CPU."""
GEOMETRIES = {"deepocr": DEEPOCR, "deepocr-small": DEEPOCR_SMALL}


class Towers(nn.Module):
    """What sees."""

    def __init__(self, config: DeepocrConfig) -> None:
        """Build the two towers."""
        super().__init__()
        self.sam_model = SamTower(config.sam)
        self.vision_model = ClipTower(config.clip)


class Projector(nn.Module):
    """What makes tokens of a text of what is seen."""

    def __init__(self, config: DeepocrConfig) -> None:
        """Build the linear map, newline and separator."""
        super().__init__()
        seen, width = config.clip.width + config.sam.compressor[1], config.decoder.width
        self.layers = nn.Linear(seen, width)
        self.image_newline = nn.Parameter(torch.zeros(width))
        self.view_seperator = nn.Parameter(torch.zeros(width))  # spelt so in the checkpoint


class Deepocr(nn.Module):
    """The whole network; it is used as `ocrtool.models.deepseek.DeepseekOcr` is.

    ``see`` makes tokens of images, ``embed`` puts them into prompts, ``read`` goes on from there;
    ``forward`` scores whole texts for training.
    """

    def __init__(self, config: DeepocrConfig) -> None:
        """Build the network that ``config`` describes; see `fresh` for its first weights."""
        super().__init__()
        self.config = config
        self.llm = Qwen(config.decoder)
        self.vision_tower = Towers(config)
        self.mm_projector = Projector(config)

    def see(
        self, view: Tensor, tiles: Tensor | None = None, grid: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Return the tokens (P, width) of an image, P as of `image_positions`.

        Args:
            view: (3, S, S), the whole page.
            tiles: (columns * rows, 3, s, s), row by row; None where there are none.
            grid: Columns and rows of the tiles.
        """
        return self.see_all(view[None], [tiles], [grid])[0]

    def see_all(
        self,
        views: Tensor,
        tiles: Sequence[Tensor | None],
        grids: Sequence[tuple[int, int]],
    ) -> list[Tensor]:
        """Return the tokens of several images; each argument as of `see`, for each image."""
        whole = self._projected(views)
        cut = [part for part in tiles if part is not None]
        parts: Iterator[Tensor] = iter(())
        if cut:
            parts = iter(torch.split(self._projected(torch.cat(cut)), [len(part) for part in cut]))
        ends = self.mm_projector.image_newline, self.mm_projector.view_seperator
        return [
            arranged(view, None if part is None else next(parts), grid, *ends)
            for view, part, grid in zip(whole, tiles, grids, strict=True)
        ]

    def _projected(self, views: Tensor) -> Tensor:
        towers = self.vision_tower
        out: Tensor = self.mm_projector.layers(fused(towers.sam_model, towers.vision_model, views))
        return out

    def embed(
        self, tokens: Tensor, image: Tensor | None = None, image_token: int = IMAGE
    ) -> Tensor:
        """Return embeddings (B, T, width) of tokens (B, T), images' in the places of their own.

        Raises:
            ValueError: There are not as many places as tokens of the images.
        """
        x: Tensor = self.llm.model.embed_tokens(tokens.clamp(min=0))
        return x if image is None else placed(x, tokens == image_token, image)

    def read(self, x: Tensor, past: KeyValues | None = None) -> tuple[Tensor, KeyValues]:
        """Read embeddings behind a past; see `ocrtool.models.qwen.Qwen.read`."""
        return self.llm.read(x, past)

    def forward(
        self,
        tokens: Tensor,
        where: Tensor,
        views: Tensor,
        tiles: Sequence[Tensor | None],
        grids: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Score what follows some positions of texts that images stand in.

        Args:
            tokens: (B, T), with ``IMAGE`` where tokens of the row's image go.
            where: (B, T) bool, the positions.
            views: (B, 3, S, S), the images; see `see` for the other two.
            tiles: Of each image.
            grids: Of each image.

        Returns:
            (N, V), row by row.
        """
        seen = torch.cat(self.see_all(views, tiles, grids))
        scores: Tensor = self.llm(self.embed(tokens, seen), where)
        return scores

    def num_parameters(self) -> int:
        """Return the count of its numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


def fresh(name: str, config: DeepocrConfig) -> nn.Module:
    """Return a part of the network with first weights: ``llm``, ``vision_tower``, ..."""
    if name == "llm":
        part: nn.Module = Qwen(config.decoder)
    else:
        part = (Towers if name == "vision_tower" else Projector)(config)
    initialize(part)
    return part


@torch.no_grad()
def initialize(part: nn.Module) -> None:
    """Draw first weights of a part of the network from PyTorch's global generator.

    All streams have variance one from the start: maps are normal, of the variance that keeps that
    of what goes through; embeddings, positions, newline and separator are standard normal. Biases
    and relative positions are zero and norms one, as they are made.
    """
    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.weight.normal_(std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                module.bias.zero_()
        vectors = [module.weight] if isinstance(module, nn.Embedding) else []
        vectors += [
            parameter
            for name, parameter in module.named_parameters(recurse=False)
            if name in ("class_embedding", "pos_embed", "image_newline", "view_seperator")
        ]
        for vector in vectors:
            vector.normal_()
