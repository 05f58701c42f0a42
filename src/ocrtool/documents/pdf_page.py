"""A page of a PDF to blocks: from its own text, from its image by OCR, or from both."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import Region
from ocrtool.document.tree import Box, Line, Page, Quad
from ocrtool.documents import PageResult, Route
from ocrtool.documents.figures import with_figures
from ocrtool.documents.glyph_recovery import meanings, worth_reading
from ocrtool.documents.rotation import upright
from ocrtool.documents.text_quality import (
    Judgement,
    hide,
    is_nonsense,
    is_other_alphabet,
    is_unreadable,
    judge,
)
from ocrtool.inputs.page_source import PdfPage
from ocrtool.options import OcrChoice
from ocrtool.pages.formulas import with_latex
from ocrtool.pdf.file import POINTS_PER_INCH
from ocrtool.pdf.fonts import UNKNOWN
from ocrtool.pdf.glyph_names import replace_unmapped
from ocrtool.pdf.images import PlacedImage, placed_images
from ocrtool.pdf.native import NativePage
from ocrtool.preprocess.lines import cut_box, cut_line
from ocrtool.structure.native import assemble_native

if TYPE_CHECKING:
    from ocrtool.documents.page import PageConverter
    from ocrtool.pages.recognise import FoundPage

MAX_READ_PIXELS = 16_000_000
"""Maximum number of pixels of a page that is read; larger pages are drawn at a lower resolution."""
MAX_PREVIEW_PIXELS = 4_000_000
"""Maximum number of pixels of a page that is only inspected for its kind."""
MIN_SCAN_DPI = 150.0
"""Minimum resolution, in pixels an inch, at which scans are read."""
SMALL_PAGE_SIDE = 1500
"""Length of the longer side, in pixels, below which a scan is read at its own resolution."""
MAX_SMALL_PAGE_SIDE = 2500
"""Maximum length of the longer side, in pixels, of such a small page when it is read."""
MIN_PAGE_CONFIDENCE = 0.6
"""Mean word confidence of a page below which its reading is not trusted."""
MAX_OVERLAP = 0.5
"""Share of a read line covered by the page's own words at which it is dropped as a duplicate."""
MIN_TEXT_COVER = 0.12
"""Share of an image covered by lines at which it is text rather than a figure."""
AREA_MARGIN = 0.03
"""Margin round a part of the page that is read, in inches."""

logger = logging.getLogger(__name__)


def convert_pdf_page(
    converter: PageConverter, source: PdfPage, dpi: float, found: FoundPage | None = None
) -> PageResult:
    """Convert a page of a PDF.

    Args:
        converter: Options and models.
        source: The page.
        dpi: Pixels an inch of the geometry, and of the image where the page is read by OCR. Huge
            pages and scans of lower resolution take less, see ``Page.dpi`` of the result.
        found: The lines of ``source.pixels``, where they have been found already.

    Raises:
        InputError: The page is damaged.
        ModelError: There is no such model, or it is damaged.
    """
    return _Conversion(converter, source, dpi, found).result()


