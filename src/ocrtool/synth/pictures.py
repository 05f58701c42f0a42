"""Non-text content of synthetic pages and scenes: rules, panels, photographs, drawings, codes.

Much of it resembles text (hatching, bricks, bar codes, leaves, railings), so that a detector
learns not to respond to it. Pictures are grey, 0-255.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from ocrtool.synth.degradations import field

Random = np.random.Generator
Image = np.ndarray
Point = tuple[float, float]

_MAX_SIDE = 700
"""Maximum side in pixels at which a picture is drawn; larger ones are enlarged."""
_OPAQUE = ("photo", "halftone", "stark", "qr", "bars")
_SHIFT = 4  # fractional bits of coordinates in OpenCV's drawing functions


@dataclass(frozen=True)
class Mark:
    """A graphic drawn on the page under its text.

    Attributes:
        kind: ``line`` through the points, ``panel`` (filled) or ``frame`` around them, ``picture``
            in the rectangle of the first two points.
        points: Points of the page, origin top left.
        level: Grey level, 0 to 255.
        width: Line width in points.
        style: Key of ``PICTURES`` for pictures.
        seed: Random seed of pictures.
    """

    kind: Literal["line", "panel", "frame", "picture"]
    points: tuple[Point, ...]
    level: float = 0.0
    width: float = 0.5
    style: str = ""
    seed: int = 0


def draw_mark(image: Image, mark: Mark, matrix: np.ndarray) -> None:
    """Draw a graphic into a uint8 image (H, W) in place; ``matrix`` maps points to pixels."""
    corners = np.asarray(mark.points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    if mark.kind == "picture":
        _draw_picture(image, mark, matrix, corners)
        return
    low, high = corners.min(0), corners.max(0)
    if (high < -9).any() or (low > np.array(image.shape[::-1]) + 9).any():
        return
    # OpenCV's integer coordinates are pixel centres.
    fixed = np.round((corners - 0.5) * (1 << _SHIFT)).astype(np.int32)
    if mark.kind == "panel":
        cv2.fillPoly(image, [fixed], mark.level, cv2.LINE_AA, _SHIFT)
        return
    width = mark.width * float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    # Lines thinner than a pixel are drawn lighter instead.
    x, y = np.clip(corners[0].astype(int), 0, np.array(image.shape[::-1]) - 1)
    under = float(image[y, x])
    level = mark.level + (under - mark.level) * max(0.0, 1 - width) * 0.8
    thick = max(1, round(width))
    cv2.polylines(image, [fixed], mark.kind == "frame", level, thick, cv2.LINE_AA, _SHIFT)


def _draw_picture(image: Image, mark: Mark, matrix: np.ndarray, corners: Image) -> None:
    (x0, y0), (x1, y1) = mark.points
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    width, height = (x1 - x0) * scale, (y1 - y0) * scale
    shrink = min(1.0, _MAX_SIDE / max(width, height, 1.0))
    shape = max(2, round(height * shrink)), max(2, round(width * shrink))
    picture = PICTURES[mark.style](np.random.default_rng(mark.seed), shape)
    place = np.array([[(x1 - x0) / shape[1], 0, x0], [0, (y1 - y0) / shape[0], y0], [0, 0, 1]])
    whole = np.vstack([matrix, [0, 0, 1]]) @ place
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if mark.style in _OPAQUE:
        cv2.warpAffine(
            picture, whole[:2], image.shape[::-1], dst=image, flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )  # fmt: skip
        return
    lying = cv2.warpAffine(picture, whole[:2], image.shape[::-1], borderValue=255.0)
    np.minimum(image, lying, out=image)


def photo(rng: Random, shape: tuple[int, int]) -> Image:
    """A pseudo-photograph: light, walls, foliage, tiles, railings, lamps, figures."""
    height, width = shape
    step = max(1, round(max(shape) / 300))  # the coarse parts are drawn small
    low = max(8, height // step), max(8, width // step)
    side = max(low)
    ground = rng.uniform(30, 220) + rng.uniform(5, 45) * field(rng, low, side / rng.uniform(1, 4))
    slope = np.linspace(-1, 1, low[0], dtype=np.float32)[:, None]
    ground = ground + rng.uniform(-50, 50) * slope
    for _ in range(int(rng.integers(3, 22))):
        part = _PARTS[int(rng.integers(len(_PARTS)))]
        mask = np.zeros(low, np.uint8)
        centre = rng.uniform(0, 1, 2) * (low[1], low[0])
        reach = side * np.exp(rng.uniform(np.log(0.04), np.log(0.6), 2))
        if rng.random() < 0.6:
            lean = rng.normal(0, 0.12, (4, 2)) * reach
            quad = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * reach / 2 + lean + centre
            cv2.fillPoly(mask, [quad.astype(np.int32)], 255, cv2.LINE_AA)
        else:
            x, y, a, b = (int(v) for v in (*centre, *(reach / 2)))
            cv2.ellipse(mask, (x, y), (a + 1, b + 1), rng.uniform(0, 180), 0, 360, 255, -1)
        x, y, wide, tall = cv2.boundingRect(mask)
        if wide < 2 or tall < 2:
            continue
        spot = (slice(y, y + tall), slice(x, x + wide))
        share = mask[spot].astype(np.float32) * np.float32(1 / 255)
        ground[spot] += (part(rng, (tall, wide)) - ground[spot]) * share
    image = cv2.resize(ground.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.8:
        image = image + rng.uniform(1, 9) * field(rng, shape, rng.uniform(1, 3))
    return np.asarray(image)


def _plain(rng: Random, shape: tuple[int, int]) -> Image:
    slope = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    return np.asarray(rng.uniform(0, 255) + rng.uniform(-60, 60) * slope + np.zeros(shape))


def _foliage(rng: Random, shape: tuple[int, int]) -> Image:
    leaves = field(rng, shape, rng.uniform(1.5, 5)) + 0.7 * field(rng, shape, rng.uniform(5, 20))
    return np.asarray(rng.uniform(30, 160) + rng.uniform(15, 55) * leaves)


def _bars(rng: Random, shape: tuple[int, int]) -> Image:
    """Railings, shelves, blinds, corrugated walls."""
    pitch = rng.uniform(3, 24)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    along = x if rng.random() < 0.5 else y
    wave = np.sin((along + rng.normal(0, 0.1) * (x + y)) * np.float32(2 * np.pi / pitch))
    wave = np.clip(wave * rng.uniform(1, 8), -1, 1)
    return np.asarray(rng.uniform(60, 200) + rng.uniform(10, 80) * wave)


def _tiles(rng: Random, shape: tuple[int, int]) -> Image:
    """Bricks, tiles, rows of windows: blocks of individual shades with joints."""
    high = rng.uniform(4, 40)
    wide = high * rng.uniform(0.7, 3.0)
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :] * 1.0
    row = (y / high).astype(np.int32)
    bond = 0.5 * wide if rng.random() < 0.5 else 0.0
    x = x + bond * (row % 2)
    column = (x / wide).astype(np.int32)
    shades = rng.standard_normal((int(row.max()) + 1, int(column.max()) + 1), dtype=np.float32)
    joint = ((y % high) < max(1, 0.1 * high)) | ((x % wide) < max(1, 0.06 * wide))
    wall = rng.uniform(40, 210) + rng.uniform(3, 40) * shades[row, column]
    return np.asarray(np.where(joint, rng.uniform(0, 255), wall))


def _lamps(rng: Random, shape: tuple[int, int]) -> Image:
    image = np.full(shape, rng.uniform(10, 90), np.uint8)
    for _ in range(int(rng.integers(2, 20))):
        x, y = int(rng.integers(shape[1])), int(rng.integers(shape[0]))
        cv2.circle(image, (x, y), int(rng.integers(1, 10)), int(rng.integers(180, 256)), -1)
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 3))
    return np.asarray(soft, np.float32)


_PARTS: list[Callable[[Random, tuple[int, int]], Image]] = [
    _plain, _plain, _plain, _foliage, _bars, _tiles, _lamps,
]  # fmt: skip


def halftone(rng: Random, shape: tuple[int, int]) -> Image:
    """A halftone photograph: dots of varying size."""
    image = photo(rng, shape)
    angle, pitch = rng.uniform(0, np.pi / 2), rng.uniform(2.2, 6)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    turn = np.float32(2 * np.pi / pitch)
    screen = 128 + 60 * (np.cos(u * turn) + np.cos(v * turn))
    return np.asarray(np.clip(128 + (image - screen) * 3, 0, 255))


def stark(rng: Random, shape: tuple[int, int]) -> Image:
    """A photograph after a bitonal copier: black and white areas."""
    image = photo(rng, shape) + rng.uniform(0, 25) * field(rng, shape, 2.0)
    return np.asarray(np.where(image > np.percentile(image, rng.uniform(30, 80)), 255.0, 0.0))


def drawing(rng: Random, shape: tuple[int, int]) -> Image:
    """A pen drawing: outlines, hatching, circles."""
    height, width = shape
    image = np.full(shape, 255, np.uint8)
    thick = max(1, round(max(shape) / rng.uniform(150, 500)))
    for _ in range(int(rng.integers(4, 26))):
        kind = rng.random()
        centre = rng.uniform(0.1, 0.9, 2) * (width, height)
        reach = rng.uniform(0.03, 0.4) * min(shape)
        x, y = (int(v) for v in centre)
        if kind < 0.3:
            walk = np.cumsum(rng.normal(0, 0.25, (int(rng.integers(3, 30)), 2)), 0) * reach
            points = (centre + walk).astype(np.int32)
            cv2.polylines(image, [points], rng.random() < 0.3, 0, thick, cv2.LINE_AA)
        elif kind < 0.5:
            axes = (int(reach) + 1, int(reach * rng.uniform(0.3, 1)) + 1)
            cv2.ellipse(image, (x, y), axes, rng.uniform(0, 180), 0, 360, 0, thick, cv2.LINE_AA)
        elif kind < 0.7:
            end = (int(x + reach), int(y + reach * rng.uniform(0.2, 1)))
            cv2.rectangle(image, (x, y), end, 0, thick, cv2.LINE_AA)
        else:  # hatching
            lean, gap = rng.uniform(-1, 1), max(2.0, thick * rng.uniform(2, 5))
            for i in range(int(reach / gap)):
                a = (int(x + i * gap), y)
                b = (int(x + i * gap + lean * reach), int(y + reach * rng.uniform(0.6, 1)))
                cv2.line(image, a, b, 0, thick, cv2.LINE_AA)
    return image.astype(np.float32)


def chart(rng: Random, shape: tuple[int, int]) -> Image:
    """Axes with bars, curves or points; labels are added by the caller."""
    height, width = shape
    image = np.full(shape, 255, np.uint8)
    thick = max(1, round(max(shape) / 400))
    left, foot = int(0.08 * width), int(0.92 * height)
    if rng.random() < 0.5:
        for y in np.linspace(0.06 * height, foot, int(rng.integers(3, 9))).astype(int):
            cv2.line(image, (left, int(y)), (width - 2, int(y)), int(rng.integers(140, 225)), 1)
    cv2.line(image, (left, 2), (left, foot), 0, thick)
    cv2.line(image, (left, foot), (width - 2, foot), 0, thick)
    count = int(rng.integers(3, 16))
    x = np.linspace(left + 0.06 * width, 0.95 * width, count)
    for _ in range(int(rng.integers(1, 4))):
        heights = foot - np.abs(rng.normal(0.4, 0.2, count)).clip(0.02, 0.88) * height
        level = int(rng.integers(0, 190))
        points = np.stack([x, heights], 1).astype(np.int32)
        kind = rng.random()
        if kind < 0.4:
            half = max(1, int(0.3 * (x[1] - x[0])))
            for px, py in points.tolist():
                cv2.rectangle(image, (px - half, py), (px + half, foot - 1), level, -1)
        elif kind < 0.8:
            cv2.polylines(image, [points], False, level, thick, cv2.LINE_AA)
        if kind > 0.6:
            for px, py in points.tolist():
                cv2.circle(image, (px, py), 2 * thick, level, -1, cv2.LINE_AA)
    return image.astype(np.float32)


def qr(rng: Random, shape: tuple[int, int]) -> Image:
    """A square 2D code."""
    count = int(rng.integers(21, 45))
    cells = (rng.random((count, count)) < 0.5).astype(np.float32) * 255
    for y, x in ((0, 0), (0, count - 7), (count - 7, 0)):
        cells[y : y + 7, x : x + 7] = 0
        cells[y + 1 : y + 6, x + 1 : x + 6] = 255
        cells[y + 2 : y + 5, x + 2 : x + 5] = 0
    return np.asarray(cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_NEAREST))


def bars(rng: Random, shape: tuple[int, int]) -> Image:
    """A bar code."""
    row = (rng.random((1, int(rng.integers(40, 110)))) < 0.5).astype(np.float32) * 255
    return np.asarray(cv2.resize(row, shape[::-1], interpolation=cv2.INTER_NEAREST))


def logo(rng: Random, shape: tuple[int, int]) -> Image:
    """An emblem of a few bold shapes."""
    height, width = shape
    image = np.full(shape, 255, np.uint8)
    for _ in range(int(rng.integers(2, 7))):
        points = (rng.uniform(0.05, 0.95, (int(rng.integers(3, 7)), 2)) * (width, height)).astype(
            np.int32
        )
        level = int(rng.choice([0, 60, 130, 255]))
        if rng.random() < 0.5:
            cv2.fillPoly(image, [cv2.convexHull(points)], level, cv2.LINE_AA)
        else:
            x, y = points[0].tolist()
            cv2.circle(image, (x, y), max(2, int(0.2 * min(shape))), level, -1, cv2.LINE_AA)
    return image.astype(np.float32)


def scrawl(rng: Random, shape: tuple[int, int]) -> Image:
    """A signature or illegible handwritten note."""
    height, width = shape
    image = np.full(shape, 255, np.uint8)
    count = int(rng.integers(8, 26))
    x = np.linspace(0.03 * width, 0.95 * width, count) + rng.normal(0, 0.02 * width, count)
    y = (0.5 + rng.normal(0, 0.2, count)) * height
    t = np.linspace(0, count - 1, 12 * count)
    curve = np.stack([np.interp(t, np.arange(count), v) for v in (x, y)])
    kernel = np.ones(11) / 11
    smooth = np.stack([np.convolve(v, kernel, "valid") for v in curve], 1).astype(np.int32)
    thick = max(1, round(height * rng.uniform(0.015, 0.05)))
    cv2.polylines(image, [smooth], False, 0, thick, cv2.LINE_AA)
    return image.astype(np.float32)


def stamp(rng: Random, shape: tuple[int, int]) -> Image:
    """A worn, rotated office stamp: frames or rings with illegible content."""
    height, width = shape
    image = np.full(shape, 255, np.uint8)
    level, thick = int(rng.integers(40, 160)), max(1, round(min(shape) / 45))
    centre = (width // 2, height // 2)
    ring = rng.random() < 0.5
    for inset in (0.04, 0.12 if ring else 0.08):
        if ring:
            axes = (int(width * (0.5 - inset)), int(height * (0.5 - inset)))
            cv2.ellipse(image, centre, axes, 0, 0, 360, level, thick, cv2.LINE_AA)
        else:
            a, b = int(width * inset), int(height * inset)
            cv2.rectangle(image, (a, b), (width - a, height - b), level, thick, cv2.LINE_AA)
    for row in (0.35, 0.65):
        y, tall = int(height * row), max(2, int(0.06 * height))
        for x in range(int(0.25 * width), int(0.75 * width), max(2, tall)):
            end = (x + int(rng.integers(0, tall)), y + int(rng.integers(-tall, tall + 1)))
            cv2.line(image, (x, y), end, level, thick, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D(centre, rng.uniform(-20, 20), 0.9)
    turned = cv2.warpAffine(image, turn, (width, height), borderValue=255.0).astype(np.float32)
    worn = field(rng, shape, max(2.0, 0.04 * min(shape)))
    return np.where(worn > rng.uniform(0.4, 2.5), 255.0, turned)


PICTURES: dict[str, Callable[[Random, tuple[int, int]], Image]] = {
    "photo": photo,
    "halftone": halftone,
    "stark": stark,
    "drawing": drawing,
    "chart": chart,
    "qr": qr,
    "bars": bars,
    "logo": logo,
    "scrawl": scrawl,
    "stamp": stamp,
}
"""Kinds of pictures: each a function of a random generator and a shape (H, W)."""
