r"""A table as LaTeX's `tabular`: with its rules, merged cells and the sides its columns lean to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ocrtool.document.tree import Block, Box, Cell
from ocrtool.writers.tables import runs_of_cell
from ocrtool.writers.tex import INLINE

CROSSED = 0.6
"""Share of a table's height that an upright rule must have to part two columns."""
LEANS = 0.6
"""How much less the starts of cells may vary than their ends, to tell what is set to the left from
what is centred."""

Span = tuple[float, float]


def tabular(block: Block, min_confidence: float = 0.0) -> str:
    r"""Return a table as an environment ``tabular``.

    Rules are drawn where they were seen. Cells that are merged take ``\multicolumn``, and
    ``\multirow`` of the package of that name.

    Args:
        block: A table with cells.
        min_confidence: Words below it (0 to 1) are marked.
    """
    return _Tabular(block, min_confidence).text()


@dataclass(frozen=True)
class _Rules:
    """Rules between columns, and between rows: for each, the columns that it passes.

    Attributes:
        upright: For each column and behind the last, whether a rule is before it.
        level: For each row and behind the last, by column, whether a rule is above it.
    """

    upright: tuple[bool, ...]
    level: tuple[tuple[bool, ...], ...]


class _Tabular:
    """One table on its way."""

    def __init__(self, block: Block, min_confidence: float) -> None:
        self.cells = block.cells
        self.min_confidence = min_confidence
        self.height = max(cell.row + cell.row_span for cell in self.cells)
        self.width = max(cell.column + cell.column_span for cell in self.cells)
        columns = [_extents(self.cells, k, _across, 0) for k in range(self.width)]
        rows = [_extents(self.cells, i, _down, 1) for i in range(self.height)]
        self.rules = _rules(block, _spans(columns, block.box, 0), _spans(rows, block.box, 1))
        self.sides = [_side(extents) for extents in columns]

    def text(self) -> str:
        """Return the environment."""
        starts = {(cell.row, cell.column): cell for cell in self.cells}
        lines = [rf"\begin{{tabular}}{{{self._columns(0, self.width)}}}"]
        covered: dict[tuple[int, int], Cell] = {}
        for i in range(self.height):
            lines += self._level(i)
            row: list[str] = []
            k = 0
            while k < self.width:
                above = covered.get((i, k))
                cell = starts.get((i, k)) if above is None else None
                whole = above or cell
                span = whole.column_span if whole else 1
                row.append(self._cell(cell, span, k))
                if cell is not None:
                    for below in range(i + 1, i + cell.row_span):
                        covered[below, k] = cell
                k += span
            lines.append(" & ".join(row).rstrip() + r" \\")
        return "\n".join([*lines, *self._level(self.height), r"\end{tabular}"])

    def _columns(self, first: int, last: int, sides: Sequence[str] = ()) -> str:
        """Return the specification of some columns, with the rules before and behind them."""
        sides = sides or self.sides[first:last]
        written = "|" * (self.rules.upright[first] and first == 0)
        for k, side in zip(range(first, first + len(sides)), sides, strict=True):
            behind = last if len(sides) == 1 else k + 1
            written += side + "|" * self.rules.upright[behind]
        return written

    def _level(self, row: int) -> list[str]:
        """Return the rule above a row."""
        ruled = self.rules.level[row]
        if all(ruled):
            return [r"\hline"]
        pieces: list[list[int]] = []
        for k in (k for k, there in enumerate(ruled) if there):
            if pieces and pieces[-1][1] == k:
                pieces[-1][1] = k + 1
            else:
                pieces.append([k, k + 1])
        return ["".join(rf"\cline{{{a + 1}-{b}}}" for a, b in pieces)] if pieces else []

    def _cell(self, cell: Cell | None, span: int, column: int) -> str:
        text = ""
        if cell is not None:
            text = INLINE.write(runs_of_cell(cell, self.min_confidence))
            if cell.row_span > 1:
                text = rf"\multirow{{{cell.row_span}}}{{*}}{{{text}}}"
        if span > 1:
            columns = self._columns(column, column + span, "c")
            text = rf"\multicolumn{{{span}}}{{{columns}}}{{{text}}}"
        return "{}" + text if text.startswith(("[", "*")) else text


def _across(cell: Cell) -> tuple[int, int]:
    return cell.column, cell.column_span


def _down(cell: Cell) -> tuple[int, int]:
    return cell.row, cell.row_span


def _extents(
    cells: Sequence[Cell], place: int, along: Callable[[Cell], tuple[int, int]], axis: int
) -> list[Span]:
    """Return where the text of a row's or column's own cells begins and ends."""
    found: list[Span] = []
    for cell in cells:
        if along(cell) == (place, 1) and cell.lines:
            ends = [point[axis] for line in cell.lines for point in line.quad]
            found.append((min(ends), max(ends)))
    return found


def _spans(extents: Sequence[Sequence[Span]], box: Box, axis: int) -> list[Span]:
    """Return where rows or columns begin and end; those without text lie between the others."""
    low, high = ((box.x0, box.x1), (box.y0, box.y1))[axis]
    spans = [(min(a for a, _ in own), max(b for _, b in own)) if own else None for own in extents]
    found: list[Span] = []
    for k, span in enumerate(spans):
        if span is None:
            before = found[-1][1] if found else low
            after = next((other[0] for other in spans[k:] if other), high)
            middle = (before + after) / 2
            span = (middle, middle)
        found.append(span)
    return found


def _rules(block: Block, columns: Sequence[Span], rows: Sequence[Span]) -> _Rules:
    across = [r for r in block.rules if r.width >= r.height]
    down = [r for r in block.rules if r.width < r.height]
    middles = [(a + b) / 2 for a, b in columns]
    level = tuple(
        tuple(
            any(r.x0 < x < r.x1 and _lies(before, r.center_y, after) for r in across)
            for x in middles
        )
        for before, after in _between(rows)
    )
    high = rows[-1][1] - rows[0][0]
    upright = tuple(
        sum(r.height for r in down if _lies(before, r.center_x, after)) > CROSSED * high
        for before, after in _between(columns)
    )
    return _Rules(upright, level)


def _between(spans: Sequence[Span]) -> list[tuple[float, float]]:
    """Return the middles of the spans before and behind each boundary, the outer ones, too."""
    middles = [(a + b) / 2 for a, b in spans]
    return list(zip([-float("inf"), *middles], [*middles, float("inf")], strict=True))


def _lies(before: float, place: float, after: float) -> bool:
    return before < place < after


def _side(extents: Sequence[Span]) -> str:
    """Return the side that a column leans to: that where its cells begin or end alike."""
    if len(extents) < 2:
        return "l"

    def spread(values: list[float]) -> float:
        return max(values) - min(values)

    left = spread([a for a, _ in extents])
    right = spread([b for _, b in extents])
    middle = spread([(a + b) / 2 for a, b in extents])
    if middle < LEANS * min(left, right):
        return "c"
    return "l" if left <= right else "r"
