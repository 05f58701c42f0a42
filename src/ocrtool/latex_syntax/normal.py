"""The normal form of formulas: formulas that render identically have identical tokens.

``docs/formulas.md`` states the rules. The form is short, valid in LaTeX and KaTeX, and contains
only visible content: no spacing, no sizes, no labels.
"""

from __future__ import annotations

from collections.abc import Sequence

from ocrtool.latex_syntax.parse import parse
from ocrtool.latex_syntax.symbols import FONTS
from ocrtool.latex_syntax.tokens import LatexError, detokenize, tokenize
from ocrtool.latex_syntax.tree import Atop, Call, Fence, Leaf, MatrixNode, Node, Row, Scripts, Words

_WRAPPERS = ((r"\[", r"\]"), (r"\(", r"\)"), ("$$", "$$"), ("$", "$"))


def normal(latex: str) -> list[str]:
    r"""Return the tokens of a formula's normal form.

    Args:
        latex: A formula, with or without ``$`` or ``\[`` around it.

    Returns:
        Tokens without spaces in them; ``detokenize`` converts them to LaTeX, whose normal form is
        these tokens again.

    Raises:
        LatexError: It does not parse, or uses an unknown command.
    """
    latex = latex.strip()
    for opening, closing in _WRAPPERS:
        if latex.startswith(opening) and latex.endswith(closing) and len(latex) > len(opening):
            latex = latex[len(opening) : -len(closing)]
            break
    return _written(parse(tokenize(latex)))


def is_valid(tokens: Sequence[str]) -> bool:
    """Tell whether tokens form a formula that LaTeX and KaTeX accept."""
    try:
        parse(tokens)
    except LatexError:
        return False
    return True


def repair(tokens: Sequence[str]) -> list[str]:
    """Convert any tokens to a valid formula in its normal form.

    Open groups are closed and invalid tokens dropped; valid formulas keep their tokens.

    Args:
        tokens: Tokens of a formula that may be truncated or invalid.

    Returns:
        Valid tokens; possibly none.
    """
    while True:
        try:
            written = _written(parse(tokens, lenient=True))
            # The normal form of the repaired formula's LaTeX must be stable.
            again = normal(detokenize(written))
        except LatexError:  # nested too deeply
            tokens = tokens[: len(tokens) // 2]
            continue
        return again


def _written(row: Row) -> list[str]:
    out: list[str] = []
    _write(row, out)
    return out


def _write(row: Row, out: list[str]) -> None:
    """Append the tokens of a row."""
    at = 0
    while at < len(row):
        node = row[at]
        font = _font(node)
        if font:
            at = _write_run(row, at, font, out)
        else:
            _write_node(node, out)
            at += 1


def _font(node: Node) -> str:
    """Return the font of a letter, with or without scripts."""
    if isinstance(node, Scripts) and node.base is not None:
        node = node.base
    return node.font if isinstance(node, Leaf) else ""


def _write_run(row: Row, start: int, font: str, out: list[str]) -> int:
    """Append consecutive letters of one font as one command; return the index after them."""
    letters: list[str] = []
    scripts: Scripts | None = None
    at = start
    while at < len(row) and scripts is None and _font(row[at]) == font:
        node = row[at]
        if isinstance(node, Scripts):
            scripts, node = node, node.base or node
        if isinstance(node, Leaf):
            letters.append(node.token)
        at += 1
    if font == "rm":  # digits are upright in any font
        first = 0
        while first < len(letters) and letters[first].isdigit():
            first += 1
        out += letters[:first]
        letters = letters[first:]
    if letters == ["m", "o", "d"] and font == "rm":
        end = None if scripts else _closing(row, start, at)
        if end is not None:
            out[-1:] = [r"\pmod", "{"]
            _write(row[at:end], out)
            out.append("}")
            return end + 1
        out.append(r"\bmod")
    elif letters:
        out += [FONTS[font], "{", *letters, "}"]
    if scripts is not None:
        _write_scripts(scripts, out)
    return at


def _closing(row: Row, start: int, at: int) -> int | None:
    """Return where the parenthesis just before ``start`` closes, searching from ``at``."""
    before = row[start - 1] if start else None
    if not (isinstance(before, Leaf) and before.token == "("):
        return None
    depth = 1
    for index in range(at, len(row)):
        node = row[index]
        if isinstance(node, Scripts) and isinstance(node.base, Leaf) and node.base.token == ")":
            return None
        if isinstance(node, Leaf):
            depth += (node.token == "(") - (node.token == ")")
            if not depth:
                return index
    return None


def _write_node(node: Node, out: list[str]) -> None:
    if isinstance(node, Leaf):
        out.append(node.token)
    elif isinstance(node, Scripts):
        _write_base(node.base, out)
        _write_scripts(node, out)
    elif isinstance(node, Call):
        out.append(node.name)
        if node.option is not None:
            option: list[str] = []
            _write(node.option, option)
            out += ["[", "{", *option, "}", "]"] if "]" in option else ["[", *option, "]"]
        for argument in node.arguments:
            _write_group(argument, out)
    elif isinstance(node, Words):
        out += [node.command, "{", *node.tokens, "}"]
    elif isinstance(node, Fence):
        out += [r"\left", node.left]
        _write(node.row, out)
        out += [r"\right", node.right]
    elif isinstance(node, MatrixNode):
        _write_grid(node, out)
    elif isinstance(node, Atop):
        out.append("{")
        _write(node.over, out)
        out.append(r"\atop")
        _write(node.under, out)
        out.append("}")


def _write_group(row: Row, out: list[str]) -> None:
    out.append("{")
    if len(row) == 1 and isinstance(row[0], Atop):  # these braces serve as its own
        _write(row[0].over, out)
        out.append(r"\atop")
        _write(row[0].under, out)
    else:
        _write(row, out)
    out.append("}")


def _write_base(base: Node | None, out: list[str]) -> None:
    """Append the base of scripts; in braces where it is empty or has scripts itself."""
    if base is None:
        out += ["{", "}"]
    elif isinstance(base, Scripts):
        out.append("{")
        _write([base], out)
        out.append("}")
    else:
        _write_node(base, out)


def _write_scripts(node: Scripts, out: list[str]) -> None:
    if node.sub is not None:
        out.append("_")
        _write_group(node.sub, out)
    if node.sup is not None:
        out.append("^")
        _write_group(node.sup, out)


def _write_grid(grid: MatrixNode, out: list[str]) -> None:
    if grid.name == "substack":
        out += [r"\substack", "{"]
    else:
        out.append(rf"\begin{{{grid.name}}}")
    if grid.columns:
        out += ["{", *grid.columns, "}"]
    for index, cells in enumerate(grid.rows):
        if index:
            out.append(r"\\")
        out += [r"\hline"] * min(2, grid.rules[index])
        for column, cell in enumerate(cells):
            if column:
                out.append("&")
            _write(cell, out)
    last = grid.rows[-1]
    if (len(last) == 1 and not last[0]) or grid.rules[len(grid.rows)]:
        out.append(r"\\")
        out += [r"\hline"] * min(2, grid.rules[len(grid.rows)])
    out.append("}" if grid.name == "substack" else rf"\end{{{grid.name}}}")
