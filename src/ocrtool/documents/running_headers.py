"""Running headers, footers and page numbers: rows that repeat at one place of page after page.

A page alone cannot tell a running header from a short paragraph at its top. A document can: a
header repeats its text on many pages (on every other one where left and right pages differ), or
its number counts with the pages. A row that is larger or bolder than the body, that stands within
the body, or whose numbers do not count with the pages is content and is kept.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import pairwise
from statistics import median
from typing import Literal

from ocrtool.document.tree import Block, BlockKind, Box, Line, Page
from ocrtool.documents.rows import PageRow, is_level, rows_of_page, size_of

Zone = Literal["header", "footer", "side"]
ZONES: tuple[Zone, ...] = ("header", "footer", "side")
EDGE = 0.2
"""Share of the page height, at the top and at the bottom, in which running headers and footers are
searched."""
FIRST = 0.1
"""Maximum distance of a row's centre from the top edge, as a share of the page height, if it only
repeats the title below it."""
SIDE = 0.12
"""Share of the page width, at each side, in which vertical lines are searched."""
DEEP = 4
"""Maximum number of rows per edge that are considered."""
NEAR, SAME_PLACE = 0.015, 0.006
"""Maximum difference of position, as a share of the page height, of repetitions of a row, and of
another text in the place of a running header."""
ALIKE = 0.85
"""Minimum similarity ratio of two long rows that are readings of one text."""
LONG = 8
RECENT = 32
"""Number of recently seen rows of other texts with which a row is compared."""
FORGOTTEN = 60
"""Number of pages after which a row that did not recur is dropped."""
DENSE = 0.25
"""Minimum share of the pages, from its first to its last occurrence, that have a running header."""
LARGER, LARGER_ESTIMATED = 1.08, 1.25
"""Ratios of a row's type size to the body's above which it is never a running header: where the
file states sizes, and where they are estimated from line boxes."""
TITLE = 1.25
"""Minimum ratio of a title's type size to that of a header that repeats it."""
SMALLER = 0.95
"""Ratio of a row's type size to the body's below which two occurrences suffice."""
BOLD_BODY = 0.5
"""Share of bold letters of a document above which bold type does not set a row apart."""
BODY_GAP = 1.3
"""Distance from a header row to the body, in the page's median line pitch, that sets it apart."""
MAX_PITCH = 1.8
"""Line pitch, in heights of a row, above which a page's median pitch is no line pitch, as on
slides."""
COUNTING = 0.8
"""Minimum share of the pages with a numbered row on which its number counts with the pages."""
KINDS = frozenset({"paragraph", "heading", "header", "footer", "list", "footnote", "caption"})
"""Kinds of blocks whose rows may be running headers or footers."""

