"""What writers need to know of quads and lines; pixels, origin top left, y down."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ocrtool.document.geometry import part_of
from ocrtool.document.tree import Box, Line, Point, Quad, Word

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
