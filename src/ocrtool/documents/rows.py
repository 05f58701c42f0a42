"""Rows of a page: lines side by side, whichever blocks they belong to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ocrtool.document.geometry import direction
from ocrtool.document.tree import Block, Box, Line, Page

POINTS = 72.0
"""Points per inch."""


@dataclass(frozen=True)
class PageRow:
    """Lines side by side.

    Attributes:
        places: Of each line, from left to right: the index of its block and its own in that.
        lines: The lines.
    """

    places: tuple[tuple[int, int], ...]
    lines: tuple[Line, ...]

    @cached_property
    def text(self) -> str:
        """What it says."""
        return " ".join(line.text for line in self.lines)

    @cached_property
    def box(self) -> Box:
        """Where it stands, in pixels."""
        return Box.around(line.quad for line in self.lines)

    @property
    def middle(self) -> float:
        """Half way down it, in pixels."""
        return self.box.center_y


def rows_of_page(page: Page, wanted: Callable[[Block], bool]) -> list[PageRow]:
    """Return the rows of a page from top to bottom; lines that are not level are left out.

    Args:
        page: The page.
        wanted: Tells the blocks whose lines are wanted.
    """
    found = [
        (line.box, (i, k), line)
        for i, block in enumerate(page.blocks)
        if wanted(block)
        for k, line in enumerate(block.lines)
        if is_level(line)
    ]
    found.sort(key=lambda item: item[0].y0 + item[0].y1)
    groups: list[list[tuple[Box, tuple[int, int], Line]]] = []
    for item in found:
        box = item[0]
        middle = box.center_y
        last = groups[-1][0][0] if groups else None
        if last is not None and last.y0 < middle < last.y1 and last.center_y > box.y0:
            groups[-1].append(item)
        else:
            groups.append([item])
    rows = []
    for group in groups:
        group.sort(key=lambda item: item[0].x0)
        rows.append(
            PageRow(tuple(place for _, place, _ in group), tuple(line for *_, line in group))
        )
    return rows


def is_level(line: Line) -> bool:
    """Tell whether a line reads across the page, not up or down it."""
    return abs(direction(line.quad)[1]) < 0.2


def size_of(lines: Sequence[Line], page: Page) -> float:
    """Return the size of the type of most letters, in points; 0 where there are none.

    Where the file does not tell it, it is estimated, and may be wrong by a tenth.
    """
    if not lines:
        return 0.0
    sizes = sorted((line.size or estimated_size(line), len(line.text)) for line in lines)
    half = sum(count for _, count in sizes) / 2
    sums = itertools.accumulate(count for _, count in sizes)
    size = next(size for (size, _), total in zip(sizes, sums, strict=True) if total >= half)
    return size * POINTS / page.dpi if page.dpi else size * 842.0 / max(page.height, 1)


def estimated_size(line: Line) -> float:
    """Estimate the size of the type of a line from its box, in pixels."""
    import numpy as np

    from ocrtool.reading_order.rows import type_size

    box = line.box
    return type_size(line.text, np.array([box.x0, box.y0, box.x1, box.y1], np.float32))


def is_exact(block: Block) -> bool:
    """Tell whether the file tells the size of a block's type."""
    return any(line.size for line in block.lines)
