"""Paragraphs, lists, tables and listings that continue in the next column or on the next page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ocrtool.document.hyphenation import HYPHENS, SOFT, seam
from ocrtool.document.patterns import AMOUNT, PLAIN_NUMBER, ROUND_BULLET_ITEM
from ocrtool.document.tree import RUNNING, Block, BlockKind, Page
from ocrtool.documents.rows import is_exact, size_of
from ocrtool.structure import join_lines
from ocrtool.writers.list_items import sign_of

PASSED: frozenset[BlockKind] = frozenset({"header", "footer", "footnote", "figure", "caption"})
"""Kinds of blocks that may stand between the two parts of a continued block."""
ENDED = re.compile(
    r"[.!?:\u2026\u3002\uff01\uff1f][\"'\u201d\u2019\u201c\u00bb)\]]*(?:\[?\d{1,3}\]?)?$"
)
SPLIT = re.compile(rf"[^\W\d_][{re.escape(HYPHENS + SOFT)}]$")
FULL = 0.93
"""Minimum width of a full line, as a share of its column's width; the next word did not fit."""

SAME_PLACE = 0.03
"""Maximum distance of the sides of a table on two pages, as a share of the page width."""


@dataclass(frozen=True)
class Place:
    """A block on its page.

    Attributes:
        page: The page.
        index: Of the block.
    """

    page: Page
    index: int

    @property
    def block(self) -> Block:
        """The block."""
        return self.page.blocks[self.index]


def joined_page(page: Page, known: Collection[str], run_on: bool = True) -> Page:
    """Return a page, the lines of its paragraphs run on, and what goes on over columns marked.

    Args:
        page: Its kinds are those that stay.
        known: Words of the document, as of `ocrtool.document.hyphenation.words_in`.
        run_on: Whether the lines of a paragraph become one row of text.
    """
    blocks = _listed(page.blocks)
    page = replace(page, blocks=tuple(blocks))
    last: int | None = None
    passed = False
    for i, block in enumerate(page.blocks):
        if block.kind in PASSED or block.kind == "table":
            passed = True
            continue
        before = page.blocks[last] if last is not None else None
        if before is not None and before.kind == block.kind == "paragraph":
            column = block.box.y0 < before.box.y0 and block.box.x0 > before.box.x0
            split = SPLIT.search(before.text.rstrip()) is not None
            if (column or passed or split) and goes_on(Place(page, last or 0), Place(page, i)):
                blocks[i] = replace(block, continued=True)
        if before is not None and before.kind == block.kind == "list" and _counts_on(before, block):
            blocks[i] = replace(block, continued=True)
        last, passed = i, False
    if run_on:
        blocks = [_run_on(block, known) for block in blocks]
    return replace(page, blocks=tuple(blocks))


def _listed(blocks: Sequence[Block]) -> list[Block]:
    """Call the rest or the beginning of a list, parted from it by a column, a list as well."""
    found = [
        replace(block, kind="list") if block.kind == "paragraph" and _is_item(block.text) else block
        for block in blocks
    ]
    flow = [
        i for i, block in enumerate(found) if block.kind not in PASSED and block.kind != "table"
    ]
    for i, k in itertools.pairwise(flow):
        one, two = found[i], found[k]
        if {one.kind, two.kind} == {"list", "paragraph"} and _lists(one, two):
            found[i], found[k] = replace(one, kind="list"), replace(two, kind="list")
    return found


def _is_item(text: str) -> bool:
    """Tell whether a paragraph begins with a sign that only items have; legends have several."""
    row = text.split("\n")[0]
    return ROUND_BULLET_ITEM.match(row) is not None and row.count(row[0]) == 1


def _run_on(block: Block, known: Collection[str]) -> Block:
    return replace(block, text=join_lines(block, known)) if block.kind in RUNNING else block


def linked(before: Page, page: Page, known: Collection[str]) -> tuple[Page, Page]:
    """Mark what goes on from one page to the next.

    A word that is split between the pages moves to the first.

    Args:
        before: The page before, its lines run on.
        page: The page, likewise.
        known: Words of the document, as of `ocrtool.document.hyphenation.words_in`.

    Returns:
        Both pages.
    """
    if before.error or page.error:
        return before, page
    last, first = _last(before), _first(page)
    if last is None or first is None:
        return before, page
    one, two = last.block, first.block
    if one.kind == "table" and two.kind == "table":
        return before, _marked(page, first.index) if _same_columns(last, first) else page
    # A table may stand at the edge of a page, between a paragraph and its rest.
    text_last, text_first = _last(before, tables=False), _first(page, tables=False)
    if text_last is None or text_first is None:
        return before, page
    one, two = text_last.block, text_first.block
    if one.kind == two.kind == "code":
        return before, _marked(page, text_first.index)
    if "list" in (one.kind, two.kind) and _lists(one, two):
        before = _with(before, text_last.index, replace(one, kind="list"))
        page = _with(page, text_first.index, replace(two, kind="list"))
        return before, _marked(page, text_first.index)
    if two.kind != "paragraph" or one.kind not in ("paragraph", "list"):
        return before, page
    if not goes_on(text_last, text_first):
        return before, page
    if one.kind == "list":
        two = replace(two, kind="list", text="    " + two.text)
    before, page = _with(before, text_last.index, one), _with(page, text_first.index, two)
    return _word_moved(Place(before, text_last.index), Place(page, text_first.index), known)


