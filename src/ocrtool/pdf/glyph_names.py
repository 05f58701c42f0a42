"""Glyphs whose characters a PDF does not tell, such as ligatures: by their names.

A font may have a glyph for "tt" or "ti" that no table of the file maps to characters. The font's
own name of the glyph often says what it is ("t_i", "summationdisplay"). Where it does not, the
glyph gets a private character of its own, so that what it means can be learnt from the page's
picture (see :mod:`ocrtool.documents.glyph_recovery`).
"""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pymupdf
from pymupdf import mupdf

from ocrtool.document.tree import Line, Span
from ocrtool.pdf.content import Letters
from ocrtool.pdf.fonts import UNKNOWN, plain

FIRST, MOST = 0xF0000, 60_000
"""First private character for a glyph, and how many there are."""
NEAR = 0.1
"""Points; letters that start so close together are the same."""

_HEX = re.compile(r"uni((?:[0-9A-F]{4})+)|u([0-9A-F]{4,6})")
_SIZE = re.compile(r"(?:display|text|big{1,2}|Big{1,2}|v\d|size\d|\d)$")
_PIECE = re.compile(r"(tp|bt|mid|ex|ext)$")
# Names of large signs in the fonts of TeX; brackets are called as everywhere.
_SIGNS = {
    "summation": "∑", "product": "∏", "coproduct": "∐", "integral": "∫", "contintegral": "∮",
    "union": "⋃", "intersection": "⋂", "unionmulti": "⨄", "unionsq": "⨆", "logicaland": "⋀",
    "logicalor": "⋁", "circleplus": "⨁", "circlemultiply": "⨂", "circledot": "⨀", "radical": "√",
    "angbracketleft": "⟨", "angbracketright": "⟩", "floorleft": "⌊", "floorright": "⌋",
    "ceilingleft": "⌈", "ceilingright": "⌉", "vextendsingle": "|", "vextenddouble": "‖",
    "parenleft": "(", "parenright": ")", "bracketleft": "[", "bracketright": "]",
    "braceleft": "{", "braceright": "}", "slash": "/", "backslash": "\\", "radicalvertex": "",
    "hatwide": "", "tildewide": "", "bracehtipdownleft": "", "bracehtipdownright": "",
    "bracehtipupleft": "", "bracehtipupright": "",
}  # fmt: skip


class Glyphs:
    """What glyphs of a document mean whose characters its file does not tell.

    Args:
        document: The file.
    """

    def __init__(self, document: pymupdf.Document) -> None:
        self._document = document
        self._private: dict[tuple[str, int, str, int], str] = {}
        self._known: dict[str, str] = {}
        self._fonts: dict[int, mupdf.FzFont | None] = {}

    def told(self, page: pymupdf.Page, letters: Letters, scale: float) -> Letters:
        """Return the letters of a page: with private characters for those that are not known.

        Args:
            page: The page.
            letters: As its file has them.
            scale: Pixels a point.
        """
        unknown = [i for i, text in enumerate(letters.text) if UNKNOWN.search(text)]
        if not unknown:
            return letters
        traced = _traced(page, scale)
        texts = list(letters.text)
        cosine, sine = letters.turn[unknown].T
        u, v = letters.u[unknown], letters.v[unknown]
        points = np.stack((u * cosine - v * sine, u * sine + v * cosine), axis=1)
        for i, (x, y) in zip(unknown, (points / (NEAR * scale)).tolist(), strict=True):
            found = (
                traced.get((round(x) + dx, round(y) + dy)) for dx in (0, -1, 1) for dy in (0, -1, 1)
            )
            glyph = next((place for place in found if place), None)
            if glyph is None:
                texts[i] = "\ufffd"
                continue
            width = round(100 * float(letters.width[i] / letters.size[i]))
            texts[i] = self._meaning(page, glyph, texts[i], width)
        kept = np.array([bool(text) for text in texts])
        letters = replace(letters, text=texts)
        return letters if kept.all() else letters.of(np.flatnonzero(kept))

    def _meaning(
        self, page: pymupdf.Page, glyph: tuple[str, int], character: str, width: int
    ) -> str:
        # Two parts of one font may number their glyphs each in its own way; their widths differ.
        keys = [(*glyph, character, width + step) for step in (0, -1, 1)]
        private = next((self._private[key] for key in keys if key in self._private), None)
        if private is None:
            if len(self._private) >= MOST:
                return "\ufffd"
            private = self._private[keys[0]] = chr(FIRST + len(self._private))
            named = self._named(page, *glyph)
            if named is not None:
                self._known[private] = named
        return self._known.get(private, private)

    def _named(self, page: pymupdf.Page, font: str, glyph: int) -> str | None:
        """Return what a glyph means by its name in the fonts of a page that are called so."""
        meanings: set[str | None] = set()
        for xref, _, _, called, *_ in page.get_fonts():
            program = self._program(xref)
            if program is None:
                continue
            if _bare(font) in (_bare(called), _bare(mupdf.fz_font_name(program))):
                name = mupdf.fz_get_glyph_name2(program, glyph)
                meanings.add(by_name(name or ""))
        return meanings.pop() if len(meanings) == 1 else None

    def _program(self, xref: int) -> mupdf.FzFont | None:
        if xref not in self._fonts:
            try:
                content = self._document.extract_font(xref)[3]
                self._fonts[xref] = pymupdf.Font(fontbuffer=content).this if content else None
            except Exception:  # a damaged font makes MuPDF raise nearly anything
                self._fonts[xref] = None
        return self._fonts[xref]


