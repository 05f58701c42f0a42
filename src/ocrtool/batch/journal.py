"""The journal of a document: what is finished, so that a stopped run can be resumed.

Beside the outputs, the folder ``.ocrtool`` holds for each document

- ``NAME.sqlite``, an SQLite database with a row for each page that is finished, for each output
  that was written or is about to be, and for the completed document;
- ``NAME.lock``, locked by the process that works on the document and removed when it ends;
- ``NAME.drafts``, outputs that are being written and have no final name yet.

The database is in WAL mode: a process killed at any moment loses at most the transaction it was
writing. When a document is complete, its pages are deleted from the journal, except where some of
them failed for a reason that may not recur.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

from filelock import FileLock, Timeout

from ocrtool.batch.fingerprints import Header
from ocrtool.batch.output_files import OutputRecord, digest_of, move
from ocrtool.batch.report import PageNote
from ocrtool.batch.stored_pages import DAMAGE, StoredPage, stored_pages
from ocrtool.errors import OutputError
from ocrtool.inputs.paths import JOURNALS

APPLICATION_ID = 0x6F637274
"""``application_id`` of the database ("ocrt" in ASCII)."""
FORMAT = 2
"""``user_version`` of the database: version of the tables; other versions are discarded."""
TABLES = {
    "records": "CREATE TABLE records (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "pages": (
        "CREATE TABLE pages (number INTEGER PRIMARY KEY, note TEXT NOT NULL,"
        " content BLOB NOT NULL, digest TEXT NOT NULL)"
    ),
    "pictures": (
        "CREATE TABLE pictures (page INTEGER NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL,"
        " PRIMARY KEY (page, name))"
    ),
    "outputs": (
        "CREATE TABLE outputs (name BLOB NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,"
        " time INTEGER NOT NULL, PRIMARY KEY (name, digest))"
    ),
}
"""The SQL of the tables by name; a journal with any other schema is discarded."""
SYSTEM_ERRORS = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
"""Primary SQLite error codes that do not mean that the database is damaged."""
NAME_LENGTH = 40
"""Maximum number of characters of the document's name in the name of its journal."""
NAME_DIGEST_DIGITS = 16
"""Number of hexadecimal digits of the hash that makes names of journals unique."""
IMAGES = "_images"
"""Suffix of the names of picture folders."""


class BusyError(OutputError):
    """Another process is converting the document."""


