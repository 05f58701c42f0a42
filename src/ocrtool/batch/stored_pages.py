"""A page result in the form in which the journal stores it, and reading stored pages back.

A worker serialises each page once, right after reading it; the worker that writes the outputs of
the document parses it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from urllib.parse import quote

from ocrtool.batch.report import PageNote
from ocrtool.document.json import dump, page_from, page_record
from ocrtool.document.tree import Page
from ocrtool.documents import PageResult
from ocrtool.errors import OutputError

COMPRESSION_LEVEL = 1
"""zlib level of stored pages: half the time of the default level 6 for a tenth more space."""
PARSED_CACHE_BYTES = 100_000
"""Maximum compressed size, in bytes, of pages that stay parsed between two passes over them; parsed
pages take some ninety times as much memory."""
DAMAGE = (AttributeError, KeyError, TypeError, ValueError, zlib.error)
"""Exceptions that parsing a damaged or forged record may raise."""


@dataclass(frozen=True)
class StoredPage:
    """A page result as one row of the journal.

    Attributes:
        note: The page's entry in the report.
        content: The page as zlib-compressed JSON.
        pictures: Contents of its image files by name.
    """

    note: PageNote
    content: bytes
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, result: PageResult, note: PageNote) -> StoredPage:
        """Serialise a page result."""
        text = dump(page_record(result.page)).encode()
        return cls(note, zlib.compress(text, COMPRESSION_LEVEL), result.pictures)

    @classmethod
    def failed(cls, note: PageNote) -> StoredPage:
        """Return an empty page that carries the error of its note."""
        return cls.of(PageResult(Page(note.page, 0, 0, error=note.error), "blank"), note)

    @property
    def digest(self) -> str:
        """SHA-256 of all parts, by which damaged rows are recognised."""
        parts = [self.note_json.encode(), self.content]
        for name in sorted(self.pictures):
            parts += [name.encode(), self.pictures[name]]
        hashed = hashlib.sha256()
        for part in parts:
            hashed.update(len(part).to_bytes(8, "big") + part)
        return hashed.hexdigest()

    @property
    def note_json(self) -> str:
        """The note as JSON."""
        return json.dumps(self.note.to_record())


def stored_pages(database: sqlite3.Connection) -> Iterator[StoredPage]:
    """Read and validate all stored pages of a journal, by number.

    Raises:
        sqlite3.Error: The database is damaged.
        ValueError: A row is damaged (or another exception in :data:`DAMAGE`).
    """
    for number, text, content, digest in database.execute(
        "SELECT number, note, content, digest FROM pages ORDER BY number"
    ):
        pictures = _pictures(database, number)
        note = PageNote.from_record(json.loads(text))
        page = StoredPage(note, content, pictures)
        if note.page != number or page.digest != digest:
            raise ValueError(f"page {number} is damaged")
        yield page


def _pictures(database: sqlite3.Connection, number: int) -> dict[str, bytes]:
    rows = database.execute("SELECT name, content FROM pictures WHERE page = ?", (number,))
    pictures: dict[str, bytes] = dict(rows)
    if any(not name or PurePath(name).name != name or "\0" in name for name in pictures):
        raise ValueError(f"a picture of page {number} has an unsafe name")
    return pictures


class StoredPages:
    """Read-only access of a worker to the stored pages of a journal, which must not change.

    A context manager that closes the file.

    Args:
        path: The journal, after :meth:`~ocrtool.batch.journal.Journal.checkpoint`.

    Raises:
        OutputError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parsed: dict[int, Page] = {}
        self._parsed_bytes = 0
        place = quote(path.absolute().as_posix().encode(errors="surrogateescape"))
        slash = "" if place.startswith("/") else "/"
        try:
            # The command holds the lock of the database, but does not write meanwhile.
            self._database = sqlite3.connect(f"file://{slash}{place}?immutable=1", uri=True)
        except sqlite3.Error as error:
            raise OutputError(f"cannot read the journal {path}: {error}") from None

    def __enter__(self) -> StoredPages:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def pages(self, numbers: Sequence[int]) -> Iterator[Page]:
        """Read pages in the given order; a second pass does not parse most documents again.

        Raises:
            OutputError: A page is missing or damaged.
        """
        for number in numbers:
            yield self._parsed.get(number) or self._parse(number)

    def _parse(self, number: int) -> Page:
        try:
            (content,) = self._database.execute(
                "SELECT content FROM pages WHERE number = ?", (number,)
            ).fetchone()
            page = page_from(json.loads(zlib.decompress(content)))
            if page.number != number:
                raise ValueError(f"page {number} has number {page.number}")
        except (*DAMAGE, sqlite3.Error) as error:
            raise self._damaged(error) from None
        if self._parsed_bytes + len(content) <= PARSED_CACHE_BYTES:
            self._parsed[number] = page
            self._parsed_bytes += len(content)
        return page

    def pictures(self, number: int, names: Collection[str]) -> dict[str, bytes]:
        """Return the contents of those pictures of a page that have one of the names.

        Raises:
            OutputError: They are damaged.
        """
        try:
            pictures = _pictures(self._database, number)
        except (*DAMAGE, sqlite3.Error) as error:
            raise self._damaged(error) from None
        return {name: content for name, content in pictures.items() if name in names}

    def _damaged(self, error: Exception) -> OutputError:
        return OutputError(f"the journal {self._path} is damaged: {error}", "remove it")
