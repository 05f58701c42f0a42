"""Borderless tables, receipts and forms: rows with aligned cells; and program code."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, hull, runs_of
from ocrtool.document.patterns import AMOUNT, CAPTION, ITEM_MARK, LEADER
from ocrtool.document.tree import Cell, Line
from ocrtool.reading_order.columns import middle
from ocrtool.reading_order.gutters import gutter_of, is_prose_line
from ocrtool.reading_order.rows import Metrics, TextRow, rows_of

if TYPE_CHECKING:
    from ocrtool.tables.ruled import FoundTable

MAX_ROW_GAP = 3.0
"""Maximum vertical gap between rows of a table, in line heights."""
CODE = re.compile(
    r"[{};]$|^[}\])]+[;,]?$|^(?:def|class|import|from|return|public|private|static|void|int|if|for|"
    r"while|else|elif|function|var|let|const|#include|using|package|print)\b.*[:;({)]|=>|::|==|!=|"
    r"\w\(.*\)[:;]?$|^\s*(?://|#\s|/\*|\*/)"
)


def tabular_runs(
    rows: Sequence[TextRow], metrics: Metrics, narrow: bool = False
) -> list[tuple[int, int]]:
    """Find runs of rows with several cells.

    Rows with a single cell between two others, such as the name of an item above its price, belong
    to the run; lines of prose end it.

    Args:
        rows: From top to bottom.
        metrics: Measures of the page.
        narrow: Whether single words of recognised lines may be cells, too; their positions are
            estimates, so that the caller has to check the result.

    Returns:
        Start and end of each run of at least two rows with several cells.
    """
    found: list[list[int]] = []
    extent = max((row.x1 for row in rows), default=0.0) - min((row.x0 for row in rows), default=0.0)
    wide = [_has_cells(row, metrics.height, extent, narrow) for row in rows]
    for i in np.flatnonzero(wide).tolist():
        between = rows[found[-1][-1] + 1 : i] if found else []
        last = found[-1][-1] if found else 0
        apart = max((rows[k + 1].y0 - rows[k].y1 for k in range(last, i)), default=0.0)
        long = sum(row.x1 - row.x0 > 0.8 * extent for row in between)
        prose = long > (0 if rows[i].exact or narrow else 2)
        prose = prose or any(CAPTION.match(row.text) for row in between)
        if found and len(between) <= 3 and not prose and apart <= MAX_ROW_GAP * metrics.height:
            found[-1].append(i)
        else:
            found.append([i])
    return [(run[0], run[-1] + 1) for run in found if len(run) > 1]


def _has_cells(row: TextRow, height: float, extent: float, narrow: bool) -> bool:
    """Tell whether a row may consist of several cells.

    If word positions are exact, narrow spaces may separate cells, except in justified prose.
    """
    if LEADER.search(row.text) or CAPTION.match(row.text):
        return False
    fine = row.exact or (narrow and row.worded)
    if not fine or len(row.cells(height)) > 1:
        return len(row.cells(height)) > 1
    if not row.exact:  # large type has wider spaces
        height = max(height, float(np.median(row.boxes[:, 3] - row.boxes[:, 1])))
    gaps = word_gaps(row)
    widest = max(gaps, default=0.0)
    filled = row.x1 - row.x0 > 0.9 * extent and len(gaps) > 6
    letters = sum(c.isalpha() for c in row.text) > 0.7 * len(row.text.replace(" ", ""))
    spread = len(gaps) > 4 and letters and middle(np.array(gaps)) > 0.6 * widest
    return widest > (1.0 if filled or spread else 0.5) * height


def word_gaps(row: TextRow) -> list[float]:
    """Return the spaces between the words of a row, in pixels."""
    spans = sorted((word.quad[0][0], word.quad[1][0]) for line in row.lines for word in line.words)
    return [b[0] - a[1] for a, b in itertools.pairwise(spans)]


def cells_of(rows: Sequence[TextRow], height: float) -> list[Cell]:
    """Return the cells of a table, row by row; columns are separated by gaps common to its rows.

    Args:
        rows: Rows of the table.
        height: Common line height in pixels.
    """
    parts = [row.cells(height) for row in rows]
    columns = _columns([part for part in parts if len(part) > 1] or parts, height)
    cells: list[Cell] = []
    for i, part in enumerate(parts):
        taken: dict[int, Cell] = {}
        for piece in part:
            first, last = _span(piece, columns)
            first = max(
                [first, *(c.column + c.column_span for c in taken.values() if c.column < first)]
            )
            last = max(first, last)
            if first >= len(columns):  # beyond the last column: joined to the last cell
                first = last = max(taken)
            before = taken.get(first)
            lines = (before.lines if before else ()) + piece.lines
            taken[first] = Cell(i, first, 1, last - first + 1, lines)
        cells += (taken[k] for k in sorted(taken))
    return _with_header(cells)


def aligned(cells: Sequence[Cell]) -> str:
    """Return the cells of a table as aligned plain text, columns of amounts right-aligned."""
    texts = {id(cell): " ".join(line.text for line in cell.lines) for cell in cells}
    count = max(cell.column + cell.column_span for cell in cells)
    widths, right = [0] * count, [False] * count
    for k in range(count):
        own = [texts[id(cell)] for cell in cells if cell.column == k and cell.column_span == 1]
        widths[k] = max(map(len, own), default=0)
        body = [text for text in own if AMOUNT.fullmatch(text)]
        right[k] = k > 0 and len(body) > 0.5 * len(own)
    starts = np.cumsum([0, *(width + 2 for width in widths)]).tolist()
    written: list[str] = []
    for i in range(max(cell.row for cell in cells) + 1):
        text = ""
        for cell in (cell for cell in cells if cell.row == i):
            said = texts[id(cell)]
            end = starts[cell.column + cell.column_span] - 2
            place = end - len(said) if right[cell.column] else starts[cell.column]
            place = max(place, starts[cell.column], len(text) + 2 if text else 0)
            text = text.ljust(place) + said
        written.append(text)
    return "\n".join(written)


def is_code(rows: Sequence[TextRow]) -> bool:
    """Tell whether rows are program code: monospaced, and with its syntax."""
    said = [row.text for row in rows if row.text]
    if len(said) < 3 or sum(CODE.search(text) is not None for text in said) < 0.5 * len(said):
        return False
    advances = [(row.x1 - row.x0) / len(row.text) for row in rows if len(row.text) > 8]
    return len(advances) < 2 or float(np.std(advances)) < 0.06 * float(np.mean(advances))


def spaced(rows: Sequence[TextRow], metrics: Metrics) -> str:
    """Return rows as plain text with their indentation and their spaces."""
    letters = sum(len(row.text) for row in rows if len(row.lines) == 1)
    width = sum(row.x1 - row.x0 for row in rows if len(row.lines) == 1)
    advance = width / letters if letters > 20 else metrics.advance
    left = min(row.x0 for row in rows)
    written: list[str] = []
    for row in rows:
        text = ""
        for piece in row.cells(metrics.height):
            place = round((piece.x0 - left) / advance)
            text = text.ljust(max(place, len(text) + 2 if text else 0)) + piece.text
        written.append(text)
    return "\n".join(written)


def listed(rows: Sequence[TextRow], metrics: Metrics) -> str:
    """Return the items of a list, indented by four spaces a level."""
    starts = [row.x0 for row in rows if ITEM_MARK.match(row.text)]
    levels: list[float] = []
    for x0 in sorted(starts):
        if not levels or x0 - levels[-1] > 0.9 * metrics.height:
            levels.append(x0)
    written: list[str] = []
    depth = 0
    for row in rows:
        marked = ITEM_MARK.match(row.text) is not None
        if marked:
            depth = max(0, int(np.searchsorted(levels, row.x0 + 0.5)) - 1)
        written.append("    " * depth + ("" if marked else "  ") + row.text)
    return "\n".join(written)


def _columns(parts: Sequence[Sequence[TextRow]], height: float) -> list[tuple[float, float]]:
    """Return the left and right edge of each column."""
    pieces = [(piece.x0, piece.x1) for part in parts for piece in part]
    step = max(1.0, height / 4)
    start = min(x0 for x0, _ in pieces)
    places = int((max(x1 for _, x1 in pieces) - start) / step) + 2
    covered = np.zeros(places, np.int64)
    for x0, x1 in pieces:
        covered[round((x0 - start) / step) : max(round((x1 - start) / step), 1)] += 1
    from ocrtool.tables.words import MAX_CROSSING_SHARE

    inked = runs_of(covered > MAX_CROSSING_SHARE * len(parts))
    return [(start + a * step, start + b * step) for a, b in inked]


def _span(piece: TextRow, columns: Sequence[tuple[float, float]]) -> tuple[int, int]:
    """Return the first and last column that a cell spans, or the nearest one."""
    shared = np.array([min(piece.x1, b) - max(piece.x0, a) for a, b in columns])
    reached = np.flatnonzero(shared > 0.25 * np.array([b - a for a, b in columns]))
    if len(reached) < 2:
        nearest = int(shared.argmax())
        return nearest, nearest
    return int(reached[0]), int(reached[-1])


def _with_header(cells: list[Cell]) -> list[Cell]:
    """Mark the first row as header if it has no amounts but most cells below have."""

    def amounts(chosen: Sequence[Cell]) -> NDArray[np.bool_]:
        return np.array(
            [AMOUNT.fullmatch(" ".join(line.text for line in c.lines)) is not None for c in chosen]
        )

    first = [cell for cell in cells if cell.row == 0]
    rest = [cell for cell in cells if cell.row > 0 and cell.column > 0]
    named = len(first) > 1 and not amounts(first).any()
    if not named or not rest or amounts(rest).mean() < 0.5:
        return cells
    from ocrtool.tables.words import with_headers

    return list(with_headers(cells, 1))


MIN_CELLS = 3
"""Minimum number of cells of each row."""
MIN_ROWS = 3
"""Minimum number of rows of a table across the gutter."""
MIN_ROWS_WITHOUT_GUTTER = 5
"""Minimum number of rows of a table on a page without columns of prose."""
MIN_CELL_GAP = 0.75
"""Minimum space between cells on a page without columns of prose, in line heights."""
MAX_SPANNING_ROW_GAP = 2.5
"""Maximum vertical gap between rows of a table across columns, in line heights."""


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
            if last is None or row.y0 - last.y1 > MAX_SPANNING_ROW_GAP * height:
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
    from ocrtool.tables.grid import unruled_cells
    from ocrtool.tables.ruled import FoundTable

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
