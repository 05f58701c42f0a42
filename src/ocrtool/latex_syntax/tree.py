"""The syntax tree of formulas: nodes in rows, and their normalisation.

Fonts are moved to the letters, redundant groups are dissolved, and constructs that render
identically are unified, so that only visible differences remain.
"""

from __future__ import annotations

import re
import string

from ocrtool.latex_syntax.symbols import (
    ACCENTS,
    CAPITALS,
    CLOSING,
    DELIMITERS,
    LARGE,
    MATRICES,
    NAMED,
    NARROW,
    WIDE,
)
from ocrtool.latex_syntax.tokens import names

LETTERS = frozenset(string.ascii_letters)
"""ASCII letters."""
DIGITS = frozenset(string.digits)
"""ASCII digits."""
_FIXED_DELIMITERS = names(
    r"\llbracket \rrbracket \ulcorner \urcorner \llcorner \lrcorner \setminus"
)
"""Delimiters that KaTeX does not stretch."""
_WORDS = {"rm": r"\text", "bf": r"\textbf", "it": r"\textit", "sf": r"\textsf", "tt": r"\texttt"}
_SIGNS_IN_TEXT = frozenset("+/=()[].,:;!?")  # the same in text and in formulas


class Node:
    """Base class of the items of a row."""

    __slots__ = ()


Row = list[Node]


class Leaf(Node):
    """One symbol, optionally in a font of its own (a key of ``FONTS``)."""

    __slots__ = ("font", "token")

    def __init__(self, token: str, font: str = "") -> None:
        self.token = token
        self.font = font


class Call(Node):
    """A command with arguments: fraction, root, accent, operator name."""

    __slots__ = ("arguments", "name", "option")

    def __init__(self, name: str, arguments: list[Row], option: Row | None = None) -> None:
        self.name = name
        self.arguments = arguments
        self.option = option


class Scripts(Node):
    """Subscript and superscript of a node, or of nothing."""

    __slots__ = ("base", "sub", "sup")

    def __init__(self, base: Node | None, sub: Row | None = None, sup: Row | None = None) -> None:
        self.base = base
        self.sub = sub
        self.sup = sup


class Fence(Node):
    """A row with one stretched delimiter; the other one is invisible (``.``)."""

    __slots__ = ("left", "right", "row")

    def __init__(self, left: str, row: Row, right: str) -> None:
        self.left = left
        self.row = row
        self.right = right


class MatrixNode(Node):
    """Rows of cells; ``rules`` counts the horizontal rules before each row and after the last."""

    __slots__ = ("columns", "name", "rows", "rules")

    def __init__(self, name: str, columns: str, rows: list[list[Row]], rules: list[int]) -> None:
        self.name = name
        self.columns = columns
        self.rows = rows
        self.rules = rules


class Words(Node):
    """Text as tokens; a space is ``~``."""

    __slots__ = ("command", "tokens")

    def __init__(self, command: str, tokens: list[str]) -> None:
        self.command = command
        self.tokens = tokens


class Atop(Node):
    """Two rows above each other without a fraction bar."""

    __slots__ = ("over", "under")

    def __init__(self, over: Row, under: Row) -> None:
        self.over = over
        self.under = under


def pruned(items: Row) -> Row:
    """Remove empty scripts."""
    if not any(isinstance(node, Scripts) and not (node.sub and node.sup) for node in items):
        return items
    kept: Row = []
    for node in items:
        if isinstance(node, Scripts):
            node.sub = node.sub or None
            node.sup = node.sup or None
            if node.sub is None and node.sup is None:
                if node.base is not None:
                    kept.append(node.base)
                continue
        kept.append(node)
    return kept


def only_primes(row: Row) -> bool:
    """Tell whether a row consists of only_primes only."""
    return all(isinstance(node, Leaf) and node.token == r"\prime" for node in row)


def nested(outer: str, inner: str) -> str:
    """Return the font of an inner font command within an outer one."""
    if outer == "bm" and inner in ("rm", "bf", "bm"):
        return "bf" if inner != "bm" else "bm"
    return inner


def symbol_font(token: str, font: str) -> str:
    """Return the font in which the symbol of a command is actually set."""
    if font == "bm":
        plain = token in LARGE or token in NAMED or token in DELIMITERS or token == r"\not"
        return "" if plain else "bm"
    return "bm" if font == "bf" and token in CAPITALS else ""


def infix_node(infix: str, over: Row, under: Row) -> Row:
    r"""Return the node of ``\over`` or a similar infix command."""
    over = pruned(over)
    if infix == r"\over":
        return [Call(r"\frac", [over, under])]
    if infix == r"\choose":
        return [Call(r"\binom", [over, under])]
    if infix == r"\brace":
        return [Leaf(r"\{"), Atop(over, under), Leaf(r"\}")]
    if infix == r"\brack":
        return [Leaf("["), Atop(over, under), Leaf("]")]
    return [Atop(over, under)]


