"""One normal form: the same picture, the same tokens."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtool.latex_syntax import LatexError, detokenize, is_valid, normal, repair, tokenize
from ocrtool.latex_syntax.symbols import SYMBOLS
from ocrtool.synth.formula_vocabulary import counted, formula_tokens, main

FORMULAS = [
    r"E=mc^{2}",
    r"\frac{a+b}{c}",
    r"\sqrt[3]{x}",
    r"x_{1}^{\prime\prime}",
    r"\mathbf{A B}x",
    r"\text{for all }x\in\mathbb{R}",
    r"\begin{pmatrix}1&0\\0&1\end{pmatrix}",
    r"\begin{array}{l|r}a&b\\\hline c&d\end{array}",
    r"\left.f\right|_{x=0}",
    r"{a\atop b}",
    r"\underset{x}{\operatorname{rank}}A",
    r"\overbrace{a+b}^{n}",
    r"A^{a}{}_{b}",
    r"\xrightarrow[n]{\sim}",
    r"\substack{i<n\\j<n}",
]

SAME = [
    (r"{a \over b}", r"\frac{a}{b}"),
    (r"\dfrac ab", r"\frac{a}{b}"),
    (r"{n \choose k}", r"\binom{n}{k}"),
    (r"{\bf x}", r"\mathbf{x}"),
    (r"{\cal L}", r"\mathcal{L}"),
    (r"\bm{\alpha}", r"\boldsymbol{\alpha}"),
    (r"\mathbf{a}\mathbf{b}", r"\mathbf{ab}"),
    (r"\mathbf{a_1}", r"\mathbf{a}_{\mathbf{1}}"),
    (r"x^2_1", r"x_1^2"),
    (r"x'", r"x^\prime"),
    (r"f^{'}", r"f'"),
    (r"x'^2", r"x^{\prime 2}"),
    (r"a \le b \ne c", r"a\leq b\neq c"),
    (r"a \not= b", r"a \neq b"),
    (r"a\,b\quad c~d", r"abcd"),
    (r"\left( x \right)", r"(x)"),
    (r"\bigl[ x \Bigr]", r"[x]"),
    (r"\lvert x \rvert", r"|x|"),
    (r"\left\| x \right\|", r"\| x \parallel"),
    (r"\sum\limits_{i}", r"\sum_i"),
    (r"\operatorname{sin} x", r"\sin x"),
    (r"\underset{x}{\max}", r"\max_x"),
    (r"\mathop{X}\limits_{a}", r"\underset{a}{X}"),
    (r"\mathop{\mathrm{Hom}}\nolimits_R", r"\mathrm{Hom}_R"),
    (r"\mathop{X}\nolimits\limits_a", r"\mathop{X}_a"),
    (r"\stackrel{a}{=}", r"\overset{a}{=}"),
    (r"\mbox{if}", r"\mathrm{if}"),
    (r"\textrm{ for all }", r"\text{for all}"),
    (r"\left(\begin{array}{cc}a&b\end{array}\right)", r"\begin{pmatrix}a&b\end{pmatrix}"),
    (r"\left\{\begin{array}{ll}a&b\\c&d\end{array}\right.", r"\begin{cases}a&b\\c&d\end{cases}"),
    (r"\begin{array}{@{}c*{2}{c}@{}}a&b&c\end{array}", r"\begin{matrix}a&b&c\end{matrix}"),
    (r"\begin{split}a&=b\\&=c\\\end{split}", r"\begin{align*}a&=b\\[2pt]&=c\end{align*}"),
    (r"\begin{aligned} a &= b \end{aligned}", r"a=b"),
    (r"\begin{equation} a \label{x} \nonumber \end{equation}", r"a"),
    (r"$$ a $$", r"a"),
    (r"a \dots + b", r"a \cdots + b"),
    (r"a, \dots, b", r"a, \ldots, b"),
    (r"\widehat{x} \hat{AB}", r"\hat{x} \widehat{AB}"),
    (r"(\mathrm{mod}\ n)", r"\pmod n"),
    (r"{\rm mod}\, n", r"\bmod n"),
    (r"\ket{\psi}", r"|\psi\rangle"),
    (r"x \coloneqq y", r"x := y"),
    (r"90^\circ", r"90\degree"),
    (r"\displaystyle{\textcolor{red}{a}}", r"a"),
    ("x \u2212 \u03b1", r"x-\alpha"),
    (r"a % comment", r"a"),
    (r"\text{Schr\"odinger eq.}", r"\text{Schrödinger eq.}"),
]

APART = [
    (r"\ldots", r"\cdots"),
    (r"\bar{x}", r"\overline{x}"),
    (r"\emptyset", r"\varnothing"),
    (r"\mathbf{x}", r"\boldsymbol{x}"),
    (r"\overset{a}{b}", r"b^{a}"),
    (r"A^a{}_b", r"A^a_b"),
    (r"{a^b}^c", r"a^{bc}"),
    (r"\mathcal{L}", r"\mathscr{L}"),
    (r"a < b", r"a \langle b"),
]

WRONG = [r"\frac{a}", r"{a", r"a}", r"x^1^2", r"a & b", r"\left( x", r"x \right)", r"\nosuch x",
         r"\begin{matrix}a", r"\begin{nosuch}a\end{nosuch}", r"a \over b \over c", r"x_", "a\\",
         r"\text{a", "{" * 200 + "}" * 200]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_looks_the_same_has_the_same_tokens(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_looks_different_has_different_tokens(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@pytest.mark.parametrize("formula", FORMULAS + [one for one, _ in SAME])
def test_the_normal_form_of_the_normal_form_is_itself(formula: str) -> None:
    tokens = normal(formula)
    assert normal(detokenize(tokens)) == tokens
    assert is_valid(tokens)
    assert repair(tokens) == tokens
    assert not any(set(" \n\t") & set(token) for token in tokens)


def test_every_sign_is_a_formula() -> None:
    for symbol in sorted(SYMBOLS):
        tokens = normal(f"{symbol} x")
        assert normal(detokenize(tokens)) == tokens


def test_latex_is_compact_and_keeps_commands_apart() -> None:
    assert detokenize(normal(r"\alpha x + \beta _ 1")) == r"\alpha x+\beta_{1}"
    assert detokenize(normal(r"\begin{matrix} a \\ [b] \end{matrix}")) == (
        r"\begin{matrix}a\\{}[b]\end{matrix}"
    )
    assert detokenize([r"\text", "{", "a", "~", "b", "}"]) == r"\text{a b}"


def test_spaces_count_in_text_only() -> None:
    assert tokenize(r"a b\text{c d}e f") == ["a", "b", r"\text", "{", "c", "~", "d", "}", "e", "f"]
    assert normal(r"\text{if $x > 0$ then}") == [
        *normal(r"\mathrm{if}"), "x", ">", "0", *normal(r"\mathrm{then}"),
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_parse_is_an_error(wrong: str) -> None:
    with pytest.raises(LatexError):
        normal(wrong)


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (r"\frac { a", r"\frac{a}{}"),
        (r"x ^ 1 ^ 2", r"x^{12}"),
        (r"\left ( x", r"(x)"),
        (r"a } b", r"ab"),
        (r"a & b", r"ab"),
        (r"\nosuch x", r"x"),
        (r"\begin{matrix} a & b \\ c", r"\begin{matrix}a&b\\c\end{matrix}"),
        (r"( \sqrt { x", r"(\sqrt{x}"),
    ],
)
def test_broken_formulas_are_mended(broken: str, mended: str) -> None:
    tokens = broken.split(" ")
    assert not is_valid(tokens)
    if broken.startswith(r"\left"):
        assert is_valid(repair(tokens))
    else:
        assert repair(tokens) == normal(mended)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_tokens_become_a_valid_formula(chance: random.Random) -> None:
    alphabet = formula_tokens()
    tokens = [chance.choice(alphabet) for _ in range(chance.randint(0, 40))]
    mended = repair(tokens)
    assert is_valid(mended)
    assert normal(detokenize(mended)) == mended


def test_the_alphabet_holds_what_formulas_need(tmp_path) -> None:
    alphabet = formula_tokens()
    assert len(alphabet) == len(set(alphabet))
    for formula in FORMULAS:
        assert set(normal(formula)) <= set(alphabet), formula
    assert counted([r"x+x", r"\frac{x}", "y"]) == {"x": 1, "+": 1, "y": 1}
    corpus = tmp_path / "formulas.txt"
    corpus.write_text("\\varrho x\n" * 3)
    main([str(corpus), "-o", str(tmp_path / "tokens.txt"), "--least", "3"])
    written = (tmp_path / "tokens.txt").read_text().split()
    assert r"\varrho" in written and "0" in written and r"\aleph" not in written
