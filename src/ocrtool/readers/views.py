"""Image input of DeepSeek-OCR: the whole page as a square, and in some modes tiles of the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageOps

from ocrtool.errors import UsageError

Pixels = NDArray[np.float32]

GREY = (127, 127, 127)
"""Colour of the padding, the middle of the range of values."""
TILE = 640
"""Side of a tile in pixels."""
MIN_TILES, MAX_TILES = 2, 9
"""Bounds of the number of tiles of a page."""


@dataclass(frozen=True)
class Mode:
    """Resolution mode.

    Attributes:
        side: Side of the square view of the whole page in pixels.
        padded: Whether the page is padded to a square; otherwise it is distorted to one.
        tiled: Whether a page larger than a tile is also given as tiles.
        tile: Side of a tile in pixels.
        most: Maximum number of tiles.
    """

    side: int
    padded: bool
    tiled: bool = False
    tile: int = TILE
    most: int = MAX_TILES


MODES: dict[str, Mode] = {
    "tiny": Mode(512, padded=False),
    "small": Mode(640, padded=False),
    "base": Mode(1024, padded=True),
    "large": Mode(1280, padded=True),
    "gundam": Mode(1024, padded=True, tiled=True),
}
DEFAULT_MODE = "gundam"


@dataclass(frozen=True)
class Views:
    """Network input of a page.

    Attributes:
        whole: (3, S, S) in [-1, 1], the whole page.
        tiles: (columns * rows, 3, s, s) in [-1, 1], row by row; None without tiles.
        grid: Number of columns and rows of tiles; (0, 0) without tiles.
    """

    whole: Pixels
    tiles: Pixels | None
    grid: tuple[int, int]


def mode_of(name: str) -> Mode:
    """Return a resolution mode by its name.

    Raises:
        UsageError: The name is unknown.
    """
    if name not in MODES:
        raise UsageError(f"there is no mode {name!r}", f"modes are {', '.join(MODES)}")
    return MODES[name]


def views_of(image: NDArray[np.uint8], mode: Mode) -> Views:
    """Return the network input of a page.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        mode: Resolution mode.
    """
    picture = Pictures.fromarray(image).convert("RGB")
    tiles, grid = None, (0, 0)
    if mode.tiled and max(picture.size) > mode.tile:
        side = mode.tile
        grid = tile_grid(*picture.size, mode.most, side)
        columns, rows = grid
        size = (side * columns, side * rows)
        large = np.asarray(picture.resize(size, Pictures.Resampling.BICUBIC))
        cut = large.reshape(rows, side, columns, side, 3).transpose(0, 2, 4, 1, 3)
        tiles = _scaled(cut.reshape(-1, 3, side, side))
    size = (mode.side, mode.side)
    if mode.padded:
        picture = ImageOps.pad(picture, size, Pictures.Resampling.BICUBIC, color=GREY)
    else:
        picture = picture.resize(size, Pictures.Resampling.BICUBIC)
    return Views(_scaled(np.asarray(picture).transpose(2, 0, 1)), tiles, grid)


def tile_grid(width: int, height: int, most: int = MAX_TILES, side: int = TILE) -> tuple[int, int]:
    """Choose the tile grid whose aspect ratio is closest to the page's.

    Among equally close grids a larger one is taken if the page has more than half its pixels.
    Source: InternVL (Chen et al., 2023).

    Args:
        width: Width of the page in pixels.
        height: Height of the page in pixels.
        most: Maximum number of tiles.
        side: Side of a tile in pixels.

    Returns:
        Number of columns and rows.
    """
    grids = sorted(
        (
            (columns, rows)
            for columns in range(1, most + 1)
            for rows in range(1, most + 1)
            if MIN_TILES <= columns * rows <= most
        ),
        key=lambda grid: grid[0] * grid[1],
    )
    best, least = (1, 1), float("inf")
    for columns, rows in grids:
        apart = abs(width / height - columns / rows)
        roomy = width * height > 0.5 * side**2 * columns * rows
        if apart < least or (apart == least and roomy):
            best, least = (columns, rows), apart
    return best


def _scaled(pixels: NDArray[np.uint8]) -> Pixels:
    return np.ascontiguousarray(pixels, np.float32) / np.float32(127.5) - np.float32(1)
