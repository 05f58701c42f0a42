"""From a text in Markdown to a tree to be set and to the truth about it.

A text may ask for drawn parts on a line of their own: ``{{table}}`` and ``{{figure}}``. Paragraphs
that begin with "Table 1" or "Figure 1" are captions. Texts of strangers come with hard line ends
and split words; both are mended, and what cannot be set with the usual alphabet is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import lxml.html
import numpy as np
from lxml.html import HtmlElement, builder

from ocrtool.evaluation.markdown_pieces import tree
from ocrtool.synth.alphabet import ALPHABET, canonical
from tests.benchmarks.pdf.tables import draw_table

Random = np.random.Generator

_DRAWN = re.compile(r"\{\{(table|figure)\}\}")
_SPLIT = re.compile(r"(\w)-\n(?=[a-z])")
_CAPTION = re.compile(r"(Table|Figure) \d+")
_NOTE = re.compile(r"\ue000(\w+)\ue000")
_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$]")
_START = re.compile(r"^(\d+)([.)])(?=\s)|^([-+=])")
_NUMBERED = re.compile(r"^(\d+[.)]|[IVX]+\.|Part|Chapter|Section|Step) ?")


@dataclass(frozen=True)
class Content:
    """A text ready to be set.

    Attributes:
        body: Headings, paragraphs, lists, tables, ...; notes' marks are ``<sup class="note">``.
        notes: Footnotes in their order, each a ``p``.
        title: Its first heading, or else its first words.
    """

    body: HtmlElement
    notes: dict[str, HtmlElement]
    title: str


def load(markdown: str, rng: Random, look: str, *, spans: bool = True) -> Content:
    """Take a text apart and draw what it asks for.

    Args:
        markdown: The text.
        rng: Of what is drawn.
        look: How its tables are ruled, noted in their class.
        spans: Whether drawn tables may have merged cells.
    """
    text = _SPLIT.sub(r"\1", markdown)
    numbers = {"table": 0, "figure": 0}

    def drawn(match: re.Match[str]) -> str:
        kind = match[1]
        numbers[kind] += 1
        if kind == "figure":
            return f'\n<div class="figure" id="{rng.integers(1 << 30)}"></div>\n'
        title, html = draw_table(rng, spans=spans)
        return f"\nTable {numbers[kind]}: {title}\n\n{html}\n"

    body = tree(_DRAWN.sub(drawn, text))
    _clean(body)
    notes = {}
    for node in list(body.iter("p")):
        if match := _NOTE.match(node.text or ""):
            node.text = _NOTE.sub("", node.text)
            notes[match[1]] = node
            node.drop_tree()
    for node in body.iter("sup"):
        if node.text in notes:
            node.set("class", "note")
    for node in body.iter("p"):
        if _CAPTION.match(node.text_content()):
            node.set("class", "caption")
    head = next((n for n in body if re.fullmatch("h[1-6]", str(n.tag))), None)
    words = (head if head is not None else body).text_content().split()
    content = Content(body, notes, " ".join(words[:7]))
    mark_look(content, look)
    return content


def mark_look(content: Content, look: str) -> None:
    """Note how the tables are ruled."""
    for node in content.body.iter("table"):
        node.set("class", look)


def fragments(markdown: str) -> str:
    """A page out of a stranger's book: begun and ended where it can be, without its own furniture.

    Running heads, page numbers, axes of charts and sentences that begin on the page before would
    be set as paragraphs that no page has.
    """
    parts = [p.strip() for p in re.split(r"\n\s*\n", markdown) if p.strip()]
    parts = [p for p in parts if p.startswith("<table") or _is_prose(p)]
    while (
        parts
        and not parts[0].startswith(("#", "<", "- ", "1. "))
        and (parts[0][:1].islower() or len(parts[0]) < 60)
    ):
        parts.pop(0)
    while parts and not parts[-1].startswith("<") and not re.search(r"[.!?:)”\"]$", parts[-1]):
        parts.pop()
    return "\n\n".join(parts)


def _is_prose(part: str) -> bool:
    letters = sum(c.isalpha() or c == " " for c in part)
    return letters > 0.7 * len(part)


def number_headings(content: Content) -> None:
    """Give the headings below the title numbers: 1, 1.1, ..."""
    counts = [0] * 7
    heads = [n for n in content.body.iter() if re.fullmatch("h[1-6]", str(n.tag))]
    levels = sorted({int(n.tag[1]) for n in heads})
    if len(levels) > 1 and sum(n.tag == f"h{levels[0]}" for n in heads) == 1:
        levels.pop(0)
    for node in heads:
        level = int(node.tag[1])
        if level not in levels or _NUMBERED.match(node.text_content()):
            continue
        counts[level] += 1
        counts[level + 1 :] = [0] * (6 - level)
        parts = [str(counts[n]) for n in levels if n <= level and counts[n]]
        node.text = f"{'.'.join(parts)} {node.text or ''}"


def _clean(body: HtmlElement) -> None:
    """Keep to the alphabet that the reader of lines and the fonts know."""
    for node in body.iter():
        if not isinstance(node.tag, str):
            continue
        for part in ("text", "tail"):
            text = getattr(node, part)
            if text:
                kept = "".join(c for c in canonical(text) if c in ALPHABET or c in "\n\ue000")
                setattr(node, part, kept)


def truth(content: Content) -> str:
    """The text as Markdown; tables are HTML whose class says how they are ruled."""
    parts = list(_blocks(content.body))
    parts += [f"[^{key}]: {_inline(node)}" for key, node in content.notes.items()]
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _blocks(body: HtmlElement) -> Iterator[str]:
    for node in body:
        tag = node.tag
        if re.fullmatch("h[1-6]", str(tag)):
            yield f"{'#' * int(tag[1])} {_inline(node)}"
        elif tag in ("ul", "ol"):
            yield "\n".join(_list(node, ""))
        elif tag == "table":
            yield lxml.html.tostring(_bare(node), encoding="unicode").strip()
        elif tag == "pre":
            yield f"```\n{node.text_content().rstrip()}\n```"
        elif tag == "blockquote":
            inner = "\n\n".join(_blocks(node))
            yield "\n".join(f"> {line}".rstrip() for line in inner.splitlines())
        elif tag == "p":
            yield _START.sub(_escape_start, _inline(node))


def _escape_start(match: re.Match[str]) -> str:
    return f"{match[1]}\\{match[2]}" if match[1] else f"\\{match[3]}"


def _list(node: HtmlElement, indent: str) -> Iterator[str]:
    for number, item in enumerate(node.findall("li"), int(node.get("start") or 1)):
        sign = f"{number}." if node.tag == "ol" else "-"
        own = [n for n in item if n.tag not in ("ul", "ol")]
        if any(n.tag == "p" for n in own):
            text = " ".join(_inline(n) for n in own)
        else:
            text = _inline(item)
        yield f"{indent}{sign} {_START.sub(_escape_start, text)}"
        for below in (n for n in item if n.tag in ("ul", "ol")):
            yield from _list(below, indent + " " * (len(sign) + 1))


def _inline(node: HtmlElement) -> str:
    parts = [_escaped(node.text)]
    for child in node:
        inner = _inline(child) if child.tag not in ("ul", "ol") else ""
        if child.tag in ("strong", "em", "code", "a") and not inner.strip():
            inner = ""
        elif child.tag in ("strong", "em"):
            mark = "**" if child.tag == "strong" else "*"
            inner = f"{mark}{inner}{mark}"
        elif child.tag == "code":
            inner = f"`{child.text_content()}`"
        elif child.tag == "a":
            inner = f"[{inner}]({child.get('href')})"
        elif child.tag == "sup":
            inner = f"[^{child.text}]" if child.get("class") == "note" else f"<sup>{inner}</sup>"
        elif child.tag == "br":
            inner = " "
        parts += [inner, _escaped(child.tail)]
    return " ".join("".join(parts).split())


def _escaped(text: str | None) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text or "")


def _bare(table: HtmlElement) -> HtmlElement:
    """Rows, cells, spans and text on one line."""
    rows = []
    for row in table.iter("tr"):
        cells = []
        for cell in row:
            spans = {k: v for k, v in cell.items() if k in ("rowspan", "colspan")}
            text = " ".join(" ".join(cell.itertext()).split())
            cells.append(builder.E(cell.tag, text, **spans))
        rows.append(builder.TR(*cells))
    bare = builder.TABLE(*rows)
    bare.set("class", table.get("class") or "")
    return bare
