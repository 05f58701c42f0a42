"""Conversion of the detector's output maps to text lines and regions.

A connected component of the kernel map is a line. Its pixels give the line's centre and length;
two other maps give its height and reading direction. All components are measured at once with
array operations: a page of a hundred lines takes milliseconds.

Coordinates are continuous: pixel k covers k to k + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import DetectedLayout, FoundLine, Region, RegionKind
from ocrtool.document.tree import Box, Quad

KERNEL_STRIDE = 2
"""Image pixels per pixel of the kernel map."""
STRIDE = 4
"""Image pixels per pixel of the other maps."""
KERNEL_HEIGHT = 0.5
"""Height of a kernel as a share of its line's height."""
KERNEL_INSET = 0.15
"""Distance from each end of a line to its kernel, as a share of the line's shorter side."""
MIN_KERNEL = 4.0
"""Minimum height and length of a kernel in pixels of the image."""
HEIGHT_UNIT = 16.0
"""Unit, in pixels, of the base-2 logarithm in which the network gives line heights."""

THRESHOLDS = (0.4, 0.6, 0.8)
"""Probability thresholds of the kernel map, tried in turn: a component with more than one line is
split at the next one."""
MAX_AREA_RATIO = 1.6
"""Maximum area of a component relative to a line of its length; larger ones are several lines."""
MIN_CONFIDENCE = 0.5
"""Minimum mean kernel probability of a line."""
MIN_INNER_SHARE = 0.7
"""Minimum share of a line's area inside a larger line at which it is discarded as a fragment."""
MIN_LENGTH = 3.0
"""Minimum length of a line in pixels."""
MIN_AXIS_ASPECT = 2.0
"""Minimum length of a kernel, in kernel heights, at which its principal axis gives the line's
tilt."""
MIN_AXIS_AGREEMENT = np.cos(np.radians(30))
"""Minimum cosine between a kernel's principal axis and the direction map; single tall letters have
less."""
REGION_THRESHOLD = 0.5
"""Probability threshold of the region maps."""
MIN_REGION_SIDE = 24.0
"""Minimum longer side of a region in pixels."""

