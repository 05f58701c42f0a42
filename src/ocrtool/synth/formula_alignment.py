"""Positions of the tokens of a formula's label in its image.

TeX outputs glyphs in nearly the order of the label; for example the exponent precedes the index.
Glyphs and tokens are therefore aligned like two texts: first the longest equal runs, then equal
symbols in the gaps between them, and finally the remaining symbols one to one, because not every
font maps its glyphs to Unicode.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from ocrtool.latex_syntax.symbols import ACCENTS, CHARACTERS, NAMED
from ocrtool.latex_syntax.unicode import CHARACTER
from ocrtool.rendering.tex import Glyph

UNKNOWN = "\ufffd"
"""Character of a glyph that its font does not map to Unicode."""
MAX_GAPS = 5
"""Maximum distance, in gaps between equal runs, within which missing symbols are searched."""
_ACCENT = "^"
_PLAIN = {"-": "−", "*": "∗", "|": "∣", r"\|": "∥", r"\sqrt": "√", r"\prime": "′"}
_FOLDED = {"ˆ": _ACCENT, "˜": _ACCENT, "¯": _ACCENT, "˙": _ACCENT, "¨": _ACCENT, "~": _ACCENT,
           "⃗": _ACCENT, "|": "∣", "-": "−", "*": "∗"}  # fmt: skip


def token_positions(label: str, glyphs: Sequence[Glyph]) -> NDArray[np.float32]:
    """Find the positions of the tokens of a label among typeset glyphs.

    Args:
        label: Tokens of the normal form, separated by spaces.
        glyphs: Glyphs in TeX's order.

    Returns:
        (n, 3): index of a token and the centre (x, y) of its glyphs, ordered by token. Invisible
        tokens and those not found are omitted.
    """
    wanted = list(_signs(label.split(" ")))
    said = [sign for _, sign in wanted]
    set_ = [_folded(glyph.character) for glyph in glyphs]
    found: dict[int, list[Glyph]] = {}
    for mine, theirs in _pairs(said, set_):
        found.setdefault(wanted[mine][0], []).append(glyphs[theirs])
    return np.array(
        [
            (token, np.mean([g.x for g in those]), np.mean([g.y for g in those]))
            for token, those in sorted(found.items())
        ],
        np.float32,
    ).reshape(-1, 3)


def _signs(tokens: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the symbols that tokens draw, each with the index of its token."""
    for number, token in enumerate(tokens):
        if token in NAMED:
            for letter in token[1:]:
                yield number, letter
        elif token in ACCENTS:
            yield number, _ACCENT
        elif token in _PLAIN:
            yield number, _PLAIN[token]
        elif token in CHARACTERS:
            yield number, _folded(token)
        elif token in CHARACTER:
            yield number, _folded(CHARACTER[token])


def _folded(character: str) -> str:
    """Map the letters of all math alphabets to plain ones, and similar symbols to one."""
    plain = unicodedata.normalize("NFKC", character)
    return _FOLDED.get(plain, _FOLDED.get(character, plain))


def _pairs(said: Sequence[str], set_: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the indices of matching symbols in both texts."""
    blocks = SequenceMatcher(None, said, set_, autojunk=False).get_matching_blocks()
    gaps: list[tuple[list[int], list[int]]] = []
    mine, theirs = 0, 0
    for start, begin, size in blocks:
        gaps.append((list(range(mine, start)), list(range(theirs, begin))))
        yield from zip(range(start, start + size), range(begin, begin + size), strict=True)
        mine, theirs = start + size, begin + size
    for number, (left, _) in enumerate(gaps):
        nearest = sorted(range(len(gaps)), key=lambda other: abs(other - number))[:MAX_GAPS]
        for token in list(left):
            for other in nearest:
                same = next((i for i in gaps[other][1] if set_[i] == said[token]), None)
                if same is not None:
                    gaps[other][1].remove(same)
                    left.remove(token)
                    yield token, same
                    break
    for left, over in gaps:
        unknown = [i for i in over if set_[i] == UNKNOWN]
        if len(left) == len(unknown):
            yield from zip(left, unknown, strict=True)
