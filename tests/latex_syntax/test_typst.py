"""Formulas in Typst: what is written compiles, and says what it should."""

from __future__ import annotations

import random
from pathlib import Path

import pymupdf
import pytest
import typst

from formula_samples import covering
from ocrtool.latex_syntax import LatexError
from ocrtool.latex_syntax.symbols import ACCENTS, CHARACTERS, FONTS, LONG_ARROWS, NAMED, SYMBOLS
from ocrtool.latex_syntax.typst import to_typst
from ocrtool.latex_syntax.unicode import CHARACTER

TEXTS = (Path(__file__).parents[1] / "synth" / "formulas.txt").read_text().splitlines()

WRITTEN = [
    (r"\frac{a+b}{c}", "frac(a + b, c)"),
    (r"\frac{a,b}{c}", r"frac(a\, b, c)"),
    (r"\sqrt[3]{x}", "root(3, x)"),
    (r"x_1^2", "x_1^2"),
    (r"x_{i+1}'", "x'_(i + 1)"),
    (r"\mathbb{R}^n\to\mathcal{F}", "RR^n -> cal(F)"),
    (r"\mathbf{u}\cdot v", "upright(bold(u)) dot.op v"),
    (r"\mathrm{rank}A=\mathrm{d}x", '"rank"A = upright(d) x'),
    (r"[0,1)", "[0, 1)"),
    (r"(a", r"\( a"),
    (r"\left.f\right|_{0}", "lr(f |)_0"),
    (r"\begin{pmatrix}1&0\\0&1\end{pmatrix}", "mat(1, 0; 0, 1)"),
    (r"\begin{bmatrix}1\\2\end{bmatrix}", 'mat(delim: "[", 1; 2)'),
    (r"\begin{cases}1&x\\0&y\end{cases}", "cases(1 & quad x, 0 & quad y)"),
    (r"\begin{aligned}a&=b\\&=c\end{aligned}", "a & = b \\\n & = c"),
    (r"\begin{array}{l|c}a&b\\\hline c&d\end{array}",
     "mat(delim: #none, augment: #(hline: (1,), vline: (1,)), & a, b; & c, d)"),
    (r"\text{for all }x", '"for all" x'),
    (r"\text{a ``b''}", '"a “b”"'),
    (r"\operatorname{tr}A", 'op("tr") A'),
    (r"\underset{x}{\operatorname{rank}}", 'op("rank", limits: #true)_x'),
    (r"\underbrace{a}_{n}", "underbrace(a, n)"),
    (r"\overset{a}{=}", "limits(=)^a"),
    (r"3.14+x", "3.14 + x"),
    (r"|x|+P(a|b)", "|x| + P (a|b)"),
    (r"a/b", r"a \/ b"),
    (r"\widehat{ab}", "hat(a b)"),
    (r"\not\Rightarrow", "cancel(=>)"),
]  # fmt: skip


@pytest.mark.parametrize(("latex", "expected"), WRITTEN)
def test_what_is_written(latex: str, expected: str) -> None:
    assert to_typst(latex) == expected


def compiled(formulas: list[str]) -> pymupdf.Document:
    """Compile formulas, a page each."""
    pages = "\n#pagebreak()\n".join(f"$ {formula} $" for formula in formulas)
    source = "#set page(width: auto, height: auto)\n" + pages
    written = typst.compile(source.encode(), format="pdf", ignore_system_fonts=True)
    return pymupdf.open(stream=written, filetype="pdf")


def test_every_token_and_construct_compiles() -> None:
    latex = covering() + TEXTS
    latex += [" ".join(sorted(SYMBOLS - {r"\not"})), *(f"{name}{{AB}}_1" for name in ACCENTS)]
    latex += [f"{name}[x]{{y}}" for name in LONG_ARROWS]
    latex += [f"{name}{{AB1z}}^2" for name in FONTS.values()]
    latex += [" ".join(sorted(CHARACTERS))]
    with compiled([to_typst(formula) for formula in latex]) as document:
        assert len(document) == len(latex)
        blank = {i for i, page in enumerate(document) if page.get_pixmap().color_count() < 2}
    assert {latex[i] for i in blank} <= {r"\frac{}{}"}


def test_parts_of_formulas_compile_wherever_they_stand() -> None:
    rng = random.Random(3)
    parts = covering()
    put = []
    for shape in (r"\frac{%s}{%s}", r"x_{%s}^{%s}", r"\sqrt[%s]{%s}", r"\underset{%s}{%s}",
                  r"\begin{array}{lr}%s&%s\end{array}", r"\left(%s\right.%s"):  # fmt: skip
        put += [shape % tuple(rng.choices(parts, k=2)) for _ in range(20)]
    with compiled([to_typst(formula) for formula in put]) as document:
        assert len(document) == len(put)


def test_every_sign_has_a_character() -> None:
    assert set(CHARACTER) == SYMBOLS - NAMED
    assert all(len(character) == 1 for character in CHARACTER.values())


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(LatexError):
        to_typst(r"\nosuch{x}")
