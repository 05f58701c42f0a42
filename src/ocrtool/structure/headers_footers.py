"""Running headers, footers, page numbers and footnotes of a single page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ocrtool.document.patterns import FOOTNOTE_MARK
from ocrtool.document.tree import BlockKind, Cell
from ocrtool.reading_order.rows import Metrics, TextRow, row_size

EDGE, NUMBER_EDGE = 0.12, 0.25
"""Shares of the page height, at the top and bottom, in which headers and footers are searched, and
those that have a page number."""
SMALLER = 0.92
"""Maximum ratio of the type size of a footnote to the body text."""
PAGE_NUMBER = re.compile(
    r"[\W_]*(?:(?:page|seite|p\.|pag\.|s\.)\s*)?(?:\d{1,4}|[ivxlc]{1,7})"
    r"(?:\s*(?:/|of|von|de|di)\s*\d{1,4})?[\W_]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Draft:
    """A block under construction.

    Attributes:
        kind: Its kind.
        rows: Its rows from top to bottom; empty for a picture without text.
        level: Level of a heading.
        cells: Cells of a table.
        spaced: Whether indentation and space within rows are kept.
        region: Index of its detected region; -1 for none.
    """

    kind: BlockKind
    rows: tuple[TextRow, ...]
    level: int = 0
    cells: tuple[Cell, ...] = ()
    spaced: bool = False
    region: int = -1

    @property
    def size(self) -> float:
        """Mean size of its type in pixels."""
        return sum(map(row_size, self.rows)) / len(self.rows)


def furnished(drafts: Sequence[Draft], metrics: Metrics, height: int) -> list[Draft]:
    """Find running headers and footers, and footnotes above the footers.

    Args:
        drafts: Blocks in reading order.
        metrics: What is common on the page.
        height: Of the page, in pixels.

    Returns:
        The same blocks, some of another kind.
    """
    result = list(drafts)
    if sum(len(draft.rows) for draft in drafts) < 8:
        return result
    for kind in ("header", "footer"):
        # From the edge of the page inwards: below one running head may stand another.
        for i in sorted(range(len(result)), key=lambda i: _depth(result[i], kind)):
            if not result[i].rows or not _is_furniture(result, i, kind, metrics, height):
                break
            result[i] = replace(result[i], kind=kind, level=0)
    if any(row.exact for draft in drafts for row in draft.rows):
        return _with_small_notes(result, metrics, height)
    return _with_notes(result, metrics, height)


def is_page_number(text: str) -> bool:
    """Tell whether a running head or foot is a number, or has one at either end."""
    parts = re.split(r"\s{2,}|(?<=\d)\s|\s(?=\d+\W*$)", text.strip())
    return any(PAGE_NUMBER.fullmatch(part) and re.search(r"\d|^[ivxlc]+$", part) is not None
               for part in (parts[0], parts[-1], text.strip()))  # fmt: skip


def _depth(draft: Draft, kind: BlockKind) -> float:
    if not draft.rows:
        return float("inf")
    return draft.rows[0].y0 if kind == "header" else -draft.rows[-1].y1


def _is_furniture(
    drafts: Sequence[Draft], i: int, kind: BlockKind, metrics: Metrics, height: int
) -> bool:
    """Tell whether a block, the outermost that is no furniture yet, is a running head or foot."""
    draft = drafts[i]
    row = draft.rows[0]
    single = draft.kind in ("paragraph", "heading") and len(draft.rows) == 1
    if not single or draft.size > 1.15 * metrics.size or len(row.text) > 100:
        return False
    number = is_page_number(row.spread(metrics.height))
    if draft.kind == "heading" and row.exact and not number:
        return False  # set as a heading; what stands on every page is found over all of them
    edge = (NUMBER_EDGE if number else EDGE) * height
    gap = _gap(row, (r for d in drafts if d.kind != kind for r in d.rows if r is not row), kind)
    count = sum(len(d.rows) for d in drafts)
    wide = 0.3 if number else 1.2
    clear = gap > wide * metrics.height and (number or count > 14)
    if kind == "header":
        return clear and row.y1 < edge and (number or not _is_dated(row.text))
    return clear and row.y0 > height - edge


def _gap(row: TextRow, others: Iterable[TextRow], kind: BlockKind) -> float:
    """Return the white between a row and the next ones inwards; none where one is beside it."""
    if kind == "header":
        return min((r.y0 for r in others), default=np.inf) - row.y1
    return row.y0 - max((r.y1 for r in others), default=-np.inf)


def _is_dated(text: str) -> bool:
    """Tell whether a line above all others is the date or greeting of a letter, no running head."""
    return re.search(r"\d{2}|[,;:]$", text) is not None


def _with_notes(drafts: list[Draft], metrics: Metrics, height: int) -> list[Draft]:
    """Find foot-notes: the last blocks above running feet, in small type, with the sign of one."""
    result = list(drafts)
    for i in range(len(result) - 1, -1, -1):
        draft = result[i]
        if draft.kind == "footer":
            continue
        if draft.kind not in ("paragraph", "list") or draft.size > SMALLER * metrics.size:
            break
        if draft.rows[0].y0 < 0.6 * height or not FOOTNOTE_MARK.match(draft.rows[0].text):
            break
        result[i] = replace(draft, kind="footnote")
    return result


def _with_small_notes(drafts: list[Draft], metrics: Metrics, height: int) -> list[Draft]:
    """Find foot-notes where sizes of type are known: small, with a sign, last in their column."""
    result = list(drafts)
    for i in range(len(result) - 1, -1, -1):
        draft = result[i]
        text = draft.kind in ("paragraph", "list") and draft.rows
        if not text or draft.size > SMALLER * metrics.size or draft.rows[0].y0 < 0.4 * height:
            continue
        x0, x1 = min(r.x0 for r in draft.rows), max(r.x1 for r in draft.rows)
        below = [
            other
            for k, other in enumerate(result)
            if k != i
            and other.rows
            and other.kind not in ("footer", "footnote")
            and other.rows[0].y0 > draft.rows[-1].y0
            and min(r.x0 for r in other.rows) < x1
            and max(r.x1 for r in other.rows) > x0
        ]
        raised = any(span.script > 0 and span.start == 0 for span in draft.rows[0].lines[0].spans)
        if not below and (raised or FOOTNOTE_MARK.match(draft.rows[0].text)):
            result[i] = replace(draft, kind="footnote")
    return result
