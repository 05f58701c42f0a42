"""A document as one HTML page to read: headings, paragraphs, tables and figures as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files

from ocrtool.document.tree import Cell
from ocrtool.options import WriteOptions
from ocrtool.writers.flow import FlowPart
from ocrtool.writers.flow_writer import FlowForm, FlowWriter, image_source
from ocrtool.writers.formats import PageInput, PageWriter
from ocrtool.writers.inline import HtmlInline, url
from ocrtool.writers.list_items import Item, items_of
from ocrtool.writers.markup import escape
from ocrtool.writers.tables import html_table, runs_of_cell
from ocrtool.writers.text import TextWriter


class _Inline(HtmlInline):
    """HTML whose pages can be led to."""

    def page(self, number: int) -> str:
        """Return a place that a link can name."""
        return f'<a id="page-{number}"></a>'


INLINE = _Inline()


def _head(sheet: PageInput, options: WriteOptions) -> str:
    style = files("ocrtool.writers").joinpath("article.css").read_text("utf-8")
    title = escape(sheet.metadata.get("title", sheet.source))
    author = sheet.metadata.get("author", "")
    named = f'<meta name="author" content="{escape(author)}">\n' if author else ""
    return (
        '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n{named}<style>\n{style}</style>\n</head>\n<body>\n<article>\n"
    )


def article_part(part: FlowPart, options: WriteOptions) -> str:
    """Return a part as an element; nothing where there is nothing to show."""
    return FORMS.get(part.kind, _paragraph)(part, options)


def _paragraph(part: FlowPart, options: WriteOptions) -> str:
    return _element("p", part)


def _element(tag: str, part: FlowPart, name: str = "") -> str:
    text = INLINE.write(part.paragraph)
    named = f' class="{name}"' if name else ""
    return f"<{tag}{named}>{text}</{tag}>" if text else ""


def _quote(part: FlowPart, options: WriteOptions) -> str:
    inside = _element("p", part)
    return f"<blockquote>{inside}</blockquote>" if inside else ""


def _heading(part: FlowPart, options: WriteOptions) -> str:
    text = INLINE.write(part.paragraph.without("bold"))
    level = min(max(1, part.level), 6)
    return f"<h{level}>{text}</h{level}>" if text else ""


def _list(part: FlowPart, options: WriteOptions) -> str:
    return _items(items_of(part.runs.rows()))


def _items(items: Sequence[Item]) -> str:
    """Return items with those in them; a list ends where its kind of signs does."""
    lines: list[str] = []
    opened = ""
    i = 0
    while i < len(items):
        item = items[i]
        inner = i + 1
        while inner < len(items) and items[inner].depth > item.depth:
            inner += 1
        tag = "ul" if item.number is None else "ol"
        if tag != opened:
            lines += [f"</{opened}>"] * bool(opened) + [f"<{tag}>"]
            opened = tag
        value = f' value="{item.number}"' if item.number is not None else ""
        # A sign that is printed is shown as it is.
        bare = ' class="signed"' if item.number is None and not item.bullet else ""
        inside = f"\n{_items(items[i + 1 : inner])}\n" if inner > i + 1 else ""
        lines.append(f"<li{value}{bare}>{INLINE.write(item.text)}{inside}</li>")
        i = inner
    return "\n".join([*lines, *[f"</{opened}>"] * bool(opened)])


def _table(part: FlowPart, options: WriteOptions) -> str:
    def said(cell: Cell) -> str:
        return INLINE.write(runs_of_cell(cell, options.min_confidence))

    return html_table(part.cells, said) if part.cells else _code(part, options)


def _code(part: FlowPart, options: WriteOptions) -> str:
    text = part.runs.text.rstrip()
    return f"<pre>{escape(text)}</pre>" if text else ""


def _formula(part: FlowPart, options: WriteOptions) -> str:
    if part.latex.strip():
        return f'<p class="formula">\\[{escape(part.latex.strip())}\\]</p>'
    return _element("p", part, "formula")


def _figure(part: FlowPart, options: WriteOptions) -> str:
    source = image_source(part, options)
    if not source:
        return _element("p", part, "figure")
    said = " ".join(part.runs.text.split())
    address = source if source.startswith("data:") else url(source)
    label = escape(said or part.label or "figure")
    return f'<figure><img src="{escape(address)}" alt="{label}"></figure>'


def _page(part: FlowPart, options: WriteOptions) -> str:
    return INLINE.page(part.number)


def _error(part: FlowPart, options: WriteOptions) -> str:
    return f'<p class="error">Page {part.number}: unreadable: {escape(part.runs.text)}</p>'


FORMS: dict[str, Callable[[FlowPart, WriteOptions], str]] = {
    "heading": _heading,
    "quote": _quote,
    "list": _list,
    "table": _table,
    "formula": _formula,
    "figure": _figure,
    "caption": lambda part, options: _element("p", part, "caption"),
    "footnote": lambda part, options: _element("p", part, "footnote"),
    "header": lambda part, options: _element("p", part, "header"),
    "footer": lambda part, options: _element("p", part, "footer"),
    "code": _code,
    "page": _page,
    "error": _error,
}
"""How each kind of part is written; the others are paragraphs."""

ARTICLE = FlowForm(article_part, _head, "</article>\n</body>\n</html>\n")


class HtmlWriter:
    """Writes HTML: pictures beside their text where sheets have them, else text alone.

    The first sheet decides. See :class:`ocrtool.writers.formats.PageWriter`.

    Args:
        write: Takes the text, piece by piece.
        options: How it is written.
    """

    def __init__(self, write: Callable[[str], object], options: WriteOptions) -> None:
        self._write = write
        self._options = options
        self._writer: PageWriter | None = None

    def add(self, sheet: PageInput) -> None:
        """Write the next page."""
        if self._writer is None:
            self._writer = self._open(sheet)
        self._writer.add(sheet)

    def finish(self) -> None:
        """Write what comes after the last page."""
        (self._writer or FlowWriter(ARTICLE, self._write, self._options)).finish()

    def _open(self, sheet: PageInput) -> PageWriter:
        if sheet.picture is None:
            return FlowWriter(ARTICLE, self._write, self._options)
        from ocrtool.writers.html_facsimile import HTML

        return TextWriter(HTML, self._write, self._options)
