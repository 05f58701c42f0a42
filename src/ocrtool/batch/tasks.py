"""The tasks of worker processes: open a document, read one page, write the outputs."""

from __future__ import annotations

import tempfile
import time
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from stringprep import in_table_b1, in_table_c12
from typing import TYPE_CHECKING, Any

from ocrtool.batch.report import failed_page, note_of
from ocrtool.batch.stored_pages import StoredPage, StoredPages
from ocrtool.document.tree import Bookmark, Page
from ocrtool.errors import EncryptedError, InputError, OutputError
from ocrtool.inputs.page_source import PdfPage
from ocrtool.inputs.paths import IMAGE_SUFFIXES
from ocrtool.options import ImageChoice, PageOptions, WriteOptions
from ocrtool.writers import BINARY, PageFormat, PageInput, open_writer

if TYPE_CHECKING:
    from ocrtool.documents.page import PageConverter
    from ocrtool.pdf import PdfFile

PDF_START = b"%PDF-"
"""Signature of a PDF."""
PDF_HEAD = 1024
"""Number of bytes at the start of a file within which the signature of a PDF must be."""
DEFAULT_LONG_SIDE = 842.0
"""Longer side, in points, of the page of an image of unknown resolution: that of A4."""


@dataclass(frozen=True)
class OpenedDocument:
    """Properties of a document that was opened.

    Attributes:
        path: The PDF: the input itself, or the one made from an image file.
        password: Password of an encrypted document.
        pages: Number of pages.
        metadata: Title, author and more.
        bookmarks: Its own table of contents.
    """

    path: Path
    password: str | None
    pages: int
    metadata: Mapping[str, str]
    bookmarks: tuple[Bookmark, ...]


class WorkerContext:
    """State that a worker keeps from task to task: the models and the last document.

    Args:
        options: How pages are read.
        scratch: Folder for temporary files, which the command removes.
    """

    def __init__(self, options: PageOptions, scratch: Path) -> None:
        from ocrtool.documents.page import PageConverter

        tempfile.tempdir = str(scratch)  # removed even if this process is killed
        self.converter: PageConverter = PageConverter(options)
        self._file: PdfFile | None = None
        self._key: tuple[Path, str | None] | None = None

    def file(self, path: Path, password: str | None) -> PdfFile:
        """Return an open document.

        Raises:
            InputError: It cannot be opened.
            EncryptedError: The password is wrong.
        """
        from ocrtool.pdf import PdfFile

        if self._file is None or self._key != (path, password):
            self.close()
            self._file, self._key = PdfFile(path, password), (path, password)
        return self._file

    def close(self) -> None:
        """Close the document."""
        if self._file is not None:
            self._file.close()
        self._file = self._key = None


@dataclass(frozen=True)
class OpenTask:
    """Opens a document.

    Attributes:
        document: Number of the document.
        source: Its name in messages.
        path: Its file.
        converted: Path for the PDF that is made from an image file.
        passwords: Passwords to try.
        limit: Time limit in seconds; 0 for none.
    """

    document: int
    source: str
    path: Path
    converted: Path
    passwords: tuple[str, ...]
    limit: float

    def run(self, context: WorkerContext) -> OpenedDocument:
        """Open it.

        Raises:
            InputError: It is damaged, or neither a PDF nor an image.
            EncryptedError: No password opens it.
        """
        try:
            path = _pdf_of_image(self.path, self.converted) or self.path
            file, password = self._decrypt(context, path)
            return OpenedDocument(path, password, len(file), file.metadata, tuple(file.bookmarks))
        except (InputError, EncryptedError) as error:
            message = error.message.replace(str(self.path), self.source)
            raise type(error)(message, error.remedy) from None

    def _decrypt(self, context: WorkerContext, path: Path) -> tuple[PdfFile, str | None]:
        given = [form for password in self.passwords for form in (password, saslprep(password))]
        for password in dict.fromkeys([None, *given]):
            try:
                return context.file(path, password), password
            except EncryptedError:
                continue
        reason = "none of the passwords opens it" if self.passwords else "is encrypted"
        raise EncryptedError(f"{self.source}: {reason}", "give its password in --password-file")


def saslprep(password: str) -> str:
    """Return a password in the normal form that PDF 2.0 requires (SASLprep, RFC 4013)."""
    kept = (" " if in_table_c12(c) else c for c in password if not in_table_b1(c))
    return unicodedata.normalize("NFKC", "".join(kept))


