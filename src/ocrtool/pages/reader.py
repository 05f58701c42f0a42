"""An image of a page to its blocks, step by step.

Each step is one function of one file:

1. find: `recognise.find_lines`, boxes of lines and regions by the detector.
2. recognise: `recognise.recognise`, the text of the lines.
3. filter: `filters.text_lines`, text told from noise; `recognise.reread_doubtful`.
4. turn upright: `upright.best_orientation`, steps 1 to 3 in other orientations where the image
   reads badly; `assembly.turned_upright`.
5. assemble: `assembly.with_missed_cells`, `assembly.assembled`, blocks in reading order.
"""

from __future__ import annotations

import copy
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.tree import Page
from ocrtool.inputs.page_source import PageSource
from ocrtool.layout.detector import Detector, FindsText
from ocrtool.layout.orientation import Turn
from ocrtool.options import DetectorChoice, Order, ReadOptions
from ocrtool.pages.assembly import assembled, turned_upright, with_missed_cells
from ocrtool.pages.filters import text_lines, without_unstable
from ocrtool.pages.recognise import (
    FoundPage,
    RecognisedPage,
    find_lines,
    recognise,
    reread_doubtful,
)
from ocrtool.pages.upright import OrientedText, best_orientation, oriented
from ocrtool.readers import open_lines
from ocrtool.structure import AssembleOptions

if TYPE_CHECKING:
    from ocrtool.readers import ReadsFormulas, ReadsLines
    from ocrtool.readers.cascade import CascadeReader

logger = logging.getLogger(__name__)

OTHER_SCRIPT = (
    "most lines are doubtful; if they are not in Latin script, try --model ppocr (Chinese,"
    " Japanese) or --engine tesseract --model LANGUAGE"
)
"""Warning about a page that the bundled reader can hardly read."""
MIN_DOUBTFUL_LINES = 2
"""Minimum number of doubtful and unread lines of such a page."""
MIN_DOUBTFUL_SHARE = 0.6
"""Minimum share of doubtful and unread lines of such a page."""
PAGES_TOGETHER = 8
"""Number of pages of a document whose lines share the batches of a GPU or of a larger reader."""


def _is_doubtful(page: Page) -> bool:
    lines = sum(len(block.lines) for block in page.blocks) + page.unread_lines
    doubtful = page.doubtful_lines + page.unread_lines
    return doubtful >= max(MIN_DOUBTFUL_LINES, MIN_DOUBTFUL_SHARE * lines)


def uses_ppocr_detector(options: ReadOptions) -> bool:
    """Tell whether PP-OCR's detector finds the lines."""
    if options.detector is DetectorChoice.AUTO and options.model is not None:
        from ocrtool.weights.ppocr import PPOCR_NAMES

        return options.model in PPOCR_NAMES
    return options.detector is DetectorChoice.PPOCR


