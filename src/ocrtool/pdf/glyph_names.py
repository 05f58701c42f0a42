"""Unicode text of glyphs without a Unicode mapping, recovered from their glyph names.

A font may have a glyph for a ligature such as "tt" or "ti" that no table of the file maps to
characters. The glyph's name in the font often identifies it ("t_i", "summationdisplay"). Where it
does not, the glyph gets a private-use character of its own, so that its text can be learnt from
the rasterised page (see :mod:`ocrtool.documents.glyph_recovery`).
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
from ocrtool.pdf.fonts import UNKNOWN, normalize_character

FIRST_PRIVATE_CODE = 0xF0000
"""First private-use code point that is assigned to a glyph."""
MAX_PRIVATE_CODES = 60_000
"""Maximum number of glyphs of a document that get a private-use code point."""
ORIGIN_TOLERANCE = 0.1
"""Grid step, in points, within which glyph origins count as equal."""

_HEX = re.compile(r"uni((?:[0-9A-F]{4})+)|u([0-9A-F]{4,6})")
_SIZE = re.compile(r"(?:display|text|big{1,2}|Big{1,2}|v\d|size\d|\d)$")
_PIECE = re.compile(r"(tp|bt|mid|ex|ext)$")
# Base names of large operators and brackets in the fonts of TeX.
_SIGNS = {
    "summation": "∑", "product": "∏", "coproduct": "∐", "integral": "∫", "contintegral": "∮",
    "union": "⋃", "intersection": "⋂", "unionmulti": "⨄", "unionsq": "⨆", "logicaland": "⋀",
    "logicalor": "⋁", "circleplus": "⨁", "circlemultiply": "⨂", "circledot": "⨀", "radical": "√",
    "angbracketleft": "⟨", "angbracketright": "⟩", "floorleft": "⌊", "floorright": "⌋",
    "ceilingleft": "⌈", "ceilingright": "⌉", "vextendsingle": "|", "vextenddouble": "‖",
    "parenleft": "(", "parenright": ")", "bracketleft": "[", "bracketright": "]",
    "braceleft": "{", "braceright": "}", "slash": "/", "backslash": "\\", "radicalvertex": "",
    "hatwide": "", "tildewide": "", "bracehtipdownleft": "", "bracehtipdownright": "",
    "bracehtipupleft": "", "bracehtipupright": "", "suppress": "\u0337",
}  # fmt: skip


class GlyphNames:
    """Resolver of the text of glyphs that have no Unicode mapping, for one document.

    Args:
        document: The PDF.
    """

    def __init__(self, document: pymupdf.Document) -> None:
        self._document = document
        self._private: dict[tuple[str, int, str, int], str] = {}
        self._known: dict[str, str] = {}
        self._fonts: dict[int, mupdf.FzFont | None] = {}

    def resolve(self, page: pymupdf.Page, letters: Letters, scale: float) -> Letters:
        """Return the characters of a page with unmapped glyphs resolved or given private-use codes.

        Args:
            page: The page.
            letters: Its characters as extracted.
            scale: Pixels per point.
        """
        unknown = [i for i, text in enumerate(letters.text) if UNKNOWN.search(text)]
        if not unknown:
            return letters
        traced = _trace_unmapped(page, scale)
        texts = list(letters.text)
        cosine, sine = letters.turn[unknown].T
        u, v = letters.u[unknown], letters.v[unknown]
        points = np.stack((u * cosine - v * sine, u * sine + v * cosine), axis=1)
        for i, (x, y) in zip(unknown, (points / (ORIGIN_TOLERANCE * scale)).tolist(), strict=True):
            found = (
                traced.get((round(x) + dx, round(y) + dy)) for dx in (0, -1, 1) for dy in (0, -1, 1)
            )
            glyph = next((place for place in found if place), None)
            if glyph is None:
                texts[i] = "\ufffd"
                continue
            width = round(100 * float(letters.width[i] / letters.size[i]))
            texts[i] = self._text_of(page, glyph, texts[i], width)
        kept = np.array([bool(text) for text in texts])
        letters = replace(letters, text=texts)
        return letters if kept.all() else letters.of(np.flatnonzero(kept))

    def _text_of(
        self, page: pymupdf.Page, glyph: tuple[str, int], character: str, width: int
    ) -> str:
        # Two subsets of one font may number their glyphs differently; the widths tell them apart.
        keys = [(*glyph, character, width + step) for step in (0, -1, 1)]
        private = next((self._private[key] for key in keys if key in self._private), None)
        if private is None:
            if len(self._private) >= MAX_PRIVATE_CODES:
                return "\ufffd"
            private = self._private[keys[0]] = chr(FIRST_PRIVATE_CODE + len(self._private))
            named = self._text_by_name(page, *glyph)
            if named is not None:
                self._known[private] = named
        return self._known.get(private, private)

    def _text_by_name(self, page: pymupdf.Page, font: str, glyph: int) -> str | None:
        """Return the text of a glyph by its name in the page's fonts, None if ambiguous."""
        meanings: set[str | None] = set()
        for xref, _, _, called, *_ in page.get_fonts():
            program = self._program(xref)
            if program is None:
                continue
            if _normalized_font_name(font) in (
                _normalized_font_name(called),
                _normalized_font_name(mupdf.fz_font_name(program)),
            ):
                name = mupdf.fz_get_glyph_name2(program, glyph)
                meanings.add(text_of_glyph_name(name or ""))
        return meanings.pop() if len(meanings) == 1 else None

    def _program(self, xref: int) -> mupdf.FzFont | None:
        if xref not in self._fonts:
            try:
                content = self._document.extract_font(xref)[3]
                self._fonts[xref] = pymupdf.Font(fontbuffer=content).this if content else None
            except Exception:  # a damaged font makes MuPDF raise nearly anything
                self._fonts[xref] = None
        return self._fonts[xref]


def text_of_glyph_name(name: str) -> str | None:
    """Return the text of a glyph by its name, or None where the name is not descriptive.

    Args:
        name: A name of the Adobe Glyph List, with its rules for ligatures ("f_f_i") and code points
            ("uni00660066"), or of the fonts of TeX.
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
        # The top piece of an assembled bracket represents the whole.
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
    text = "".join(map(normalize_character, text))
    return text if text.strip() and not UNKNOWN.search(text) else None


def _normalized_font_name(font: str) -> str:
    return re.sub(r"^[A-Z]{6}[+_]|[\W_]", "", font)


def _trace_unmapped(page: pymupdf.Page, scale: float) -> dict[tuple[int, int], tuple[str, int]]:
    """Return font and glyph number of the unmapped glyphs of a page, by their rounded origins."""
    turn = page.rotation_matrix
    found: dict[tuple[int, int], tuple[str, int]] = {}
    for span in page.get_texttrace():
        for code, glyph, origin, _ in span["chars"]:
            if glyph >= 0 and UNKNOWN.search(
                normalize_character(chr(code)) if code >= 0 else "\ufffd"
            ):
                x, y = pymupdf.Point(origin) * turn
                found[round(x / ORIGIN_TOLERANCE), round(y / ORIGIN_TOLERANCE)] = (
                    span["font"],
                    glyph,
                )
    return found


def replace_unmapped(line: Line, meaning: Callable[[str], str]) -> Line:
    """Return a line with its unmapped characters replaced.

    Args:
        line: A line with private-use characters.
        meaning: Returns the text of such a character.
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
