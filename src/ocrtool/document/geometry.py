"""Where lines and words stand on a page that may lie a little askew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import Rule
from ocrtool.document.tree import Box, Line, Point, Quad, Word

_Float = TypeVar("_Float", bound=np.floating)
Boxes = NDArray[np.float32]
"""(N, 4) boxes x0, y0, x1, y1 in pixels."""

MOST_SKEW = 10.0
"""Degrees; a page that lies further askew than this has been straightened before, or never was."""


def straight_boxes(
    quads: Sequence[Quad], areas: Sequence[Box] = ()
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Turn lines so that most of them are level, and return upright boxes.

    Args:
        quads: Corners of lines in reading direction, in pixels, origin top left.
        areas: Upright boxes of other parts of the page, turned along with the lines.

    Returns:
        (N, 4) and (M, 4) x0, y0, x1, y1 in pixels, of the lines and of the other parts.
    """
    corners = np.array(quads, np.float64).reshape(-1, 4, 2)
    others = np.array(
        [[(b.x0, b.y0), (b.x1, b.y0), (b.x1, b.y1), (b.x0, b.y1)] for b in areas], np.float64
    ).reshape(-1, 4, 2)
    angle = skew(corners)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    corners, others = corners @ turn, others @ turn
    # The mean of two corners, not the outermost: what tilt is left must not make lines taller.
    low = np.stack((corners[:, (0, 3), 0].mean(axis=1), corners[:, (0, 1), 1].mean(axis=1)), axis=1)
    high = np.stack(
        (corners[:, (1, 2), 0].mean(axis=1), corners[:, (2, 3), 1].mean(axis=1)), axis=1
    )
    along = corners[:, 1] - corners[:, 0]
    level = along[:, 0] > 2 * np.abs(along[:, 1])  # the others run up, down or upside down
    low[~level], high[~level] = corners[~level].min(axis=1), corners[~level].max(axis=1)
    lines = np.concatenate((low, np.maximum(high, low + 1)), axis=1)
    return lines.astype(np.float32), quad_boxes(others).astype(np.float32)


def straight_rules(rules: Sequence[Rule], quads: Sequence[Quad]) -> list[Rule]:
    """Turn rules as :func:`straight_boxes` turns the lines of their page.

    Args:
        rules: In pixels.
        quads: Corners of all lines.
    """
    angle = skew(np.array(quads, np.float64).reshape(-1, 4, 2))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    ends = np.array([((r.x0, r.y0), (r.x1, r.y1)) for r in rules], np.float64).reshape(-1, 2, 2)
    turned = (ends @ turn).reshape(-1, 4).tolist()
    return [
        Rule(x0, y0, x1, y1, rule.width)
        for (x0, y0, x1, y1), rule in zip(turned, rules, strict=True)
    ]


def skew(corners: NDArray[np.float64]) -> float:
    """Return the angle in radians, clockwise, at which most text lies; 0 where it is no skew.

    Args:
        corners: (N, 4, 2) corners of lines in reading direction, in pixels.
    """
    along = (corners[:, 1] + corners[:, 2] - corners[:, 0] - corners[:, 3]) / 2
    angles = np.arctan2(along[:, 1], along[:, 0])
    lengths = np.hypot(along[:, 0], along[:, 1])
    near = np.abs(angles) < math.radians(MOST_SKEW)
    if not near.any() or lengths[near].sum() < 0.5 * lengths.sum():
        return 0.0
    order = np.argsort(angles[near])
    weights = np.cumsum(lengths[near][order])
    return float(angles[near][order][np.searchsorted(weights, weights[-1] / 2)])


