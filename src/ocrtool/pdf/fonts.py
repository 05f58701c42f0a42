"""Font styles from font names, and the Unicode text of characters with private codes."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

BOLD = 1
"""Style bit of bold fonts."""
ITALIC = 2
"""Style bit of italic and slanted fonts."""
MONO = 4
"""Style bit of monospaced fonts."""
MATH = 8
"""Style bit of math fonts."""
DRAWN = 16
"""Style bit of Type 3 fonts, whose glyphs are arbitrary drawings."""
_FLAG_ITALIC, _FLAG_MONO, _FLAG_BOLD = 2, 8, 16  # of PyMuPDF's spans

_BOLD_NAME = re.compile(
    r"bold|black|heavy|demi|medi(?:um)?(?:ital|obli)?$|(?:^|[^a-z])bd(?:$|[^a-z])"
    r"|^(?:cm|sf|ec|ts1-)bx|^cmssbx|^cmb\d|^lmroman\w*bold",
    re.IGNORECASE,
)
_ITALIC_NAME = re.compile(
    r"ital|obli|slant|kursiv|(?:^|[^a-z])it(?:$|[^a-z])|^(?:cm|sf)(?:b?x?ti|sl|bxsl)\d|^cmssi\d"
    r"|-(?:bold)?it$|[a-z](?:Bd|Bold)?It$",
    re.IGNORECASE,
)
_MONO_NAME = re.compile(
    r"mono|courier|consol|typewriter|menlo|monaco|inconsolata|sourcecode|fixedsys|terminal"
    r"|^(?:cm|sf|ec)(?:s?tt|csc?tt|itt|vtt|sltt)\d|nimbusmon|firacode|anonymous|txtt|^lmtt|andale"
    r"|ocr-?[ab]\b|letter ?gothic",
    re.IGNORECASE,
)
_MATH_NAME = re.compile(
    r"math|^cm(?:mi|sy|ex|bsy|mib)\w*\d*$|^(?:lm)?(?:ms[ab]m)|^eu[fsr][mb]\d|^rsfs|^wasy|^stmary"
    r"|^(?:r|[pt]x|new[pt]x|z?[pt]xl?|lib|kp)?(?:b?mi|b?sy|b?ex|sya|syb|syc|mia|exa)\d*$|^mt(?:sy|mi|ex)"
    r"|^(?:new)?[tp]x(?:b?mi|b?sy|b?ex)|^symbol(?:mt)?$|^esint|^dsrom|^bbm|^yhmath|^futmi|^zplm",
    re.IGNORECASE,
)

# Private-use codes of symbol fonts, used for list bullets or within running text.
_PRIVATE = {
    0xF0B7: "•", 0xF06C: "●", 0xF06E: "■", 0xF06F: "□", 0xF071: "❑", 0xF072: "❒", 0xF075: "◆",
    0xF076: "❖", 0xF0A7: "▪", 0xF0A8: "□", 0xF0D8: "➢", 0xF0DC: "➔", 0xF0E0: "→", 0xF0E8: "➔",
    0xF0F0: "⇨", 0xF0FB: "✗", 0xF0FC: "✓", 0xF0FD: "☒", 0xF0FE: "☑", 0xF02D: "-", 0xF020: " ",
    0xF0AE: "→", 0xF0B0: "°", 0xF0B1: "±", 0xF0B4: "×", 0xF0A3: "≤", 0xF0B3: "≥", 0xF0B9: "≠",
    0xF0BB: "≈", 0xF06D: "μ", 0xF061: "α", 0xF062: "β", 0xF067: "γ", 0xF064: "δ", 0xF070: "π",
    0xF073: "σ", 0xF057: "Ω", 0xF044: "Δ", 0xF053: "Σ", 0xF0E5: "∑", 0xF0D6: "√", 0xF0A5: "∞",
    0xF8E7: "—", 0xF8E8: "®", 0xF8E9: "©", 0xF8EA: "™", 0xF6D9: "©", 0xF6DA: "®", 0xF6DB: "™",
    0xF8EB: "(", 0xF8EE: "[", 0xF8F1: "{", 0xF8F6: ")", 0xF8F9: "]", 0xF8FC: "}", 0xF724: "$",
    **{0xF730 + i: str(i) for i in range(10)},  # old style figures
    **{0xF761 + i: chr(0x61 + i) for i in range(26)},  # small capitals
    # Brackets assembled from pieces: the top piece represents the whole bracket.
    **dict.fromkeys((0xF8E5, 0xF8E6, 0xF8EC, 0xF8ED, 0xF8EF, 0xF8F0, *range(0xF8F2, 0xF8F6),
                     0xF8F7, 0xF8F8, 0xF8FA, 0xF8FB, 0xF8FD, 0xF8FE), ""),
}  # fmt: skip
DINGBAT_FONT = re.compile(r"zapf ?dingbats|^(?:\w+\+)?dingbats$|itc ?zapf", re.IGNORECASE)
"""Names of fonts in the encoding of Zapf Dingbats."""
WINGDINGS_FONT = re.compile(r"wingdings(?!\W?[23])", re.IGNORECASE)
"""Names of fonts in the encoding of Wingdings."""
# Codes of Zapf Dingbats that are bullets, ticks and boxes.
_ZAPF_DINGBATS = {
    "3": "✓", "4": "✔", "5": "✕", "6": "✖", "7": "✗", "8": "✘", "l": "●", "m": "❍", "n": "■",
    "o": "❏", "p": "❐", "q": "❑", "r": "❒", "s": "▲", "t": "▼", "u": "◆", "v": "❖", "w": "◗",
    "H": "★", "I": "✩", "J": "✪", "+": "☛", "*": "☛", "\u00d4": "➔", "\u00d8": "➘", "\u00dc": "➜",
    "\u00dd": "➝", "\u00de": "➞", "\u00e4": "➤",
}  # fmt: skip
UNKNOWN = re.compile("[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]")
"""Characters of glyphs without a Unicode mapping: replacement and private-use characters."""
_NO_WIDTH = frozenset({0x200B, 0x200C, 0x200E, 0x200F, 0x2060, 0xFEFF})
_SPACING_ACCENTS = {
    "´": "\u0301", "`": "\u0300", "ˆ": "\u0302", "^": "\u0302", "˜": "\u0303", "~": "\u0303",
    "¨": "\u0308", "¯": "\u0304", "˘": "\u0306", "˙": "\u0307", "˚": "\u030a", "ˇ": "\u030c",
    "˝": "\u030b", "¸": "\u0327", "˛": "\u0328",
    "\u0337": "\u0337",  # the stroke of TeX's Polish letters
}  # fmt: skip
ACCENTS = frozenset(_SPACING_ACCENTS)
"""Stand-alone accent characters; printed over a letter they combine with it."""
_STRUCK = {"l": "ł", "L": "Ł"}
_DOTLESS = {"ı": "i", "ȷ": "j"}

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")


@lru_cache(maxsize=4096)
def style_of(font: str, flags: int) -> int:
    """Return the style bits BOLD, ITALIC, MONO, MATH and DRAWN of a font.

    Args:
        font: Font name, with or without the prefix of a subset.
        flags: Span flags of PyMuPDF.
    """
    name = font.split("+", 1)[-1]
    style = DRAWN if font.startswith("Type3") else 0
    if flags & _FLAG_BOLD or _BOLD_NAME.search(name):
        style |= BOLD
    if _MATH_NAME.search(name):
        return style | MATH  # italic letters of formulas are not emphasised text
    if flags & _FLAG_ITALIC or _ITALIC_NAME.search(name):
        style |= ITALIC
    if flags & _FLAG_MONO or _MONO_NAME.search(name):
        style |= MONO
    return style


def normalize_character(character: str, font: str = "") -> str:
    """Normalise a character of a PDF.

    White space becomes a space, zero-width characters "", known private codes and codes of dingbat
    fonts Unicode characters, and control characters and halves of surrogate pairs the replacement
    character.

    Args:
        character: As the file gives it.
        font: Name of its font.
    """
    code = ord(character)
    if 0x20 < code < 0x100 and DINGBAT_FONT.search(font):
        return _ZAPF_DINGBATS.get(character, character)
    if 0x20 < code < 0x100 and WINGDINGS_FONT.search(font):
        return _PRIVATE.get(0xF000 + code, character)
    if 0x20 < code < 0x7F:
        return character
    if character.isspace():
        return " "
    if 0xE000 <= code <= 0xF8FF:
        return _PRIVATE.get(code, character)
    if code < 32 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000:
        return "\ufffd"
    if code in _NO_WIDTH:
        return ""
    if 0xFB00 <= code <= 0xFB06:
        return unicodedata.normalize("NFKC", character)
    return character


def accented(letter: str, accent: str) -> str | None:
    """Return the letter with the accent as one character, or None where Unicode has none."""
    letter = _DOTLESS.get(letter, letter)
    if accent == "\u0337":
        return _STRUCK.get(letter)
    whole = unicodedata.normalize("NFC", letter + _SPACING_ACCENTS[accent])
    return whole if len(whole) == 1 else None


def is_right_to_left(text: str) -> bool:
    """Tell whether text contains letters of a right-to-left script."""
    return _RIGHT_TO_LEFT.search(text) is not None


def is_unknown(character: str) -> bool:
    """Tell whether a character has no Unicode mapping in its PDF."""
    return UNKNOWN.match(character) is not None
