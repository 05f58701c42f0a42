"""Struck-out words: those that a thin rule crosses at the middle of their small letters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ocrtool.document.lines import Rule
from ocrtool.document.tree import Line, Span
from ocrtool.pdf.lines import DESCENT_EMS

STRIKE_RISE_EMS = (0.12, 0.5)
"""Minimum and maximum height of a strike above the baseline, in ems."""
MAX_STRIKE_WIDTH_EMS = 0.16
"""Maximum width of the stroke of a strike, in ems."""
MAX_OVERHANG_EMS = 0.6
"""Maximum length by which a strike exceeds its line of text at either end, in ems."""
MIN_STRUCK_SHARE = 0.6
"""Minimum share of a word's length that a strike crosses."""


def with_strikes(lines: Sequence[Line], rules: Sequence[Rule]) -> tuple[list[Line], list[Rule]]:
    """Mark the words that rules strike out.

    Args:
        lines: Lines of the page; only level ones are looked at.
        rules: Its rules, collinear pieces joined.

    Returns:
        The lines, and the rules that strike nothing out.
    """
    level = [rule for rule in rules if rule.level]
    upright = [i for i, line in enumerate(lines) if line.quad[0][1] == line.quad[1][1]]
    result = list(lines)
    if not level or not upright:
        return result, list(rules)
    boxes = np.array([(*lines[i].quad[0], *lines[i].quad[2]) for i in upright])
    size = np.array([max(lines[i].size, 1e-6) for i in upright])
    struck: dict[int, set[int]] = {}
    strikes: set[int] = set()
    for number, rule in enumerate(rules):
        if not rule.level:
            continue
        rise = (boxes[:, 3] - DESCENT_EMS * size - (rule.y0 + rule.y1) / 2) / size
        fits = (rise > STRIKE_RISE_EMS[0]) & (rise < STRIKE_RISE_EMS[1])
        fits &= rule.width < MAX_STRIKE_WIDTH_EMS * size
        slack = MAX_OVERHANG_EMS * size
        fits &= (rule.x0 > boxes[:, 0] - slack) & (rule.x1 < boxes[:, 2] + slack)
        for at in np.flatnonzero(fits).tolist():
            i = upright[at]
            for k, word in enumerate(lines[i].words):
                box = word.box
                shared = min(box.x1, rule.x1) - max(box.x0, rule.x0)
                if shared > MIN_STRUCK_SHARE * box.width:
                    struck.setdefault(i, set()).add(k)
                    strikes.add(number)
    for i, words in struck.items():
        result[i] = _struck(lines[i], words)
    return result, [rule for number, rule in enumerate(rules) if number not in strikes]


def _struck(line: Line, words: set[int]) -> Line:
    """Return a line with some words marked as struck out."""
    styles: list[Span] = [Span(0, 0)] * len(line.text)
    for span in line.spans:
        styles[span.start : span.end] = [replace(span, start=0, end=0)] * (span.end - span.start)
    marked = [False] * len(line.text)
    at, last = 0, -2
    for k, word in enumerate(line.words):
        start = line.text.find(word.text, at)
        if start < 0:
            return line
        if k in words:
            first = at if last == k - 1 else start  # the space between two of them
            marked[first : start + len(word.text)] = [True] * (start + len(word.text) - first)
            last = k
        at = start + len(word.text)
    styles = [replace(s, struck=m) if m else s for s, m in zip(styles, marked, strict=True)]
    spans: list[Span] = []
    place = 0
    for style, group in itertools.groupby(styles):
        end = place + sum(1 for _ in group)
        if style != Span(0, 0):
            spans.append(replace(style, start=place, end=end))
        place = end
    return replace(line, spans=tuple(spans))
