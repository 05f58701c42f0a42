"""The items of a list, from its rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ocrtool.document.patterns import (
    CHECK_BOXES,
    OTHER_COUNTER,
    PLAIN_NUMBER,
    PRINTED_BULLET,
    UNAMBIGUOUS_MARK,
)
from ocrtool.writers.styled_text import Runs, run_on

NEARLY = 1
"""Characters by which the indentation of items of one depth may differ."""


@dataclass(frozen=True)
class Item:
    """An item of a list.

    Attributes:
        depth: In how many other items it is, from 0.
        text: What it says; without its sign where that is a bullet, but no check box, or a plain
            number.
        number: Of the item, where it has a plain one.
        bullet: Whether its sign was a bullet.
    """

    depth: int
    text: Runs
    number: int | None = None
    bullet: bool = False


def items_of(rows: Sequence[Runs]) -> list[Item]:
    """Return the items of a list.

    A row without the sign of an item goes on with the one above; a list without any signs has an
    item a row.

    Args:
        rows: Its rows, as far indented as they are printed.
    """
    rows = [row for row in rows if row.text.strip()]
    signs = Counter(sign_of(row.text) for row in rows)
    signed = any(signs)
    found: list[Item] = []
    indents: list[int] = []
    for row in rows:
        text = row.text.strip()
        sign = sign_of(text)
        # A letter with a point that occurs once is more likely an initial.
        marked = signs[sign] > 1 or UNAMBIGUOUS_MARK.fullmatch(sign)
        if found and signed and not (sign and marked):
            last = found[-1]
            joined = run_on((last.text, row))
            found[-1] = Item(last.depth, joined, last.number, last.bullet)
            continue
        indent = indent_of(row.text)
        while indents and indent < indents[-1] - NEARLY:
            indents.pop()
        if not indents or indent > indents[-1] + NEARLY:
            indents.append(indent)
        bullet, number = PRINTED_BULLET.match(f"{text} "), PLAIN_NUMBER.match(f"{text} ")
        end = next((match.end() for match in (bullet, number) if match), 0)
        if text[0] in CHECK_BOXES:
            end = 0
        said = row.strip()[end:]
        depth = len(indents) - 1
        found.append(Item(depth, said, int(number[1]) if number else None, bullet is not None))
    return found


def indent_of(row: str) -> int:
    """Return by how many characters a row is set in."""
    return len(row) - len(row.lstrip())


def sign_of(row: str) -> str:
    """Return the sign of an item, all numbers and letters in it alike; nothing without one."""
    text = row.strip() + " "  # an item may have nothing but its sign
    for sign in (PRINTED_BULLET, PLAIN_NUMBER, OTHER_COUNTER):
        match = sign.match(text)
        if match and sign is PRINTED_BULLET:
            return match.group().strip()
        if match:
            return re.sub(r"\d+", "1", re.sub(r"[^\W\d]+", "a", match.group().strip()))
    return ""
