"""Searchable PDFs: page images or copied pages with invisible text over them."""

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

from ocrtool.document.tree import Box
from ocrtool.errors import OutputError
from ocrtool.pdf.file import METADATA_FIELDS, PdfFile, reason
from ocrtool.pdf.invisible_text import (
    InvisibleFont,
    TextRun,
    lay_text,
    remove_invisible_text,
    words_on,
)

MAX_UNSAVED_PAGES = 32
"""Maximum number of pages held in memory before they are written to disk."""
EXIF_ORIENTATION = 0x0112
"""EXIF tag of the camera's orientation."""

logger = logging.getLogger(__name__)


class PdfMaker:
    """Builds a PDF of page images with invisible text, with a bounded number of pages in memory.

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
        """Set the metadata; keys that a PDF has no field for are ignored."""
        known = {name: metadata[name] for name in METADATA_FIELDS if name in metadata}
        self._document.set_metadata({**known, "creator": "ocrtool"})

    def add_image(
        self, file: bytes | None, pixels: NDArray[np.uint8], size: tuple[float, float]
    ) -> None:
        """Begin a page that shows an image.

        JPEG and JPEG 2000 files are embedded unchanged, other formats known to MuPDF losslessly.

        Args:
            file: Content of the image file, where it holds this image alone.
            pixels: (H, W, 3) RGB, uint8, upright; used where the file cannot be embedded.
            size: Width and height of the upright page in points.
        """
        turned = _exif_rotation(file) if file else None
        if turned in (90, 270):
            size = size[1], size[0]
        page = self._append_page(lambda: self._document.new_page(width=size[0], height=size[1]))
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

    def add_blank(self, width: float, height: float) -> None:
        """Begin an empty page; its size is in points."""
        self._append_page(lambda: self._document.new_page(width=width, height=height))

    def add_page(self, source: PdfFile, index: int) -> None:
        """Begin a page that is a copy of a page of another PDF.

        Raises:
            InputError: The page is too damaged to be copied; no page is begun.
        """
        try:
            page = self._append_page(
                lambda: self._document.insert_pdf(source.document, from_page=index, to_page=index)
            )
            page.wrap_contents()
        except OutputError:
            raise
        except Exception as error:
            raise source.damaged(index, error) from None

    def words(self, width: int, height: int) -> list[tuple[str, Box]]:
        """Return the words of the last page; see :func:`words_on`."""
        return words_on(self._document[-1], width, height)

    def remove_invisible_text(self) -> None:
        """Remove the invisible text of the last page; a damaged page keeps it."""
        remove_invisible_text(self._document[-1])

    def add_text(self, runs: Iterable[TextRun], width: int, height: int) -> None:
        """Lay text over the last page.

        Args:
            runs: The text in reading order.
            width: Width of the page image whose pixels the runs refer to.
            height: Height of that image in pixels.
        """
        lay_text(self._font, self._document[-1], runs, width, height)

    def finish(self, write: Callable[[bytes], object]) -> None:
        """Pass the content of the file to ``write`` in chunks, and close.

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

    def _append_page(self, make: Callable[[], object]) -> pymupdf.Page:
        """Append a page; the pages before it are first written to disk if they are many."""
        if self._unsaved == MAX_UNSAVED_PAGES:
            self._save()
            self._document.close()  # MuPDF frees its memory only on close
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


def _exif_rotation(file: bytes) -> int | None:
    """Return the clockwise rotation, in degrees, that displays an image file upright.

    None where the image must also be mirrored, which a PDF page cannot express, or is no image.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(file)) as image:
            orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:
        return None
    return {1: 0, 3: 180, 6: 90, 8: 270}.get(orientation)
