"""DeepOCR: DeepEncoder, a linear projector, and Qwen2 as the decoder.

The open reproduction of DeepSeek-OCR (github.com/pkulium/DeepOCR). Image tokens have the order of
DeepSeek-OCR; newline and separator belong to the projector. Parameters have the names of the
published checkpoint, which has one folder for each of the three parts.
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
    arrange_tokens,
    encode_views,
    insert_image_tokens,
)
from ocrtool.models.qwen import Qwen, QwenConfig

IMAGE = -1
"""Placeholder token id at positions of image tokens."""


@dataclass(frozen=True)
class DeepocrConfig:
    """Hyperparameters of the network; the defaults are the published values.

    Attributes:
        sam: The first vision tower.
        clip: The second vision tower.
        decoder: The language model.
        base: Side in pixels of the view of the whole page.
        tile: Side of a tile in pixels.
    """

    sam: SamConfig = field(default_factory=SamConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    decoder: QwenConfig = field(default_factory=QwenConfig)
    base: int = 1024
    tile: int = 640

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON types."""
        return asdict(self)


DEEPOCR = DeepocrConfig()
"""The published network."""
DEEPOCR_SMALL = DeepocrConfig(
    SamConfig(96, 4, 3, 384, 16, 8, 4, (1, 3), 96, (128, 192)),
    ClipConfig(192, 2, 3, 512, 2, 14),
    QwenConfig(272, 192, 4, 6, 2, 576, 10_000.0, max_length=1024),
    base=128,
    tile=128,
)
"""A small network of the same structure for experiments on a CPU."""
GEOMETRIES = {"deepocr": DEEPOCR, "deepocr-small": DEEPOCR_SMALL}
"""Hyperparameters by preset name."""


class Towers(nn.Module):
    """The two vision towers."""

    def __init__(self, config: DeepocrConfig) -> None:
        """Build the two towers."""
        super().__init__()
        self.sam_model = SamTower(config.sam)
        self.vision_model = ClipTower(config.clip)


class Projector(nn.Module):
    """Linear projection of visual features to the decoder's width, with newline and separator."""

    def __init__(self, config: DeepocrConfig) -> None:
        """Build the linear map and the two special tokens."""
        super().__init__()
        seen, width = config.clip.width + config.sam.compressor[1], config.decoder.width
        self.layers = nn.Linear(seen, width)
        self.image_newline = nn.Parameter(torch.zeros(width))
        self.view_seperator = nn.Parameter(torch.zeros(width))  # spelt so in the checkpoint


class Deepocr(nn.Module):
    """The whole network; it has the interface of ``ocrtool.models.deepseek.DeepseekOcr``.

    ``see`` encodes images to tokens, ``embed`` inserts them into prompts, ``read`` continues the
    sequence; ``forward`` scores whole texts for training.
    """

    def __init__(self, config: DeepocrConfig) -> None:
        """Build the network that ``config`` describes; ``fresh`` initialises its weights."""
        super().__init__()
        self.config = config
        self.llm = Qwen(config.decoder)
        self.vision_tower = Towers(config)
        self.mm_projector = Projector(config)

    def see(
        self, view: Tensor, tiles: Tensor | None = None, grid: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Return the tokens (P, width) of an image, P from ``image_positions``.

        Args:
            view: (3, S, S), the whole page.
            tiles: (columns * rows, 3, s, s), row by row; None without tiles.
            grid: Columns and rows of the tiles.
        """
        return self.encode_images(view[None], [tiles], [grid])[0]

    def encode_images(
        self,
        views: Tensor,
        tiles: Sequence[Tensor | None],
        grids: Sequence[tuple[int, int]],
    ) -> list[Tensor]:
        """Return the tokens of several images; the arguments are those of ``see`` per image."""
        whole = self._projected(views)
        cut = [part for part in tiles if part is not None]
        parts: Iterator[Tensor] = iter(())
        if cut:
            parts = iter(torch.split(self._projected(torch.cat(cut)), [len(part) for part in cut]))
        ends = self.mm_projector.image_newline, self.mm_projector.view_seperator
        return [
            arrange_tokens(view, None if part is None else next(parts), grid, *ends)
            for view, part, grid in zip(whole, tiles, grids, strict=True)
        ]

    def _projected(self, views: Tensor) -> Tensor:
        towers = self.vision_tower
        out: Tensor = self.mm_projector.layers(
            encode_views(towers.sam_model, towers.vision_model, views)
        )
        return out

    def embed(
        self, tokens: Tensor, image: Tensor | None = None, image_token: int = IMAGE
    ) -> Tensor:
        """Return embeddings (B, T, width) of tokens (B, T), with image tokens at placeholders.

        Raises:
            ValueError: The number of placeholders differs from the number of image tokens.
        """
        x: Tensor = self.llm.model.embed_tokens(tokens.clamp(min=0))
        return x if image is None else insert_image_tokens(x, tokens == image_token, image)

    def read(self, x: Tensor, past: KeyValues | None = None) -> tuple[Tensor, KeyValues]:
        """Process embeddings after a past; see ``ocrtool.models.qwen.Qwen.read``."""
        return self.llm.read(x, past)

    def forward(
        self,
        tokens: Tensor,
        where: Tensor,
        views: Tensor,
        tiles: Sequence[Tensor | None],
        grids: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Score the next token at selected positions of texts with images.

        Args:
            tokens: (B, T), with ``IMAGE`` at the positions of the row's image tokens.
            where: (B, T) bool, the positions to score.
            views: (B, 3, S, S), the whole pages.
            tiles: Tiles of each image; see ``see``.
            grids: Columns and rows of the tiles of each image.

        Returns:
            Scores (N, V), row by row.
        """
        seen = torch.cat(self.encode_images(views, tiles, grids))
        scores: Tensor = self.llm(self.embed(tokens, seen), where)
        return scores

    def num_parameters(self) -> int:
        """Return the number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


def fresh(name: str, config: DeepocrConfig) -> nn.Module:
    """Return a part of the network (``llm``, ``vision_tower`` or ``mm_projector``), initialised."""
    if name == "llm":
        part: nn.Module = Qwen(config.decoder)
    else:
        part = (Towers if name == "vision_tower" else Projector)(config)
    initialize(part)
    return part


@torch.no_grad()
def initialize(part: nn.Module) -> None:
    """Initialise a part of the network with PyTorch's global random generator.

    All activations start with variance one: linear and convolution weights are normal with a
    variance that preserves that of their input; embeddings, positions, newline and separator are
    standard normal. Biases and relative positions are zero and norms one.
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
