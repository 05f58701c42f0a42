"""Pages of image files (also TIFFs of several frames) and PDFs behind one interface.

::

    with open_file(Path("scan.tif")) as file:
        for number in range(1, len(file) + 1):
            pixels = file.page(number).pixels
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocrtool.errors import InputError
from ocrtool.inputs.paths import IMAGE_SUFFIXES, pipe_content
from ocrtool.options import PageSelection

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


PDF_START = b"%PDF-"
"""Signature of a PDF."""
MAX_IMAGE_BYTES = 2_000_000_000
"""Maximum size, in bytes, of an image file, which is held in memory."""
PDF_HEAD = 1024
"""Number of bytes at the start of a file within which the signature of a PDF must be."""


class PageFile(ABC):
    """An open file whose pages can be read in any order; a context manager that closes it.

    Attributes:
        metadata: Title, author, subject and keywords, those that are given.
        bookmarks: The file's own table of contents.
    """

    metadata: Mapping[str, str] = {}
    bookmarks: tuple[Bookmark, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of pages."""

    @abstractmethod
    def page(self, number: int) -> PageSource:
        """Return a page by its number from 1; a damaged one raises when it is read."""

    def pages(self, selection: PageSelection, name: str) -> Iterator[PageSource]:
        """Return the wanted pages in order, each opened when it is asked for.

        Args:
            selection: Pages that are wanted.
            name: Name of the file in messages.

        Raises:
            InputError: The file has none of the wanted pages.
        """
        wanted = selection.of(len(self))
        if not wanted:
            count = "1 page" if len(self) == 1 else f"{len(self)} pages"
            raise InputError(f"{name}: has {count}, none of them asked for", "see --pages")
        return map(self.page, wanted)

    def close(self) -> None:  # noqa: B027 - an image is held in memory
        """Close the file."""

    def __enter__(self) -> PageFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ImageFile(PageFile):
    """An image file; of animations, only the first frame is a page.

    Args:
        content: Content of the file.
        name: Its name in messages.

    Raises:
        InputError: It is no image, or its only frame is damaged.
    """

    def __init__(self, content: bytes, name: str) -> None:
        from ocrtool.inputs.images import FrameReader  # needs NumPy and Pillow

        self._content, self._name = content, name
        self._frames = FrameReader(content, name)
        # Decoded at once, so that a damaged image is an input that cannot be opened.
        self._only = self._decoded(1) if len(self) == 1 else None

    def __len__(self) -> int:
        return self._frames.count

    def page(self, number: int) -> PageSource:
        """Return a frame."""
        page, self._only = self._only, None
        if page is not None:
            return page
        try:
            return self._decoded(number)
        except InputError as error:
            message = error.message.removeprefix(f"{self._name}: ")
            return DamagedPage(number, InputError(message, error.remedy))

    def _decoded(self, number: int) -> ImagePage:
        frame = self._frames.decode(number - 1)
        content = self._content if len(self) == 1 else None
        return ImagePage(frame.pixels, content, number, frame.dpi, frame.warnings)


class PdfPages(PageFile):
    """A PDF.

    Args:
        source: Path, or content of the file.
        dpi: Resolution in pixels per inch at which pages are rasterised.
        password: Password of an encrypted file.

    Raises:
        InputError: It is no PDF, or damaged beyond repair.
        EncryptedError: The password is missing or wrong.
    """

    def __init__(self, source: Path | bytes, dpi: float, password: str | None) -> None:
        from ocrtool.pdf import PdfFile

        self.pdf: PdfFile = PdfFile(source, password)
        self._dpi = dpi
        self.metadata, self.bookmarks = self.pdf.metadata, self.pdf.bookmarks

    def __len__(self) -> int:
        return len(self.pdf)

    def page(self, number: int) -> PageSource:
        """Return a page."""
        return PdfPage(self.pdf, number, self._dpi)

    def close(self) -> None:
        """Close the file."""
        self.pdf.close()


def open_file(source: Path | bytes, dpi: float = PDF_DPI, password: str | None = None) -> PageFile:
    """Open an image, a TIFF of several pages, or a PDF.

    Args:
        source: A path, or the content of a file.
        dpi: Resolution in pixels per inch at which pages of a PDF are rasterised.
        password: Password of an encrypted PDF.

    Raises:
        InputError: It is missing, empty, damaged, too large, or neither an image nor a PDF.
        EncryptedError: It is a PDF that needs a password, or another one.
    """
    name = str(source) if isinstance(source, Path) else "input"
    if isinstance(source, Path) and not source.is_file() and source.exists():
        source = pipe_content(source)  # it can be read only once
    head = _head(source)
    if PDF_START in head:
        return PdfPages(source, dpi, password)
    if not head:
        raise InputError(f"{name}: is empty")
    if isinstance(source, Path) and source.stat().st_size > MAX_IMAGE_BYTES:
        limit = MAX_IMAGE_BYTES // 10**6
        raise InputError(f"{name}: an image of more than {limit} MB", "split it")
    content = source if isinstance(source, bytes) else source.read_bytes()
    try:
        return ImageFile(content, name)
    except InputError as error:
        if isinstance(source, bytes) or source.suffix.lower() in IMAGE_SUFFIXES:
            raise
        try:
            return PdfPages(source, dpi, password)  # MuPDF repairs a PDF without its first bytes
        except InputError:
            raise error from None


def open_pages(
    source: Path | bytes,
    selection: PageSelection | None = None,
    dpi: float = PDF_DPI,
    password: str | None = None,
) -> Iterator[PageSource]:
    """Open a file and return the wanted pages in order, one at a time.

    Args:
        source: A path, or the content of a file.
        selection: Pages that are wanted; by default all.
        dpi: Resolution in pixels per inch at which pages of a PDF are rasterised.
        password: Password of an encrypted PDF.

    Yields:
        Pages. A PDF is open as long as one of its pages is kept.

    Raises:
        InputError: It cannot be opened (see :func:`open_file`), or has none of the wanted pages.
        EncryptedError: It is a PDF that needs a password, or another one.
    """
    name = str(source) if isinstance(source, Path) else "input"
    yield from open_file(source, dpi, password).pages(selection or PageSelection(), name)


def _head(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:PDF_HEAD]
    try:
        with source.open("rb") as file:
            return file.read(PDF_HEAD)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{source}: is a folder, not an image or PDF") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be opened ({error.strerror or error})") from None
