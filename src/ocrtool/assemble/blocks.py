"""Ordered lines to blocks: what runs on, what stands in rows, and what else is on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ocrtool.assemble.furniture import SMALLER, Draft, furnished
from ocrtool.assemble.geometry import bounds
from ocrtool.assemble.paragraphs import kind_of, paragraphs
from ocrtool.assemble.rows import Metrics, Row, metrics_of, rows_of
from ocrtool.assemble.tables import aligned, cells_of, is_code, spaced, tabular_runs
from ocrtool.document import Block, BlockKind, Box, Line
from ocrtool.layout.columns import AMOUNT
from ocrtool.layout.found import Region
from ocrtool.layout.order import owners, reading_order
from ocrtool.layout.order import rows as side_by_side

Boxes = NDArray[np.float32]

COVERED = 0.5
"""Share of an empty picture or formula that may lie under lines of text."""


def blocks_of(
    lines: Sequence[Line],
    boxes: Boxes,
    regions: Sequence[Region],
    places: Sequence[Box],
    size: tuple[int, int],
) -> list[Block]:
    """Group lines into blocks in reading order.

    Args:
        lines: Lines that have text.
        boxes: (N, 4) of them on the straightened page, in pixels.
        regions: Of the straightened page.
        places: Box of each region on the page as it is, in pixels.
        size: Width and height of the page in pixels.

    Returns:
        Blocks that together hold every line once.
    """
    owner = owners(boxes, regions)
    empty = [i for i, region in enumerate(regions) if region.kind in ("figure", "formula")
             and not (owner == i).any() and not _covered(region.box, boxes)]  # fmt: skip
    frames = [(b.x0, b.y0, b.x1, b.y1) for b in (regions[i].box for i in empty)]
    items = np.concatenate((boxes, np.array(frames, np.float32).reshape(-1, 4)))
    texts = [line.text for line in lines] + [""] * len(empty)
    metrics = metrics_of(lines, boxes) if lines else Metrics(1.0, 1.0, 1.0)
    letters = sum(map(len, texts))
    drafts: list[Draft] = []
    for group in reading_order(items, regions, size, texts):
        if group[0] >= len(lines):
            region = empty[group[0] - len(lines)]
            kind: BlockKind = "figure" if regions[region].kind == "figure" else "formula"
            drafts.append(Draft(kind, (), region=region))
            continue
        found = rows_of(lines, boxes, group)
        region = int(owner[group[0]])
        if region < 0:
            drafts += _flow(found, metrics, letters)
        elif regions[region].kind == "table":
            drafts.append(_table(found, metrics, region))
        else:
            kind = "figure" if regions[region].kind == "figure" else "formula"
            drafts.append(Draft(kind, tuple(found), region=region))
    drafts = furnished(_captioned(drafts, regions, metrics), metrics, size[1])
    return [_block(draft, metrics, places) for draft in drafts]


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


def _flow(rows: Sequence[Row], metrics: Metrics, letters: int) -> list[Draft]:
    """Part the rows of a column into tables, code, paragraphs, lists and headings."""
    if is_code(rows):
        return [Draft("code", tuple(rows), spaced=True)]
    drafts: list[Draft] = []
    place = 0
    for start, end in [*tabular_runs(rows, metrics), (len(rows), len(rows))]:
        drafts += _running(rows, place, start, metrics, letters)
        if start < end:
            run = rows[start:end]
            wide = sum(len(row.cells(metrics.height)) > 1 for row in run)
            amounts = any(AMOUNT.fullmatch(line.text) for row in run for line in row.lines)
            if wide > 2 or amounts:
                drafts.append(_table(run, metrics))
            else:
                drafts.append(Draft("paragraph", tuple(run), spaced=True))
        place = end
    return drafts


def _running(
    rows: Sequence[Row], start: int, end: int, metrics: Metrics, letters: int
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


def _table(rows: Sequence[Row], metrics: Metrics, region: int = -1) -> Draft:
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
    box = bounds([line.quad for line in lines]) if lines else places[draft.region]
    if draft.kind in ("figure", "formula") and draft.region >= 0:
        box = places[draft.region]
    if draft.kind == "table" and draft.cells:
        text = aligned(draft.cells, draft.rows)
    elif draft.spaced or draft.kind == "list":
        text = spaced(draft.rows, metrics)
    else:
        text = "\n".join(row.spread(metrics.height) for row in draft.rows)
    return Block(draft.kind, box, lines, text, draft.level, draft.cells)


def _covered(box: Box, boxes: Boxes) -> bool:
    """Tell whether lines of text lie over most of a region, as over a formula within a line."""
    low = np.maximum(boxes[:, :2], (box.x0, box.y0))
    high = np.minimum(boxes[:, 2:], (box.x1, box.y1))
    shared = np.prod(np.maximum(high - low, 0), axis=1).sum()
    return bool(shared > COVERED * (box.x1 - box.x0) * (box.y1 - box.y0))
