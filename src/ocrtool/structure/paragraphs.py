"""Grouping of rows into paragraphs, and the kind of each block; a paragraph if in doubt."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ocrtool.document.patterns import CAPTION, ITEM_MARK, LEADER, ROUND_BULLETS, SECTION_NUMBER
from ocrtool.document.tree import BlockKind
from ocrtool.reading_order.columns import middle
from ocrtool.reading_order.rows import TALL, Metrics, TextRow, row_size

BIGGER = 1.25
"""Minimum ratio of type sizes that separates two paragraphs, and of a heading to the body text."""
SLIGHTLY = 1.1
"""Minimum ratio of the type size of a heading that white space sets apart to the body text."""
EXACTLY = 1.09
"""Ratio of type sizes stated by the file that separates two paragraphs, and minimum ratio of a bold
or isolated heading to the body text."""
TALLER, LOWER = 1.3, 1.6
"""Ratios of row heights above which a short row has larger type than the row beside it, and above
which it has smaller type although it has tall letters."""
MOST_SECTIONS = 30
"""Maximum leading number of a line that is a section heading rather than a note."""
FEW = 15
"""Minimum number of characters of a row whose estimated type size is reliable."""
LEVELS = (1.9, 1.4)
"""Minimum ratios of type size to the body text of headings of level 1 and of level 2."""
MISSED = 3
"""Maximum increment of the number of the next list item; items between them are nested."""
ENDED = re.compile(r"[.!?:\u2026][\"'\u201d\u2019\u201c\u00bb)\]]*$")


@dataclass(frozen=True)
class ParagraphPart:
    """Rows of one paragraph or list item.

    Attributes:
        rows: The rows from top to bottom.
        item: Whether they are a list item.
    """

    rows: tuple[TextRow, ...]
    item: bool = False


def paragraphs(rows: Sequence[TextRow], metrics: Metrics) -> list[ParagraphPart]:
    """Split consecutive rows where a paragraph ends.

    A paragraph ends at extra white, at a change of size, before an indented line among lines that
    are not, after a line that had room for the next word and ends a sentence or begins with a
    number like that of the next line, and before and after the items of a list.

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
    found = [ParagraphPart((rows[0],), _is_item(rows, 0))]
    for i in range(1, len(rows)):
        before, row, part = rows[i - 1], rows[i], found[-1]
        ratio = row_size(row) / row_size(before)
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
            ends = inset or (room and (ended or _numbered_alike(before, row)))
        if not (row.exact and before.exact):
            sized = not 1 / BIGGER < ratio < BIGGER and _sure_of_size(before, row)
        else:
            sized = not 1 / EXACTLY < ratio < EXACTLY or _restyled(before, row, room)
        ends = ends or LEADER.search(before.text) is not None
        most = usual + 0.45 * metrics.height
        title = min(row_size(row), row_size(before)) > BIGGER * metrics.size
        if not sized and (row.exact or title):  # titles and notes have a leading of their own
            most *= min(max(0.8, row_size(row) / metrics.size), 3.0)
        if item or ends or sized or step > most:
            found.append(ParagraphPart((row,), item))
        else:
            found[-1] = ParagraphPart((*part.rows, row), part.item)
    return found


def kind_of(
    part: ParagraphPart, metrics: Metrics, letters: int, alone: bool
) -> tuple[BlockKind, int]:
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
    ratio = float(np.mean([row_size(row) for row in rows])) / metrics.size
    large = ratio >= LEVELS[1]
    most = (5, 25, 180) if large else (3, 16, 120)
    short = all(count <= top for count, top in
                zip((len(rows), len(words), len(text)), most, strict=True))  # fmt: skip
    share = sum(c.isalpha() for c in text) / len(text.replace(" ", ""))
    says = share >= (0.3 if large else 0.5) and len(text) > 2
    # A page of a few large words has no headings: there must be text that they head.
    if not short or not says or letters < 3 * len(text) or text[-1] in ",;-":
        return "paragraph", 0
    if all(row.exact for row in rows):
        return _set_as(rows, text, ratio, metrics, alone)
    level = 1 if ratio >= LEVELS[0] else 2 if ratio >= LEVELS[1] else 3
    apart = alone and len(rows) <= 2 and letters > 400
    lead = text[0].isupper() or SECTION_NUMBER.match(text) is not None
    large = ratio >= (SLIGHTLY if apart and lead else BIGGER) and (text[-1] not in ".:" or large)
    section = SECTION_NUMBER.match(text)
    number = section and re.match(r"\d+", text)
    likely = section and (number is None or int(number.group()) <= MOST_SECTIONS)
    numbered = likely and ratio > 0.9 and text[-1] not in ".:"
    capitals = text.isupper() and len(text) > 4 and ratio > 0.9
    if large or (apart and (numbered or capitals)):
        return "heading", level
    return "paragraph", 0


