"""Target maps of the detector: the lines and regions of a drawn page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.layout.postprocess import (
    HEIGHT_UNIT,
    KERNEL_HEIGHT,
    KERNEL_INSET,
    KERNEL_STRIDE,
    MIN_KERNEL,
    REGION_KINDS,
    STRIDE,
    Maps,
)

Array = NDArray[Any]

LEAST_HEIGHT = 5.0
"""Minimum height of a line in pixels; lower lines are neither text nor background."""
TYPICAL_HEIGHT = 24.0
"""Line height in pixels at which a pixel weighs 1; pixels of higher lines weigh less."""
WEIGHTS = (0.5, 3.0)
"""Minimum and maximum weight of a pixel by the height of its line."""
EDGE = 2.0
"""Weight of background within a line's box, which keeps kernels from growing."""
GAP = 4.0
"""Weight of background between two close lines, which keeps them apart."""
REACH = 0.25
"""Distance, in line heights, within which another line's box is close."""


class LineTarget(Protocol):
    """A line of a drawn page."""

    @property
    def quad(self) -> Array:
        """(4, 2) corners in reading direction, in pixels."""

    @property
    def outline(self) -> Array | None:
        """(N, 2) points of a curved line: along its upper edge, back along its lower edge."""


class RegionTarget(Protocol):
    """A region of a drawn page."""

    @property
    def kind(self) -> Any:
        """One of ``REGION_KINDS``."""

    @property
    def polygon(self) -> Array:
        """(N, 2) corners in pixels."""


class Targets(NamedTuple):
    """Target maps of an image of height H and width W.

    Attributes:
        kernel: (H/2, W/2) uint8, 1 within a kernel.
        weight: (H/2, W/2) float32, weight of each pixel of the kernel map.
        geometry: (3, H/4, W/4) float32, as in ``Maps``.
        inside: (H/4, W/4) float32, weight of each pixel of the geometry; 0 outside of text.
        regions: (4, H/4, W/4) uint8.
    """

    kernel: Array
    weight: Array
    geometry: Array
    inside: Array
    regions: Array

    def as_maps(self) -> Maps:
        """Return the maps of an ideal detector."""
        return Maps(self.kernel.astype(np.float32), self.geometry, self.regions.astype(np.float32))