def usual_height(lines: Sequence[Line]) -> float:
    """Return the height of most upright lines, in pixels; 0 where there are none."""
    heights = sorted(line.quad[3][1] - line.quad[0][1] for line in lines)
    return heights[len(heights) // 2] if heights else 0.0


def part_of(quad: Quad, start: float, end: float) -> Quad:
    """Return the part of a line between two places along it, 0 at its start and 1 at its end."""
    a, b, c, d = quad
    return _between(a, b, start), _between(a, b, end), _between(d, c, end), _between(d, c, start)


def hull(boxes: NDArray[np.floating]) -> Box:
    """Return the bounding box of (N, 4) boxes x0, y0, x1, y1; N is at least 1."""
    return Box(*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())


def quad_boxes(quads: Sequence[Quad] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (N, 4) bounding boxes of quads."""
    corners = np.asarray(quads, np.float64).reshape(-1, 4, 2)
    return np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)


def runs_of(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and end of the runs of true values in (N,) flags."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2)
    return [(start, end) for start, end in edges.tolist()]


def centers(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the (N, 2) centres of (N, 4) boxes."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def points_inside(points: NDArray[np.floating], box: Box, margin: float = 0.0) -> NDArray[np.bool_]:
    """Return which of (N, 2) points lie inside a box, or less than ``margin`` pixels outside."""
    x, y = points[:, 0], points[:, 1]
    inside = (x > box.x0 - margin) & (x < box.x1 + margin)
    return np.asarray(inside & (y > box.y0 - margin) & (y < box.y1 + margin))


def shared_areas(box: Box, boxes: NDArray[_Float]) -> NDArray[_Float]:
    """Return the area in square pixels that a box shares with each of (N, 4) others."""
    low = np.maximum(boxes[:, :2], (box.x0, box.y0))
    high = np.minimum(boxes[:, 2:], (box.x1, box.y1))
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=1), boxes.dtype)


def _between(a: Point, b: Point, place: float) -> Point:
    return a[0] + (b[0] - a[0]) * place, a[1] + (b[1] - a[1]) * place


DESCENDING = frozenset("gjpqyQçşţģķļņŋµ§,;()[]{}|/@$")
"""Letters that reach below the baseline in most faces."""
ASCENDING = frozenset("bdfhkltij!?'\"()[]{}|/@$&%#§ßþð0123456789")
"""Small letters and signs that reach as high as capitals, near enough."""
DESCENT = 0.22
"""Share of a line's height below the baseline where it has both ascenders and descenders."""
SMALL_DESCENT = 0.31
"""The same where nothing is higher than an x."""


def is_upright(quad: Quad) -> bool:
    """Tell whether a quad is its own bounds: reads left to right without any slope."""
    box = Box.of(quad)
    corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
    return all(math.dist(a, b) < 0.5 for a, b in zip(quad, corners, strict=True))


def angle(quad: Quad) -> float:
    """Return how far a quad's reading direction is turned, counter-clockwise, -180 to 180°."""
    x, y = direction(quad)
    return math.degrees(math.atan2(-y, x)) or 0.0  # no -0.0


def direction(quad: Quad) -> Point:
    """Return the reading direction as a vector of length 1."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad
    x, y = bx - ax + cx - dx, by - ay + cy - dy
    length = math.hypot(x, y)
    return (x / length, y / length) if length else (1.0, 0.0)


def height(quad: Quad) -> float:
    """Return the mean distance of foot and head, at least one pixel."""
    return max(1.0, (math.dist(quad[0], quad[3]) + math.dist(quad[1], quad[2])) / 2)


def baseline(line: Line) -> tuple[Point, Point]:
    """Estimate where the letters of a line stand: from below the first to below the last.

    The quad is tight round the ink, so where its foot is depends on which letters there are.
    """
    letters = set(line.text)
    descent = 0.0
    if letters & DESCENDING:
        tall = letters & ASCENDING or any(letter.isupper() for letter in letters)
        descent = DESCENT if tall else SMALL_DESCENT
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = line.quad
    start = (dx + descent * (ax - dx), dy + descent * (ay - dy))
    return start, (cx + descent * (bx - cx), cy + descent * (by - cy))


def words_of(line: Line) -> Sequence[Word]:
    """Return a line's words; where it has only a text, its parts, placed by their length."""
    if line.words or not line.text.strip():
        return line.words
    words, position = [], 0
    for text in line.text.split():
        start = line.text.index(text, position)
        position = start + len(text)
        quad = part_of(line.quad, start / len(line.text), position / len(line.text))
        words.append(Word(text, line.confidence, quad))
    return words
