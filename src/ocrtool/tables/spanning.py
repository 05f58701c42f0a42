"""Tables without rules whose columns look like those of the page.

The white between two columns of a table may go on from the gutter of the page, or be taken for one.
But its rows have several cells, none of them prose: on both sides of a gutter that prose proves,
or, where there is no such gutter, with numbers in some columns and none in others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrtool.document.geometry import Boxes, hull
from ocrtool.document.tree import Cell, Line
from ocrtool.reading_order.patterns import AMOUNT
from ocrtool.reading_order.prose_columns import gutter_of, is_prose_line
from ocrtool.reading_order.rows import TextRow, rows_of
from ocrtool.tables.borderless import word_gaps
from ocrtool.tables.grid import unruled_cells
from ocrtool.tables.ruled import FoundTable

CELLS = 3
"""Least cells of each row."""
ROWS = 3
"""Least rows."""
LEAST = 5
"""The same where no prose proves that the page has columns."""
WIDE = 0.75
"""White between the cells of those, in heights of a line, at least."""
APART = 2.5
"""White between rows, in heights of a line, at most."""


def crossing_tables(
    lines: Sequence[Line], boxes: Boxes, chosen: Sequence[int], height: float
) -> list[FoundTable]:
    """Find the tables without rules that reach across the gutter of a page.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) of them, in pixels.
        chosen: Those that are in no table, picture or formula.
        height: Common height of a line in pixels.

    Returns:
        From top to bottom; none where prose proves no gutter.
    """
    own = boxes[list(chosen)]
    gutter = gutter_of(own, [lines[i].text for i in chosen], height)
    if gutter is None:
        return []
    place, top, foot = gutter
    middles = (own[:, 1] + own[:, 3]) / 2
    inside = [chosen[i] for i in np.flatnonzero((middles > top) & (middles < foot)).tolist()]
    rows = rows_of(lines, boxes, inside)
    numbers = {id(lines[i]): i for i in inside}
    runs: list[list[TextRow]] = [[]]
    for row in rows:
        parts = row.cells(height)
        prose = any(is_prose_line(part.text, part.x1 - part.x0, height) for part in parts)
        fits = not prose and len(parts) >= CELLS and parts[0].x0 < place < parts[-1].x1
        if not fits or (runs[-1] and row.y0 - runs[-1][-1].y1 > APART * height):
            runs.append([])
        if fits:
            runs[-1].append(row)
    found: list[FoundTable] = []
    for run in (run for run in runs if len(run) >= ROWS and not _are_two(run, place, height)):
        members = tuple(numbers[id(line)] for row in run for line in row.lines)
        cells = unruled_cells([lines[i] for i in members], boxes[list(members)], height)
        if cells and max(cell.column + cell.column_span for cell in cells) >= CELLS:
            found.append(FoundTable(hull(boxes[list(members)]), members, cells))
    return found


def torn_tables(
    lines: Sequence[Line],
    boxes: Boxes,
    parts: Sequence[Sequence[int]],
    height: float,
) -> list[FoundTable]:
    """Find the tables without rules whose columns were taken for those of a page.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) of them, in pixels.
        parts: Indices of lines that are read one part after the other.
        height: Common height of a line in pixels.

    Returns:
        From top to bottom: rows of several cells, none of them prose, where a column holds
        numbers and another none, as in lists side by side they do not.
    """
    part_of = {i: k for k, part in enumerate(parts) for i in part}
    chosen = sorted(part_of)
    if len(parts) < 2 or len(chosen) < CELLS * LEAST:
        return []
    if gutter_of(boxes[chosen], [lines[i].text for i in chosen], height) is not None:
        return []
    numbers = {id(lines[i]): i for i in chosen}
    runs: list[list[TextRow]] = [[]]
    for row in rows_of(lines, boxes, chosen):
        prose = any(is_prose_line(line.text, x1 - x0, height)
                    for line, (x0, x1) in zip(row.lines, row.boxes[:, ::2].tolist(), strict=True)
                    if max(word_gaps(row), default=0.0) < WIDE * height)  # fmt: skip
        fits = not prose and sum(gap > WIDE * height for gap in word_gaps(row)) >= CELLS - 1
        if not fits or (runs[-1] and row.y0 - runs[-1][-1].y1 > APART * height):
            runs.append([])
        if fits:
            runs[-1].append(row)
    found: list[FoundTable] = []
    for run in (run for run in runs if len(run) >= LEAST):
        members = tuple(numbers[id(line)] for row in run for line in row.lines)
        if len({part_of[i] for i in members}) < 2:
            continue
        cells = unruled_cells([lines[i] for i in members], boxes[list(members)], height)
        if _are_typed(cells):
            found.append(FoundTable(hull(boxes[list(members)]), members, cells))
    return found


def _are_typed(cells: Sequence[Cell]) -> bool:
    """Tell whether a column holds numbers, below its name, and another one none."""
    told: dict[int, list[bool]] = {}
    for cell in (cell for cell in cells if cell.lines and cell.row):
        told.setdefault(cell.column, []).append(
            any(letter.isdigit() for line in cell.lines for letter in line.text)
        )
    shares = [sum(flags) / len(flags) for flags in told.values()]
    return len(shares) >= CELLS and max(shares) > 0.8 and min(shares) < 0.2


def _are_two(rows: Sequence[TextRow], place: float, height: float) -> bool:
    """Tell whether rows are those of two lists side by side: alike on both sides of the gutter."""
    alike = 0
    for row in rows:
        sides: tuple[list[bool], list[bool]] = ([], [])
        for cell in row.cells(height):
            sides[cell.x0 > place].append(AMOUNT.fullmatch(cell.text) is not None)
        alike += sides[0] == sides[1]
    return alike > 0.5 * len(rows)
