from __future__ import annotations

import pytest

from ocrtool.latex_syntax import detokenize, normal
from ocrtool.latex_syntax.delimiters import with_automatic_delimiters

GROWN = {
    r"(\frac{a}{b})^{2}": r"\left(\frac{a}{b}\right)^{2}",
    r"f(x)": "f(x)",
    r"(x^{\frac{1}{2}})": r"(x^{\frac{1}{2}})",
    r"[(x+\sum_{i}y)]": r"\left[\left(x+\sum_{i}y\right)\right]",
    r"(a)+(\frac{a}{b}": r"(a)+(\frac{a}{b}",
    r"\sqrt[3]{(\frac{1}{2})}": r"\sqrt[3]{\left(\frac{1}{2}\right)}",
    r"(\begin{matrix}a\\b\end{matrix})": r"(\begin{matrix}a\\b\end{matrix})",
    r"(1+\begin{matrix}a\\b\end{matrix})": r"\left(1+\begin{matrix}a\\b\end{matrix}\right)",
    r"\begin{matrix}(\frac{a}{b}&c)\end{matrix}": r"\begin{matrix}(\frac{a}{b}&c)\end{matrix}",
    r"\{\frac{a}{b}\}": r"\left\{\frac{a}{b}\right\}",
    r"[0,\frac{1}{2})": r"\left[0,\frac{1}{2}\right)",
    r"\frac{(a)}{b}(c)": r"\frac{(a)}{b}(c)",
    r"\left.\frac{a}{b}\right|_{(x)}": r"\left.\frac{a}{b}\right|_{(x)}",
}


@pytest.mark.parametrize("latex", GROWN)
def test_brackets_grow_round_what_is_tall(latex: str) -> None:
    assert detokenize(with_automatic_delimiters(latex_tokens(latex))) == GROWN[latex]


@pytest.mark.parametrize("latex", GROWN)
def test_the_normal_form_stays_the_same(latex: str) -> None:
    tokens = latex_tokens(latex)
    assert normal(detokenize(with_automatic_delimiters(tokens))) == normal(latex)


def latex_tokens(latex: str) -> list[str]:
    from ocrtool.latex_syntax.tokens import tokenize

    return tokenize(latex)