def _set_as(
    rows: Sequence[TextRow], text: str, ratio: float, metrics: Metrics, alone: bool
) -> tuple[BlockKind, int]:
    """Judge a short paragraph by how it is set, which its file tells."""
    level = 1 if ratio >= LEVELS[0] else 2 if ratio >= LEVELS[1] else 3
    bold = not metrics.bold and all(row.set_in("bold") for row in rows)
    if text[-1] in ".:" and ratio < LEVELS[1] and not (bold and SECTION_NUMBER.match(text)):
        return "paragraph", 0
    if LEADER.search(text):
        return "paragraph", 0
    large = ratio >= (EXACTLY if bold or alone else BIGGER)
    lead = text[0].isupper() or text[0].isdigit() or SECTION_NUMBER.match(text) is not None
    if large and (lead or ratio >= LEVELS[1]):
        return "heading", level
    if ratio < 0.95 or not lead or len(rows) > 2:
        return "paragraph", 0
    numbered = SECTION_NUMBER.match(text) is not None
    capitals = text.isupper() and len(text) > 4
    if bold or (alone and (numbered or capitals)):
        return "heading", level
    return "paragraph", 0


def _numbered_alike(before: TextRow, row: TextRow) -> bool:
    """Tell whether rows begin with numbers of one form, as the hours of an agenda do."""
    first, second = (one.text.split(" ")[0] for one in (before, row))
    return any(c.isdigit() for c in first) and _shape(first) == _shape(second)


def _restyled(before: TextRow, row: TextRow, room: bool) -> bool:
    """Tell whether type changes between rows as it does where a heading ends or begins."""
    if before.set_in("mono") != row.set_in("mono"):
        return room or len(before.text) < 40
    bold = before.set_in("bold"), row.set_in("bold")
    return bold[0] != bold[1] and room


def _is_item(rows: Sequence[TextRow], i: int) -> bool:
    """Tell whether a row begins an item: with a bullet, or with one of several numbers in line."""
    match = ITEM_MARK.match(rows[i].text)
    if match is None or rows[i].text[match.end() : match.end() + 1] != " ":
        return False
    if rows[i].text[0] in ROUND_BULLETS:
        return True
    return any(_count_together(rows[i], row) for k, row in enumerate(rows) if k != i)


def _count_together(row: TextRow, other: TextRow) -> bool:
    """Tell whether two rows begin with signs of one list: alike, in line and of one size."""
    one, two = ITEM_MARK.match(row.text), ITEM_MARK.match(other.text)
    if one is None or two is None or other.text[two.end() : two.end() + 1] != " ":
        return False
    if _shape(one.group()) != _shape(two.group()):
        return False
    inline = abs(row.x0 - other.x0) < 0.6 * (other.y1 - other.y0)
    ratio = row_size(row) / row_size(other)
    limit = EXACTLY if row.exact and other.exact else TALLER
    numbers = [re.search(r"\d+", match.group()) for match in (one, two)]
    apart = [int(number.group()) for number in numbers if number]
    # Numbers that begin rows by chance, as of a year's end or of notes, do not count on.
    counts = not apart or 0 < abs(apart[0] - apart[-1]) <= MISSED
    return inline and 1 / limit < ratio < limit and counts


def _sure_of_size(before: TextRow, row: TextRow) -> bool:
    """Tell whether the sizes of rows that are read can be trusted to differ."""
    few, many = sorted((before, row), key=lambda row: len(row.text))
    if len(few.text) >= FEW:
        return True
    ratio = (few.y1 - few.y0) / max(many.y1 - many.y0, 1.0)
    return ratio > TALLER or (TALL.search(few.text) is not None and ratio < 1 / LOWER)


def _continues(part: ParagraphPart, row: TextRow, metrics: Metrics) -> bool:
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
