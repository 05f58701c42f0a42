"""Grouping of ordered lines into blocks: paragraphs, lists, tables, figures and formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, shared_areas
from ocrtool.document.lines import Region, Rule
from ocrtool.document.patterns import AMOUNT, CAPTION, ITEM_MARK
from ocrtool.document.tree import RUNNING, Block, BlockKind, Box, Cell, Line
from ocrtool.reading_order.gutters import LINES, page_columns
from ocrtool.reading_order.rows import (
    MAX_WRAPPED_PITCH,
    Metrics,
    TextRow,
    joined,
    metrics_of,
    rows_of,
)
from ocrtool.reading_order.xy_cut import line_height, owners, reading_order
from ocrtool.reading_order.xy_cut import rows as side_by_side
from ocrtool.structure.headers_footers import SMALLER, Draft, furnished
from ocrtool.structure.paragraphs import ENDED, kind_of, paragraphs
from ocrtool.tables.borderless import (
    aligned,
    cells_of,
    crossing_tables,
    is_code,
    listed,
    spaced,
    tabular_runs,
    torn_tables,
)

if TYPE_CHECKING:
    from ocrtool.tables.ruled import FoundTable

DENSE = 0.7
"""Share of the fields of a table that hold text, from which white between words that were read
parts its columns: the lists of receipts have other white below each other by chance."""


MAX_COVERED_SHARE = 0.5
"""Maximum share of an empty figure or formula that lines of text cover."""


@dataclass(frozen=True)
class Whole:
    """A part of a page that is known to belong together.

    Attributes:
        kind: What it is.
        box: Where it stands, in pixels.
        lines: Indices of the lines in it.
        cells: Of a table, where they are known.
    """

    kind: Literal["table", "figure", "formula"]
    box: Box
    lines: tuple[int, ...] = ()
    cells: tuple[Cell, ...] = ()


def native_blocks(
    lines: Sequence[Line],
    boxes: Boxes,
    wholes: Sequence[Whole],
    dividers: Sequence[Region],
    size: tuple[int, int],
) -> list[Block]:
    """Group lines, whose places and type are exact, into blocks in reading order.

    Args:
        lines: Lines that have text.
        boxes: (N, 4) of them, in pixels.
        wholes: Tables, pictures and formulas; no line is in two of them.
        dividers: Upright rules between columns.
        size: Width and height of the page in pixels.

    Returns:
        Blocks that together hold every line once.
    """
    if not lines and not wholes:
        return []
    metrics = metrics_of(lines, boxes) if lines else Metrics(1.0, 1.0, 1.0)
    held = {i for whole in wholes for i in whole.lines}
    rest = [i for i in range(len(lines)) if i not in held]
    across = crossing_tables(lines, boxes, rest, metrics.height)
    wholes = [*wholes, *(Whole("table", t.box, t.lines, t.cells) for t in across)]
    held |= {i for table in across for i in table.lines}
    free = [i for i in range(len(lines)) if i not in held]
    places = [whole.box for whole in wholes]
    frames = np.array([(b.x0, b.y0, b.x1, b.y1) for b in places], np.float32).reshape(-1, 4)
    items = np.concatenate((boxes[free], frames))
    regions = [Region("figure", box, 1.0) for box in places]
    owner = np.array([-1] * len(free) + list(range(len(wholes))), np.intp)
    texts = [lines[i].text for i in free] + [""] * len(wholes)
    letters = sum(len(line.text) for line in lines)
    drafts: list[Draft] = []
    groups = [
        [part[i] for i in group]
        for part in page_columns(items, texts, metrics.height)
        for group in reading_order(
            items[part], [*regions, *dividers], size, [texts[i] for i in part], owner[part]
        )
    ]
    for group in groups:
        if group[0] >= len(free):
            drafts.append(_whole(wholes[group[0] - len(free)], group[0] - len(free),
                                 lines, boxes, metrics))  # fmt: skip
        else:
            drafts += _flow(rows_of(lines, boxes, [free[i] for i in group]), metrics, letters)
    drafts = furnished(_captioned(drafts, regions, metrics), metrics, size[1])
    from ocrtool.structure.quotes import quoted

    drafts = quoted(_rejoined(drafts), metrics)
    return [_block(draft, metrics, places) for draft in drafts]


def _whole(
    whole: Whole, number: int, lines: Sequence[Line], boxes: Boxes, metrics: Metrics
) -> Draft:
    rows = tuple(rows_of(lines, boxes, whole.lines)) if whole.lines else ()
    if whole.kind == "table" and not whole.cells:
        return _table(rows, metrics, number)
    return Draft(whole.kind, rows, cells=whole.cells, region=number)


def _rejoined(drafts: Sequence[Draft]) -> list[Draft]:
    """Join paragraphs that a column, a picture or a foot-note parts in the middle of a sentence."""
    result: list[Draft] = []
    last = -1
    for draft in drafts:
        if draft.kind == "paragraph" and not draft.spaced and last >= 0:
            before = result[last]
            end, start = before.rows[-1], draft.rows[0]
            elsewhere = start.y1 < end.y0 or start.y0 - end.y1 > 3 * (end.y1 - end.y0)
            elsewhere = elsewhere or last < len(result) - 1
            runs = start.text[:1].islower() and not ENDED.search(end.text)
            alike = abs(before.size - draft.size) < 0.03 * draft.size
            if elsewhere and runs and alike and start.exact and len(end.text) > 20:
                result[last] = replace(before, rows=(*before.rows, *draft.rows))
                continue
        if draft.kind in ("paragraph", "heading", "list", "code"):
            last = len(result) if draft.kind == "paragraph" and not draft.spaced else -1
        result.append(draft)
    return result


def blocks_of(
    lines: Sequence[Line],
    boxes: Boxes,
    regions: Sequence[Region],
    places: Sequence[Box],
    size: tuple[int, int],
    rules: Sequence[Rule] = (),
) -> list[Block]:
    """Group lines into blocks in reading order.

    Args:
        lines: Lines that have text.
        boxes: (N, 4) of them on the straightened page, in pixels.
        regions: Of the straightened page.
        places: Box of each region on the page as it is, in pixels.
        size: Width and height of the page in pixels.
        rules: Of the straightened page.

    Returns:
        Blocks that together hold every line once, but for those that rules of tables cut.
    """
    owner = owners(boxes, regions)
    if any(region.kind == "formula" for region in regions):
        from ocrtool.structure.equations import with_numbers

        owner = with_numbers(owner, lines, boxes, regions)
    ruled: list[FoundTable] = []
    if rules:
        from ocrtool.tables.ruled import ruled_tables

        ruled = ruled_tables(lines, boxes, rules, (), line_height(boxes), size)[0]
    for k, table in enumerate(ruled):
        owner[list(table.lines)] = len(regions) + k
    free = np.flatnonzero(owner < 0).tolist()
    across = crossing_tables(lines, boxes, free, line_height(boxes)) if free else []
    for k, wide in enumerate(across):
        owner[list(wide.lines)] = len(regions) + len(ruled) + k
    tables = [*ruled, *across]
    cells = {len(regions) + k: table.cells for k, table in enumerate(tables)}
    regions = [*regions, *(Region("table", table.box, 1.0) for table in tables)]
    places = [*places, *(table.box for table in tables)]
    empty = [i for i, region in enumerate(regions) if region.kind in ("figure", "formula")
             and not (owner == i).any() and not _covered(region.box, boxes)]  # fmt: skip
    frames = [(b.x0, b.y0, b.x1, b.y1) for b in (regions[i].box for i in empty)]
    items = np.concatenate((boxes, np.array(frames, np.float32).reshape(-1, 4)))
    texts = [line.text for line in lines] + [""] * len(empty)
    metrics = metrics_of(lines, boxes) if lines else Metrics(1.0, 1.0, 1.0)
    letters = sum(map(len, texts))
    drafts: list[Draft] = []
    owner = np.concatenate((owner, empty)).astype(np.intp)
    groups = _ordered(items, regions, size, texts, owner, metrics.height)
    loose = [[i for i in group if i < len(lines)] for group in groups if owner[group[0]] < 0]
    torn = torn_tables(lines, boxes, loose, metrics.height)
    if torn:
        for k, table in enumerate(torn, len(regions)):
            owner[list(table.lines)] = k
            cells[k] = table.cells
        regions = [*regions, *(Region("table", table.box, 1.0) for table in torn)]
        places = [*places, *(table.box for table in torn)]
        groups = _ordered(items, regions, size, texts, owner, metrics.height)
    for group in groups:
        if group[0] >= len(lines):
            region = empty[group[0] - len(lines)]
            kind: BlockKind = "figure" if regions[region].kind == "figure" else "formula"
            drafts.append(Draft(kind, (), region=region))
            continue
        found = rows_of(lines, boxes, group)
        region = int(owner[group[0]])
        if region < 0:
            drafts += _flow(found, metrics, letters)
        elif region in cells:
            drafts.append(Draft("table", tuple(found), cells=cells[region], region=region))
        elif regions[region].kind == "table":
            start, end, by_words = _read_table(found, 0, len(found), metrics)
            whole = (start, end) == (0, len(found)) and by_words
            drafts.append(Draft("table", tuple(found), cells=by_words, region=region)
                          if whole else _table(found, metrics, region))  # fmt: skip
        else:
            kind = "figure" if regions[region].kind == "figure" else "formula"
            drafts.append(Draft(kind, tuple(found), region=region))
    drafts = furnished(_captioned(drafts, regions, metrics), metrics, size[1])
    return [_block(draft, metrics, places) for draft in drafts]


def _ordered(
    items: Boxes,
    regions: Sequence[Region],
    size: tuple[int, int],
    texts: Sequence[str],
    owner: NDArray[np.intp],
    height: float,
) -> list[list[int]]:
    """Group lines and empty regions and bring them in order: columns that prose proves first."""
    return [
        [part[i] for i in group]
        for part in _parts(items, texts, owner, height)
        for group in reading_order(
            items[part], regions, size, [texts[i] for i in part], owner[part]
        )
    ]


def _parts(
    boxes: Boxes, texts: Sequence[str], owner: NDArray[np.intp], height: float
) -> list[list[int]]:
    """Part what stands on a page where its columns begin and end; regions stay whole.

    Args:
        boxes: (N, 4) of lines and empty regions, in pixels.
        texts: What each says.
        owner: (N,) number of the region that each is in, -1 for none.
        height: Common height of a line in pixels.
    """
    free = np.flatnonzero(owner < 0).tolist()
    wholes = [np.flatnonzero(owner == i).tolist() for i in np.unique(owner[owner >= 0]).tolist()]
    members = [*([i] for i in free), *wholes]
    if len(members) < 2 * LINES:
        return [list(range(len(boxes)))]
    hulls = [(*boxes[part, :2].min(axis=0), *boxes[part, 2:].max(axis=0)) for part in members]
    said = [*(texts[i] for i in free), *("" for _ in wholes)]
    found = page_columns(np.array(hulls, np.float32), said, height)
    return [sorted(i for k in part for i in members[k]) for part in found]


def rows_as_blocks(lines: Sequence[Line], boxes: Boxes, apart: bool) -> list[Block]:
    """Group lines from top to bottom, whatever columns they may stand in.

    Args:
        lines: Lines that have text.
        boxes: (N, 4) of them on the straightened page, in pixels.
        apart: Whether each line is a paragraph; else all are rows of one column.

    Returns:
        Blocks that together hold every line once.
    """
    if not lines:
        return []
    metrics = metrics_of(lines, boxes)
    order = [i for row in side_by_side(boxes, np.arange(len(lines))) for i in row]
    if apart:
        drafts = [Draft("paragraph", tuple(rows_of(lines, boxes, [i]))) for i in order]
    else:
        drafts = _flow(rows_of(lines, boxes, order), metrics, sum(len(x.text) for x in lines))
    return [_block(draft, metrics, ()) for draft in drafts]


def _flow(rows: Sequence[TextRow], metrics: Metrics, letters: int) -> list[Draft]:
    """Part the rows of a column into tables, code, paragraphs, lists and headings."""
    drafts: list[Draft] = []
    for start, end, code in _code_runs(rows, metrics):
        if code:
            drafts.append(Draft("code", tuple(rows[start:end]), spaced=True))
        else:
            drafts += _told(rows, start, end, metrics, letters)
    return drafts


def _code_runs(rows: Sequence[TextRow], metrics: Metrics) -> list[tuple[int, int, bool]]:
    """Part rows where those set in type of one width, among others, begin and end."""
    if is_code(rows):
        return [(0, len(rows), True)]
    found: list[tuple[int, int, bool]] = []
    for i, row in enumerate(rows):
        code = not metrics.mono and row.set_in("mono")
        if found and found[-1][2] == code:
            found[-1] = (found[-1][0], i + 1, code)
        else:
            found.append((i, i + 1, code))
    return found


def _told(
    rows: Sequence[TextRow], first: int, last: int, metrics: Metrics, letters: int
) -> list[Draft]:
    """Part rows that are no code."""
    drafts: list[Draft] = []
    place = first
    for a, b in tabular_runs(rows[first:last], metrics, narrow=True):
        start, end, cells = _read_table(rows[:last], max(place, first + a), first + b, metrics)
        if cells:
            drafts += _spread(rows, place, start, metrics, letters)
            drafts.append(Draft("table", tuple(rows[start:end]), cells=cells))
            place = end
    return drafts + _spread(rows, place, last, metrics, letters)


def _spread(
    rows: Sequence[TextRow], first: int, last: int, metrics: Metrics, letters: int
) -> list[Draft]:
    """Part rows that are no code, where tables have wide white or exact places."""
    drafts: list[Draft] = []
    place = first
    runs = [(first + a, first + b) for a, b in tabular_runs(rows[first:last], metrics)]
    for k, (start, end) in enumerate([*runs, (last, last)]):
        if start == end:
            drafts += _running(rows, place, end, metrics, letters)
            continue
        free = runs[k + 1][0] if k + 1 < len(runs) else last
        start, end = _trimmed(rows[:free], start, end, metrics)
        start = max(start, place)
        run = rows[start:end]
        wide = sum(len(row.cells(metrics.height)) > 1 for row in run)
        amounts = any(AMOUNT.fullmatch(line.text) for row in run for line in row.lines)
        cells = _white_cells(run, metrics) if wide > 2 or amounts or len(run) > 2 else ()
        if cells and _are_items(cells):
            cells, wide = (), 0
        if cells is None and (wide > 2 or amounts):
            table = _table(run, metrics)
        elif cells:
            table = Draft("table", tuple(run), cells=cells)
        elif wide > 1:
            table = Draft("paragraph", tuple(run), spaced=True)
        else:
            continue  # prose after all
        drafts += [*_running(rows, place, start, metrics, letters), table]
        place = end
    return drafts


def _trimmed(rows: Sequence[TextRow], start: int, end: int, metrics: Metrics) -> tuple[int, int]:
    """Leave out prose before and after the rows of a table whose places are exact."""
    run = rows[start:end]
    if not all(row.exact for row in run):
        return start, end
    from ocrtool.tables.grid import table_part

    lines = [line for row in run for line in row.lines]
    head, foot = table_part(lines, np.concatenate([row.boxes for row in run]), metrics.height)
    inside = [start + i for i, row in enumerate(run) if head - 1 < (row.y0 + row.y1) / 2 < foot + 1]
    if not inside:
        return start, end
    start, end = inside[0], inside[-1] + 1
    left, right = min(row.x0 for row in run), max(row.x1 for row in run)
    while end < len(rows) and rows[end].y1 - rows[end - 1].y1 < MAX_WRAPPED_PITCH * metrics.height:
        row = rows[end]  # the rest of a wrapped cell, as no row with cells follows
        cell = row.x0 > left + 2 * metrics.height or row.text[:1].islower()
        if not cell or row.x1 - row.x0 > 0.5 * (right - left) or not row.exact:
            break
        end += 1
    if start:
        above, height = rows[start - 1], metrics.height
        off = (above.x0 + above.x1) / 2 - (left + right) / 2
        names = above.x0 > left + 3 * height and off > 1.5 * height and above.x1 < right + height
        near = rows[start].y1 - above.y1 < 2 * height
        if names and near and above.exact and not CAPTION.match(above.text):
            start -= 1  # one name over all columns but the first
    return start, end


def _white_cells(rows: Sequence[TextRow], metrics: Metrics) -> tuple[Cell, ...] | None:
    """Return the cells of rows whose places are exact: none if it is no table; else nothing."""
    return _cells_by_words(rows, metrics) if all(row.exact for row in rows) else None


def _cells_by_words(rows: Sequence[TextRow], metrics: Metrics) -> tuple[Cell, ...]:
    from ocrtool.tables.grid import unruled_cells

    lines = [line for row in rows for line in row.lines]
    return unruled_cells(lines, np.concatenate([row.boxes for row in rows]), metrics.height)


def _read_table(
    rows: Sequence[TextRow], start: int, end: int, metrics: Metrics
) -> tuple[int, int, tuple[Cell, ...]]:
    """Find the table in a run of rows that were read, so that places of words are estimates.

    Returns:
        Where it starts and ends, without headings and the like before and after it; and its
        cells, none where it is not plainly a table.
    """
    if all(row.exact for row in rows[start:end]) or not all(row.worded for row in rows[start:end]):
        return start, end, ()
    wide = max(row.x1 for row in rows[start:end]) - min(row.x0 for row in rows[start:end])
    while end < len(rows) and rows[end].y1 - rows[end - 1].y1 < MAX_WRAPPED_PITCH * metrics.height:
        row = rows[end]  # the rest of a wrapped cell
        if not (row.worded and row.text[:1].islower() and row.x1 - row.x0 < 0.5 * wide):
            break
        end += 1
    while end - start > 2:
        cells = _cells_by_words(rows[start:end], metrics)
        if not cells:
            break
        held: dict[int, set[int]] = {}
        for cell in cells:
            if cell.lines:
                held.setdefault(cell.row, set()).add(cell.column)
        if held[min(held)] == {0} or CAPTION.match(rows[start].text):
            start += 1
        elif held[max(held)] == {0} and not rows[end - 1].text[:1].islower():
            end -= 1
        else:
            columns = 1 + max(map(max, held.values()))
            dense = sum(map(len, held.values())) > DENSE * columns * len(held)
            several = sum(len(filled) > 1 for filled in held.values())
            return start, end, cells if several > 2 and dense and not _are_items(cells) else ()
    return start, end, ()


def _are_items(cells: Sequence[Cell]) -> bool:
    """Tell whether what looks like two columns are the signs of a list and its items."""
    signs = [ITEM_MARK.fullmatch(" ".join(line.text for line in cell.lines)) is not None
             for cell in cells if cell.column == 0 and cell.lines]  # fmt: skip
    columns = max(cell.column + cell.column_span for cell in cells)
    return columns < 3 and sum(signs) > 0.5 * len(signs)


def _running(
    rows: Sequence[TextRow], start: int, end: int, metrics: Metrics, letters: int
) -> list[Draft]:
    """Part rows that are no table; rows before and after them tell how far they stand apart."""
    drafts: list[Draft] = []
    at = start
    for part in paragraphs(rows[start:end], metrics):
        above = part.rows[0].y0 - rows[at - 1].y1 if at else np.inf
        at += len(part.rows)
        below = rows[at].y0 - part.rows[-1].y1 if at < len(rows) else np.inf
        alone = min(above, below) > 0.6 * metrics.height
        kind, level = kind_of(part, metrics, letters, bool(alone))
        last = drafts[-1] if drafts else None
        if kind == "list" and last is not None and last.kind == "list":
            drafts[-1] = replace(last, rows=(*last.rows, *part.rows))
        else:
            drafts.append(Draft(kind, part.rows, level))
    # A lone row with the sign of an item is a numbered line of something else.
    return [replace(draft, kind="paragraph") if draft.kind == "list" and len(draft.rows) < 2
            else draft for draft in drafts]  # fmt: skip


def _table(rows: Sequence[TextRow], metrics: Metrics, region: int = -1) -> Draft:
    return Draft("table", tuple(rows), cells=tuple(cells_of(rows, metrics.height)), region=region)


def _captioned(drafts: list[Draft], regions: Sequence[Region], metrics: Metrics) -> list[Draft]:
    """Call a short paragraph in small type right below a picture its caption."""
    result = list(drafts)
    for i in range(1, len(drafts)):
        draft, before = drafts[i], drafts[i - 1]
        if draft.kind != "paragraph" or before.kind != "figure" or before.region < 0:
            continue
        box, rows = regions[before.region].box, draft.rows
        near = -metrics.height < rows[0].y0 - box.y1 < 2 * metrics.height
        inside = rows[0].x0 > box.x0 - metrics.height and rows[0].x1 < box.x1 + metrics.height
        small = draft.size < SMALLER * metrics.size
        if near and inside and small and len(rows) <= 5:
            result[i] = replace(draft, kind="caption")
    return result


def _block(draft: Draft, metrics: Metrics, places: Sequence[Box]) -> Block:
    lines = tuple(line for row in draft.rows for line in row.lines)
    if draft.cells:
        lines = tuple(line for cell in draft.cells for line in cell.lines)
    elif draft.kind in RUNNING and draft.rows and not draft.spaced:  # a row is one line
        lines = tuple(line for row in draft.rows
                      for line in ([joined(row.lines)] if row.exact else row.lines))  # fmt: skip
    box = Box.around(line.quad for line in lines) if lines else places[draft.region]
    if draft.kind in ("figure", "formula") and draft.region >= 0:
        box = places[draft.region]
    if draft.kind == "table" and draft.cells and not _wrapped(draft):
        text = aligned(draft.cells)
    elif draft.kind == "list" and all(row.exact for row in draft.rows):
        text = listed(draft.rows, metrics)
    elif draft.spaced or draft.kind in ("list", "table"):
        text = spaced(draft.rows, metrics)
    else:
        text = "\n".join(row.spread(metrics.height) for row in draft.rows)
    return Block(draft.kind, box, lines, text, draft.level, draft.cells)


def _wrapped(draft: Draft) -> bool:
    """Tell whether cells of a table that was read hold several rows: its text keeps them apart."""
    count = max(cell.row + cell.row_span for cell in draft.cells)
    return count < len(draft.rows) and not all(row.exact for row in draft.rows)


def _covered(box: Box, boxes: Boxes) -> bool:
    """Tell whether lines of text lie over most of a region, as over a formula within a line."""
    return float(shared_areas(box, boxes).sum()) > MAX_COVERED_SHARE * box.area
