"""The vision encoders: a patch transformer for fixed-size images, a column transformer for lines.

Both map images (B, C, H, W) to tokens (B, N, d_model) and the number of valid tokens of each row.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtool.models import LINE_HEIGHT_STRIDE, VisionConfig
from ocrtool.models.layers import (
    Dropout,
    GeluMLP,
    RMSNorm,
    SelfAttention,
    additive_mask,
    norm_layer,
    rotary_angles,
)

COLUMN_THETA = 10_000.0
"""Base of the rotary frequencies over the columns of a line."""


class VisionBlock(nn.Module):
    """A pre-norm transformer block: self-attention, then a GELU MLP."""

    def __init__(self, config: VisionConfig, *, flash: bool) -> None:
        """Build the block that ``config`` describes."""
        super().__init__()
        width, heads = config.d_model, config.n_head
        self.attention_norm = norm_layer(config.norm, width, config.norm_eps)
        self.attention = SelfAttention(width, heads, heads, flash=flash, bias=config.bias)
        self.mlp_norm = norm_layer(config.norm, width, config.norm_eps)
        self.mlp = GeluMLP(width, config.d_ff, bias=config.bias)
        self.dropout = Dropout(config.dropout)

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor] | None, mask: Tensor | None
    ) -> Tensor:
        """Map (B, N, d_model) to the same shape; ``angles`` and ``mask`` as in attention."""
        mixed, _, _ = self.attention(self.attention_norm(x), angles, mask=mask)
        x = x + self.dropout(mixed)
        mapped: Tensor = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return mapped


class VisionTransformer(nn.Module):
    """Square patches with learned positions (ViT; Dosovitskiy et al., 2020).

    With a class token, its position is the first of ``positions``.
    """

    def __init__(self, config: VisionConfig, *, flash: bool) -> None:
        """Build the encoder that ``config`` (kind ``vit``) describes."""
        super().__init__()
        rows, columns = config.height // config.patch, config.width // config.patch
        self.embed = nn.Conv2d(config.channels, config.d_model, config.patch, config.patch)
        positions = grid_positions(rows, columns, config.d_model)
        self.class_token: nn.Parameter | None = None
        if config.class_token:
            self.class_token = nn.Parameter(torch.zeros(config.d_model))
            positions = F.pad(positions, (0, 0, 1, 0))
        self.positions = nn.Parameter(positions)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(VisionBlock(config, flash=flash) for _ in range(config.n_layer))
        self.norm = norm_layer(config.norm, config.d_model, config.norm_eps)

    def forward(self, images: Tensor, widths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode images of exactly the configured size.

        Args:
            images: (B, C, H, W) in [-1, 1].
            widths: ignored; the image is always full.

        Returns:
            Tokens (B, N, d_model), patches row by row from the top left, and lengths (B,), all N.
        """
        x = self.embed(images).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            x = torch.cat((self.class_token.expand(x.shape[0], 1, -1).to(x.dtype), x), dim=1)
        x = self.dropout(x + self.positions)
        for block in self.blocks:
            x = block(x, None, None)
        if self.class_token is not None:
            x = x[:, 1:]
        lengths = torch.full((x.shape[0],), x.shape[1], dtype=torch.int64, device=x.device)
        return self.norm(x), lengths


