"""Random augmentation of labelled line images, so that few of them serve for many epochs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.preprocess.lines import to_grey
from ocrtool.synth import degradations

MIN_HEIGHT = 12
"""Minimum height in pixels after the resolution is lowered; letters below it cannot be read."""


def augment_line(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a randomly changed copy of a line image whose text stays readable.

    Geometry (aspect ratio, slant, margins), ink (contrast, polarity), light and sensor (shading,
    blur, noise, resolution, JPEG) are each changed with a probability of their own.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8; dark text on light paper or the reverse.
        rng: Source of all randomness.

    Returns:
        (H', W') grey, uint8.
    """
    grey = np.asarray(to_grey(image), np.float32)
    if rng.random() < 0.5:
        grey = _reshape(grey, rng)
    if rng.random() < 0.4:
        grey = _margins(grey, rng)
    if rng.random() < 0.5:
        mean = float(grey.mean())
        grey = mean + (grey - mean) * rng.uniform(0.4, 1.3) + rng.uniform(-25, 25)
    if rng.random() < 0.25:
        grey = degradations.shade(grey, rng)
    em = 0.6 * grey.shape[0]
    if rng.random() < 0.25:
        grey = degradations.blur(grey, rng, em)
    if rng.random() < 0.25:
        lower = max(MIN_HEIGHT, round(grey.shape[0] * rng.uniform(0.45, 0.9)))
        if lower < grey.shape[0]:
            grey = degradations.shrink(grey, rng, lower)
    if rng.random() < 0.25:
        grey = degradations.noise(grey, rng, 1.5, 12)
    if rng.random() < 0.05:
        grey = degradations.binarise(grey, rng, em)
    elif rng.random() < 0.3:
        grey = degradations.jpeg(grey, rng, 25, 90)
    if rng.random() < 0.03:
        grey = 255 - grey
    return np.asarray(np.clip(grey + 0.5, 0, 255), np.uint8)


def _reshape(grey: degradations.Grey, rng: np.random.Generator) -> degradations.Grey:
    """Change the aspect ratio, slant and skew; edge pixels are repeated outwards."""
    height, width = grey.shape
    stretch = float(np.exp(rng.uniform(-0.18, 0.18)))
    slant = rng.uniform(-0.25, 0.25) if rng.random() < 0.5 else 0.0
    skew = min(0.02, 0.15 * height / width) * rng.uniform(-1, 1)
    wide = max(8, round(width * stretch + abs(slant) * height))
    start = max(0.0, -slant * height)
    matrix = np.array([[stretch, slant, start], [skew, 1.0, -skew * width / 2]], np.float32)
    return cv2.warpAffine(
        grey, matrix, (wide, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _margins(grey: degradations.Grey, rng: np.random.Generator) -> degradations.Grey:
    """Add margins of edge pixels, or cut a few rows off, as detectors do."""
    height = grey.shape[0]
    top, bottom = (round(height * rng.uniform(-0.05, 0.2)) for _ in range(2))
    left, right = (round(height * rng.uniform(0.0, 0.5)) for _ in range(2))
    cut = grey[max(0, -top) : height - max(0, -bottom)]
    return cv2.copyMakeBorder(cut, max(0, top), max(0, bottom), left, right, cv2.BORDER_REPLICATE)
