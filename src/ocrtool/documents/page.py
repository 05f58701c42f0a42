"""A page, whatever it came from, to blocks: an image by OCR, a page of a PDF by its own text, too.

::

    converter = PageConverter(options)
    for source, result in converter.convert_stream(open_pages(path)):
        ...
"""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.tree import Box, Page
from ocrtool.documents import PageResult
from ocrtool.errors import InputError
from ocrtool.inputs.page_source import PDF_DPI, ImagePage, PageSource, PdfPage
from ocrtool.options import ORDERS, FormulaChoice, LayoutMode, OcrChoice, PageOptions
from ocrtool.preprocess.lines import cut_box
from ocrtool.readers import formula_reader
from ocrtool.structure import AssembleOptions

if TYPE_CHECKING:
    from ocrtool.pages.reader import PageReader
    from ocrtool.pages.recognise import FoundPage
    from ocrtool.readers import ReadsFormulas, ReadsPages

logger = logging.getLogger(__name__)


class PageConverter:
    """Converts pages; loads its models when the first page has to be read, and keeps them.

    Args:
        options: How pages are read.
        formulas: Returns the reader of displayed formulas; without it, the bundled one.

    Attributes:
        known: Words of the pages of a document that were converted by ``convert_stream``, by which
            words that are split at line ends are joined.
    """

    def __init__(
        self,
        options: PageOptions | None = None,
        formulas: Callable[[], ReadsFormulas] | None = None,
    ) -> None:
        self.options = options or PageOptions()
        order = ORDERS[self.options.layout]
        self.assembling = AssembleOptions(hyphens=self.options.hyphens.value, order=order)
        latex = self.options.formulas is FormulaChoice.LATEX
        seen = latex and self.options.ocr is not OcrChoice.NEVER
        wanted = formulas or formula_reader(self.options.reading)
        self.formulas = wanted if seen else None
        self.known: set[str] = set()

    @cached_property
    def reader(self) -> ReadsPages:
        """Reader of images of pages.

        Raises:
            ModelError: There is no such model, or it is damaged.
            MissingDependencyError: The engine is not installed.
            DeviceError: The device that is asked for cannot be used.
        """
        from ocrtool.pages import open_pages

        lone = self.options.layout is LayoutMode.AUTO
        return open_pages(self.options.reading, self.assembling, lone, self.formulas)

    @cached_property
    def area_reader(self) -> PageReader:
        """Reader of parts of pages: a published model of whole pages gives no geometry.

        Raises:
            ModelError: There is no such model, or it is damaged.
            MissingDependencyError: The engine is not installed.
            DeviceError: The device that is asked for cannot be used.
        """
        from ocrtool.pages.reader import PageReader

        if not isinstance(self.reader, PageReader):
            return PageReader(replace(self.options.reading, model=None), self.assembling)
        reader = copy.copy(self.reader)
        reader.lone_lines, reader.formulas = False, None
        return reader

    def convert(
        self, source: PageSource, dpi: float = PDF_DPI, found: FoundPage | None = None
    ) -> PageResult:
        """Convert a page.

        Args:
            source: The page.
            dpi: Pixels an inch of the geometry of a page of a PDF, and at which it is drawn where
                it is read. The geometry of an image is in its own pixels.
            found: The lines of ``source.pixels``, where they have been found already.

        Returns:
            The result; a damaged page is empty and has an ``error``.

        Raises:
            ModelError: There is no such model, or it is damaged.
        """
        try:
            return self._convert(source, dpi, found)
        except InputError as error:
            name = source.pdf.name if isinstance(source, PdfPage) else ""
            message = error.message.removeprefix(f"{name}: ")
            message = message.removeprefix(f"page {source.number} ").removeprefix("is ")
            return PageResult(Page(source.number, 0, 0, error=message), "blank")

    def _convert(self, source: PageSource, dpi: float, found: FoundPage | None) -> PageResult:
        if isinstance(source, PdfPage):
            from ocrtool.documents.pdf_page import convert_pdf_page

            return convert_pdf_page(self, source, dpi, found)
        if self.options.ocr is OcrChoice.NEVER:
            height, width = source.pixels.shape[:2]
            page = Page(source.number, width, height, dpi=source.dpi)
            warning = "has no text of its own; its picture was not read"
            return PageResult(page, "blank", (warning,))
        page = self.read(source.pixels, source.number, source.dpi, found)
        return self._image_result(source, page)

    def read(
        self, image: NDArray[np.uint8], number: int, dpi: float, found: FoundPage | None = None
    ) -> Page:
        """Read the image of a page; lines that were found on an image of this size are reused."""
        from ocrtool.pages.reader import PageReader

        reader = self.reader
        if isinstance(reader, PageReader) and found and found.image.shape == image.shape:
            return reader.read_found(found, number, dpi, self.known)
        return reader.read(image, number, dpi, self.known)

    def convert_stream(
        self, sources: Iterable[PageSource]
    ) -> Iterator[tuple[PageSource, PageResult]]:
        """Convert the pages of a document in their order; images share batches on a GPU.

        Raises:
            ModelError: There is no such model, or it is damaged.
        """
        self.known.clear()
        for source, result in self._stream(sources):
            if self.assembling.hyphens == "join":
                from ocrtool.document.hyphenation import words_in

                self.known |= words_in(block.text for block in result.page.blocks)
            yield source, result

    def _stream(self, sources: Iterable[PageSource]) -> Iterator[tuple[PageSource, PageResult]]:
        seen = self.options.ocr is not OcrChoice.NEVER
        for together, group in itertools.groupby(sources, lambda one: isinstance(one, ImagePage)):
            if not together or not seen:
                yield from ((source, self.convert(source)) for source in group)
            else:
                read = self.reader.read_stream(group, self.known)
                yield from ((source, self._image_result(source, page)) for source, page in read)

    def _image_result(self, source: PageSource, page: Page) -> PageResult:
        """Return the result of a page that was read from an image, its figures cut out."""
        warnings = (*source.warnings, *((page.warning,) if page.warning else ()))
        files: dict[str, bytes] = {}
        if self.options.pictures and any(block.kind == "figure" for block in page.blocks):
            from ocrtool.documents.figures import with_figures

            page, files = with_figures(page, (), lambda box, _: cut_rgb(source.pixels, box))
        return PageResult(page, "ocr" if page.blocks else "blank", warnings, files)


def cut_rgb(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return a copy of a part of an image, (H, W, 3), which may be grey."""
    pixels = image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
    return np.ascontiguousarray(cut_box(pixels, box))
