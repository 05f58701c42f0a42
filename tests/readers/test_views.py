"""Network input of DeepSeek-OCR: the sizes and contents of views and tiles."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtool.models.deepencoder import image_positions
from ocrtool.readers.views import MODES, mode_of, tile_grid, views_of


def page(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", MODES)
def test_views_have_the_sizes_of_their_modes(name: str) -> None:
    mode = mode_of(name)
    views = views_of(page(1300, 900), mode)
    assert views.whole.shape == (3, mode.side, mode.side)
    assert views.whole.min() >= -1 and views.whole.max() <= 1
    if mode.tiled:
        columns, rows = views.grid
        assert (columns, rows) == tile_grid(900, 1300)
        assert views.tiles is not None and views.tiles.shape == (columns * rows, 3, 640, 640)
    else:
        assert views.tiles is None and views.grid == (0, 0)
    count = image_positions(mode.side, views.grid)
    assert count == {"tiny": 73, "small": 111, "base": 273, "large": 421}.get(name, count)


def test_padding_is_grey_and_centred() -> None:
    whole = views_of(np.zeros((100, 200), np.uint8), mode_of("base")).whole
    assert np.allclose(whole[:, :200], 127 / 127.5 - 1) and np.allclose(whole[:, 512], -1)
    assert np.allclose(whole[:, -200:], 127 / 127.5 - 1)


def test_tiles_are_cut_row_by_row() -> None:
    image = np.zeros((1280, 1920), np.uint8)
    for i in range(6):
        image[640 * (i // 3) : 640 * (i // 3 + 1), 640 * (i % 3) : 640 * (i % 3 + 1)] = 40 * i
    views = views_of(image, mode_of("gundam"))
    assert views.grid == (3, 2) and views.tiles is not None
    assert [round((t.mean() + 1) * 127.5) for t in views.tiles] == [0, 40, 80, 120, 160, 200]


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((1000, 500), (2, 1)),
        ((500, 1000), (1, 2)),
        ((700, 700), (2, 2)),  # 3 x 3 is as like, but the page is too small for it
        ((3000, 3000), (3, 3)),
        ((2000, 3000), (2, 3)),
        ((6000, 600), (9, 1)),
    ],
)
def test_the_grid_is_like_the_page(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert tile_grid(*size) == grid


def test_small_pages_are_not_tiled() -> None:
    assert views_of(page(640, 600), mode_of("gundam")).tiles is None