class _Conversion:
    """State of the conversion of one page."""

    def __init__(
        self, converter: PageConverter, source: PdfPage, dpi: float, found: FoundPage | None
    ) -> None:
        self.converter = converter
        self.found = found
        self.options = converter.options
        self.source = source
        self.file = source.pdf
        self.index = source.index
        self.warnings: list[str] = []
        self.size = self.file.size(self.index)
        self.dpi = self._capped(dpi, MAX_READ_PIXELS)
        self._images: list[PlacedImage] | None = None

    def result(self) -> PageResult:
        """Return the page."""
        native = self.source.native(self.dpi)
        if self.file.is_incomplete(self.index):
            self.warnings.append("the content of the page is damaged; some of it may be missing")
        if self.options.ocr is OcrChoice.ALWAYS:
            scan = judge(replace(native, lines=()), self._look)
            judgement = replace(scan, warnings=())
        elif self.options.ocr is OcrChoice.NEVER:
            judgement, native = _as_it_is(native)
        else:
            judgement = judge(native, self._look)
        self.warnings += judgement.warnings
        if judgement.route == "ocr":
            return self._read(native, judgement)
        if judgement.route == "mixed":
            return self._mixed(native, judgement)
        page = self._assembled(self._with_glyphs(native))
        text = any(block.lines for block in page.blocks)
        return self._done(page, "native" if text else "blank")

    def _assembled(
        self, native: NativePage, extra: Sequence[Line] = (), regions: Sequence[Region] = ()
    ) -> Page:
        """Return the page by its own text, and by what was read beside it."""

        def in_order(native: NativePage) -> Page:
            return assemble_native(
                self.index + 1, native, self.converter.assembling, extra, regions
            )

        letters = sum(len(UNKNOWN.findall(line.text)) for line in native.lines)
        if letters:
            self.warnings.append(f"the file does not tell what {letters} of its letters mean")
            lines = (replace_unmapped(line, lambda _: "\ufffd") for line in native.lines)
            native = replace(native, lines=tuple(lines))
        # What was read beside it is not turned: then all is taken as it stands.
        page = in_order(native) if extra else upright(native, in_order)
        return replace(page, dpi=native.dpi)

    def _with_glyphs(self, native: NativePage) -> NativePage:
        """Read from the picture what glyphs mean whose characters the file does not tell.

        What other pages would tell is not asked, so that a page is the same whoever converts it,
        and when.
        """
        chosen = worth_reading(native.lines) if self.options.ocr is not OcrChoice.NEVER else []
        if not chosen:
            return native
        pixels = self.file.rasterise(self.index, self.dpi)
        crops = [("", cut_line(pixels, line.quad)) for line in chosen]
        said = self.converter.area_reader.lines.read_stream(crops)
        found = meanings(
            (line.text, result.text) for line, result in zip(chosen, said, strict=True)
        )
        lines = (
            replace_unmapped(line, lambda glyph: found.get(glyph, glyph)) for line in native.lines
        )
        return replace(native, lines=tuple(lines))

    def _read(self, native: NativePage, judgement: Judgement) -> PageResult:
        """Read the page from its picture."""
        number = self.index + 1
        wanted = self._scan_dpi() if judgement.scan else self.dpi
        self.dpi = self._capped(wanted, MAX_READ_PIXELS, tell=True)
        self._images = None
        pixels = self.file.rasterise(self.index, self.dpi)
        page = self.converter.read(pixels, number, self.dpi, self.found)
        if page.warning:
            self.warnings.append(page.warning)
        words = any(line.words for block in page.blocks for line in block.lines)
        if judgement.scan or native.hidden:
            instead = self._unseen_instead(native, page)
            if instead is not None:
                return self._done(instead, "native")
        if words and page.confidence < MIN_PAGE_CONFIDENCE:
            self.warnings.append(f"could hardly be read (confidence {page.confidence:.2f})")
        if not words and native.lines and not native.pictures:
            # Better what the file says than nothing.
            self.dpi = native.dpi
            return self._done(self._assembled(native), "native")
        route: Route = "ocr" if page.blocks else "blank"
        return self._done(page, route)

    def _unseen_instead(self, native: NativePage, page: Page) -> Page | None:
        """Return the page by its unseen text where its own reading is worse."""
        text = " ".join(line.text for line in native.hidden)
        if len(text) < 40 or is_unreadable(text) or is_nonsense([text]):
            return None
        other = is_other_alphabet(text)
        words = any(line.words for block in page.blocks for line in block.lines)
        if not other and words and page.confidence >= MIN_PAGE_CONFIDENCE:
            return None
        why = "in an alphabet that is not read" if other else "could hardly be read"
        self.warnings.append(f"{why}; the unseen text of the file is taken")
        self.dpi = native.dpi
        self._images = None
        seen = replace(native, lines=(*native.lines, *native.hidden), hidden=())
        return self._assembled(seen)

    def _mixed(self, native: NativePage, judgement: Judgement) -> PageResult:
        """Take the page's own text, and read what its pictures show beside it."""
        kept = tuple(line for i, line in enumerate(native.lines) if i not in judgement.bad)
        pixels = self.file.rasterise(self.index, self.dpi)
        hide(pixels, kept, 1.0)
        extra: list[Line] = []
        regions: list[Region] = []
        shown: list[Box] = list(native.pictures)
        read = False
        for area in judgement.areas:
            lines, found = self._read_area(pixels, area, kept)
            covered = sum(line.box.area for line in lines)
            if covered >= MIN_TEXT_COVER * area.area:
                shown = [box for box in shown if box.share_in(area) < 0.9]
                regions += found
            extra += lines
            read |= bool(lines)
        if not read and not judgement.bad:
            kept = native.lines
        native = self._with_glyphs(replace(native, lines=kept, pictures=tuple(shown)))
        page = self._assembled(native, extra, regions)
        return self._done(page, "mixed" if read else "native")

    def _read_area(
        self, pixels: NDArray[np.uint8], area: Box, kept: Sequence[Line]
    ) -> tuple[list[Line], list[Region]]:
        """Return the lines in a part of the page that do not stand in its own text, and tables."""
        margin = AREA_MARGIN * self.dpi
        height, width = pixels.shape[:2]
        box = area.expanded(margin).clipped(width, height)
        box = replace(box, x0=math.floor(box.x0), y0=math.floor(box.y0))
        page = self.converter.area_reader.read(
            np.ascontiguousarray(cut_box(pixels, box)), 1, self.dpi
        )
        own = [word.box for line in kept for word in line.words]
        lines = [
            moved
            for block in page.blocks
            for moved in (_moved(line, box.x0, box.y0) for line in block.lines)
            if sum(moved.box.share_in(other) for other in own) < MAX_OVERLAP
        ]
        regions = [
            Region("table", block.box.moved(box.x0, box.y0), 1.0)
            for block in page.blocks
            if block.kind == "table"
        ]
        return lines, regions

    def _done(self, page: Page, route: Route) -> PageResult:
        if route == "blank" and not self.warnings and self.file.document.is_repaired:
            self.warnings.append("is blank, but the file was damaged; its content may be lost")
        files: dict[str, bytes] = {}
        formulas = self.converter.formulas
        if formulas is not None and route != "ocr" and not page.turned:
            page = with_latex(page, lambda box: self._cut(box, page.dpi), formulas)
        if self.options.pictures and any(block.kind == "figure" for block in page.blocks):
            images = placed_images(self.file, self.index, page.dpi)
            page, files = with_figures(page, images, self._cut)
        return PageResult(page, route, tuple(self.warnings), files)

    def _cut(self, box: Box, dpi: float) -> NDArray[np.uint8]:
        return self.file.rasterise(self.index, dpi, box.scaled(dpi / self.dpi))

    def _look(self, dpi: float) -> NDArray[np.uint8]:
        """Return the page in grey; a huge one is drawn at less dots an inch."""
        pixels = self.file.rasterise(self.index, self._capped(dpi, MAX_PREVIEW_PIXELS))
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)

    def _scan_dpi(self) -> float:
        """Return at how many dots an inch a scan is read: no more than it has."""
        images = self._placed()
        if not images:
            return self.dpi
        # A scan may be kept as a coarse ground and a sharp mask with the letters.
        least = 0.5 * max(image.box.area for image in images)
        own = max(image.dpi for image in images if image.box.area >= least)
        longer = max(self.size) * self.dpi / POINTS_PER_INCH
        if own > self.dpi and longer < SMALL_PAGE_SIDE:
            return min(own, max(self.dpi, MAX_SMALL_PAGE_SIDE * POINTS_PER_INCH / max(self.size)))
        return min(self.dpi, max(MIN_SCAN_DPI, own))

    def _placed(self) -> list[PlacedImage]:
        if self._images is None:
            self._images = placed_images(self.file, self.index, self.dpi, content=False)
        return self._images

    def _capped(self, dpi: float, most: int, tell: bool = False) -> float:
        """Return a resolution at which the page has no more than so many pixels."""
        width, height = (side / POINTS_PER_INCH for side in self.size)
        if width * height * dpi**2 <= most:
            return dpi
        less = max(1.0, math.floor(math.sqrt(most / (width * height))))
        if tell:
            self.warnings.append(
                f"a page of {width:.0f} by {height:.0f} inches, drawn at {less:g} dpi"
            )
        return less


def _as_it_is(native: NativePage) -> tuple[Judgement, NativePage]:
    """Return a page whose text is taken whatever it is like; of a scan, the unseen text."""
    if not native.lines and native.hidden:
        return Judgement("native"), replace(native, lines=native.hidden, hidden=())
    warnings = () if native.lines else ("has no text of its own; its picture was not read",)
    if not native.lines and not native.pictures and not native.drawings:
        warnings = ()
    return Judgement("native" if native.lines else "blank", warnings=warnings), native


def _moved(line: Line, x: float, y: float) -> Line:
    def quad(given: Quad) -> Quad:
        a, b, c, d = ((px + x, py + y) for px, py in given)
        return a, b, c, d

    words = tuple(replace(word, quad=quad(word.quad)) for word in line.words)
    return replace(line, quad=quad(line.quad), words=words)
