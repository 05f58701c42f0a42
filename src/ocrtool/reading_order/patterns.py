"""Regular expressions of captions, leaders and amounts."""

from __future__ import annotations

import re

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
