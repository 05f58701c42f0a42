"""Marking lines that are doubtful, and words that were read with too little confidence.

A block's text is more than its lines: words broken at line ends are joined, rows and columns are
kept by white space. So the words of the lines are aligned with the parts of the text between its
white space. A part is replaced where the confidence of a word it was made of is too low, and the
mark follows the last part of a doubtful line in which none is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from ocrtool.document.geometry import words_of
from ocrtool.document.tree import Block, Word

MARK = "[?]"
"""Stands in the place of a word below the threshold, and after a doubtful line."""


def marked_block(block: Block, min_confidence: float) -> str:
    """Return a block's text, :data:`MARK` in the place of each word below ``min_confidence``."""
    words: list[Word] = []
    replaced: set[int] = set()
    ends: set[int] = set()
    for line in block.lines:
        low = [word.confidence < min_confidence for word in words_of(line)]
        replaced |= {len(words) + i for i, is_low in enumerate(low) if is_low}
        words += words_of(line)
        if line.is_doubtful and not any(low):
            ends.add(len(words) - 1)
    if not replaced and not ends:
        return block.text
    parts = list(re.finditer(r"\S+", block.text))
    matcher = SequenceMatcher(
        None, [word.text for word in words], [part.group() for part in parts], autojunk=False
    )
    marks: dict[int, str] = {}
    for _, i0, i1, j0, j1 in matcher.get_opcodes():
        if i1 - i0 == j1 - j0:
            pairs = zip(range(i0, i1), range(j0, j1), strict=True)
            for i, j in pairs:
                if i in replaced:
                    marks[j] = MARK
                elif i in ends:
                    marks[j] = f"{parts[j].group()} {MARK}"
        elif replaced & {*range(i0, i1)}:  # halves of a broken word; which became what is not asked
            marks |= dict.fromkeys(range(j0, j1), MARK)
        elif j1 > j0 and ends & {*range(i0, i1)}:
            marks[j1 - 1] = f"{parts[j1 - 1].group()} {MARK}"
    return _replaced(block.text, parts, marks)


def _replaced(text: str, parts: Sequence[re.Match[str]], marks: Mapping[int, str]) -> str:
    """Replace the marked parts; where columns are kept by spaces, they stay where they are."""
    result, position = "", 0
    for i, mark in sorted(marks.items()):
        part = parts[i]
        result += text[position : part.start()] + mark
        position = part.end()
        gap = re.compile(" {2,}").match(text, position)
        if gap:
            wanted = len(gap.group()) + len(part.group()) - len(mark)
            result += " " * max(2, wanted)
            position = gap.end()
    return result + text[position:]
