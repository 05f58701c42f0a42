"""Opened PDF files: page rasterisation, metadata and bookmarks."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from types import TracebackType

import numpy as np
import pymupdf
from numpy.typing import NDArray

from ocrtool.document.tree import Bookmark, Box
from ocrtool.errors import EncryptedError, InputError
from ocrtool.pdf.glyph_names import GlyphNames

POINTS_PER_INCH = 72
"""PDF points per inch."""
MAX_PAGE_PIXELS = 180_000_000
"""Maximum pixels of a rasterised page; Pillow, too, rejects larger images as decompression
bombs."""
DAMAGE = re.compile(
    "cannot load content stream|content stream is not a stream|page may not be correct"
    "|premature end of data|zlib error"
)
"""MuPDF's warnings about a page whose content cannot be read completely."""
METADATA_FIELDS = ("title", "author", "subject", "keywords")
"""Metadata fields that are read from and written to a PDF."""

logger = logging.getLogger(__name__)
pymupdf.TOOLS.mupdf_display_errors(False)  # errors are reported by the exceptions raised here
pymupdf.TOOLS.mupdf_display_warnings(False)


class PdfFile:
    """A PDF opened for reading; a context manager.

    Args:
        source: Path, or content of the file.
        password: Password of an encrypted file.

    Attributes:
        encrypted: Whether the file is encrypted; the password has opened it.
        glyphs: Resolver for glyphs without a Unicode mapping.

    Raises:
        InputError: The file is missing, no PDF, or damaged beyond repair.
        EncryptedError: The password is missing or wrong.
    """

    def __init__(self, source: Path | bytes, password: str | None = None) -> None:
        self._last_page: tuple[int, pymupdf.Page] | None = None
        self._last_display_list: pymupdf.DisplayList | None = None
        self._is_incomplete = False
        self.name = str(source) if isinstance(source, Path) else "PDF data"
        self._source, self._password = source, password
        try:
            content = {"filename": str(source)} if isinstance(source, Path) else {"stream": source}
            self.document = pymupdf.open(filetype="pdf", **content)
        except pymupdf.FileNotFoundError:
            raise InputError(f"{self.name}: no such file") from None
        except pymupdf.EmptyFileError:
            raise InputError(f"{self.name}: is empty") from None
        except pymupdf.FileDataError:
            raise InputError(f"{self.name}: no PDF, or damaged") from None
        except Exception as error:  # a damaged file makes MuPDF raise nearly anything
            raise InputError(f"{self.name}: cannot be opened ({reason(error)})") from None
        # Read once: a second access tries the empty password and replaces the right key.
        self.encrypted = bool(self.document.needs_pass)
        if self.encrypted and not self.document.authenticate(password or ""):
            self.document.close()
            if password is None:
                raise EncryptedError(f"{self.name}: is encrypted", "give its password")
            raise EncryptedError(f"{self.name}: the password is wrong")
        if not self.document.is_pdf or len(self) == 0:
            self.document.close()
            raise InputError(f"{self.name}: no PDF, or without pages")
        self.glyphs = GlyphNames(self.document)

    def __len__(self) -> int:
        """Return the number of pages."""
        try:
            return int(self.document.page_count)
        except Exception:  # a broken page tree
            return 0

    def __enter__(self) -> PdfFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def copied(self, path: Path) -> PdfFile:
        """Copy the file to ``path`` and return the copy, opened.

        Raises:
            OSError: The file cannot be copied.
        """
        if isinstance(self._source, Path):
            shutil.copyfile(self._source, path)
        else:
            path.write_bytes(self._source)
        return PdfFile(path, self._password)

    def close(self) -> None:
        """Close the file."""
        self._last_page = self._last_display_list = None
        self.document.close()

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the file: those of title, author, subject and keywords that are set."""
        known = self.document.metadata or {}
        return {name: known[name] for name in METADATA_FIELDS if known.get(name)}

    @property
    def bookmarks(self) -> tuple[Bookmark, ...]:
        """Outline of the file; empty where it has none or a damaged one."""
        try:
            entries = self.document.get_toc(simple=True)
        except Exception as error:
            logger.info("%s: its bookmarks are damaged (%s)", self.name, reason(error))
            return ()
        return tuple(
            Bookmark(max(1, int(level)), " ".join(title.split()), max(0, int(page)))
            for level, title, page in entries
            if title and title.strip()
        )

    def size(self, index: int) -> tuple[float, float]:
        """Return width and height in points of a page as displayed, after rotation and cropping.

        Raises:
            InputError: The page is damaged.
        """
        rect = self.page(index).rect
        return float(rect.width), float(rect.height)

    def rasterise(self, index: int, dpi: float, clip: Box | None = None) -> NDArray[np.uint8]:
        """Render a page as displayed, with its rotation and annotations.

        Args:
            index: Page index from 0.
            dpi: Resolution in pixels per inch.
            clip: Part to render, in pixels of the whole page at this resolution.

        Returns:
            (H, W, 3) RGB, uint8, origin at the top left.

        Raises:
            InputError: The page is damaged, or has too many pixels.
        """
        page = self.page(index)
        scale = dpi / POINTS_PER_INCH
        area = pymupdf.Rect(page.rect)
        if clip is not None:
            area &= pymupdf.Rect(clip.x0, clip.y0, clip.x1, clip.y1) / scale
            if area.is_empty:
                raise ValueError("nothing of the page is asked for")
        if area.width * area.height * scale**2 > MAX_PAGE_PIXELS:
            raise InputError(
                f"{self.name}: page {index + 1} has more than {MAX_PAGE_PIXELS // 10**6} million"
                f" pixels at {dpi:g} dpi",
                "take a lower resolution",
            )
        try:
            pixmap = self.shown(index).get_pixmap(
                matrix=pymupdf.Matrix(scale, scale),
                colorspace=pymupdf.csRGB,
                alpha=False,
                clip=None if clip is None else area,
            )
        except Exception as error:
            raise self.damaged(index, error) from None
        shape = (pixmap.height, pixmap.width, 3)
        pixels = np.frombuffer(pixmap.samples, np.uint8).reshape(shape).copy()
        pymupdf.TOOLS.store_shrink(100)  # else MuPDF keeps what it decoded, up to 256 MB
        return pixels

    def page(self, index: int) -> pymupdf.Page:
        """Return PyMuPDF's object of a page; the last page is cached.

        Raises:
            InputError: The page is damaged.
        """
        if self._last_page is not None and self._last_page[0] == index:
            return self._last_page[1]
        self._last_page = self._last_display_list = None
        try:
            page = self.document[index]
            if page.rect.is_empty or page.rect.is_infinite:
                raise ValueError("it has no size")
        except Exception as error:
            raise self.damaged(index, error) from None
        self._last_page = index, page
        return page

    def shown(self, index: int) -> pymupdf.DisplayList:
        """Return the display list of a page: content, annotations and fields, rotated as displayed.

        Raises:
            InputError: The page is damaged.
        """
        page = self.page(index)
        if self._last_display_list is None:
            pymupdf.TOOLS.reset_mupdf_warnings()
            try:
                self._last_display_list = page.get_displaylist()
                self._is_incomplete = DAMAGE.search(pymupdf.TOOLS.mupdf_warnings()) is not None
            except Exception as error:
                raise self.damaged(index, error) from None
        return self._last_display_list

    def is_incomplete(self, index: int) -> bool:
        """Tell whether the content of a page is missing, truncated or syntactically wrong.

        Raises:
            InputError: The page is damaged.
        """
        self.shown(index)
        return self._is_incomplete

    def damaged(self, index: int, error: Exception) -> InputError:
        """Return the error to raise for a damaged page."""
        return InputError(f"{self.name}: page {index + 1} is damaged ({reason(error)})")


def reason(error: Exception) -> str:
    """Return the message of an exception on one line, or its class name."""
    return " ".join(str(error).split()) or type(error).__name__
