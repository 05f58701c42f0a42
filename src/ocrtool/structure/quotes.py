"""Block quotes: paragraphs indented on both sides relative to the surrounding text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from ocrtool.reading_order.rows import Metrics
from ocrtool.structure.headers_footers import Draft

INSET = 1.0
"""Minimum indentation of a quote at each side, in line heights."""
DEEPEST = 6.0
"""Maximum indentation of a quote, in line heights; deeper text is centred."""
ALIGNED = 0.4
"""Maximum deviation of the left edges of a quote's rows, in line heights."""
NEAR = 4
"""Number of blocks before and after a quote in which its surrounding text is searched."""
APART = 3.0
"""Maximum white space between a quote and the surrounding text, in line heights."""
FULL = 0.6
"""Minimum width of a quote's longest row, as a share of the width of the surrounding text."""
ABSTRACT = re.compile(
    r"\W*(?:abstract|summary|zusammenfassung|r\u00e9sum\u00e9|resumen|riassunto|key\s?words)\b",
    re.IGNORECASE,
)
"""First words of an abstract or of key words, which are indented but no quote."""


def quoted(drafts: Sequence[Draft], metrics: Metrics) -> list[Draft]:
    """Name the quotes among paragraphs whose places are exact.

    Args:
        drafts: Of a page, in reading order.
        metrics: What is common on it.
    """
    found = [_is_quote(drafts, i, metrics) for i in range(len(drafts))]
    return [replace(draft, kind="quote") if is_quote else draft
            for draft, is_quote in zip(drafts, found, strict=True)]  # fmt: skip


def _is_quote(drafts: Sequence[Draft], i: int, metrics: Metrics) -> bool:
    draft = drafts[i]
    rows = draft.rows
    if not _is_prose(draft) or len(rows) < 2:
        return False
    if ABSTRACT.match(rows[0].text) or rows[0].text[:1].islower():  # or the rest of something
        return False
    if i and drafts[i - 1].rows and ABSTRACT.fullmatch(drafts[i - 1].rows[-1].text.rstrip(".: ")):
        return False
    height = metrics.height
    starts = [row.x0 for row in rows[1:]]
    if max(starts) - min(starts) > ALIGNED * height:
        return False
    left, right = _edges(draft)
    found = 0
    for others in (reversed(drafts[:i]), drafts[i + 1 :]):
        place = draft
        for other in itertools.islice(others, NEAR):
            if not other.rows or _white(place, other) > APART * height:
                break
            place = other
            if not _is_prose(other) or len(other.rows) < 2:
                continue
            a, b = _edges(other)
            if abs(left - a) < ALIGNED * height:
                continue  # another paragraph of the quote
            outer = all(
                INSET * height < inset < DEEPEST * height for inset in (left - a, b - right)
            )
            if not outer or right - left < FULL * (b - a):
                return False
            found += 1
            break
    return found > 0


def _white(draft: Draft, other: Draft) -> float:
    """White between two blocks, one of which stands below the other."""
    return max(
        other.rows[0].y0 - draft.rows[-1].y1,
        draft.rows[0].y0 - other.rows[-1].y1,
    )


def _edges(draft: Draft) -> tuple[float, float]:
    return min(row.x0 for row in draft.rows), max(row.x1 for row in draft.rows)


def _is_prose(draft: Draft) -> bool:
    exact = bool(draft.rows) and all(row.exact for row in draft.rows)
    return exact and draft.kind == "paragraph" and not draft.spaced