@dataclass(frozen=True)
class ReadTask:
    """Reads a page.

    Attributes:
        document: Number of the document.
        opened: The document.
        page: Number of the page, from 1.
        limit: Time limit in seconds; 0 for none.
    """

    document: int
    opened: OpenedDocument
    page: int
    limit: float

    def run(self, context: WorkerContext) -> StoredPage:
        """Read and serialise the page; a damaged one carries its error.

        Raises:
            OcrToolError: No page can be read, for example because a model is missing.
        """
        start = time.monotonic()
        try:
            file = context.file(self.opened.path, self.opened.password)
            result = context.converter.convert(PdfPage(file, self.page))
        except InputError as error:
            message = error.message.removeprefix(f"{self.opened.path}: ")
            message = message.removeprefix(f"page {self.page} ").removeprefix("is ")
            seconds = time.monotonic() - start
            return StoredPage.failed(failed_page(self.page, message, "damaged", seconds))
        seconds = time.monotonic() - start
        note = note_of(result.page, result.route, result.warnings, seconds)
        if result.page.error:
            note = failed_page(self.page, result.page.error, "damaged", seconds)
        return StoredPage.of(result, note)


@dataclass(frozen=True)
class WriteTask:
    """Combines the pages of a document and writes drafts of its outputs.

    Attributes:
        document: Number of the document.
        source: Its name in the outputs.
        opened: The document.
        journal: Database that holds its pages.
        pages: Numbers of its pages, in order.
        drafts: Files to write, by format.
        pictures: Folder for pictures, if they become files of their own.
        options: How the outputs are written.
        limit: Time limit in seconds; 0 for none.
    """

    document: int
    source: str
    opened: OpenedDocument
    journal: Path
    pages: tuple[int, ...]
    drafts: Mapping[PageFormat, Path]
    pictures: Path | None
    options: WriteOptions
    limit: float

    def run(self, context: WorkerContext) -> None:
        """Write them.

        Raises:
            OutputError: They cannot be written, or the journal is damaged.
        """
        try:
            with StoredPages(self.journal) as stored:
                self._write(context, stored)
        except OSError as error:
            folder = next(iter(self.drafts.values())).parent
            raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None

    def _write(self, context: WorkerContext, stored: StoredPages) -> None:
        from ocrtool.documents.structure import structured

        pages = structured(lambda: stored.pages(self.pages), self.opened.bookmarks)
        if self.pictures is not None:
            self.pictures.mkdir()
        with ExitStack() as stack:
            writers = [
                open_writer(form, _open_draft(stack, path, form), self.options)
                for form, path in self.drafts.items()
            ]
            original = None
            if PageFormat.PDF in self.drafts:
                original = context.file(self.opened.path, self.opened.password)
            for page in pages:
                sheet = PageInput(
                    self.source,
                    page,
                    metadata=self.opened.metadata,
                    pictures=self._pictures(page, stored),
                    count=self.opened.pages,
                    original=original,
                )
                for writer in writers:
                    writer.add(sheet)
            for writer in writers:
                writer.finish()
        if self.pictures is not None and not any(self.pictures.iterdir()):
            self.pictures.rmdir()

    def _pictures(self, page: Page, stored: StoredPages) -> Mapping[str, bytes]:
        """Return the pictures that become part of the outputs; write those that become files."""
        from ocrtool.writers.flow import FURNITURE

        names = {
            block.image for block in page.blocks
            if block.image and (block.kind not in FURNITURE or self.options.keep_furniture)
        }  # fmt: skip
        if not names or self.options.images is ImageChoice.NONE:
            return {}
        pictures = stored.pictures(page.number, names)
        if self.pictures is None:
            return pictures
        for name, content in pictures.items():
            (self.pictures / name).write_bytes(content)
        return {}


def _open_draft(stack: ExitStack, path: Path, form: PageFormat) -> Callable[[Any], object]:
    if form in BINARY:
        return stack.enter_context(path.open("wb")).write
    file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
    return stack.enter_context(file).write


def _pdf_of_image(path: Path, target: Path) -> Path | None:
    """Convert an image file to a PDF with a page for each frame.

    Args:
        path: The input, of any kind.
        target: Path of the PDF.

    Returns:
        The path of the PDF; nothing if the input is a PDF already or of an unknown kind.

    Raises:
        InputError: The input is missing, empty, or a damaged image.
        OutputError: The PDF cannot be written.
    """
    from ocrtool.inputs.images import open_pages
    from ocrtool.pdf import POINTS_PER_INCH, PdfMaker

    head = _head(path)
    if PDF_START in head:
        return None
    if not head:
        raise InputError(f"{path}: is empty")
    maker: PdfMaker | None = None
    try:
        for page in open_pages(path):
            maker = maker or PdfMaker()
            height, width = page.pixels.shape[:2]
            scale = (
                POINTS_PER_INCH / page.dpi if page.dpi else DEFAULT_LONG_SIDE / max(width, height)
            )
            maker.add_image(page.file, page.pixels, (width * scale, height * scale))
    except InputError:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise
        return None  # possibly a PDF without its first bytes
    try:
        with target.open("wb") as file:
            (maker or PdfMaker()).finish(file.write)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from None
    return target


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PDF_HEAD)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror or error})") from None
