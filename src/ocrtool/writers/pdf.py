"""A searchable PDF: pictures or pages as they are, under text that is there but not seen."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ocrtool.document.geometry import direction, height, words_of
from ocrtool.document.tree import Box, Line, Page, Quad
from ocrtool.errors import InputError
from ocrtool.inputs.page_source import PageSource, PdfPage
from ocrtool.options import TextLayerChoice, WriteOptions
from ocrtool.pdf import POINTS_PER_INCH, PdfLayer, PdfMaker, TextRun
from ocrtool.writers.formats import PageInput

A4 = 595.0, 842.0
"""Width and height, in points, of the page that stands for a damaged one."""
LONG_SIDE = A4[1]
"""Longer side, in points, of the page of an image of unknown resolution."""
MAX_SPACE_OVERLAP = 0.4
"""Maximum overlap of a space and the next word, in heights of the line; beyond it, MuPDF begins a
new line."""
MIN_AGREEMENT = 0.5
"""Minimum share of the words of a text layer, or of those that were read if they are fewer, that
both have, for the layer to be kept."""

logger = logging.getLogger(__name__)


class SearchablePdf:
    """Writes a PDF; see :class:`ocrtool.writers.formats.PageWriter`.

    Args:
        write: Takes the content of the file, all of it at the end.
        options: Which of them tells what becomes of the text layer of an original.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        options: WriteOptions,
    ) -> None:
        self._write = write
        self._text_layer = options.text_layer
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
        if sheet.original is not None and self._text_layer is not TextLayerChoice.REPLACE:
            self._layer = self._layer or PdfLayer(sheet.original)
            self._layer.add_page(page.number - 1)
            self._lay(self._layer, page)
            return
        if sheet.original is not None and not page.error:
            picture = PdfPage(sheet.original, page.number, page.dpi)
        if picture is None and not page.error:
            raise ValueError("a searchable PDF shows the pictures of its pages")
        if self._maker is None:
            self._maker = PdfMaker()
            self._maker.set_metadata(sheet.metadata)
        if picture is None:
            self._maker.add_blank(*A4)
            return
        replaced = self._text_layer is TextLayerChoice.REPLACE
        if not replaced and self._copies(self._maker, picture, page):
            self._lay(self._maker, page)
            return
        self._add_image(self._maker, picture, page)
        self._maker.add_text(page_runs(page), page.width, page.height)

    def _lay(self, layer: PdfLayer | PdfMaker, page: Page) -> None:
        """Lay the lines that were read over a copied page, as its own text layer allows."""
        every = [line for block in page.blocks for line in block.lines]
        lines = [line for line in every if not line.size]
        if not lines:
            return
        own = layer.words(page.width, page.height)
        is_good = len(lines) < len(every) or agrees(lines, own)
        if self._text_layer is TextLayerChoice.KEEP and is_good:
            centres = [(box.center_x, box.center_y) for _, box in own]
            lines = [one for one in lines if not any(one.box.contains(*c) for c in centres)]
        elif own:
            layer.remove_invisible_text()
        runs = (run for line in lines for run in line_runs(line))
        layer.add_text(runs, page.width, page.height)

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


def agrees(lines: Sequence[Line], own: Sequence[tuple[str, Box]]) -> bool:
    """Tell whether a page's own words are those that were read from its image."""
    known = Counter(text.casefold() for text, _ in own)
    read = Counter(word.text.casefold() for line in lines for word in words_of(line))
    common = (known & read).total()
    return common >= MIN_AGREEMENT * min(known.total(), read.total()) > 0


def page_runs(page: Page) -> Iterator[TextRun]:
    """Return a page's words in reading order, each with the space that follows it."""
    for block in page.blocks:
        for line in block.lines:
            yield from line_runs(line)


def line_runs(line: Line) -> Iterator[TextRun]:
    """Return a line's words, each with the space that follows it.

    All stand on the foot of the line and are as high as it is, so that readers of the PDF see
    one line; each is as wide as its word. The spaces are part of the words because PDFium, the
    reader of Chrome, ignores spaces that stand alone.
    """
    x, y = direction(line.quad)
    origin_x, origin_y = line.quad[3]

    def extent(quad: Quad) -> tuple[float, float]:
        places = [(px - origin_x) * x + (py - origin_y) * y for px, py in quad]
        return min(places), max(places)

    size = height(line.quad)
    words = [word for word in words_of(line) if word.text]
    for word, following in itertools.zip_longest(words, words[1:]):
        start, end = extent(word.quad)
        foot = origin_x + start * x, origin_y + start * y
        if following is None:
            yield TextRun(word.text, foot, (x, y), max(end - start, 1.0), size)
            continue
        # The space is as wide as a letter; it may reach only a little into the next word.
        room = extent(following.quad)[0] + MAX_SPACE_OVERLAP * size - start
        width = min(end - start, room * len(word.text) / (len(word.text) + 1))
        yield TextRun(f"{word.text} ", foot, (x, y), max(width, 1.0), size)
