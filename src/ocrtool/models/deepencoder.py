"""DeepEncoder: a ViT with windowed and global attention, a 16x compressor, and a global ViT.

The vision encoder of DeepSeek-OCR (Wei et al., 2025, arXiv:2510.18234) and related models. SAM's
image encoder (Kirillov et al., 2023) processes a page in patches of 16 pixels, two strided
convolutions merge 4 x 4 patches into one token, and CLIP's ViT-L (Radford et al., 2021) processes
these tokens in place of its own patches. The outputs of both towers are concatenated. Parameters
have the names of the published checkpoints, so that these load strictly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PIXELS_PER_TOKEN = 64
"""Side in pixels of the image area of one token: a patch of 16, halved twice."""


@dataclass(frozen=True)
class SamConfig:
    """Hyperparameters of the first tower; the defaults are the published values.

    Attributes:
        width: Width of the residual stream.
        n_layer: Blocks.
        n_head: Heads.
        d_ff: Hidden width of the MLP.
        patch: Side of a patch in pixels.
        grid: Side, in patches, of the grid of learned positions.
        window: Side, in patches, of an attention window.
        global_blocks: Blocks with global attention; the others attend within windows.
        neck: Channels after the blocks.
        compressor: Channels of the two strided convolutions.
    """

    width: int = 768
    n_layer: int = 12
    n_head: int = 12
    d_ff: int = 3072
    patch: int = 16
    grid: int = 64
    window: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    neck: int = 256
    compressor: tuple[int, int] = (512, 1024)


@dataclass(frozen=True)
class ClipConfig:
    """Hyperparameters of the second tower; its width must equal the compressor's output.

    Attributes:
        width: Width of the residual stream.
        n_layer: Blocks.
        n_head: Heads.
        d_ff: Hidden width of the MLP.
        grid: Side, in tokens, of the grid of learned positions.
        patch: Side in pixels of the patches of its own embedding, which is loaded but not used.
    """

    width: int = 1024
    n_layer: int = 24
    n_head: int = 16
    d_ff: int = 4096
    grid: int = 16
    patch: int = 14


# --------------------------------------------------------------------------- first tower


class SamAttention(nn.Module):
    """Attention over a grid with decomposed relative positions (Li et al., 2022, MViTv2)."""

    def __init__(self, config: SamConfig, side: int) -> None:
        """Build attention with learned relative positions for grids of ``side`` x ``side``."""
        super().__init__()
        self.n_head = config.n_head
        d_head = config.width // config.n_head
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, d_head))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, d_head))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within (B, H, W, width); the shape is kept."""
        rows, height, width, _ = x.shape
        heads = self.qkv(x).view(rows, height * width, 3, self.n_head, -1)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        # The bias is computed from the unscaled queries and added to the scaled scores.
        grid = queries.unflatten(2, (height, width))
        down = torch.einsum("bnhwd,hkd->bnhwk", grid, _relative_positions(self.rel_pos_h, height))
        across = torch.einsum("bnhwd,wkd->bnhwk", grid, _relative_positions(self.rel_pos_w, width))
        bias = (down[..., :, None] + across[..., None, :]).flatten(4).flatten(2, 3)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        mixed = mixed.transpose(1, 2).reshape(rows, height, width, -1)
        out: Tensor = self.proj(mixed)
        return out


def _relative_positions(table: Tensor, side: int) -> Tensor:
    """Return the embedding (side, side, D) of the relative position of each pair of positions."""
    wanted = 2 * side - 1
    if table.shape[0] != wanted:
        line = table.float().T[None]
        table = F.interpolate(line, size=wanted, mode="linear")[0].T.to(table.dtype)
    places = torch.arange(side, device=table.device)
    return table[places[:, None] - places + side - 1]


