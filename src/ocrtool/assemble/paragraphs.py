"""Rows to paragraphs, and what kind of block each is. Where in doubt: a paragraph."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ocrtool.assemble.rows import MARKER, Metrics, Row, row_size
from ocrtool.document import BlockKind
from ocrtool.layout.columns import middle

BIGGER = 1.25
"""Ratio of sizes of type from which lines are no longer of one paragraph, and from which a line
is a heading."""
SLIGHTLY = 1.1
"""The same for a line that white sets apart."""
LEVELS = (1.9, 1.4)
"""Ratios to the common size of type from which a heading is of level 1, of level 2."""
SECTION = re.compile(r"(?:\d{1,2}(?:\.\d{1,2}){0,3}\.?|[IVX]{1,5}\.|§+\s*\d+)\s+[^\W\d_]")
"""What a numbered heading begins with."""
CAPTION = re.compile(
    r"(?:fig(?:s?\.|ures?|ura)|abb(?:\.|ildung)|tab(?:\.|le|elle|leau|la|ella|ulka)|scheme|plate|"
    r"illustration|chart|bild|obr(?:\.|\u00e1zek)|figur|tabell|photo|foto)\s*[\dIVXA-C]",
    re.IGNORECASE,
)
ROUND_BULLETS = "\u2022\u25e6\u25aa\u2023\u25cf\u25cb\u25a0\u25a1"
ENDED = re.compile(r"[.!?:\u2026][\"'\u201d\u2019\u201c\u00bb)\]]*$")


@dataclass(frozen=True)
class Part:
    """Rows that belong together.

    Attributes:
        rows: From top to bottom.
        item: They are an item of a list.
    """

    rows: tuple[Row, ...]
    item: bool = False


def paragraphs(rows: Sequence[Row], metrics: Metrics) -> list[Part]:
    """Part rows that follow each other where a paragraph ends.

    A paragraph ends at extra white, at a change of size, before an indented line among lines that
    are not, after a line that had room for the next word and ends a sentence, and before and
    after the items of a list.

    Args:
        rows: Rows of one column, from top to bottom.
        metrics: What is common on the page.
    """
    if not rows:
        return []
    left = float(np.sort([row.x0 for row in rows])[len(rows) // 10])
    right = max(row.x1 for row in rows)
    steps = np.array([b.y1 - a.y1 for a, b in itertools.pairwise(rows)])
    tight = steps[steps < 2.6 * metrics.height]
    usual = middle(tight) if len(tight) else 1.6 * metrics.height
    indented = [row.x0 - left > 0.7 * metrics.height for row in rows]
    mixed = sum(indented) > 0.4 * len(rows)  # verse, centred lines: indents tell nothing
    found = [Part((rows[0],), _is_item(rows, 0))]
    for i in range(1, len(rows)):
        before, row, part = rows[i - 1], rows[i], found[-1]
        ratio = row_size(row) / row_size(before)
        long = min(len(row.text), len(before.text)) >= 15  # the size of less is uncertain
        # Of the distances of heads and of feet, the smaller: ascenders may lack on either line.
        step = min(row.y1 - before.y1, row.y0 - before.y0)
        item = _is_item(rows, i)
        first_word = row.text.split(" ")[0]
        room = right - before.x1 > (len(first_word) + 2) * metrics.advance + metrics.height
        ended = ENDED.search(before.text) is not None and not first_word[:1].islower()
        if part.item:
            ends = not _continues(part, row, metrics)
        else:
            inset = indented[i] and not indented[i - 1] and not mixed and (room or ended)
            ends = inset or (room and ended)
        sized = long and not 1 / BIGGER < ratio < BIGGER
        if item or ends or sized or step > usual + 0.45 * metrics.height:
            found.append(Part((row,), item))
        else:
            found[-1] = Part((*part.rows, row), part.item)
    return found


def kind_of(part: Part, metrics: Metrics, letters: int, alone: bool) -> tuple[BlockKind, int]:
    """Judge what a paragraph is.

    Args:
        part: The paragraph.
        metrics: What is common on the page.
        letters: How many characters the page has in all.
        alone: White above and below set it apart.

    Returns:
        Its kind and, of a heading, its level, 1 to 3; else 0.
    """
    rows = part.rows
    text = " ".join(row.text for row in rows)
    if CAPTION.match(text) and len(rows) <= 8:
        return "caption", 0
    if part.item:
        return "list", 0
    words = text.split()
    short = len(rows) <= 3 and len(words) <= 16 and len(text) <= 120
    says = sum(c.isalpha() for c in text) >= 0.5 * len(text.replace(" ", "")) and len(text) > 2
    # A page of a few large words has no headings: there must be text that they head.
    if not short or not says or letters < 3 * len(text) or text[-1] in ",;-":
        return "paragraph", 0
    ratio = float(np.mean([row_size(row) for row in rows])) / metrics.size
    level = 1 if ratio >= LEVELS[0] else 2 if ratio >= LEVELS[1] else 3
    apart = alone and len(rows) <= 2 and letters > 400
    large = ratio >= (SLIGHTLY if apart and text[0].isupper() else BIGGER) and (
        text[-1] not in ".:" or ratio >= LEVELS[1]
    )
    numbered = SECTION.match(text) is not None and ratio > 0.9 and text[-1] not in ".:"
    capitals = text.isupper() and len(text) > 4 and ratio > 0.9
    if large or (apart and (numbered or capitals)):
        return "heading", level
    return "paragraph", 0


def _is_item(rows: Sequence[Row], i: int) -> bool:
    """Tell whether a row begins an item: with a bullet, or with one of several numbers in line."""
    match = MARKER.match(rows[i].text)
    if match is None or rows[i].text[match.end() : match.end() + 1] != " ":
        return False
    if rows[i].text[0] in ROUND_BULLETS:
        return True
    sign = _shape(match.group())
    near = [row for row in rows if abs(row.x0 - rows[i].x0) < 0.6 * (row.y1 - row.y0)]
    others = [MARKER.match(row.text) for row in near]
    alike = [other for other in others if other and _shape(other.group()) == sign]
    return len(alike) > 1


def _continues(part: Part, row: Row, metrics: Metrics) -> bool:
    """Tell whether a row goes on with an item: it is set in, or its sentence runs on."""
    first, last = part.rows[0], part.rows[-1]
    inset = row.x0 - first.x0 > 0.3 * metrics.height
    if len(part.rows) > 1:
        inset = inset and abs(row.x0 - last.x0) < metrics.height
    below = row.x0 - first.x0 > -0.3 * metrics.height
    return inset or (below and not ENDED.search(last.text))


def _shape(marker: str) -> str:
    """Return a marker with every number and letter replaced by one that stands for all."""
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d]+", "a", marker))
