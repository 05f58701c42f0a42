"""Image degradations: ink spread, fading, artefacts of scanning and photography.

Every function takes an image of floats 0-255, shape (H, W), dark ink, and a random generator, and
returns an image of the same shape. Strengths are relative to ``em``, the type size in pixels, so
that small and large type are degraded equally.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

Random = np.random.Generator
Grey = Any
"""NumPy array (H, W) float32; the type stubs of OpenCV and NumPy are incompatible."""


def field(rng: Random, shape: tuple[int, ...], cell: float) -> Grey:
    """Return smooth noise, mean 0, standard deviation about 1, features ``cell`` pixels wide."""
    height, width = shape[:2]
    small = rng.standard_normal(
        (max(2, int(height / cell) + 1), max(2, int(width / cell) + 1)), dtype=np.float32
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def spread_ink(mask: Grey, rng: Random, em: float) -> Grey:
    """Make strokes bolder or thinner, with soft or hard edges; ``mask`` is coverage 0-1."""
    sigma = em * rng.uniform(0.008, 0.035)
    level = rng.uniform(0.28, 0.62)
    gain = rng.uniform(1.5, 5.0)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.3, sigma))
    return np.clip((soft - level) * gain + 0.5, 0, 1)


def fade_ink(mask: Grey, rng: Random, em: float) -> Grey:
    """Simulate uneven inking: coverage varies over letters, and strokes get pores."""
    strength = rng.uniform(0.1, 0.5)
    uneven = np.abs(field(rng, mask.shape, em * rng.uniform(0.5, 3)))
    faded = mask * np.clip(1 - strength * uneven, 0, 1)
    if rng.random() < 0.5:
        pores = field(rng, mask.shape, max(1.0, em * rng.uniform(0.03, 0.1)))
        faded = faded * (pores < rng.uniform(0.9, 2.2))
    return faded


def dots(mask: Grey, rng: Random, em: float) -> Grey:
    """Simulate dot-matrix or thermal print: strokes are rows of dots."""
    pitch = em * rng.uniform(0.07, 0.12)
    height, width = mask.shape
    y = np.cos(np.arange(height, dtype=np.float32) * (2 * np.pi / pitch) + rng.uniform(0, 6))
    x = np.cos(np.arange(width, dtype=np.float32) * (2 * np.pi / pitch) + rng.uniform(0, 6))
    lattice = np.clip((y[:, None] + x[None, :]) * 0.5 + rng.uniform(0.3, 0.9), 0, 1)
    return mask * lattice


def shade(image: Grey, rng: Random) -> Grey:
    """Add uneven light: a gradient over the line and soft shadows."""
    height, width = image.shape
    slope = np.linspace(rng.uniform(0.6, 1.0), rng.uniform(0.6, 1.05), width, dtype=np.float32)
    light = slope[None, :] + rng.uniform(0, 0.08) * field(rng, (height, width), height * 2.0)
    if rng.random() < 0.3:
        light = light * np.linspace(rng.uniform(0.7, 1), 1, height, dtype=np.float32)[:, None]
    return image * light


def bleed_through(image: Grey, mask: Grey, rng: Random) -> Grey:
    """Add the reverse side of the page, mirrored and faint."""
    other = cv2.GaussianBlur(mask[:, ::-1], (0, 0), rng.uniform(0.6, 2.0))
    other = np.roll(other, (int(rng.integers(-8, 9)), int(rng.integers(-60, 61))), (0, 1))
    return image - other * rng.uniform(8, 45)


def blur(image: Grey, rng: Random, em: float) -> Grey:
    """Apply defocus or motion blur."""
    if rng.random() < 0.75:
        return cv2.GaussianBlur(image, (0, 0), max(0.3, em * rng.uniform(0.005, 0.055)))
    length = max(2, int(em * rng.uniform(0.05, 0.2)))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    centre = (length - 1) / 2
    dx, dy = np.cos(angle) * centre, np.sin(angle) * centre
    ends = [(round(centre - dx), round(centre - dy)), (round(centre + dx), round(centre + dy))]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(image, -1, kernel / max(1e-6, float(kernel.sum())))


def noise(image: Grey, rng: Random, low: float = 1.5, high: float = 16.0) -> Grey:
    """Add sensor or paper noise; one time in three it is coarse."""
    limit = 0.16 * float(image.max() - image.min())  # keeps faint ink legible
    strength = min(limit, np.exp(rng.uniform(np.log(low), np.log(high))))
    if rng.random() < 0.33:
        return image + strength * field(rng, image.shape, rng.uniform(1.2, 3.5))
    return image + strength * rng.standard_normal(image.shape, dtype=np.float32)


def shrink(image: Grey, rng: Random, height: int) -> Grey:
    """Reduce the resolution: the line becomes ``height`` pixels high."""
    scale = height / image.shape[0]
    method = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
    return cv2.resize(image, (max(4, round(image.shape[1] * scale)), height), interpolation=method)


def jpeg(image: Grey, rng: Random, low: int = 12, high: int = 90) -> Grey:
    """Apply JPEG compression artefacts."""
    quality = int(rng.integers(low, high))
    grey = np.clip(image, 0, 255).astype(np.uint8)
    code = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.float32)


def sharpen(image: Grey, rng: Random, em: float) -> Grey:
    """Add the halos of sharpening in scanners and phones."""
    soft = cv2.GaussianBlur(image, (0, 0), max(0.5, em * rng.uniform(0.02, 0.06)))
    return image + rng.uniform(0.4, 1.8) * (image - soft)


def binarise(image: Grey, rng: Random, em: float) -> Grey:
    """Binarise as in a bitonal scan: fixed, Otsu's or local threshold, with speckle."""
    grey = np.clip(image, 0, 255).astype(np.uint8)
    kind = rng.random()
    if kind < 0.5:
        level, bits = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        if rng.random() < 0.6:  # a manually set threshold is inexact
            level = level + rng.uniform(-0.25, 0.25) * float(grey.max() - grey.min())
            bits = cv2.threshold(grey, level, 255, cv2.THRESH_BINARY)[1]
    elif kind < 0.75:
        dark, light = np.percentile(grey, (2, 80))
        level = dark + rng.uniform(0.35, 0.75) * (light - dark)
        bits = cv2.threshold(grey, float(level), 255, cv2.THRESH_BINARY)[1]
    else:
        block = int(max(3, em * rng.uniform(0.6, 2.5))) | 1
        bits = cv2.adaptiveThreshold(
            grey, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, block, rng.uniform(6, 18)
        )
    result = bits.astype(np.float32)
    if rng.random() < 0.3:
        share = np.exp(rng.uniform(np.log(0.0005), np.log(0.02)))
        hit = rng.random(result.shape, dtype=np.float32) < share
        if em > 30:
            hit = cv2.dilate(hit.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
        result = np.where(hit, 255 - result if rng.random() < 0.5 else 0, result)
    return result


def moire(image: Grey, rng: Random) -> Grey:
    """Add the moire stripes of a photographed screen."""
    height, width = image.shape
    fx, fy = rng.uniform(-0.9, 0.9, 2)
    wave = np.sin(
        np.arange(width, dtype=np.float32)[None, :] * fx
        + np.arange(height, dtype=np.float32)[:, None] * fy
        + rng.uniform(0, 6)
    )
    return image + rng.uniform(3, 18) * wave


def scribble(image: Grey, rng: Random, em: float) -> Grey:
    """Add a pen stroke, crease or stamp edge across the line."""
    height, width = image.shape
    layer = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        points = np.stack(
            [rng.uniform(0, width, 4), rng.uniform(-0.3 * height, 1.3 * height, 4)], 1
        )
        t = np.linspace(0, 1, 24)[:, None]
        curve = (
            (1 - t) ** 3 * points[0] + 3 * (1 - t) ** 2 * t * points[1]
            + 3 * (1 - t) * t**2 * points[2] + t**3 * points[3]
        )  # fmt: skip
        thick = max(1, int(em * rng.uniform(0.02, 0.09)))
        cv2.polylines(layer, [curve.astype(np.int32)], False, 1.0, thick, cv2.LINE_AA)
    return image + layer * rng.uniform(-90, 50)


def texture(rng: Random, shape: tuple[int, int], em: float) -> Grey:
    """Return a background texture of mean 0, about -1..1: multi-scale noise and hard shapes."""
    ground = 0.6 * field(rng, shape, em * rng.uniform(1, 5)) + 0.3 * field(rng, shape, em * 0.3)
    if rng.random() < 0.5:
        height, width = shape
        for _ in range(int(rng.integers(1, 5))):
            corners = np.stack([rng.integers(0, width, 4), rng.integers(0, height, 4)], 1)
            layer = np.zeros(shape, np.float32)
            cv2.fillPoly(layer, [corners.astype(np.int32)], 1.0, cv2.LINE_AA)
            ground = ground + layer * rng.uniform(-1, 1)
    return np.clip(ground, -1.5, 1.5)
