"""Words in rows and columns: the cells of a table, by the white between them and by its walls.

Columns are parted by upright white that nearly all rows leave free, or by rules. A row is a line
of text, or several where a cell is wrapped: then the lines after the first stand close below it,
leave columns empty, and their first word had no room on the line above.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ocrtool.document.tree import Cell, Line, Quad
from ocrtool.reading_order.line_pieces import cut
from ocrtool.reading_order.patterns import AMOUNT

GLUE = 0.42
"""White between words, in heights of a line, from which they may be of different cells."""
APART = 0.9
"""The same from which they are, where the white between two columns begins or ends in it."""
CROSSING = 0.15
"""Share of the rows that may reach into the white between two columns."""
WHITES = ((2, 1.0), (3, 0.6), (4, 0.55), (7, 0.45))
"""Rows from which a column's white may be this narrow, in heights of a line."""
TIGHT = 1.6
"""Distance of a wrapped line from the one above it, from foot to foot, in heights of a line, at
most."""
LOOSER = 1.18
"""How much further apart rows stand than the lines within them, where that tells."""
OPENED = re.compile(r"[a-z(\u00df-\u00f6\u00f8-\u00ff]")
"""How the rest of a wrapped text may begin."""


@dataclass(frozen=True)
class WordBox:
    """A word in a table; or a whole line that runs up or down, or has no words.

    Attributes:
        x0: Left edge in pixels of the straightened page.
        y0: Head.
        x1: Right edge.
        y1: Foot.
        line: Number of its line.
        word: Its number there; -1 for the whole line.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    line: int
    word: int

    @property
    def middle(self) -> float:
        """Its middle from left to right."""
        return (self.x0 + self.x1) / 2


@dataclass
class Piece:
    """Bits that stand together in a row of text, and the columns that they reach over."""

    bits: list[WordBox]
    first: int = 0
    last: int = 0

    @property
    def x0(self) -> float:
        """Where it begins."""
        return self.bits[0].x0

    @property
    def x1(self) -> float:
        """Where it ends."""
        return max(bit.x1 for bit in self.bits)

    @property
    def y0(self) -> float:
        """Its head."""
        return min(bit.y0 for bit in self.bits)

    @property
    def y1(self) -> float:
        """Its foot."""
        return max(bit.y1 for bit in self.bits)


@dataclass
class TextRow:
    """Pieces side by side."""

    pieces: list[Piece] = field(default_factory=list)

    @property
    def y0(self) -> float:
        """Its head."""
        return min(piece.y0 for piece in self.pieces)

    @property
    def y1(self) -> float:
        """Its foot."""
        return float(np.median([piece.y1 for piece in self.pieces]))

    @property
    def columns(self) -> set[int]:
        """Columns in which something stands."""
        return {k for piece in self.pieces for k in range(piece.first, piece.last + 1)}


def bits_of(lines: Sequence[Line], boxes: np.ndarray, chosen: Sequence[int]) -> list[WordBox]:
    """Return the words of chosen lines.

    Args:
        lines: All lines.
        boxes: (N, 4) of them on the straightened page, in pixels.
        chosen: Indices.
    """
    found: list[WordBox] = []
    for i in chosen:
        x0, y0, x1, y1 = map(float, boxes[i])
        line = lines[i]
        level = _is_level(line.quad)
        if not level or len(line.words) < 2:
            found.append(WordBox(x0, y0, x1, y1, i, -1))
            continue
        # The page may have been straightened since.
        start, end = min(x for x, _ in line.quad), max(x for x, _ in line.quad)
        scale = (x1 - x0) / max(end - start, 1e-6)
        for k, word in enumerate(line.words):
            xs = [x0 + (x - start) * scale for x, _ in word.quad]
            found.append(WordBox(min(xs), y0, max(xs), y1, i, k))
    return found


def bit_rows(bits: Sequence[WordBox], height: float) -> list[list[WordBox]]:
    """Gather bits into rows of text, from top to bottom, those of a row from left to right."""
    rows: list[list[WordBox]] = []
    span = (0.0, 0.0)
    low = [bit for bit in bits if bit.y1 - bit.y0 < 2.5 * height]
    for bit in sorted(low, key=lambda bit: bit.y0 + bit.y1):
        shared = min(bit.y1, span[1]) - max(bit.y0, span[0])
        if rows and shared > 0.45 * min(bit.y1 - bit.y0, span[1] - span[0]):
            rows[-1].append(bit)
        else:
            rows.append([bit])
            span = (bit.y0, bit.y1)
        if bit.y1 - bit.y0 > span[1] - span[0]:
            span = (bit.y0, bit.y1)
    for bit in bits:
        if bit.y1 - bit.y0 >= 2.5 * height:  # runs up or down: it belongs to the row of its foot
            near = [row for row in rows if min(b.y0 for b in row) < bit.y1 and
                    max(b.y1 for b in row) > bit.y0]  # fmt: skip
            if near:
                near[-1].append(bit)
            else:
                rows.append([bit])
    rows.sort(key=lambda row: min(b.y0 + b.y1 for b in row))
    return [sorted(row, key=lambda bit: bit.x0) for row in rows]


def column_gaps(rows: Sequence[Sequence[WordBox]], height: float) -> list[tuple[float, float]]:
    """Find the white between columns: upright strips that nearly all rows leave free.

    Args:
        rows: Of words. Those of a single piece do not tell.
        height: Common height of a line in pixels.

    Returns:
        Where each strip begins and ends, from left to right.
    """
    telling = [row for row in rows if any(b.x0 - a.x1 > GLUE * height
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
    allowed = int(CROSSING * len(telling))
    free = covered <= allowed
    edges = np.flatnonzero(np.diff(free, prepend=False, append=False)).reshape(-1, 2)
    found = []
    for a, b in (edges + start).tolist():
        if a <= start + 0.2 * height or b >= end - 0.2 * height:
            continue
        beside = sum(
            any(bit.x1 <= a + 1 for bit in row) and any(bit.x0 >= b - 1 for bit in row)
            for row in telling
        )
        need = next((w for n, w in reversed(WHITES) if beside >= n), 2.5)
        if b - a >= need * height and beside >= min(2, len(telling)):
            found.append(_freest(covered, a - start, b - start, start))
    return found


def most_whites(rows: Sequence[Sequence[WordBox]], height: float) -> list[tuple[float, float]]:
    """Find the white between columns, also without the first rows: names over several columns."""
    best = column_gaps(rows, height)
    for skipped in (1, 2):
        if len(rows) - skipped > 2:
            found = column_gaps(rows[skipped:], height)
            best = found if len(found) > len(best) else best
    return best


def _freest(covered: np.ndarray, a: float, b: float, start: float) -> tuple[float, float]:
    """Return the widest part of a strip that the fewest rows reach into."""
    part = covered[int(a) : int(b)]
    free = part == part.min()
    edges = np.flatnonzero(np.diff(free, prepend=False, append=False)).reshape(-1, 2)
    c, d = max(edges.tolist(), key=lambda edge: edge[1] - edge[0])
    return start + int(a) + c, start + int(a) + d


def pieces_of(
    row: Sequence[WordBox],
    strips: Sequence[tuple[float, float]],
    walls: Sequence[float],
    height: float,
) -> list[Piece]:
    """Part a row of words at the white between columns and at rules.

    Args:
        row: From left to right.
        strips: White between columns.
        walls: Places of upright rules beside this row.
        height: Common height of a line in pixels.
    """
    pieces = [Piece([row[0]])]
    for bit in row[1:]:
        before = pieces[-1].x1
        middles = (pieces[-1].bits[-1].middle, bit.middle)
        gap = bit.x0 - before
        parted = any(middles[0] < wall < middles[1] for wall in walls)
        for a, b in strips if not parted else ():
            shared = min(bit.x0, b) - max(before, a)
            inside = before <= (a + b) / 2 <= bit.x0
            # Names need not stand quite as the columns below them do.
            parted |= (
                (gap > GLUE * height and (inside or shared > 0.6 * gap))
                or (gap > APART * height and shared > 0)
                or (inside and shared > 0.6 * max(b - a, 0.4 * height))
            )
        if parted or bit.x0 - before > 2.5 * height:
            pieces.append(Piece([bit]))
        else:
            pieces[-1].bits.append(bit)
    return pieces


def place(piece: Piece, columns: Sequence[tuple[float, float]], height: float) -> None:
    """Set the columns that a piece reaches over.

    Args:
        piece: Whose ``first`` and ``last`` are set.
        columns: Where the text of each begins and ends.
        height: Common height of a line in pixels.
    """
    reached = []
    for k, (a, b) in enumerate(columns):
        shared = min(piece.x1, b) - max(piece.x0, a)
        if shared > min(0.4 * (b - a), 1.5 * height):
            reached.append(k)
    if not reached:
        gaps = [max(piece.x0, a) - min(piece.x1, b) for a, b in columns]
        reached = [int(np.argmin(gaps))]
    piece.first, piece.last = reached[0], reached[-1]


def goes_on(
    rows: Sequence[TextRow],
    columns: Sequence[tuple[float, float]],
    lines: Sequence[Line],
    height: float,
) -> list[bool]:
    """Tell for each row of text whether it is the rest of the row above, whose cells are wrapped.

    Args:
        rows: Placed, from top to bottom.
        columns: Where the text of each begins and ends.
        lines: All lines.
        height: Common height of a line in pixels.
    """
    flags = [False] * len(rows)
    steps = [b.y1 - a.y1 for a, b in itertools.pairwise(rows)]
    anchored = [s for s, row in zip(steps, rows[1:], strict=True) if 0 in row.columns
                and len(row.columns) > 1]  # fmt: skip
    usual = float(np.median(anchored)) if anchored else 0.0
    for i in range(1, len(rows)):
        above, row, step = rows[i - 1], rows[i], steps[i - 1]
        if step > TIGHT * height:
            continue
        apart = usual > LOOSER * step
        here, there = row.columns, above.columns
        told = [said(piece, lines) for piece in row.pieces]
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
            flags[i] = all(wraps) and any(OPENED.match(text) for text in told)
    return flags


def cell_lines(bits: Sequence[WordBox], lines: Sequence[Line], height: float) -> tuple[Line, ...]:
    """Return the lines of a cell in reading order, cut out of those that reach beyond it."""
    found: list[Line] = []
    for row in bit_rows(bits, height):
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


def is_prose(rows: Sequence[TextRow], count: int, lines: Sequence[Line], height: float) -> bool:
    """Tell whether what stands in columns is prose that runs on from line to line.

    Args:
        rows: Placed, from top to bottom.
        count: Number of columns.
        lines: All lines.
        height: Common height of a line in pixels.
    """
    running, long, total = 0, 0, 0
    for k in range(count):
        own = [piece for row in rows for piece in row.pieces if piece.first == k == piece.last]
        if not own:
            continue
        texts = [said(piece, lines) for piece in own]
        wide = max(piece.x1 - piece.x0 for piece in own)
        full = [piece.x1 - piece.x0 > 0.8 * wide for piece in own]
        total += len(own)
        long += sum(len(text) > 24 and f for text, f in zip(texts, full, strict=True))
        running += sum(text[:1].islower() and len(text) > 12 for text in texts)
    return total > 3 and (long > 0.6 * total or (running > 0.4 * total and long > 0.25 * total))


def with_head(cells: Sequence[Cell], rows: int) -> tuple[Cell, ...]:
    """Mark the cells of the first rows as the names of their columns."""
    return tuple(
        Cell(c.row, c.column, c.row_span, c.column_span, c.lines, c.row < rows) for c in cells
    )


def said(piece: Piece, lines: Sequence[Line]) -> str:
    """Return what a piece says."""
    return " ".join(
        lines[bit.line].text if bit.word < 0 else lines[bit.line].words[bit.word].text
        for bit in piece.bits
    )


def _wrapped(
    piece: Piece,
    above: TextRow,
    columns: Sequence[tuple[float, float]],
    lines: Sequence[Line],
    height: float,
) -> bool:
    """Tell whether the first word of a piece had no room at the end of the cell above."""
    over = [other for other in above.pieces if other.first == piece.first]
    if not over:
        return False
    before, text = said(over[0], lines), said(piece, lines)
    if AMOUNT.fullmatch(before) or before.endswith((".", ":")):
        return False
    if OPENED.match(text):
        return True
    a, b = columns[piece.first]
    word = piece.bits[0].x1 - piece.bits[0].x0
    centred = abs((over[0].x0 - a) - (b - over[0].x1)) < 0.5 * height and over[0].x0 - a > height
    left = a if not centred else over[0].x0
    return over[0].x1 - left + 0.3 * height + word > (b - a) + 0.1 * height


def _is_level(quad: Quad) -> bool:
    (x0, y0), (x1, y1) = quad[0], quad[1]
    return abs(x1 - x0) >= abs(y1 - y0)
