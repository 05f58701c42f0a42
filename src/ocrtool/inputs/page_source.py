"""Pages that can be read: frames of images and pages of PDFs, with the same methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocrtool.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ocrtool.document.tree import Bookmark
    from ocrtool.pdf import NativePage, PdfFile

PDF_DPI = 200.0
"""Resolution, in pixels an inch, at which pages of PDFs are drawn: eight-point type is 22 pixels
high."""


class PageSource(ABC):
    """A page of a document that can be read.

    Attributes:
        number: Of the page in its document, from 1.
        dpi: Pixels an inch of ``pixels``, where that is known; else 0.
        warnings: What the pixels lack of the file.
    """

    number: int
    dpi: float
    warnings: tuple[str, ...] = ()

    @property
    @abstractmethod
    def pixels(self) -> NDArray[np.uint8]:
        """Pixels of the page, (H, W, 3) RGB, uint8, origin at the top left.

        Raises:
            InputError: The page is damaged.
        """

    @property
    def file(self) -> bytes | None:
        """Content of the image file whose only frame the page is; ``None`` for other pages."""
        return None

    @property
    def metadata(self) -> Mapping[str, str]:
        """Title, author and the like of its document."""
        return {}

    @property
    def bookmarks(self) -> tuple[Bookmark, ...]:
        """Table of contents of its document."""
        return ()

    def native(self, dpi: float) -> NativePage | None:
        """Return the text and drawings that the page itself holds; ``None`` for an image.

        Args:
            dpi: Pixels an inch of the geometry.

        Raises:
            InputError: The page is damaged.
        """
        return None


class ImagePage(PageSource):
    """A frame of an image file, or any array of pixels.

    Args:
        pixels: (H, W, 3) RGB, uint8, in the orientation that EXIF tells.
        file: Content of the image file, where the pixels are its only frame. A PDF and an HTML page
            then carry it unchanged.
        number: Of the frame, from 1.
        dpi: Pixels an inch, where that is known; else 0.
        warnings: What the pixels lack of the file.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        file: bytes | None = None,
        number: int = 1,
        dpi: float = 0.0,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._pixels, self._file = pixels, file
        self.number, self.dpi, self.warnings = number, dpi, warnings

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Pixels of the frame."""
        return self._pixels

    @property
    def file(self) -> bytes | None:
        """Content of the image file, where the frame is its only one."""
        return self._file


@dataclass(frozen=True, eq=False)
class DamagedPage(PageSource):
    """A page that cannot be decoded.

    Args:
        number: Of the page, from 1.
        error: Raised when its pixels are asked for.
    """

    number: int
    error: InputError
    dpi: float = 0.0

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Raises the error."""
        raise self.error


@dataclass(frozen=True, eq=False)
class PdfPage(PageSource):
    """A page of a PDF.

    Args:
        pdf: The file, open as long as one of its pages is used.
        number: Of the page, from 1.
        dpi: Pixels an inch of ``pixels``.
    """

    pdf: PdfFile
    number: int = 1
    dpi: float = PDF_DPI

    @property
    def index(self) -> int:
        """Number of the page from 0."""
        return self.number - 1

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The page, drawn anew at each call."""
        return self.pdf.rasterise(self.index, self.dpi)

    @property
    def metadata(self) -> Mapping[str, str]:
        """Title, author, subject and keywords, those that are given."""
        return self.pdf.metadata

    @property
    def bookmarks(self) -> tuple[Bookmark, ...]:
        """The file's own table of contents."""
        return self.pdf.bookmarks

    def native(self, dpi: float) -> NativePage:
        """Return the text and drawings that the page itself holds."""
        from ocrtool.pdf import native_page

        return native_page(self.pdf, self.index, dpi)
