"""What worker processes do with a document: open it, read its pages, write its outputs."""

from __future__ import annotations

import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from stringprep import in_table_b1, in_table_c12
from typing import TYPE_CHECKING, Any

from ocrtool.batch.journal import read_page, write_page
from ocrtool.batch.report import PageNote, failed_page, note_of
from ocrtool.document.tree import Bookmark, Page
from ocrtool.documents.result import PageResult
from ocrtool.errors import EncryptedError, InputError, OutputError
from ocrtool.inputs.page_source import PdfPage
from ocrtool.inputs.paths import IMAGE_SUFFIXES
from ocrtool.options import ImageChoice, PageOptions, WriteOptions
from ocrtool.writers import BINARY, PageFormat, PageInput, open_writer

if TYPE_CHECKING:
    from ocrtool.documents.page import PageConverter
    from ocrtool.pdf import PdfFile

PDF_START = b"%PDF-"
PDF_HEAD = 1024
"""Bytes at the start of a file within which a PDF says that it is one."""
LONG_SIDE = 842.0
"""Points of the longer side of a picture whose dots an inch are not known: that of A4."""


@dataclass(frozen=True)
class Opened:
    """What is known of a document that was opened.

    Attributes:
        path: Of the PDF: the input itself, or what was made of its pictures.
        password: That opened it, where it is encrypted.
        pages: How many there are.
        metadata: Title, author and the like.
        bookmarks: Its own table of contents.
    """

    path: Path
    password: str | None
    pages: int
    metadata: Mapping[str, str]
    bookmarks: tuple[Bookmark, ...]


