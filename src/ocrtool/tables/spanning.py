"""Borderless tables across the gutter of a page, or whose columns look like page columns.

Their rows have several cells, none of them prose: on both sides of a gutter between columns of
prose, or, without such a gutter, with numbers in some columns and none in others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ocrtool.document.geometry import Boxes, hull
from ocrtool.document.patterns import AMOUNT
from ocrtool.document.tree import Cell, Line
from ocrtool.reading_order.prose_columns import gutter_of, is_prose_line
from ocrtool.reading_order.rows import TextRow, rows_of
from ocrtool.tables.borderless import word_gaps
from ocrtool.tables.grid import unruled_cells
from ocrtool.tables.ruled import FoundTable

MIN_CELLS = 3
"""Minimum number of cells of each row."""
MIN_ROWS = 3
"""Minimum number of rows of a table across the gutter."""
MIN_ROWS_WITHOUT_GUTTER = 5
"""Minimum number of rows of a table on a page without columns of prose."""
MIN_CELL_GAP = 0.75
"""Minimum space between cells on a page without columns of prose, in line heights."""
MAX_ROW_GAP = 2.5
"""Maximum vertical gap between rows, in line heights."""


def crossing_tables(
    lines: Sequence[Line], boxes: Boxes, chosen: Sequence[int], height: float
) -> list[FoundTable]:
    """Find borderless tables across the gutter between two columns of prose.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) boxes of the lines, in pixels.
        chosen: Indices of the lines that are in no table, picture or formula.
        height: Common line height in pixels.

    Returns:
        Tables from top to bottom; none on a page without columns of prose.
    """
    own = boxes[list(chosen)]
    gutter = gutter_of(own, [lines[i].text for i in chosen], height)
    if gutter is None:
        return []
    place, top, foot = gutter
    middles = (own[:, 1] + own[:, 3]) / 2
    inside = [chosen[i] for i in np.flatnonzero((middles > top) & (middles < foot)).tolist()]

    def fits(row: TextRow) -> bool:
        parts = row.cells(height)
        prose = any(is_prose_line(part.text, part.x1 - part.x0, height) for part in parts)
        return not prose and len(parts) >= MIN_CELLS and parts[0].x0 < place < parts[-1].x1

    numbers = {id(lines[i]): i for i in inside}
    found: list[FoundTable] = []
    for run in _runs(rows_of(lines, boxes, inside), fits, height):
        if len(run) < MIN_ROWS or _are_two(run, place, height):
            continue
        table = _table(run, lines, boxes, numbers, height)
        if table.cells and max(c.column + c.column_span for c in table.cells) >= MIN_CELLS:
            found.append(table)
    return found


def torn_tables(
    lines: Sequence[Line],
    boxes: Boxes,
    parts: Sequence[Sequence[int]],
    height: float,
) -> list[FoundTable]:
    """Find borderless tables whose columns were taken for columns of the page.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) boxes of the lines, in pixels.
        parts: Indices of the lines of each part of the reading order.
        height: Common line height in pixels.

    Returns:
        Tables from top to bottom: rows of several cells, none of them prose, with numbers in one
        column and none in another, unlike in lists side by side.
    """
    part_of = {i: k for k, part in enumerate(parts) for i in part}
    chosen = sorted(part_of)
    if len(parts) < 2 or len(chosen) < MIN_CELLS * MIN_ROWS_WITHOUT_GUTTER:
        return []
    if gutter_of(boxes[chosen], [lines[i].text for i in chosen], height) is not None:
        return []
    numbers = {id(lines[i]): i for i in chosen}

    def fits(row: TextRow) -> bool:
        gaps = word_gaps(row)
        if max(gaps, default=0.0) < MIN_CELL_GAP * height and any(
            is_prose_line(line.text, x1 - x0, height)
            for line, (x0, x1) in zip(row.lines, row.boxes[:, ::2].tolist(), strict=True)
        ):
            return False
        return sum(gap > MIN_CELL_GAP * height for gap in gaps) >= MIN_CELLS - 1

    found: list[FoundTable] = []
    for run in _runs(rows_of(lines, boxes, chosen), fits, height):
        if len(run) < MIN_ROWS_WITHOUT_GUTTER:
            continue
        table = _table(run, lines, boxes, numbers, height)
        if len({part_of[i] for i in table.lines}) > 1 and _are_typed(table.cells):
            found.append(table)
    return found


def _runs(
    rows: Sequence[TextRow], fits: Callable[[TextRow], bool], height: float
) -> list[list[TextRow]]:
    """Return the runs of close rows that fit."""
    runs: list[list[TextRow]] = []
    last = None
    for row in rows:
        if fits(row):
            if last is None or row.y0 - last.y1 > MAX_ROW_GAP * height:
                runs.append([])
            runs[-1].append(row)
            last = row
        else:
            last = None
    return runs


def _table(
    rows: Sequence[TextRow],
    lines: Sequence[Line],
    boxes: Boxes,
    numbers: Mapping[int, int],
    height: float,
) -> FoundTable:
    """Return rows as a table; ``numbers`` are the indices of the lines by their identity."""
    members = tuple(numbers[id(line)] for row in rows for line in row.lines)
    own = boxes[list(members)]
    return FoundTable(hull(own), members, unruled_cells([lines[i] for i in members], own, height))


def _are_typed(cells: Sequence[Cell]) -> bool:
    """Tell whether one column holds numbers below its header, and another one none."""
    told: dict[int, list[bool]] = {}
    for cell in (cell for cell in cells if cell.lines and cell.row):
        told.setdefault(cell.column, []).append(
            any(letter.isdigit() for line in cell.lines for letter in line.text)
        )
    shares = [sum(flags) / len(flags) for flags in told.values()]
    return len(shares) >= MIN_CELLS and max(shares) > 0.8 and min(shares) < 0.2


def _are_two(rows: Sequence[TextRow], place: float, height: float) -> bool:
    """Tell whether rows belong to two lists side by side: alike on both sides of the gutter."""
    alike = 0
    for row in rows:
        sides: tuple[list[bool], list[bool]] = ([], [])
        for cell in row.cells(height):
            sides[cell.x0 > place].append(AMOUNT.fullmatch(cell.text) is not None)
        alike += sides[0] == sides[1]
    return alike > 0.5 * len(rows)
