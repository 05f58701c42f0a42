"""Searchable PDFs: pictures or pages as they are, with text laid over them that is not seen."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

from ocrtool.errors import OutputError
from ocrtool.pdf.file import METADATA_FIELDS, PdfFile, reason
from ocrtool.pdf.invisible_text import InvisibleFont, Run, lay_text

PAGES_HELD = 32
"""Pages of a PDF that are held in memory before they are written out."""
ORIENTATION = 0x0112
"""The EXIF tag that tells how a camera was held."""

logger = logging.getLogger(__name__)


class PdfMaker:
    """Makes a PDF of pictures with unseen text; no more than some pages are in memory at a time.

    Raises:
        OutputError: There is no room for temporary files.
    """

    def __init__(self) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix="ocrtool-", ignore_cleanup_errors=True
            )
        except OSError as error:
            raise OutputError(f"no temporary files can be made: {error.strerror}") from None
        self._path = Path(self._folder.name) / "pages.pdf"
        self._document = pymupdf.open()
        self._font = InvisibleFont(self._document)
        self._unsaved = 0

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """Store title, author, subject and keywords; other metadata has no place in a PDF."""
        known = {name: metadata[name] for name in METADATA_FIELDS if name in metadata}
        self._document.set_metadata({**known, "creator": "ocrtool"})

    def add_image(
        self, file: bytes | None, pixels: NDArray[np.uint8], size: tuple[float, float]
    ) -> None:
        """Begin a page with an image.

        JPEG and JPEG 2000 are embedded as they are, other formats that MuPDF reads without loss.

        Args:
            file: Content of the image file, where there is one of the image alone.
            pixels: (H, W, 3) RGB, uint8, upright; taken where the file cannot be.
            size: Width and height of the page in points, upright.
        """
        turned = _turned(file) if file else None
        if turned in (90, 270):
            size = size[1], size[0]
        page = self._next(lambda: self._document.new_page(width=size[0], height=size[1]))
        if turned is not None:
            try:
                page.insert_image(page.rect, stream=file, keep_proportion=False)
                page.set_rotation(turned)
                return
            except Exception as error:  # a format that MuPDF lacks, or a damaged file
                logger.debug("the image is embedded by its pixels: %s", reason(error))
        if turned in (90, 270):
            page.set_mediabox(pymupdf.Rect(0, 0, size[1], size[0]))
        grey = bool((pixels == pixels[..., :1]).all())
        samples = pixels[..., 0] if grey else pixels
        space = pymupdf.csGRAY if grey else pymupdf.csRGB
        height, width = pixels.shape[:2]
        pixmap = pymupdf.Pixmap(space, width, height, samples.tobytes(), False)
        page.insert_image(page.rect, pixmap=pixmap, keep_proportion=False)

    def add_page(self, source: PdfFile, index: int) -> None:
        """Begin a page with a page of another PDF, as it is.

        Raises:
            InputError: The page is damaged so that it cannot be copied; nothing is begun.
        """
        try:
            page = self._next(
                lambda: self._document.insert_pdf(source.document, from_page=index, to_page=index)
            )
            page.wrap_contents()
        except OutputError:
            raise
        except Exception as error:
            raise source.damaged(index, error) from None

    def add_text(self, runs: Iterable[Run], width: int, height: int) -> None:
        """Lay text over the last page.

        Args:
            runs: The text in reading order.
            width: Of the page's picture, in whose pixels the runs are.
            height: Likewise.
        """
        lay_text(self._font, self._document[-1], runs, width, height)

    def finish(self, write: Callable[[bytes], object]) -> None:
        """Hand on the content of the file, and end.

        Raises:
            OutputError: There are no pages, or no room for temporary files.
        """
        with self._folder:
            if self._document.page_count == 0:
                raise OutputError("a PDF without pages cannot be written")
            self._font.complete()
            self._save()
            self._document.close()
            with self._path.open("rb") as file:
                while content := file.read(1 << 20):
                    write(content)

    def _next(self, make: Callable[[], object]) -> pymupdf.Page:
        """Make a page, after the pages before it have gone to disk if they are many."""
        if self._unsaved == PAGES_HELD:
            self._save()
            self._document.close()  # only so does MuPDF let go of what it holds
            self._document = self._font.document = pymupdf.open(self._path)
            pymupdf.TOOLS.store_shrink(100)
            self._unsaved = 0
        make()
        self._unsaved += 1
        return self._document[-1]

    def _save(self) -> None:
        options = {"incremental": True, "encryption": pymupdf.PDF_ENCRYPT_KEEP}
        try:
            self._document.save(
                str(self._path), deflate=True, **(options if self._path.exists() else {})
            )
        except Exception as error:
            raise OutputError(f"temporary files cannot be written ({reason(error)})") from None


def _turned(file: bytes) -> int | None:
    """Return by how many degrees, clockwise, a reader must turn an image file to show it upright.

    None where it must be mirrored, too, or is no image: a page of a PDF cannot say that.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(file)) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:
        return None
    return {1: 0, 3: 180, 6: 90, 8: 270}.get(orientation)
