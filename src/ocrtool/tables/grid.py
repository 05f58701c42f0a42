"""Table grid: rows and columns from ruling lines where they exist, else from gaps and text.

A missing wall between two grid cells merges them. Between ruling lines, columns are found by column
gaps, and rows by which text rows continue a wrapped cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ocrtool.document.geometry import Boxes, hull
from ocrtool.document.patterns import AMOUNT
from ocrtool.document.tree import Box, Cell, Line
from ocrtool.reading_order.rows import style
from ocrtool.tables.words import (
    Piece,
    PieceRow,
    WordBox,
    best_column_gaps,
    cell_lines,
    continued_rows,
    is_prose,
    piece_text,
    set_columns,
    split_row,
    text_rows,
    with_headers,
    word_boxes,
)

MIN_FILLED_SHARE = 0.25
"""Minimum share of the cells of a full grid that hold text; the grid of a chart holds none."""


@dataclass(frozen=True)
class RulingLine:
    """A horizontal or vertical ruling line, or an edge of a shaded area.

    Attributes:
        at: Position across its direction, in pixels.
        a: Start along its direction, in pixels.
        b: End along its direction, in pixels.
        weak: Whether it is the edge of a shaded area.
    """

    at: float
    a: float
    b: float
    weak: bool = False


@dataclass
class Frame:
    """Ruling lines that may belong to one table.

    Attributes:
        level: Horizontal ones, from top to bottom.
        upright: Vertical ones, from left to right.
    """

    level: list[RulingLine] = field(default_factory=list)
    upright: list[RulingLine] = field(default_factory=list)

    @property
    def box(self) -> Box:
        """Bounding box of all ruling lines."""
        xs = [x for s in self.level for x in (s.a, s.b)] + [s.at for s in self.upright]
        ys = [y for s in self.upright for y in (s.a, s.b)] + [s.at for s in self.level]
        return Box(min(xs), min(ys), max(xs), max(ys))


class DisjointSets:
    """Union-find over the numbers below a count; a set is represented by its smallest number."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, i: int) -> int:
        """Return the smallest number in the set of a number."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Join the sets of two numbers."""
        a, b = sorted((self.root(i), self.root(j)))
        self._parent[b] = a

    def groups(self) -> list[list[int]]:
        """Return the sets, ordered by their smallest numbers."""
        found: dict[int, list[int]] = {}
        for i in range(len(self._parent)):
            found.setdefault(self.root(i), []).append(i)
        return list(found.values())


