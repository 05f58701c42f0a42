"""The tasks of worker processes: open a document, read one page, write the outputs."""

from __future__ import annotations

import tempfile
import time
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from stringprep import in_table_b1, in_table_c12
from typing import TYPE_CHECKING, Any

from ocrtool.batch.report import DroppedHeader, failed_page, note_of
from ocrtool.batch.stored_pages import StoredPage, StoredPages
from ocrtool.document.tree import FURNITURE, Bookmark, Page
from ocrtool.documents import drops_headers, options_of, write_document
from ocrtool.errors import EncryptedError, InputError, OutputError
from ocrtool.inputs.page_source import PageFile, PdfPages, open_file
from ocrtool.options import ImageChoice, PageOptions, WriteOptions
from ocrtool.writers import PageFormat, PageInput, PageWriter, open_writer

if TYPE_CHECKING:
    from ocrtool.documents.page import PageConverter


LeftOut = dict[int, tuple[DroppedHeader, ...]]
"""Running headers and footers that were left out, by page number."""


@dataclass(frozen=True)
class OpenedDocument:
    """Properties of a document that was opened.

    Attributes:
        path: Its file.
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
        self._file: PageFile | None = None
        self._key: tuple[Path, str | None] | None = None

    def file(self, path: Path, password: str | None) -> PageFile:
        """Return an open document.

        Raises:
            InputError: It cannot be opened.
            EncryptedError: The password is wrong.
        """
        if self._file is None or self._key != (path, password):
            self.close()
            self._file, self._key = open_file(path, password=password), (path, password)
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
        passwords: Passwords to try.
        limit: Time limit in seconds; 0 for none.
    """

    document: int
    source: str
    path: Path
    passwords: tuple[str, ...]
    limit: float

    def run(self, context: WorkerContext) -> OpenedDocument:
        """Open it.

        Raises:
            InputError: It is damaged, or neither a PDF nor an image.
            EncryptedError: No password opens it.
        """
        try:
            file, password = self._decrypt(context)
            return OpenedDocument(
                self.path, password, len(file), file.metadata, tuple(file.bookmarks)
            )
        except (InputError, EncryptedError) as error:
            message = error.message.replace(str(self.path), self.source)
            raise type(error)(message, error.remedy) from None

    def _decrypt(self, context: WorkerContext) -> tuple[PageFile, str | None]:
        given = [form for password in self.passwords for form in (password, saslprep(password))]
        for password in dict.fromkeys([None, *given]):
            try:
                return context.file(self.path, password), password
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
        file = context.file(self.opened.path, self.opened.password)
        result = context.converter.convert(file.page(self.page))
        seconds = time.monotonic() - start
        note = note_of(result.page, result.route, result.warnings, seconds)
        if result.page.error:
            note = failed_page(self.page, result.page.error, "damaged", seconds)
        return StoredPage.of(result, note)


@dataclass(frozen=True)
class Written:
    """What became of the outputs of a document.

    Attributes:
        left_out: The running headers and footers that formats of text lack, by page.
        failures: Formats that could not be written, and why.
    """

    left_out: LeftOut
    failures: Mapping[PageFormat, str]


class _IsolatedWriter:
    """A writer whose failure does not stop the writers of other formats.

    Attributes:
        error: Its first failure.
    """

    def __init__(self, writer: PageWriter) -> None:
        self._writer = writer
        self.error: OutputError | None = None

    def add(self, sheet: PageInput) -> None:
        """Write the next page, unless the writer failed."""
        self._try(lambda: self._writer.add(sheet))

    def finish(self) -> None:
        """Complete the output, unless the writer failed."""
        self._try(self._writer.finish)

    def _try(self, step: Callable[[], None]) -> None:
        if self.error is None:
            try:
                step()
            except OutputError as error:
                self.error = error


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

    def run(self, context: WorkerContext) -> Written:
        """Write them; a format that fails does not stop the others.

        Raises:
            OutputError: They cannot be written, or the journal is damaged.
        """
        try:
            with StoredPages(self.journal) as stored:
                return self._write(context, stored)
        except OSError as error:
            folder = next(iter(self.drafts.values())).parent
            raise OutputError(f"cannot write {folder}: {error.strerror or error}") from None

    def _write(self, context: WorkerContext, stored: StoredPages) -> Written:
        left_out: LeftOut = {}
        if self.pictures is not None:
            self.pictures.mkdir()
        with ExitStack() as stack:
            writers = [
                (
                    form,
                    _IsolatedWriter(
                        open_writer(
                            form, _open_draft(stack, path, form), options_of(form, self.options)
                        )
                    ),
                )
                for form, path in self.drafts.items()
            ]
            file = None
            printed = self.options.as_printed
            if any(
                form.shows_pictures if printed else form.extends_original for form in self.drafts
            ):
                file = context.file(self.opened.path, self.opened.password)

            drops = any(drops_headers(form, self.options) for form in self.drafts)

            def page_input(page: Page) -> PageInput:
                if drops:
                    left_out[page.number] = tuple(
                        DroppedHeader(block.kind, block.box, block.text)
                        for block in page.blocks
                        if block.kind in FURNITURE and block.text
                    )
                given = PageInput(
                    self.source,
                    page,
                    metadata=self.opened.metadata,
                    pictures=self._pictures(page, stored),
                    count=self.opened.pages,
                )
                if isinstance(file, PdfPages) and not self.options.as_printed:
                    return replace(given, original=file.pdf)
                if file is None or page.error:
                    return given
                return replace(given, picture=file.page(page.number))

            write_document(
                lambda: stored.pages(self.pages),
                writers,
                page_input,
                self.opened.bookmarks,
                self.options,
            )
            for _, writer in writers:
                writer.finish()
        errors = {form: writer.error for form, writer in writers if writer.error is not None}
        if len(errors) == len(writers):
            raise next(iter(errors.values()))
        for form in errors:
            self.drafts[form].unlink()
        if self.pictures is not None and not any(self.pictures.iterdir()):
            self.pictures.rmdir()
        return Written(left_out, {form: str(error) for form, error in errors.items()})

    def _pictures(self, page: Page, stored: StoredPages) -> Mapping[str, bytes]:
        """Return the pictures that become part of the outputs; write those that become files."""
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
    if form.binary:
        return stack.enter_context(path.open("wb")).write
    file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
    return stack.enter_context(file).write
