"""A searchable PDF: pictures or pages as they are, under text that is there but not seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from ocrtool.document.line_metrics import direction, height, words_of
from ocrtool.document.tree import Line, Page, Quad
from ocrtool.errors import InputError
from ocrtool.inputs.page_source import PageSource, PdfPage
from ocrtool.pdf import POINTS_PER_INCH, PdfLayer, PdfMaker, TextRun
from ocrtool.writers.page_input import PageInput

A4 = 595.0, 842.0
"""Width and height, in points, of the page that stands for a damaged one."""
LONG_SIDE = A4[1]
"""Longer side, in points, of the page of an image of unknown resolution."""
LEAST_GAP = 0.1
"""Width of the space between words that touch or overlap, in heights of the line."""

logger = logging.getLogger(__name__)


class SearchablePdf:
    """Writes a PDF; see :class:`ocrtool.writers.page_input.PageWriter`.

    Args:
        write: Takes the content of the file, all of it at the end.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._maker: PdfMaker | None = None
        self._layer: PdfLayer | None = None

    def add(self, sheet: PageInput) -> None:
        """Write the next page.

        Raises:
            ValueError: The sheet has no picture and no original.
            InputError: The original is damaged.
            OutputError: There is no room for temporary files.
        """
        picture, page = sheet.picture, sheet.page
        if sheet.original is not None:
            self._layer = self._layer or PdfLayer(sheet.original)
            self._layer.add_page(page.number - 1)
            self._layer.add_text(page_runs(page, read=True), page.width, page.height)
            return
        if picture is None and not page.error:
            raise ValueError("a searchable PDF shows the pictures of its pages")
        if self._maker is None:
            self._maker = PdfMaker()
            self._maker.set_metadata(sheet.metadata)
        if picture is None:
            self._maker.add_blank(*A4)
            return
        copied = self._copies(self._maker, picture, page)
        if not copied:
            self._add_image(self._maker, picture, page)
        self._maker.add_text(page_runs(page, read=copied), page.width, page.height)

    def _copies(self, maker: PdfMaker, picture: PageSource, page: Page) -> bool:
        """Copy a page of a PDF, with its own text; tell whether that could be done."""
        if not isinstance(picture, PdfPage):
            return False
        try:
            maker.add_page(picture.pdf, page.number - 1)
        except InputError as error:  # it could be drawn all the same
            logger.info("%s; its picture is taken", error)
            return False
        return True

    def _add_image(self, maker: PdfMaker, picture: PageSource, page: Page) -> None:
        scale = POINTS_PER_INCH / page.dpi if page.dpi else LONG_SIDE / max(page.width, page.height)
        size = page.width * scale, page.height * scale
        maker.add_image(picture.file, picture.pixels, size)

    def finish(self) -> None:
        """Complete the file and write it.

        Raises:
            OutputError: There are no pages, or there is no room for temporary files.
        """
        (self._layer or self._maker or PdfMaker()).finish(self._write)


def page_runs(page: Page, read: bool = False) -> Iterator[TextRun]:
    """Return a page's words in reading order, with the spaces between them.

    Args:
        page: What was read.
        read: Whether lines that are the file's own text, whose size it tells, are left out.
    """
    for block in page.blocks:
        for line in block.lines:
            if not (read and line.size):
                yield from line_runs(line)


def line_runs(line: Line) -> Iterator[TextRun]:
    """Return a line's words, and the spaces that fill the gaps up to the next.

    All stand on the foot of the line and are as high as it is, so that readers of the PDF see
    one line; each is as wide as its word.
    """
    x, y = direction(line.quad)
    origin_x, origin_y = line.quad[3]

    def extent(quad: Quad) -> tuple[float, float]:
        places = [(px - origin_x) * x + (py - origin_y) * y for px, py in quad]
        return min(places), max(places)

    def run(text: str, start: float, width: float) -> TextRun:
        foot = origin_x + start * x, origin_y + start * y
        return TextRun(text, foot, (x, y), width, size)

    size = height(line.quad)
    end: float | None = None
    for word in words_of(line):
        if not word.text:
            continue
        start, word_end = extent(word.quad)
        if end is not None:
            yield run(" ", end, max(start - end, LEAST_GAP * size))
        yield run(word.text, start, max(word_end - start, 1.0))
        end = word_end
