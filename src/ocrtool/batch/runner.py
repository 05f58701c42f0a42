"""A batch: documents to pages to outputs, with worker processes, a journal and a report.

The process of the command itself never opens a document. It keeps the journals, hands out jobs, and
gives outputs their names::

    with BatchRunner(plan, options) as batch:
        code = batch.run()
"""

from __future__ import annotations

import getpass
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from ocrtool import console
from ocrtool.batch.document_state import Conversion, header_of, options_of
from ocrtool.batch.journal import (
    CompletionRecord,
    Header,
    Journal,
    OutputRecord,
    fingerprint,
    whole_page,
)
from ocrtool.batch.ordered_output import Stream
from ocrtool.batch.plan import Plan, Planned
from ocrtool.batch.progress import Progress, drawn
from ocrtool.batch.report import (
    BatchReport,
    DocumentNote,
    Outcome,
    PageNote,
    check_report,
    failed_page,
    write_report,
)
from ocrtool.batch.tasks import Opened, OpenJob, ReadJob, WorkerContext, WriteJob, keep_failure
from ocrtool.batch.worker_pool import Done, Event, Failed, Job, Lost, WorkerPool
from ocrtool.errors import (
    EncryptedError,
    ExitCode,
    InputError,
    MissingDependencyError,
    ModelError,
    OcrToolError,
    OutputError,
    UsageError,
)
from ocrtool.inputs.page_ranges import PageSelection
from ocrtool.inputs.paths import STDIN
from ocrtool.options import BatchOptions, ImageChoice, PageOptions, WriteOptions

LARGEST_CHUNK = 16
"""Pages that a worker gets at a time; fewer where they would not go round several times."""
ROUNDS = 4
START = 0.7
"""Seconds that a worker takes to start: for less work than that none is."""
GUESS = 0.1
"""Seconds that a page takes, before one has been read."""
TOLD = 3
"""Pages of a document whose failures are told one by one; the report has them all."""
TRIES = 3
"""Of a password that a person types."""
FATAL = (MissingDependencyError, ModelError, OutputError, UsageError)
"""Errors over a page that every other page would raise, too."""


