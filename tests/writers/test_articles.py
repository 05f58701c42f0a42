"""HTML and LaTeX of text as it runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ocrtool.document.tree import Block, Box, Cell, Line, Page, Span
from ocrtool.options import ImageChoice
from ocrtool.writers import PageInput
from ocrtool.writers.tex import escape
from writers.drawing import written
from writers.test_markdown import Shown, cells, line, paragraph, sheet, table

ODD = "100 % of \\$5 & #1_a {b} ~x^2 <y> |z| \"q\" 'r' -- `s` € \u03b1≤\u03b2 → é"


def odd_sheet() -> PageInput:
    merged = (
        Cell(0, 0, 2, 1, (line("Name"),), True),
        Cell(0, 1, 1, 2, (line("Sales & more"),), True),
        Cell(1, 1, lines=(line("2019"),), header=True),
        Cell(1, 2, lines=(line("[2020]"),), header=True),
        Cell(2, 0, 1, 2, lines=(line("*Pear*"),)),
        Cell(2, 2, lines=(line("<7"),)),
    )
    items = map(line, ["1. one", "    • a", "    • [b]", "2. two", "(x) three"])
    return sheet(
        paragraph(line("Title & more", Span(0, 5, bold=True)), kind="heading", level=1),
        paragraph(line(ODD, Span(0, 3, bold=True, italic=True))),
        paragraph(line("[starts with a bracket"), line("and goes on*")),
        paragraph(line("[said by"), line("* another]"), kind="quote"),
        paragraph(line("see this", Span(4, 8, link="https://x.org/a_b%20c#d&e~f"))),
        paragraph(line("call f_x(1)", Span(5, 11, mono=True))),
        paragraph(*items, kind="list"),
        table(merged),
        Block("table", Box(0, 0, 9, 9), (), "no   cells\nat   all"),
        paragraph(line("if x:"), line("    y = 'é' % 2"), kind="code"),
        paragraph(line("if x:"), line("    y()"), kind="code"),
        paragraph(line("a"), kind="formula", latex="\\frac{a}{b}\n\n+ c"),
        paragraph(line("a_1 = b"), kind="formula"),
        Block("figure", Box(0, 0, 9, 9), (), "inside", image="a_b.png"),
        paragraph(line("Figure 1: x_y"), kind="caption"),
        paragraph(line("1 a note"), kind="footnote"),
        paragraph(line("head % x"), kind="header"),
        metadata={"title": "A_b & {c}"},
    )


def test_html_without_pictures_is_an_article() -> None:
    text = written("html", odd_sheet(), images=ImageChoice.REFS, image_folder="x y")
    shown = Shown(text.split("<body>")[1].split("</body>")[0])
    assert shown.within("h1") == "Title&more" and shown.within("strong") == "100"
    assert "".join(ODD.split()) in shown.text
    assert shown.links == ["https://x.org/a_b%20c#d&e~f", "x%20y/a_b.png"]
    assert shown.within("li") == "onea[b]two(x)three"
    assert shown.within("blockquote") == "[saidby*another]"
    assert text.count("<ol>") == text.count("<ul>") == 1
    assert 'rowspan="2"' in text and "<thead>" in text and "<title>A_b &amp; {c}</title>" in text
    assert shown.within("pre").startswith("nocells")
    pages = written("html", sheet(paragraph(line("on and"))),
                    sheet(paragraph(line("on"), continued=True), number=2))  # fmt: skip
    assert '<p>on and <a id="page-2"></a> on</p>' in pages
    assert "<script" not in text and "http-equiv" not in text


def test_latex_escapes_what_means_something() -> None:
    assert escape(r"\a{b}") == r"\textbackslash{}a\{b\}"
    assert escape("5 % & #_$") == r"5 \% \& \#\_\$"
    assert escape("a--b - c") == "a-{}-b - c"
    assert (
        escape("\u03b1\u03b2 ≤ \u2212")
        == r"\ensuremath{\alpha}\ensuremath{\beta} \ensuremath{\leq} \ensuremath{-}"
    )
    assert escape("a\x07b\ud800") == "ab"


def test_latex_is_whole_and_balanced() -> None:
    text = written("tex", odd_sheet(), images=ImageChoice.REFS, image_folder="x_y")
    body = text.split(r"\begin{document}")[1]
    opened = [*re.findall(r"\\begin\{(\w+)\}", body), "document"]
    closed = re.findall(r"\\end\{(\w+)\}", body)
    assert sorted(opened) == sorted(closed)
    bare = re.sub(
        r"\\.", "", re.sub(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", "", text, flags=re.S)
    )
    assert bare.count("{") == bare.count("}")
    assert r"\section{Title \& more}" in text and r"\multirow{2}{=}" in text
    assert r"\multicolumn{2}" in text and r"\detokenize{x_y/a_b.png}" in text
    assert "\n% header: head % x\n" in text
    assert r"\item[1.] one" in text and text.count(r"\begin{itemize}") == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path: Path) -> None:
    import pymupdf

    page = odd_sheet().page
    without_figure = tuple(block for block in page.blocks if block.kind != "figure")
    many = cells(*[(f"row {i}", "text " * 20) for i in range(90)])
    one = PageInput("x", Page(1, 9, 9, (*without_figure, table(many))))
    (tmp_path / "x.tex").write_text(written("tex", one, keep_furniture=False), "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    with pymupdf.open(tmp_path / "x.pdf") as document:
        text = "".join(page.get_text() for page in document)
    assert "100 % of \\$5 & #1_a {b} ~x^2 <y> |z|" in " ".join(text.split())


def test_a_line_of_latex_is_no_command() -> None:
    said = Line(r"\input{/etc/passwd} \write18{x}", 1.0, ((0, 0), (9, 0), (9, 9), (0, 9)))
    assert r"\input" not in written("tex", sheet(paragraph(said)))
    assert "write18" in written("tex", sheet(paragraph(said)))
