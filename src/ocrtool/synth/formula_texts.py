"""Selection of formulas to render: real ones from text files, and composed ones.

Every formula occurs once. Those with rare tokens come earlier, lengths have fixed shares, and one
in a hundred (by a hash of its normal form, and therefore always the same) is held out for tests.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ocrtool.latex_syntax.normal import normal
from ocrtool.latex_syntax.tokens import LatexError
from ocrtool.synth.formula_vocabulary import formula_tokens

Random = np.random.Generator

LENGTHS = ((20, 0.30), (60, 0.36), (120, 0.24), (10_000, 0.10))
"""Maximum number of tokens of each length class, and its share of the rendered formulas."""
COMPOSED_SHARE = 0.08
"""Share of formulas that are composed of parts of others."""
_HELD = 100
_UNDRAWABLE = re.compile(
    r"\\mathcal \{ [^}]*[a-z0-9]|\\mathscr \{ [^}]*[a-z0-9]|\\mathbb \{ [^}]*[a-z0]"
)
"""Letters for which math fonts have no glyph, or a wrong one."""
_NOT_DRAWN = re.compile(
    r"\\(?:label|tag\*?)\s*\{[^{}]*\}"
    r"|\\(?:nonumber|notag|tiny|scriptsize|footnotesize|small|normalsize|large)(?![A-Za-z])"
)
_RING = re.compile(r"\\(AA|aa)(?![A-Za-z])")
_SPLIT = re.compile(r"\\(begin|end)\{(?:split|align\*?)\}")


@dataclass(frozen=True)
class Formula:
    """A formula as given to TeX, and its normal form with a space between tokens."""

    latex: str
    label: str

    @property
    def tokens(self) -> int:
        """Number of tokens of the label."""
        return self.label.count(" ") + 1


def drawable_formulas(lines: Iterable[str], max_tokens: int) -> Iterator[Formula]:
    """Yield the formulas that can be rendered and learnt, without duplicate labels."""
    known = frozenset(formula_tokens())
    seen: set[bytes] = set()
    for latex in lines:
        formula = drawable_formula(latex, known, max_tokens)
        if formula is None:
            continue
        key = _hash(formula.label)
        if key not in seen:
            seen.add(key)
            yield formula


def drawable_formula(latex: str, known: frozenset[str], max_tokens: int) -> Formula | None:
    """Return a formula with its label, or None where it is not suited for training."""
    try:
        tokens = normal(latex)
    except LatexError:
        return None
    if not 0 < len(tokens) <= max_tokens or not known.issuperset(tokens):
        return None
    label = " ".join(tokens)
    if _UNDRAWABLE.search(label):
        return None
    return Formula(drawable(latex), label)


def drawable(latex: str) -> str:
    """Return a formula for inline setting: without labels, numbers and outer environments."""
    latex = latex.strip().strip("$")
    latex = _NOT_DRAWN.sub(" ", latex)
    latex = _SPLIT.sub(r"\\\1{aligned}", latex)
    latex = _RING.sub(r"\\text{\\\1}", latex)
    return latex.replace(r"\mathbb{1}", r"\mathds{1}").replace(r"\mathbb 1", r"\mathds{1}")


def is_held_out(formula: Formula) -> bool:
    """Tell whether a formula is held out from training."""
    return int.from_bytes(_hash(formula.label), "little") % _HELD == 0


def _hash(label: str) -> bytes:
    return hashlib.blake2b(label.encode(), digest_size=8).digest()


def ordered(formulas: Sequence[Formula], rng: Random) -> list[Formula]:
    """Return formulas in rendering order, of which every prefix is a balanced sample.

    Rare tokens come early, and each length class keeps its share as long as it has formulas.
    """
    counts = Counter(token for f in formulas for token in set(f.label.split(" ")))
    common = 0.01 * len(formulas)
    classes: list[list[tuple[float, int]]] = [[] for _ in LENGTHS]
    for index, formula in enumerate(formulas):
        rarest = min(counts[token] for token in set(formula.label.split(" ")))
        weight = min(6.0, max(1.0, common / rarest) ** 0.5)
        kind = next(i for i, (most, _) in enumerate(LENGTHS) if formula.tokens <= most)
        classes[kind].append((rng.standard_exponential() / weight, index))
    queues = [[index for _, index in sorted(members)] for members in classes]
    taken = [0] * len(queues)
    shares = [share for _, share in LENGTHS]
    order: list[Formula] = []
    for _ in formulas:
        left = [i for i, queue in enumerate(queues) if taken[i] < len(queue)]
        kind = min(left, key=lambda i: (taken[i] + 1) / shares[i])
        order.append(formulas[queues[kind][taken[kind]]])
        taken[kind] += 1
    return order


def composed(parts: Sequence[Formula], count: int, rng: Random, max_tokens: int) -> list[Formula]:
    """Compose formulas of parts of others: matrices, cases, fractions, roots, aligned rows."""
    known = frozenset(formula_tokens())
    short = [f.latex for f in parts if f.tokens <= 8 and _composable(f.latex)]
    longer = [f.latex for f in parts if 8 < f.tokens <= 24 and _composable(f.latex)]
    made: dict[str, Formula] = {}
    if not short or not longer:
        return []
    kinds = (_matrix, _cases, _fraction, _root, _rows, _number, _bracket)
    for _ in range(3 * count):
        if len(made) >= count:
            break
        kind = kinds[int(rng.integers(len(kinds)))]
        formula = drawable_formula(kind(rng, short, longer), known, max_tokens)
        if formula is not None:
            made[formula.label] = formula
    return list(made.values())


_NO_PART = re.compile(r"&|\\\\|\\over|\\choose|\\atop|\\(?:bf|rm|it|cal|sf|tt)(?![A-Za-z])")


def _composable(latex: str) -> bool:
    """Tell whether a formula can be a part: ``[`` at its start would be read as an option."""
    return not latex.startswith(("[", "*")) and _NO_PART.search(latex) is None


def _pick(rng: Random, pool: Sequence[str]) -> str:
    return pool[int(rng.integers(len(pool)))]


def _matrix(rng: Random, short: Sequence[str], longer: Sequence[str]) -> str:
    rows, columns = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    simple = rng.random() < 0.5

    def cell() -> str:
        kind = rng.random()
        if kind < (0.6 if simple else 0.25):
            return str(rng.integers(-9, 10)) if rng.random() < 0.7 else "0"
        if kind < 0.7 and rows > 2:
            return _pick(rng, [r"\ddots", r"\vdots", r"\cdots", "0", "", ""])
        return _pick(rng, short)

    body = r" \\ ".join(" & ".join(cell() for _ in range(columns)) for _ in range(rows))
    kind = rng.random()
    if kind < 0.7:
        name = _pick(rng, ["pmatrix", "bmatrix", "vmatrix", "Vmatrix", "matrix", "Bmatrix"])
        grid = rf"\begin{{{name}}} {body} \end{{{name}}}"
    else:
        spec = "".join(_pick(rng, ["c", "c", "l", "r"]) for _ in range(columns))
        if rng.random() < 0.3 and columns > 1:
            spec = spec[:-1] + "|" + spec[-1]
        left, right = [("(", ")"), ("[", "]"), ("|", "|"), (".", ".")][int(rng.integers(4))]
        grid = rf"\left{left} \begin{{array}}{{{spec}}} {body} \end{{array}} \right{right}"
    if rng.random() < 0.5:
        grid = _pick(rng, short) + " = " + grid
    return grid + (_pick(rng, ["", "", "^{T}", "^{-1}", " " + _pick(rng, short)]))


def _cases(rng: Random, short: Sequence[str], longer: Sequence[str]) -> str:
    rows = []
    for _ in range(int(rng.integers(2, 5))):
        word = _pick(
            rng, [r"\text{if } ", "", r"\mbox{for }", r"\text{otherwise} ", r"\textrm{if }"]
        )
        tail = "" if "otherwise" in word else _pick(rng, short)
        rows.append(f"{_pick(rng, longer if rng.random() < 0.4 else short)} & {word}{tail}")
    body = r" \\ ".join(rows)
    if rng.random() < 0.5:
        grid = rf"\begin{{cases}} {body} \end{{cases}}"
    else:
        grid = rf"\left\{{ \begin{{array}}{{ll}} {body} \end{{array}} \right."
    return f"{_pick(rng, short)} = {grid}"


def _fraction(rng: Random, short: Sequence[str], longer: Sequence[str]) -> str:
    over = _pick(rng, longer if rng.random() < 0.6 else short)
    under = _pick(rng, longer if rng.random() < 0.4 else short)
    if rng.random() < 0.3:
        under = rf"{_pick(rng, short)} + \frac{{{_pick(rng, short)}}}{{{_pick(rng, short)}}}"
    fraction = rf"\frac{{{over}}}{{{under}}}"
    return f"{_pick(rng, short)} = {fraction}" if rng.random() < 0.5 else fraction


def _root(rng: Random, short: Sequence[str], longer: Sequence[str]) -> str:
    index = f"[{rng.integers(3, 10)}]" if rng.random() < 0.4 else ""
    inner = _pick(rng, longer if rng.random() < 0.5 else short)
    return rf"{_pick(rng, short)} = \sqrt{index}{{{inner}}}"


def _rows(rng: Random, short: Sequence[str], longer: Sequence[str]) -> str:
    rows = int(rng.integers(2, 5))
    sign = _pick(rng, ["=", "=", "=", r"\leq", r"\geq", r"\approx", r"\equiv", r"\in"])
    kind = rng.random()

    def side() -> str:
        return _pick(rng, longer if rng.random() < 0.5 else short)

    def left(first: bool) -> str:
        return _pick(rng, short) if first or rng.random() < 0.4 else ""

    if kind < 0.6:
        body = r" \\ ".join(f"{left(i == 0)} &{sign} {side()}" for i in range(rows))
        return rf"\begin{{aligned}} {body} \end{{aligned}}"
    if kind < 0.85:
        spec = _pick(rng, ["rcl", "lll", "rcl", "ccc"])
        body = r" \\ ".join(f"{left(i == 0)} & {sign} & {side()}" for i in range(rows))
        return rf"\begin{{array}}{{{spec}}} {body} \end{{array}}"
    body = r" \\ ".join(side() for _ in range(rows))
    return rf"\begin{{gathered}} {body} \end{{gathered}}"


def _number(rng: Random, short: Sequence[str], longer: Sequence[str]) -> str:
    digits = "".join(str(d) for d in rng.integers(0, 10, int(rng.integers(1, 6))))
    number = str(rng.integers(0, 1000)) + "." + digits if rng.random() < 0.6 else digits
    if rng.random() < 0.4:
        number += rf" \times 10^{{{rng.integers(-30, 31)}}}"
    if rng.random() < 0.3:
        number += rf" \pm {rng.integers(0, 10)}.{digits}"
    unit = _pick(rng, ["", r"\%", r"\ \mathrm{GeV}", r"\ {\rm cm}", r"^{\circ}", r"~\text{m/s}"])
    sign = _pick(rng, ["=", r"\approx", r"\simeq", "<", ">", r"\leq", r"\sim"])
    return f"{_pick(rng, short)} {sign} {number}{unit}"


def _bracket(rng: Random, short: Sequence[str], longer: Sequence[str]) -> str:
    left, right = [("(", ")"), ("[", "]"), (r"\{", r"\}"), ("|", "|"), (r"\langle", r"\rangle"),
                   (r"\|", r"\|"), (r"\lfloor", r"\rfloor"), (r"\lceil", r"\rceil"),
                   (".", "|")][int(rng.integers(9))]  # fmt: skip
    inner = _pick(rng, longer if rng.random() < 0.6 else short)
    if rng.random() < 0.5:
        inner = rf"\frac{{{inner}}}{{{_pick(rng, short)}}}"
    power = _pick(rng, ["", "^{2}", "^{n}", "_{0}", "^{-1}", "_{i=1}^{n}", "^{1/2}"])
    return rf"{_pick(rng, short)} \left{left} {inner} \right{right}{power}"
