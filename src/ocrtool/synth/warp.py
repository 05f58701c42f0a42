"""Geometric distortion of a typeset line: rotation, curvature and perspective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

Random = np.random.Generator

MAX_ARC = 2.4
"""Maximum arc of a line on a circle, in radians: a little more than a third of the circle."""


@dataclass(frozen=True)
class InkMask:
    """Typeset ink on a sheet.

    Attributes:
        mask: (H, W) float32, coverage 0-1.
        box: Bounding box x0, y0, x1, y1 of the line's ink in pixels, origin top left.
        em: Type size in pixels.
    """

    mask: np.ndarray
    box: tuple[float, float, float, float]
    em: float


@dataclass(frozen=True)
class Pose:
    """Distribution of geometric distortions; shares are probabilities, spreads standard deviations.

    Attributes:
        flat: Share without distortion.
        degrees: Spread of the rotation in degrees.
        steep: Share rotated much further, regardless of length.
        arc: Share set on a circle.
        stretch: Spread of the logarithm of the width.
        slant: Spread of the shear of letters.
        rise: Spread of the shear of the baseline, as on a wall seen from the side.
        depth: Spreads of the perspective over the line's length and over the sheet's height.
        tilted: Share with perspective.
        wave: Share with wavy baselines.
        waves: Minimum and maximum number of waves over the sheet.
        swing: Spread of the wave amplitude in ems.
    """

    flat: float = 0.5
    degrees: float = 0.6
    steep: float = 0.0
    arc: float = 0.0
    stretch: float = 0.08
    slant: float = 0.03
    rise: float = 0.0
    depth: tuple[float, float] = (0.04, 0.03)
    tilted: float = 0.0
    wave: float = 0.25
    waves: tuple[float, float] = (0.3, 2.5)
    swing: float = 0.07


PAGE = Pose()
"""Distortions of scanned pages."""
PHOTO = Pose(flat=0.35, degrees=1.25, tilted=0.5)
"""Distortions of photographed pages."""
SIGN = Pose(
    flat=0.1,
    degrees=3.5,
    steep=0.15,
    arc=0.14,
    stretch=0.22,
    slant=0.12,
    rise=0.16,
    depth=(0.14, 0.11),
    tilted=1.0,
    wave=0.3,
    waves=(0.3, 1.2),
    swing=0.22,
)
"""Distortions of signs in scenes."""


def bend(rng: Random, sheet: InkMask, pose: Pose) -> InkMask:
    """Curve, rotate, slant, stretch and tilt the sheet, together with its box."""
    if rng.random() < pose.flat:
        return sheet
    mask, outline = sheet.mask, _outline(sheet.box)
    if rng.random() < pose.arc:
        mask, outline = _set_on_circle(rng, sheet, outline)
    turned = _turn(rng, mask, outline, sheet, pose)
    if turned is None:
        return sheet
    mask, outline = turned
    if rng.random() < pose.wave:
        mask, outline = _wave(rng, mask, outline, sheet.em, pose)
    (x0, y0), (x1, y1) = outline.min(0), outline.max(0)
    return InkMask(mask, (float(x0), float(y0), float(x1), float(y1)), sheet.em)


def _outline(box: tuple[float, float, float, float]) -> np.ndarray:
    """Return points (N, 2) along the upper and the lower edge of a box."""
    x0, y0, x1, y1 = box
    x = np.linspace(x0, x1, 17)
    return np.concatenate([np.c_[x, np.full(17, y0)], np.c_[x, np.full(17, y1)]])


def _set_on_circle(
    rng: Random, sheet: InkMask, outline: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Set the line along a circle, letters outward (an arch) or inward (a bowl)."""
    x0, y0, x1, y1 = sheet.box
    width = sheet.mask.shape[1]
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    arc = rng.uniform(0.3, MAX_ARC)
    radius = max((x1 - x0) / arc, 1.3 * (y1 - y0))
    outward = 1.0 if rng.random() < 0.65 else -1.0

    def forward(points: np.ndarray) -> np.ndarray:
        angle = (points[:, 0] - middle_x) / radius
        distance = radius - outward * (points[:, 1] - middle_y)
        x, y = distance * np.sin(angle), -outward * distance * np.cos(angle)
        return np.asarray(np.c_[x, y])

    curved = forward(outline)
    margin = 0.7 * sheet.em
    low = curved.min(0) - margin
    columns, rows = (int(n) for n in np.ceil(curved.max(0) + margin - low))
    x = np.arange(columns, dtype=np.float32)[None, :] + np.float32(low[0])
    y = -np.float32(outward) * (np.arange(rows, dtype=np.float32)[:, None] + np.float32(low[1]))
    angle = np.arctan2(x, y)
    map_x = middle_x + angle * radius
    map_y = middle_y + outward * (radius - np.hypot(x, y))
    # Beyond the ends of the sheet the circle would repeat it.
    map_x[(map_x < 0) | (map_x >= width)] = -9
    mask = cv2.remap(
        sheet.mask, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR
    )
    return mask, curved - low


