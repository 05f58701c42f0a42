"""Maps of the detector to lines and regions.

A connected part of the kernel map is a line. Its pixels give the middle of the line and its
length; how high the line is and which way it is read stand in two other maps. Everything that
touches pixels is done for all components at once: a page of a hundred lines takes milliseconds.

Coordinates are continuous: pixel k covers k to k + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import DetectedLayout, FoundLine, Region, RegionKind
from ocrtool.document.tree import Box, Quad

KERNEL_STRIDE = 2
"""Pixels of the image in one of the kernel map."""
STRIDE = 4
"""Pixels of the image in one of the other maps."""
KERNEL_HEIGHT = 0.5
"""Height of a kernel as a share of its line's."""
KERNEL_INSET = 0.15
"""What a kernel is short of at each end, as a share of its line's shorter side."""
LEAST_KERNEL = 4.0
"""Least height and length of a kernel in pixels of the image."""
HEIGHT_UNIT = 16.0
"""Pixels; line heights are told as base-2 logarithms in this unit."""

LEVELS = (0.4, 0.6, 0.8)
"""Probabilities at which kernels are cut out. Where one level leaves two lines in one piece, the
next is tried on that piece."""
THICK = 1.6
"""A piece with so many times the area that a line of its length would have is more than one."""
MIN_CONFIDENCE = 0.5
INNER = 0.7
"""Share of a line's box within that of a larger one from which it is but a speck of that line."""
MIN_LENGTH = 3.0
"""Least length of a line in pixels."""
LONG = 2.0
"""Length of a kernel, in its heights, from which its own axis tells its tilt."""
TURN_LIMIT = np.cos(np.radians(30))
"""A kernel's axis further from the direction map than this is that of a single tall letter."""
REGION_LEVEL = 0.5
MIN_REGION = 24.0
"""Least longer side of a region in pixels."""

