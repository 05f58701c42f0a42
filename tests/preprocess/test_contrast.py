"""Text whose colour differs from the ground by hue only is made visible."""

from __future__ import annotations

import numpy as np

from ocrtool.preprocess.contrast import widest_contrast
from ocrtool.preprocess.lines import to_grey


def coloured(
    text: np.ndarray, ground: tuple[int, int, int], ink: tuple[int, int, int]
) -> np.ndarray:
    """Return (H, W, 3) RGB with the ink where the mask (H, W) is set."""
    return np.where(text[..., None], np.uint8(ink), np.uint8(ground))


def test_red_on_green_of_equal_luminance() -> None:
    text = np.zeros((60, 200), bool)
    text[20:40, 30:60] = True
    image = coloured(text, ground=(0, 118, 0), ink=(232, 0, 0))
    assert np.ptp(to_grey(image)) <= 3
    grey = widest_contrast(image)
    assert grey is not None and grey[text].max() < 10 and grey[~text].min() > 245


def test_images_whose_luminance_shows_the_text_are_left_alone() -> None:
    text = np.zeros((60, 200), bool)
    text[20:40, 30:60] = True
    assert widest_contrast(coloured(text, (255, 255, 255), (200, 0, 0))) is None
    assert widest_contrast(to_grey(coloured(text, (255, 255, 255), (0, 0, 0)))) is None
    noise = np.random.default_rng(0).normal(200, 2, (60, 200, 3)).astype(np.uint8)
    assert widest_contrast(noise) is None