class WorkerContext:
    """What a worker keeps: the models, and the document that it had last.

    Args:
        options: How pages are read.
        scratch: Folder for temporary files, which outlives this process.
    """

    def __init__(self, options: PageOptions, scratch: Path) -> None:
        from ocrtool.documents.page import PageConverter

        tempfile.tempdir = str(scratch)  # what a process that is killed leaves there is removed
        self.converter: PageConverter = PageConverter(options)
        self._file: PdfFile | None = None
        self._key: tuple[Path, str | None] | None = None

    def file(self, path: Path, password: str | None) -> PdfFile:
        """Return a document, opened.

        Raises:
            InputError: It cannot be opened.
            EncryptedError: The password does not open it.
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
class OpenJob:
    """Opens a document.

    Attributes:
        document: Its number.
        source: What it is called.
        path: Of the file.
        made: Where a PDF goes that is made of pictures.
        passwords: That are tried.
        limit: Seconds it may take.
    """

    document: int
    source: str
    path: Path
    made: Path
    passwords: tuple[str, ...]
    limit: float
    steps: tuple[int, ...] = (0,)

    def run(self, desk: WorkerContext, step: int) -> Opened:
        """Open it.

        Raises:
            InputError: It is no PDF or picture, or damaged.
            EncryptedError: No password opens it.
        """
        try:
            path = _pdf_of_pictures(self.path, self.made) or self.path
            file, password = self._unlocked(desk, path)
            return Opened(path, password, len(file), file.metadata, tuple(file.bookmarks))
        except (InputError, EncryptedError) as error:
            message = error.message.replace(str(self.path), self.source)
            raise type(error)(message, error.remedy) from None

    def _unlocked(self, desk: WorkerContext, path: Path) -> tuple[PdfFile, str | None]:
        given = [form for password in self.passwords for form in (password, prepared(password))]
        for password in dict.fromkeys([None, *given]):
            try:
                return desk.file(path, password), password
            except EncryptedError:
                continue
        reason = "none of the passwords opens it" if self.passwords else "is encrypted"
        raise EncryptedError(f"{self.source}: {reason}", "give its password in --password-file")


@dataclass(frozen=True)
class ReadJob:
    """Reads pages and keeps each where the journal wants it.

    Attributes:
        document: Its number.
        opened: The document.
        pages: Where each page is kept, by number.
        limit: Seconds that a page may take.
    """

    document: int
    opened: Opened
    pages: Mapping[int, Path]
    limit: float

    @property
    def steps(self) -> Sequence[int]:
        """The numbers of the pages."""
        return tuple(self.pages)

    def run(self, desk: WorkerContext, step: int) -> PageNote:
        """Read a page; one that is damaged is kept with its error.

        Raises:
            OcrToolError: Nothing can be read so, as without a model.
        """
        start = time.monotonic()
        try:
            file = desk.file(self.opened.path, self.opened.password)
            result = desk.converter.convert(PdfPage(file, step))
        except InputError as error:
            told = error.message.removeprefix(f"{self.opened.path}: ")
            told = told.removeprefix(f"page {step} ").removeprefix("is ")
            note = failed_page(step, told, "damaged", time.monotonic() - start)
            return keep_failure(self.pages[step], note)
        seconds = time.monotonic() - start
        note = note_of(result.page, result.route, result.warnings, seconds)
        if result.page.error:
            note = failed_page(step, result.page.error, "damaged", seconds)
        return write_page(self.pages[step], result, note)


def prepared(password: str) -> str:
    """Return a password as PDF 2.0 wants it (SASLprep, RFC 4013): one way to write it of many."""
    kept = (" " if in_table_c12(c) else c for c in password if not in_table_b1(c))
    return unicodedata.normalize("NFKC", "".join(kept))


def keep_failure(path: Path, note: PageNote) -> PageNote:
    """Keep a page that could not be read.

    Raises:
        OutputError: It cannot be written.
    """
    return write_page(path, PageResult(Page(note.page, 0, 0, error=note.error), "blank"), note)


@dataclass(frozen=True)
class WriteJob:
    """Puts the pages of a document together and writes drafts of its outputs.

    Attributes:
        document: Its number.
        source: What it is called.
        opened: The document.
        pages: Where its pages are kept, in order.
        drafts: Files to write, by format.
        pictures: Folder to write pictures to, if they are wanted as files.
        pictures_name: What the outputs call that folder.
        options: How they are written.
        limit: Seconds it may take.
    """

    document: int
    source: str
    opened: Opened
    pages: tuple[Path, ...]
    drafts: Mapping[PageFormat, Path]
    pictures: Path | None
    options: WriteOptions
    limit: float
    steps: tuple[int, ...] = (0,)

    def run(self, desk: WorkerContext, step: int) -> None:
        """Write them.

        Raises:
            OutputError: They cannot be written.
        """
        try:
            self._write(desk)
        except OSError as error:
            name = next(iter(self.drafts.values())).parent
            raise OutputError(f"cannot write {name}: {error.strerror or error}") from None

    def _write(self, desk: WorkerContext) -> None:
        from ocrtool.documents.structure import structured

        kept = {int(path.stem): path for path in self.pages}
        pages = structured(self._pages, self.opened.bookmarks)
        if self.pictures is not None:
            self.pictures.mkdir()
        with ExitStack() as stack:
            writers = [
                open_writer(form, _open_draft(stack, path, form), self.options)
                for form, path in self.drafts.items()
            ]
            original = None
            if PageFormat.PDF in self.drafts:
                original = desk.file(self.opened.path, self.opened.password)
            for page in pages:
                sheet = PageInput(
                    self.source,
                    page,
                    metadata=self.opened.metadata,
                    pictures=self._pictures(page, kept[page.number]),
                    count=self.opened.pages,
                    original=original,
                )
                for writer in writers:
                    writer.add(sheet)
            for writer in writers:
                writer.finish()
        if self.pictures is not None and not any(self.pictures.iterdir()):
            self.pictures.rmdir()

    def _pages(self) -> Iterator[Page]:
        for path in self.pages:
            yield read_page(path).result.page

    def _pictures(self, page: Page, path: Path) -> Mapping[str, bytes]:
        """Return the pictures of a page that are part of the outputs; those apart are written."""
        from ocrtool.writers.flow import FURNITURE

        names = {
            block.image for block in page.blocks
            if block.image and (block.kind not in FURNITURE or self.options.keep_furniture)
        }  # fmt: skip
        if not names or self.options.images is ImageChoice.NONE:
            return {}
        found = read_page(path, pictures=True).result.pictures
        wanted = {name: content for name, content in found.items() if name in names}
        if self.pictures is None:
            return wanted
        for name, content in wanted.items():
            (self.pictures / name).write_bytes(content)
        return {}


def _open_draft(stack: ExitStack, path: Path, form: PageFormat) -> Callable[[Any], object]:
    if form in BINARY:
        return stack.enter_context(path.open("wb")).write
    file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
    return stack.enter_context(file).write


def _pdf_of_pictures(path: Path, made: Path) -> Path | None:
    """Make a PDF of an image file, a page a frame; nothing where it is a PDF, or not known.

    Args:
        path: Of the image.
        made: Where the PDF goes.

    Raises:
        InputError: It is missing, empty, or an image that is damaged.
        OutputError: There is no room for it.
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
            scale = POINTS_PER_INCH / page.dpi if page.dpi else LONG_SIDE / max(width, height)
            maker.add_image(page.file, page.pixels, (width * scale, height * scale))
    except InputError:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise
        return None  # perhaps a PDF whose first bytes are lost
    try:
        with made.open("wb") as file:
            (maker or PdfMaker()).finish(file.write)
    except OSError as error:
        raise OutputError(f"cannot write {made}: {error.strerror or error}") from None
    return made


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