def make_targets(
    size: tuple[int, int], lines: Sequence[LineTarget], regions: Sequence[RegionTarget]
) -> Targets:
    """Draw the maps of a page.

    Args:
        size: Height and width of the image in pixels, multiples of 4.
        lines: Its lines; they may extend beyond the image.
        regions: Its regions.
    """
    height, width = size
    fine = (height // KERNEL_STRIDE, width // KERNEL_STRIDE)
    coarse = (height // STRIDE, width // STRIDE)
    kernel = np.zeros(fine, np.uint8)
    inner = np.ones(fine, np.float32)
    box = np.zeros(fine, np.uint8)
    close = np.zeros(fine, np.uint8)
    ignored = np.zeros(fine, np.uint8)
    geometry = np.zeros((3, *coarse), np.float32)
    inside = np.zeros(coarse, np.float32)
    ribbons = [_ribbon(line) for line in lines]
    for top, bottom in ribbons:
        high = _height(top, bottom)
        if high < LEAST_HEIGHT:
            _paint(ignored, _strip(top, bottom, -0.25, 1.25), 1)
            continue
        _paint(box, _strip(top, bottom, 0.0, 1.0), 1)
        # A curved line counts once where its pieces overlap.
        near = np.zeros_like(close)
        _paint(near, _strip(top, bottom, -REACH, 1.0 + REACH), 1)
        close += near
    # Boxes first and kernels over them, so that touching lines keep their own geometry.
    for share in (1.0, KERNEL_HEIGHT):
        for top, bottom in ribbons:
            high = _height(top, bottom)
            if high < LEAST_HEIGHT:
                continue
            importance = float(np.clip(TYPICAL_HEIGHT / high, *WEIGHTS))
            if share != 1.0:
                top, bottom = _shrink(top, bottom)
                for piece in _strip(top, bottom, 0.0, 1.0):
                    _fill(kernel, piece / KERNEL_STRIDE, 1)
                    _fill(inner, piece / KERNEL_STRIDE, importance)
            for piece in _strip(top, bottom, 0.0, 1.0):
                along = (piece[1] - piece[0]) + (piece[2] - piece[3])
                along /= max(float(np.hypot(*along)), 1e-6)
                level = np.log2(high / HEIGHT_UNIT)
                _fill(geometry, piece / STRIDE, np.array([along[0], along[1], level]))
                _fill(inside, piece / STRIDE, importance)
    ground = np.where(close > 1, GAP, np.where(box > 0, EDGE, 1.0)).astype(np.float32)
    weight = np.where(kernel > 0, inner, ground)
    weight[(ignored > 0) & (kernel == 0)] = 0.0
    return Targets(kernel, weight, geometry, inside, _regions(coarse, regions))


def _regions(size: tuple[int, int], regions: Sequence[RegionTarget]) -> Array:
    maps = np.zeros((len(REGION_KINDS), *size), np.uint8)
    for region in regions:
        corners = np.asarray(region.polygon, np.float32) / STRIDE - 0.5
        # Rules are thinner than a pixel of the map; fillPoly fills every pixel it touches.
        cv2.fillPoly(
            maps[REGION_KINDS.index(region.kind)], [np.rint(corners * 16).astype(np.int32)], 1,
            shift=4,
        )  # fmt: skip
    return maps


def _ribbon(line: LineTarget) -> tuple[Array, Array]:
    """Return points (N, 2) along the upper and the lower edge, both in reading direction."""
    if line.outline is None:
        quad = np.asarray(line.quad, np.float32)
        return quad[:2], quad[3:1:-1]
    outline = np.asarray(line.outline, np.float32)
    half = len(outline) // 2
    return outline[:half], outline[: half - 1 : -1]


def _height(top: Array, bottom: Array) -> float:
    return float(np.linalg.norm(bottom - top, axis=1).mean())


def _strip(top: Array, bottom: Array, upper: float, lower: float) -> list[Array]:
    """Return quads (4, 2) between two shares of the height: 0 upper edge, 1 lower edge."""
    a, b = top + upper * (bottom - top), top + lower * (bottom - top)
    return [np.stack((a[i], a[i + 1], b[i + 1], b[i])) for i in range(len(a) - 1)]


def _shrink(top: Array, bottom: Array) -> tuple[Array, Array]:
    """Return the upper and lower edge of a line's kernel."""
    high = _height(top, bottom)
    share = max(KERNEL_HEIGHT, MIN_KERNEL / high)
    middle = 0.5 * (top + bottom)
    top, bottom = middle + share * (top - middle), middle + share * (bottom - middle)
    steps = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    places = np.concatenate(([0.0], np.cumsum(steps)))
    length = float(places[-1])
    inset = KERNEL_INSET * min(high, length)
    inset = min(inset, (length - MIN_KERNEL) / 2)  # negative beyond the ends
    if length < 1e-3:
        return top, bottom
    kept = places[(places > inset) & (places < length - inset)]
    wanted = np.concatenate(([inset], kept, [length - inset]))
    return _along(top, places, wanted), _along(bottom, places, wanted)


def _along(points: Array, places: Array, wanted: Array) -> Array:
    """Return the points at wanted lengths of a polyline, extrapolated at its ends."""
    segment = np.clip(np.searchsorted(places, wanted, "right") - 1, 0, len(places) - 2)
    start, end = places[segment], places[segment + 1]
    share = ((wanted - start) / np.maximum(end - start, 1e-6))[:, None]
    moved = points[segment] + share * (points[segment + 1] - points[segment])
    return np.asarray(moved, np.float32)


def _paint(target: Array, pieces: Sequence[Array], value: int) -> None:
    for piece in pieces:
        _fill(target, piece / KERNEL_STRIDE, value)


def _fill(target: Array, quad: Array, value: float | Array) -> None:
    """Set the pixels of (..., H, W) whose centres are in a convex quad.

    ``cv2.fillPoly`` would also set the pixels at its edge: half a pixel on each side, a fifth of
    the kernel of small type.
    """
    rows, columns = target.shape[-2:]
    x0, y0 = np.floor(quad.min(axis=0)).astype(int)
    x1, y1 = np.ceil(quad.max(axis=0)).astype(int)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, columns), min(y1, rows)
    if x0 >= x1 or y0 >= y1:
        return
    # Slightly off the centre, so that a centre on an edge is on one side of it only.
    x = np.arange(x0, x1, dtype=np.float32) + np.float32(0.5001)
    y = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5001)
    within = np.ones((y1 - y0, x1 - x0), bool)
    turns = np.roll(quad, -1, axis=0) - quad
    (ax, ay), (bx, by) = turns[0], quad[2] - quad[0]
    sign = np.float32(1.0 if ax * by >= ay * bx else -1.0)
    for (px, py), (dx, dy) in zip(quad, turns, strict=True):
        within &= sign * (dx * (y - py) - dy * (x - px)) >= 0
    if isinstance(value, np.ndarray):
        target[:, y0:y1, x0:x1][:, within] = value[:, None]
    else:
        target[y0:y1, x0:x1][within] = value
