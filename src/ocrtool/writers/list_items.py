"""The items of a list, from its rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ocrtool.writers.styled_text import Runs, run_on

BULLET = re.compile(r"(?:[•‣▪▫◦●○■□·∙⁃➢➤✓✔❖\u2013\u2014*+-]|o(?= ))\s+")
"""What a bullet may look like in print, and the space after it."""
NUMBER = re.compile(r"(\d{1,9})([.)])\s+")
SIGN = re.compile(r"(?:\(?(?:\d{1,3}|[ivxIVX]{1,5}|[a-zA-Z])[.)]|\[\w{1,6}\])\s+")
"""Other signs of items, which are kept as they are printed."""
PLAIN_SIGN = re.compile(r"\W|o|1[.)]")
NEARLY = 1
"""Characters by which the indentation of items of one depth may differ."""


@dataclass(frozen=True)
class Item:
    """An item of a list.

    Attributes:
        depth: In how many other items it is, from 0.
        text: What it says; without its sign where that is a bullet or a plain number.
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
        # A lone letter with a point is more likely somebody's name.
        if found and signed and (not sign or (signs[sign] < 2 and not PLAIN_SIGN.fullmatch(sign))):
            last = found[-1]
            joined = run_on((last.text, row))
            found[-1] = Item(last.depth, joined, last.number, last.bullet)
            continue
        indent = indent_of(row.text)
        while indents and indent < indents[-1] - NEARLY:
            indents.pop()
        if not indents or indent > indents[-1] + NEARLY:
            indents.append(indent)
        bullet, number = BULLET.match(f"{text} "), NUMBER.match(f"{text} ")
        end = next((match.end() for match in (bullet, number) if match), 0)
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
    for sign in (BULLET, NUMBER, SIGN):
        match = sign.match(text)
        if match and sign is BULLET:
            return match.group().strip()
        if match:
            return re.sub(r"\d+", "1", re.sub(r"[^\W\d]+", "a", match.group().strip()))
    return ""
