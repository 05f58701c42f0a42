"""Markdown taken apart by real parsers: pieces of text in reading order, each of one kind.

CommonMark with GitHub's tables, footnotes and any HTML in between; front matter and comments are
dropped. Everything that only says how text is set (bold, links, superscripts) is dropped, quotation
marks are made straight, white space is one space. Nothing else is folded: ligatures left as one
character are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import lxml.html
from lxml.html import HtmlElement
from markdown_it import MarkdownIt

_QUOTES = str.maketrans("\u2018\u2019\u201a\u201c\u201d\u201e", "'''\"\"\"")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_NOTE = re.compile(r"^\[\^([^\]\s]+)\]:[ \t]*", re.M)
_REFERENCE = re.compile(r"\[\^([^\]\s]+)\]")
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_FRONT = re.compile(r"\A---\n.*?\n---(\n|\Z)", re.S)
_MARK = "\ue000"  # private: how the first words of a footnote are known again after parsing
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table ul".split()
)
_SILENT = frozenset(["img", "svg", "script", "style", "head", "title"])


@dataclass(frozen=True)
class Piece:
    """A part of a document that is read in one go.

    Attributes:
        kind: ``heading``, ``paragraph``, ``item``, ``table``, ``code`` or ``note``.
        text: Its plain text on one line; of a table, its cells row by row.
        level: Of a heading, from 1; of a list item, how deep it is nested, from 1.
        ordered: Whether a list item is numbered.
        html: Of a table: rows and cells with spans and plain text, nothing else.
        look: Of a table of the truth, how it is drawn.
    """

    kind: str
    text: str
    level: int = 0
    ordered: bool = False
    html: str = ""
    look: str = ""


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def plain(text: str) -> str:
    """Return the text on one line, with straight quotes and ordinary digits."""
    return " ".join(text.translate(_QUOTES).translate(_RAISED).replace("\u00ad", "").split())


def tree(markdown: str) -> HtmlElement:
    """Return the document as an HTML ``body``; notes are paragraphs that begin with a mark."""
    text = _FRONT.sub("", markdown.replace("\r\n", "\n"))
    text = _COMMENT.sub("", text)
    text = _NOTE.sub(rf"\n{_MARK}\1{_MARK}", text)
    text = _REFERENCE.sub(r"<sup>\1</sup>", text)
    html = _parser().render(text)
    return lxml.html.document_fromstring(f"<html><body>{html}</body></html>").find("body")


def pieces(markdown: str) -> list[Piece]:
    """Take a document apart."""
    return list(_walk(tree(markdown), 0))


def _walk(node: HtmlElement, depth: int) -> Iterator[Piece]:
    """Return the pieces inside a node; loose text between blocks is a paragraph."""
    run: list[str] = [node.text or ""]
    for child in node:
        if isinstance(child.tag, str) and _holds_blocks(child):
            yield from _paragraph(run)
            run = []
            yield from _block(child, depth)
        elif isinstance(child.tag, str):
            run.append(_inline(child))
        run.append(child.tail or "")
    yield from _paragraph(run)


def _block(node: HtmlElement, depth: int) -> Iterator[Piece]:
    tag = node.tag
    if tag in _SILENT or tag == "hr":
        return
    if re.fullmatch(r"h[1-6]", tag):
        text = plain(_inline(node))
        if text:
            yield Piece("heading", text, int(tag[1]))
    elif tag in ("ul", "ol"):
        for item in node:
            if item.tag == "li":
                yield from _item(item, depth + 1, tag == "ol")
    elif tag == "table":
        yield from _table(node)
    elif tag == "pre":
        text = plain(node.text_content())
        if text:
            yield Piece("code", text)
    else:
        yield from _walk(node, depth)


def _item(node: HtmlElement, depth: int, ordered: bool) -> Iterator[Piece]:
    """Return the pieces of a list item: its own paragraphs are one, what is nested follows."""
    own: list[str] = []
    below: list[Piece] = []
    for piece in _walk(node, depth):
        if piece.kind == "paragraph" and not below:
            own.append(piece.text)
        else:
            below.append(piece)
    text = " ".join(own)
    if text:
        yield Piece("item", text, depth, ordered)
    yield from below


def _paragraph(run: list[str]) -> Iterator[Piece]:
    text = "".join(run)
    if _MARK in text:
        text = text.split(_MARK)[-1]
        if plain(text):
            yield Piece("note", plain(text))
    elif plain(text):
        yield Piece("paragraph", plain(text))


def _table(node: HtmlElement) -> Iterator[Piece]:
    caption = node.find("caption")
    if caption is not None and plain(_inline(caption)):
        yield Piece("paragraph", plain(_inline(caption)))
    rows, words = [], []
    for row in node.iter("tr"):
        cells = []
        for cell in row:
            if cell.tag not in ("td", "th"):
                continue
            text = plain(_inline(cell))
            spans = "".join(
                f' {name}="{cell.get(name)}"'
                for name in ("rowspan", "colspan")
                if (cell.get(name) or "1").isdigit() and int(cell.get(name) or 1) > 1
            )
            escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            cells.append(f"<td{spans}>{escaped}</td>")
            if text:
                words.append(text)
        rows.append(f"<tr>{''.join(cells)}</tr>")
    if rows:
        html = f"<table>{''.join(rows)}</table>"
        yield Piece("table", " ".join(words), html=html, look=node.get("class") or "")


def _holds_blocks(node: HtmlElement) -> bool:
    return any(n.tag in _BLOCKS for n in node.iter() if isinstance(n.tag, str))


def _inline(node: HtmlElement) -> str:
    """Return all text of a node, a space for each break of a line and between blocks."""
    if node.tag in _SILENT:
        return ""
    if node.tag == "br":
        return " "
    if not isinstance(node.tag, str):
        return ""
    parts = [node.text or ""]
    for child in node:
        parts += [_inline(child), child.tail or ""]
    text = "".join(parts)
    return f" {text} " if node.tag in _BLOCKS else text
