"""Page ranges of a document: ``1,3-5,8-end``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ocrtool.errors import UsageError

PART = re.compile(r"(?P<first>\d+|end)?(?P<to>-)?(?P<last>\d+|end)?")
END = 10**9
"""Stands for the last page before it is known how many there are."""


@dataclass(frozen=True)
class PageSelection:
    """Ranges of pages, counted from 1, both ends included; no range means every page.

    Attributes:
        ranges: First and last page of each.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> PageSelection:
        """Read what a user types.

        Args:
            text: Pages and ranges separated by commas; ``end`` is the last page, ``-3`` the first
                three, ``8-`` from the eighth on.

        Raises:
            UsageError: It is no such list, a range runs backwards, or there is a page 0.
        """
        return cls(tuple(_range(part.strip(), text) for part in text.split(",")))

    def of(self, count: int) -> list[int]:
        """Return the wanted pages of a document, in its own order, each once.

        Args:
            count: Pages of the document. Pages beyond it are passed over.
        """
        ends = [(count if a == END else a, min(b, count)) for a, b in self.ranges]
        wanted = {number for a, b in ends for number in range(a, b + 1)}
        return sorted(wanted) if self.ranges else list(range(1, count + 1))


def _range(part: str, text: str) -> tuple[int, int]:
    match = PART.fullmatch(part)
    if match is None or not (match["first"] or match["last"]):
        raise UsageError(f"--pages {text}: {part!r} is no page", "write it like 1,3-5,8-end")
    first = _number(match["first"]) if match["first"] else 1
    last = first
    if match["to"]:
        last = _number(match["last"]) if match["last"] else END
    if first < 1 or last < 1:
        raise UsageError(f"--pages {text}: pages are counted from 1")
    if last < first:
        raise UsageError(f"--pages {text}: {part} runs backwards")
    return first, last


def _number(text: str) -> int:
    return END if text == "end" else int(text)
