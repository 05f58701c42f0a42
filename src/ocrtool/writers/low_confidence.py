"""Marking words that were read with too little confidence.

A block's text is more than its lines: words broken at line ends are joined, rows and columns are
kept by white space. So the words of the lines are aligned with the parts of the text between its
white space, and a part is replaced where a word it was made of is in doubt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from ocrtool.document.line_metrics import words_of
from ocrtool.document.tree import Block, Line, Word

MARK = "[?]"
"""What stands in the place of a word in doubt."""


def marked_block(block: Block, min_confidence: float) -> str:
    """Return a block's text, :data:`MARK` in the place of each word below ``min_confidence``."""
    words = [word for line in block.lines for word in words_of(line)]
    return _marked(block.text, words, min_confidence)


def marked_line(line: Line, min_confidence: float) -> str:
    """Return a line's text, :data:`MARK` in the place of each word below ``min_confidence``."""
    return _marked(line.text, words_of(line), min_confidence)


def _marked(text: str, words: Sequence[Word], min_confidence: float) -> str:
    doubtful = [word.confidence < min_confidence for word in words]
    if not any(doubtful):
        return text
    parts = list(re.finditer(r"\S+", text))
    matcher = SequenceMatcher(
        None, [word.text for word in words], [part.group() for part in parts], autojunk=False
    )
    marks: set[int] = set()
    for _, i0, i1, j0, j1 in matcher.get_opcodes():
        if i1 - i0 == j1 - j0:
            marks.update(j0 + k for k in range(i1 - i0) if doubtful[i0 + k])
        elif any(doubtful[i0:i1]):  # halves of a broken word; which became what is not asked
            marks.update(range(j0, j1))
    return _replaced(text, parts, marks)


def _replaced(text: str, parts: Sequence[re.Match[str]], marks: set[int]) -> str:
    """Replace the marked parts; where columns are kept by spaces, they stay where they are."""
    result, position = "", 0
    for i, part in enumerate(parts):
        if i not in marks:
            continue
        result += text[position : part.start()] + MARK
        position = part.end()
        gap = re.compile(" {2,}").match(text, position)
        if gap:
            wanted = len(gap.group()) + len(part.group()) - len(MARK)
            result += " " * max(2, wanted)
            position = gap.end()
    return result + text[position:]
