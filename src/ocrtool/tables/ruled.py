"""Tables by their rules: full grids, rules above and below rows alone, shaded rows.

Where rules cross they wall off cells; a wall that is missing joins what lies on both sides. Level
rules of one width below each other, as books set tables, and the edges of shaded rows are walls
between rows only; the columns are then found by their white. What is ruled but has no columns, or
prose in them, is no table: a frame round a text, the rules between the parts of a form letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import Rule
from ocrtool.document.geometry import Boxes, centers, points_inside, usual_height
from ocrtool.document.tree import Block, Box, Cell, Line
from ocrtool.reading_order.patterns import BULLETS, CAPTION
from ocrtool.tables.grid import BARE, Frame, Grid, RulingLine
from ocrtool.tables.words import WordBox, bit_rows, bits_of, most_whites

TOUCH = 0.25
"""How near rules meet, in heights of a line."""
LIKE = 0.7
"""How far the ends of rules above each other may lie apart, in heights of a line."""
EVEN = 2.2
"""Greatest distance of the rules below the rows of a table, in the least."""
MOST = 400
"""Rules from which a drawing is no table."""


@dataclass(frozen=True)
class FoundTable:
    """A table that has been found.

    Attributes:
        box: Around its rules and its text, in pixels.
        lines: Indices of the lines that it holds.
        cells: From row to row, with the lines cut to them.
    """

    box: Box
    lines: tuple[int, ...]
    cells: tuple[Cell, ...]


def ruled_tables(
    lines: Sequence[Line],
    boxes: Boxes,
    rules: Sequence[Rule],
    fills: Sequence[Box],
    height: float,
    size: tuple[float, float],
) -> tuple[list[FoundTable], list[Box]]:
    """Find the tables that have rules or shaded rows.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) of them, in pixels.
        rules: What is drawn level or upright, in pixels of the same page.
        fills: Shaded fields.
        height: Common height of a line in pixels.
        size: Width and height of the page in pixels.

    Returns:
        Tables from top to bottom, no line in two of them; and the places of charts, which are
        drawn with rules and bars, too.
    """
    level, upright = _strokes(rules, fills, boxes, height, size)
    if not level or len(level) + len(upright) > 8 * MOST:
        return [], []
    taken = np.zeros(len(lines), np.bool_)
    found: list[FoundTable] = []
    frames = _frames(level, upright, height)
    grids = [frame for frame in frames if _has_walls(frame, height)]
    for frame in sorted(grids, key=lambda f: -f.box.area):
        _keep(found, taken, _table(lines, boxes, taken, frame, height))
    free = [frame for frame in frames if not any(_within(frame.box, t.box, height) for t in found)]
    for frame in _stacks(free, lines, boxes, taken, height):
        _keep(found, taken, _table(lines, boxes, taken, frame, height))
    charts = [frame.box for frame in frames if _has_bars(frame, fills, boxes, height)
              and not any(_within(frame.box, t.box, height) for t in found)]  # fmt: skip
    return sorted(found, key=lambda table: (table.box.y0, table.box.x0)), charts


def with_rules(block: Block, rules: Sequence[Rule]) -> Block:
    """Return a block; a table with the strokes in and round it.

    Args:
        block: Of a page.
        rules: Of that page, in the same pixels.
    """
    if block.kind != "table" or not block.cells:
        return block
    box, slack = block.box, 1.5 * usual_height(block.lines)
    # Rules reach beyond the text: level ones on both sides, and the outer upright ones to them.
    level = [
        rule for rule in map(_box, (r for r in rules if r.level))
        if box.y0 - slack < rule.y0 < box.y1 + slack and rule.x0 < box.x1 and rule.x1 > box.x0
    ]  # fmt: skip
    left = min([box.x0, *(rule.x0 for rule in level)]) - slack
    right = max([box.x1, *(rule.x1 for rule in level)]) + slack
    upright = [
        rule for rule in map(_box, (r for r in rules if not r.level))
        if left < rule.x0 < right and rule.y0 < box.y1 and rule.y1 > box.y0
    ]  # fmt: skip
    return replace(block, rules=(*level, *upright))


def _box(rule: Rule) -> Box:
    half = rule.width / 2
    if rule.level:
        middle = (rule.y0 + rule.y1) / 2
        return Box(rule.x0, middle - half, rule.x1, middle + half)
    middle = (rule.x0 + rule.x1) / 2
    return Box(middle - half, rule.y0, middle + half, rule.y1)


def _has_walls(frame: Frame, height: float) -> bool:
    """Tell whether rules stand upright between the sides of a frame."""
    box = frame.box
    return any(
        not stroke.weak and box.x0 + height < stroke.at < box.x1 - height
        for stroke in frame.upright
    )


def _has_bars(frame: Frame, fills: Sequence[Box], boxes: Boxes, height: float) -> bool:
    """Tell whether shaded fields without text stand among the strokes, as the bars of a chart."""
    box = frame.box
    if len(frame.level) < 3 or len(frame.upright) < 3:
        return False
    middles = centers(boxes)
    bars = [
        fill
        for fill in fills
        if _within(fill, box, height)
        and min(fill.width, fill.height) > 0.5 * height
        and not points_inside(middles, fill).any()
    ]
    return len(bars) > 1 and box.height > 4 * height


def _keep(found: list[FoundTable], taken: NDArray[np.bool_], table: FoundTable | None) -> None:
    if table is not None:
        found.append(table)
        taken[list(table.lines)] = True


def _within(box: Box, other: Box, slack: float) -> bool:
    return (
        box.x0 > other.x0 - slack
        and box.x1 < other.x1 + slack
        and box.y0 > other.y0 - slack
        and box.y1 < other.y1 + slack
    )


def _strokes(
    rules: Sequence[Rule],
    fills: Sequence[Box],
    boxes: Boxes,
    height: float,
    size: tuple[float, float],
) -> tuple[list[RulingLine], list[RulingLine]]:
    """Return level and upright strokes, pieces in line joined, underlines left out."""
    level: list[RulingLine] = []
    upright: list[RulingLine] = []
    for rule in rules:
        if abs(rule.x1 - rule.x0) >= abs(rule.y1 - rule.y0):
            a, b = sorted((rule.x0, rule.x1))
            level.append(RulingLine((rule.y0 + rule.y1) / 2, a, b))
        else:
            a, b = sorted((rule.y0, rule.y1))
            upright.append(RulingLine((rule.x0 + rule.x1) / 2, a, b))
    for box in fills:
        wide, high = box.width, box.height
        if min(wide, high) < 0.7 * height or wide * high > 0.5 * size[0] * size[1]:
            continue
        level += [RulingLine(y, box.x0, box.x1, True) for y in (box.y0, box.y1)]
        upright += [RulingLine(x, box.y0, box.y1, True) for x in (box.x0, box.x1)]
    level = [stroke for stroke in _in_line(level, height) if not _underlines(stroke, boxes)]
    upright = _in_line(upright, height)
    least = 0.8 * height
    return (
        [s for s in level if s.b - s.a > least],
        [s for s in upright if s.b - s.a > least],
    )


def _in_line(strokes: list[RulingLine], height: float) -> list[RulingLine]:
    """Join strokes that go on from each other or lie on each other."""
    near = 0.15 * height
    found: list[RulingLine] = []
    groups: list[list[RulingLine]] = []
    for stroke in sorted(strokes, key=lambda s: s.at):
        if groups and stroke.at - groups[-1][0].at <= near:
            groups[-1].append(stroke)
        else:
            groups.append([stroke])
    for group in groups:
        group.sort(key=lambda s: s.a)
        last = group[0]
        for stroke in group[1:]:
            if stroke.a <= last.b + near:
                at = last.at if not last.weak or stroke.weak else stroke.at
                last = RulingLine(at, last.a, max(last.b, stroke.b), last.weak and stroke.weak)
            else:
                found.append(last)
                last = stroke
        found.append(last)
    return found


def _underlines(stroke: RulingLine, boxes: Boxes) -> bool:
    """Tell whether a level stroke runs through or right below a single line of text."""
    if not len(boxes) or stroke.weak:
        return False
    high = boxes[:, 3] - boxes[:, 1]
    crossed = (stroke.at > boxes[:, 1] + 0.3 * high) & (stroke.at < boxes[:, 3] + 0.02 * high)
    inside = (boxes[:, 0] - 0.3 * high <= stroke.a) & (boxes[:, 2] + 0.3 * high >= stroke.b)
    return bool((crossed & inside).any())


def _frames(level: list[RulingLine], upright: list[RulingLine], height: float) -> list[Frame]:
    """Group strokes that meet."""
    near = TOUCH * height
    parent = list(range(len(level) + len(upright)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    if upright:
        one = np.array([(s.at, s.a, s.b) for s in level])
        two = np.array([(s.at, s.a, s.b) for s in upright])
        meet = (
            (two[:, 0] >= one[:, 1, None] - near)
            & (two[:, 0] <= one[:, 2, None] + near)
            & (one[:, 0, None] >= two[:, 1] - near)
            & (one[:, 0, None] <= two[:, 2] + near)
        )
        for i, j in np.argwhere(meet).tolist():
            parent[root(i)] = root(len(level) + j)
    frames: dict[int, Frame] = {}
    for i, stroke in enumerate(level):
        frames.setdefault(root(i), Frame()).level.append(stroke)
    for j, stroke in enumerate(upright):
        frames.setdefault(root(len(level) + j), Frame()).upright.append(stroke)
    return [frame for frame in frames.values() if frame.level]


def _stacks(
    frames: Sequence[Frame],
    lines: Sequence[Line],
    boxes: Boxes,
    taken: NDArray[np.bool_],
    height: float,
) -> list[Frame]:
    """Gather strokes below each other that begin and end alike, and those between them."""
    near = LIKE * height
    ordered = sorted(frames, key=lambda f: f.box.y0)
    used: set[int] = set()
    found: list[Frame] = []
    for i, first in enumerate(ordered):
        if i in used:
            continue
        box = first.box
        stack, between = [i], []
        low = box.y1
        for j in range(i + 1, len(ordered)):
            other = ordered[j].box
            if j in used or other.x0 > box.x1 or other.x1 < box.x0:
                continue
            alike = abs(other.x0 - box.x0) < near and abs(other.x1 - box.x1) < near
            if not alike:
                inside = other.x0 > box.x0 - near and other.x1 < box.x1 + near
                if inside and len(ordered[j].level) == 1 and not ordered[j].upright:
                    between.append(j)
                    continue
                if other.width > 0.5 * box.width:
                    break
                continue
            band = (box.x0, low, box.x1, other.y0)
            sort = _band(band, lines, boxes, taken, height)
            if sort == "prose":
                break
            stack.append(j)
            low = other.y1
        frame = Frame()
        ends = (box.y0, max(ordered[j].box.y1 for j in stack))
        inner = [j for j in between if ends[0] < ordered[j].box.y0 < ends[1]]
        for j in (*stack, *inner):
            frame.level += ordered[j].level
            frame.upright += ordered[j].upright
        if len(frame.level) > 1:
            frame.level.sort(key=lambda s: s.at)
            used.update(stack)
            used.update(inner)
            found.append(frame)
    return found


def _band(
    box: tuple[float, float, float, float],
    lines: Sequence[Line],
    boxes: Boxes,
    taken: NDArray[np.bool_],
    height: float,
) -> str:
    """Judge what stands between two level strokes: ``cells``, ``few`` lines, or ``prose``."""
    x0, y0, x1, y1 = box
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    beside = (middles > y0 - 0.2 * height) & (middles < y1) & ~taken
    reach = beside & (boxes[:, 0] < x1) & (boxes[:, 2] > x0)
    beyond = reach & ((boxes[:, 0] < x0 - 1.5 * height) | (boxes[:, 2] > x1 + 1.5 * height))
    if beyond.any():
        return "prose"
    chosen = np.flatnonzero(reach).tolist()
    if not chosen:
        return "few" if y1 - y0 < 3 * height else "prose"
    if any(CAPTION.match(lines[i].text) for i in chosen):
        return "prose"
    rows = bit_rows(bits_of(lines, boxes, chosen), height)
    split = [_apart(row, height) for row in rows]
    if _is_wrapped(split, height):
        return "cells"
    several = sum(len(row) > 1 for row in split) >= 0.5 * len(rows)
    if not several and len(rows) > 2:
        strips = most_whites(rows, height)
        crossed = sum(any(bit.x0 < a and bit.x1 > b for bit in row)
                      for row in rows for a, b in strips)  # fmt: skip
        several = bool(strips) and crossed <= 0.2 * len(rows)
    if several and not _running(split):
        return "cells"
    return "few" if len(rows) <= 2 and not several else "prose"


def _apart(row: Sequence[WordBox], height: float) -> list[list[WordBox]]:
    """Part a row of words where they stand far apart."""
    parts = [[row[0]]]
    for bit in row[1:]:
        if bit.x0 - parts[-1][-1].x1 > 0.6 * height:
            parts.append([bit])
        else:
            parts[-1].append(bit)
    return parts


def _is_wrapped(rows: Sequence[Sequence[Sequence[WordBox]]], height: float) -> bool:
    """Tell whether rows are cells side by side and, below, only the rest of some of them."""
    starts = [part[0].x0 for part in rows[0]]
    rest = [part[0].x0 for row in rows[1:] for part in row]
    fewer = all(len(row) < len(starts) for row in rows[1:])
    return (
        len(starts) > 2
        and fewer
        and all(min(abs(x0 - start) for start in starts) < 0.5 * height for x0 in rest)
    )


def _running(rows: Sequence[Sequence[Sequence[WordBox]]]) -> bool:
    """Tell whether rows are those of prose in columns: full lines of many words."""
    words = [len(part) for row in rows for part in row]
    long = sum(count >= 5 for count in words)
    return (
        len(rows) > 3
        and sum(count for count in words if count >= 5) > 0.85 * sum(words)
        and (long > 0.7 * len(words))
    )


def _table(
    lines: Sequence[Line], boxes: Boxes, taken: NDArray[np.bool_], frame: Frame, height: float
) -> FoundTable | None:
    box = frame.box
    if box.width < 4 * height or len(frame.level) + len(frame.upright) > MOST:
        return None
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    slack = 0.3 * height
    inside = (
        (middles[:, 0] > box.x0 - slack)
        & (middles[:, 0] < box.x1 + slack)
        & (middles[:, 1] > box.y0 - 0.1 * height)
        & (middles[:, 1] < box.y1 + 0.1 * height)
        & ~taken
    )
    chosen = np.flatnonzero(inside).tolist()
    if len(chosen) < 2:
        return None
    free = ~taken & ~inside
    if not _has_walls(frame, height):
        weak = all(stroke.weak for stroke in frame.level)
        chosen += _next(lines, boxes, free, box, height, 2.2 if weak else 1.3)
        chosen += _next(lines, boxes, free, box, height, 1.3, _pitch(frame))
    grid = Grid(lines, boxes, chosen, frame, height)
    if not grid.is_table():
        return None
    cells = grid.cells()
    if not cells or (grid.full and not _is_filled(cells)):
        return None
    if not frame.upright and not grid.is_long(len(frame.level)):
        return None
    own = boxes[chosen]
    around = Box(
        min(box.x0, float(own[:, 0].min())),
        min(box.y0, float(own[:, 1].min())),
        max(box.x1, float(own[:, 2].max())),
        max(box.y1, float(own[:, 3].max())),
    )
    return FoundTable(around, tuple(chosen), cells)


def _is_filled(cells: Sequence[Cell]) -> bool:
    """Tell whether enough of the cells between walls hold text, side by side."""
    told = [cell for cell in cells if cell.lines]
    fields = sum(cell.row_span * cell.column_span for cell in cells)
    rows = max(cell.row + cell.row_span for cell in cells)
    columns = max(cell.column + cell.column_span for cell in cells)
    beside = [sum(cell.row == r for cell in told) for r in range(rows)]
    empty = rows * columns - fields + sum(not cell.lines for cell in cells)
    full = max(beside) >= 0.6 * columns and columns > 2
    return sum(count > 1 for count in beside) > (0 if full else 1) and (
        len(told) >= BARE * (len(told) + empty) or full
    )


def _next(
    lines: Sequence[Line],
    boxes: Boxes,
    free: NDArray[np.bool_],
    box: Box,
    height: float,
    most: float,
    pitch: float | None = None,
) -> list[int]:
    """Return lines below or above what is ruled that stand in columns, too.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) of them, in pixels.
        free: (N,) which of them are in no table yet.
        box: What is ruled.
        height: Common height of a line in pixels.
        most: White between rows, in heights of a line.
        pitch: Distance of the rules in pixels where to look above them: for the names of columns,
            three lines at most, of which the lowest begins no further from the rule.
    """
    above = pitch is not None
    if above:
        free = free & (boxes[:, 3] < box.y0 + 0.3 * height) & (boxes[:, 1] > box.y0 - 6 * height)
    else:
        free = free & (boxes[:, 1] > box.y1 - 0.3 * height) & (boxes[:, 1] < box.y1 + 80 * height)
    reach = np.flatnonzero(free & (boxes[:, 0] < box.x1) & (boxes[:, 2] > box.x0))
    inside = (boxes[:, 0] > box.x0 - height) & (boxes[:, 2] < box.x1 + height)
    rows = bit_rows(bits_of(lines, boxes, reach.tolist()), height)
    chosen: list[int] = []
    waiting: list[int] = []
    edge = box.y0 if above else box.y1
    taken: list[Sequence[Sequence[WordBox]]] = []
    for row in reversed(rows) if above else rows:
        own = sorted({bit.line for bit in row})
        head, foot = min(bit.y0 for bit in row), max(bit.y1 for bit in row)
        gap = edge - foot if above else head - edge
        near = gap <= most * height or (not taken and edge - head < (pitch or 0.0))
        if not near or not inside[own].all():
            break
        other = any(CAPTION.match(lines[i].text) for i in own)
        item = lines[row[0].line].text.split(maxsplit=1)[0] in BULLETS
        if other or item or (above and len(taken) == 3):
            break
        edge = head if above else foot
        waiting += own
        parts = _apart(row, max(height, foot - head))  # words of large type stand further apart
        taken.append(parts)
        if len(parts) > 1 or (above and gap < height and _heads(row, box, height)):
            chosen += waiting
            waiting = []
        elif len(waiting) > 3 or row[-1].x1 - row[0].x0 > 0.8 * box.width:
            break
    return [] if _running(taken) else chosen


def _pitch(frame: Frame) -> float:
    """Return the distance of the level rules of a table, in pixels; 0 unless each row has one."""
    steps = np.diff([stroke.at for stroke in frame.level])
    even = len(steps) > 2 and steps.max() < EVEN * steps.min()
    return float(np.median(steps)) if even else 0.0


def _heads(row: Sequence[WordBox], box: Box, height: float) -> bool:
    """Tell whether a lone text above a table names several columns: all but the first, mostly."""
    x0, x1 = row[0].x0, row[-1].x1
    off = (x0 + x1) / 2 - box.center_x
    return x0 > box.x0 + 3 * height and off > 1.5 * height and x1 < box.x1 + height
