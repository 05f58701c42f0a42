r"""Tokenisation of LaTeX, and its inverse.

A token is a command (``\alpha``), an escaped character (``\{``), the start or end of an
environment (``\begin{matrix}``), or a single character. Spaces have no meaning in a formula and
are dropped; within text (``\text{for all}``) a space is the token ``~``. No token contains a
space, so a list of tokens can be stored as one line of text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def names(text: str) -> frozenset[str]:
    """Split a text into a set of words; used to write lists of commands."""
    return frozenset(text.split())


TEXT_COMMANDS = names(
    r"""\text \textrm \textup \textnormal \textmd \mbox \hbox \textbf \textit \emph \textsl
\textsf \texttt \fbox"""
)
"""Commands whose argument is text and not a formula."""

_TOKEN = re.compile(
    r"\\(?:begin|end)\{[A-Za-z]+\*?\}|\\operatorname\*|\\[A-Za-z]+|\\[^A-Za-z]|[^\s\\]", re.DOTALL
)
_TOKEN_OR_SPACE = re.compile(_TOKEN.pattern + r"|\s+", re.DOTALL)
_SPACED = re.compile(r"\\(begin|end)\s*\{\s*([A-Za-z]+\*?)\s*\}")
_SPACED_STAR = re.compile(r"\\operatorname\s+\*")
_COMMENT = re.compile(r"(?<!\\)%[^\n]*(?:\n\s*)?")


class LatexError(ValueError):
    """The formula does not parse, or uses an unknown command."""


def tokenize(latex: str) -> list[str]:
    r"""Split LaTeX into tokens.

    Args:
        latex: A formula, without ``$`` or ``\[`` around it.

    Returns:
        Its tokens without spaces and comments; a space within text is ``~``.

    Raises:
        LatexError: The formula ends in a backslash.
    """
    if "%" in latex:
        latex = _COMMENT.sub("", latex)
    if r"\begin" in latex:
        latex = _SPACED.sub(r"\\\1{\2}", latex)
    if r"\operatorname" in latex:
        latex = _SPACED_STAR.sub(r"\\operatorname*", latex)
    if latex.endswith("\\") and (len(latex) - len(latex.rstrip("\\"))) % 2:
        raise LatexError("ends in a backslash")
    if r"\text" in latex or "box" in latex or r"\emph" in latex:
        tokens = _with_text(latex)
    else:
        tokens = _TOKEN.findall(latex)
    return ["~" if len(token) == 2 and token[1].isspace() else token for token in tokens]


def _with_text(latex: str) -> list[str]:
    """Return the tokens of a formula that may contain text, in which spaces are significant."""
    tokens: list[str] = []
    depth = 0
    texts: list[int] = []  # depths of braces that hold text
    dollar = False  # a formula within text
    awaited = False
    for token in _TOKEN_OR_SPACE.findall(latex):
        if token.isspace():
            if texts and not dollar and not awaited:
                tokens.append("~")
            continue
        if token == "{":
            depth += 1
            if awaited:
                texts.append(depth)
        elif token == "}":
            if texts and texts[-1] == depth:
                texts.pop()
                dollar = False
            depth -= 1
        elif token == "$":
            dollar = not dollar
        awaited = token in TEXT_COMMANDS
        tokens.append(token)
    return tokens


def detokenize(tokens: Sequence[str]) -> str:
    """Convert tokens to compact LaTeX, with spaces only where a command name would absorb a letter.

    Args:
        tokens: Tokens from ``tokenize`` or ``normal``.

    Returns:
        LaTeX that compiles if the tokens are valid.
    """
    parts: list[str] = []
    before = ""
    depth = 0
    texts: list[int] = []
    awaited = False
    for token in tokens:
        if token == "{":
            depth += 1
            if awaited:
                texts.append(depth)
        elif token == "}":
            if texts and texts[-1] == depth:
                texts.pop()
            depth -= 1
        awaited = token in TEXT_COMMANDS
        if token == "~" and not texts:
            continue
        if token == "~":
            # LaTeX drops the space after a command in text.
            parts.append("{} " if before[:1] == "\\" and before[-1:].isalpha() else " ")
        elif before[:1] == "\\" and before[-1].isalpha() and (token[0].isalpha() or token == "@"):
            parts.append("{}" if texts else " ")
            parts.append(token)
        elif token in "[*" and (before == r"\\" or before.startswith(r"\begin")):
            parts.append("{}" + token)  # not an option of the command before
        else:
            parts.append(token)
        before = token
    return "".join(parts)
