"""Tables in Markdown, HTML and comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from ocrtool.document.tree import Cell
from ocrtool.writers.styled_text import Runs, line_runs

CellText = Callable[[Cell], str]
"""Writes what a cell says, on one line."""


def runs_of_cell(cell: Cell, min_confidence: float = 0.0) -> Runs:
    """Return what a cell says; bold that only shows that it is a head is left out."""
    runs = line_runs(cell.lines, min_confidence)
    return runs.without("bold") if cell.header and runs.share("bold") > 0.9 else runs


def fits_pipes(cells: Sequence[Cell]) -> bool:
    """Tell whether GitHub's tables can show one: no merged cells, and a head of one row."""
    heads = {cell.row for cell in cells if cell.header}
    return all(cell.row_span == cell.column_span == 1 for cell in cells) and (
        len(heads) == 0 or (all(cell.header for cell in cells if cell.row == 0) and len(heads) == 1)
    )


def grid_of(cells: Sequence[Cell], text: CellText) -> list[list[str]]:
    """Return the texts by row and column; a merged cell fills the first of its places."""
    height = max(cell.row + cell.row_span for cell in cells)
    width = max(cell.column + cell.column_span for cell in cells)
    grid = [[""] * width for _ in range(height)]
    for cell in cells:
        grid[cell.row][cell.column] = text(cell)
    return grid


def pipes(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of GitHub's Markdown; its first row is the head, for there is none without.

    Args:
        rows: Of one length; their texts are Markdown already, signs of columns escaped.
    """
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def comma_separated(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as RFC 4180 has them, but with line feeds alone, none at the end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().removesuffix("\n")


def html_table(cells: Sequence[Cell], text: CellText) -> str:
    """Return a table of HTML with its merged cells; a row a line.

    Args:
        cells: Of the table. Places that no cell covers become empty cells.
        text: Writes what a cell says, in HTML.
    """
    heads = {cell.row for cell in cells if cell.header}
    heads = {row for row in heads if all(i in heads for i in range(row))}
    starts = {(cell.row, cell.column): cell for cell in cells}
    height = max(cell.row + cell.row_span for cell in cells)
    width = max(cell.column + cell.column_span for cell in cells)
    taken: set[tuple[int, int]] = set()
    lines = ["<table>"]
    for i in range(height):
        written = []
        for k in range(width):
            cell = starts.get((i, k))
            if (i, k) in taken:
                continue
            if cell is None:
                written.append("<td></td>")
                continue
            taken |= {
                (row, column)
                for row in range(i, i + cell.row_span)
                for column in range(k, k + cell.column_span)
            }
            tag = "th" if cell.header else "td"
            spans = f' rowspan="{cell.row_span}"' if cell.row_span > 1 else ""
            spans += f' colspan="{cell.column_span}"' if cell.column_span > 1 else ""
            written.append(f"<{tag}{spans}>{text(cell)}</{tag}>")
        if heads and i == 0:
            lines.append("<thead>")
        if heads and i == max(heads) + 1:
            lines += ["</thead>", "<tbody>"]
        lines.append(f"<tr>{''.join(written)}</tr>")
    if heads:
        lines.append("</thead>" if max(heads) + 1 >= height else "</tbody>")
    return "\n".join([*lines, "</table>"])