@dataclass(frozen=True)
class BatchSettings:
    """All that a run is told beside what it converts.

    Attributes:
        pages: How pages are read.
        writing: How outputs are written.
        selection: Pages that are wanted of each document.
        running: Processes and time limits.
        passwords: Tried on documents that are encrypted.
        overwrite: Whether files may be replaced that are not from an earlier run, or were changed.
        report: Where the report goes, if wanted.
    """

    pages: PageOptions = field(default_factory=PageOptions)
    writing: WriteOptions = field(default_factory=WriteOptions)
    selection: PageSelection = field(default_factory=PageSelection)
    running: BatchOptions = field(default_factory=BatchOptions)
    passwords: tuple[str, ...] = ()
    overwrite: bool = False
    report: Path | None = None


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class BatchRunner:
    """Converts what is planned; a context manager that ends all processes.

    Args:
        plan: The documents and their outputs.
        settings: How they are converted.

    Raises:
        OutputError: The report cannot be written.
        ModelError: There is no such model.
    """

    def __init__(self, plan: Plan, settings: BatchSettings) -> None:
        self.plan = plan
        self.settings = settings
        self.report = BatchReport()
        self.progress = Progress(len(plan.documents))
        if settings.report is not None:
            folders = {planned.folder for planned in plan.documents if planned.folder}
            check_report(settings.report, settings.overwrite, folders)
        self._pages = replace(settings.pages, pictures=plan.images is not ImageChoice.NONE)
        self._options = options_of(self._pages)
        reading = self._pages.reading
        size = settings.running.jobs or cores()
        threads = reading.threads or max(1, cores() // size)
        self._scratch = Path(tempfile.mkdtemp(prefix="ocrtool-"))
        desk = partial(
            WorkerContext,
            replace(self._pages, reading=replace(reading, threads=threads)),
            self._scratch,
        )
        self.pool = WorkerPool(size, desk, threads)
        self._coming = deque(plan.documents)
        self._active: dict[int, Conversion] = {}
        self._spent = 0.0
        self._errors: list[OcrToolError] = []
        self._stream = Stream(plan) if plan.streamed else None

    def __enter__(self) -> BatchRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.__exit__()
        for document in self._active.values():
            if document.journal:
                document.journal.close()
        if self._stream:
            self._stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(self) -> int:
        """Convert everything.

        Returns:
            The exit code.

        Raises:
            OcrToolError: The only document cannot be converted, or none can.
            KeyboardInterrupt: Ctrl-C was pressed; what is done is kept.
        """
        start = time.monotonic()
        try:
            with drawn(self.progress) as update:
                self._work(update)
        except KeyboardInterrupt:
            if self.progress.fresh and not self.plan.streamed:
                console.say("what is done is kept: the same command goes on from there")
            raise
        self.report.seconds = time.monotonic() - start
        self.report.fresh = self.progress.fresh
        if self.settings.report is not None:
            write_report(self.settings.report, self.report)
        if len(self.plan.documents) == 1 and self._errors:
            raise self._errors[0]
        if len(self.plan.documents) > 1 or not self.plan.streamed:
            console.say(self.report.summary())
        return ExitCode.FAILED if self.report.failures else ExitCode.OK

    def _work(self, update: Callable[[], None]) -> None:
        with self.pool:
            while True:
                while self._has_hands() and (job := self._next_job()) is not None:
                    self.pool.submit(job)
                update()
                if not self.pool.busy:
                    return
                for event in self.pool.events(START if self.pool.free else None):
                    self._take(event)
                    update()

    def _has_hands(self) -> bool:
        """Tell whether somebody may take a job: idle, or worth the time that starting takes."""
        if self.pool.idle or not self.pool.busy or not self.pool.free:
            return self.pool.free > 0
        waiting = sum(len(document.waiting) for document in self._active.values())
        pages = waiting + 2 * len(self._coming)
        pace = self._spent / self.progress.fresh if self.progress.fresh else GUESS
        return pages * pace > START or self.pool.longest > START

    def _next_job(self) -> Job | None:
        """Return what is to be done next: the first documents come first."""
        for document in self._active.values():
            job = self._job_of(document)
            if job is not None:
                return job
        while self._coming:
            opened = self._begin(self._coming.popleft())
            if opened is not None:
                return opened
        return None

    def _job_of(self, document: Conversion) -> Job | None:
        number, limit = document.planned.number, self.settings.running.page_timeout
        if document.stage == "to open":
            document.stage = "opening"
            made = self._scratch / f"{number}.pdf"
            return OpenJob(
                number, document.planned.source, document.path, made, document.passwords, limit
            )
        assert document.opened is not None or document.stage == "opening"
        if document.stage == "reading" and document.opened:
            pages = self._chunk(document)
            if pages:
                places = {page: document.page(page) for page in pages}
                return ReadJob(number, document.opened, places, limit)
        if document.stage == "to write":
            document.stage = "writing"
            return self._write_job(document)
        return None

    def _chunk(self, document: Conversion) -> list[int]:
        """Take some of the pages that wait."""
        if document.alone:
            return [document.alone.popleft()]
        share = len(document.waiting) // (ROUNDS * max(1, self.pool.free + self.pool.busy))
        size = min(len(document.waiting), max(1, min(LARGEST_CHUNK, share)))
        return [document.waiting.popleft() for _ in range(size)]

    # Beginning

    def _begin(self, planned: Planned) -> Job | None:
        """Return the first job for a document; nothing where there is none to do."""
        try:
            if planned.problem is not None:
                raise planned.problem
            document = self._prepared(planned)
        except (InputError, OutputError) as error:
            self._fail(planned, error)
            return None
        if document is None:
            return None
        self._active[planned.number] = document
        return self._job_of(document)

    def _prepared(self, planned: Planned) -> Conversion | None:
        """Find out what is done already of a document.

        Raises:
            InputError: It cannot be read.
            OutputError: Its outputs are taken, or another process is at work on it.
        """
        begun = time.monotonic()
        path = self._file_of(planned)
        header = header_of(planned.source, path, self._options)
        journal = Journal(planned.folder, planned.name) if planned.folder else None
        notes: dict[int, PageNote] = {}
        kept = self._scratch / f"{planned.number}.pages"
        try:
            if journal is None:
                kept.mkdir()
            elif self._is_done(planned, header, journal):
                journal.close()
                return None
            else:
                for target in planned.files.values():
                    journal.check(target, self.settings.overwrite)
                notes, change = journal.begin(header)
                if change:
                    console.say(f"{planned.source}: {change}: starts anew")
        except BaseException:
            if journal:
                journal.close()
            raise
        passwords = self.settings.passwords
        return Conversion(planned, path, header, journal, kept, notes, passwords, begun)

    def _is_done(self, planned: Planned, header: Header, journal: Journal) -> bool:
        """Tell whether an earlier run completed a document, so that nothing is left to do."""
        done = journal.finished
        if done is None:
            return False
        if done.header != header:
            console.say(f"{planned.source}: {header.change_from(done.header)}: starts anew")
            return False
        state = journal.state()
        if done.outputs != self._outputs_of(planned) or done.again or state == "missing":
            return False
        if state == "changed" and self.settings.overwrite:
            return False
        if state == "changed":
            told = "done before, and its output was changed since; --overwrite converts it again"
            console.warn(f"{planned.source}: {told}")
        else:
            console.note(f"{planned.source}: done before, and unchanged")
        bad = [note for note in done.pages if note.error]
        for note in bad[:TOLD]:
            console.error(f"{planned.source}: page {note.page} cannot be read: {note.error}")
        if len(bad) > TOLD:
            console.error(f"{planned.source}: {len(bad) - TOLD} more pages cannot be read")
        puts = tuple(str(journal.outputs / name) for name in done.puts)
        self._note(planned, "unchanged", outputs=puts, pages=done.pages)
        self.progress.opened += 1
        self.progress.pages += len(done.pages)
        self.progress.read += len(done.pages)
        return True

    def _outputs_of(self, planned: Planned) -> str:
        """Return a fingerprint of what decides what the outputs hold, beside the pages."""
        forms = sorted(form.value for form in planned.files)
        selection = self.settings.selection.ranges
        return fingerprint([forms, asdict(self._writing(planned)), selection, planned.source])

    def _writing(self, planned: Planned) -> WriteOptions:
        folder = planned.images.name if self.plan.images is ImageChoice.REFS else ""
        return replace(self.settings.writing, images=self.plan.images, image_folder=folder)

    def _file_of(self, planned: Planned) -> Path:
        """Return the path of a document; what comes through a pipe is put into a file.

        Raises:
            InputError: It is missing, or no file.
            OutputError: There is no room.
        """
        path = Path(planned.source)
        try:
            if planned.source != STDIN and not path.is_fifo():
                if path.is_dir():
                    raise InputError(f"{path}: is a folder")
                if path.exists() and not path.is_file():
                    raise InputError(f"{path}: is no file")
                return path
            spool = self._scratch / f"{planned.number}.input"
            with spool.open("wb") as file:
                if planned.source == STDIN:
                    shutil.copyfileobj(sys.stdin.buffer, file)
                else:
                    with path.open("rb") as pipe:
                        shutil.copyfileobj(pipe, file)
        except OSError as error:
            raise OutputError(f"no temporary files can be made: {error.strerror}") from None
        return spool

    # What comes back

    def _take(self, event: Event) -> None:
        document = self._active.get(event.job.document)
        if document is None:  # it has failed meanwhile
            return
        match event.job, event:
            case OpenJob(), Done(value=Opened() as opened):
                self._take_opened(document, opened)
            case ReadJob(), Done(value=PageNote() as note):
                self._take_page(document, note)
            case WriteJob() as job, Done():
                self._complete(document, job)
            case ReadJob(), Failed(error=error) if isinstance(error, FATAL):
                raise error
            case ReadJob(), Failed(step=step, error=error, seconds=seconds):
                self._lose_page(document, failed_page(step, str(error), "damaged", seconds))
            case OpenJob(), Failed(error=EncryptedError() as error):
                if not self._ask(document):
                    self._fail(document.planned, error)
            case _, Failed(error=error):
                self._fail(document.planned, error)
            case ReadJob(), Lost() as lost:
                self._take_loss(document, lost)
            case _, Lost() as lost:
                self._open_or_write_again(document, lost)

    def _take_opened(self, document: Conversion, opened: Opened) -> None:
        document.opened = opened
        document.wanted = self.settings.selection.of(opened.pages)
        if not document.wanted:
            pages = "1 page" if opened.pages == 1 else f"{opened.pages} pages"
            told = f"{document.planned.source}: has {pages}, none of them asked for"
            self._fail(document.planned, InputError(told, "see --pages"))
            return
        document.waiting = deque(page for page in document.wanted if page not in document.notes)
        document.unread = set(document.waiting)
        found = len(document.wanted) - len(document.waiting)
        if found:
            console.say(
                f"{document.planned.source}: goes on, {found} of {len(document.wanted)} pages"
                " being done"
            )
        self.progress.opened += 1
        self.progress.pages += len(document.wanted)
        self.progress.read += found
        document.stage = "reading" if document.unread else "to write"

    def _take_page(self, document: Conversion, note: PageNote) -> None:
        document.notes[note.page] = note
        self.progress.read += 1
        self.progress.fresh += 1
        self._spent += note.seconds
        source = document.planned.source
        if note.error and document.told < TOLD:
            console.error(f"{source}: page {note.page} cannot be read: {note.error}")
        document.told += bool(note.error)
        for warning in note.warnings:
            console.note(f"{source}: page {note.page}: {warning}")
        document.unread.discard(note.page)
        if not document.unread:
            document.stage = "to write"

    def _lose_page(self, document: Conversion, note: PageNote) -> None:
        """Keep a page that could not be read."""
        keep_failure(document.page(note.page), note)
        self._take_page(document, note)

    def _take_loss(self, document: Conversion, lost: Lost) -> None:
        """Give the pages of a worker that died to others; the one it died over has a last try."""
        document.waiting.extendleft(reversed(lost.left))
        note = whole_page(document.page(lost.step))
        if note is not None:  # it died between writing and telling
            self._take_page(document, note)
            return
        if lost.reason != "timeout" and lost.step not in document.tried:
            console.note(f"{document.planned.source}: page {lost.step}: {lost.message}; once more")
            document.tried.add(lost.step)
            document.alone.append(lost.step)
            return
        self._lose_page(document, failed_page(lost.step, lost.message, lost.reason, lost.seconds))

    def _open_or_write_again(self, document: Conversion, lost: Lost) -> None:
        document.died += 1
        if lost.reason != "timeout" and document.died == 1:
            document.stage = "to open" if document.stage == "opening" else "to write"
            return
        source = document.planned.source
        if document.stage == "opening":
            self._fail(document.planned, InputError(f"{source}: cannot be opened: {lost.message}"))
        else:
            told = f"{source}: its outputs cannot be written: {lost.message}"
            self._fail(document.planned, OutputError(told))

    def _ask(self, document: Conversion) -> bool:
        """Ask a person at a terminal for the password of a document; tell whether it was given."""
        if self.settings.passwords or not _at_terminal() or document.asked >= TRIES:
            return False
        document.asked += 1
        wrong = "wrong; " if document.asked > 1 else ""
        try:
            given = getpass.getpass(f"{wrong}password of {document.planned.source}: ")
        except (EOFError, OSError):
            return False
        document.passwords = (given,)
        document.stage = "to open"
        return bool(given)

    # Ending

    def _write_job(self, document: Conversion) -> WriteJob:
        planned, opened = document.planned, document.opened
        assert opened is not None
        if document.journal:
            folder = document.journal.drafts()
        else:
            folder = self._scratch / f"{planned.number}.drafts"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        apart = self.plan.images is ImageChoice.REFS
        return WriteJob(
            planned.number,
            planned.source,
            opened,
            tuple(document.page(page) for page in document.wanted),
            {form: folder / f"draft.{form.value}" for form in self.plan.forms},
            folder / "pictures" if apart else None,
            self._writing(planned),
            self.settings.running.page_timeout * len(document.wanted),
        )

    def _complete(self, document: Conversion, job: WriteJob) -> None:
        planned, journal = document.planned, document.journal
        outputs: dict[str, OutputRecord] = {}
        try:
            if header_of(planned.source, document.path, self._options) != document.header:
                raise InputError(f"{planned.source}: was changed while it was read")
            if journal:
                drafts = {planned.files[form]: path for form, path in job.drafts.items()}
                if job.pictures and job.pictures.exists():
                    drafts[planned.images] = job.pictures
                outputs = journal.publish(drafts, self.settings.overwrite)
        except (InputError, OutputError) as error:
            self._fail(planned, error)
            return
        notes = tuple(document.notes[page] for page in document.wanted)
        if journal:
            again = any(note.may_be_mended for note in notes)
            finished = CompletionRecord(
                document.header, self._outputs_of(planned), outputs, notes, again
            )
            journal.finish(finished)
        elif self._stream:
            self._stream.put(planned.number, next(iter(job.drafts.values())))
        puts = tuple(str(journal.outputs / name) for name in outputs) if journal else ()
        seconds = time.monotonic() - document.begun
        if document.told > TOLD:
            console.error(f"{planned.source}: {document.told - TOLD} more pages cannot be read")
        self._close(document)
        self._note(planned, "converted", outputs=puts, pages=notes, seconds=seconds)

    def _fail(self, planned: Planned, error: OcrToolError) -> None:
        """Give a document up."""
        document = self._active.get(planned.number)
        seconds = time.monotonic() - document.begun if document else 0.0
        if document:
            self._close(document)
        self._errors.append(error)
        if len(self.plan.documents) > 1:  # the only document's failure is the command's
            told = str(error)
            console.error(told if planned.source in told else f"{planned.source}: {told}")
        if self._stream:
            self._stream.put(planned.number, None)
        self._note(planned, "failed", error=error.message, seconds=seconds)

    def _close(self, document: Conversion) -> None:
        del self._active[document.planned.number]
        if document.journal:
            document.journal.close()
        shutil.rmtree(document.kept, ignore_errors=True)

    def _note(
        self,
        planned: Planned,
        outcome: Outcome,
        outputs: tuple[str, ...] = (),
        error: str = "",
        pages: tuple[PageNote, ...] = (),
        seconds: float = 0.0,
    ) -> None:
        """Note what became of a document, and send on what standard output waits for."""
        note = DocumentNote(planned.source, outcome, outputs, error, pages, seconds)
        self.report.notes[planned.number] = note
        self.progress.ended += 1


def _at_terminal() -> bool:
    """Tell whether there is somebody to be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