class Grid:
    """Rows and columns of a table and the words in them.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) boxes of the lines, in pixels.
        chosen: Indices of the lines of the table.
        frame: Ruling lines of the table.
        height: Common line height of the page, in pixels.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        boxes: Boxes,
        chosen: Sequence[int],
        frame: Frame,
        height: float,
    ) -> None:
        self.lines, self.frame = lines, frame
        own = boxes[list(chosen)]
        heights = np.sort(own[:, 3] - own[:, 1])
        self.height = float(min(height * 1.5, max(0.4 * height, heights[len(heights) // 2])))
        self.words = word_boxes(lines, boxes, chosen)
        box = Box.around((frame.box, hull(own))) if frame.level else hull(own)
        self.box = box
        self.uprights = self._bounds(frame.upright, box.x0, box.x1)
        self.levels = self._bounds(frame.level, box.y0, box.y1)
        self.full = len(self.uprights) > 2 and len(self.levels) > 2
        self.rows: list[PieceRow] = []
        self.row_of: list[int] = []
        self.columns: list[tuple[float, float]] = []
        self.edges: list[float] = []
        self.places: list[float] = []
        text = text_rows(self.words, self.height)
        self._set_columns(text)
        self._set_rows(text)

    def _bounds(self, strokes: Sequence[RulingLine], start: float, end: float) -> list[float]:
        """Return positions of ruling lines, close ones merged, with the edges of the table."""
        places = sorted([start, end, *(s.at for s in strokes if start <= s.at <= end)])
        found = [places[0]]
        for at in places[1:]:
            if at - found[-1] > 0.5 * self.height:
                found.append(at)
            elif at == end:
                found[-1] = end if len(found) > 1 else found[-1]
        return found if len(found) > 1 else [start, end]

    def _set_columns(self, text: list[list[WordBox]]) -> None:
        """Find the columns: between vertical ruling lines, and within them by column gaps."""
        head = self._head_foot()
        body = [row for row in text if min(bit.y0 for bit in row) > head - 0.3 * self.height]
        if len(body) < 2:
            body = text
        self.strips: list[tuple[float, float]] = []
        edges = [self.uprights[0]]
        for a, b in itertools.pairwise(self.uprights):
            inside = [[bit for bit in row if a < bit.center_x < b] for row in body]
            strips = best_column_gaps([row for row in inside if row], self.height)
            if self.full and strips:
                # Between walls, most gaps are spaces of wrapped text.
                strips = [strip for strip in strips if self._parts(strip, inside)]
            bounds = [a, *(strip[1] for strip in strips), b]
            strips = [strip for k, strip in enumerate(strips)
                      if not self._repeats(strip, bounds[k], bounds[k + 2], inside)]  # fmt: skip
            for c, d in strips:
                edges.append((c + d) / 2)
            self.strips += strips
            edges.append(b)
        self.edges = edges
        for a, b in itertools.pairwise(edges):
            own = [bit for row in body for bit in row if a <= bit.center_x < b]
            if a in self.uprights and b in self.uprights:
                self.columns.append((a, b))
                continue
            first = min((bit.x0 for bit in own), default=a)
            last = max((bit.x1 for bit in own), default=b)
            self.columns.append((max(a, first), min(b, last)))

    def _parts(self, strip: tuple[float, float], rows: Sequence[Sequence[WordBox]]) -> bool:
        """Tell whether a gap in a walled column has text on both sides in most rows of a grid."""
        if strip[1] - strip[0] < 0.9 * self.height:
            return False
        sides: dict[int, set[bool]] = {}
        for row in rows:
            for bit in row:
                band = int(np.searchsorted(self.levels, bit.center_y))
                sides.setdefault(band, set()).add(bit.x0 > strip[0])
        return sum(len(both) > 1 for both in sides.values()) > max(2, 0.7 * len(sides))

    def _repeats(
        self,
        strip: tuple[float, float],
        start: float,
        end: float,
        rows: Sequence[Sequence[WordBox]],
    ) -> bool:
        """Tell whether a narrow gap only follows a word that every cell starts with."""
        if strip[1] - strip[0] > 0.9 * self.height:
            return False
        middle = (strip[0] + strip[1]) / 2
        before: list[str] = []
        for row in rows:
            left = [bit for bit in row if start - 1 <= bit.x0 and bit.center_x < middle]
            if left and any(middle < bit.center_x < end for bit in row):
                before.append(piece_text(Piece(left), self.lines))
        return len(before) > 2 and len(set(before)) == 1

    def _head_foot(self) -> float:
        """Return the lower edge of the header, if a ruling line marks it; else the table's top."""
        wide = 0.7 * self.box.width
        full = [s.at for s in self.frame.level if s.b - s.a > wide]
        inner = [at for at in full if self.box.y0 + self.height < at < self.box.y1 - self.height]
        return min(inner, default=self.box.y0)

    def _walls(self, y: float) -> list[float]:
        """Return the positions of the vertical ruling lines at a height of the page."""
        return [s.at for s in self.frame.upright if s.a - 2 <= y <= s.b + 2]

    def _set_rows(self, text: list[list[WordBox]]) -> None:
        """Find the rows: between horizontal ruling lines, and within them by wrapped cells."""
        bands: list[list[PieceRow]] = [[] for _ in self.levels[1:]]
        for bits in text:
            y = float(np.median([bit.center_y for bit in bits]))
            walls = self._walls(y)
            soft = [(u - 1, u + 1) for u in self.uprights[1:-1]
                    if not any(abs(u - wall) < 0.6 * self.height for wall in walls)]  # fmt: skip
            pieces = split_row(bits, self.strips + soft, walls, self.height)
            for piece in pieces:
                set_columns(piece, self.columns, self.height)
                if not self.full:  # in a full grid, each cell has a short ruling line below
                    self._fit(piece, pieces)
            at = int(np.clip(np.searchsorted(self.levels, y) - 1, 0, len(bands) - 1))
            bands[at].append(PieceRow(pieces))
        self._group(bands)
        places = [self.levels[0]]
        evens = [self._even(band) if self.full else [] for band in bands]
        told = [bool(even) for even, band in zip(evens[1:], bands[1:], strict=True) if band]
        split = sum(told) > 0.6 * len(told)
        self.lined = self._is_lined(bands)
        for k, band in enumerate(bands):
            if split and evens[k] and k:
                starts = evens[k]
            else:
                starts = self._starts(band, k, [len(b) for b in bands])
            foot = self.levels[k]
            for i, row in enumerate(band):
                if i and starts[i]:
                    before = band[i - 1].y1
                    places.append(((before if before <= row.y0 + 1 else foot) + row.y0) / 2)
                if not i or starts[i]:
                    foot = row.y1
                self.rows.append(row)
                self.row_of.append(len(places) - 1)
            places.append(self.levels[k + 1])
        self.places = places

    def _fit(self, piece: Piece, row: Sequence[Piece]) -> None:
        """Let a piece span the columns of a short ruling line right below it."""
        wide, box = 0.95 * self.box.width, piece.box
        for stroke in self.frame.level:
            if stroke.b - stroke.a > wide or not 0 < stroke.at - box.y1 + 0.3 * self.height < (
                1.2 * self.height
            ):
                continue
            alone = sum(p.box.x1 > stroke.a and p.box.x0 < stroke.b for p in row) == 1
            if alone and stroke.a - self.height < box.x0 and box.x1 < stroke.b + self.height:
                under = [
                    k
                    for k, (a, b) in enumerate(self.columns)
                    if stroke.a - 0.5 * self.height < (a + b) / 2 < stroke.b + 0.5 * self.height
                ]
                others = [s for s in self.frame.level if abs(s.at - stroke.at) < 2]
                if under and len(under) > 1 and len(others) < len(self.columns):
                    piece.first, piece.last = under[0], under[-1]

    def _even(self, band: Sequence[PieceRow]) -> list[bool]:
        """Return which text rows start table rows, where a grid row holds several table rows.

        Most columns then have equally many lines, aligned, with amounts among them; a text beside
        their middle belongs to all of them.
        """
        counts = [sum(k in row.columns for row in band) for k in range(len(self.columns))]
        most = max(counts, default=0)
        alike = [k for k, count in enumerate(counts) if count == most]
        if most < 2 or len(alike) < max(2, 0.5 * sum(count > 0 for count in counts)):
            return []
        rows = [row for row in band if len(row.columns & set(alike)) >= len(alike)]
        amounts = [
            k
            for k in alike
            if all(AMOUNT.fullmatch(piece_text(p, self.lines)) for row in rows for p in row.pieces
                   if p.first == k == p.last)
        ]  # fmt: skip
        if len(rows) != most or not amounts:
            return []
        return [any(row is other for other in rows) for row in band]

    def _group(self, bands: Sequence[Sequence[PieceRow]]) -> None:
        """Let headers that are centred over several columns span them."""
        rows = [row for band in bands for row in band]
        most = max((len(row.pieces) for row in rows), default=0)
        for row in itertools.takewhile(lambda row: len(row.pieces) < most, rows[:3]):
            for i, piece in enumerate(row.pieces):
                before = row.pieces[i - 1].last if i else -1
                after = row.pieces[i + 1].first if i + 1 < len(row.pieces) else len(self.columns)
                self._centre(piece, before + 1, after - 1)
        if len(rows) > 2:
            self._share_out(rows[0], rows[1])

    def _share_out(self, row: PieceRow, below: PieceRow) -> None:
        """Let headers span the columns on their right if the headers below are repeated."""
        starts = [piece.first for piece in row.pieces]
        ends = [*starts[1:], len(self.columns)]
        under = {piece.first: piece_text(piece, self.lines) for piece in below.pieces}
        parts = [tuple(under.get(k, "") for k in range(a, b)) for a, b in
                 zip(starts, ends, strict=True)]  # fmt: skip
        wide = [part for part in parts if len(part) > 1 and all(part)]
        if len(wide) < 2 or len(set(wide)) > 1:
            return
        for piece, part, end in zip(row.pieces, parts, ends, strict=True):
            if part == wide[0]:
                piece.last = end - 1

    def _centre(self, piece: Piece, low: int, high: int) -> None:
        """Set the columns, between two, over whose centre a piece is."""
        box, middle = piece.box, piece.box.center_x
        near = 0.5 * self.height
        a, b = self.columns[piece.first]
        own = (abs(box.x0 - a), abs(box.x1 - b), abs(middle - (a + b) / 2))
        if piece.last > piece.first or min(own) < near:
            return
        for first in range(max(low, piece.first - 3), piece.first + 1):
            for last in range(max(piece.first, first + 1), min(high, first + 6) + 1):
                centre = (self.columns[first][0] + self.columns[last][1]) / 2
                if abs(centre - middle) < near:
                    piece.first, piece.last = first, last
                    return

    def _is_lined(self, bands: Sequence[Sequence[PieceRow]]) -> bool:
        """Tell whether each row has a ruling line below, so that one band is one row."""
        told = [band for band in bands if band]
        wrapped = sum(
            all(len(row.columns) < len(band[0].columns) for row in band[1:]) for band in told
        )
        return len(told) > 3 and wrapped >= 0.8 * len(told)

    def _starts(self, band: Sequence[PieceRow], k: int, counts: Sequence[int]) -> list[bool]:
        """Tell which text rows between two horizontal ruling lines start a table row."""
        if len(band) < 2:
            return [True] * len(band)
        rest = continued_rows(band, self.columns, self.lines, self.height)
        if self.full or (self.lined and k):
            return [True] + [False] * (len(band) - 1)
        elif k == 0 and len(counts) > 1 and self._head_foot() > self.box.y0:
            # The header is one row, except below headers that span several columns.
            group = [any(p.last > p.first for p in row.pieces) for row in band]
            tight = [b.y1 - a.y1 < 1.7 * self.height for a, b in itertools.pairwise(band)]
            starts = [True]
            starts += [group[i - 1] or not tight[i - 1] for i in range(1, len(band))]
            return starts
        return [not flag for flag in rest]

    def is_table(self) -> bool:
        """Tell whether there are columns and rows, and no prose in them."""
        rows = len(self.places) - 1
        columns = len(self.columns)
        if rows < 2 or columns < 2:
            return False
        filled = {
            (r, k) for row, r in zip(self.rows, self.row_of, strict=True) for k in row.columns
        }
        several = {r for r, _ in filled}
        wide = sum(sum(1 for a, _ in filled if a == r) > 1 for r in several)
        if wide < 2 or len({k for _, k in filled}) < 2:
            return False
        if self.full:
            crossed = sum(
                any(bit.x0 + 0.3 * self.height < s.at < bit.x1 - 0.3 * self.height
                    and s.a < bit.center_y < s.b for s in self.frame.upright)
                for bit in self.words
            )  # fmt: skip
            heads = max(sum(1 for a, _ in filled if a == r) for r in several) >= 0.6 * columns
            dense = len(filled) >= MIN_FILLED_SHARE * rows * columns or (heads and columns > 2)
            return dense and crossed < 0.2 * len(self.words)
        body = [row for row in self.rows if row.y0 > self._head_foot() - 0.3 * self.height]
        return not is_prose(body or self.rows, columns, self.lines)

    def is_long(self, strokes: int) -> bool:
        """Tell whether there are enough rows for a table without vertical ruling lines."""
        return len(self.places) > 3 or (len(self.places) > 2 and strokes > 2)

    def cells(self) -> tuple[Cell, ...]:
        """Return the cells, row by row."""
        rows, columns = len(self.places) - 1, len(self.columns)
        merged = DisjointSets(rows * columns)
        held: dict[int, list[WordBox]] = {}
        for row, r in zip(self.rows, self.row_of, strict=True):
            for piece in row.pieces:
                held.setdefault(r * columns + piece.first, []).extend(piece.words)
                for k in range(piece.first, piece.last):
                    merged.join(r * columns + k, r * columns + k + 1)
        self._join_heads(held, merged)
        self._join_unwalled(held, merged)
        self._join_tall(held, merged)
        _square(merged, columns)
        kept_rows, kept_columns = self._kept(held)
        found: list[Cell] = []
        for members in merged.groups():
            bits = [bit for i in members for bit in held.get(i, ())]
            down = sorted({kept_rows[i // columns] for i in members if i // columns in kept_rows})
            wide = sorted({kept_columns[i % columns] for i in members
                           if i % columns in kept_columns})  # fmt: skip
            if not down or not wide or (not bits and len(down) * len(wide) == 1):
                continue
            inside = cell_lines(bits, self.lines, self.height)
            spans = down[-1] - down[0] + 1, wide[-1] - wide[0] + 1
            found.append(Cell(down[0], wide[0], *spans, inside))
        found.sort(key=lambda cell: (cell.row, cell.column))
        if sum(bool(cell.lines) for cell in found) < 2:
            return ()
        return with_headers(found, self._heads(found, kept_rows))

    def _kept(self, held: dict[int, list[WordBox]]) -> tuple[dict[int, int], dict[int, int]]:
        """Return new numbers of rows and columns without the empty ones of double rules."""
        rows, columns = len(self.places) - 1, len(self.columns)
        full_rows, full_columns = {i // columns for i in held}, {i % columns for i in held}
        least = 1.1 * self.height
        kept = [r for r in range(rows) if r in full_rows or (
            self.full and self.places[r + 1] - self.places[r] > least)]  # fmt: skip
        wide = [k for k in range(columns) if k in full_columns or (
            self.full and self.edges[k + 1] - self.edges[k] > least)]  # fmt: skip
        return {r: i for i, r in enumerate(kept)}, {k: i for i, k in enumerate(wide)}

    def _join_heads(self, held: dict[int, list[WordBox]], merged: DisjointSets) -> None:
        """Merge a header of the first row with the empty cell below it.

        Only if other headers of the first row span columns, each with a header below.
        """
        columns = len(self.columns)
        if len(self.places) < 4 or self.full:
            return
        grouped = {k for k in range(columns) if any(
            merged.root(k) == merged.root(j) for j in range(columns) if j != k)}  # fmt: skip
        if len(grouped) < 2 or not all(columns + k in held for k in grouped):
            return
        for k in range(columns):
            if k not in grouped and k in held and columns + k not in held:
                merged.join(k, columns + k)

    def _join_unwalled(self, held: dict[int, list[WordBox]], merged: DisjointSets) -> None:
        """Merge adjacent cells if only the wall between them is missing in a walled row."""
        rows, columns = len(self.places) - 1, len(self.columns)
        for r in range(rows):
            y0, y1 = self.places[r], self.places[r + 1]
            walls = self._walls((y0 + y1) / 2)
            inner = [w for w in walls if self.box.x0 + self.height < w < self.box.x1 - self.height]
            frame = [w for w in walls if w not in inner]
            if not inner and not (frame and self.full):
                continue
            for k in range(columns - 1):
                edge = self.edges[k + 1]
                ruled = any(abs(edge - u) < 1 for u in self.uprights)
                if not ruled or any(abs(edge - w) < 0.6 * self.height for w in walls):
                    continue
                one, two = r * columns + k in held, r * columns + k + 1 in held
                if not (one and two):
                    merged.join(r * columns + k, r * columns + k + 1)

    def _join_tall(self, held: dict[int, list[WordBox]], merged: DisjointSets) -> None:
        """Merge cells of one column without a wall between them or with text across it.

        If each row has a ruling line below, one that leaves a column out also merges an empty cell.
        """
        rows, columns = len(self.places) - 1, len(self.columns)
        each = len(self.levels) > 0.8 * rows and rows > 3
        for r in range(rows - 1):
            y = self.places[r + 1]
            near = [s for s in self.frame.level if abs(s.at - y) < 0.6 * self.height]
            for k in range(columns):
                a, b = self.edges[k], self.edges[k + 1]
                ruled = sum(max(0.0, min(s.b, b) - max(s.a, a)) for s in near) > 0.5 * (b - a)
                one, two = r * columns + k, (r + 1) * columns + k
                least = 0.25 * self.height
                across = any(bit.y0 + least < y < bit.y1 - least
                             for i in (one, two) for bit in held.get(i, ()))  # fmt: skip
                missing = bool(near) and not ruled
                free = (across or (missing and each)) and not (one in held and two in held)
                if (missing and self.full) or (free and not ruled):
                    merged.join(one, two)

    def _heads(self, cells: Sequence[Cell], kept: dict[int, int]) -> int:
        """Return the number of header rows."""
        rows = max(cell.row + cell.row_span for cell in cells)
        first = self._head_foot()
        ruled = sum(
            self.box.y0 + self.height < at < self.box.y1 - self.height for at in self.levels
        )
        count = sum(1 for r, _ in kept.items() if self.places[r + 1] < first + 0.6 * self.height)
        spans = [c.row + c.row_span for c in cells if c.row == 0]
        if first > self.box.y0 and not self.full and 0 < count <= 4 and ruled < 0.6 * rows:
            return count
        top = [cell for cell in cells if cell.row == 0 and cell.lines]
        rest = [cell for cell in cells if cell.row >= max(spans, default=1) and cell.lines]
        if not top or not rest:
            return 0
        bold = [
            all(style(line, "bold") > 0.8 for c in cells if c.row == r for line in c.lines)
            for r in range(rows)
        ]
        first_plain = bold.index(False) if False in bold else 0
        if first_plain and sum(bold) < 0.5 * rows + 1:
            return first_plain
        named = not any(AMOUNT.fullmatch(" ".join(x.text for x in c.lines)) for c in top)
        shaded = any(s.weak and abs(s.at - self.places[1]) < self.height for s in self.frame.level)
        grouped = any(1 < c.column_span < len(self.columns) for c in top)
        if named and (shaded or self.full or (first > self.box.y0 and count == 1)):
            deep = max(max((c.row_span for c in top), default=1), 1 + grouped)
            return deep if deep < rows else 1
        amounts = [AMOUNT.fullmatch(" ".join(x.text for x in c.lines)) is not None for c in rest
                   if c.column > 0]  # fmt: skip
        return int(named and len(top) > 1 and bool(amounts) and float(np.mean(amounts)) >= 0.5)


def _square(merged: DisjointSets, columns: int) -> None:
    """Extend merged cells to rectangles."""
    changed = True
    while changed:
        changed = False
        for members in merged.groups():
            r = [i // columns for i in members]
            c = [i % columns for i in members]
            box = [a * columns + b for a in range(min(r), max(r) + 1)
                   for b in range(min(c), max(c) + 1)]  # fmt: skip
            if len(box) > len(members):
                for i in box:
                    merged.join(members[0], i)
                changed = True
                break


def unruled_cells(lines: Sequence[Line], boxes: Boxes, height: float) -> tuple[Cell, ...]:
    """Return the cells of a table without ruling lines, row by row; none if it is no table.

    Args:
        lines: Lines of the table.
        boxes: (N, 4) boxes of the lines, in pixels.
        height: Common line height of the page, in pixels.
    """
    grid = Grid(lines, boxes, range(len(lines)), Frame(), height)
    return grid.cells() if grid.is_table() else ()


def table_part(lines: Sequence[Line], boxes: Boxes, height: float) -> tuple[float, float]:
    """Return the top and bottom, in pixels, of a table among lines of prose.

    Lines at the start and the end that cross the column gaps are prose and left out.

    Args:
        lines: Lines of consecutive rows.
        boxes: (N, 4) boxes of the lines, in pixels.
        height: Common line height of the page, in pixels.
    """
    rows = text_rows(word_boxes(lines, boxes, range(len(lines))), height)
    strips = best_column_gaps(rows, height)

    def crosses(row: Sequence[WordBox]) -> bool:
        return len(row) > 5 and any(bit.x0 < (a + b) / 2 < bit.x1 for bit in row for a, b in strips)

    while rows and crosses(rows[-1]):
        rows.pop()
    while rows and crosses(rows[0]):
        rows.pop(0)
    if not rows:
        return 0.0, 0.0
    return min(bit.y0 for bit in rows[0]), max(bit.y1 for bit in rows[-1])