ROMAN = re.compile(r"(?=[mdclxvi])m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100, "d": 500, "m": 1000}
_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d{2,}|(?<![^\W_])\d(?![^\W_])")
"""Digit groups; one digit within letters is rather a misread letter."""
_AROUND_NUMBER = "()[]{}|.,:;/-\u2013\u2014\u00b7\u2022~"
"""Characters that may stand around a page number."""
_NUMBER_WORDS = frozenset({"page", "p", "seite", "s", "pag", "pagina", "of", "von", "de", "di"})


@dataclass(frozen=True)
class Folded:
    """What a row says, apart from its numbers.

    Attributes:
        key: Its letters, small, ``#`` for each number.
        numbers: The numbers at its ends that may be page numbers: they stand alone, without
            leading zeros, currency or letters.
        digits: All its digit groups, in order.
        bare: Whether it is a page number and nothing else.
    """

    key: str
    numbers: tuple[int, ...]
    digits: tuple[str, ...]
    bare: bool


def folded(text: str) -> Folded:
    """Return what a row says, apart from its numbers."""
    words = _WORD.findall(text.casefold())
    values: list[int | None] = []
    parts: list[str] = []
    for i, word in enumerate(words):
        end = i in (0, len(words) - 1)
        value = int(word) if word.isdecimal() and len(word) < 7 else None
        if value is None and end and ROMAN.fullmatch(word):
            value = _roman(word)
        values.append(value)
        parts.append("#" if value is not None else re.sub(r"\d+", "#", word))
    ends = (values[:1] + values[-1:]) if len(values) > 1 else values
    alone = {token.strip(_AROUND_NUMBER) for token in text.casefold().split()}
    numbers = tuple(
        dict.fromkeys(
            value
            for value, word in zip(
                ends, (words[:1] + words[-1:]) if len(words) > 1 else words, strict=True
            )
            if value is not None and word in alone and not word.startswith("0")
        )
    )
    digits = tuple(_DIGITS.findall(text))
    bare = bool(numbers) and all(part == "#" or part in _NUMBER_WORDS for part in parts)
    return Folded(" ".join(parts), numbers, digits, bare and len(parts) <= 4)


def _roman(word: str) -> int:
    total = 0
    values = [_ROMAN_VALUES[letter] for letter in word]
    for value, after in zip(values, [*values[1:], 0], strict=True):
        total += -value if value < after else value
    return total


@dataclass(eq=False)
class RunningRow:
    """Rows that say the same at the same place of pages.

    Attributes:
        zone: At the top or at the bottom.
        key: What they say; see :class:`Folded`.
        bare: Whether they are page numbers and nothing else.
        place: Share of the page's height.
        size: Of their type in points.
        exact: Whether the file states that size.
        bold: Whether all their letters are bold.
        digits: Their different digit groups, up to three of them.
        pages: Those that have one, from 0.
        offsets: How far numbers are from that of their page, from 0.
        sure: Whether they are running heads or feet; known when all pages are.
        changes: Whether their numbers change otherwise than with the pages, as those of invoices
            and chapters: then a row is content wherever its numbers differ from those before.
        shown: Digit groups of the last one that was applied.
    """

    zone: Zone
    key: str
    bare: bool
    place: float
    size: float
    exact: bool = False
    bold: bool = False
    digits: set[tuple[str, ...]] = field(default_factory=set)
    pages: list[int] = field(default_factory=list)
    offsets: Counter[int] = field(default_factory=Counter)
    sure: bool = False
    changes: bool = False
    shown: tuple[str, ...] | None = None

    def counts(self) -> int:
        """Return on how many pages its number is as far from that of the page as on most."""
        return max(self.offsets.values(), default=0)


class Running:
    """Learns from all pages of a document what its running heads and feet are, then tells them."""

    def __init__(self) -> None:
        self.pages = 0
        self._found: dict[tuple[Zone, str], list[RunningRow]] = {}
        self._recent: deque[RunningRow] = deque(maxlen=RECENT)
        self._slots: list[RunningRow] = []
        self._letters = self._bold_letters = 0
        self._index = -1  # of the page that is being applied

    def observe(self, page: Page) -> dict[int, RunningRow]:
        """Take in the next page.

        Returns:
            For the indices of those blocks that may turn out to be running, what tells it.
        """
        doubtful: dict[int, RunningRow] = {}
        index = self.pages
        self.pages += 1
        for line in (line for block in page.blocks for line in block.lines):
            self._letters += len(line.text)
            self._bold_letters += _bold_letters(line)
        for zone, row, place in _edges(page):
            fold = folded(row.text)
            size = size_of(row.lines, page)
            found = self._look_up(zone, fold.key, place, size)
            if found is None:
                exact = all(line.size > 0 for line in row.lines)
                found = RunningRow(zone, fold.key, fold.bare, place, size, exact, _is_bold(row))
                self._found.setdefault((zone, fold.key), []).append(found)
                self._recent.append(found)
            if found.pages[-1:] != [index]:
                found.pages.append(index)
                found.offsets.update(number - index for number in fold.numbers)
                if len(found.digits) < 3:
                    found.digits.add(fold.digits)
            for i, _ in row.places:
                if len(page.blocks[i].lines) <= len(row.lines):
                    doubtful[i] = found
        if index % FORGOTTEN == 0:
            self._forget(index - FORGOTTEN)
        return doubtful

    def finalize(self, body: float) -> None:
        """Judge, when all pages are known.

        Args:
            body: Common size of the document's type in points.
        """
        sure = [f for some in self._found.values() for f in some if self._comes_again(f, body)]
        self._found = {}
        for found in sure:
            found.sure = True
            self._found.setdefault((found.zone, found.key), []).append(found)
        self._slots = sure
        self._recent = deque(sure, maxlen=None)

    def apply(self, page: Page) -> Page:
        """Return a page with its running heads and feet told from its text."""
        self._index += 1
        marked: dict[tuple[int, int], Zone] = {}
        for zone in ZONES:
            for row, place in ((row, place) for z, row, place in _edges(page) if z == zone):
                if self._is_running(zone, row, place, page) or _names_title(zone, row, page):
                    marked.update((one, zone) for one in row.places)
                elif zone != "side" and any(page.blocks[i].kind != zone for i, _ in row.places):
                    break  # further inwards is text
        blocks: list[Block] = []
        for i, block in enumerate(page.blocks):
            blocks += self._parted(block, {k: zone for (j, k), zone in marked.items() if j == i})
        return replace(page, blocks=tuple(blocks))

    def _look_up(self, zone: Zone, key: str, place: float, size: float) -> RunningRow | None:
        def near(found: RunningRow) -> bool:
            close = abs(found.place - place) < NEAR
            return close and abs(found.size - size) < 0.2 * max(found.size, size, 1.0)

        for found in self._found.get((zone, key), ()):
            if near(found):
                return found
        if len(key) < LONG:
            return None
        for found in self._recent:
            if found.zone != zone or not near(found) or abs(len(found.key) - len(key)) > 4:
                continue
            matcher = SequenceMatcher(None, found.key, key, autojunk=False)
            if matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE:
                return found
        return None

    def _forget(self, before: int) -> None:
        for key, some in list(self._found.items()):
            kept = [found for found in some if len(found.pages) > 1 or found.pages[-1] >= before]
            if kept:
                self._found[key] = kept
            else:
                del self._found[key]

    def _comes_again(self, found: RunningRow, body: float) -> bool:
        count = len(found.pages)
        counting = found.counts() >= max(2, COUNTING * count)
        if found.bare:
            return counting
        if not any(c.isalpha() for c in found.key):
            return False
        found.changes = len(found.digits) > 1 and not counting
        if body and found.size > (LARGER if found.exact else LARGER_ESTIMATED) * body:
            return False
        small = found.size < SMALLER * body
        plain = not found.bold or self._bold_letters > BOLD_BODY * self._letters
        if not small and not plain:
            return False
        span = found.pages[-1] - found.pages[0] + 1
        # A number that counts over several pages is a page number, not that of a chapter.
        two = (small and self.pages <= 4) or (counting and len(found.digits) > 1 and span > 2)
        return count >= (2 if two else 3) and count >= DENSE * span

    def _is_running(self, zone: Zone, row: PageRow, place: float, page: Page) -> bool:
        fold = folded(row.text)
        size = size_of(row.lines, page)
        kinds = {page.blocks[i].kind for i, _ in row.places}
        judged = kinds <= {"header", "footer"}
        if self.pages == 1:
            return judged and fold.bare
        found = self._look_up(zone, fold.key, place, size)
        if found is not None:
            is_new = found.changes and found.shown != fold.digits
            found.shown = fold.digits
            return not is_new
        if judged and fold.bare:
            return True
        slots = [
            found for found in self._slots
            if found.zone == zone and abs(found.place - place) < SAME_PLACE
            and abs(found.size - size) < 0.1 * max(size, 1.0)
        ]  # fmt: skip
        offsets = {number - self._index for number in fold.numbers}
        numbered = any(offsets & found.offsets.keys() for found in slots)
        return bool(slots) and (fold.bare or numbered or (judged and not fold.digits))

    def _parted(self, block: Block, marks: dict[int, Zone]) -> Iterator[Block]:
        """Give a block, cut where some of its lines are running heads or feet and some are not."""
        furniture = block.kind in ("header", "footer")
        if not marks:
            text = block.text.strip()
            # What looked like a running header on its page alone, but never repeats, is text.
            is_text = furniture and text and not folded(text).bare
            yield replace(block, kind="paragraph") if is_text else block
            return
        zone = next(iter(marks.values()))
        kind: BlockKind = "header" if zone == "header" else "footer"
        if len(marks) == len(block.lines):
            yield replace(block, kind=kind, level=0, cells=())
            return
        cut = _cut(block, marks)
        if cut is None:
            yield block
            return
        head, rest = cut
        pair = (replace(head, kind=kind, level=0), rest)
        yield from pair if kind == "header" else reversed(pair)


def _bold_letters(line: Line) -> int:
    return sum(span.end - span.start for span in line.spans if span.bold)


def _is_bold(row: PageRow) -> bool:
    return all(_bold_letters(line) >= 0.9 * len(line.text) for line in row.lines)


def _names_title(zone: Zone, row: PageRow, page: Page) -> bool:
    """Tell whether the first row of a page says in small type what its title says in large."""
    if zone != "header" or row.middle > FIRST * page.height:
        return False
    said = [text for line in row.lines if len(text := folded(line.text).key) >= LONG]
    size = size_of(row.lines, page)
    return any(
        folded(block.text).key.startswith(tuple(said))
        for block in page.blocks
        if said and block.box.y0 > row.box.y1 and size_of(block.lines, page) > TITLE * size
    )


def _edges(page: Page) -> Iterator[tuple[Zone, PageRow, float]]:
    """Give the rows at the edges of a page, the outermost first, and where they stand.

    Lines that run up or down the page at its sides are feet, too.
    """
    height, width = max(page.height, 1), max(page.width, 1)

    def wanted(block: Block) -> bool:
        # A head in columns may have been taken for a table.
        small = block.box.y1 < EDGE * height or block.box.y0 > (1 - EDGE) * height
        return block.kind in KINDS or (block.kind == "table" and small)

    rows = rows_of_page(page, wanted)
    for row in rows[: _rows_apart(rows)]:
        if row.box.y1 < EDGE * height:
            yield "header", row, row.middle / height
    inwards = rows[::-1]
    for row in inwards[: _rows_apart(inwards)]:
        if row.box.y0 > (1 - EDGE) * height:
            yield "footer", row, row.middle / height
    for i, block in enumerate(page.blocks):
        for k, line in enumerate(block.lines):
            box = line.box
            aside = box.x1 < SIDE * width or box.x0 > (1 - SIDE) * width
            if aside and block.kind in KINDS and not is_level(line):
                yield "side", PageRow(((i, k),), (line,)), box.center_x / width


def _rows_apart(rows: Sequence[PageRow]) -> int:
    """Count the outermost rows, up to `DEEP`, that a gap sets apart from the rows further inwards.

    Args:
        rows: Rows of a page from an edge inwards.
    """
    pitches = [abs(b.middle - a.middle) for a, b in pairwise(rows)]
    if len(pitches) < 2 * DEEP:
        return DEEP
    common = median(pitches)
    return max(
        (
            i + 1
            for i, (row, pitch) in enumerate(zip(rows[:DEEP], pitches, strict=False))
            if pitch > BODY_GAP * min(common, MAX_PITCH * row.box.height)
        ),
        default=0,
    )


def _cut(block: Block, marks: Collection[int]) -> tuple[Block, Block] | None:
    """Part some lines, the first or last ones, from a block; nothing where its text is unclear."""
    inside = [line for k, line in enumerate(block.lines) if k in marks]
    rest = [line for k, line in enumerate(block.lines) if k not in marks]
    words = Counter(word for line in inside for word in line.text.split())
    found = list(re.finditer(r"\S+", block.text))
    count = words.total()
    if block.cells or count >= len(found):
        return None
    if Counter(match.group() for match in found[:count]) == words:
        some, others = block.text[: found[count - 1].end()], block.text[found[count].start() :]
    elif Counter(match.group() for match in found[-count:]) == words:
        some, others = block.text[found[-count].start() :], block.text[: found[-count - 1].end()]
    else:
        return None
    return _with_lines(block, inside, some), _with_lines(block, rest, others)


def _with_lines(block: Block, lines: Sequence[Line], text: str) -> Block:
    box = Box.around(line.quad for line in lines)
    return replace(block, box=box, lines=tuple(lines), text=text)
