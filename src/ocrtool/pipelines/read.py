"""``ocrtool read``: from inputs to outputs, page by page, with no more than one in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocrtool import console
from ocrtool.documents import options_of, write_document
from ocrtool.errors import EncryptedError, ExitCode, InputError
from ocrtool.inputs.paths import content_of, refuse_replacing
from ocrtool.options import PageOptions, PageSelection, WriteOptions
from ocrtool.pipelines import PageOutputs
from ocrtool.writers import PageFormat, PageInput, PageWriter, formats, open_writer

if TYPE_CHECKING:
    from ocrtool.document.tree import Page
    from ocrtool.documents.page import PageConverter
    from ocrtool.inputs.page_source import PageSource

SPOOL_BYTES = 16_000_000
"""Size, in bytes, from which the pages of a document that wait for the last one are kept on disk
rather than in memory."""


@dataclass(frozen=True)
class PageJob:
    """What is to be read, and where it goes.

    Attributes:
        sources: Inputs; an error stands for one that cannot be had.
        forms: Formats; none means what the suffix of ``out`` tells.
        out: ``-`` for standard output, or a file.
        overwrite: Whether files that exist may be replaced.
        selection: Pages that are wanted of each input.
        writing: How pages are written.
        overlay: Where pictures with what was found are drawn, if wanted.
        copy: Whether the text is also left on the clipboard.
    """

    sources: Sequence[str | InputError]
    forms: Sequence[PageFormat]
    out: str
    overwrite: bool
    selection: PageSelection
    writing: WriteOptions
    overlay: Path | None = None
    copy: bool = False


def read_pages(job: PageJob, options: PageOptions) -> int:
    """Read all inputs in this process; one that fails never stops the others.

    Returns:
        The exit code.

    Raises:
        InputError: The only input cannot be read.
        EncryptedError: The only input is encrypted.
        OutputError: Nothing can be written, or copied to the clipboard.
        ModelError: There is no such model.
    """
    targets = [Path(job.out), *(Path(job.out).with_suffix(f".{form}") for form in job.forms)]
    given = [source for source in job.sources if isinstance(source, str)]
    refuse_replacing(given, [*targets, *([job.overlay] if job.overlay else [])])
    outputs = PageOutputs(job.out, job.forms, job.overwrite, job.writing, len(job.sources))
    failures = damaged = 0
    copied: list[str | bytes] = []
    text = formats.TXT
    extra: list[tuple[PageFormat, PageWriter]] = []
    if job.copy:
        extra.append((text, open_writer(text, copied.append, options_of(text, job.writing))))
    if job.overlay:
        extra.append((formats.PDF, OverlayWriter(job.overlay, job.overwrite)))
    with outputs.opened(), console.progress("Reading", len(job.sources)) as step:
        # After the output was opened: what cannot be written need not be read.
        from ocrtool.documents.page import PageConverter

        converter = PageConverter(options)
        if options.reading.model is not None:
            _ = converter.reader  # a model that does not exist is told before any input is read
        for source in job.sources:
            try:
                if isinstance(source, InputError):
                    raise source
                damaged += _read_document(converter, source, job, [*outputs.writers, *extra])
            except (InputError, EncryptedError) as problem:
                if len(job.sources) == 1:
                    raise  # its failure is the command's, and no output appears
                console.error(str(problem))
                failures += 1
            step(1)
    for _, writer in extra:
        writer.finish()
    if job.copy:
        from ocrtool.inputs import clipboard

        clipboard.put("".join(str(part) for part in copied))
    if failures:
        console.say(f"{len(job.sources) - failures} read, {failures} failed")
    return ExitCode.FAILED if failures or damaged else ExitCode.OK


def _read_document(
    converter: PageConverter,
    source: str,
    job: PageJob,
    writers: Sequence[tuple[PageFormat, PageWriter]],
) -> int:
    """Read a document and write it; return the number of its damaged pages.

    Raises:
        InputError: It cannot be opened, or its only wanted page is damaged.
        EncryptedError: It needs a password.
    """
    from ocrtool.inputs.page_source import open_file

    errors: list[str] = []
    with open_file(content_of(source)) as file, PageStore() as store:
        pages = file.pages(job.selection, source)
        for page, result in converter.convert_stream(pages):
            if result.page.error:
                errors.append(f"page {page.number} cannot be read: {result.page.error}")
            for warning in result.warnings:
                console.warn(f"{source}: page {page.number}: {warning}")
            store.add(page, result.page)
        if errors and store.count == 1:
            raise InputError(f"{source}: {errors[0]}")
        for error in errors:
            console.error(f"{source}: {error}")
        pictured = any(form.shows_pictures for form, _ in writers)

        def page_input(page: Page) -> PageInput:
            shown = pictured and not page.error
            picture = (store.only or file.page(page.number)) if shown else None
            return PageInput(source, page, picture, file.metadata, count=store.count)

        write_document(store.pages, writers, page_input, file.bookmarks, job.writing)
    return len(errors)


class PageStore:
    """Pages of a document that wait for the last one; a context manager.

    Attributes:
        count: Number of pages.
        only: Source of the page of a document of a single page, which is still decoded.
    """

    def __init__(self) -> None:
        self.count = 0
        self.only: PageSource | None = None
        self._first: Page | None = None
        self._file = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - see __exit__

    def __enter__(self) -> PageStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, source: PageSource, page: Page) -> None:
        """Store a page."""
        self.count += 1
        if self.count == 1:
            self.only, self._first = source, page
            return
        if self._first is not None:
            self._write(self._first)
        self.only = self._first = None
        self._write(page)

    def pages(self) -> Iterator[Page]:
        """Return the pages in order."""
        if self._first is not None:
            yield self._first
            return
        from ocrtool.document.json import page_from

        self._file.seek(0)
        for line in self._file:
            yield page_from(json.loads(line))

    def _write(self, page: Page) -> None:
        from ocrtool.document.json import dump, page_record

        self._file.write(dump(page_record(page)).encode() + b"\n")


class OverlayWriter:
    """Draws each page to a file of its own: NAME.png, NAME-2.png and so on."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        self._path, self._overwrite = path, overwrite
        self._count = 0

    def add(self, sheet: PageInput) -> None:
        """Draw the next page; a damaged one has no picture, but counts."""
        from ocrtool.writers.overlay import overlay_png

        self._count += 1
        path = self._path
        if self._count > 1:
            path = path.with_name(f"{path.stem}-{self._count}{path.suffix}")
        if sheet.picture is not None:
            with console.output(str(path), self._overwrite, binary=True) as write:
                write(overlay_png(sheet))

    def finish(self) -> None:
        """Do nothing: every file is complete."""