@dataclass(frozen=True)
class CompletionRecord:
    """A completed document.

    Attributes:
        header: What its page results depend on.
        output_options: Fingerprint of everything else that the outputs depend on.
        outputs: Names of the outputs, relative to the output folder.
        pages: Report entries of its pages.
        retry: Whether some pages failed for a reason that may not recur.
    """

    header: Header
    output_options: str
    outputs: tuple[str, ...]
    pages: tuple[PageNote, ...]
    retry: bool = False

    def to_record(self) -> dict[str, Any]:
        """Convert it to JSON-serialisable values."""
        return {**asdict(self), "pages": [note.to_record() for note in self.pages]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CompletionRecord:
        """Return what :meth:`to_record` gave.

        Raises:
            KeyError: A value is missing.
            ValueError: A value is not valid, or an output lies outside the output folder.
        """
        outputs = tuple(map(str, record["outputs"]))
        for name in outputs:
            _check_name(name)
        return cls(
            Header.from_record(record["header"]),
            str(record["output_options"]),
            outputs,
            tuple(PageNote.from_record(page) for page in record["pages"]),
            bool(record["retry"]),
        )


class Journal:
    """The journal of one document; a context manager that holds its lock.

    Args:
        folder: Output folder; the journal is below it.
        name: Name of the document, unique in the folder.

    Attributes:
        path: The database.
        discarded: Why the journal of an earlier run was discarded; empty if it was not.
        notes: Report entries of the finished pages, by number.
        completed: The completed document, if an earlier run completed it.

    Raises:
        BusyError: Another process holds the lock.
        OutputError: The folder cannot be made or written to.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(name).name)
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        stem = f"{plain[:NAME_LENGTH].lstrip('.')}-{digest[:NAME_DIGEST_DIGITS]}"
        root = folder / JOURNALS
        self.path = root / f"{stem}.sqlite"
        self._drafts = root / f"{stem}.drafts"
        self._lock = FileLock(root / f"{stem}.lock", blocking=False)
        self.discarded = ""
        with _writing(root):
            root.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                told = f"another process is at work ({self._lock.lock_file} is locked)"
                raise BusyError(told) from None
        try:
            self._open()
        except BaseException:
            self._unlock()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        """Open the database; one that cannot be used is replaced by a new one."""
        with _writing(self.path):
            try:
                self._load()
            except (*DAMAGE, sqlite3.Error) as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in SYSTEM_ERRORS:
                    raise
                self.discarded = "its journal is not readable"
                self._remove()
                self._load()

    def _load(self) -> None:
        """Open the database and read it.

        Raises:
            sqlite3.Error: It is damaged or cannot be opened.
            ValueError: Its content is not valid (or another exception in :data:`DAMAGE`).
        """
        self._database = sqlite3.connect(self.path, isolation_level=None)
        try:
            _prepare(self._database)
            records = dict(self._database.execute("SELECT key, value FROM records"))
            header, completed = records.get("header"), records.get("completed")
            self._header = Header.from_record(json.loads(header)) if header else None
            self.completed = (
                CompletionRecord.from_record(json.loads(completed)) if completed else None
            )
            self._outputs: dict[str, list[OutputRecord]] = {}
            for name, *record in self._database.execute("SELECT * FROM outputs"):
                _check_name(os.fsdecode(name))
                self._outputs.setdefault(os.fsdecode(name), []).append(OutputRecord(*record))
            self.notes = {page.note.page: page.note for page in stored_pages(self._database)}
        except BaseException:
            self._database.close()
            raise

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _unlock(self) -> None:
        lock = Path(self._lock.lock_file)
        with contextlib.suppress(OSError):  # Windows removes it on release
            lock.unlink()  # while it is locked, so that no other process locks a removed file
        self._lock.release()
        with contextlib.suppress(OSError):  # it holds other journals
            lock.parent.rmdir()

    def close(self) -> None:
        """Close and unlock it; a journal without content is removed."""
        shutil.rmtree(self._drafts, ignore_errors=True)
        self._database.close()
        if not (self.notes or self._outputs or self.completed):
            with contextlib.suppress(OSError):
                self._remove()
        self._unlock()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _writing(self.path), self._database:
            self._database.execute("BEGIN")
            yield self._database

    def begin(self, header: Header) -> str:
        """Resume an earlier run, or start anew if its pages cannot be used.

        Args:
            header: Header of this run.

        Returns:
            Why an earlier run cannot be resumed; empty if it can, or if there was none.

        Raises:
            OutputError: The journal cannot be written.
        """
        reason = header.difference_from(self._header) if self._header else ""
        if header != self._header:
            with self._transaction() as database:
                _delete_pages(database, self.notes)
                _put_record(database, "header", asdict(header))
            self._header, self.notes = header, {}
        return reason

    def add_page(self, page: StoredPage) -> None:
        """Store a finished page.

        Raises:
            OutputError: The journal cannot be written.
        """
        number = page.note.page
        with self._transaction() as database:
            database.execute(
                "INSERT INTO pages VALUES (?, ?, ?, ?)",
                (number, page.note_json, page.content, page.digest),
            )
            rows = [(number, name, content) for name, content in page.pictures.items()]
            database.executemany("INSERT INTO pictures VALUES (?, ?, ?)", rows)
        self.notes[number] = page.note

    def checkpoint(self) -> Path:
        """Move all rows into the main file, so that a worker can read it; return its path.

        Raises:
            OutputError: The journal cannot be written.
        """
        with _writing(self.path):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.path

    def drafts(self) -> Path:
        """Return an empty folder for outputs that are being written.

        Raises:
            OutputError: It cannot be made.
        """
        with _writing(self._drafts):
            if self._drafts.exists():
                shutil.rmtree(self._drafts)
            self._drafts.mkdir(parents=True)
        return self._drafts

    def owns(self, path: Path) -> bool:
        """Tell whether an output is unchanged since a conversion of this document wrote it.

        Raises:
            OutputError: It cannot be read.
        """
        records = self._outputs.get(self._name(path), ())
        with _writing(path):
            if any(record.has_time_and_size_of(path) for record in records):
                return True
            return bool(records) and digest_of(path) in {record.digest for record in records}

    def state(self) -> Literal["whole", "changed", "missing"]:
        """Compare the outputs of the completed document with their records."""
        paths = [self.folder / name for name in self.completed.outputs] if self.completed else []
        if not all(path.exists() for path in paths):
            return "missing"
        return "whole" if all(self.owns(path) for path in paths) else "changed"

    def check(self, target: Path, overwrite: bool) -> None:
        """Make sure that an output may be written.

        Raises:
            OutputError: Another file is there.
        """
        if target.is_dir() and not target.name.endswith(IMAGES):
            raise OutputError(f"{target} is a folder", "name a file")
        exists = target.exists() or target.is_symlink()
        if exists and not overwrite and not self.owns(target):
            raise OutputError(f"{target} exists", "--overwrite replaces it")

    def publish(self, drafts: Mapping[Path, Path], overwrite: bool) -> tuple[str, ...]:
        """Give outputs their final names.

        The records are stored first, so that a run killed meanwhile recognises them later.

        Args:
            drafts: Complete files and folders by their final paths.
            overwrite: Whether files that this document does not own may be replaced.

        Returns:
            The names of the outputs for :class:`CompletionRecord`.

        Raises:
            OutputError: Another file is there, or an output cannot be written.
        """
        for target in drafts:
            self.check(target, overwrite)
        with _writing(self._drafts):
            records = {self._name(to): OutputRecord.of(draft) for to, draft in drafts.items()}
        with self._transaction() as database:
            _put_outputs(database, records)
        for name, record in records.items():
            self._outputs.setdefault(name, []).append(record)
        for target, draft in drafts.items():
            with _writing(target):
                move(draft, target)
        return tuple(records)

    def complete(self, completed: CompletionRecord) -> None:
        """Record that the document is complete, and delete pages that are not needed any more.

        Raises:
            OutputError: The journal cannot be written.
        """
        records = {name: self._outputs[name][-1] for name in completed.outputs}
        dropped = [
            number
            for number, note in self.notes.items()
            if not completed.retry or note.is_retryable
        ]
        with self._transaction() as database:
            database.executemany(
                "DELETE FROM outputs WHERE name = ?", [(os.fsencode(name),) for name in records]
            )
            _put_outputs(database, records)
            _delete_pages(database, dropped)
            _put_record(database, "completed", completed.to_record())
        self._outputs |= {name: [record] for name, record in records.items()}
        self.notes = {n: note for n, note in self.notes.items() if n not in dropped}
        self.completed = completed

    def _name(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.folder)).as_posix()


def _prepare(database: sqlite3.Connection) -> None:
    """Configure a connection, and create the tables in a new database.

    Raises:
        sqlite3.DatabaseError: It is no database, or a damaged one.
        ValueError: Its tables are not those of this version.
    """
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA auto_vacuum = FULL")
    database.execute("PRAGMA locking_mode = EXCLUSIVE")  # WAL without shared memory: NFS works
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    tables = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    if (application, version, tables) == (0, 0, {}):
        with database:
            database.execute("BEGIN")
            for statement in TABLES.values():
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {FORMAT}")
    elif (application, version, tables) != (APPLICATION_ID, FORMAT, TABLES):
        raise ValueError("the tables are of another version or program")
    elif database.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise ValueError("the database is damaged")


def _put_record(database: sqlite3.Connection, key: str, record: Mapping[str, Any]) -> None:
    database.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (key, json.dumps(record)))


def _put_outputs(database: sqlite3.Connection, records: Mapping[str, OutputRecord]) -> None:
    rows = [(os.fsencode(name), r.digest, r.size, r.time) for name, r in records.items()]
    database.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?)", rows)


def _delete_pages(database: sqlite3.Connection, numbers: Iterable[int]) -> None:
    rows = [(number,) for number in numbers]
    database.executemany("DELETE FROM pages WHERE number = ?", rows)
    database.executemany("DELETE FROM pictures WHERE page = ?", rows)


def _check_name(name: str) -> None:
    """Make sure that the name of an output does not lead outside the output folder.

    Raises:
        ValueError: It does.
    """
    path = PurePath(name)
    if not path.parts or path.anchor or ".." in path.parts or "\0" in name:
        raise ValueError(f"{name!r} leads outside the output folder")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Convert errors of the system and of SQLite to :class:`OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise OutputError(f"cannot write {path}: {error}") from error
