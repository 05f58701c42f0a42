"""Detection of displayed formulas on a page by the share of characters in math fonts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ocrtool.document.tree import Box
from ocrtool.pdf.lines import NativeLine

MIN_MATH_SHARE = 0.3
"""Minimum share of math-font characters of a line that is a formula by itself."""
MIN_MATH_SHARE_WITHOUT_WORDS = 0.05
"""Minimum share of math-font characters of a formula line that has an operator and no words; its
digits and brackets are set in the text font."""
MIN_PROSE_WORDS = 2
"""Minimum number of words of a line that is text and no formula."""
MAX_VERTICAL_GAP_EMS = 0.9
"""Maximum vertical gap between parts of one formula, in ems."""
MAX_HORIZONTAL_GAP_EMS = 2.5
"""Maximum horizontal gap between parts of one formula, in ems."""
MIN_FORMULA_CHARACTERS = 3
"""Minimum number of characters of a displayed formula."""
MAX_FRAGMENT_CHARACTERS = 6
"""Maximum number of characters of a line that is only part of an adjacent formula, such as a
denominator."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_SHORT_WORD = re.compile(r"[^\W\d_]{3,}")
_SIGN = re.compile(r"[=+\u2212<>\u00d7\u00f7\u2190-\u22ff\u27e8\u27e9]")
_FUNCTIONS = frozenset({
    "arccos", "arcsin", "arctan", "arg", "argmax", "argmin", "cos", "cosh", "cov", "det", "diag",
    "dim", "exp", "for", "gcd", "inf", "ker", "lim", "log", "max", "min", "mod", "otherwise", "sin",
    "sinh", "softmax", "sup", "tan", "tanh", "var", "where", "with",
})  # fmt: skip
_NUMBER = re.compile(r"\(?[A-Z]?\.?\d+(?:\.\d+)*[a-z]?\)")


def find_formulas(lines: Sequence[NativeLine]) -> tuple[Box, ...]:
    """Return the bounding boxes of displayed formulas, in pixels.

    Args:
        lines: Text lines of the page.
    """
    parts = [
        (found.line.box, found.line.size, len(found.line.text), _is_formula_line(found))
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
                if (sure or other[3]) and _are_near(box, other[0], max(size, other[1])):
                    groups.remove(other)
                    box, size = Box.around((box, other[0])), max(size, other[1])
                    letters, sure, again = letters + other[2], sure or other[3], True
                    break
        groups.append((box, size, letters, sure))
    prose = [found.line.box for found in lines if not _may_belong(found)]
    return tuple(
        box
        for box, size, letters, sure in groups
        if sure
        and letters >= MIN_FORMULA_CHARACTERS
        and not any(_on_same_row(box, other, size) for other in prose)
    )


def _is_formula_line(found: NativeLine) -> bool:
    """Tell whether a line is a formula by itself."""
    if found.math >= MIN_MATH_SHARE:
        return True
    text = found.line.text
    words = (word.lower() for word in _SHORT_WORD.findall(text))
    return (
        found.math > MIN_MATH_SHARE_WITHOUT_WORDS
        and bool(_SIGN.search(text))
        and all(w in _FUNCTIONS for w in words)
    )


def _may_belong(found: NativeLine) -> bool:
    text = found.line.text
    words = [word for word in _WORD.findall(text) if word.lower() not in _FUNCTIONS]
    if _is_formula_line(found):
        return len(words) < MIN_PROSE_WORDS or len(words) < 0.15 * len(text.split())
    return len(text) <= MAX_FRAGMENT_CHARACTERS and not words and not _NUMBER.fullmatch(text)


def _are_near(one: Box, two: Box, em: float) -> bool:
    across, down = -one.overlap_x(two), -one.overlap_y(two)
    return across < MAX_HORIZONTAL_GAP_EMS * em and down < MAX_VERTICAL_GAP_EMS * em


def _on_same_row(box: Box, line: Box, em: float) -> bool:
    """Tell whether a text line continues into a box, which is then an inline formula."""
    is_beside = -box.overlap_x(line) < MAX_HORIZONTAL_GAP_EMS * em
    return is_beside and box.overlap_y(line) > 0.5 * line.height