class _SamMlp(nn.Module):
    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.lin1 = nn.Linear(config.width, config.d_ff)
        self.lin2 = nn.Linear(config.d_ff, config.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lin2(F.gelu(self.lin1(x)))
        return out


class SamBlock(nn.Module):
    """A pre-norm block with windowed or global attention."""

    def __init__(self, config: SamConfig, *, windowed: bool) -> None:
        """Build a block that ``config`` describes."""
        super().__init__()
        self.window = config.window if windowed else 0
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = SamAttention(config, config.window if windowed else config.grid)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = _SamMlp(config)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, width) to the same shape."""
        y = self.norm1(x)
        x = x + (self._in_windows(y) if self.window else self.attn(y))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _in_windows(self, x: Tensor) -> Tensor:
        """Attend within windows; the grid is zero-padded to whole windows and cropped again."""
        side = self.window
        rows, height, width, channels = x.shape
        tall, wide = -(-height // side), -(-width // side)
        x = F.pad(x, (0, 0, 0, wide * side - width, 0, tall * side - height))
        x = x.view(rows, tall, side, wide, side, channels).transpose(2, 3)
        x = self.attn(x.reshape(-1, side, side, channels))
        x = x.view(rows, tall, wide, side, side, channels).transpose(2, 3)
        return x.reshape(rows, tall * side, wide * side, channels)[:, :height, :width]


class _ChannelNorm(nn.LayerNorm):
    """Normalisation over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _PatchEmbed(nn.Module):
    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch, config.patch)


