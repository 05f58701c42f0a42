"""The vision encoder of formulas: a convolution stem, then transformer blocks over a grid.

Formulas are two-dimensional, so their tokens are cells of 16 x 8 pixels and attention has row and
column positions. Images of a batch may differ in both sides: the cells of each image are packed
to the front of its row of tokens, so that one count gives the valid tokens, as for text lines.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtool.models import FORMULA_CELL, VisionConfig
from ocrtool.models.layers import Dropout, RMSNorm, additive_mask, rotary_angles
from ocrtool.models.vision import VisionBlock, convolve

GRID_THETA = 100.0
"""Base of the rotary frequencies of a grid of about ten rows and a hundred columns."""
POSITION_THETA = 1000.0
"""Base of the frequencies of the absolute cell positions."""


class _Stage(nn.Module):
    """A strided convolution followed by residual convolutions, on maps (B, H, W, C)."""

    def __init__(self, channels: int, wider: int, stride: tuple[int, int], refined: int) -> None:
        """Map ``channels`` to ``wider`` channels, with ``refined`` residual convolutions."""
        super().__init__()
        self.conv = nn.Conv2d(channels, wider, 3, stride, 1, bias=False)
        self.norm = nn.LayerNorm(wider)
        self.residuals = nn.ModuleList(nn.Conv2d(wider, wider, 3, 1, 1) for _ in range(refined))
        self.stride = stride

    def forward(self, x: Tensor, sizes: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the smaller map and the sizes (B, 2) of the images on it."""
        if sizes is not None:
            stride = torch.tensor(self.stride, device=x.device)
            sizes = (sizes + stride - 1) // stride
        x = _zero_outside(F.gelu(self.norm(convolve(self.conv, x))), sizes)
        for conv in self.residuals:
            x = _zero_outside(x + F.gelu(convolve(conv, x)), sizes)
        return x, sizes


class FormulaStem(nn.Module):
    """Convolutions from pixels to cells of 16 x 8; every map is kept as (B, H, W, C).

    As in the stem of lines, normalisation is over the channels of one position, and maps are zeroed
    outside each image after every convolution. So an image gives the same cells alone, in any
    batch, and with any padding. The large maps have few channels, and most convolutions are on the
    small maps, where they cost less than transformer blocks.
    """

    def __init__(self, config: VisionConfig) -> None:
        """Build the stem; ``config.stem`` holds the channels of its four stages."""
        super().__init__()
        first, second, third, fourth = config.stem
        self.stages = nn.ModuleList(
            (
                _Stage(config.channels, first, (2, 2), 0),
                _Stage(first, second, (2, 2), 1),
                _Stage(second, third, (2, 2), 2),
                _Stage(third, fourth, (2, 1), 1),
            )
        )
        self.project = nn.Linear(fourth, config.d_model)

    def forward(self, images: Tensor, sizes: Tensor | None) -> Tensor:
        """Return cells (B, ceil(H / 16), ceil(W / 8), d_model); see ``FormulaEncoder.forward``."""
        rows, channels, height, _ = images.shape
        # The round trip gives a single channel the stride that marks the channels-last layout.
        x = images.permute(0, 2, 3, 1).flatten(2).reshape(rows, height, -1, channels)
        x = _zero_outside(x, sizes)
        for stage in self.stages:
            x, sizes = stage(x, sizes)
        cells: Tensor = self.project(x)
        return cells


def _zero_outside(x: Tensor, sizes: Tensor | None) -> Tensor:
    """Zero (B, H, W, C) outside each image's height and width (B, 2)."""
    if sizes is None:
        return x
    down = torch.arange(x.shape[1], device=x.device) < sizes[:, :1]
    across = torch.arange(x.shape[2], device=x.device) < sizes[:, 1:]
    inside = (down[:, :, None] & across[:, None]).to(x.dtype)
    return x * inside[..., None]


class FormulaEncoder(nn.Module):
    """A convolution stem, then transformer blocks with rotary positions over rows and columns.

    Rotary positions encode the relative position of cells. The decoder attends to cells without
    positions of its own, so absolute positions are added to the cells as well.
    """

    def __init__(self, config: VisionConfig, *, flash: bool) -> None:
        """Build the encoder that ``config`` (kind ``formula``) describes."""
        super().__init__()
        self.d_model = config.d_model
        self.d_head = config.d_model // config.n_head
        self.stem = FormulaStem(config)
        # Small initially, so that positions do not dominate the output of the untrained stem.
        self.place_gain = nn.Parameter(torch.full((config.d_model,), 0.1))
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(VisionBlock(config, flash=flash) for _ in range(config.n_layer))
        self.norm = RMSNorm(config.d_model)

    def forward(self, images: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode images of any size.

        Args:
            images: (B, C, H, W), as made by ``preprocess.formula_pixels``.
            sizes: (B, 2) int64, height and width in pixels of the image in each row; pixels below
                and right of it have no influence. None when every image fills H x W.

        Returns:
            Tokens (B, N, d_model) with N = ceil(H / 16) * ceil(W / 8), the cells of each image
            first, row by row from the top left; and their counts (B,) int64.
        """
        grid = self.stem(images, sizes)
        rows, down, across, width = grid.shape
        if sizes is None:
            sizes = torch.tensor(images.shape[2:], device=images.device).expand(rows, 2)
        cell = torch.tensor(FORMULA_CELL, device=images.device)
        cells = (sizes + cell - 1) // cell
        lengths = cells[:, 0] * cells[:, 1]
        slot = torch.arange(down * across, device=images.device)
        row, column = slot // cells[:, 1:], slot % cells[:, 1:]  # of each slot, (B, N)
        valid = slot < lengths[:, None]
        start = torch.arange(rows, device=images.device)[:, None] * (down * across)
        sources = start + torch.where(valid, row * across + column, 0)
        x = grid.reshape(-1, width)[sources.flatten()].view(rows, -1, width)
        positions = torch.cat((_sinusoidal(row, width // 2), _sinusoidal(column, width // 2)), -1)
        x = x + (self.place_gain * positions).to(x.dtype)
        angles = _grid_angles(row, column, self.d_head)
        mask = additive_mask(valid[:, None, None], x.dtype)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, angles, mask)
        return self.norm(x), lengths


def _sinusoidal(positions: Tensor, width: int) -> Tensor:
    """Return sinusoidal encodings (B, N, width) of positions (B, N)."""
    cos, sin = rotary_angles(positions, width, POSITION_THETA)
    return torch.cat((sin, cos), -1).flatten(2)


def _grid_angles(row: Tensor, column: Tensor, d_head: int) -> tuple[Tensor, Tensor]:
    """Return rotary angles, one half for rows and the other for columns."""
    by_row = rotary_angles(row, d_head // 2, GRID_THETA)
    by_column = rotary_angles(column, d_head // 2, GRID_THETA)
    cos, sin = (torch.cat(parts, -1) for parts in zip(by_row, by_column, strict=True))
    return cos, sin
