"""Logos: small pictures that recur at one position at the edge of most pages."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ocrtool.document.tree import Block, Page

EDGE = 0.2
"""Share of the page height, at the top and bottom, and of the page width in which logos are
searched."""
LARGEST = 0.06
"""Maximum area of a logo as a share of the page area."""
STEPS = 100
"""Number of quantisation steps of a position along each side of the page."""
LEAST, MOST = 3, 0.6
"""Minimum number of pages with the picture, and minimum share of all pages."""
KEPT = 2000
"""Maximum number of counted positions; above it, positions with a single picture are dropped."""

Place = tuple[int, int, int, int]


class Logos:
    """Learns from all pages of a document which pictures are logos, then tells them."""

    def __init__(self) -> None:
        self._pages = 0
        self._counts: Counter[Place] = Counter()

    def observe(self, page: Page) -> None:
        """Take in the next page."""
        self._pages += 1
        self._counts.update({place for block in page.blocks if (place := _place(block, page))})
        if len(self._counts) > KEPT:
            self._counts = Counter({p: count for p, count in self._counts.items() if count > 1})

    def apply(self, page: Page) -> Page:
        """Return a page with its logos told from its figures, as parts of its head or foot."""
        return replace(page, blocks=tuple(self._told(block, page) for block in page.blocks))

    def _told(self, block: Block, page: Page) -> Block:
        place = _place(block, page)
        if place is None or self._counts[place] < max(LEAST, MOST * self._pages):
            return block
        low = block.box.y0 + block.box.y1 > page.height
        return replace(block, kind="footer" if low else "header")


def _place(block: Block, page: Page) -> Place | None:
    """Return where a picture stands that may be a logo."""
    box, width, height = block.box, max(page.width, 1), max(page.height, 1)
    if block.kind != "figure" or block.lines:
        return None
    if box.area > LARGEST * width * height:
        return None
    level = box.y1 < EDGE * height or box.y0 > (1 - EDGE) * height
    upright = box.x1 < EDGE * width or box.x0 > (1 - EDGE) * width
    if not level and not upright:
        return None
    across, down = STEPS / width, STEPS / height
    return (
        round(box.x0 * across),
        round(box.y0 * down),
        round(box.x1 * across),
        round(box.y1 * down),
    )
