"""Tables as grids in which a cell knows its neighbours, for facts about tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import lxml.html
from lxml.html import HtmlElement

Place = tuple[int, int]
"""Row and column of a cell's first position, from 0."""
DIRECTIONS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
"""Steps in rows and columns."""
MAX_SPAN = 1_000
"""Most rows or columns that a cell is believed to span."""


@dataclass(frozen=True)
class GridCell:
    """A cell as it is written.

    Attributes:
        text: Its text.
        rows: Number of rows that it spans.
        columns: Number of columns that it spans.
        heading: Whether it is marked as a heading.
    """

    text: str
    rows: int = 1
    columns: int = 1
    heading: bool = False


@dataclass
class TableGrid:
    """A table.

    Attributes:
        cells: Cells by the place of their first position.
        owners: The cell that covers each position.
    """

    cells: dict[Place, GridCell] = field(default_factory=dict)
    owners: dict[Place, Place] = field(default_factory=dict)

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[GridCell]]) -> TableGrid:
        """Place cells row by row, each in the first free position of its row."""
        grid = cls()
        for row, cells in enumerate(rows):
            column = 0
            for cell in cells:
                while (row, column) in grid.owners:
                    column += 1
                grid.cells[row, column] = cell
                for r in range(row, row + cell.rows):
                    for c in range(column, column + cell.columns):
                        grid.owners.setdefault((r, c), (row, column))
                column += cell.columns
        return grid

    def neighbours(self, place: Place, direction: str) -> set[Place]:
        """Return the next cells in a direction; several beside a cell that spans several."""
        cell, (row, column) = self.cells[place], place
        down, across = DIRECTIONS[direction]
        height = max((r for r, _ in self.owners), default=0)
        width = max((c for _, c in self.owners), default=0)
        found: set[Place] = set()
        for r in range(row, row + cell.rows):
            for c in range(column, column + cell.columns):
                owner = self.owners.get((r, c))
                while (owner is None or owner == place) and 0 <= r <= height and 0 <= c <= width:
                    r, c = r + down, c + across
                    owner = self.owners.get((r, c))
                if owner is not None and owner != place:
                    found.add(owner)
        return found

    def headings(self, place: Place, direction: str) -> set[Place]:
        """Return the headings that lie in a direction; without any, the outermost cells."""
        marked, outermost = set(), set()
        seen, left = set(), [place]
        while left:
            current = left.pop()
            if current in seen:
                continue
            seen.add(current)
            if self.cells[current].heading:
                marked.add(current)
            further = self.neighbours(current, direction)
            if not further:
                outermost.add(current)
            left += further
        return (marked - {place}) or (outermost - {place})


def markdown_grids(text: str) -> Iterator[TableGrid]:
    """Return the pipe tables of a text: runs of two lines or more that have a pipe.

    The first row and the first column count as headings.
    """
    run: list[str] = []
    for line in [*text.strip().split("\n"), ""]:
        if "|" in line:
            run.append(line)
            continue
        if len(run) >= 2:
            rows = [
                [GridCell(cell, heading=not row or not column) for column, cell in enumerate(cells)]
                for row, cells in enumerate(_pipe_rows(run))
            ]
            if rows:
                yield TableGrid.of_rows(rows)
        run = []


def _pipe_rows(lines: Sequence[str]) -> list[list[str]]:
    rows = []
    for line in lines:
        if not line.strip("-: |\t"):  # the rule below the headings
            continue
        cells = [cell.strip() for cell in line.split("|")]
        cells = cells[1:] if cells and not cells[0] else cells
        cells = cells[:-1] if cells and not cells[-1] else cells
        if cells:
            rows.append(cells)
    return rows


def html_grids(text: str) -> Iterator[TableGrid]:
    """Return the HTML tables in a text; headings are ``th`` cells and those of ``thead``."""
    if "<table" not in text.lower():
        return
    for table in lxml.html.fromstring(f"<div>{text}</div>").iter("table"):
        lines = list(table.iter("tr"))
        rows = [
            [_html_cell(cell, len(lines) - number) for cell in line if cell.tag in ("td", "th")]
            for number, line in enumerate(lines)
        ]
        if any(rows):
            yield TableGrid.of_rows(rows)


def _html_cell(cell: HtmlElement, rows_left: int) -> GridCell:
    for line_break in cell.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    in_head = any(parent.tag == "thead" for parent in cell.iterancestors())
    # A row span of 0 is all rows that are left.
    rows = rows_left if (cell.get("rowspan") or "").strip() == "0" else _span(cell.get("rowspan"))
    heading = cell.tag == "th" or in_head
    return GridCell(cell.text_content().strip(), max(1, rows), _span(cell.get("colspan")), heading)


def _span(value: str | None) -> int:
    return min(int(value), MAX_SPAN) if value and value.strip().isdigit() and int(value) else 1
