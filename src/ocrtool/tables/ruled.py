"""Detection of tables by ruling lines: full grids, horizontal rules only, shaded rows.

Crossing ruling lines separate cells. Aligned horizontal rules of one width and edges of shaded rows
separate rows only; columns are then found by column gaps. Ruling lines round an area without
columns, or with prose in them, are no table but a frame or a separator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, centers, hull, points_inside, usual_height
from ocrtool.document.lines import Rule
from ocrtool.document.patterns import CAPTION, ITEM_MARK
from ocrtool.document.tree import Block, Box, Cell, Line
from ocrtool.tables.grid import MIN_FILLED_SHARE, DisjointSets, Frame, Grid, RulingLine
from ocrtool.tables.words import WordBox, best_column_gaps, text_rows, word_boxes

MAX_JOINT_GAP = 0.25
"""Maximum gap between ruling lines that meet, in line heights."""
MAX_END_OFFSET = 0.7
"""Maximum horizontal distance of the ends of aligned rules, in line heights."""
MAX_PITCH_RATIO = 2.2
"""Maximum ratio of the largest to the smallest distance of rules that separate single rows."""
MAX_RULES = 400
"""Maximum number of ruling lines of a table; more are a drawing."""


@dataclass(frozen=True)
class FoundTable:
    """A detected table.

    Attributes:
        box: Bounding box of its ruling lines and text, in pixels.
        lines: Indices of its lines.
        cells: Row by row; lines are cut at cell borders.
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
    """Find the tables that have ruling lines or shaded rows.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) boxes of the lines, in pixels.
        rules: Horizontal and vertical rules of the page, in pixels.
        fills: Shaded areas, in pixels.
        height: Common line height in pixels.
        size: Width and height of the page in pixels.

    Returns:
        Tables from top to bottom, no line in two of them; and the boxes of charts, which have rules
        and bars, too.
    """
    level, upright = _ruling_lines(rules, fills, boxes, height, size)
    if not level or len(level) + len(upright) > 8 * MAX_RULES:
        return [], []
    taken = np.zeros(len(lines), np.bool_)
    found: list[FoundTable] = []
    frames = _frames(level, upright, height)
    grids = [frame for frame in frames if _has_walls(frame, height)]
    for frame in sorted(grids, key=lambda f: -f.box.area):
        found += _tables(lines, boxes, taken, frame, height)
    free = [f for f in frames if not any(f.box.is_inside(t.box, height) for t in found)]
    for frame in _stacks(free, lines, boxes, taken, height):
        found += _tables(lines, boxes, taken, frame, height)
    charts = [frame.box for frame in frames if _has_bars(frame, fills, boxes, height)
              and not any(frame.box.is_inside(t.box, height) for t in found)]  # fmt: skip
    return sorted(found, key=lambda table: (table.box.y0, table.box.x0)), charts


def with_rules(block: Block, rules: Sequence[Rule]) -> Block:
    """Return a block of a page; a table with those rules of the page that belong to it."""
    if block.kind != "table" or not block.cells:
        return block
    box, slack = block.box, 1.5 * usual_height(block.lines)
    # Rules extend beyond the text: horizontal ones on both sides, as far as the vertical ones.
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
    """Tell whether there are vertical rules between the sides of a frame."""
    box = frame.box
    return any(
        not stroke.weak and box.x0 + height < stroke.at < box.x1 - height
        for stroke in frame.upright
    )


def _has_bars(frame: Frame, fills: Sequence[Box], boxes: Boxes, height: float) -> bool:
    """Tell whether there are shaded areas without text, as the bars of a chart."""
    box = frame.box
    if len(frame.level) < 3 or len(frame.upright) < 3:
        return False
    middles = centers(boxes)
    bars = [
        fill
        for fill in fills
        if fill.is_inside(box, height)
        and min(fill.width, fill.height) > 0.5 * height
        and not points_inside(middles, fill).any()
    ]
    return len(bars) > 1 and box.height > 4 * height


def _ruling_lines(
    rules: Sequence[Rule],
    fills: Sequence[Box],
    boxes: Boxes,
    height: float,
    size: tuple[float, float],
) -> tuple[list[RulingLine], list[RulingLine]]:
    """Return horizontal and vertical ruling lines, collinear ones joined, without underlines."""
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
    level = [
        stroke for stroke in _joined_collinear(level, height) if not _is_underline(stroke, boxes)
    ]
    upright = _joined_collinear(upright, height)
    least = 0.8 * height
    return (
        [s for s in level if s.b - s.a > least],
        [s for s in upright if s.b - s.a > least],
    )


