"""``ocrtool read``: from inputs to outputs, page by page, with no more than one in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocrtool import console
from ocrtool.document.json import dump, page_from, page_record
from ocrtool.errors import EncryptedError, ExitCode, InputError
from ocrtool.inputs import clipboard
from ocrtool.inputs.page_ranges import PageSelection
from ocrtool.inputs.paths import content_of
from ocrtool.options import PageOptions
from ocrtool.pipelines.outputs import FLOWING, PageOutputs, as_read
from ocrtool.writers import PICTURED, PageFormat, PageInput, PageWriter, open_writer

if TYPE_CHECKING:
    from ocrtool.document.tree import Bookmark, Page
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
        out: ``-`` for standard output, a file or a folder; see :class:`PageOutputs`.
        overwrite: Whether files that exist may be replaced.
        selection: Pages that are wanted of each input.
        overlay: Where pictures with what was found are drawn, if wanted.
        copy: Whether the text is also left on the clipboard.
    """

    sources: Sequence[str | InputError]
    forms: Sequence[PageFormat]
    out: str
    overwrite: bool
    selection: PageSelection
    overlay: Path | None
    copy: bool = False


def read_pages(job: PageJob, options: PageOptions) -> int:
    """Read all inputs; one that fails never stops the others.

    Returns:
        The exit code.

    Raises:
        InputError: The only input cannot be read.
        EncryptedError: The only input is encrypted.
        OutputError: Nothing can be written, or copied to the clipboard.
        ModelError: There is no such model.
    """
    least = options.reading.min_confidence
    outputs = PageOutputs(job.out, job.forms, job.overwrite, least, len(job.sources))
    failures = 0
    overlays = _Overlays(job.overlay, job.overwrite)
    copied: list[str | bytes] = []
    text = PageFormat.TXT
    copying = [(text, open_writer(text, copied.append, as_read(text, least)))] * job.copy
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
                with outputs.document(source) as writers:
                    pairs = [*zip(outputs.forms, writers, strict=True), *copying]
                    _read_document(converter, source, job, pairs, overlays)
            except (InputError, EncryptedError) as problem:
                if len(job.sources) == 1:
                    raise  # its failure is the command's, and no output appears
                console.error(str(problem))
                failures += 1
            step(1)
    for _, writer in copying:
        writer.finish()
        clipboard.put("".join(str(part) for part in copied))
    if failures:
        console.say(f"{len(job.sources) - failures} read, {failures} failed")
        return ExitCode.FAILED
    return ExitCode.OK


def _read_document(
    converter: PageConverter,
    source: str,
    job: PageJob,
    writers: Sequence[tuple[PageFormat, PageWriter]],
    overlays: _Overlays,
) -> None:
    """Read a document and write it: its pages first, then what only all of them together tell."""
    from ocrtool.inputs.images import open_pages

    content = content_of(source)

    def sources() -> Iterator[PageSource]:
        return open_pages(content, job.selection)

    with PageStore() as store:
        for page, result in converter.convert_stream(sources()):
            for warning in result.warnings:
                console.note(f"{source}: page {page.number}: {warning}")
            store.add(page, result.page)
        for run_on in (False, True):
            wanted = [(form, writer) for form, writer in writers if (form in FLOWING) is run_on]
            adding = overlays.add if job.overlay and not run_on else None
            if not wanted and not adding:
                continue
            shown = adding or any(form in PICTURED for form, _ in wanted)
            plain = {form for form, _ in wanted} <= {PageFormat.TXT}
            pictures = store.sources(sources) if shown else None
            for read in store.pages() if plain else _structured(store, run_on):
                picture = next(pictures) if pictures else None
                sheet = PageInput(source, read, picture, store.metadata, count=store.count)
                for _, writer in wanted:
                    writer.add(sheet)
                if adding:
                    adding(sheet)


def _structured(store: PageStore, run_on: bool) -> Iterator[Page]:
    from ocrtool.documents.structure import structured

    return structured(store.pages, store.bookmarks, run_on)


class PageStore:
    """Pages of a document that wait for the last one; a context manager.

    Attributes:
        count: Number of pages.
        metadata: Title, author and the like of the document.
        bookmarks: Its own table of contents.
    """

    def __init__(self) -> None:
        self.count = 0
        self.metadata: dict[str, str] = {}
        self.bookmarks: tuple[Bookmark, ...] = ()
        self._only: PageSource | None = None
        self._file = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - see __exit__

    def __enter__(self) -> PageStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, source: PageSource, page: Page) -> None:
        """Keep a page; of its source no more than that of an only page."""
        self._only = None if self.count else source
        if not self.count:
            self.metadata, self.bookmarks = dict(source.metadata), source.bookmarks
        self.count += 1
        self._file.write(dump(page_record(page)).encode() + b"\n")

    def pages(self) -> Iterator[Page]:
        """Return the pages in order."""
        self._file.seek(0)
        for line in self._file:
            yield page_from(json.loads(line))

    def sources(self, opened: Callable[[], Iterable[PageSource]]) -> Iterator[PageSource]:
        """Return the sources of the pages, opened again where there are several."""
        return iter(opened() if self._only is None else [self._only])


class _Overlays:
    """Draws each page to a file of its own: NAME.png, NAME-2.png and so on."""

    def __init__(self, path: Path | None, overwrite: bool) -> None:
        self._path = path
        self._overwrite = overwrite
        self._count = 0

    def add(self, sheet: PageInput) -> None:
        assert self._path is not None
        from ocrtool.writers.overlay import overlay_png

        self._count += 1
        path = self._path
        if self._count > 1:
            path = path.with_name(f"{path.stem}-{self._count}{path.suffix}")
        with console.output(str(path), self._overwrite, binary=True) as write:
            write(overlay_png(sheet))
