"""Formulas in MathML: well formed, and every letter is there."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import pytest

from formula_samples import covering
from ocrtool.errors import MissingDependencyError
from ocrtool.latex_syntax import LatexError, normal
from ocrtool.latex_syntax.mathml import NAMESPACE, to_mathml
from ocrtool.latex_syntax.symbols import ACCENTS, LONG_ARROWS, NAMED, SYMBOLS

TEXTS = (Path(__file__).parents[1] / "synth" / "formulas.txt").read_text().splitlines()


def inner(latex: str) -> str:
    """What is in the outermost row."""
    text = to_mathml(latex)
    return text[text.index("<mrow>") + 6 : text.rindex("</mrow>")]


@pytest.mark.parametrize("latex", covering() + TEXTS)
def test_every_letter_is_seen(latex: str) -> None:
    root = ElementTree.fromstring(to_mathml(latex))
    assert root.tag == f"{{{NAMESPACE}}}math"
    said = "".join(root.itertext())
    assert "\\" not in said
    seen = unicodedata.normalize("NFKD", said)
    tokens = [token for token in normal(latex) if not token.startswith((r"\begin", r"\operator"))]
    columns = {"l", "c", "r"} if r"\begin{array}" in latex else set()
    missing = {t for t in tokens if len(t) == 1 and t.isalnum() and t not in seen}
    assert missing <= columns


def test_every_sign_is_known() -> None:
    for token in sorted(SYMBOLS - {r"\not"}):
        said = "".join(ElementTree.fromstring(to_mathml(f"a {token} b")).itertext())
        assert said[0] == "a" and said[-1] == "b" and len(said) >= 3, token
        assert (len(said) == 3) is (token not in NAMED), token
    for token in ACCENTS | LONG_ARROWS:
        assert "AB" in "".join(ElementTree.fromstring(to_mathml(f"{token}{{AB}}")).itertext())


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\mathbf{B}", "<mi>𝐁</mi>"),
        (r"\boldsymbol{\alpha1}", "<mi>𝜶</mi><mn>𝟏</mn>"),
        (r"\mathbb{R}", "<mi>ℝ</mi>"),
        (r"\mathscr{L}", "<mi>ℒ</mi>"),
        (r"\mathfrak{g}", "<mi>𝔤</mi>"),
        (r"\mathrm{d}x", '<mi mathvariant="normal">d</mi><mi>x</mi>'),
        (r"\mathrm{eff}", "<mtext>eff</mtext>"),
        (r"a\sim b", "<mi>a</mi><mo>∼</mo><mi>b</mi>"),
        (r"\text{a \& b}", "<mtext>a\u00a0&amp;\u00a0b</mtext>"),
        (r"\text{\'{e}t\'{e}}", "<mtext>été</mtext>"),
    ],
)
def test_what_is_written(latex: str, expected: str) -> None:
    assert expected in inner(latex)


def test_limits_stand_below_and_above() -> None:
    assert "<munder>" in to_mathml(r"\lim_{n}a_n")
    assert "<munderover>" in to_mathml(r"\sum_{i}^{n}i")
    assert "<msub>" in to_mathml(r"\int_{a}f")
    assert 'display="inline"' in to_mathml("x", display=False)


def test_rules_are_drawn() -> None:
    table = ElementTree.fromstring(
        to_mathml(r"\begin{array}{|l|r|}a&b\\\hline c&\begin{pmatrix}1\\2\end{pmatrix}\end{array}")
    )
    styles = [cell.get("style", "") for cell in table.iter(f"{{{NAMESPACE}}}mtd")]
    assert [style.count("left") for style in styles] == [1, 1, 1, 1, 0, 0]
    assert [style.count("right") for style in styles] == [0, 1, 0, 1, 0, 0]
    assert [style.count("top") for style in styles] == [0, 0, 1, 1, 0, 0]


def test_nothing_is_a_formula_too() -> None:
    assert ElementTree.fromstring(to_mathml("")).tag.endswith("math")


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(LatexError):
        to_mathml(r"\nosuch{x}")


def test_without_the_package_a_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[formulas\]"):
        to_mathml("x")
