"""What glyphs mean whose characters a PDF does not tell: read from the page's picture.

Most of a line is known. Where its picture reads the same but for one place, what is read there is
what the glyph means: "a?empting" reads "attempting".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ocrtool.document.tree import Line
from ocrtool.pdf.fonts import UNKNOWN

SAMPLES = 3
"""Lines that are read for each glyph."""
MOST_LINES = 24
"""Lines that are read of a page at most."""
LEAST_KNOWN, LEAST_BESIDE = 2, 4
"""Letters of a word that tell where in the line it was read; and of the words beside it, too, where
it has less, as in "p ? 0.001"."""

_ALIKE = str.maketrans("‘’‚“”„‐‑–—−\xa0", "'''\"\"\"-----\x20")


def worth_reading(lines: Iterable[Line]) -> list[Line]:
    """Return a few lines whose pictures may tell what unknown characters mean.

    Args:
        lines: Of a page, their unknown characters one for each glyph.
    """
    seen: Counter[str] = Counter()
    chosen: list[Line] = []
    for line in lines:
        if not UNKNOWN.search(line.text):
            continue
        new = {
            character
            for word in line.words
            if _known(line.text) >= LEAST_BESIDE
            for character in UNKNOWN.findall(word.text)
            if character != "\ufffd" and seen[character] < SAMPLES
        }
        if new and len(chosen) < MOST_LINES:
            seen.update(new)
            chosen.append(line)
    return chosen


def meanings(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what unknown characters mean.

    Args:
        pairs: Texts of lines with such characters, and what their pictures read.
    """
    votes: dict[str, Counter[str]] = {}
    for text, said in pairs:
        for character, read in _found(text, said):
            votes.setdefault(character, Counter())[read] += 1
    best = {character: counts.most_common(1)[0] for character, counts in votes.items()}
    # A rare letter that was read once is more likely a sign that the reader does not know.
    return {
        character: read for character, (read, count) in best.items() if count > 1 or read.isascii()
    }


def _found(text: str, said: str) -> Iterable[tuple[str, str]]:
    """Yield unknown characters of a line, and what stands for them in its reading."""
    words, said = text.split(), said.translate(_ALIKE)
    for k, word in enumerate(words):
        if not UNKNOWN.search(word):
            continue
        beside = words[max(0, k - 1) : k + 2]
        alone = _known(word) < LEAST_KNOWN
        if alone and _known("".join(beside)) < LEAST_BESIDE:
            continue
        for window in [beside] if alone else [beside, [word]]:
            pattern, unknown = _pattern(window)
            matches = list(re.finditer(pattern, said))
            if len({match.groups() for match in matches}) == 1:
                groups = matches[0].groupdict()
                for i, character in enumerate(unknown):
                    read = groups[f"g{i}"]
                    # A drawn key or star that stands alone may read like a letter.
                    if character in word and not (alone and any(map(str.isalnum, read))):
                        yield character, read
                break


def _pattern(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return what finds words in a reading, each unknown character a group, and these."""
    unknown: list[str] = []
    parts: list[str] = []
    for character in " ".join(words):
        if character == " ":
            parts.append(" ?")
        elif not UNKNOWN.match(character):
            parts.append(re.escape(character.translate(_ALIKE)))
        elif character in unknown:
            parts.append(f"(?P=g{unknown.index(character)})")
        else:
            parts.append(rf"(?P<g{len(unknown)}>[^\s]{{1,3}}?)")
            unknown.append(character)
    return rf"(?<!\w){''.join(parts)}(?!\w)", unknown


def _known(word: str) -> int:
    return sum(c.isalnum() and not UNKNOWN.match(c) for c in word)
