"""Conversion of formulas to MathML with the package latex2mathml.

The package gets the normal form, in which commands that it does not support are replaced first.
Afterwards its output is adapted to MathML Core, which browsers render: Unicode mathematical
alphabets instead of ``mathvariant``, limits above and below, and rules as cell styles.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from xml.etree import ElementTree

from ocrtool.errors import MissingDependencyError, install_command
from ocrtool.latex_syntax.normal import normal
from ocrtool.latex_syntax.tokens import TEXT_COMMANDS, LatexError, detokenize
from ocrtool.latex_syntax.tree import Words
from ocrtool.latex_syntax.unicode import CHARACTER, words_of

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
"""XML namespace of MathML."""
_FIRST_PLACEHOLDER = 0xE000
"""First private-use code point of placeholders for texts that bypass the package."""
_REPLACEMENTS = {
    r"\begin{aligned}": r"\begin{split}", r"\end{aligned}": r"\end{split}",
    r"\begin{gathered}": r"\begin{matrix}", r"\end{gathered}": r"\end{matrix}",
    r"\arg": r"\operatorname{arg}", r"\shortparallel": "∥", r"\P": "¶", r"\copyright": "©",
    r"\overrightharpoon": r"\overset{⇀}", r"\overleftharpoon": r"\overset{↼}",
    r"\overgroup": r"\overset{⏠}", r"\undergroup": r"\underset{⏡}",
}  # fmt: skip
"""Replacements of commands that the package does not know or treats as a row end."""
_LARGE = frozenset("∑∏∐⋃⋂⨁⨂⨀⋁⋀⨆⨄")
_LIMIT_FUNCTIONS = frozenset(("lim", "max", "min", "sup", "inf", "det", "gcd", "Pr"))
"""Function names whose subscripts are limits below them."""
_STACKED = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
_VARIANTS = {"bold": "BOLD", "bold-italic": "BOLD ITALIC", "script": "SCRIPT",
             "double-struck": "DOUBLE-STRUCK", "sans-serif": "SANS-SERIF",
             "monospace": "MONOSPACE"}  # fmt: skip


class MathmlError(LatexError):
    """The formula cannot be written in MathML."""


@dataclass
class _Kept:
    """Data kept outside the package: texts, and the rules of each table."""

    texts: list[tuple[str, str]] = field(default_factory=list)  # element, characters
    rules: list[tuple[str, list[int]]] = field(default_factory=list)  # columns, rows with rules


def to_mathml(latex: str, display: bool = True) -> str:
    r"""Convert a formula to a ``<math>`` element.

    Args:
        latex: A formula, with or without ``$`` or ``\[`` around it.
        display: Whether it is a displayed formula.

    Raises:
        LatexError: It does not parse, uses an unknown command, or cannot be written.
        MissingDependencyError: The extra ``formulas`` is not installed.
    """
    try:
        from latex2mathml.converter import convert
    except ImportError:
        raise MissingDependencyError(
            "MathML is written by latex2mathml", install_command("formulas")
        ) from None
    kept = _Kept()
    prepared = _prepared(normal(latex), kept) or "{}"
    try:
        text = convert(prepared, display="block" if display else "inline")
        root = ElementTree.fromstring(text.replace(f' xmlns="{NAMESPACE}"', ""))
    except Exception as error:  # its errors have no common class
        raise MathmlError(f"cannot be written in MathML ({type(error).__name__})") from None
    unknown = [text for text in root.itertext() if text.startswith("\\")]
    if unknown:
        raise MathmlError(f"cannot be written in MathML: {unknown[0]}")
    _finish(root, kept)
    root.set("xmlns", NAMESPACE)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


# ------------------------------------------------------------------------ preparation


def _prepared(tokens: Sequence[str], kept: _Kept) -> str:
    """Return LaTeX that the package supports."""
    out: list[str] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token in TEXT_COMMANDS or token == r"\mathrm":
            end = _end(tokens, at + 1)
            words = words_of(Words(r"\text", list(tokens[at + 2 : end])))
            name = "mi" if token == r"\mathrm" and len(words) == 1 else "mtext"
            kept.texts.append((name, words.replace(" ", "\u00a0")))
            command = r"\text" if token == r"\mathrm" else token
            out.append(rf"{command}{{{chr(_FIRST_PLACEHOLDER + len(kept.texts) - 1)}}}")
            at = end
        elif token == r"\begin{rcases}":
            kept.rules.append(("ll", []))
            out += [r"\left.", r"\begin{array}", "{ll}"]
        elif token == r"\end{rcases}":
            out += [r"\end{array}", r"\right\}"]
        elif token.startswith(r"\begin{") or token == r"\substack":
            out.append(_REPLACEMENTS.get(token, token))
            columns = ""
            if token == r"\begin{array}":
                end = _end(tokens, at + 1)
                columns = "".join(tokens[at + 2 : end])
                out.append("{" + columns.replace("|", "") + "}")
                at = end
            kept.rules.append((columns, _rows_with_rules(tokens, at + 1)))
        elif token != r"\hline":
            out.append(_REPLACEMENTS.get(token, token))
        at += 1
    if out and out[-1] == r"\not":
        raise MathmlError(r"\not strikes nothing")
    return detokenize(out)


def _end(tokens: Sequence[str], start: int) -> int:
    """Return the index at which the group that starts at ``start`` ends."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += (tokens[at] == "{") - (tokens[at] == "}")
        if depth == 0:
            return at
    return len(tokens)


def _rows_with_rules(tokens: Sequence[str], start: int) -> list[int]:
    """Return the rows of a table that follow a rule; the row count stands for a rule at the end."""
    rows: list[int] = []
    depth = row = 0
    for token in tokens[start:]:
        depth += (token == "{" or token.startswith(r"\begin{")) - (
            token == "}" or token.startswith(r"\end{")
        )
        if depth < 0:
            break
        if depth == 0 and token == r"\\":
            row += 1
        elif depth == 0 and token == r"\hline":
            rows.append(row)
    return rows


# ------------------------------------------------------------------------ post-processing


def _finish(root: Any, kept: _Kept) -> None:
    tables = iter(kept.rules)
    for element in list(root.iter()):
        if (
            element.text
            and len(element.text) == 1
            and 0 <= ord(element.text) - _FIRST_PLACEHOLDER < 0x1900
        ):
            element.tag, element.text = kept.texts[ord(element.text) - _FIRST_PLACEHOLDER]
            if element.tag == "mi":
                element.set("mathvariant", "normal")
        elif element.tag in ("mi", "mn", "mo"):
            _finish_symbol(element)
        elif element.tag in _STACKED:
            _finish_scripts(element)
        elif element.tag == "mtable":
            columns, rows = next(tables, ("", []))
            if rows or "|" in columns:
                _add_borders(element, columns, rows)


def _finish_symbol(element: Any) -> None:
    """Replace a letter of a math font by its Unicode character, and ``~`` by a relation."""
    text = element.text or ""
    if text == "~":
        element.tag, element.text = "mo", CHARACTER[r"\sim"]
    style = _VARIANTS.get(element.get("mathvariant", ""))
    if style and text:
        letters = [_alphabets().get((style, letter)) for letter in text]
        if all(letters):
            element.text = "".join(letter or "" for letter in letters)
            del element.attrib["mathvariant"]


@cache
def _alphabets() -> dict[tuple[str, str], str]:
    """Return the letters of the Unicode mathematical alphabets, by style and base letter."""
    found: dict[tuple[str, str], str] = {}
    for code in [*range(0x1D400, 0x1D800), *range(0x2100, 0x2150)]:
        letter = chr(code)
        name = unicodedata.name(letter, "").removeprefix("MATHEMATICAL ")
        plain = unicodedata.normalize("NFKC", letter)
        if len(plain) != 1 or plain == letter:
            continue
        for word in (" CAPITAL", " SMALL", " DIGIT", " NABLA", " PARTIAL"):
            if word in name:
                found.setdefault((name.split(word)[0], plain), letter)
    # Unicode has no italic digits: a bold italic digit is a bold one.
    found |= {("BOLD ITALIC", digit): found["BOLD", digit] for digit in "0123456789"}
    return found


def _finish_scripts(element: Any) -> None:
    """Convert scripts of large operators and limit functions to limits above and below."""
    base = element[0]
    if base.tag != "mo":
        return
    name = "".join(base.itertext())
    limited = name in _LARGE or name in _LIMIT_FUNCTIONS or base.get("movablelimits") == "true"
    if limited or any(part in name for part in ("lim\u2006", "\u2006lim")):
        element.tag = _STACKED[element.tag]
        base.set("movablelimits", "true")


def _add_borders(table: Any, columns: str, rows: Sequence[int]) -> None:
    """Draw rules as cell borders, which browsers render."""
    lines = table.findall("mtr")
    before = _columns_with_rules(columns)
    width = len(columns.replace("|", ""))
    for number, line in enumerate(lines):
        for column, cell in enumerate(line.findall("mtd")):
            sides = {
                "top": number in rows,
                "bottom": number == len(lines) - 1 and len(lines) in rows,
                "left": column in before,
                "right": column == width - 1 and width in before,
            }
            drawn = [f"border-{side}: 0.06em solid" for side, there in sides.items() if there]
            if drawn:
                cell.set("style", "; ".join(drawn))


def _columns_with_rules(columns: str) -> set[int]:
    """Return the columns that follow a rule; the column count stands for one at the end."""
    passed, found = 0, set()
    for sign in columns:
        if sign == "|":
            found.add(passed)
        else:
            passed += 1
    return found
