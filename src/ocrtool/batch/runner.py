"""Runs a batch: documents become pages, pages become outputs, by worker processes.

The command's own process never opens an input. It schedules tasks, stores finished pages in the
journals, and gives outputs their final names::

    with BatchRunner(plan, settings) as batch:
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
from ocrtool.batch.document_state import DocumentState
from ocrtool.batch.fingerprints import Header, fingerprint, header_of, options_fingerprint
from ocrtool.batch.journal import CompletionRecord, Journal
from ocrtool.batch.ordered_output import OrderedOutput
from ocrtool.batch.plan import Plan, PlannedDocument
from ocrtool.batch.progress import Progress, progress_bar
from ocrtool.batch.report import (
    BatchReport,
    DocumentNote,
    Outcome,
    PageNote,
    check_report,
    failed_page,
    write_report,
)
from ocrtool.batch.stored_pages import StoredPage
from ocrtool.batch.tasks import (
    OpenedDocument,
    OpenTask,
    ReadTask,
    WorkerContext,
    WriteTask,
    Written,
)
from ocrtool.batch.worker_pool import Done, Event, Failed, Lost, Task, WorkerPool
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
from ocrtool.inputs.paths import CLIPBOARD, STDIN, pipe_content, stream_chunks
from ocrtool.options import BatchOptions, ImageChoice, PageOptions, PageSelection, WriteOptions

WORKER_START_SECONDS = 0.7
"""Time in seconds to start a worker: no further one is started for less work than this."""
INITIAL_PAGE_SECONDS = 0.1
"""Assumed time in seconds to read a page before the first one has been read."""
ASSUMED_PAGES = 2
"""Assumed number of pages of a document that has not been opened."""
MAX_SHOWN_FAILURES = 3
"""Maximum number of failed pages of a document, and of pages with warnings, that standard error
names; the report has all."""
PASSWORD_ATTEMPTS = 3
"""Maximum number of times that a password is asked for at the terminal."""
FATAL_ERRORS = (MissingDependencyError, ModelError, OutputError, UsageError)
"""Errors of reading a page that every other page would raise as well: they end the run."""


@dataclass(frozen=True)
class BatchSettings:
    """Settings of a run, except for its inputs and outputs.

    Attributes:
        pages: How pages are read.
        writing: How outputs are written.
        selection: Which pages of each document are converted.
        running: Number of processes and time limits.
        passwords: Passwords to try on encrypted documents.
        overwrite: Whether files may be replaced that no earlier run wrote, or that were changed.
        report: Path of the report, if one is wanted.
    """

    pages: PageOptions = field(default_factory=PageOptions)
    writing: WriteOptions = field(default_factory=WriteOptions)
    selection: PageSelection = field(default_factory=PageSelection)
    running: BatchOptions = field(default_factory=BatchOptions)
    passwords: tuple[str, ...] = ()
    overwrite: bool = False
    report: Path | None = None


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class BatchRunner:
    """Converts the documents of a plan; a context manager that ends all worker processes.

    Args:
        plan: The documents and their outputs.
        settings: How they are converted.

    Raises:
        OutputError: The report cannot be written.
        ModelError: The model does not exist.
    """

    def __init__(self, plan: Plan, settings: BatchSettings) -> None:
        self.plan = plan
        self.settings = settings
        self.report = BatchReport()
        self.progress = Progress(len(plan.documents))
        if settings.report is not None:
            folders = {planned.folder for planned in plan.documents if planned.folder}
            check_report(settings.report, settings.overwrite, folders)
        pages = replace(settings.pages, pictures=plan.images is not ImageChoice.NONE)
        self._options = options_fingerprint(pages)
        size = settings.running.jobs or available_cores()
        threads = pages.reading.threads or max(1, available_cores() // size)
        self._scratch = Path(tempfile.mkdtemp(prefix="ocrtool-"))
        pages = replace(pages, reading=replace(pages.reading, threads=threads))
        self.pool = WorkerPool(size, partial(WorkerContext, pages, self._scratch), threads)
        self._queue = deque(plan.documents)
        self._active: dict[int, DocumentState] = {}
        self._reading_seconds = 0.0
        self._errors: list[OcrToolError] = []
        self._stream = OrderedOutput(plan) if plan.streamed else None

    def __enter__(self) -> BatchRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.__exit__()
        for document in self._active.values():
            document.journal.close()
        if self._stream:
            self._stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def run(self) -> int:
        """Convert all documents.

        Returns:
            The exit code.

        Raises:
            OcrToolError: The only document cannot be converted, or none can.
            KeyboardInterrupt: Ctrl-C was pressed; finished pages are kept.
        """
        start = time.monotonic()
        try:
            with progress_bar(self.progress) as update:
                self._loop(update)
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
        return ExitCode.FAILED if self.report.failures or self._errors else ExitCode.OK

    # Scheduling

    def _loop(self, update: Callable[[], None]) -> None:
        with self.pool:
            while True:
                while self._may_submit() and (task := self._next_task()) is not None:
                    self.pool.submit(task)
                update()
                if not self.pool.busy:
                    return
                for event in self.pool.events(WORKER_START_SECONDS if self.pool.free else None):
                    self._handle(event)
                    update()

    def _may_submit(self) -> bool:
        """Tell whether a worker is idle, or there is enough work to start another one."""
        if self.pool.idle or not self.pool.busy or not self.pool.free:
            return self.pool.free > 0
        waiting = sum(len(document.waiting) for document in self._active.values())
        pages = waiting + ASSUMED_PAGES * len(self._queue)
        fresh = self.progress.fresh
        page_seconds = self._reading_seconds / fresh if fresh else INITIAL_PAGE_SECONDS
        longest = max(pages * page_seconds, self.pool.longest)
        return longest > WORKER_START_SECONDS

    def _next_task(self) -> Task | None:
        """Return the next task; documents that were begun earlier come first."""
        for document in self._active.values():
            if (task := self._task_of(document)) is not None:
                return task
        while self._queue:
            planned = self._queue.popleft()
            try:
                started = self._start(planned)
            except (InputError, OutputError) as error:
                self._fail(planned, error)
                continue
            if started is not None:
                self._active[planned.number] = started
                return self._task_of(started)
        return None

    def _task_of(self, document: DocumentState) -> Task | None:
        """Return the next task of a document, if it has one now."""
        planned, opened = document.planned, document.opened
        limit = self.settings.running.page_timeout
        if document.stage == "to open":
            document.stage = "opening"
            return OpenTask(
                planned.number, planned.source, document.path, document.passwords, limit
            )
        if opened is not None and document.stage == "reading" and document.waiting:
            return ReadTask(planned.number, opened, document.waiting.popleft(), limit)
        if opened is not None and document.stage == "to write":
            document.stage = "writing"
            folder = document.journal.drafts()
            return WriteTask(
                planned.number,
                planned.source,
                opened,
                document.journal.checkpoint(),
                document.wanted,
                {form: folder / f"draft.{form.name}" for form in self.plan.forms},
                folder / "pictures" if self.plan.images is ImageChoice.REFS else None,
                self._write_options(planned),
                limit * len(document.wanted),
            )
        return None

    # Starting a document

    def _start(self, planned: PlannedDocument) -> DocumentState | None:
        """Open the journal of a document; return nothing if an earlier run completed it.

        Raises:
            InputError: The input cannot be read.
            OutputError: An output exists already, or another process works on the document.
        """
        if planned.problem is not None:
            raise planned.problem
        begun = time.monotonic()
        path = self._input_file(planned)
        header = header_of(planned.source, path, self._options)
        if planned.folder:
            journal = Journal(planned.folder, planned.name)
        else:
            journal = Journal(self._scratch / str(planned.number), "document")
        if journal.discarded:
            console.say(f"{planned.source}: {journal.discarded}: starts anew")
        try:
            if self._is_completed(planned, header, journal):
                journal.close()
                return None
            for target in planned.files.values():
                journal.check(target, self.settings.overwrite)
            change = journal.begin(header)
        except BaseException:
            journal.close()
            raise
        if change:
            console.say(f"{planned.source}: {change}: starts anew")
        return DocumentState(planned, path, header, journal, self.settings.passwords, begun)

    def _is_completed(self, planned: PlannedDocument, header: Header, journal: Journal) -> bool:
        """Tell whether an earlier run completed a document, and report it if so."""
        completed = journal.completed
        if completed is None or completed.header != header or completed.retry:
            return False
        state = journal.state()
        if completed.output_options != self._output_options(planned) or state == "missing":
            return False
        if state == "changed" and self.settings.overwrite:
            return False
        if state == "changed":
            told = "done before, and its output was changed since; --overwrite converts it again"
            console.warn(f"{planned.source}: {told}")
        else:
            console.note(f"{planned.source}: done before, and unchanged")
        failed = [note for note in completed.pages if note.error]
        for note in failed[:MAX_SHOWN_FAILURES]:
            console.error(f"{planned.source}: page {note.page} cannot be read: {note.error}")
        self._show_remaining_failures(planned, len(failed))
        outputs = tuple(str(journal.folder / name) for name in completed.outputs)
        self._report(planned, "unchanged", outputs=outputs, pages=completed.pages)
        self.progress.opened += 1
        self.progress.pages += len(completed.pages)
        self.progress.read += len(completed.pages)
        return True

    def _output_options(self, planned: PlannedDocument) -> str:
        """Return a fingerprint of what the outputs depend on besides the page results."""
        forms = sorted(form.name for form in planned.files)
        writing = asdict(self._write_options(planned))
        return fingerprint([forms, writing, self.settings.selection.ranges, planned.source])

    def _write_options(self, planned: PlannedDocument) -> WriteOptions:
        folder = planned.images.name if self.plan.images is ImageChoice.REFS else ""
        return replace(self.settings.writing, images=self.plan.images, image_folder=folder)

    def _input_file(self, planned: PlannedDocument) -> Path:
        """Return the file of a document; standard input and pipes are copied to one.

        Raises:
            InputError: It is missing, or not a regular file.
            OutputError: The temporary file cannot be written.
        """
        path = Path(planned.source)
        if planned.source == CLIPBOARD:
            from ocrtool.inputs import clipboard

            content = clipboard.grab()
        try:
            if planned.source not in (STDIN, CLIPBOARD) and not path.is_fifo():
                if path.is_dir():
                    raise InputError(f"{path}: is a folder")
                if path.exists() and not path.is_file():
                    raise InputError(f"{path}: is a device, not an image or PDF")
                return path
            spool = self._scratch / f"{planned.number}.input"
            with spool.open("wb") as file:
                if planned.source == CLIPBOARD:
                    file.write(content)
                elif planned.source == STDIN:
                    file.writelines(stream_chunks(sys.stdin.buffer, "standard input"))
                else:
                    file.write(pipe_content(path))
        except OSError as error:
            raise OutputError(f"no temporary files can be made: {error.strerror}") from None
        return spool

    # Handling events of the workers

    def _handle(self, event: Event) -> None:
        document = self._active.get(event.task.document)
        if document is None:  # it has failed in the meantime
            return
        match event.task, event:
            case OpenTask(), Done(value=OpenedDocument() as opened):
                self._handle_opened(document, opened)
            case ReadTask(), Done(value=StoredPage() as page):
                self._add_page(document, page)
            case WriteTask() as task, Done(value=Written() as written):
                self._complete(document, task, written)
            case ReadTask(), Failed(error=error) if isinstance(error, FATAL_ERRORS):
                raise error
            case ReadTask(page=page), Failed(error=error, seconds=seconds):
                note = failed_page(page, str(error), "damaged", seconds)
                self._add_page(document, StoredPage.failed(note))
            case OpenTask(), Failed(error=EncryptedError() as error):
                if not self._ask_password(document):
                    self._fail(document.planned, error)
            case _, Failed(error=error):
                self._fail(document.planned, error)
            case ReadTask(page=page), Lost() as lost:
                self._handle_lost_page(document, page, lost)
            case _, Lost() as lost:
                self._handle_lost_document(document, lost)

    def _handle_opened(self, document: DocumentState, opened: OpenedDocument) -> None:
        source = document.planned.source
        document.opened = opened
        document.wanted = tuple(self.settings.selection.of(opened.pages))
        if not document.wanted:
            pages = "1 page" if opened.pages == 1 else f"{opened.pages} pages"
            told = f"{source}: has {pages}, none of them asked for"
            self._fail(document.planned, InputError(told, "see --pages"))
            return
        notes = document.journal.notes
        document.waiting = deque(page for page in document.wanted if page not in notes)
        document.unfinished = len(document.waiting)
        finished = len(document.wanted) - document.unfinished
        if finished:
            console.say(f"{source}: goes on, {finished} of {len(document.wanted)} pages being done")
        self.progress.opened += 1
        self.progress.pages += len(document.wanted)
        self.progress.read += finished
        document.stage = "reading" if document.unfinished else "to write"

    def _add_page(self, document: DocumentState, page: StoredPage) -> None:
        """Store a finished or failed page."""
        document.journal.add_page(page)
        note, source = page.note, document.planned.source
        self.progress.read += 1
        self.progress.fresh += 1
        self._reading_seconds += note.seconds
        if note.error:
            document.failed_pages += 1
            if document.failed_pages <= MAX_SHOWN_FAILURES:
                console.error(f"{source}: page {note.page} cannot be read: {note.error}")
        document.warned_pages += bool(note.warnings)
        tell = console.warn if document.warned_pages <= MAX_SHOWN_FAILURES else console.note
        for warning in note.warnings:
            tell(f"{source}: page {note.page}: {warning}")
        document.unfinished -= 1
        if not document.unfinished:
            document.stage = "to write"

    def _handle_lost_page(self, document: DocumentState, page: int, lost: Lost) -> None:
        """Try a page once more if its worker died; otherwise store its failure."""
        if lost.reason != "timeout" and page not in document.retried:
            console.note(f"{document.planned.source}: page {page}: {lost.message}; once more")
            document.retried.add(page)
            document.waiting.appendleft(page)
            return
        note = failed_page(page, lost.message, lost.reason, lost.seconds)
        self._add_page(document, StoredPage.failed(note))

    def _handle_lost_document(self, document: DocumentState, lost: Lost) -> None:
        """Open or write a document once more if the worker died; otherwise give it up."""
        document.losses += 1
        if lost.reason != "timeout" and document.losses == 1:
            document.stage = "to open" if document.stage == "opening" else "to write"
            return
        source = document.planned.source
        if document.stage == "opening":
            self._fail(document.planned, InputError(f"{source}: cannot be opened: {lost.message}"))
        else:
            told = f"{source}: its outputs cannot be written: {lost.message}"
            self._fail(document.planned, OutputError(told))

    def _ask_password(self, document: DocumentState) -> bool:
        """Ask for the password of a document at the terminal; tell whether one was given."""
        prompts = document.password_prompts
        if self.settings.passwords or not _at_terminal() or prompts >= PASSWORD_ATTEMPTS:
            return False
        document.password_prompts += 1
        wrong = "wrong; " if prompts else ""
        try:
            given = getpass.getpass(f"{wrong}password of {document.planned.source}: ")
        except (EOFError, OSError):
            return False
        document.passwords = (given,)
        document.stage = "to open"
        return bool(given)

    # Ending a document

    def _complete(self, document: DocumentState, task: WriteTask, written: Written) -> None:
        """Give the outputs their final names, and record that the document is complete."""
        planned, journal = document.planned, document.journal
        targets = {
            planned.files.get(form, journal.folder / draft.name): draft
            for form, draft in task.drafts.items()
            if form not in written.failures
        }
        if task.pictures and task.pictures.exists():
            targets[planned.images] = task.pictures
        try:
            if header_of(planned.source, document.path, self._options) != document.header:
                raise InputError(f"{planned.source}: was changed while it was read")
            names = journal.publish(targets, self.settings.overwrite)
        except (InputError, OutputError) as error:
            self._fail(planned, error)
            return
        notes = tuple(
            replace(journal.notes[page], left_out=written.left_out.get(page, ()))
            for page in document.wanted
        )
        outputs = tuple(str(journal.folder / name) for name in names)
        if self._stream:
            self._stream.put(planned.number, Path(outputs[0]))
            outputs = ()
        else:
            retry = bool(written.failures) or any(note.is_retryable for note in notes)
            options = self._output_options(planned)
            journal.complete(CompletionRecord(document.header, options, names, notes, retry))
        seconds = time.monotonic() - document.begun
        self._show_remaining_failures(planned, document.failed_pages)
        if document.warned_pages > MAX_SHOWN_FAILURES:
            more = document.warned_pages - MAX_SHOWN_FAILURES
            console.warn(f"{planned.source}: {more} more pages have warnings; see -v or --report")
        self._close(document)
        for form, reason in written.failures.items():
            failure = OutputError(f"{planned.source}: {form} was not written: {reason}")
            self._errors.append(failure)
            if len(self.plan.documents) > 1:
                console.error(str(failure))
        lost = "; ".join(f"{form}: {reason}" for form, reason in written.failures.items())
        self._report(planned, "converted", outputs, lost, notes, seconds)

    def _fail(self, planned: PlannedDocument, error: OcrToolError) -> None:
        """Give up a document."""
        document = self._active.get(planned.number)
        seconds = time.monotonic() - document.begun if document else 0.0
        if document:
            self._close(document)
        self._errors.append(error)
        if len(self.plan.documents) > 1:  # the failure of an only document is raised by run()
            told = str(error)
            console.error(told if planned.source in told else f"{planned.source}: {told}")
        if self._stream:
            self._stream.put(planned.number, None)
        self._report(planned, "failed", error=error.message, seconds=seconds)

    def _close(self, document: DocumentState) -> None:
        del self._active[document.planned.number]
        document.journal.close()
        if self._stream:
            shutil.rmtree(document.journal.path.parent, ignore_errors=True)

    def _show_remaining_failures(self, planned: PlannedDocument, failed: int) -> None:
        if failed > MAX_SHOWN_FAILURES:
            more = failed - MAX_SHOWN_FAILURES
            console.error(f"{planned.source}: {more} more pages cannot be read")

    def _report(
        self,
        planned: PlannedDocument,
        outcome: Outcome,
        outputs: tuple[str, ...] = (),
        error: str = "",
        pages: tuple[PageNote, ...] = (),
        seconds: float = 0.0,
    ) -> None:
        note = DocumentNote(planned.source, outcome, outputs, error, pages, seconds)
        self.report.notes[planned.number] = note
        self.progress.ended += 1


def _at_terminal() -> bool:
    """Tell whether a person can be asked for a password."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