REGION_KINDS: tuple[RegionKind, ...] = get_args(RegionKind)
"""Region kinds in the order of the region maps."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Maps:
    """Output maps of the detector for an image of height H and width W.

    Attributes:
        kernel: (H/2, W/2) probability of being in the kernel of a line.
        geometry: (3, H/4, W/4) x and y of the reading direction, and the base-2 logarithm of the
            line's height in units of 16 pixels.
        regions: (4, H/4, W/4) probabilities, in the order of ``REGION_KINDS``.
    """

    kernel: FloatArray
    geometry: FloatArray
    regions: FloatArray


def find_layout(maps: Maps, scale: tuple[float, float] = (1.0, 1.0)) -> DetectedLayout:
    """Convert maps to lines and regions.

    Args:
        maps: Output maps of the detector.
        scale: Output pixels per pixel of the detector's image, in x and y.
    """
    return DetectedLayout(tuple(find_lines(maps, scale)), tuple(find_regions(maps, scale)))


def find_lines(maps: Maps, scale: tuple[float, float] = (1.0, 1.0)) -> list[FoundLine]:
    """Convert the kernel and geometry maps to lines; see ``find_layout``."""
    quads: list[FloatArray] = []
    scores: list[FloatArray] = []
    rest: NDArray[np.bool_] | None = None
    for level in THRESHOLDS:
        binary = maps.kernel > level
        if rest is not None:
            binary &= rest
        pieces = _measure(maps, binary.view(np.uint8))
        thick = pieces.thick if level != THRESHOLDS[-1] else np.zeros_like(pieces.thick)
        quads.append(pieces.quads[~thick])
        scores.append(pieces.scores[~thick])
        if not thick.any():
            break
        rest = np.concatenate(([False], thick))[pieces.labels]
    corners = np.concatenate(quads)
    confidences = np.concatenate(scores)
    lengths = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    keep = (confidences >= MIN_CONFIDENCE) & (lengths >= MIN_LENGTH)
    corners, confidences = corners[keep], confidences[keep]
    keep = ~_lies_inside(corners)
    corners = corners[keep] * np.asarray(scale, np.float32)
    return [
        FoundLine(cast(Quad, tuple(map(tuple, quad))), min(1.0, confidence))
        for quad, confidence in zip(corners.tolist(), confidences[keep].tolist(), strict=True)
    ]


def _lies_inside(quads: FloatArray) -> NDArray[np.bool_]:
    """Return which of the quads (N, 4, 2) lie inside a larger one."""
    inner = np.zeros(len(quads), bool)
    if not len(quads):
        return inner
    low, high = quads.min(axis=1), quads.max(axis=1)
    areas = np.array([cv2.contourArea(quad) for quad in quads])
    middle = quads.mean(axis=1)[:, None]
    candidates = ((middle > low) & (middle < high)).all(axis=2) & (areas[:, None] < areas)
    for i, j in zip(*np.nonzero(candidates), strict=True):
        if not inner[i]:
            common = cv2.intersectConvexConvex(quads[i], quads[j])[0]
            inner[i] = common > MIN_INNER_SHARE * areas[i]
    return inner


def find_regions(maps: Maps, scale: tuple[float, float] = (1.0, 1.0)) -> list[Region]:
    """Convert the region maps to boxes; see ``find_layout``."""
    found = []
    for kind, probabilities in zip(REGION_KINDS, maps.regions, strict=True):
        binary = (probabilities > REGION_THRESHOLD).view(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(binary, ltype=cv2.CV_32S)
        if count == 1:
            continue
        sums = np.bincount(labels.ravel(), probabilities.ravel(), count)
        for label in range(1, count):
            x, y, width, height, area = (int(value) for value in stats[label])
            if max(width, height) * STRIDE < MIN_REGION_SIDE:
                continue
            box = Box(
                x * STRIDE * scale[0],
                y * STRIDE * scale[1],
                (x + width) * STRIDE * scale[0],
                (y + height) * STRIDE * scale[1],
            )
            found.append(Region(kind, box, min(1.0, float(sums[label]) / area)))
    return found


@dataclass(frozen=True)
class _Components:
    """The N connected components of a binary kernel map.

    Attributes:
        labels: (H/2, W/2) int32, 0 for background, else the component number plus one.
        quads: (N, 4, 2) corners of the lines in reading direction, in pixels of the image.
        scores: (N,) mean probability.
        thick: (N,) whether the component seems to contain several lines.
    """

    labels: NDArray[np.int32]
    quads: FloatArray
    scores: FloatArray
    thick: NDArray[np.bool_]


def _measure(maps: Maps, binary: NDArray[np.uint8]) -> _Components:
    """Find the components of a binary map and the lines that they represent."""
    count, found = cv2.connectedComponents(binary, connectivity=8, ltype=cv2.CV_32S)
    labels = cast(NDArray[np.int32], found)
    if count == 1:
        return _Components(
            labels, np.zeros((0, 4, 2), np.float32), np.zeros(0, np.float32), np.zeros(0, bool)
        )
    places = np.flatnonzero(labels)
    owner = labels.ravel()[places]
    weight = maps.kernel.ravel()[places]
    y, x = (axis + 0.5 for axis in np.divmod(places, labels.shape[1]))
    area = np.bincount(owner, minlength=count)[1:] * float(KERNEL_STRIDE**2)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(owner, values * weight, count)[1:] / total

    total = np.bincount(owner, weight, count)[1:]
    centre = np.stack((mean(x), mean(y)), axis=1)
    dx, dy = x - centre[owner - 1, 0], y - centre[owner - 1, 1]
    xx, xy, yy = mean(dx * dx), mean(dx * dy), mean(dy * dy)
    direction, height = _geometry(maps, labels, count)
    direction = _refine_directions(direction, xx, xy, yy)
    # Lengths are measured on the contour, along (u) and across (v) each line.
    low, high = _extents(binary, labels, direction, centre)
    size = (high - low + 1.0) * KERNEL_STRIDE
    kernel_length, kernel_height = np.maximum(size, MIN_KERNEL).T
    short = 1.0 - 2 * KERNEL_INSET
    length = np.where(
        kernel_length >= short * height,
        kernel_length + 2 * KERNEL_INSET * height,
        kernel_length / short,
    )
    expected = np.maximum(KERNEL_HEIGHT * height, MIN_KERNEL)
    # A kernel with a larger extent across the line than expected belongs to a curved line.
    bent = kernel_height > 1.5 * expected
    around = centre * KERNEL_STRIDE
    middle = np.where(bent, 0.5 * (low + high)[:, 1] * KERNEL_STRIDE, 0.0)
    height_there = np.where(bent, height + kernel_height - expected, height)
    along = 0.5 * (low + high)[:, 0] * KERNEL_STRIDE
    across = np.stack((-direction[:, 1], direction[:, 0]), axis=1)
    around = around + along[:, None] * direction + middle[:, None] * across
    half_u = 0.5 * length[:, None] * direction
    half_v = 0.5 * height_there[:, None] * across
    quads = np.stack(
        (
            around - half_u - half_v,
            around + half_u - half_v,
            around + half_u + half_v,
            around - half_u + half_v,
        ),
        axis=1,
    )
    thick = bent & (area > MAX_AREA_RATIO * expected * kernel_length)
    return _Components(
        labels,
        quads.astype(np.float32),
        (total * KERNEL_STRIDE**2 / area).astype(np.float32),
        thick,
    )


def _geometry(
    maps: Maps, labels: NDArray[np.int32], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean reading direction (N, 2), of unit length, and height (N,) in pixels."""
    pairs = np.maximum(labels[::2], labels[1::2])
    coarse = np.maximum(pairs[:, ::2], pairs[:, 1::2])
    places = np.flatnonzero(coarse)
    owner = coarse.ravel()[places]
    sums = [
        np.bincount(owner, channel.ravel()[places], count)[1:].astype(np.float64)
        for channel in maps.geometry
    ]
    # A component may own no pixel of the coarse map; it gets the default direction.
    number = np.maximum(np.bincount(owner, minlength=count)[1:], 1)
    norm = np.hypot(sums[0], sums[1])
    flat = norm < 1e-6
    direction = np.stack((sums[0], sums[1]), axis=1) / np.maximum(norm, 1e-6)[:, None]
    direction[flat] = (1.0, 0.0)
    return direction, HEIGHT_UNIT * np.exp2(np.clip(sums[2] / number, -3.0, 8.0))


