"""The alphabet of the bundled line reader: characters of Latin-script documents."""

from __future__ import annotations

import unicodedata

_ASCII = "".join(map(chr, range(0x20, 0x7F)))
_LATIN_1 = "".join(map(chr, range(0xA1, 0x100))).replace("\u00ad", "")  # soft hyphen is invisible
_LATIN_EXTENDED_A = "".join(
    c
    for c in map(chr, range(0x100, 0x180))
    if c not in "\u0149\u017f"  # deprecated: ŉ; long s
)
_ROMANIAN = "ȘșȚț"
_GREEK = "".join(c for c in map(chr, range(0x391, 0x3CA)) if unicodedata.category(c) != "Cn")
_PUNCTUATION = "–—‘’‚“”„†‡•…‰‹›⁄″′"
_CURRENCY = "€₤₺₽₹₿"
_SYMBOLS = "№™Ω←↑→↓↔−√∞∂∆∏∑∫≈≠≤≥◊●○■□▪▶★☆☐☑✓✗ﬁﬂ"

# Characters with identical glyphs are one class: the label is the more common character.
LOOKALIKES = str.maketrans(
    {
        "\u00a0": " ", "\u2002": " ", "\u2003": " ", "\u2009": " ", "\u202f": " ", "\u200a": " ",
        "\u2010": "-", "\u2011": "-", "\u2012": "–", "\u2015": "—", "\u201b": "‘", "\u201f": "“",
        "\u2126": "Ω", "\u2206": "∆", "Δ": "∆", "\u03a9": "Ω", "\u00b5": "μ", "\u0189": "Ð",
        "ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl", "ſ": "s", "ŉ": "'n",
        "Α": "A", "Β": "B", "Ε": "E", "Ζ": "Z", "Η": "H", "Ι": "I", "Κ": "K", "Μ": "M", "Ν": "N",
        "Ο": "O", "Ρ": "P", "Τ": "T", "Υ": "Y", "Χ": "X", "ο": "o", "ν": "v", "∏": "Π", "∑": "Σ",
        "ʼ": "’", "ʹ": "′", "∙": "·", "⋅": "·", "‧": "·", "\u00ad": "", "\u200b": "", "\ufeff": "",
        "ş": "ş", "ţ": "ț", "Ţ": "Ț", "Đ": "Đ", "Ð": "Đ",
    }
)  # fmt: skip
"""Translation table from characters to the more common one with the same glyph."""


def canonical(text: str) -> str:
    """Fold characters with identical glyphs (NFC, spaces, Greek capitals)."""
    return unicodedata.normalize("NFC", text).translate(LOOKALIKES)


#: The bundled alphabet, one string sorted by code point (428 characters or so).
ALPHABET = "".join(
    sorted(
        set(
            canonical(
                _ASCII + _LATIN_1 + _LATIN_EXTENDED_A + _ROMANIAN + _GREEK + _PUNCTUATION
                + _CURRENCY + _SYMBOLS
            )
        )
    )
)  # fmt: skip