def _joined_collinear(strokes: list[RulingLine], height: float) -> list[RulingLine]:
    """Join collinear ruling lines that touch or overlap."""
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


def _is_underline(stroke: RulingLine, boxes: Boxes) -> bool:
    """Tell whether a horizontal ruling line underlines or strikes through a single text line."""
    if not len(boxes) or stroke.weak:
        return False
    high = boxes[:, 3] - boxes[:, 1]
    crossed = (stroke.at > boxes[:, 1] + 0.3 * high) & (stroke.at < boxes[:, 3] + 0.02 * high)
    inside = (boxes[:, 0] - 0.3 * high <= stroke.a) & (boxes[:, 2] + 0.3 * high >= stroke.b)
    return bool((crossed & inside).any())


def _frames(level: list[RulingLine], upright: list[RulingLine], height: float) -> list[Frame]:
    """Group ruling lines that meet."""
    near = MAX_JOINT_GAP * height
    joined = DisjointSets(len(level) + len(upright))
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
            joined.join(i, len(level) + j)
    count = len(level)
    frames = (
        Frame(
            [level[i] for i in group if i < count],
            [upright[i - count] for i in group if i >= count],
        )
        for group in joined.groups()
    )
    return [frame for frame in frames if frame.level]


def _stacks(
    frames: Sequence[Frame],
    lines: Sequence[Line],
    boxes: Boxes,
    taken: NDArray[np.bool_],
    height: float,
) -> list[Frame]:
    """Group aligned horizontal rules of one width, and shorter rules between them."""
    near = MAX_END_OFFSET * height
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
            sort = _text_between(band, lines, boxes, taken, height)
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


def _text_between(
    box: tuple[float, float, float, float],
    lines: Sequence[Line],
    boxes: Boxes,
    taken: NDArray[np.bool_],
    height: float,
) -> str:
    """Classify the text between two rules: ``cells``, ``few`` lines, or ``prose``."""
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
    rows = text_rows(word_boxes(lines, boxes, chosen), height)
    split = [_parts_of_row(row, height) for row in rows]
    if _is_wrapped(split, height):
        return "cells"
    several = sum(len(row) > 1 for row in split) >= 0.5 * len(rows)
    if not several and len(rows) > 2:
        strips = best_column_gaps(rows, height)
        crossed = sum(any(bit.x0 < a and bit.x1 > b for bit in row)
                      for row in rows for a, b in strips)  # fmt: skip
        several = bool(strips) and crossed <= 0.2 * len(rows)
    if several and not _is_running_text(split):
        return "cells"
    return "few" if len(rows) <= 2 and not several else "prose"


def _parts_of_row(row: Sequence[WordBox], height: float) -> list[list[WordBox]]:
    """Split a text row at wide spaces."""
    parts = [[row[0]]]
    for bit in row[1:]:
        if bit.x0 - parts[-1][-1].x1 > 0.6 * height:
            parts.append([bit])
        else:
            parts[-1].append(bit)
    return parts


def _is_wrapped(rows: Sequence[Sequence[Sequence[WordBox]]], height: float) -> bool:
    """Tell whether the first text row holds cells and the others continue some of them."""
    starts = [part[0].x0 for part in rows[0]]
    rest = [part[0].x0 for row in rows[1:] for part in row]
    fewer = all(len(row) < len(starts) for row in rows[1:])
    return (
        len(starts) > 2
        and fewer
        and all(min(abs(x0 - start) for start in starts) < 0.5 * height for x0 in rest)
    )


def _is_running_text(rows: Sequence[Sequence[Sequence[WordBox]]]) -> bool:
    """Tell whether rows are prose in columns: mostly long parts of many words."""
    words = [len(part) for row in rows for part in row]
    long = sum(count >= 5 for count in words)
    return (
        len(rows) > 3
        and sum(count for count in words if count >= 5) > 0.85 * sum(words)
        and (long > 0.7 * len(words))
    )


