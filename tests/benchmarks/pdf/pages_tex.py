"""A text and a style as a TeX file."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path

from lxml.html import HtmlElement

from tests.benchmarks.pdf.content import Content
from tests.benchmarks.pdf.pages_html import draw_figures, table_columns
from tests.benchmarks.pdf.styles import Style

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "-": "-{}", "'": "'{}", "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}", "\xa0": "~",
}  # fmt: skip
_NOT_SET = re.compile(r"[^\x20-\x7e\xa0-\xff\n\u2018\u2019\u201c\u201d\u201e\u2013\u2014†‡•…€™Œœ]")
_HEADS = ("section", "subsection", "subsubsection", "paragraph")


def can_set(content: Content) -> bool:
    """Whether the usual fonts of TeX have all characters, and no cell spans rows."""
    if any(int(cell.get("rowspan") or 1) > 1 for cell in content.body.iter("td", "th")):
        return False
    parts = [content.body, *content.notes.values()]
    return not any(_NOT_SET.search(part.text_content()) for part in parts)


def page_tex(content: Content, style: Style, folder: Path) -> str:
    """The whole file; pictures are written beside it.

    Args:
        content: The text.
        style: How it is set.
        folder: Where the file will be.
    """
    body = copy.deepcopy(content.body)
    draw_figures(body, folder)
    return "\n".join([*_preamble(content, style), *_Setter(content, style).blocks(body),
                      r"\end{document}"])  # fmt: skip


def _preamble(content: Content, style: Style) -> Iterator[str]:
    width, height = style.page
    side, top = style.margins
    base = min((10, 11, 12), key=lambda s: abs(s - style.size))
    columns = ",twocolumn" if style.columns == 2 else ""
    yield rf"\documentclass[{base}pt{columns}]{{article}}"
    yield r"\usepackage[utf8]{inputenc}\usepackage[T1]{fontenc}\usepackage{textcomp}"
    yield r"\usepackage[english]{babel}\usepackage[expansion=false]{microtype}"
    if style.tex_font:
        yield rf"\usepackage{{{style.tex_font}}}"
    if style.tex_font == "helvet":
        yield r"\renewcommand{\familydefault}{\sfdefault}"
    yield (
        rf"\usepackage[paperwidth={width}bp,paperheight={height}bp,hmargin={side:.0f}bp,"
        rf"vmargin={max(top, 62):.0f}bp]{{geometry}}"
    )
    yield r"\usepackage{fancyhdr,booktabs,array,graphicx,xcolor,colortbl,ragged2e,hyperref}"
    link = {"blue": "colorlinks,urlcolor=blue", "underlined": "hidelinks", "plain": "hidelinks"}
    yield rf"\hypersetup{{{link[style.links]}}}\pagestyle{{fancy}}\fancyhf{{}}"
    yield r"\renewcommand{\headrulewidth}{" + ("0.4pt" if style.head == "sides" else "0pt") + "}"
    title = escape(content.title)
    if style.head:
        where = "C" if style.head == "title" else "L"
        yield rf"\fancyhead[{where}]{{\footnotesize {title}}}"
    if style.foot:
        yield r"\fancyfoot[C]{\thepage}"
    if not style.numbered:
        yield r"\setcounter{secnumdepth}{0}"
    if not style.indented:
        yield r"\setlength{\parindent}{0pt}\setlength{\parskip}{6pt plus 1pt}"
    yield r"\emergencystretch=3em\begin{document}"
    if not style.hyphenated:
        yield r"\hyphenpenalty=10000\exhyphenpenalty=10000"
    if not style.justified:
        yield r"\raggedright"


class _Setter:
    """Turns nodes into TeX."""

    def __init__(self, content: Content, style: Style) -> None:
        self.notes = content.notes
        self.style = style
        heads = [int(n.tag[1]) for n in content.body.iter() if re.fullmatch("h[1-6]", str(n.tag))]
        self.titled = bool(heads) and heads.count(min(heads)) == 1
        self.top = min(heads, default=1) + self.titled

    def blocks(self, body: HtmlElement) -> Iterator[str]:
        """Everything in a body, quote or item."""
        for node in body:
            tag = str(node.tag)
            if re.fullmatch("h[1-6]", tag):
                yield self.heading(node, int(tag[1]))
            elif tag == "p":
                if node.get("class") == "caption":
                    yield rf"\par\medskip{{\small {self.inline(node)}\par}}\medskip"
                else:
                    yield f"{self.inline(node)}\n"
            elif tag in ("ul", "ol"):
                yield from self.list(node)
            elif tag == "blockquote":
                yield rf"\begin{{quote}}{''.join(self.blocks(node))}\end{{quote}}"
            elif tag == "pre":
                yield rf"\begin{{verbatim}}{chr(10)}{node.text_content().rstrip()}"
                yield r"\end{verbatim}"
            elif tag == "table":
                yield self.table(node)
            elif tag == "div" and node.get("class") == "figure":
                name = node[0].get("src")
                picture = rf"\includegraphics[width=0.6\linewidth]{{{name}}}"
                yield rf"\begin{{center}}{picture}\end{{center}}"

    def heading(self, node: HtmlElement, level: int) -> str:
        """The title, or a section whose number has been put into its text."""
        text = self.inline(node)
        if level < self.top:
            title = rf"{{\LARGE\bfseries {text}\par}}\bigskip"
            if self.style.columns == 2:
                return rf"\twocolumn[\begin{{center}}{title}\end{{center}}]"
            return rf"\begin{{center}}{title}\end{{center}}"
        name = _HEADS[min(level - self.top, 2)]
        return rf"\{name}*{{{text}}}"

    def list(self, node: HtmlElement) -> Iterator[str]:
        """A list and what is nested in it."""
        name = "enumerate" if node.tag == "ol" else "itemize"
        yield rf"\begin{{{name}}}"
        for item in node.findall("li"):
            own = copy.deepcopy(item)
            below = [n for n in own if n.tag in ("ul", "ol")]
            for nested in below:
                own.remove(nested)
            loose = [n for n in own if n.tag == "p"]
            text = " ".join(self.inline(n) for n in loose) if loose else self.inline(own)
            yield rf"\item {text}"
            for nested in below:
                yield from self.list(nested)
        yield rf"\end{{{name}}}"

    def inline(self, node: HtmlElement) -> str:
        """A node's text with its parts."""
        parts = [escape(node.text)]
        for child in node:
            inner = self.inline(child)
            if child.tag == "strong":
                inner = rf"\textbf{{{inner}}}"
            elif child.tag == "em":
                inner = rf"\emph{{{inner}}}"
            elif child.tag == "code":
                inner = rf"\texttt{{{inner}}}"
            elif child.tag == "a":
                inner = rf"\href{{{escape(child.get('href'))}}}{{{inner}}}"
            elif child.tag == "sup" and child.get("class") == "note":
                inner = rf"\footnote{{{self.inline(self.notes[child.text])}}}"
            elif child.tag == "sup":
                inner = rf"\textsuperscript{{{inner}}}"
            elif child.tag == "br":
                inner = r"\newline "
            parts += [inner, escape(child.tail)]
        return " ".join("".join(parts).split())

    def table(self, table: HtmlElement) -> str:
        """A table whose columns are as wide as what they hold."""
        count, look = table_columns(table), self.style.look
        rows = [list(row) for row in table.iter("tr")]
        widths = [0] * count
        for row in rows:
            at = 0
            for cell in row:
                span = int(cell.get("colspan") or 1)
                if span == 1:
                    widths[at] = max(widths[at], len(cell.text_content().strip()))
                at += span
        span_all = self.style.columns == 2 and (sum(widths) > 36 or count > 4)
        across = self.style.page[0] - 2 * self.style.margins[0]
        room = across if span_all or self.style.columns == 1 else across / 2 - 10
        em = 0.5 * self.style.size
        natural = sum(widths) * em + 12 * count
        if natural <= room:
            columns = ["l"] * count
        else:
            short = [w * em if w < 12 else 0 for w in widths]
            left = room - 12 * count - sum(short)
            total = sum(w for w in widths if w >= 12) or 1
            columns = [
                "l" if w < 12 else rf">{{\RaggedRight}}p{{{max(30, left * w / total):.0f}bp}}"
                for w in widths
            ]
        bar = "|" if look == "grid" else ""
        lines = [rf"\begin{{tabular}}{{{bar}{bar.join(columns)}{bar}}}"]
        lines.append({"grid": r"\hline", "booktabs": r"\toprule"}.get(look, ""))
        heads = len(table.findall("thead/tr"))
        for number, row in enumerate(rows):
            cells = []
            for i, cell in enumerate(row):
                text = self.inline(cell)
                if cell.tag == "th" and text:
                    text = rf"\textbf{{{text}}}"
                span = int(cell.get("colspan") or 1)
                if span > 1:
                    left_bar = bar if i == 0 else ""
                    text = rf"\multicolumn{{{span}}}{{{left_bar}c{bar}}}{{{text}}}"
                cells.append(text)
            shade = ""
            if look == "shaded" and (number < heads or (number - heads) % 2):
                shade = rf"\rowcolor[gray]{{{0.85 if number < heads else 0.94}}}"
            end = {"grid": r"\hline", "rows": r"\hline"}.get(look, "")
            if look == "booktabs" and number == heads - 1:
                end = r"\midrule"
            lines.append(f"{shade}{' & '.join(cells)} \\\\{end}")
        lines += [r"\bottomrule" if look == "booktabs" else "", r"\end{tabular}"]
        inner = "\n".join(line for line in lines if line)
        if span_all:
            # A float would leave its place in the order of reading.
            inner = rf"\resizebox{{\linewidth}}{{!}}{{{inner}}}"
        return rf"\par\medskip\noindent{{\small {inner}}}\par\medskip"


def escape(text: str | None) -> str:
    """Text as TeX takes it letter by letter; only runs that would join are parted."""
    return "".join(_SPECIAL.get(c, c) for c in text or "")
