"""Regular expressions of list item marks, footnote marks, section numbers, captions and amounts.

The stages accept different sets of marks on purpose: a mark that is certain alone in a cell may be
ordinary text at the start of a sentence.
"""

from __future__ import annotations

import re

CHECK_BOXES = {"☐": False, "☑": True, "☒": True}
"""Check boxes that begin a row of a list, and whether each is ticked."""
_SIGNS = "•◦▪‣●○■□❏❐❑❒❍◆❖➢➤➔✓✔✗✘★▶►" + "".join(CHECK_BOXES)
BULLETS = _SIGNS + "\u2013\u2014-*·>»"
"""Bullet characters, dashes included, that begin a row of a list."""
ROUND_BULLETS = _SIGNS
"""Bullet characters that never occur in running text."""
_COUNTER = r"\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\(?[ivxIVX]{1,5}[.)]"

ITEM_MARK = re.compile(rf"(?:[{re.escape(BULLETS)}]|{_COUNTER}|\[\d+\])")
"""Mark at the start of a list item."""
LONE_MARK = re.compile(
    rf"[{_SIGNS}♦\uf000-\uf0ff*·\u2013\u2014-]|o|\(?\d{1, 3}[.)]|\(?[a-zA-Z][.)]|\(?[ivx]{1, 5}[.)]"
    r"|\[\d{1,3}\]|\d{1,2}(?:\.\d{1,2}){0,3}|[A-Z]|[IVX]{1,4}"
)
"""Whole text of a line that is the mark or number of the text to its right."""
PRIVATE_USE_BULLET = re.compile("^[\ue000-\uf8ff](?=\\s|$)")
"""Leading character of the private use area: a bullet of a symbol font without Unicode mapping."""
ROUND_BULLET_ITEM = re.compile(rf"[{ROUND_BULLETS}\u00b7]\s+\S")
"""Start of a row that can only be a list item."""

PRINTED_BULLET = re.compile(rf"(?:[{_SIGNS}▫·∙\u2043\u2013\u2014*+-]|o(?= ))\s+")
"""Bullet and the white space after it, in a block that is a list."""
PLAIN_NUMBER = re.compile(r"(\d{1,9})([.)])\s+")
"""Item number, its delimiter as the second group, and the white space after it."""
OTHER_COUNTER = re.compile(r"(?:\(?(?:\d{1,3}|[ivxIVX]{1,5}|[a-zA-Z])[.)]|\[\w{1,6}\])\s+")
"""Any other item mark, which writers keep as printed, and the white space after it."""
UNAMBIGUOUS_MARK = re.compile(r"\W|o|1[.)]")
"""Normalised mark that makes an item even if no other row has it; unlike an initial ("A.")."""

FOOTNOTE_MARK = re.compile(r"(?:\(?\d{1,3}[.)]?|\[\d+\]|[*\u2020\u2021\u00a7]+)\s*\S")
"""Mark at the start of a footnote."""
SECTION_NUMBER = re.compile(r"(?:\d{1,2}(?:\.\d{1,2}){0,3}\.?|[IVX]{1,5}\.|§+\s*\d+)\s+[^\W\d_]")
"""Number at the start of a heading, on a page alone."""
DECIMAL_SECTION = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,5})\.?\)?\s+(?=[^\W\d_]|[\"'\u201c(])")
"""Decimal number (``2.1``) at the start of a heading of a document."""
LETTERED_SECTION = re.compile(r"([A-Z](?:\.\d{1,3}){1,4})\.?\s+(?=[^\W\d_])")
"""Letter and numbers (``A.1``) at the start of a heading of a document."""
ROMAN_SECTION = re.compile(r"[IVX]{1,5}\.\s+(?=[^\W\d_])")
"""Roman number (``IV.``) at the start of a heading of a document."""
NAMED_SECTION = re.compile(
    r"(?:chapter|kapitel|chapitre|cap\u00edtulo|capitolo|appendix|anhang|annexe?|article|artikel)"
    r"\s+(?:\d{1,3}|[IVXLC]{1,6}|[A-Z])\b",
    re.IGNORECASE,
)
"""Word and number (``Chapter 3``) at the start of a heading of a document."""


CAPTION = re.compile(
    r"(?:fig(?:s?\.|ures?|ura)|abb(?:\.|ildung)|tab(?:\.|le|elle|leau|la|ella|ulka)|scheme|plate|"
    r"illustration|chart|bild|obr(?:\.|\u00e1zek)|figur|tabell|photo|foto)\s*[\dIVXA-C]",
    re.IGNORECASE,
)


LEADER = re.compile(r"(?:[.\u00b7\u2026_]\s?){4,}\s*(?:\d{1,4}|[ivxlc]{1,7})?$")
"""Dots that lead to the number of a page."""


AMOUNT = re.compile(
    r"[^\w\s]*(?:\w{0,3}[^\w\s]*\s*)?"  # a sign or a currency
    r"\d[\d\s.,:/%'\u2019()+\-\u2013x\u00d7*]*"
    r"[^\W\d]{0,3}[^\w\s]*"  # a unit
)
"""A number, perhaps with a currency, a sign or a unit."""