def _tables(
    lines: Sequence[Line], boxes: Boxes, taken: NDArray[np.bool_], frame: Frame, height: float
) -> list[FoundTable]:
    """Return the table of a frame, if it is one, and mark its lines as taken."""
    box = frame.box
    if box.width < 4 * height or len(frame.level) + len(frame.upright) > MAX_RULES:
        return []
    x, y = 0.3 * height, 0.1 * height
    area = Box(box.x0 - x, box.y0 - y, box.x1 + x, box.y1 + y)
    inside = points_inside(centers(boxes), area) & ~taken
    chosen = np.flatnonzero(inside).tolist()
    if len(chosen) < 2:
        return []
    free = ~taken & ~inside
    if not _has_walls(frame, height):
        weak = all(stroke.weak for stroke in frame.level)
        chosen += _adjacent_lines(lines, boxes, free, box, height, 2.2 if weak else 1.3)
        chosen += _adjacent_lines(lines, boxes, free, box, height, 1.3, _rule_pitch(frame))
    grid = Grid(lines, boxes, chosen, frame, height)
    cells = grid.cells() if grid.is_table() else ()
    if not cells or (grid.full and not _is_filled(cells)):
        return []
    if not frame.upright and not grid.is_long(len(frame.level)):
        return []
    taken[chosen] = True
    return [FoundTable(Box.around((box, hull(boxes[chosen]))), tuple(chosen), cells)]


def _is_filled(cells: Sequence[Cell]) -> bool:
    """Tell whether enough cells of a full grid hold text, several of them in one row."""
    told = [cell for cell in cells if cell.lines]
    fields = sum(cell.row_span * cell.column_span for cell in cells)
    rows = max(cell.row + cell.row_span for cell in cells)
    columns = max(cell.column + cell.column_span for cell in cells)
    beside = [sum(cell.row == r for cell in told) for r in range(rows)]
    empty = rows * columns - fields + sum(not cell.lines for cell in cells)
    full = max(beside) >= 0.6 * columns and columns > 2
    return sum(count > 1 for count in beside) > (0 if full else 1) and (
        len(told) >= MIN_FILLED_SHARE * (len(told) + empty) or full
    )


def _adjacent_lines(
    lines: Sequence[Line],
    boxes: Boxes,
    free: NDArray[np.bool_],
    box: Box,
    height: float,
    most: float,
    pitch: float | None = None,
) -> list[int]:
    """Return the lines right below or above the rules that continue the columns.

    Args:
        lines: All lines of the page.
        boxes: (N, 4) boxes of the lines, in pixels.
        free: (N,) flags of the lines that are in no table yet.
        box: Bounding box of the rules.
        height: Common line height in pixels.
        most: Maximum vertical gap between rows, in line heights.
        pitch: Distance of the rules in pixels to look above them, for at most three header lines of
            which the lowest starts no further from the rules; by default rows below are found.
    """
    above = pitch is not None
    if above:
        free = free & (boxes[:, 3] < box.y0 + 0.3 * height) & (boxes[:, 1] > box.y0 - 6 * height)
    else:
        free = free & (boxes[:, 1] > box.y1 - 0.3 * height) & (boxes[:, 1] < box.y1 + 80 * height)
    reach = np.flatnonzero(free & (boxes[:, 0] < box.x1) & (boxes[:, 2] > box.x0))
    inside = (boxes[:, 0] > box.x0 - height) & (boxes[:, 2] < box.x1 + height)
    rows = text_rows(word_boxes(lines, boxes, reach.tolist()), height)
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
        item = ITEM_MARK.fullmatch(lines[row[0].line].text.split(maxsplit=1)[0]) is not None
        if other or item or (above and len(taken) == 3):
            break
        edge = head if above else foot
        waiting += own
        parts = _parts_of_row(row, max(height, foot - head))  # large type has wider spaces
        taken.append(parts)
        if len(parts) > 1 or (above and gap < height and _is_spanning_header(row, box, height)):
            chosen += waiting
            waiting = []
        elif len(waiting) > 3 or row[-1].x1 - row[0].x0 > 0.8 * box.width:
            break
    return [] if _is_running_text(taken) else chosen


def _rule_pitch(frame: Frame) -> float:
    """Return the distance of the rules of a table, in pixels; 0 unless each row has one."""
    steps = np.diff([stroke.at for stroke in frame.level])
    even = len(steps) > 2 and steps.max() < MAX_PITCH_RATIO * steps.min()
    return float(np.median(steps)) if even else 0.0


def _is_spanning_header(row: Sequence[WordBox], box: Box, height: float) -> bool:
    """Tell whether a single text above a table is a header over several columns."""
    x0, x1 = row[0].x0, row[-1].x1
    off = (x0 + x1) / 2 - box.center_x
    return x0 > box.x0 + 3 * height and off > 1.5 * height and x1 < box.x1 + height
