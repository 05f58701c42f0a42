r"""Facts of olmOCR-bench about a page of Markdown, and whether they hold.

A fact is a record with a ``type`` and what the type needs. Texts are compared by fuzzy partial
ratio: a text of n characters with ``max_diffs`` d is there if some part of the page has a ratio of
at least 1 - d/n. The order of two texts holds if some near match of the first starts before some
near match of the second. (Poznanski et al., "olmOCR: Unlocking Trillions of Tokens in PDFs with
Vision Language Models", 2025.)

Mathematics is the one exception: the benchmark draws formulas in a browser with KaTeX and compares
the places of the symbols; here the formula has to be part of one on the page in the normal form of
:mod:`ocrtool.latex_syntax`, without fonts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fuzzysearch import find_near_matches
from rapidfuzz import fuzz

from ocrtool.evaluation.benchmarks.table_grid import (
    Place,
    TableGrid,
    html_grids,
    markdown_grids,
)
from ocrtool.latex_syntax import LatexError, normal
from ocrtool.latex_syntax.symbols import FONTS

Fact = Mapping[str, Any]

REQUIRED = {
    "present": ("text",),
    "absent": ("text",),
    "order": ("before", "after"),
    "table": ("cell",),
    "math": ("math",),
    "baseline": (),
    "format": ("text", "format"),
    "footnote": ("marker",),
}
"""Fields that a fact of each type needs beside ``pdf``, ``page`` and ``id``."""
MAX_REPEATS = 30
"""Most repetitions of the same 1 to 5 characters at the end of a page."""
NOTE_CHARACTERS = 200
"""Number of characters before and after a footnote mark in which its neighbours are looked for."""
_LETTERS = {
    **dict.fromkeys("‘’‚", "'"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("–—‑‒−", "-"),
    "＿": "_",
    "\u00b5": "\u03bc",
}
_ALIKE = str.maketrans(_LETTERS)
_UNWANTED = re.compile("[\u4e00-\u9fff\u3040-\u309f\u30a0-\u30ff\U0001f1e0-\U0001f6ff]")
"""Ideographs, kana and emoji, which no page of the benchmark has. (Flags to symbols, of which the
benchmark names four ranges.)"""
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def problem_of(fact: object) -> str:
    """Return what is wrong with a fact; empty where nothing is."""
    if not isinstance(fact, dict):
        return "no object"
    for name, kind in (("pdf", str), ("page", int), ("id", str), ("type", str)):
        if not isinstance(fact.get(name), kind):
            return f"no {name}"
    if fact["type"] not in REQUIRED:
        return f"unknown type {fact['type']!r}"
    for name in REQUIRED[fact["type"]]:
        if not isinstance(fact.get(name), str) or not fact[name].strip():
            return f"no {name}"
    limit = fact.get("max_diffs", 0)
    if not isinstance(limit, int) or limit < 0:
        return "max_diffs is no number of characters"
    return ""


def holds(fact: Fact, markdown: str) -> bool:
    """Tell whether a fact is true of a page."""
    return _CHECKS[fact["type"]](fact, markdown)


def plain(text: str) -> str:
    """Return a text as the benchmark compares it: no emphasis, one space, dash and quote."""
    text = re.sub(r"<br/?>", " ", text)
    for mark in (r"\*\*(.*?)\*\*", r"__(.*?)__"):
        text = re.sub(mark, r"\1", text)
    text = re.sub(r"</?[bi]>", "", text)
    for mark in (r"(\*\*|__)(.*?)\1", r"(\*|_)(.*?)\1"):
        text = re.sub(mark, r"\2", text)
    return unicodedata.normalize("NFC", re.sub(r"\s+", " ", text)).translate(_ALIKE)


def _least(fact: Fact, text: str) -> float:
    """Return the similarity, 0 to 1, from which a text counts as found."""
    return 1.0 - float(fact.get("max_diffs", 0)) / max(len(text), 1)


def _present(fact: Fact, markdown: str) -> bool:
    wanted, page = plain(fact["text"]), plain(markdown)
    if not fact.get("case_sensitive", True):
        wanted, page = wanted.lower(), page.lower()
    first, last = fact.get("first_n"), fact.get("last_n")
    if first or last:
        page = (page[:first] if first else "") + (page[-last:] if last else "")
    return fuzz.partial_ratio(wanted, page) / 100 >= _least(fact, wanted)


def _absent(fact: Fact, markdown: str) -> bool:
    return not _present(fact, markdown)


def _order(fact: Fact, markdown: str) -> bool:
    page, limit = plain(markdown), fact.get("max_diffs", 0)
    before, after = (
        [match.start for match in find_near_matches(plain(fact[name]), page, max_l_dist=limit)]
        for name in ("before", "after")
    )
    return bool(before and after) and min(before) < max(after)


def _table(fact: Fact, markdown: str) -> bool:
    grids: list[TableGrid] = []
    if not fact.get("ignore_markdown_tables", False):
        grids += markdown_grids(markdown)
    grids += html_grids(markdown)
    wanted = plain(fact["cell"])
    return any(
        _like(fact, wanted, cell.text) and _surrounded(fact, grid, place)
        for grid in grids
        for place, cell in grid.cells.items()
    )


def _like(fact: Fact, wanted: str, text: str) -> bool:
    return fuzz.ratio(wanted, plain(text)) / 100 >= max(0.5, _least(fact, wanted))


def _surrounded(fact: Fact, grid: TableGrid, place: Place) -> bool:
    """Tell whether the neighbours of a cell are those that a fact states."""
    looks: dict[str, Callable[[], set[Place]]] = {
        "up": lambda: grid.neighbours(place, "up"),
        "down": lambda: grid.neighbours(place, "down"),
        "left": lambda: grid.neighbours(place, "left"),
        "right": lambda: grid.neighbours(place, "right"),
        "top_heading": lambda: grid.headings(place, "up"),
        "left_heading": lambda: grid.headings(place, "left"),
    }
    for name, look in looks.items():
        wanted = plain(fact.get(name) or "")
        if wanted and not any(_like(fact, wanted, grid.cells[other].text) for other in look()):
            return False
    return True


def _baseline(fact: Fact, markdown: str) -> bool:
    longest = fact.get("max_length")
    if longest is not None:
        if fact.get("max_length_skips_image_alt_tags", False):
            markdown = re.sub(r"!\[.*?\]\(.*?\)", "", markdown)
        return sum(map(str.isalnum, markdown)) <= int(longest)
    if not any(map(str.isalnum, markdown)):
        return False
    page = re.sub(r"\s+", " ", markdown)
    limit = fact.get("max_repeats", MAX_REPEATS)
    if any(_repeats(page, size) > limit for size in range(1, 6)):
        return False
    return not (fact.get("check_disallowed_characters", True) and _UNWANTED.search(markdown))


def _repeats(text: str, size: int) -> int:
    """Return how often the last characters of a text stand there in a row."""
    end, count = text[-size:], 0
    while len(end) == size and text.endswith(end):
        text, count = text[:-size], count + 1
    return count


_FORMATS = {
    "heading": (r"(?m)^#{1,6}\s+(.+?)$", r"(?is)<h[1-6][^>]*>(.*?)</h[1-6]>"),
    "bold": (
        r"(?s)\*\*(.*?)\*\*",
        r"(?s)__(.*?)__",
        r"(?is)<b[^>]*>(.*?)</b>",
        r"(?is)<strong[^>]*>(.*?)</strong>",
    ),
    "italic": (
        r"(?s)(?<!\*)\*(?!\*)(.*?)(?<!\*)\*(?!\*)",
        r"(?s)(?<!_)_(?!_)(.*?)(?<!_)_(?!_)",
        r"(?is)<i[^>]*>(.*?)</i>",
        r"(?is)<em[^>]*>(.*?)</em>",
    ),
}


def _format(fact: Fact, markdown: str) -> bool:
    wanted = plain(fact["text"])
    found = [
        plain(text)
        for pattern in _FORMATS.get(fact["format"], ())
        for text in re.findall(pattern, markdown)
    ]
    if not fact.get("case_sensitive", True):
        wanted, found = wanted.lower(), [text.lower() for text in found]
    return any(fuzz.partial_ratio(wanted, text) / 100 >= _least(fact, wanted) for text in found)


def _footnote(fact: Fact, markdown: str) -> bool:
    mark = str(fact["marker"])
    forms = [rf"\[\^{re.escape(mark)}\](?!:)", rf"(?i)<sup[^>]*>{re.escape(mark)}</sup>"]
    if mark.isdigit():
        forms.append(mark.translate(_RAISED))
    spans = [match.span() for form in forms for match in re.finditer(form, markdown)]
    before, after = fact.get("appears_before_marker"), fact.get("appears_after_marker")
    is_before = not before or any(
        _ends(fact, before, markdown[max(0, start - NOTE_CHARACTERS) : start], -1)
        for start, _ in spans
    )
    is_after = not after or any(
        _ends(fact, after, markdown[end : end + NOTE_CHARACTERS], 1) for _, end in spans
    )
    return bool(spans) and is_before and is_after


def _ends(fact: Fact, wanted: str, text: str, side: int) -> bool:
    """Tell whether a text is near one end of another: 1 for the start, -1 for the end."""
    least = _least(fact, plain(wanted))
    wanted, text = ("".join(filter(str.isalnum, plain(part))).lower() for part in (wanted, text))
    text = text[: 2 * len(wanted)] if side > 0 else text[-2 * len(wanted) :]
    return bool(text) and fuzz.partial_ratio(wanted, text) / 100 >= least


def _math(fact: Fact, markdown: str) -> bool:
    wanted = _symbols(fact["math"])
    for formula in formulas(markdown, dollars=not fact.get("ignore_dollar_delimited", False)):
        found = _symbols(formula)
        if formula == fact["math"] or any(
            found[start : start + len(wanted)] == wanted
            for start in range(len(found) - len(wanted) + 1)
        ):
            return True
    return False


def formulas(markdown: str, dollars: bool = True) -> Iterator[str]:
    r"""Return the formulas between ``\(``, ``\[``, ``$$`` and ``$``."""
    delimiters = [r"\\\((.+?)\\\)", r"\\\[(.+?)\\\]"]
    delimiters += [r"\$\$(.+?)\$\$", r"\$(.+?)\$"] if dollars else []
    for pattern in delimiters:
        yield from (text.strip() for text in re.findall(pattern, markdown, re.S))
        markdown = re.sub(pattern, "", markdown, flags=re.S)


def _symbols(latex: str) -> list[str]:
    """Return the tokens of a formula's normal form without fonts and sizes of brackets."""
    try:
        tokens = normal(latex)
    except LatexError:
        return list("".join(latex.split()))
    return _without_fonts(tokens)


def _without_fonts(tokens: Sequence[str]) -> list[str]:
    kept: list[str] = []
    braces: list[bool] = []  # whether each open brace is one of a font
    commands = {*FONTS.values(), r"\operatorname"}
    for at, token in enumerate(tokens):
        if token in commands or token in (r"\left", r"\right"):
            continue
        if token == "{":
            braces.append(at > 0 and tokens[at - 1] in commands)
            if braces[-1]:
                continue
        elif token == "}" and braces and braces.pop():
            continue
        kept.append(token)
    return kept


_CHECKS: dict[str, Callable[[Fact, str], bool]] = {
    "present": _present,
    "absent": _absent,
    "order": _order,
    "table": _table,
    "math": _math,
    "baseline": _baseline,
    "format": _format,
    "footnote": _footnote,
}
