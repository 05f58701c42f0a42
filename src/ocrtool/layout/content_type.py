"""Classification of an image: a single formula, or a page with text and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import DetectedLayout, FoundLine, Rule
from ocrtool.layout.ruling_lines import table_rules
from ocrtool.preprocess.lines import cut_line

if TYPE_CHECKING:
    from ocrtool.document.lines import LineResult

Image = NDArray[np.uint8]

MIN_PAGE_ROWS = 12
"""Minimum number of text rows of an image that is a page and no formula."""
MAX_TABLE_SHARE = 0.3
"""Maximum share of the image's area in tables of a formula image; a matrix is detected as a small
table, if at all."""
MIN_GRID_HORIZONTALS = 3
"""Minimum number of horizontal rules of a table grid; fraction bars are horizontal, too."""
MIN_GRID_VERTICALS = 2
"""Minimum number of vertical rules of a table grid."""
MIN_GRID_CROSSINGS = 2
"""Minimum number of horizontal rules that a vertical rule of a grid meets; large brackets meet
none."""
CROSSING_TOLERANCE = 6.0
"""Maximum distance, in pixels, between the ends of rules that meet."""
MIN_PROSE_ASPECT = 5.0
"""Minimum length of a line, in line heights, to be read for the decision between prose and
formula."""
MAX_PROBED_LINES = 3
"""Maximum number of lines that are read for the decision."""
MIN_PROSE_SHARE = 0.6
"""Minimum share of words in the read lines, by length, of a page; formulas with a remark beside
them reach 0.5."""
MIN_WORD_CONFIDENCE = 0.7
"""Minimum confidence of a word that counts as prose."""
FORMULA_WORDS = frozenset({
    "arg", "cos", "cosh", "cot", "csc", "deg", "det", "dim", "exp", "for", "gcd", "hom", "inf",
    "ker", "lim", "liminf", "limsup", "log", "max", "min", "mod", "otherwise", "sec", "sin", "sinh",
    "sup", "tan", "tanh", "where", "with",
})  # fmt: skip
"""Words that occur in formulas."""


def is_formula(
    image: Image, layout: DetectedLayout, read: Callable[[Sequence[Image]], Sequence[LineResult]]
) -> bool:
    """Tell whether an image shows a single formula and nothing else.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        layout: Detected layout of the image.
        read: Recognises images of single lines.
    """
    height, width = image.shape[:2]
    tables = [region.box for region in layout.regions if region.kind == "table"]
    share = sum(box.area for box in tables) / (height * width)
    if share > MAX_TABLE_SHARE or _row_count(layout.lines) >= MIN_PAGE_ROWS:
        return False
    if _is_grid(table_rules(image, layout)):
        return False
    longest = sorted(layout.lines, key=lambda line: line.length, reverse=True)[:MAX_PROBED_LINES]
    long = [line for line in longest if line.length > MIN_PROSE_ASPECT * line.height]
    if not long:
        return True
    results = read([cut_line(image, line.quad) for line in long])
    words = sum(line.length * _prose_share(said) for line, said in zip(long, results, strict=True))
    return words < MIN_PROSE_SHARE * sum(line.length for line in long)


def _is_grid(rules: Sequence[Rule]) -> bool:
    """Tell whether there are vertical rules that several horizontal ones meet."""

    def meet(upright: Rule, level: Rule) -> bool:
        across = level.x0 - CROSSING_TOLERANCE <= upright.x0 <= level.x1 + CROSSING_TOLERANCE
        return (
            across
            and upright.y0 - CROSSING_TOLERANCE <= level.y0 <= upright.y1 + CROSSING_TOLERANCE
        )

    level = [rule for rule in rules if rule.level]
    met = [sum(meet(rule, other) for other in level) for rule in rules if not rule.level]
    return (
        len(level) >= MIN_GRID_HORIZONTALS
        and sum(count >= MIN_GRID_CROSSINGS for count in met) >= MIN_GRID_VERTICALS
    )


def _row_count(lines: Sequence[FoundLine]) -> int:
    """Count text rows: lines that do not overlap vertically with those above."""
    rows, end = 0, -np.inf
    for line in sorted(lines, key=lambda line: line.quad[0][1]):
        top, foot = line.quad[0][1], line.quad[3][1]
        if top > end - 0.3 * line.height:
            rows += 1
        end = max(end, foot)
    return rows


def _prose_share(said: LineResult) -> float:
    """Return the share of a line's characters in words of natural language."""
    letters = sum(len(word.text) for word in said.words)
    words = [(word.text.strip(".,;:!?()'\"").lower(), word.confidence) for word in said.words]
    prose = sum(
        len(word)
        for word, confidence in words
        if len(word) > 2
        and word.isalpha()
        and word not in FORMULA_WORDS
        and confidence > MIN_WORD_CONFIDENCE
    )
    return prose / letters if letters else 0.0
