"""Markdown: CommonMark with GitHub's tables and ``$$`` formulas."""

from __future__ import annotations

import re
from collections.abc import Callable

from ocrtool.document import Block, BlockKind, Cell
from ocrtool.hyphens import run_on
from ocrtool.writers.doubt import marked_block, marked_line
from ocrtool.writers.sheet import Sheet
from ocrtool.writers.text import TextForm

BULLET = re.compile(r"[•‣▪▫◦●○■□·∙\u2013\u2014*+-]\s+")
"""What a bullet may look like in print, and the space after it."""
NUMBER = re.compile(r"(\d{1,9})[.)]\s+")
COLUMN_GAP = re.compile(r"\s{2,}|\t")
"""What separates the columns of a table that is only text."""

_INLINE = re.compile(r"[\\`*<]|(?<!\w)_|_(?!\w)|\](?=[(:])|&(?=#?\w+;)")
_LINE_START = re.compile(r"^(?:#{1,6}(?=\s|$)|>|[-+](?=\s|$)|=+$|-{3,}$|~{3,})")
_NUMBER_START = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")


def md_page(sheet: Sheet, number: int, min_confidence: float) -> str:
    """Return the blocks, a blank line between them; pages after the first begin with a comment.

    Running heads and feet are comments, so that they do not stand amid the text.
    """
    parts = [f"<!-- page {sheet.page.number} -->"] if number > 1 else []
    for block in sheet.page.blocks:
        part = FORMS.get(block.kind, _paragraph)(block, min_confidence)
        if part:
            parts.append(part)
    return "\n\n".join(parts) + "\n" if parts else ""


def escape(text: str) -> str:
    """Return one line of text so that Markdown shows it as it is."""
    text = _INLINE.sub(r"\\\g<0>", text.strip())
    return _NUMBER_START.sub(r"\1\\\2", _LINE_START.sub(r"\\\g<0>", text))


def _paragraph(block: Block, min_confidence: float) -> str:
    # Lines end where the page's margin was: in Markdown they run on, split words mended.
    rows = marked_block(block, min_confidence).splitlines()
    return escape(run_on(rows))


def _heading(block: Block, min_confidence: float) -> str:
    text = " ".join(marked_block(block, min_confidence).split())
    return f"{'#' * min(max(1, block.level), 6)} {escape(text)}" if text else ""


def _caption(block: Block, min_confidence: float) -> str:
    text = " ".join(marked_block(block, min_confidence).split())
    return f"*{escape(text)}*" if text else ""


def _list(block: Block, min_confidence: float) -> str:
    """Return items with markers that Markdown knows, nested as they are indented."""
    rows = [row for row in marked_block(block, min_confidence).splitlines() if row.strip()]
    indents = sorted({_indent(row) for row in rows if _marker(row)})
    result: list[str] = []
    depth = 0
    for row in rows:
        text = row.strip()
        marker = _marker(row)
        if marker is None and result:  # the item goes on
            result.append("    " * depth + "  " + escape(text))
            continue
        depth = indents.index(_indent(row)) if marker else 0
        sign = "-"
        if marker:
            text = text[marker.end() :]
            sign = f"{marker.group(1)}." if marker.re is NUMBER else "-"
        result.append("    " * depth + f"{sign} {escape(text)}")
    return "\n".join(result)


def _marker(row: str) -> re.Match[str] | None:
    return BULLET.match(row.strip()) or NUMBER.match(row.strip())


def _indent(row: str) -> int:
    return len(row) - len(row.lstrip())


def _table(block: Block, min_confidence: float) -> str:
    if block.cells:
        return _pipes(_grid(block.cells, min_confidence))
    text = marked_block(block, min_confidence)
    rows = [COLUMN_GAP.split(row.strip()) for row in text.splitlines() if row.strip()]
    if len(rows) > 1 and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
        return _pipes(rows)
    return _fenced(text)


def _grid(cells: tuple[Cell, ...], min_confidence: float) -> list[list[str]]:
    """Return the texts by row and column. Markdown has no spans: a cell fills its first place."""
    height = max(cell.row + cell.row_span for cell in cells)
    width = max(cell.column + cell.column_span for cell in cells)
    grid = [[""] * width for _ in range(height)]
    for cell in cells:
        text = " ".join(marked_line(line, min_confidence) for line in cell.lines)
        grid[cell.row][cell.column] = text
    return grid


def _pipes(rows: list[list[str]]) -> str:
    """Return a table; its first row is the head, for Markdown has no table without."""
    lines = ["| " + " | ".join(_cell(text) for text in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def _cell(text: str) -> str:
    return _INLINE.sub(r"\\\g<0>", " ".join(text.split())).replace("|", r"\|")


def _code(block: Block, min_confidence: float) -> str:
    return _fenced(marked_block(block, min_confidence))


def _fenced(text: str) -> str:
    if not text.strip():
        return ""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _formula(block: Block, min_confidence: float) -> str:
    return f"$$\n{block.latex.strip()}\n$$" if block.latex else _paragraph(block, min_confidence)


def _figure(block: Block, min_confidence: float) -> str:
    text = _paragraph(block, min_confidence)
    return f"<!-- figure -->\n\n{text}" if text else "<!-- figure -->"


def _furniture(block: Block, min_confidence: float) -> str:
    text = " ".join(marked_block(block, min_confidence).split())
    safe = re.sub("-(?=-)", "- ", text).rstrip("-")  # a comment ends at two hyphens
    return f"<!-- {block.kind}: {safe} -->" if text else ""


FORMS: dict[BlockKind, Callable[[Block, float], str]] = {
    "heading": _heading,
    "list": _list,
    "table": _table,
    "formula": _formula,
    "figure": _figure,
    "caption": _caption,
    "header": _furniture,
    "footer": _furniture,
    "code": _code,
}
"""How each kind of block is written; the others are paragraphs."""

MARKDOWN = TextForm(md_page, between="\n")
