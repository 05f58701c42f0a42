"""The grey image of a colour image in which text and ground differ most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocrtool.preprocess.lines import to_grey

COLOUR_SAMPLES = 100_000
"""Number of pixels, approximately, from which the principal component is computed."""
MIN_COLOUR_GAIN = 1.5
"""Minimum ratio of the contrast of the principal component to that of the luminance."""
MIN_COLOUR_CONTRAST = 6.0
"""Contrast, as a standard deviation of the distance in RGB, that is assumed at least: the colours
of a blank image differ by noise."""


def widest_contrast(image: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return the grey image (H, W) in which the colours of an RGB image differ most.

    It is the projection on the first principal component of the colours: red text on a green ground
    of equal luminance, which :func:`to_grey` cannot show, becomes dark on light.

    Returns:
        Nothing if the luminance shows the differences nearly as well.
    """
    if image.ndim == 2:
        return None
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / COLOUR_SAMPLES)))
    sample = image[::step, ::step].reshape(-1, 3).astype(np.float64)
    mean = sample.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(sample.T))
    luminance = np.sqrt(3) * float(np.std(to_grey(image[::step, ::step])))  # as a distance in RGB
    if np.sqrt(max(values[-1], 0.0)) < MIN_COLOUR_GAIN * max(luminance, MIN_COLOUR_CONTRAST):
        return None
    axis = vectors[:, -1]
    projected = (image.astype(np.float32) - np.float32(mean)) @ axis.astype(np.float32)
    if np.median(projected) < projected.mean():  # the ground, which is most of it, becomes light
        projected = -projected
    low, high = np.percentile(projected[::step, ::step], (0.5, 99.5))
    scaled = (projected - low) * (255 / max(high - low, 1e-6))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)
