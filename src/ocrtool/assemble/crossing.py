"""Tables without rules that reach across the columns of a page.

The white between two of their columns may go on from the gutter of the page, which then seems to
run past them. But their rows have several cells, none of them prose, on both sides of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ocrtool.assemble.lattice import unruled_cells
from ocrtool.assemble.pagecolumns import gutter_of, is_prose_line
from ocrtool.assemble.rows import Row, rows_of
from ocrtool.assemble.ruled import FoundTable
from ocrtool.document import Box, Line
from ocrtool.layout.columns import AMOUNT

CELLS = 3
"""Least cells of each row."""
ROWS = 3
"""Least rows."""
APART = 2.5
"""White between rows, in heights of a line, at most."""

Boxes = NDArray[np.float32]


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
    runs: list[list[Row]] = [[]]
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
            hull = boxes[list(members)]
            low, high = hull[:, :2].min(axis=0).tolist(), hull[:, 2:].max(axis=0).tolist()
            found.append(FoundTable(Box(*low, *high), members, cells))
    return found


def _are_two(rows: Sequence[Row], place: float, height: float) -> bool:
    """Tell whether rows are those of two lists side by side: alike on both sides of the gutter."""
    alike = 0
    for row in rows:
        sides: tuple[list[bool], list[bool]] = ([], [])
        for cell in row.cells(height):
            sides[cell.x0 > place].append(AMOUNT.fullmatch(cell.text) is not None)
        alike += sides[0] == sides[1]
    return alike > 0.5 * len(rows)