def by_name(name: str) -> str | None:
    """Return what a glyph means by its name; nothing where that does not tell.

    Args:
        name: As Adobe's list of glyphs, its rules for ligatures ("f_f_i") and numbers
            ("uni00660066"), or the fonts of TeX have it.
    """
    if name.startswith("."):
        return None
    base = name.split(".", 1)[0]
    parts = [_character(part) for part in base.split("_")]
    if base and all(parts):
        return "".join(part for part in parts if part)
    large = _SIZE.sub("", base)
    piece = _PIECE.search(large)
    if piece and large[: piece.start()] in _SIGNS:
        # Of a bracket that is put together the top stands for the whole.
        return _SIGNS[large[: piece.start()]] if piece.group() == "tp" else ""
    return _SIGNS.get(large)


def _character(name: str) -> str | None:
    digits = _HEX.fullmatch(name)
    if digits:
        codes = digits.group(1) or digits.group(2).zfill(8)
        step = 4 if digits.group(1) else 8
        numbers = [int(codes[i : i + step], 16) for i in range(0, len(codes), step)]
        if any(number > 0x10FFFF or 0xD800 <= number < 0xE000 for number in numbers):
            return None
        text = "".join(map(chr, numbers))
    else:
        text = chr(mupdf.fz_unicode_from_glyph_name_strict(name) or 0xFFFD)
    text = "".join(map(plain, text))
    return text if text.strip() and not UNKNOWN.search(text) else None


def _bare(font: str) -> str:
    return re.sub(r"^[A-Z]{6}[+_]|[\W_]", "", font)


def _traced(page: pymupdf.Page, scale: float) -> dict[tuple[int, int], tuple[str, int]]:
    """Return font and number of the glyphs of a page that have no character, by their places."""
    turn = page.rotation_matrix
    found: dict[tuple[int, int], tuple[str, int]] = {}
    for span in page.get_texttrace():
        for code, glyph, origin, _ in span["chars"]:
            if glyph >= 0 and UNKNOWN.search(plain(chr(code)) if code >= 0 else "\ufffd"):
                x, y = pymupdf.Point(origin) * turn
                found[round(x / NEAR), round(y / NEAR)] = span["font"], glyph
    return found


def respelled(line: Line, meaning: Callable[[str], str]) -> Line:
    """Return a line with other text for its unknown characters.

    Args:
        line: With private characters.
        meaning: Returns what one stands for.
    """
    if not UNKNOWN.search(line.text):
        return line

    def spelled(text: str) -> str:
        return UNKNOWN.sub(lambda match: meaning(match.group()), text)

    def place(at: int) -> int:
        return len(spelled(line.text[:at]))

    spans: tuple[Span, ...] = tuple(
        replace(span, start=place(span.start), end=place(span.end)) for span in line.spans
    )
    words = tuple(replace(word, text=spelled(word.text)) for word in line.words)
    return replace(line, text=spelled(line.text), words=words, spans=spans)
