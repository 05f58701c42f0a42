"""Views of a page as DeepSeek-OCR takes them: one square, or tiles and a square of the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageOps

from ocrtool.errors import UsageError

Pixels = NDArray[np.float32]

GREY = (127, 127, 127)
"""What fills a square up; the middle of the scale."""
TILE = 640
FEWEST, MOST = 2, 9
"""Tiles of a page."""


@dataclass(frozen=True)
class Mode:
    """How a page is shown.

    Attributes:
        side: Pixels a side of the view of the whole.
        padded: Whether it is filled up to a square; else it is squeezed.
        tiled: Whether tiles are shown, too, of pages larger than one.
        tile: Pixels a side of a tile.
        most: Most tiles.
    """

    side: int
    padded: bool
    tiled: bool = False
    tile: int = TILE
    most: int = MOST


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
    """A page as the network takes it.

    Attributes:
        whole: (3, S, S) in [-1, 1].
        tiles: (columns * rows, 3, s, s), row by row; none where there are none.
        grid: Columns and rows of the tiles.
    """

    whole: Pixels
    tiles: Pixels | None
    grid: tuple[int, int]


def mode_of(name: str) -> Mode:
    """Return a mode by its name.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in MODES:
        raise UsageError(f"there is no mode {name!r}", f"modes are {', '.join(MODES)}")
    return MODES[name]


def views_of(image: NDArray[np.uint8], mode: Mode) -> Views:
    """Prepare a page.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        mode: How it is shown.
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


def tile_grid(width: int, height: int, most: int = MOST, side: int = TILE) -> tuple[int, int]:
    """Choose columns and rows: the shape most like the page's (Chen et al., 2023, InternVL).

    Of shapes as like, a larger one is taken where the page has more than half its pixels.

    Args:
        width: Of the page, in pixels.
        height: Of the page.
        most: Most tiles.
        side: Pixels a side of a tile.
    """
    grids = sorted(
        (
            (columns, rows)
            for columns in range(1, most + 1)
            for rows in range(1, most + 1)
            if FEWEST <= columns * rows <= most
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