REGION_KINDS: tuple[RegionKind, ...] = get_args(RegionKind)
"""Kinds in the order of the region maps."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Maps:
    """What the detector sees of an image of height H and width W.

    Attributes:
        kernel: (H/2, W/2) probability of being in the kernel of a line.
        geometry: (3, H/4, W/4): x and y of the reading direction, base-2 logarithm of the line's
            height in units of 16 pixels.
        regions: (4, H/4, W/4) probabilities, in the order of ``REGION_KINDS``.
    """

    kernel: FloatArray
    geometry: FloatArray
    regions: FloatArray


def find_layout(maps: Maps, scale: tuple[float, float] = (1.0, 1.0)) -> DetectedLayout:
    """Turn maps into lines and regions.

    Args:
        maps: What the detector sees.
        scale: Pixels of the wanted coordinates in one pixel of the detector's image, in x and y.
    """
    return DetectedLayout(tuple(find_lines(maps, scale)), tuple(find_regions(maps, scale)))


def find_lines(maps: Maps, scale: tuple[float, float] = (1.0, 1.0)) -> list[FoundLine]:
    """Turn the kernel and geometry maps into lines; see ``find_layout``."""
    quads: list[FloatArray] = []
    scores: list[FloatArray] = []
    rest: NDArray[np.bool_] | None = None
    for level in LEVELS:
        binary = maps.kernel > level
        if rest is not None:
            binary &= rest
        pieces = _measure(maps, binary.view(np.uint8))
        thick = pieces.thick if level != LEVELS[-1] else np.zeros_like(pieces.thick)
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
    keep = ~_inner(corners)
    corners = corners[keep] * np.asarray(scale, np.float32)
    return [
        FoundLine(cast(Quad, tuple(map(tuple, quad))), min(1.0, confidence))
        for quad, confidence in zip(corners.tolist(), confidences[keep].tolist(), strict=True)
    ]


def _inner(quads: FloatArray) -> NDArray[np.bool_]:
    """Which of the quads (N, 4, 2) lie within a larger one: specks within a line."""
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
            inner[i] = common > INNER * areas[i]
    return inner


def find_regions(maps: Maps, scale: tuple[float, float] = (1.0, 1.0)) -> list[Region]:
    """Turn the region maps into boxes; see ``find_layout``."""
    found = []
    for kind, probabilities in zip(REGION_KINDS, maps.regions, strict=True):
        binary = (probabilities > REGION_LEVEL).view(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(binary, ltype=cv2.CV_32S)
        if count == 1:
            continue
        sums = np.bincount(labels.ravel(), probabilities.ravel(), count)
        for label in range(1, count):
            x, y, width, height, area = (int(value) for value in stats[label])
            if max(width, height) * STRIDE < MIN_REGION:
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
class _Pieces:
    """The N connected pieces of a binary kernel map.

    Attributes:
        labels: (H/2, W/2) int32, 0 for none, else the number of the piece plus one.
        quads: (N, 4, 2) corners of the lines in reading direction, in pixels of the image.
        scores: (N,) mean probability.
        thick: (N,) whether it seems to be more than one line.
    """

    labels: NDArray[np.int32]
    quads: FloatArray
    scores: FloatArray
    thick: NDArray[np.bool_]


def _measure(maps: Maps, binary: NDArray[np.uint8]) -> _Pieces:
    """Find the pieces of a binary map and the lines that they stand for."""
    count, found = cv2.connectedComponents(binary, connectivity=8, ltype=cv2.CV_32S)
    labels = cast(NDArray[np.int32], found)
    if count == 1:
        return _Pieces(
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
    direction = _axes(direction, xx, xy, yy)
    # Lengths come from the outline, in the directions along (u) and across (v) each line.
    low, high = _extents(binary, labels, direction, centre)
    size = (high - low + 1.0) * KERNEL_STRIDE
    kernel_length, kernel_height = np.maximum(size, LEAST_KERNEL).T
    short = 1.0 - 2 * KERNEL_INSET
    length = np.where(
        kernel_length >= short * height,
        kernel_length + 2 * KERNEL_INSET * height,
        kernel_length / short,
    )
    expected = np.maximum(KERNEL_HEIGHT * height, LEAST_KERNEL)
    # A kernel that is no thicker than it should be but takes more room is bent: so is the line.
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
    thick = bent & (area > THICK * expected * kernel_length)
    return _Pieces(
        labels,
        quads.astype(np.float32),
        (total * KERNEL_STRIDE**2 / area).astype(np.float32),
        thick,
    )


def _geometry(
    maps: Maps, labels: NDArray[np.int32], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean reading direction (N, 2), of unit length, and height (N,) in pixels of each piece."""
    pairs = np.maximum(labels[::2], labels[1::2])
    coarse = np.maximum(pairs[:, ::2], pairs[:, 1::2])
    places = np.flatnonzero(coarse)
    owner = coarse.ravel()[places]
    sums = [
        np.bincount(owner, channel.ravel()[places], count)[1:].astype(np.float64)
        for channel in maps.geometry
    ]
    # A piece may own no place where another reaches into all of its own; it is told flat.
    number = np.maximum(np.bincount(owner, minlength=count)[1:], 1)
    norm = np.hypot(sums[0], sums[1])
    flat = norm < 1e-6
    direction = np.stack((sums[0], sums[1]), axis=1) / np.maximum(norm, 1e-6)[:, None]
    direction[flat] = (1.0, 0.0)
    return direction, HEIGHT_UNIT * np.exp2(np.clip(sums[2] / number, -3.0, 8.0))


def _axes(
    direction: NDArray[np.float64],
    xx: NDArray[np.float64],
    xy: NDArray[np.float64],
    yy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Refine directions (N, 2) by the main axes of the pieces, where these are long enough."""
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    axis = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    agreement = (axis * direction).sum(axis=1)
    spread = np.hypot(0.5 * (xx - yy), xy)
    middle = 0.5 * (xx + yy)
    long = middle + spread > LONG**2 * (middle - spread + 1 / 12)
    use = long & (np.abs(agreement) > TURN_LIMIT)
    axis *= np.where(agreement < 0, -1.0, 1.0)[:, None]
    return np.where(use[:, None], axis, direction)


def _extents(
    binary: NDArray[np.uint8],
    labels: NDArray[np.int32],
    direction: NDArray[np.float64],
    centre: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest u and v (N, 2) of the pixel centres of each piece, from its centre."""
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