def accent(name: str, row: Row) -> Node:
    """Return an accent node, wide over more than one symbol."""
    narrow = len(row) == 1 and (
        isinstance(row[0], Leaf) or (isinstance(row[0], Call) and row[0].name in ACCENTS)
    )
    name = NARROW.get(name, name)
    return Call(name if narrow else WIDE.get(name, name), [row])


def stacked(name: str, script: Row, base: Row) -> Node:
    """Return a node with content above or below a base; large operators get it as a script."""
    below = name == r"\underset"
    if len(base) == 1:
        node = base[0]
        scripts = node if isinstance(node, Scripts) else Scripts(node)
        inner = scripts.base
        large = isinstance(inner, Leaf) and (inner.token in LARGE or inner.token in NAMED)
        named = isinstance(inner, Call) and inner.name.startswith(r"\operatorname")
        brace = isinstance(inner, Call) and inner.name == (
            r"\underbrace" if below else r"\overbrace"
        )
        if (large or named or brace) and (scripts.sub if below else scripts.sup) is None:
            if named and isinstance(inner, Call):
                inner.name = r"\operatorname*"
            return Scripts(
                inner, script if below else scripts.sub, scripts.sup if below else script
            )
    return Call(r"\underset" if below else r"\overset", [script, base])


def fenced(left: str, row: Row, right: str) -> Row:
    """Return a row between delimiters: plain ones, a matrix with them, or a ``Fence``."""
    if left == right == ".":
        return row
    inner = row[0] if len(row) == 1 else None
    if isinstance(inner, MatrixNode):
        if inner.name == "matrix" and CLOSING.get(left) == right:
            return [MatrixNode(MATRICES[left], "", inner.rows, inner.rules)]
        narrow = inner.name in ("matrix", "aligned", "array") and "|" not in inner.columns
        if narrow and max(map(len, inner.rows), default=0) <= 2 and not any(inner.rules):
            if (left, right) == (r"\{", "."):
                return [MatrixNode("cases", "", inner.rows, inner.rules)]
            if (left, right) == (".", r"\}"):
                return [MatrixNode("rcases", "", inner.rows, inner.rules)]
    if "." in (left, right) and left not in _FIXED_DELIMITERS and right not in _FIXED_DELIMITERS:
        return [Fence(left, row, right)]
    sides = [[Leaf(side)] if side != "." else [] for side in (left, right)]
    return [*sides[0], *row, *sides[1]]


def column_letters(written: str) -> str:
    """Return the column specification of an array with only ``l``, ``c``, ``r`` and ``|``."""
    written = re.sub(r"[@!><]\{[^{}]*\}", "", written.replace("~", ""))
    while match := re.search(r"\*\{?(\d+)\}?\{([^{}]*)\}", written):
        written = written.replace(match.group(), match.group(2) * min(60, int(match.group(1))))
    written = re.sub(r"[pmb]\{[^{}]*\}", "l", written)
    return re.sub(r"[^lcr|]", "", written)


def grid(kind: str, columns: str, rows: list[list[Row]], rules: list[int]) -> Row:
    """Return the unique form of a grid; a grid of a single cell is dissolved."""
    if not rows:
        return []
    width = max(len(cells) for cells in rows)
    if kind == "eqnarray":
        kind, columns = "array", "rcl"
    if len(rows) == 1 and not any(rules):
        if kind in ("aligned", "gathered", "substack"):
            return [node for cell in rows[0] for node in cell]
        if width == 1 and kind in ("array", "matrix") and "|" not in columns:
            return rows[0][0]
    if kind == "array":
        letters = columns.replace("|", "")
        missing = width - len(letters)
        if missing > 0:
            columns += (letters[-1:] or "c") * missing
        elif missing < 0:
            columns = _first_columns(columns, width)
        if not columns.strip("c"):
            kind, columns = "matrix", ""
    elif kind == "substack":
        rows = [[[node for cell in cells for node in cell]] for cells in rows]
        columns = ""
    else:
        columns = ""
    if kind == "gathered":
        rows = [[[node for cell in cells for node in cell]] for cells in rows]
    return [MatrixNode(kind, columns, rows, rules)]


def _first_columns(columns: str, width: int) -> str:
    """Return the specification of the first ``width`` columns, keeping a rule at the end."""
    kept = ""
    for sign in columns:
        if sign != "|" and len(kept.replace("|", "")) == width:
            break
        kept += sign
    if columns.endswith("|") and not kept.endswith("|"):
        kept += "|"
    return kept


def flush_words(row: Row, words: list[str], font: str) -> None:
    """Append the collected text to a row: plain letters as symbols, everything else as text."""
    while words and words[0] == "~":
        words.pop(0)
    while words and words[-1] == "~":
        words.pop()
    if not words:
        return
    if font != "it" and all(w in LETTERS or w in DIGITS or w in _SIGNS_IN_TEXT for w in words):
        row += [Leaf(w, font if w not in _SIGNS_IN_TEXT else "") for w in words]
    else:
        squeezed = [w for i, w in enumerate(words) if w != "~" or words[i - 1] != "~"]
        row.append(Words(_WORDS[font], squeezed))
    words.clear()
