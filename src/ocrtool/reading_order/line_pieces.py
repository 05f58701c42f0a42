"""Splitting and joining of lines together with their words and styles."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, straight_boxes
from ocrtool.document.tree import Line, Quad, Span, Word
from ocrtool.reading_order.columns import row_sizes
from ocrtool.reading_order.xy_cut import line_height


def words_at(line: Line) -> list[tuple[int, int]] | None:
    """Return start and end of each word in the text of a line; nothing if a word is missing."""
    places: list[tuple[int, int]] = []
    at = 0
    for word in line.words:
        start = line.text.find(word.text, at)
        if start < 0:
            return None
        at = start + len(word.text)
        places.append((start, at))
    return places


def cut(line: Line, first: int, last: int) -> Line:
    """Return the part of a line from word ``first`` to before word ``last``."""
    words = line.words[first:last]
    if len(words) == len(line.words):
        return line
    places = words_at(line)
    letters = max(1, sum(len(word.text) for word in line.words))
    share = sum(len(word.text) for word in words) / letters
    one, two = words[0].quad, words[-1].quad
    text, spans = " ".join(word.text for word in words), []
    if places is not None:
        start, end = places[first][0], places[last - 1][1]
        text = line.text[start:end]
        for span in line.spans:
            a, b = max(span.start, start) - start, min(span.end, end) - start
            if a < b:
                spans.append(replace(span, start=a, end=b))
    return replace(
        line,
        text=text,
        confidence=line.confidence**share,
        quad=(one[0], two[1], two[2], one[3]),
        words=words,
        spans=tuple(spans),
    )


def joined(lines: Sequence[Line], between: str = " ") -> Line:
    """Return the pieces of a line as one line, their texts joined by ``between``."""
    if len(lines) == 1:
        return lines[0]
    text, spans = "", []
    for line in lines:
        start = len(text) + len(between) if text else 0
        text = f"{text}{between}{line.text}" if text else line.text
        spans += [replace(s, start=s.start + start, end=s.end + start) for s in line.spans]
    confidence = 1.0
    for line in lines:
        confidence *= line.confidence
    longest = max(lines, key=lambda line: len(line.text))
    words = tuple(word for line in lines for word in line.words)
    if not between and lines[0].words and lines[1].words:  # a word is split between two lines
        words = _joined_words(lines)
    return replace(
        longest,
        text=text,
        confidence=confidence,
        quad=_around(lines, longest),
        words=words,
        spans=_merged(spans),
    )


def style(line: Line, name: str) -> float:
    """Return the share of a line's characters that are ``bold``, ``italic`` or ``mono``."""
    letters = sum(not c.isspace() for c in line.text)
    inside = sum(
        not c.isspace()
        for span in line.spans
        if getattr(span, name)
        for c in line.text[span.start : span.end]
    )
    return inside / letters if letters else 0.0


def _joined_words(lines: Sequence[Line]) -> tuple[Word, ...]:
    words = list(lines[0].words)
    for line in lines[1:]:
        head, *rest = line.words
        last = words[-1]
        quad = (last.quad[0], head.quad[1], head.quad[2], last.quad[3])
        words[-1] = replace(last, text=last.text + head.text, quad=quad)
        words += rest
    return tuple(words)


def _around(lines: Sequence[Line], longest: Line) -> Quad:
    """Return the corners of joined lines: as long as all of them, as high as the longest."""
    one, two = lines[0].quad, lines[-1].quad
    if abs(longest.quad[0][1] - longest.quad[1][1]) < 0.5:  # horizontal
        top, foot = longest.quad[0][1], longest.quad[3][1]
        left = min(line.quad[0][0] for line in lines)
        right = max(line.quad[1][0] for line in lines)
        return (left, top), (right, top), (right, foot), (left, foot)
    return one[0], two[1], two[2], one[3]


