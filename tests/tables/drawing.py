"""PDFs drawn for the tests, and how they are read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pymupdf

from ocrtool.document.tree import Block, Page
from ocrtool.pdf import PdfFile
from ocrtool.pdf.native import NativePage, native_page
from ocrtool.structure.native import assemble_native

PROSE = (
    "The committee met on Tuesday and talked about the results that are shown below in some detail,"
    " as every year in the last week of May. It was agreed that the figures are good enough, and"
    " that nobody has to be asked again before the next meeting, which will be held in autumn. "
)


class Sheet:
    """A page to draw on, in points, origin top left."""

    def __init__(self, width: float = 595, height: float = 842) -> None:
        self.document = pymupdf.open()
        self.page = self.document.new_page(width=width, height=height)

    def put(self, x: float, y: float, text: str, size: float = 10, font: str = "helv") -> float:
        """Set a line with its foot at ``y``; return where it ends."""
        self.page.insert_text((x, y), text, fontsize=size, fontname=font)
        return x + pymupdf.get_text_length(text, font, size)

    def prose(
        self,
        x: float,
        y: float,
        width: float,
        lines: int,
        size: float = 10,
        font: str = "helv",
        text: str = PROSE,
    ) -> float:
        """Set lines of running text; return where the next one would stand."""
        words = itertools.cycle(text.split())
        word = next(words)
        for _ in range(lines):
            line, word = word, next(words)
            while pymupdf.get_text_length(f"{line} {word}", font, size) < width:
                line, word = f"{line} {word}", next(words)
            self.put(x, y, line, size, font)
            y += 1.25 * size
        return y

    def rule(self, x0: float, y0: float, x1: float, y1: float, width: float = 0.7) -> None:
        self.page.draw_line((x0, y0), (x1, y1), width=width)

    def fill(self, x0: float, y0: float, x1: float, y1: float, grey: float = 0.85) -> None:
        self.page.draw_rect((x0, y0, x1, y1), color=None, fill=(grey,) * 3)

    def save(self, folder: Path) -> Path:
        path = folder / "drawn.pdf"
        self.document.save(str(path))
        return path

    def native(self, folder: Path) -> NativePage:
        with PdfFile(self.save(folder)) as file:
            return native_page(file, 0, 200)

    def read(self, folder: Path) -> Page:
        return assemble_native(1, self.native(folder))


Grid = list[tuple[int, int, int, int, str]]


def cells(block: Block) -> Grid:
    """Row, column, spans and text of the cells that hold text."""
    return [
        (c.row, c.column, c.row_span, c.column_span, " ".join(line.text for line in c.lines))
        for c in block.cells
        if c.lines
    ]


def plain(rows: Sequence[Sequence[str]]) -> Grid:
    """The same of a table without merged cells."""
    return [(i, k, 1, 1, text) for i, row in enumerate(rows) for k, text in enumerate(row) if text]


def draw_rows(
    sheet: Sheet,
    rows: Sequence[Sequence[str]],
    edges: Sequence[float],
    y: float,
    step: float = 18,
    right: Callable[[int], bool] = lambda k: False,
) -> float:
    """Set rows of cells between the edges of columns; return where the next one would begin."""
    for i, row in enumerate(rows):
        font = "hebo" if i == 0 else "helv"
        for k, text in enumerate(row):
            x = edges[k] + 5
            if right(k):
                x = edges[k + 1] - 5 - pymupdf.get_text_length(text, font, 10)
            sheet.put(x, y + 12, text, font=font)
        y += step
    return y
