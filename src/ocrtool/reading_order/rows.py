"""Text rows of a page: lines side by side, and measures of their type."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, straight_boxes
from ocrtool.document.patterns import ITEM_MARK
from ocrtool.document.tree import Line, Quad, Span, Word
from ocrtool.reading_order.columns import middle, row_sizes
from ocrtool.reading_order.xy_cut import line_height, rows

MAX_WRAPPED_PITCH = 1.6
"""Maximum baseline distance of a wrapped line to the one above it, in line heights."""
MIN_CELL_GAP = 1.1
"""Minimum space between cells of a row, in line heights."""
MIN_BODY_SHARE = 0.6
"""Minimum share of the characters of a page in the style of its body text."""
TALL = re.compile(r"[A-Z0-9bdfhklt\u00c0-\u00de()\[\]/|]")
DEEP = re.compile(r"[gjpqy,;()\[\]/|]")


@dataclass(frozen=True)
class Metrics:
    """Measures of the body text of a page.

    Attributes:
        height: Common line height in pixels.
        advance: Median width of a character in pixels.
        size: Median type size in pixels; see `type_size`.
        bold: Whether the body text is bold.
        mono: Whether the body text is monospaced.
    """

    height: float
    advance: float
    size: float
    bold: bool = False
    mono: bool = False


@dataclass(frozen=True)
class TextRow:
    """Lines side by side.

    Attributes:
        lines: From left to right.
        boxes: (N, 4) boxes of the lines on the deskewed page, in pixels.
    """

    lines: tuple[Line, ...]
    boxes: NDArray[np.float32]

    @property
    def x0(self) -> float:
        """Left edge."""
        return float(self.boxes[:, 0].min())

    @property
    def x1(self) -> float:
        """Right edge."""
        return float(self.boxes[:, 2].max())

    @property
    def y0(self) -> float:
        """Top edge."""
        return float(self.boxes[:, 1].min())

    @property
    def y1(self) -> float:
        """Bottom edge."""
        return float(self.boxes[:, 3].max())

    @property
    def text(self) -> str:
        """Texts of the lines, joined by spaces."""
        return " ".join(line.text for line in self.lines)

    @property
    def exact(self) -> bool:
        """Whether positions and type sizes are those of a PDF and not estimates."""
        return self.lines[0].size > 0

    @property
    def worded(self) -> bool:
        """Whether the positions of its words are known."""
        return self.exact or all(line.words for line in self.lines)

    def set_in(self, name: str) -> bool:
        """Tell whether it is ``bold``, ``italic`` or ``mono``, except for a few characters."""
        return self.exact and all(style(line, name) > 0.8 for line in self.lines)

    def spread(self, height: float) -> str:
        """Return its text with three spaces between cells; ``height`` as for `cells`."""
        return "   ".join(cell.text for cell in self.cells(height))

    def cells(self, height: float) -> list[TextRow]:
        """Split the row at wide spaces, except after the mark of a list item.

        Args:
            height: Common line height in pixels.
        """
        parts: list[list[int]] = [[0]]
        for i in range(1, len(self.lines)):
            gap = self.boxes[i, 0] - self.boxes[i - 1, 2]
            sign = i == 1 and ITEM_MARK.fullmatch(self.lines[0].text) and gap < 4 * height
            if gap > MIN_CELL_GAP * height and not sign:
                parts.append([i])
            else:
                parts[-1].append(i)
        return [TextRow(tuple(self.lines[i] for i in part), self.boxes[part]) for part in parts]


def rows_of(
    lines: Sequence[Line], boxes: NDArray[np.float32], chosen: Sequence[int]
) -> list[TextRow]:
    """Group lines into rows, from top to bottom.

    Args:
        lines: All lines.
        boxes: (N, 4) boxes of the lines on the deskewed page.
        chosen: Indices of the lines to group.
    """
    found = rows(boxes, np.array(chosen, np.intp), line_height(boxes[list(chosen)]))
    return [TextRow(tuple(lines[i] for i in row), boxes[row]) for row in found]


def metrics_of(lines: Sequence[Line], boxes: NDArray[np.float32]) -> Metrics:
    """Measure the body text of a page; lines are weighted by their length."""
    letters = np.array([len(line.text) for line in lines])
    widths = (boxes[:, 2] - boxes[:, 0]) / np.maximum(letters, 1)
    sizes = np.array(
        [line.size or type_size(line.text, box) for line, box in zip(lines, boxes, strict=True)]
    )
    repeats = np.minimum(letters, 80) // 4 + 1
    styled = [line for line in lines if line.spans]
    return Metrics(
        line_height(boxes),
        max(1.0, middle(np.repeat(widths, repeats))),
        max(1.0, middle(np.repeat(sizes, repeats))),
        *(
            sum(style(line, name) * len(line.text) for line in styled)
            > MIN_BODY_SHARE * letters.sum()
            for name in ("bold", "mono")
        ),
    )


def type_size(text: str, box: NDArray[np.float32]) -> float:
    """Estimate the type size of a line in pixels from its height and its width.

    The height of the ink depends on which letters there are, the width on their number. Each
    estimate may be off by a fifth, their geometric mean rarely is.
    """
    height = float(box[3] - box[1])
    letters = len(text)
    tall = 0.7 if TALL.search(text) else 0.5
    by_height = height / (tall + (0.2 if DEEP.search(text) else 0.02))
    # Boxes with a margin round the ink have one height whatever the letters.
    by_height = 0.5 * by_height + 0.5 * height / 0.9
    if letters < 6:
        return by_height
    capitals = sum(c.isupper() or c.isdigit() for c in text) / letters
    by_width = float(box[2] - box[0]) / letters / (0.45 + 0.17 * capitals)
    return math.sqrt(by_height * by_width)


def row_size(row: TextRow) -> float:
    """Return the type size of the longest line of a row, in pixels."""
    i = max(range(len(row.lines)), key=lambda i: len(row.lines[i].text))
    return row.lines[i].size or type_size(row.lines[i].text, row.boxes[i])


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
