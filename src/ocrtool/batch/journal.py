"""The journal of a document: what is done already, so that a run that was stopped goes on there.

Beside the outputs lies a folder ``.ocrtool``. While a document is converted, it holds

- ``NAME.lock``, which the process at work keeps locked; when it dies, the system unlocks it;
- ``NAME/FINGERPRINT/``, where FINGERPRINT stands for the content of the input and all that decides
  what its pages become: ``000007.page`` is page 7, a zip file that appears when it is complete;
- ``NAME/puts.json``: what the outputs will hold, noted before they take their names.

When the document is complete, ``NAME.json`` says so and the rest is removed. Pages that may come
out better next time (they took too long, or their process died) keep their journal.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ocrtool.batch.report import PageNote
from ocrtool.document.json import dump, page_from, page_record
from ocrtool.documents.result import PageResult
from ocrtool.errors import OutputError
from ocrtool.inputs.paths import JOURNALS

VERSION = 1
"""Of the journal's form; journals of other versions are not read."""
NAME_LENGTH = 40
"""Letters of a document's name that the names of its journal show."""
KEY_LENGTH = 16
"""Hexadecimal digits of hashes in names."""
DAMAGE = (
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a page may raise that was not written to its end."""
COMPRESSION = 1
"""Of pages in the journal: half the time of the usual 6 for a tenth more room."""


class BusyError(OutputError):
    """Another process is converting the document."""


@dataclass(frozen=True)
class Header:
    """What decides what the pages of a document become.

    Attributes:
        sha256: Of the input's content.
        size: Of the input in bytes.
        options: Fingerprint of the options for pages and of the models.
        program: Version of ocrtool.
    """

    sha256: str
    size: int
    options: str
    program: str

    @property
    def fingerprint(self) -> str:
        """A short name for all of it."""
        return fingerprint(asdict(self))

    def change_from(self, other: Header) -> str:
        """Return what differs from another header; nothing where they are the same."""
        if (self.sha256, self.size) != (other.sha256, other.size):
            return "the input has changed"
        if self.program != other.program:
            return f"it was begun by ocrtool {other.program}"
        return "the options or models have changed" if self != other else ""


@dataclass(frozen=True)
class OutputRecord:
    """An output as it was written.

    Attributes:
        digest: Of its content; see :func:`digest_of`.
        size: In bytes; of a folder 0.
        time: When it was changed, in nanoseconds.
    """

    digest: str
    size: int
    time: int


@dataclass(frozen=True)
class CompletionRecord:
    """A document that is complete.

    Attributes:
        header: What its pages came from.
        outputs: Fingerprint of what else decides what the outputs hold.
        puts: The outputs by their names, seen from the folder that holds the journal's.
        pages: What the report says of its pages.
        again: Whether pages failed that may come out better next time.
        former: Outputs of earlier runs with other options.
    """

    header: Header
    outputs: str
    puts: Mapping[str, OutputRecord]
    pages: tuple[PageNote, ...]
    again: bool = False
    former: Mapping[str, OutputRecord] = field(default_factory=dict)


class Journal:
    """The journal of one document; a context manager that holds its lock.

    Args:
        folder: Where the outputs go; the journal is below it.
        name: Of the document, different from all others there.

    Raises:
        BusyError: Another process has it.
        OutputError: The folder cannot be made or written to.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.outputs = folder
        self.root = folder / JOURNALS
        plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(name).name)
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        key = f"{plain[:NAME_LENGTH].lstrip('.')}-{digest[:KEY_LENGTH]}"
        self.folder = self.root / key
        self._marker = self.root / f"{key}.json"
        self._puts = self.folder / "puts.json"
        self.pages = self.folder  # until it has begun
        with _told(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock = _Lock(self.root / f"{key}.lock")
        self.finished = self._read_marker()
        """What was completed before, if anything."""

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; what holds nothing is removed."""
        for folder in (self.pages, self.folder):
            if folder.is_dir() and not any(folder.glob("**/*.page")) and not self._puts.exists():
                shutil.rmtree(folder, ignore_errors=True)
        self._lock.release()
        with contextlib.suppress(OSError):  # others are at work, or have been
            self.root.rmdir()

    def begin(self, header: Header) -> tuple[dict[int, PageNote], str]:
        """Go on where an earlier run stopped, or start anew.

        Args:
            header: Of the run that begins.

        Returns:
            The pages that are done, by number; and why those of an earlier run are of no use, if
            there was one that was not completed and they are not.

        Raises:
            OutputError: The folder cannot be written to.
        """
        self.pages = self.folder / header.fingerprint
        change = ""
        with _told(self.pages):
            for old in self.folder.glob("*/header.json"):
                if old.parent != self.pages:
                    found = _header_in(old)
                    change = header.change_from(found) if found else "its journal is not readable"
                    shutil.rmtree(old.parent)
            self.pages.mkdir(parents=True, exist_ok=True)
            _write(self.pages / "header.json", {"journal": VERSION, **asdict(header)})
        notes = (whole_page(path) for path in sorted(self.pages.glob("*.page")))
        return {note.page: note for note in notes if note is not None}, change

    def page(self, number: int) -> Path:
        """Return where a page is kept, complete or to be."""
        return self.pages / f"{number:06d}.page"

    def drafts(self) -> Path:
        """Return an empty folder for outputs that are being written.

        Raises:
            OutputError: It cannot be made.
        """
        folder = self.folder / "drafts"
        with _told(folder):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        return folder

    def owns(self, path: Path) -> bool:
        """Tell whether an output is as this document's conversion wrote it."""
        name = self._name(path)
        known = {**self.finished.former, **self.finished.puts} if self.finished else {}
        put = known.get(name)
        with _told(path):
            if put is not None and _is_as_put(path, put):
                return True
            digests = {_read(self._puts).get(name), put.digest if put else None} - {None}
            return bool(digests) and digest_of(path) in digests

    def state(self) -> Literal["whole", "changed", "missing"]:
        """Tell how the outputs of a document that is complete are found."""
        puts = self.finished.puts if self.finished else {}
        paths = [self.outputs / name for name in puts]
        if not all(path.exists() for path in paths):
            return "missing"
        return "whole" if all(self.owns(path) for path in paths) else "changed"

    def publish(self, drafts: Mapping[Path, Path], overwrite: bool) -> dict[str, OutputRecord]:
        """Give outputs their names.

        Args:
            drafts: Files and folders that are complete, by the paths that they take.
            overwrite: Whether what is not of this document, or was changed, may be replaced.

        Returns:
            What was put there, for :class:`CompletionRecord`.

        Raises:
            OutputError: A path is taken, or cannot be written.
        """
        for target in drafts:
            self.check(target, overwrite)
        _write(self._puts, {self._name(target): digest_of(at) for target, at in drafts.items()})
        for target, draft in drafts.items():
            with _told(target):
                _move(draft, target)
        return {self._name(target): _put(target) for target in drafts}

    def check(self, target: Path, overwrite: bool) -> None:
        """See that an output may be written.

        Raises:
            OutputError: Something else is there.
        """
        if target.is_dir() and not target.name.endswith(IMAGES):
            raise OutputError(f"{target} is a folder", "name a file")
        if _exists(target) and not overwrite and not self.owns(target):
            raise OutputError(f"{target} exists", "--overwrite replaces it")

    def finish(self, finished: CompletionRecord) -> None:
        """Note that the document is complete, and drop what is not needed any more.

        Raises:
            OutputError: The folder cannot be written to.
        """
        if self.finished:
            former = {**self.finished.former, **self.finished.puts}
            former = {name: put for name, put in former.items() if name not in finished.puts}
            finished = replace(finished, former=former)
        with _told(self._marker):
            _write(self._marker, _marker_record(finished))
            self.finished = finished
            if finished.again:
                for note in finished.pages:
                    if note.may_be_mended:
                        self.page(note.page).unlink(missing_ok=True)
                shutil.rmtree(self.folder / "drafts", ignore_errors=True)
                self._puts.unlink(missing_ok=True)
            else:
                shutil.rmtree(self.folder)

    def _name(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.outputs)).as_posix()

    def _read_marker(self) -> CompletionRecord | None:
        record = _read(self._marker)
        try:
            if record.get("journal") != VERSION:
                return None
            return CompletionRecord(
                Header(**record["header"]),
                record["outputs"],
                {name: OutputRecord(**put) for name, put in record["puts"].items()},
                tuple(PageNote.from_record(page) for page in record["pages"]),
                record["again"],
                {name: OutputRecord(**put) for name, put in record["former"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


IMAGES = "_images"
"""What the names of folders of pictures end with."""


@dataclass(frozen=True)
class KeptPage:
    """A page as the journal keeps it.

    Attributes:
        result: The page and its pictures.
        note: What the report says of it.
    """

    result: PageResult
    note: PageNote


def write_page(path: Path, result: PageResult, note: PageNote) -> PageNote:
    """Keep a page; the file appears when it is complete.

    Raises:
        OutputError: It cannot be written.
    """
    temporary = path.with_suffix(f".{os.getpid()}")
    with _told(path):
        try:
            with zipfile.ZipFile(
                temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION
            ) as file:
                file.writestr("page.json", dump(page_record(result.page)))
                for name, content in result.pictures.items():
                    entry = zipfile.ZipInfo(f"pictures/{name}")  # stored: it is compressed already
                    file.writestr(entry, content)
                file.writestr("note.json", dump(note.to_record()))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return note


def read_page(path: Path, pictures: bool = False) -> KeptPage:
    """Return a page that was kept.

    Args:
        path: Of its file.
        pictures: Whether its pictures are wanted, too.

    Raises:
        OutputError: It is gone, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            page = page_from(json.loads(file.read("page.json")))
            note = PageNote.from_record(json.loads(file.read("note.json")))
            head = "pictures/"
            names = [name for name in file.namelist() if pictures and name.startswith(head)]
            content = {name.removeprefix(head): file.read(name) for name in names}
    except DAMAGE as error:
        raise OutputError(f"the journal {path} is damaged: {error}", "remove it") from None
    route = note.route if note.route != "failed" else "blank"
    return KeptPage(PageResult(page, route, note.warnings, content), note)


def whole_page(path: Path) -> PageNote | None:
    """Return the note of a page that is kept whole; nothing where it is missing or damaged."""
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip() is None:
                return PageNote.from_record(json.loads(file.read("note.json")))
    except DAMAGE:
        pass
    return None


def fingerprint(value: object) -> str:
    """Return a short hash of plain values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:KEY_LENGTH]


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files.

    Raises:
        OSError: It cannot be read.
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    parts = [(entry.name, digest_of(entry)) for entry in sorted(path.iterdir())]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _put(path: Path) -> OutputRecord:
    status = path.stat()
    return OutputRecord(digest_of(path), 0 if path.is_dir() else status.st_size, status.st_mtime_ns)


def _is_as_put(path: Path, put: OutputRecord) -> bool:
    """Tell by size and time alone; content that is hashed again costs the reading of it."""
    status = path.stat()
    return not path.is_dir() and (status.st_size, status.st_mtime_ns) == (put.size, put.time)


def _move(draft: Path, target: Path) -> None:
    """Rename a file or folder to what may exist already; a link to a file is followed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if draft.is_dir():
        if target.exists():
            shutil.rmtree(target)
        draft.replace(target)
        return
    target = target.resolve()
    try:
        draft.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        from ocrtool.console import atomic_write

        with atomic_write(target) as temporary:
            shutil.copyfile(draft, temporary)


def _marker_record(finished: CompletionRecord) -> dict[str, Any]:
    return {
        "journal": VERSION,
        "header": asdict(finished.header),
        "outputs": finished.outputs,
        "puts": {name: asdict(put) for name, put in finished.puts.items()},
        "former": {name: asdict(put) for name, put in finished.former.items()},
        "pages": [note.to_record() for note in finished.pages],
        "again": finished.again,
    }


def _header_in(path: Path) -> Header | None:
    record = _read(path)
    if record.pop("journal", None) != VERSION:
        return None
    try:
        return Header(**record)
    except TypeError:
        return None


def _write(path: Path, record: Mapping[str, Any]) -> None:
    """Write a file that is there whole or not at all, after a power cut, too."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _read(path: Path) -> dict[str, Any]:
    """Return what a file holds; nothing where it is missing or damaged."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise what the system says of a path as the error it is here."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


class _Lock:
    """A locked file, which the system unlocks when the process ends, however it ends.

    Args:
        path: Of the file; it is removed when the lock is released.

    Raises:
        BusyError: Another process has locked it.
        OSError: The file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                _lock(self._file)
                if os.path.samestat(os.fstat(self._file), path.stat()):
                    return
            except FileNotFoundError:
                pass
            except BlockingIOError:
                os.close(self._file)
                raise BusyError(f"another process is at work ({path} is locked)") from None
            os.close(self._file)  # whoever had it has removed it meanwhile

    def release(self) -> None:
        """Unlock and remove the file."""
        with contextlib.suppress(OSError):
            self._path.unlink()  # while it is locked, so that nobody locks what is going to vanish
        os.close(self._file)
        with contextlib.suppress(OSError):
            if os.name == "nt":  # where what is open stays
                self._path.unlink()


def _lock(descriptor: int) -> None:
    """Lock an open file.

    Raises:
        BlockingIOError: It is locked.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise BlockingIOError from None
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # A file system without locks: two processes at once are not found out there.