def grid_positions(rows: int, columns: int, width: int) -> Tensor:
    """Return the initial values of learned grid positions: sinusoids of row and column.

    Positions initialised at zero are learned late, because they are small relative to the patch
    features, and until then a decoder cannot attend by position (He et al., "Masked autoencoders",
    2021, use this initialisation, too).

    Returns:
        (rows * columns, width), row by row: half of each vector for the row, half for the column.
    """
    waves = -(-width // 4)
    rates = 10_000.0 ** (-torch.arange(waves) / waves)

    def line(count: int) -> Tensor:
        angles = torch.arange(count)[:, None] * rates
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    down, across = line(rows).repeat_interleave(columns, dim=0), line(columns).repeat(rows, 1)
    return torch.cat((down, across), dim=1)[:, :width]


class LineStem(nn.Module):
    """Convolutions from pixels to columns of 4 or 8 pixels; every map is kept as (B, H, W, C).

    Normalisation is over the channels of one position, never over a batch or a width, and maps are
    zeroed beyond each row's own end after every convolution. So a row gives the same columns alone,
    in any batch, and with any padding.
    """

    def __init__(self, config: VisionConfig) -> None:
        """Build the stem; ``config.stem`` holds the channels of its three strided convolutions."""
        super().__init__()
        first, second, third = config.stem
        self.conv1 = nn.Conv2d(config.channels, first, 3, (2, 2), 1, bias=False)
        self.norm1 = nn.LayerNorm(first)
        self.conv2 = nn.Conv2d(first, second, 3, (2, 2), 1, bias=False)
        self.norm2 = nn.LayerNorm(second)
        self.residual = nn.Conv2d(second, second, 3, 1, 1)
        self.conv3 = nn.Conv2d(second, third, 3, (2, config.frames), 1, bias=False)
        self.norm3 = nn.LayerNorm(third)
        self.project = nn.Linear(third * (config.height // LINE_HEIGHT_STRIDE), config.d_model)

    def forward(self, images: Tensor, widths: Tensor | None) -> Tensor:
        """Return columns (B, ceil(W / patch), d_model); see ``LineEncoder.forward``."""
        # The round trip gives a single channel the stride that marks the channels-last layout.
        rows, channels, height, _ = images.shape
        x = images.permute(0, 2, 3, 1).flatten(2).reshape(rows, height, -1, channels)
        halves = None if widths is None else (widths + 1) // 2
        quarters = None if halves is None else (halves + 1) // 2
        x = _zero_beyond(x, widths)
        x = _zero_beyond(F.gelu(self.norm1(convolve(self.conv1, x))), halves)
        x = _zero_beyond(F.gelu(self.norm2(convolve(self.conv2, x))), quarters)
        x = x + F.gelu(convolve(self.residual, x))
        x = _zero_beyond(x, quarters)
        x = F.gelu(self.norm3(convolve(self.conv3, x)))
        columns: Tensor = self.project(x.transpose(1, 2).flatten(2))
        return columns


def convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """Apply a convolution to (B, H, W, C); the permuted view is the channels-last layout."""
    y: Tensor = conv(x.permute(0, 3, 1, 2))
    return y.permute(0, 2, 3, 1).contiguous()


def _zero_beyond(x: Tensor, widths: Tensor | None) -> Tensor:
    """Zero the columns of (B, H, W, C) from each row's width on."""
    if widths is None:
        return x
    inside = torch.arange(x.shape[2], device=x.device) < widths[:, None]
    # Columns and channels are merged into one axis: a product over few channels is slow.
    inside = inside.to(x.dtype).repeat_interleave(x.shape[3], dim=1)
    return (x.flatten(2) * inside[:, None]).view_as(x)


class LineEncoder(nn.Module):
    """A convolution stem, then transformer blocks with rotary positions over the columns."""

    def __init__(self, config: VisionConfig, *, flash: bool) -> None:
        """Build the encoder that ``config`` (kind ``line``) describes."""
        super().__init__()
        self.d_head = config.d_model // config.n_head
        self.patch = config.patch
        self.stem = LineStem(config)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(VisionBlock(config, flash=flash) for _ in range(config.n_layer))
        self.norm = RMSNorm(config.d_model)

    def forward(self, images: Tensor, widths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode lines of any width.

        Args:
            images: (B, C, H, W), normalised; H as configured.
            widths: (B,) int64, width in pixels of the image in each row; pixels to the right of it
                have no influence. None when every row fills W.

        Returns:
            Tokens (B, ceil(W / patch), d_model), left to right, and the number (B,) int64 of valid
            tokens of each row.
        """
        x = self.stem(images, widths)
        positions = torch.arange(x.shape[1], device=x.device)
        angles = rotary_angles(positions[None], self.d_head, COLUMN_THETA)
        if widths is None:
            lengths = torch.full((x.shape[0],), x.shape[1], dtype=torch.int64, device=x.device)
            mask = None
        else:
            lengths = (widths + self.patch - 1) // self.patch
            mask = additive_mask((positions < lengths[:, None])[:, None, None], x.dtype)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, angles, mask)
        return self.norm(x), lengths
