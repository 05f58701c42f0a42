"""Conversion of formulas to Typst math.

It works on this package's own syntax tree. The existing Python converters (tylax, tex2typst) are
young: of 300 formulas, the first converted one in forty to invalid Typst, and silently lost the
rules of arrays and the text below arrows.

Symbols are written by the name or shorthand that Typst has had for long, or as the Unicode
character itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ocrtool.latex_syntax.normal import normal
from ocrtool.latex_syntax.parse import parse
from ocrtool.latex_syntax.tokens import LatexError
from ocrtool.latex_syntax.tree import (
    DIGITS,
    LETTERS,
    Atop,
    Call,
    Fence,
    Leaf,
    MatrixNode,
    Node,
    Row,
    Scripts,
    Words,
    only_primes,
)
from ocrtool.latex_syntax.unicode import CHARACTER, words_of

_NAMES = r"""
\alpha alpha  \beta beta  \gamma gamma  \delta delta  \epsilon epsilon.alt  \varepsilon epsilon
\zeta zeta  \eta eta  \theta theta  \vartheta theta.alt  \iota iota  \kappa kappa  \lambda lambda
\mu mu  \nu nu  \xi xi  \pi pi  \varpi pi.alt  \rho rho  \varrho rho.alt  \sigma sigma
\varsigma sigma.alt  \tau tau  \upsilon upsilon  \phi phi.alt  \varphi phi  \chi chi  \psi psi
\omega omega  \Gamma Gamma  \Delta Delta  \Theta Theta  \Lambda Lambda  \Xi Xi  \Pi Pi
\Sigma Sigma  \Upsilon Upsilon  \Phi Phi  \Psi Psi  \Omega Omega  \infty infinity  \nabla nabla
\ell ell  \sum sum  \prod product  \int integral  \times times  \pm plus.minus  \cdot dot.op
\in in  \subset subset  \cup union  \cap inter  \forall forall  \exists exists  \approx approx
\equiv equiv  \rightarrow ->  \leftarrow <-  \Rightarrow =>  \leftrightarrow <->
\longrightarrow -->  \longleftarrow <--  \Longrightarrow ==>  \Longleftarrow <==
\Longleftrightarrow <==>  \Leftrightarrow <=>  \mapsto |->  \leq <=  \geq >=  \neq !=  \ll <<
\gg >>  \ldots ...  \cdots dots.c  \vdots dots.v  \prime prime  \bmod mod  \limsup limsup
\liminf liminf
"""
_pairs = _NAMES.split()
_SYMBOLS = dict(zip(_pairs[::2], _pairs[1::2], strict=True))
_FUNCTIONS = r"""
\sin \cos \tan \cot \sec \csc \sinh \cosh \tanh \coth \arcsin \arccos \arctan \log \ln \lg
\exp \arg \deg \dim \hom \ker \lim \max \min \sup \inf \det \gcd \Pr
"""
_SYMBOLS |= {name: name[1:] for name in _FUNCTIONS.split()}
_SYMBOLS |= {
    r"\varlimsup": 'op(overline("lim"), limits: #true)',
    r"\varliminf": 'op(underline("lim"), limits: #true)',
    r"\varinjlim": 'op(limits("lim")_(->), limits: #true)',
    r"\varprojlim": 'op(limits("lim")_(<-), limits: #true)',
    r"\injlim": 'op("inj lim", limits: #true)',
    r"\projlim": 'op("proj lim", limits: #true)',
}
"""Maps a command to its Typst name."""
_ESCAPED = frozenset("/_^&#$\"'\\~@`")
"""Characters that have a special meaning in Typst."""
_OPENING = frozenset("([{⟨⌊⌈⟮⟦⌜⌞⎰")
_CLOSING = frozenset(")]}⟩⌋⌉⟯⟧⌝⌟⎱")
"""Closing brackets; Typst matches brackets, so an unpaired one is escaped."""
_BARS = frozenset("|‖")
"""Bars, which are relations in Typst if there is space on both sides."""
_NO_SPACE_BEFORE = _CLOSING | frozenset(",;")
"""Symbols without a space before them."""
_ACCENTS = {
    r"\hat": "hat", r"\widehat": "hat", r"\tilde": "tilde", r"\widetilde": "tilde",
    r"\check": "caron", r"\widecheck": "caron", r"\bar": "macron", r"\overline": "overline",
    r"\vec": "arrow", r"\overrightarrow": "arrow", r"\overleftarrow": "arrow.l",
    r"\overleftrightarrow": "arrow.l.r", r"\dot": "dot", r"\ddot": "dot.double",
    r"\dddot": "dot.triple", r"\ddddot": "dot.quad", r"\acute": "acute", r"\grave": "grave",
    r"\breve": "breve", r"\mathring": "circle", r"\underline": "underline",
    r"\overbrace": "overbrace", r"\underbrace": "underbrace", r"\cancel": "cancel",
    r"\overrightharpoon": "harpoon", r"\overleftharpoon": "harpoon.lt",
    r"\overgroup": "overparen", r"\undergroup": "underparen",
}  # fmt: skip
_STRUCK = {r"\bcancel": "inverted: #true", r"\xcancel": "cross: #true", r"\sout": "angle: #90deg"}
_BELOW = {r"\underrightarrow": "->", r"\underleftarrow": "<-"}
_FONTS = {"bf": "upright(bold({}))", "bm": "bold({})", "cal": "cal({})", "scr": "scr({})",
          "bb": "bb({})", "frak": "frak({})", "sf": "upright(sans({}))", "tt": "mono({})",
          "rm": "upright({})"}  # fmt: skip
_WORDS = {r"\text": "{}", r"\textbf": "bold({})", r"\textit": "italic({})",
          r"\textsf": "sans({})", r"\texttt": "mono({})"}  # fmt: skip
_DELIMITERS = {"matrix": "#none", "pmatrix": "", "bmatrix": '"["', "Bmatrix": '"{"',
               "vmatrix": '"|"', "Vmatrix": '"‖"'}  # fmt: skip
_ARROWS = {
    r"\xrightarrow": "->", r"\xleftarrow": "<-", r"\xleftrightarrow": "<->",
    r"\xRightarrow": "=>", r"\xLeftarrow": "arrow.l.double", r"\xLeftrightarrow": "<=>",
    r"\xhookrightarrow": "↪", r"\xhookleftarrow": "↩", r"\xmapsto": "|->",
    r"\xrightharpoonup": "⇀", r"\xrightharpoondown": "⇁", r"\xleftharpoonup": "↼",
    r"\xleftharpoondown": "↽", r"\xrightleftharpoons": "⇌", r"\xleftrightharpoons": "⇋",
    r"\xtwoheadrightarrow": "↠", r"\xtwoheadleftarrow": "↞", r"\xlongequal": "=",
}  # fmt: skip


def to_typst(latex: str) -> str:
    r"""Convert a formula to Typst math.

    Args:
        latex: A formula, with or without ``$`` or ``\[`` around it.

    Returns:
        Typst without ``$`` around it; for Typst 0.14 or later.

    Raises:
        LatexError: It does not parse, or uses an unknown command.
    """
    row = parse(normal(latex))
    if len(row) == 1 and isinstance(row[0], MatrixNode) and row[0].name in ("aligned", "gathered"):
        return " \\\n".join(" & ".join(_row(cell) for cell in cells) for cells in row[0].rows)
    return _row(row)


def _row(row: Row, inside: bool = False) -> str:
    """Convert a row; ``inside`` an argument, commas and semicolons are escaped."""
    parts: list[str] = []
    alone = _unpaired(row)
    depth = 0
    at = 0
    while at < len(row):
        node = row[at]
        base = node.base if isinstance(node, Scripts) else node
        sign = _bracket(base)
        if sign and at not in alone:
            depth += sign in _OPENING
            parts.append(_scripted(sign, node))
            depth -= sign in _CLOSING
            at += 1
        elif isinstance(base, Leaf) and base.token == r"\not" and at + 1 < len(row):
            at += 1
            node = row[at]
            struck = node.base if isinstance(node, Scripts) and node.base else node
            parts.append(_scripted(f"cancel({_node(struck, True)})", node))
            at += 1
        elif isinstance(base, Leaf) and (base.font or base.token in DIGITS):
            end, text = _run(row, at)
            parts.append(text)
            at = end
        else:
            parts.append(_node(node, inside and not depth))
            at += 1
    return _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    """Join parts with spaces, except beside upright letters, where spaces are visible."""
    return "".join(
        part if _glued(before, part) else " " + part
        for before, part in pairwise(["", *parts])
        if part
    ).strip()


def _glued(before: str, part: str) -> bool:
    if part[0] == " " or before[-1:] == " " or before[-1:] == '"' or part[0] == '"':
        return True
    if before in _OPENING or before in _BARS:
        return part[0].isalnum()  # not before other signs: [| and the like are signs of their own
    behind = part in _BARS or part.lstrip("\\")[:1] in _NO_SPACE_BEFORE
    return behind and (before[-1:].isalnum() or before[-1:] in ")'")


def _bracket(node: Node | None) -> str:
    """Return the bracket that a node is, or ""."""
    if not isinstance(node, Leaf):
        return ""
    sign = CHARACTER.get(node.token, node.token)
    return sign if sign in _OPENING or sign in _CLOSING else ""


def _unpaired(row: Row) -> set[int]:
    """Return the indices of unpaired brackets."""
    opened: list[int] = []
    alone: set[int] = set()
    for at, node in enumerate(row):
        base = node.base if isinstance(node, Scripts) else node
        sign = _bracket(base)
        if not sign:
            continue
        if sign in _OPENING and base is node:
            opened.append(at)
        elif sign in _CLOSING and opened:
            opened.pop()
        else:
            alone.add(at)
    return alone | set(opened)


def _run(row: Row, start: int) -> tuple[int, str]:
    """Convert consecutive digits, or letters of one font, the last of which may have scripts."""
    first = row[start]
    leaf = first.base if isinstance(first, Scripts) else first
    assert isinstance(leaf, Leaf)
    letters: list[str] = []
    at = start
    scripts: Node | None = None
    while at < len(row) and scripts is None:
        node = row[at]
        base = node.base if isinstance(node, Scripts) else node
        if not isinstance(base, Leaf) or base.font != leaf.font:
            break
        if not leaf.font and base.token not in DIGITS and not _point(row, at, start):
            break
        letters.append(_sign(base.token, True) if base.font else base.token)
        scripts = node if isinstance(node, Scripts) else None
        at += 1
    return at, _scripted(_in_font(letters, leaf.font), scripts or leaf)


def _point(row: Row, at: int, start: int) -> bool:
    """Tell whether a decimal point stands between digits."""
    node = row[at]
    after = row[at + 1] if at + 1 < len(row) else None
    after = after.base if isinstance(after, Scripts) else after
    return (
        at > start
        and isinstance(node, Leaf)
        and node.token == "."
        and isinstance(after, Leaf)
        and after.token in DIGITS
        and not after.font
    )


def _in_font(letters: Sequence[str], font: str) -> str:
    if not font:
        return "".join(letters)
    if font == "rm" and len(letters) > 1:
        return '"' + "".join(letters) + '"'
    if font == "rm" and letters[0] in DIGITS:
        return letters[0]
    if font == "bb" and all("A" <= letter <= "Z" for letter in letters):
        return " ".join(2 * letter for letter in letters)
    return _FONTS[font].format(" ".join(letters))


def _sign(token: str, inside: bool) -> str:
    """Convert one symbol that is no paired bracket."""
    if token in _SYMBOLS:
        return _SYMBOLS[token]
    sign = CHARACTER.get(token, token)
    if sign in _ESCAPED or sign in _OPENING or sign in _CLOSING or (inside and sign in ",;:."):
        return "\\" + sign
    if sign.startswith("\\"):
        raise LatexError(f"{token} has no sign in Typst")
    return f"italic({sign})" if token.startswith(r"\var") and "Α" <= sign <= "Ω" else sign


def _node(node: Node, inside: bool) -> str:
    """Convert one node; ``inside`` an argument, commas and semicolons are escaped."""
    if isinstance(node, Leaf):
        sign = _sign(node.token, inside)
        return _in_font([sign], node.font) if node.font else sign
    if isinstance(node, Scripts):
        base = node.base
        if isinstance(base, Call):
            for name, script in ((r"\underbrace", node.sub), (r"\overbrace", node.sup)):
                if base.name == name and script:
                    text = f"{name[1:]}({_argument(base.arguments[0])}, {_argument(script)})"
                    over = name == r"\overbrace"
                    return _scripted(text, Scripts(None, node.sub if over else None,
                                                   None if over else node.sup))  # fmt: skip
        if isinstance(base, Scripts):
            return _attached(f"attach({_node(base, True)}", node)
        return _scripted(_node(base, inside) if base is not None else "zws", node)
    if isinstance(node, Call):
        return _call(node)
    if isinstance(node, Words):
        text = words_of(node).replace("\\", r"\\").replace('"', r"\"")
        # Set off by spaces, which the normal form does not keep.
        return f" {_WORDS[node.command]} ".format(f'"{text}"')
    if isinstance(node, Fence):
        left, right = ("" if side == "." else _fence(side) for side in (node.left, node.right))
        return f"lr({' '.join(part for part in (left, _row(node.row, True), right) if part)})"
    if isinstance(node, MatrixNode):
        return _grid(node)
    assert isinstance(node, Atop)
    return f"mat(delim: #none, {_argument(node.over)}; {_argument(node.under)})"


def _fence(token: str) -> str:
    """Return a stretched delimiter without its counterpart."""
    sign = CHARACTER.get(token, token)
    return "\\" + sign if sign in _OPENING or sign in _CLOSING or sign in _ESCAPED else sign


def _argument(row: Row) -> str:
    """Return the argument of a call between commas; never empty."""
    return _row(row, True) or '""'


def _scripted(base: str, node: Node) -> str:
    """Attach the scripts of a node, if any, to its converted base."""
    if not isinstance(node, Scripts):
        return base
    sup = node.sup or []
    dashes = 0
    while dashes < len(sup) and isinstance(sup[dashes], Leaf) and only_primes(sup[: dashes + 1]):
        dashes += 1
    text = base + "'" * dashes
    if node.sub:
        text += "_" + _script(node.sub)
    if sup[dashes:]:
        text += "^" + _script(sup[dashes:])
    return text


def _attached(text: str, node: Scripts) -> str:
    for place, row in (("b", node.sub), ("t", node.sup)):
        if row:
            text += f", {place}: {_argument(row)}"
    return text + ")"


def _script(row: Row) -> str:
    text = _row(row)
    simple = len(text) == 1 and (text in LETTERS or text in DIGITS)
    return text if simple or (text.isalpha() and text.isascii()) else f"({text})"


def _call(node: Call) -> str:
    """Convert a command with arguments."""
    name = node.name
    given = [_argument(row) for row in node.arguments]
    if name == r"\frac":
        return f"frac({given[0]}, {given[1]})"
    if name == r"\binom":
        return f"binom({given[0]}, {given[1]})"
    if name == r"\sqrt":
        return f"root({_argument(node.option)}, {given[0]})" if node.option else f"sqrt({given[0]})"
    if name in _ACCENTS:
        return f"{_ACCENTS[name]}({given[0]})"
    if name in _STRUCK:
        return f"cancel({given[0]}, {_STRUCK[name]})"
    if name in _BELOW:
        return f"limits({given[0]})_(stretch({_BELOW[name]}))"
    if name == r"\boxed":
        return f"#box(stroke: 0.5pt, inset: 0.3em, ${_row(node.arguments[0])}$)"
    if name in (r"\overset", r"\underset"):
        script = node.arguments[0]
        over = name == r"\overset"
        scripts = Scripts(None, None if over else script, script if over else None)
        return _scripted(f"limits({given[1]})", scripts)
    if name in _ARROWS:
        scripts = Scripts(None, node.option, node.arguments[0] or None)
        return _scripted(f"limits(stretch({_ARROWS[name]}))", scripts)
    if name == r"\pmod":
        return f"quad (mod {_row(node.arguments[0])})"
    if name.startswith(r"\operatorname"):
        letters = "".join(leaf.token for leaf in node.arguments[0] if isinstance(leaf, Leaf))
        return f'op("{letters}"{", limits: #true" if name.endswith("*") else ""})'
    raise LatexError(f"{name} has no form in Typst")


def _grid(grid: MatrixNode) -> str:
    """Convert rows of cells."""
    if grid.name in ("cases", "rcases"):
        side = "reverse: #true, " if grid.name == "rcases" else ""
        return f"cases({side}{', '.join(' & quad '.join(map(_argument, c)) for c in grid.rows)})"
    options = [f"delim: {_DELIMITERS.get(grid.name, '#none')}"]
    if grid.name == "pmatrix":
        options = []
    rules = _rules(grid)
    if rules:
        options.append(f"augment: #({rules})")
    if grid.name == "aligned":
        rows = [" & ".join(_row(cell, True) for cell in cells) or '""' for cells in grid.rows]
    else:
        sides = grid.columns.replace("|", "")
        rows = [", ".join(_cell(cell, sides[at : at + 1]) for at, cell in enumerate(cells))
                for cells in grid.rows]  # fmt: skip
    return f"mat({', '.join([*options, '; '.join(rows)])})"


def _cell(cell: Row, side: str) -> str:
    text = _argument(cell)
    return f"& {text}" if side == "l" else f"{text} &" if side == "r" else text


def _rules(grid: MatrixNode) -> str:
    """Return the rules between rows and columns as offsets."""
    across = [at for at, count in enumerate(grid.rules[: len(grid.rows) + 1]) if count]
    down: list[int] = []
    passed = 0
    for sign in grid.columns:
        if sign == "|" and passed not in down:
            down.append(passed)
        passed += sign != "|"
    parts = [(name, at) for name, at in (("hline", across), ("vline", down)) if at]
    return ", ".join(f"{name}: ({''.join(f'{i}, ' for i in at).strip()})" for name, at in parts)