def goes_on(last: Place, first: Place) -> bool:
    """Tell whether a paragraph is the rest of another."""
    one, two = last.block, first.block
    text, rest = one.text.rstrip(), two.text.lstrip()
    if not text or not rest or sign_of(rest):
        return False
    sizes = size_of(one.lines[-2:], last.page), size_of(two.lines[:2], first.page)
    exact = is_exact(one) and is_exact(two)
    if min(sizes) > 0 and max(sizes) / min(sizes) > (1.06 if exact else 1.3):
        return False
    small = rest[:1].islower()
    if SPLIT.search(text):
        return small
    if ENDED.search(text):
        return False
    if small:
        return True
    return rest[:1].isalnum() and _is_full(one) and len(two.lines) > 1 and not text.isupper()


def _is_full(block: Block) -> bool:
    """Tell whether the last line of a block reaches to the right edge of those above it."""
    if len(block.lines) < 3:
        return False
    boxes = [line.box for line in block.lines]
    left, right = min(box.x0 for box in boxes), max(box.x1 for box in boxes[:-1])
    return boxes[-1].x1 - left > FULL * (right - left)


def _last(page: Page, tables: bool = True) -> Place | None:
    """Return the last block of a page's text."""
    return _outermost(page, list(reversed(range(len(page.blocks)))), tables)


def _first(page: Page, tables: bool = True) -> Place | None:
    return _outermost(page, list(range(len(page.blocks))), tables)


def _outermost(page: Page, order: Sequence[int], tables: bool) -> Place | None:
    for i in order:
        kind = page.blocks[i].kind
        if kind not in PASSED and (tables or kind != "table"):
            return Place(page, i)
    return None


def _marked(page: Page, index: int) -> Page:
    return _with(page, index, replace(page.blocks[index], continued=True))


def _with(page: Page, index: int, block: Block) -> Page:
    return replace(page, blocks=(*page.blocks[:index], block, *page.blocks[index + 1 :]))


def _same_columns(last: Place, first: Place) -> bool:
    """Tell whether two tables are one: as many columns, at the same places.

    A table may be set anew on each page, as wide as its rows there: then the same columns hold
    amounts, and it begins at the same margin.
    """
    one, two = last.block, first.block
    if not one.cells or not two.cells:
        return False
    counts = [max(cell.column + cell.column_span for cell in block.cells) for block in (one, two)]
    if counts[0] != counts[1]:
        return False
    width = max(first.page.width, 1)
    start, end = abs(one.box.x0 - two.box.x0), abs(one.box.x1 - two.box.x1)
    heads = [_head(block) for block in (one, two)]
    if heads[0] and heads[1]:  # another head is another table; the same one is said again
        return heads[0] == heads[1]
    if max(start, end) < SAME_PLACE * width:
        return True
    amounts = [_amounts(block) for block in (one, two)]
    alike = amounts[0] == amounts[1] and 1 < len(amounts[0]) < counts[0] and not heads[1]
    return alike and start < SAME_PLACE * width


def _amounts(block: Block) -> set[int]:
    """Return the columns of a table that hold amounts for the most part."""
    told: dict[int, list[bool]] = {}
    for cell in (cell for cell in block.cells if cell.lines and not cell.header):
        text = " ".join(line.text for line in cell.lines)
        told.setdefault(cell.column, []).append(AMOUNT.fullmatch(text) is not None)
    return {column for column, flags in told.items() if sum(flags) > 0.5 * len(flags)}


def _head(block: Block) -> list[str]:
    return [
        " ".join(line.text for line in cell.lines)
        for cell in block.cells if cell.header and cell.row == 0
    ]  # fmt: skip


def _counts_on(one: Block, two: Block) -> bool:
    """Tell whether a list is the rest of another: its signs are alike, its numbers count on."""
    signs = [sign_of(row) for row in one.text.split("\n")]
    first = two.text.split("\n")[0]
    if not sign_of(first):
        return not ENDED.search(one.text.rstrip()) and first.strip()[:1].islower()
    if sign_of(first) not in signs:
        return False
    number = PLAIN_NUMBER.match(first.strip())
    if number is None:
        return True
    numbers = [PLAIN_NUMBER.match(row.strip()) for row in one.text.split("\n")]
    return any(int(found[1]) == int(number[1]) - 1 for found in numbers if found)


def _lists(one: Block, two: Block) -> bool:
    """Tell whether blocks, one of which may be a lone item taken for a paragraph, are one list."""
    if one.kind != two.kind and not all(
        PLAIN_NUMBER.match(block.text.strip()) for block in (one, two)
    ):
        return False
    return {one.kind, two.kind} <= {"list", "paragraph"} and _counts_on(one, two)


def _word_moved(last: Place, first: Place, known: Collection[str]) -> tuple[Page, Page]:
    """Mark a block as the rest of another, after the rest of a split word has moved up."""
    one, two = last.block, replace(first.block, continued=True)
    text, rest = one.text.rstrip(), two.text.lstrip()
    dropped, between = seam(text, rest, known)
    word, _, others = rest.partition(" ")
    if not between and others:
        text = text[: len(text) - dropped] + word
        indent = two.text[: len(two.text) - len(rest)]
        one, two = replace(one, text=text), replace(two, text=indent + others)
    return _with(last.page, last.index, one), _with(first.page, first.index, two)
