"""Bold type that tells nothing, as most of the document is set in it."""

from __future__ import annotations

from dataclasses import replace

from ocrtool.document.tree import Block, Line, Page, Span

MOSTLY = 0.6
"""Share of a document's letters from which a way of setting is that of the whole."""


class BoldBody:
    """Learns from all pages how much of a document is bold, then takes it for plain if most is."""

    def __init__(self) -> None:
        self._letters = 0
        self._bold = 0

    def observe(self, page: Page) -> None:
        """Take in the next page."""
        for block in page.blocks:
            for line in block.lines:
                self._letters += len(line.text)
                self._bold += sum(span.end - span.start for span in line.spans if span.bold)

    def apply(self, page: Page) -> Page:
        """Return a page without bold type, where that tells nothing."""
        if self._bold <= MOSTLY * self._letters:
            return page
        return replace(page, blocks=tuple(_plain(block) for block in page.blocks))


def _plain(block: Block) -> Block:
    cells = tuple(
        replace(cell, lines=tuple(_plain_line(line) for line in cell.lines)) for cell in block.cells
    )
    return replace(block, lines=tuple(_plain_line(line) for line in block.lines), cells=cells)


def _plain_line(line: Line) -> Line:
    spans = [replace(span, bold=False) for span in line.spans]
    return replace(line, spans=tuple(span for span in spans if span != Span(span.start, span.end)))
