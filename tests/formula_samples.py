"""Formulas that hold every token of the alphabet, and every construct of the normal form."""

from __future__ import annotations

from ocrtool.latex_syntax import LatexError, normal
from ocrtool.synth.formula_vocabulary import formula_tokens

CONSTRUCTS = [
    r"E=mc^{2}",
    r"\frac{a+b}{c,d}",
    r"\frac{}{}",
    r"\sqrt[3]{x}",
    r"x_{1}^{\prime\prime 2}",
    r"\mathbf{A B}x\mathbf{1}",
    r"\text{for all ``x'' \& \{y\}, Schr\"{o}dinger \AA}x\in\mathbb{R}",
    r"\textit{a b}\textbf{c d}\textsf{e f}\texttt{g h}",
    r"\begin{pmatrix}1&0\\0&1\end{pmatrix}",
    r"\begin{array}{|l|r|}\hline a&b\\\hline c&d\\\hline\end{array}",
    r"f=\begin{cases}1&x>0\\0&\text{or else}\end{cases}",
    r"\left.\begin{array}{ll}a&b\\c&d\end{array}\right\}",
    r"\begin{aligned}a&=b\\&=c\end{aligned}",
    r"x=\begin{aligned}a&=b\\&=c\end{aligned}",
    r"\begin{gathered}a\\b\end{gathered}",
    r"\left.f\right|_{x=0}",
    r"[0,1)\cup(a:b;c]",
    r"{a\atop b}",
    r"\underset{x}{\operatorname{rank}}\operatorname*{ess}_{y}A",
    r"\overbrace{a+b}^{n}\underbrace{c}_{m}",
    r"A^{a}{}_{b}",
    r"{x_{1}}_{2}",
    r"\xrightarrow[n]{\sim}",
    r"\sum_{\substack{i<n\\j<n}}",
    r"a\equiv b\pmod{n}, c\bmod d",
    r"\not\Rightarrow\not x_{1}",
    r"\boxed{a,b}\sout{x}\bcancel{y}\cancel{z}",
    r"3.14+1,5/2//*",
    r"\boldsymbol{\alpha x}\varDelta",
    r"|x|\|y\|\langle z\rangle[|w|]",
]
_ARGUMENTS = ["", "{x}", "{x}{y}", "{xy}", "[3]{x}"]


TOGETHER = 12
"""Signs put into one formula."""


def covering() -> list[str]:
    """Formulas in which every token of the alphabet comes at least once."""
    found = list(CONSTRUCTS)
    seen = {token for latex in found for token in normal(latex)}
    small = [_with(token) for token in formula_tokens() if token not in seen]
    simple = [latex for latex in small if "{" not in latex]
    found += [latex for latex in small if "{" in latex]
    return found + [" ".join(simple[i : i + TOGETHER]) for i in range(0, len(simple), TOGETHER)]


def _with(token: str) -> str:
    """A small formula that has a token."""
    if token == "'":
        return r"\text{d'f}"
    if token == r"\'":
        return r"\text{d\'{e}f}"
    if token == r"\AA":
        return r"\text{\AA}"
    if token.startswith((r"\begin{", r"\end{")):
        name = token[token.index("{") + 1 : -1]
        return rf"\begin{{{name}}}a&b\\c&d\end{{{name}}}"
    for argument in _ARGUMENTS:
        latex = f"{token}{argument} b"
        try:
            if token in normal(latex):
                return latex
        except LatexError:
            continue
    raise AssertionError(f"no formula with {token}")
