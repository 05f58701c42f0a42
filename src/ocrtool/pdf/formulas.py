"""Displayed formulas of a page, told by the fonts of their letters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ocrtool.document.line_metrics import around
from ocrtool.document.tree import Box, Line
from ocrtool.pdf.lines import NativeLine

MOSTLY, SOME = 0.3, 0.05
"""Share of a line's letters in type of formulas, from which it may be one, and the same where it
has no words but a sign of calculation: figures and brackets are of the type of the text."""
PROSE = 2
"""Words of text from which it is none."""
NEAR = 0.9
"""White between the parts of a formula, one above the other, in ems."""
BESIDE = 2.5
"""The same side by side."""
LEAST = 3
"""Letters of a formula that stands alone."""
FRAGMENT = 6
"""Letters of a line that is part of a formula beside it, as what stands under a bar."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_SHORT_WORD = re.compile(r"[^\W\d_]{3,}")
_SIGN = re.compile(r"[=+\u2212<>\u00d7\u00f7\u2190-\u22ff\u27e8\u27e9]")
_FUNCTIONS = frozenset({
    "arccos", "arcsin", "arctan", "arg", "argmax", "argmin", "cos", "cosh", "cov", "det", "diag",
    "dim", "exp", "for", "gcd", "inf", "ker", "lim", "log", "max", "min", "mod", "otherwise", "sin",
    "sinh", "softmax", "sup", "tan", "tanh", "var", "where", "with",
})  # fmt: skip
_NUMBER = re.compile(r"\(?[A-Z]?\.?\d+(?:\.\d+)*[a-z]?\)")


def formulas_of(lines: Sequence[NativeLine]) -> tuple[Box, ...]:
    """Return where displayed formulas stand, in pixels.

    Args:
        lines: Of a page.
    """
    parts = [
        (_box(found.line), found.line.size, len(found.line.text), _is_sure(found))
        for found in lines
        if _may_belong(found)
    ]
    if not any(sure for *_, sure in parts):
        return ()
    groups: list[tuple[Box, float, int, bool]] = []
    for part in sorted(parts, key=lambda part: part[0].y0):
        box, size, letters, sure = part
        again = True
        while again:
            again = False
            for other in groups:
                if (sure or other[3]) and _near(box, other[0], max(size, other[1])):
                    groups.remove(other)
                    box, size = around((box, other[0])), max(size, other[1])
                    letters, sure, again = letters + other[2], sure or other[3], True
                    break
        groups.append((box, size, letters, sure))
    prose = [_box(found.line) for found in lines if not _may_belong(found)]
    return tuple(
        box
        for box, size, letters, sure in groups
        if sure and letters >= LEAST and not any(_in_row(box, other, size) for other in prose)
    )


def _is_sure(found: NativeLine) -> bool:
    """Tell whether a line is of a formula by itself."""
    if found.math >= MOSTLY:
        return True
    text = found.line.text
    words = (word.lower() for word in _SHORT_WORD.findall(text))
    return found.math > SOME and bool(_SIGN.search(text)) and all(w in _FUNCTIONS for w in words)


def _may_belong(found: NativeLine) -> bool:
    text = found.line.text
    words = [word for word in _WORD.findall(text) if word.lower() not in _FUNCTIONS]
    if _is_sure(found):
        return len(words) < PROSE or len(words) < 0.15 * len(text.split())
    return len(text) <= FRAGMENT and not words and not _NUMBER.fullmatch(text)


def _box(line: Line) -> Box:
    xs, ys = zip(*line.quad, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _near(one: Box, two: Box, em: float) -> bool:
    across = max(one.x0, two.x0) - min(one.x1, two.x1)
    down = max(one.y0, two.y0) - min(one.y1, two.y1)
    return across < BESIDE * em and down < NEAR * em


def _in_row(box: Box, line: Box, em: float) -> bool:
    """Tell whether a line of prose goes on in a box: then that is no formula of its own."""
    shared = min(box.y1, line.y1) - max(box.y0, line.y0)
    beside = max(box.x0, line.x0) - min(box.x1, line.x1)
    return shared > 0.5 * (line.y1 - line.y0) and beside < BESIDE * em
