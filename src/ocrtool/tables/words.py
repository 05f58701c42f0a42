"""Words of a table grouped into text rows, and split into cells at column gaps and ruling lines.

A column gap is a vertical strip that nearly all rows leave empty. A table row is one text row, or
several where a cell is wrapped: the following text rows then are close below the first, leave
columns empty, and their first word did not fit on the line above.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ocrtool.document.geometry import runs_of
from ocrtool.document.patterns import AMOUNT
from ocrtool.document.tree import Box, Cell, Line, Quad
from ocrtool.reading_order.rows import MAX_WRAPPED_PITCH, cut

MIN_CELL_GAP = 0.42
"""Minimum space between words of different cells, in line heights."""
SURE_CELL_GAP = 0.9
"""Space between words, in line heights, that separates cells if it overlaps a column gap at all."""
MAX_CROSSING_SHARE = 0.15
"""Maximum share of the rows with text in the gap between two columns."""
MIN_COLUMN_GAPS = ((2, 1.0), (3, 0.6), (4, 0.55), (7, 0.45))
"""Number of rows with text on both sides of a column gap, and from that number on the minimum width
of the gap, in line heights."""
MIN_PITCH_RATIO = 1.18
"""Minimum ratio of the baseline distance of table rows to that of lines within a cell, where the
two are told apart by it."""
CONTINUATION = re.compile(r"[a-z(\u00df-\u00f6\u00f8-\u00ff]")
"""First character of a text that continues a wrapped cell."""


@dataclass(frozen=True)
class WordBox(Box):
    """A word of a table; a whole line if it is vertical or has no words.

    Attributes:
        line: Index of its line.
        word: Index of the word in the line; -1 for the whole line.
    """

    line: int
    word: int


@dataclass
class Piece:
    """Adjacent words of a text row that are in one cell, and the columns it spans."""

    words: list[WordBox]
    first: int = 0
    last: int = 0

    @cached_property
    def box(self) -> Box:
        """Bounding box of the words, which no longer change."""
        return Box.around(self.words)


@dataclass
class PieceRow:
    """A text row of a table, split into pieces from left to right."""

    pieces: list[Piece] = field(default_factory=list)

    @property
    def y0(self) -> float:
        """Top edge."""
        return min(piece.box.y0 for piece in self.pieces)

    @property
    def y1(self) -> float:
        """Median bottom edge of the pieces."""
        return float(np.median([piece.box.y1 for piece in self.pieces]))

    @property
    def columns(self) -> set[int]:
        """Columns that hold text."""
        return {k for piece in self.pieces for k in range(piece.first, piece.last + 1)}


def word_boxes(lines: Sequence[Line], boxes: np.ndarray, chosen: Sequence[int]) -> list[WordBox]:
    """Return the words of some lines, in pixels of the deskewed page.

    Args:
        lines: All lines.
        boxes: (N, 4) boxes of the lines on the deskewed page, in pixels.
        chosen: Indices of the lines.
    """
    found: list[WordBox] = []
    for i in chosen:
        x0, y0, x1, y1 = map(float, boxes[i])
        line = lines[i]
        if not _is_level(line.quad) or len(line.words) < 2:
            found.append(WordBox(x0, y0, x1, y1, i, -1))
            continue
        # Quads are of the page before deskewing.
        start, end = min(x for x, _ in line.quad), max(x for x, _ in line.quad)
        scale = (x1 - x0) / max(end - start, 1e-6)
        for k, word in enumerate(line.words):
            xs = [x0 + (x - start) * scale for x, _ in word.quad]
            found.append(WordBox(min(xs), y0, max(xs), y1, i, k))
    return found


def text_rows(bits: Sequence[WordBox], height: float) -> list[list[WordBox]]:
    """Group words into text rows, top to bottom, the words of a row from left to right."""
    rows: list[list[WordBox]] = []
    span = (0.0, 0.0)
    low = [bit for bit in bits if bit.height < 2.5 * height]
    for bit in sorted(low, key=lambda bit: bit.y0 + bit.y1):
        shared = min(bit.y1, span[1]) - max(bit.y0, span[0])
        if rows and shared > 0.45 * min(bit.height, span[1] - span[0]):
            rows[-1].append(bit)
        else:
            rows.append([bit])
            span = (bit.y0, bit.y1)
        if bit.height > span[1] - span[0]:
            span = (bit.y0, bit.y1)
    for bit in bits:
        if bit.height >= 2.5 * height:  # vertical: it belongs to the row of its lower end
            near = [row for row in rows if min(b.y0 for b in row) < bit.y1 and
                    max(b.y1 for b in row) > bit.y0]  # fmt: skip
            if near:
                near[-1].append(bit)
            else:
                rows.append([bit])
    rows.sort(key=lambda row: min(b.y0 + b.y1 for b in row))
    return [sorted(row, key=lambda bit: bit.x0) for row in rows]


def column_gaps(rows: Sequence[Sequence[WordBox]], height: float) -> list[tuple[float, float]]:
    """Find column gaps: vertical strips that nearly all rows leave empty.

    Args:
        rows: Text rows. Rows without a wide space are ignored.
        height: Common line height in pixels.

    Returns:
        Left and right edge of each gap, from left to right, in pixels.
    """
    telling = [row for row in rows if any(b.x0 - a.x1 > MIN_CELL_GAP * height
                                          for a, b in itertools.pairwise(row))]  # fmt: skip
    if len(telling) < 2:
        return []
    start = min(bit.x0 for row in telling for bit in row)
    end = max(bit.x1 for row in telling for bit in row)
    covered = np.zeros(int(end - start) + 2, np.int32)
    for row in telling:
        own = np.zeros(len(covered), np.bool_)
        for bit in row:
            own[max(0, int(bit.x0 - start)) : int(np.ceil(bit.x1 - start))] = True
        covered += own
    allowed = int(MAX_CROSSING_SHARE * len(telling))
    found = []
    for a, b in ((start + a, start + b) for a, b in runs_of(covered <= allowed)):
        if a <= start + 0.2 * height or b >= end - 0.2 * height:
            continue
        beside = sum(
            any(bit.x1 <= a + 1 for bit in row) and any(bit.x0 >= b - 1 for bit in row)
            for row in telling
        )
        need = next((w for n, w in reversed(MIN_COLUMN_GAPS) if beside >= n), 2.5)
        if b - a >= need * height and beside >= min(2, len(telling)):
            found.append(_emptiest(covered, a - start, b - start, start))
    return found


def best_column_gaps(rows: Sequence[Sequence[WordBox]], height: float) -> list[tuple[float, float]]:
    """Return the column gaps with or without the first rows, whichever are more."""
    best = column_gaps(rows, height)
    for skipped in (1, 2):
        if len(rows) - skipped > 2:
            found = column_gaps(rows[skipped:], height)
            best = found if len(found) > len(best) else best
    return best


def _emptiest(covered: np.ndarray, a: float, b: float, start: float) -> tuple[float, float]:
    """Return the widest part of a gap that the fewest rows cross."""
    part = covered[int(a) : int(b)]
    c, d = max(runs_of(part == part.min()), key=lambda run: run[1] - run[0])
    return start + int(a) + c, start + int(a) + d


def split_row(
    row: Sequence[WordBox],
    strips: Sequence[tuple[float, float]],
    walls: Sequence[float],
    height: float,
) -> list[Piece]:
    """Split a text row at column gaps and vertical ruling lines.

    Args:
        row: Words from left to right.
        strips: Left and right edges of the column gaps.
        walls: Positions of the vertical ruling lines at the height of the row.
        height: Common line height in pixels.
    """
    pieces = [Piece([row[0]])]
    for bit in row[1:]:
        before = max(word.x1 for word in pieces[-1].words)
        middles = (pieces[-1].words[-1].center_x, bit.center_x)
        gap = bit.x0 - before
        parted = any(middles[0] < wall < middles[1] for wall in walls)
        for a, b in strips if not parted else ():
            shared = min(bit.x0, b) - max(before, a)
            inside = before <= (a + b) / 2 <= bit.x0
            # Column headers may be shifted against the columns below them.
            parted |= (
                (gap > MIN_CELL_GAP * height and (inside or shared > 0.6 * gap))
                or (gap > SURE_CELL_GAP * height and shared > 0)
                or (inside and shared > 0.6 * max(b - a, 0.4 * height))
            )
        if parted or bit.x0 - before > 2.5 * height:
            pieces.append(Piece([bit]))
        else:
            pieces[-1].words.append(bit)
    return pieces


def set_columns(piece: Piece, columns: Sequence[tuple[float, float]], height: float) -> None:
    """Set the first and last column that a piece spans.

    Args:
        piece: Changed in place.
        columns: Left and right edge of the text of each column.
        height: Common line height in pixels.
    """
    box = piece.box
    reached = []
    for k, (a, b) in enumerate(columns):
        shared = min(box.x1, b) - max(box.x0, a)
        if shared > min(0.4 * (b - a), 1.5 * height):
            reached.append(k)
    if not reached:
        gaps = [max(box.x0, a) - min(box.x1, b) for a, b in columns]
        reached = [int(np.argmin(gaps))]
    piece.first, piece.last = reached[0], reached[-1]


def continued_rows(
    rows: Sequence[PieceRow],
    columns: Sequence[tuple[float, float]],
    lines: Sequence[Line],
    height: float,
) -> list[bool]:
    """Tell for each text row whether it continues wrapped cells of the row above.

    Args:
        rows: From top to bottom, the columns of their pieces set.
        columns: Left and right edge of the text of each column.
        lines: All lines.
        height: Common line height in pixels.
    """
    flags = [False] * len(rows)
    steps = [b.y1 - a.y1 for a, b in itertools.pairwise(rows)]
    anchored = [s for s, row in zip(steps, rows[1:], strict=True) if 0 in row.columns
                and len(row.columns) > 1]  # fmt: skip
    usual = float(np.median(anchored)) if anchored else 0.0
    for i in range(1, len(rows)):
        above, row, step = rows[i - 1], rows[i], steps[i - 1]
        if step > MAX_WRAPPED_PITCH * height:
            continue
        apart = usual > MIN_PITCH_RATIO * step
        here, there = row.columns, above.columns
        told = [piece_text(piece, lines) for piece in row.pieces]
        amounts = any(AMOUNT.fullmatch(text) for text in told)
        wraps = [_wrapped(piece, above, columns, lines, height) for piece in row.pieces]
        if 0 not in here:
            fewer = here <= there and len(here) <= (len(columns) + 1) // 2
            alone = len(here) == 1 and usual > 0.97 * step
            fits = len(here) <= len(columns) // 2
            flags[i] = fewer and (apart or (fits and not amounts and (alone or any(wraps))))
        elif here == {0}:
            flags[i] = len(there) > 1 and wraps[0]
        elif len(here) < len(columns) and apart and not amounts:
            flags[i] = here <= there
        elif there == {0}:
            label = next(piece for piece in row.pieces if piece.first == 0)
            flags[i] = _wrapped(label, above, columns, lines, height)
        elif here <= there and len(here) > 1 and not amounts:
            flags[i] = all(wraps) and any(CONTINUATION.match(text) for text in told)
    return flags


def cell_lines(bits: Sequence[WordBox], lines: Sequence[Line], height: float) -> tuple[Line, ...]:
    """Return the lines of a cell in reading order; lines that extend beyond the cell are cut."""
    found: list[Line] = []
    for row in text_rows(bits, height):
        for i, run in itertools.groupby(row, key=lambda bit: bit.line):
            words = list(run)
            if words[0].word < 0:
                found.append(lines[i])
                continue
            start = 0
            for k in range(1, len(words) + 1):
                if k == len(words) or words[k].word != words[k - 1].word + 1:
                    found.append(cut(lines[i], words[start].word, words[k - 1].word + 1))
                    start = k
    return tuple(found)


def is_prose(rows: Sequence[PieceRow], count: int, lines: Sequence[Line]) -> bool:
    """Tell whether the columns hold prose, whose sentences continue from line to line.

    Args:
        rows: From top to bottom, the columns of their pieces set.
        count: Number of columns.
        lines: All lines.
    """
    running, long, total = 0, 0, 0
    for k in range(count):
        own = [piece for row in rows for piece in row.pieces if piece.first == k == piece.last]
        if not own:
            continue
        texts = [piece_text(piece, lines) for piece in own]
        widths = [piece.box.width for piece in own]
        full = [width > 0.8 * max(widths) for width in widths]
        total += len(own)
        long += sum(len(text) > 24 and f for text, f in zip(texts, full, strict=True))
        running += sum(text[:1].islower() and len(text) > 12 for text in texts)
    return total > 3 and (long > 0.6 * total or (running > 0.4 * total and long > 0.25 * total))


def with_headers(cells: Sequence[Cell], rows: int) -> tuple[Cell, ...]:
    """Mark the cells of the first rows as column headers."""
    return tuple(replace(cell, header=cell.row < rows) for cell in cells)


def piece_text(piece: Piece, lines: Sequence[Line]) -> str:
    """Return the text of a piece."""
    return " ".join(
        lines[bit.line].text if bit.word < 0 else lines[bit.line].words[bit.word].text
        for bit in piece.words
    )


def _wrapped(
    piece: Piece,
    above: PieceRow,
    columns: Sequence[tuple[float, float]],
    lines: Sequence[Line],
    height: float,
) -> bool:
    """Tell whether the first word of a piece did not fit at the end of the cell above."""
    over = [other for other in above.pieces if other.first == piece.first]
    if not over:
        return False
    before, text = piece_text(over[0], lines), piece_text(piece, lines)
    if AMOUNT.fullmatch(before) or before.endswith((".", ":")):
        return False
    if CONTINUATION.match(text):
        return True
    a, b = columns[piece.first]
    word, cell = piece.words[0].width, over[0].box
    centred = abs((cell.x0 - a) - (b - cell.x1)) < 0.5 * height and cell.x0 - a > height
    left = a if not centred else cell.x0
    return cell.x1 - left + 0.3 * height + word > (b - a) + 0.1 * height


def _is_level(quad: Quad) -> bool:
    (x0, y0), (x1, y1) = quad[0], quad[1]
    return abs(x1 - x0) >= abs(y1 - y0)