def _merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Join equal spans with at most one character between them."""
    found: list[Span] = []
    for span in spans:
        last = found[-1] if found else None
        if (
            last
            and span.start - last.end <= 1
            and replace(last, start=0, end=0) == replace(span, start=0, end=0)
        ):
            found[-1] = replace(last, end=span.end)
        else:
            found.append(span)
    return tuple(found)


SPACES = (0.75, 3.0)
"""Minimum and maximum width of a space at which a line may be split, in line heights; a line with a
wider space is a row of cells."""
MIN_SPACE_RATIO = 1.4
"""Minimum ratio of such a space to the median of the other spaces of the line."""
MIN_GUTTER = 0.6
"""Minimum width of the white strip that continues above or below, in line heights."""
MIN_LINES = 4
"""Minimum number of lines that start right of the strip, and that end left of it."""
MIN_LENGTH = 5.0
"""Minimum median length of those lines on either side, in line heights; shorter ones may be cells.
If a part of the line itself is shorter, twice as many lines are required."""
MAX_DISTANCE = 2.5
"""Maximum distance from the strip to the start of those lines, in line heights."""


@dataclass(frozen=True)
class _Words:
    """The M words of a page; a piece is a part of a line without a wide space.

    Attributes:
        boxes: (M, 4) upright boxes.
        first: (M,) whether the word starts a piece.
        last: (M,) whether it ends one.
        length: (M,) length of its piece, in pixels.
        height: Common line height in pixels.
    """

    boxes: Boxes
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    length: NDArray[np.float32]
    height: float


def split_lines(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of an upright page, those across a gutter split into their parts."""
    counts = [len(line.words) for line in lines]
    if not lines or max(counts) < 2:
        return list(lines)
    boxes, _ = straight_boxes([word.quad for line in lines for word in line.words])
    ends = np.cumsum(counts)
    starts = ends - counts
    heights = boxes[:, 3] - boxes[:, 1]
    spaces = np.zeros(len(boxes), np.float32)  # after each word
    spaces[:-1] = np.maximum(boxes[1:, 0] - boxes[:-1, 2], 0)
    spaces[ends[ends > 0] - 1] = 0
    wide = spaces > SPACES[0] * heights
    # A word beside a wide space may start or end a line of a column.
    first, last = np.roll(wide, 1), wide.copy()
    first[starts[starts < len(boxes)]] = True
    last[ends[ends > 0] - 1] = True
    piece = np.cumsum(first) - 1
    length = (boxes[last, 2] - boxes[first, 0])[piece]
    words = _Words(boxes, first, last, length, line_height(boxes))
    parted: list[Line] = []
    for line, start, end in zip(lines, starts.tolist(), ends.tolist(), strict=True):
        cuts = []
        for k in np.flatnonzero(wide[start : max(start, end - 1)]).tolist():
            others = np.delete(spaces[start : end - 1], k)
            usual = float(np.median(others)) if len(others) else 0.0
            space = spaces[start + k]
            left = boxes[start + k, 2] - boxes[start, 0]
            right = boxes[end - 1, 2] - boxes[start + k + 1, 0]
            rows = MIN_LINES if min(left, right) > MIN_LENGTH * words.height else 2 * MIN_LINES
            if MIN_SPACE_RATIO * usual < space < SPACES[1] * heights[start + k] and _is_gutter(
                words, start + k, rows
            ):
                cuts.append(k + 1)
        places = itertools.pairwise((0, *cuts, len(line.words)))
        parted += [cut(line, start, end) for start, end in places]
    return parted


def _is_gutter(words: _Words, index: int, rows: int) -> bool:
    """Tell whether the space after a word continues through the lines above or below.

    Args:
        words: All words of the page.
        index: Index of the word before the space.
        rows: Minimum number of lines on either side of the gutter.
    """
    boxes, height = words.boxes, words.height
    left, right = float(boxes[index, 2]), float(boxes[index + 1, 0])
    top, foot = float(boxes[index, 1]), float(boxes[index, 3])
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    core = MIN_GUTTER * height
    # The left edge of a column is straighter than the right one, so it is tried first.
    for x0 in (right - core - 0.1 * height, (left + right - core) / 2, left + 0.1 * height):
        x1 = x0 + core
        inside = (boxes[:, 0] < x1) & (boxes[:, 2] > x0)
        above, below = middles[inside & (middles < top)], middles[inside & (middles > foot)]
        high = above.max() if len(above) else -np.inf
        low = below.min() if len(below) else np.inf
        beside = (middles > high) & (middles < low)
        on_right = beside & words.first & (boxes[:, 0] >= x1 - 0.2 * height)
        on_right &= boxes[:, 0] < x1 + MAX_DISTANCE * height
        on_left = beside & words.last & (boxes[:, 2] <= x0 + 0.2 * height)
        if all(
            side.any()
            and len(row_sizes(middles[side], height)) >= rows
            and np.median(words.length[side]) >= MIN_LENGTH * height
            for side in (on_left, on_right)
        ):
            return True
    return False