def _turn(
    rng: Random, mask: np.ndarray, outline: np.ndarray, sheet: InkMask, pose: Pose
) -> tuple[np.ndarray, np.ndarray] | None:
    """Stretch, slant, rotate and tilt; None where the result would be too large."""
    height, width = mask.shape
    em, length = sheet.em, max(1.0, sheet.box[2] - sheet.box[0])
    if rng.random() < pose.steep and length < 9 * em:
        angle = np.clip(np.radians(rng.normal(0, 16)), -0.7, 0.7)
    else:
        limit = 1.6 * np.arctan(0.55 * em / length)  # the line must not leave its own crop
        angle = np.clip(np.radians(rng.normal(0, pose.degrees)), -limit, limit)
    stretch, slant = np.exp(rng.normal(0, pose.stretch)), rng.normal(0, pose.slant)
    rise = rng.normal(0, pose.rise) * min(1.0, 5 * em / length)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.array(
        [[stretch, -slant, 0], [rise * stretch, 1, 0], [0, 0, 1]]
    )
    if rng.random() < pose.tilted:
        matrix[2, 0] = rng.normal(0, pose.depth[0]) / length
        matrix[2, 1] = rng.normal(0, pose.depth[1]) / height
    centre_x, centre_y = (outline.min(0) + outline.max(0)) / 2
    matrix = matrix @ np.array([[1, 0, -centre_x], [0, 1, -centre_y], [0, 0, 1]])

    def move(points: np.ndarray) -> np.ndarray:
        moved = np.c_[points, np.ones(len(points))] @ matrix.T
        return np.asarray(moved[:, :2] / np.maximum(moved[:, 2:], 0.3))

    corners = move(np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64))
    low = corners.min(0)
    columns, rows = (int(n) for n in np.ceil(corners.max(0) - low))
    if columns > 4 * width + 64 or rows > 3 * height + 64:
        return None
    matrix = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]]) @ matrix
    warped = cv2.warpPerspective(mask, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    return np.asarray(warped), move(outline)


def _wave(
    rng: Random, mask: np.ndarray, outline: np.ndarray, em: float, pose: Pose
) -> tuple[np.ndarray, np.ndarray]:
    """Shift columns vertically by a sine."""
    rows, columns = mask.shape
    pace = 2 * np.pi * rng.uniform(*pose.waves) / max(1, columns)
    swing, phase = em * rng.normal(0, pose.swing), rng.uniform(0, 2 * np.pi)
    sag: Callable[[np.ndarray], np.ndarray] = lambda x: swing * np.sin(x * pace + phase)  # noqa: E731
    x = np.arange(columns, dtype=np.float32)
    map_y = np.arange(rows, dtype=np.float32)[:, None] - sag(x)[None, :]
    map_x = np.ascontiguousarray(np.broadcast_to(x[None, :], map_y.shape))
    bent = cv2.remap(mask, map_x, map_y.astype(np.float32), cv2.INTER_LINEAR)
    shifted = outline.copy()
    shifted[:, 1] += sag(outline[:, 0])
    return np.asarray(bent), shifted