class PageReader:
    """Reads pages; keeps its models loaded.

    Args:
        options: Model of the lines, engine, device and the like.
        assembling: How lines become blocks.
        detector: Name of a bundled detector or path of a model folder.
        lone_lines: Whether a small image on which less than two lines are found is also read as
            if it were a line.
        formulas: Returns what reads displayed formulas; asked for with the first of them. Without
            it they stay text.

    Raises:
        ModelError: There is no such model, or it is damaged.
        MissingDependencyError: The engine is not installed.
        DeviceError: The device that is asked for cannot be used.
    """

    def __init__(
        self,
        options: ReadOptions | None = None,
        assembling: AssembleOptions | None = None,
        detector: str = "detector",
        lone_lines: bool = False,
        formulas: Callable[[], ReadsFormulas] | None = None,
    ) -> None:
        start = time.perf_counter()
        self.options = options or ReadOptions()
        self.lone_lines = lone_lines
        self.formulas = formulas
        self.assembling = assembling or AssembleOptions()
        asked = self.options
        # Words of low confidence are marked by the writers, not withheld by the reader.
        lines = open_lines(replace(asked, min_confidence=0.0), augment_uncertain=False)
        self.cascade: CascadeReader | None = None
        if asked.escalate is not None:
            from ocrtool.readers.cascade import CascadeReader

            # Only accepted text that is still in doubt after its second reading is escalated.
            self.cascade = lines if isinstance(lines, CascadeReader) else None
        self.lines: ReadsLines = self.cascade.first if self.cascade else lines
        self.detector: FindsText = Detector(detector, asked.engine, asked.device, asked.threads)
        if uses_ppocr_detector(asked):
            from ocrtool.layout.ppocr_detector import PpocrDetector

            self.detector = PpocrDetector(self.detector, asked.device, asked.threads)
        # A GPU reads the lines of several pages at once while the host prepares the next ones.
        self.overlapped = self.detector.device != "cpu"
        logger.info("models opened in %.0f ms", 1000 * (time.perf_counter() - start))

    def read(
        self,
        image: NDArray[np.uint8],
        number: int = 1,
        dpi: float = 0.0,
        known: Collection[str] = (),
    ) -> Page:
        """Read a page or picture in any orientation.

        Args:
            image: (H, W) grey or (H, W, 3) RGB, uint8.
            number: Of the page, from 1.
            dpi: Pixels an inch, where it is known; else 0.
            known: Words of other pages of its document; see ``AssembleOptions``.

        Returns:
            The page; all geometry in pixels of ``image`` as it is given.

        Raises:
            InputError: The array is no image.
        """
        return self.read_found(self.find(image), number, dpi, known)

    def find(self, image: NDArray[np.uint8]) -> FoundPage:
        """Find the lines of a page, which ``read_found`` reads.

        Raises:
            InputError: The array is no image.
        """
        return find_lines(image, self.detector)

    def read_found(
        self, found: FoundPage, number: int = 1, dpi: float = 0.0, known: Collection[str] = ()
    ) -> Page:
        """Read a page whose lines were found; the other arguments are those of ``read``."""
        (text,) = self._texts([found])
        return self._assembled(text, number, dpi, known)

    def read_stream(
        self, pages: Iterable[PageSource], known: Collection[str] = ()
    ) -> Iterator[tuple[PageSource, Page]]:
        """Read the pages of a document; see `ocrtool.readers.ReadsPages`."""
        together = PAGES_TOGETHER if self.cascade or self.overlapped else 1

        def find(page: PageSource) -> FoundPage:
            return find_lines(page.pixels, self.detector)

        stream: Iterator[tuple[PageSource, FoundPage]] = ((page, find(page)) for page in pages)
        if self.overlapped:
            from ocrtool.preprocess.prefetch import ahead

            stream = ahead(find, pages, PAGES_TOGETHER)
        while window := list(itertools.islice(stream, together)):
            texts = self._texts([found for _, found in window])
            for (page, _), text in zip(window, texts, strict=True):
                yield page, self._assembled(text, page.number, page.dpi, known)

    def with_order(self, order: Order) -> PageReader:
        """Return a reader with the same models and another reading order.

        Args:
            order: See ``AssembleOptions``.
        """
        other = copy.copy(self)
        other.assembling = replace(self.assembling, order=order)
        return other

    def _texts(self, found: Sequence[FoundPage]) -> Sequence[OrientedText]:
        """Return the text of images, found as they were given, in their best orientation."""
        recognised = recognise(found, self.lines)
        texts = [self._upright(page.found.image, self._filtered(page)) for page in recognised]
        if self.cascade is None:
            return texts
        from ocrtool.pages.escalation import escalate

        return escalate(texts, self.cascade, self.options.below)

    def _filtered(self, page: RecognisedPage, reread: bool = True) -> OrientedText:
        """Return the lines of a page that are text; with ``reread``, short ones are read twice."""
        lines = text_lines(page.lines, page.found.layout.regions)
        if reread:
            lines = without_unstable(reread_doubtful(page.found.image, lines, self.lines))
        return oriented(page, lines)

    def _upright(self, image: NDArray[np.uint8], given: OrientedText) -> OrientedText:
        """Return the text of an image in its best orientation, or as a single line."""

        def read(turn: Turn, most: int) -> OrientedText:
            (page,) = recognise([find_lines(image, self.detector, turn, most)], self.lines)
            return self._filtered(page, reread=not most)

        text = best_orientation(given, read)
        if not self.lone_lines or text.found >= 2:
            return text
        from ocrtool.pages.single_line import as_single_line

        return as_single_line(image, text, self.lines)

    def _assembled(
        self, text: OrientedText, number: int, dpi: float, known: Collection[str]
    ) -> Page:
        """Return the page that a text makes; the others are as of ``read``."""
        start = time.perf_counter()
        upright = with_missed_cells(turned_upright(text), self.lines)
        options = replace(self.assembling, known={*self.assembling.known, *known})
        page = assembled(upright, number, options, self.formulas)
        page = replace(page, dpi=dpi, unread_lines=max(0, text.found - len(text.lines)))
        if not self.options.model and _is_doubtful(page):
            page = replace(page, warning=OTHER_SCRIPT)
        logger.info("assembled in %.0f ms", 1000 * (time.perf_counter() - start))
        logger.info(
            "%d lines are doubtful, %d were left out", page.doubtful_lines, page.unread_lines
        )
        return page
