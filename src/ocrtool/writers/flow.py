"""Blocks as they are read, whatever page they are on: what goes on over pages is put together.

Formats that show text as it runs take :class:`FlowPart` after part. No more is held than what may
still go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ocrtool.document.patterns import PLAIN_NUMBER
from ocrtool.document.tree import FURNITURE, Block, BlockKind, Cell, Page
from ocrtool.options import WriteOptions
from ocrtool.writers.formats import PageInput
from ocrtool.writers.list_items import indent_of, sign_of
from ocrtool.writers.styled_text import Runs, TextStyle, run_on, runs_of_block

FLOATS: frozenset[BlockKind] = frozenset({"figure", "caption", "footnote", "table"})
"""What may stand between a paragraph and its rest."""
MOST_CELLS = 5_000
"""Of a table that goes on over pages; then another begins, under the same head."""
MOST_LETTERS = 200_000
"""Of what else goes on."""
LABEL = re.compile(r"\s*([^\W\d]+\.?\s*(?:\d+(?:[.-]\d+)*|[IVXLC]+|[A-Z])(?![^\W\d]))")
"""What a caption begins with: "Figure 2.1"."""
PLACE = "\ufffc"
"""The character that stands where a page begins within a paragraph."""


@dataclass(frozen=True)
class FlowPart:
    """A block, or all blocks that go on with one another.

    Attributes:
        kind: What it is; ``page`` is where a page begins, ``error`` one that could not be read.
        runs: Its text; a line feed between rows.
        number: Of its page, where it begins.
        level: Of a heading.
        cells: Of a table.
        latex: Of a formula.
        image: Name of the file of a figure.
        content: Of that file, where it is at hand.
        label: What a figure is called in its caption.
    """

    kind: BlockKind | Literal["page", "error"]
    runs: Runs
    number: int
    level: int = 0
    cells: tuple[Cell, ...] = ()
    latex: str = ""
    image: str = ""
    content: bytes | None = None
    label: str = ""

    @property
    def paragraph(self) -> Runs:
        """Its text run on to one row."""
        return run_on(self.runs.rows())


class Flow:
    """Takes pages and hands on their parts.

    Args:
        options: What of them is wanted.
        emit: Takes the parts.
    """

    def __init__(self, options: WriteOptions, emit: Callable[[FlowPart], None]) -> None:
        self._options = options
        self._emit = emit
        self._open: list[FlowPart] = []
        self._count = 0

    def add(self, sheet: PageInput) -> None:
        """Take the next page."""
        page = sheet.page
        blocks = [
            block for block in page.blocks
            if block.kind not in FURNITURE or self._options.keep_furniture
        ]  # fmt: skip
        last = max((i for i, block in enumerate(blocks) if block.continued), default=-1)
        if last < 0:
            self.finish()
        self._count += 1
        turned = self._options.page_breaks and self._count > 1
        for i, block in enumerate(blocks):
            part = self._part(blocks, i, page, sheet.pictures)
            if block.continued and self._goes_on(part, page.number if turned else 0):
                turned = False
                continue
            if turned and i > last:
                self._open.append(FlowPart("page", Runs(), page.number))
                turned = False
            if i > last and block.kind not in FLOATS | FURNITURE:
                self.finish()
            self._open.append(part)
        if turned:
            self._open.append(FlowPart("page", Runs(), page.number))
        if page.error:
            self._open.append(FlowPart("error", Runs.plain(page.error), page.number))

    def finish(self) -> None:
        """Hand on what is held."""
        for part in self._open:
            self._emit(part)
        self._open = []

    def _part(
        self, blocks: Sequence[Block], i: int, page: Page, pictures: Mapping[str, bytes]
    ) -> FlowPart:
        block = blocks[i]
        near = (*blocks[i + 1 : i + 2], *reversed(blocks[max(0, i - 1) : i]))
        logo = block.kind in FURNITURE and block.image
        return FlowPart(
            "figure" if logo else block.kind,
            runs_of_block(block, self._options.min_confidence),
            page.number,
            block.level,
            block.cells,
            block.latex,
            block.image,
            pictures.get(block.image),
            _label(near) if block.kind == "figure" else "",
        )

    def _goes_on(self, part: FlowPart, page: int) -> bool:
        """Put a part to the one that it goes on with, if that is held.

        Args:
            part: The rest.
            page: Number of the page that begins between them, if that is wanted.
        """
        place = next(
            (i for i in reversed(range(len(self._open))) if self._open[i].kind == part.kind), None
        )
        if place is None:
            return False
        before = self._open[place]
        if part.kind == "table":
            joined, full = _table_with(before, part), len(before.cells) > MOST_CELLS
        else:
            joined, full = _text_with(before, part, page), len(before.runs) > MOST_LETTERS
        if full:
            self.finish()
            return False
        self._open[place] = joined
        if page and part.kind in ("table", "code"):
            self._open.append(FlowPart("page", Runs(), page))
        return True


def _label(near: Iterable[Block]) -> str:
    for block in near:
        match = LABEL.match(block.text) if block.kind == "caption" else None
        if match:
            return " ".join(match[1].split())
    return ""


def _text_with(before: FlowPart, part: FlowPart, page: int) -> FlowPart:
    """Return a paragraph, list or program with its rest."""
    sign = Runs()
    if page and part.kind != "code":
        sign = Runs(PLACE, (TextStyle(page=page),)) + Runs.plain(" ")
    if part.kind == "list":
        rows, rest = before.runs.rows(), part.runs.rows()
        first = next((row.text for row in rest if row.text.strip()), "")
        if sign:
            rows[-1] = rows[-1] + Runs.plain(" ") + sign[:1]
        if sign_of(first):
            alike = _counted_before(first, [row.text for row in rows])
            shift = indent_of(alike[-1]) - indent_of(first) if alike else 0
            rest = [_shifted(row, shift) for row in rest]
        return replace(before, runs=_joined([*rows, *rest]))
    if part.kind == "code":
        return replace(before, runs=_joined([before.runs, part.runs]))
    after = part.paragraph
    whole = run_on((before.paragraph, after))
    if not sign:
        return replace(before, runs=whole)
    start = len(whole) - len(after)
    if whole.text[start - 1 : start] != " ":  # a word goes on: the page begins behind it
        start = whole.text.find(" ", start) + 1 or len(whole)
    space = Runs() if whole.text[start - 1 : start] == " " else Runs.plain(" ")
    return replace(before, runs=whole[:start] + space + sign + whole[start:])


def _counted_before(first: str, rows: Sequence[str]) -> list[str]:
    """Return the items of a list that are of the depth of the first one of its rest."""
    alike = [row for row in rows if sign_of(row) == sign_of(first)]
    number = PLAIN_NUMBER.match(first.strip())
    if number is None:
        return alike
    found = [(PLAIN_NUMBER.match(row.strip()), row) for row in alike]
    return [row for one, row in found if one and int(one[1]) + 1 == int(number[1])] or alike


def _shifted(row: Runs, by: int) -> Runs:
    if by >= 0:
        return Runs.plain(" " * by) + row
    return row[min(-by, indent_of(row.text)) :]


def _joined(rows: Sequence[Runs]) -> Runs:
    whole = rows[0]
    for row in rows[1:]:
        whole = whole + Runs.plain("\n") + row
    return whole


def _table_with(before: FlowPart, part: FlowPart) -> FlowPart:
    """Return a table with its rest, of which the head is left out where it is said again."""
    height = max((cell.row + cell.row_span for cell in before.cells), default=0)
    head, again = _head(before.cells), _head(part.cells)
    said = len(again) and all(head.get(place) == text for place, text in again.items())
    skip = 1 + max(row for row, _ in again) if said else 0
    rest = tuple(
        replace(cell, row=cell.row - skip + height) for cell in part.cells if cell.row >= skip
    )
    rows = part.runs.rows()[skip:]
    return replace(before, cells=before.cells + rest, runs=_joined([before.runs, *rows]))


def _head(cells: Sequence[Cell]) -> dict[tuple[int, int], str]:
    """Return what the head of a table says, by row and column; its first row if it has none."""
    rows = {cell.row for cell in cells if cell.header} or {0}
    return {
        (cell.row, cell.column): " ".join(line.text for line in cell.lines)
        for cell in cells if cell.row in rows
    }  # fmt: skip
