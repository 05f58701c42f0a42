"""What a picture holds: one formula, a table, or a page of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.detected import DetectedLayout, FoundLine, Rule
from ocrtool.layout.ruling_lines import table_rules
from ocrtool.preprocess.crops import cut_line

if TYPE_CHECKING:
    from ocrtool.document.readings import LineResult

Image = NDArray[np.uint8]

ROWS = 12
"""Rows of text that no formula has."""
TABLE = 0.3
"""Share of the picture that is table, from which it is no formula: a matrix is taken for a small
one, if at all."""
LEVEL, UPRIGHT, MET = 3, 2, 2
"""Rules of a grid, and level ones that an upright one meets: fractions are level ones, and large
brackets meet none."""
NEAR = 6.0
"""Pixels between ends of rules that meet."""
LONG = 5.0
"""Length of a line over its height from which it can tell prose from signs."""
LOOKS = 3
"""Lines that are read."""
PROSE = 0.6
"""Share of them, by length, that words take up; formulas with a remark beside them reach 0.5."""
SURE = 0.7
"""Confidence of a word that counts."""
NAMES = frozenset({
    "arg", "cos", "cosh", "cot", "csc", "deg", "det", "dim", "exp", "for", "gcd", "hom", "inf",
    "ker", "lim", "liminf", "limsup", "log", "max", "min", "mod", "otherwise", "sec", "sin", "sinh",
    "sup", "tan", "tanh", "where", "with",
})  # fmt: skip
"""Words that formulas have."""


def is_formula(
    image: Image, layout: DetectedLayout, read: Callable[[Sequence[Image]], Sequence[LineResult]]
) -> bool:
    """Tell whether a picture shows a formula and nothing else.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        layout: What the detector found on it.
        read: Reads pictures of single lines.
    """
    height, width = image.shape[:2]
    tables = [region.box for region in layout.regions if region.kind == "table"]
    share = sum((box.x1 - box.x0) * (box.y1 - box.y0) for box in tables) / (height * width)
    if share > TABLE or _rows(layout.lines) >= ROWS:
        return False
    if _is_grid(table_rules(image, layout)):
        return False
    longest = sorted(layout.lines, key=lambda line: line.length, reverse=True)[:LOOKS]
    long = [line for line in longest if line.length > LONG * line.height]
    if not long:
        return True
    results = read([cut_line(image, line.quad) for line in long])
    words = sum(line.length * _prose(said) for line, said in zip(long, results, strict=True))
    return words < PROSE * sum(line.length for line in long)


def _is_grid(rules: Sequence[Rule]) -> bool:
    """Tell whether there are upright rules that several level ones meet."""

    def meet(upright: Rule, level: Rule) -> bool:
        across = level.x0 - NEAR <= upright.x0 <= level.x1 + NEAR
        return across and upright.y0 - NEAR <= level.y0 <= upright.y1 + NEAR

    level = [rule for rule in rules if rule.level]
    met = [sum(meet(rule, other) for other in level) for rule in rules if not rule.level]
    return len(level) >= LEVEL and sum(count >= MET for count in met) >= UPRIGHT


def _rows(lines: Sequence[FoundLine]) -> int:
    """Count rows: lines that have no height in common with those above."""
    rows, end = 0, -np.inf
    for line in sorted(lines, key=lambda line: line.quad[0][1]):
        top, foot = line.quad[0][1], line.quad[3][1]
        if top > end - 0.3 * line.height:
            rows += 1
        end = max(end, foot)
    return rows


def _prose(said: LineResult) -> float:
    """Return the share of a line's letters that are in words of a language."""
    letters = sum(len(word.text) for word in said.words)
    words = [(word.text.strip(".,;:!?()'\"").lower(), word.confidence) for word in said.words]
    prose = sum(
        len(word)
        for word, confidence in words
        if len(word) > 2 and word.isalpha() and word not in NAMES and confidence > SURE
    )
    return prose / letters if letters else 0.0