def _refine_directions(
    direction: NDArray[np.float64],
    xx: NDArray[np.float64],
    xy: NDArray[np.float64],
    yy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Refine directions (N, 2) by the principal axes of long components."""
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    axis = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    agreement = (axis * direction).sum(axis=1)
    spread = np.hypot(0.5 * (xx - yy), xy)
    middle = 0.5 * (xx + yy)
    long = middle + spread > MIN_AXIS_ASPECT**2 * (middle - spread + 1 / 12)
    use = long & (np.abs(agreement) > MIN_AXIS_AGREEMENT)
    axis *= np.where(agreement < 0, -1.0, 1.0)[:, None]
    return np.where(use[:, None], axis, direction)


def _extents(
    binary: NDArray[np.uint8],
    labels: NDArray[np.int32],
    direction: NDArray[np.float64],
    centre: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return minimum and maximum u and v (N, 2) of each component, relative to its centre."""
    contours, _ = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    points = np.concatenate(contours)[:, 0].astype(np.float64)
    starts = np.cumsum([0, *(len(contour) for contour in contours[:-1])])
    firsts = points[starts].astype(np.intp)
    piece = labels[firsts[:, 1], firsts[:, 0]] - 1
    owner = np.repeat(piece, np.diff(starts, append=len(points)))
    offset = points + 0.5 - centre[owner]
    u = (offset * direction[owner]).sum(axis=1)
    v = offset[:, 1] * direction[owner, 0] - offset[:, 0] * direction[owner, 1]
    low, high = np.full((2, len(centre), 2), np.inf)
    high *= -1
    for axis, values in enumerate((u, v)):
        np.minimum.at(low[:, axis], piece, np.minimum.reduceat(values, starts))
        np.maximum.at(high[:, axis], piece, np.maximum.reduceat(values, starts))
    return low, high