class SamTower(nn.Module):
    """The ViT with windowed and global attention, its neck, and the compressor."""

    def __init__(self, config: SamConfig) -> None:
        """Build the tower that ``config`` describes."""
        super().__init__()
        self.patch_embed = _PatchEmbed(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid, config.grid, config.width))
        self.blocks = nn.ModuleList(
            SamBlock(config, windowed=i not in config.global_blocks) for i in range(config.n_layer)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(config.width, config.neck, 1, bias=False),
            _ChannelNorm(config.neck, eps=1e-6),
            nn.Conv2d(config.neck, config.neck, 3, padding=1, bias=False),
            _ChannelNorm(config.neck, eps=1e-6),
        )
        first, second = config.compressor
        self.net_2 = nn.Conv2d(config.neck, first, 3, 2, 1, bias=False)
        self.net_3 = nn.Conv2d(first, second, 3, 2, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to (B, C, H / 64, W / 64)."""
        x = self.patch_embed.proj(images).permute(0, 2, 3, 1)
        x = x + resize_positions(self.pos_embed, x.shape[1], x.shape[2])
        for block in self.blocks:
            x = block(x)
        x = self.neck(x.permute(0, 3, 1, 2))
        out: Tensor = self.net_3(self.net_2(x))
        return out


def resize_positions(grid: Tensor, height: int, width: int) -> Tensor:
    """Return learned positions (1, H, W, C) resized to another grid, bicubic.

    Some devices have the antialiased kernel only on the CPU; it is computed in float32.
    """
    if tuple(grid.shape[1:3]) == (height, width):
        return grid
    wide = grid.detach().float().cpu() if grid.device.type == "mps" else grid.float()
    resized = F.interpolate(
        wide.permute(0, 3, 1, 2), (height, width), mode="bicubic", antialias=True
    )
    return resized.permute(0, 2, 3, 1).to(grid)


# --------------------------------------------------------------------------- second tower


class _ClipAttention(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.qkv_proj = nn.Linear(config.width, 3 * config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv_proj(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class _ClipMlp(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.d_ff)
        self.fc2 = nn.Linear(config.d_ff, config.width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.fc1(x)
        out: Tensor = self.fc2(hidden * torch.sigmoid(1.702 * hidden))  # the quick GELU
        return out


class _ClipLayer(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width, eps=1e-5)
        self.self_attn = _ClipAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.width, eps=1e-5)
        self.mlp = _ClipMlp(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class _ClipEmbeddings(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(config.width))
        self.patch_embedding = nn.Conv2d(3, config.width, config.patch, config.patch, bias=False)
        self.position_embedding = nn.Embedding(config.grid**2 + 1, config.width)


class _ClipLayers(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_ClipLayer(config) for _ in range(config.n_layer))


class ClipTower(nn.Module):
    """A ViT whose input patches are the compressed feature map of the first tower."""

    def __init__(self, config: ClipConfig) -> None:
        """Build the tower that ``config`` describes."""
        super().__init__()
        self.grid = config.grid
        self.embeddings = _ClipEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.width, eps=1e-5)  # spelt as in the checkpoints
        self.transformer = _ClipLayers(config)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, width, h, w) to (B, h * w, width); the class token is dropped."""
        height, width = features.shape[2:]
        x = features.flatten(2).transpose(1, 2)
        first = self.embeddings.class_embedding.expand(x.shape[0], 1, -1)
        table = self.embeddings.position_embedding.weight
        grid = table[1:].view(1, self.grid, self.grid, -1)
        places = torch.cat(
            (table[None, :1], resize_positions(grid, height, width).flatten(1, 2)), 1
        )
        x = self.pre_layrnorm(torch.cat((first, x), 1) + places)
        for layer in self.transformer.layers:
            x = layer(x)
        out: Tensor = x[:, 1:]
        return out


def encode_views(sam: SamTower, clip: ClipTower, images: Tensor) -> Tensor:
    """Encode views (B, 3, S, S) with both towers: (B, (S / 64) ** 2, sum of both widths).

    The second tower's channels come first.
    """
    features = sam(images)
    return torch.cat((clip(features), features.flatten(2).transpose(1, 2)), dim=-1)


# --------------------------------------------------------------------------- token sequence


def image_positions(side: int, tiles: tuple[int, int] = (0, 0), tile_side: int = 640) -> int:
    """Return the number of token positions of an image.

    Args:
        side: Side in pixels of the view of the whole page.
        tiles: Numbers of tile columns and rows; 0 without tiles.
        tile_side: Side of a tile in pixels.
    """
    columns, rows = tiles
    whole, tile = side // PIXELS_PER_TOKEN, tile_side // PIXELS_PER_TOKEN
    count = whole * (whole + 1) + 1
    if columns * rows:
        count += rows * tile * (columns * tile + 1)
    return count


def arrange_tokens(
    view: Tensor, tiles: Tensor | None, grid: tuple[int, int], newline: Tensor, separator: Tensor
) -> Tensor:
    """Return the tokens of an image in sequence order, (P, width), P from ``image_positions``.

    Tiles come first, joined to one large grid, then the view of the whole page, then a separator; a
    newline token ends each row of tokens.

    Args:
        view: (g * g, width), tokens of the whole page.
        tiles: (columns * rows, q * q, width), row by row; None without tiles.
        grid: Columns and rows of the tiles.
        newline: (width,) newline token.
        separator: (width,) separator token.
    """
    parts = []
    if tiles is not None:
        columns, rows = grid
        side = math.isqrt(tiles.shape[1])
        large = tiles.view(rows, columns, side, side, -1).transpose(1, 2)
        parts.append(_with_newlines(large.flatten(2, 3).flatten(0, 1), newline))
    side = math.isqrt(view.shape[0])
    parts.append(_with_newlines(view.view(side, side, -1), newline))
    return torch.cat((*parts, separator[None]))


def _with_newlines(grid: Tensor, newline: Tensor) -> Tensor:
    """Append a newline to each row of a grid (H, W, width): (H * (W + 1), width)."""
    ends = newline.expand(grid.shape[0], 1, -1)
    return torch.cat((grid, ends), 1).flatten(0, 1)


def insert_image_tokens(x: Tensor, places: Tensor, image: Tensor) -> Tensor:
    """Insert the image tokens (P, width) into text embeddings (B, T, width).

    Args:
        x: The embeddings.
        places: (B, T) bool, positions of the P tokens, row by row.
        image: Tokens of all images, concatenated.

    Raises:
        ValueError: The number of positions differs from the number of tokens.
    """
    if int(places.sum()) != image.shape[0]:
        raise ValueError(f"{int(places.sum())} places for {image.shape[0]} tokens of an image")
    return x.masked_scatter(places[..., None], image.to(x.dtype))
