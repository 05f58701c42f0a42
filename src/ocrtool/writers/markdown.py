"""Markdown: CommonMark with GitHub's tables and ``$$`` formulas."""

from __future__ import annotations

import re
from collections.abc import Callable

from ocrtool.document.patterns import CHECK_BOXES
from ocrtool.document.tree import Cell
from ocrtool.options import ImageChoice, TableChoice, WriteOptions
from ocrtool.writers.flow import FlowPart
from ocrtool.writers.flow_writer import FlowForm, image_source
from ocrtool.writers.front_matter import front_matter
from ocrtool.writers.inline import (
    HtmlInline,
    MarkdownInline,
    escape_signs,
    escape_start,
    url,
)
from ocrtool.writers.list_items import Item, items_of
from ocrtool.writers.styled_text import Runs
from ocrtool.writers.tables import (
    comma_separated,
    fits_pipes,
    grid_of,
    html_table,
    pipes,
    runs_of_cell,
)

COLUMN_GAP = re.compile(r"\s{2,}|\t")
"""What separates the columns of a table that is only text."""
MARKDOWN_INLINE = MarkdownInline()
HTML_INLINE = HtmlInline()


def escape(text: str) -> str:
    """Return one line of text so that Markdown shows it as it is."""
    return escape_start(escape_signs(text.strip()))


def md_part(part: FlowPart, options: WriteOptions) -> str:
    """Return a part without line feeds at its ends; nothing where there is nothing to show."""
    return FORMS.get(part.kind, _paragraph)(part, options)


def _paragraph(part: FlowPart, options: WriteOptions) -> str:
    return escape_start(MARKDOWN_INLINE.write(part.paragraph))


def _quote(part: FlowPart, options: WriteOptions) -> str:
    text = _paragraph(part, options)
    return f"> {text}" if text else ""


def _heading(part: FlowPart, options: WriteOptions) -> str:
    runs = part.paragraph.without("bold")
    if runs.share("italic") > 0.9:
        runs = runs.without("italic")
    # Signs of a heading at its end would be taken for its own.
    text = re.sub(r"(^|\s)(#+)$", r"\1\\\2", MARKDOWN_INLINE.write(runs))
    return f"{'#' * min(max(1, part.level), 6)} {text}" if text else ""


def _caption(part: FlowPart, options: WriteOptions) -> str:
    runs = part.paragraph.strip().without("italic")
    text = MARKDOWN_INLINE.write(runs.italicised())
    return escape_start(text) if text else ""


def _list(part: FlowPart, options: WriteOptions) -> str:
    """Return items with signs that Markdown knows, nested as they are indented."""
    lines: list[str] = []
    widths: list[int] = []
    numbers: list[tuple[int | None, str]] = []
    for item in items_of(part.runs.rows()):
        del widths[item.depth :], numbers[item.depth + 1 :]
        widths += [2] * (item.depth - len(widths))
        numbers += [(None, ")")] * (item.depth + 1 - len(numbers))
        last, point = numbers[item.depth]
        sign = "-"
        if item.number is not None:
            if (
                last is None or item.number != last + 1
            ):  # Markdown counts on its own: another sign starts anew
                point = ")" if point == "." else "."
            sign = f"{item.number}{point}"
        numbers[item.depth] = (item.number, point)
        lines.append(" " * sum(widths) + f"{sign} {_item(item)}".rstrip())
        widths.append(len(sign) + 1)
    return "\n".join(lines)


def _item(item: Item) -> str:
    ticked = CHECK_BOXES.get(item.text.text[:1])
    if ticked is not None:
        return f"[{'x' if ticked else ' '}] {MARKDOWN_INLINE.write(item.text[1:])}"
    return escape_start(MARKDOWN_INLINE.write(item.text))


def _table(part: FlowPart, options: WriteOptions) -> str:
    if not part.cells:
        return _rows(part, options)

    def said(cell: Cell) -> Runs:
        return runs_of_cell(cell, options.min_confidence)

    if options.tables is TableChoice.CSV:
        rows = grid_of(part.cells, lambda cell: said(cell).text)
        return _fenced(comma_separated(rows), "csv")
    if options.tables is TableChoice.HTML or not fits_pipes(part.cells):
        return html_table(part.cells, lambda cell: HTML_INLINE.write(said(cell)))
    return pipes(grid_of(part.cells, lambda cell: _in_pipes(MARKDOWN_INLINE.write(said(cell)))))


def _rows(part: FlowPart, options: WriteOptions) -> str:
    """Return a table of which only the rows are known, columns parted by white space."""
    text = part.runs.text
    rows = [COLUMN_GAP.split(row.strip()) for row in text.splitlines() if row.strip()]
    if len(rows) < 2 or len(rows[0]) < 2 or len({len(row) for row in rows}) > 1:
        return _fenced(text)
    if options.tables is TableChoice.CSV:
        return _fenced(comma_separated(rows), "csv")
    if options.tables is TableChoice.HTML:
        cells = [Cell(i, k) for i, row in enumerate(rows) for k, _ in enumerate(row)]
        return html_table(cells, lambda cell: HTML_INLINE.text(rows[cell.row][cell.column]))
    return pipes([[_in_pipes(escape_signs(text)) for text in row] for row in rows])


def _in_pipes(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _code(part: FlowPart, options: WriteOptions) -> str:
    return _fenced(part.runs.text)


def _fenced(text: str, language: str = "") -> str:
    if not text.strip():
        return ""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _formula(part: FlowPart, options: WriteOptions) -> str:
    if part.latex.strip():
        return f"$$\n{part.latex.strip()}\n$$"
    text = _paragraph(part, options)
    return f"<!-- formula -->\n\n{text}" if text else "<!-- formula -->"


def _figure(part: FlowPart, options: WriteOptions) -> str:
    source = image_source(part, options)
    if source:
        said = " ".join(part.runs.text.split())
        label = MARKDOWN_INLINE.text(part.label or "figure")
        inside = f"\n\n{_comment('text in the figure', said)}" if said else ""
        return f"![{label}]({source if part.content and _embeds(options) else url(source)}){inside}"
    text = _paragraph(part, options)
    return f"<!-- figure -->\n\n{text}" if text else "<!-- figure -->"


def _embeds(options: WriteOptions) -> bool:
    return options.images is ImageChoice.EMBED


def _furniture(part: FlowPart, options: WriteOptions) -> str:
    text = " ".join(part.runs.text.split())
    return _comment(part.kind, text) if text else ""


def _page(part: FlowPart, options: WriteOptions) -> str:
    return f"<!-- page {part.number} -->"


def _error(part: FlowPart, options: WriteOptions) -> str:
    return _comment(f"page {part.number}: unreadable", part.runs.text)


def _comment(name: str, text: str) -> str:
    safe = re.sub("-(?=-)", "- ", " ".join(text.split())).rstrip("-")  # it ends at two hyphens
    return f"<!-- {name}: {safe} -->"


FORMS: dict[str, Callable[[FlowPart, WriteOptions], str]] = {
    "heading": _heading,
    "quote": _quote,
    "list": _list,
    "table": _table,
    "formula": _formula,
    "figure": _figure,
    "caption": _caption,
    "header": _furniture,
    "footer": _furniture,
    "code": _code,
    "page": _page,
    "error": _error,
}
"""How each kind of part is written; the others are paragraphs."""

MARKDOWN = FlowForm(md_part, head=front_matter, apart="<!-- -->")
