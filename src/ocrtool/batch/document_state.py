"""A document on its way from input to outputs, and what decides what becomes of it."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from ocrtool.batch.journal import VERSION, Header, Journal, fingerprint
from ocrtool.batch.plan import Planned
from ocrtool.batch.report import PageNote
from ocrtool.batch.tasks import Opened
from ocrtool.errors import InputError
from ocrtool.options import EngineName, PageOptions, ReadOptions
from ocrtool.version import __version__
from ocrtool.weights.bundled import BUNDLED, METADATA

Stage = Literal["to open", "opening", "reading", "to write", "writing"]


@dataclass
class Conversion:
    """A document that is being converted.

    Attributes:
        planned: What it is and where it goes.
        path: Of its file.
        header: What its pages come from.
        journal: Where it goes to files.
        notes: Of pages that are done, by number.
        kept: Where its pages are kept where there is no journal.
        opened: What is known of it, once it is open.
        wanted: Numbers of the pages that are wanted.
        unread: Those that are not done.
        waiting: Those that nobody is reading yet.
        alone: Those whose process died once; each is a job of its own.
        tried: Those that have been in ``alone``.
        stage: What is to be done with it next, or being done.
        passwords: Tried on it.
        told: Pages whose failure was told.
        asked: How often a person was asked for its password.
        died: How often a process died over opening or writing it.
    """

    planned: Planned
    path: Path
    header: Header
    journal: Journal | None
    kept: Path
    notes: dict[int, PageNote]
    passwords: tuple[str, ...]
    begun: float
    opened: Opened | None = None
    wanted: list[int] = field(default_factory=list)
    unread: set[int] = field(default_factory=set)
    waiting: deque[int] = field(default_factory=deque)
    alone: deque[int] = field(default_factory=deque)
    tried: set[int] = field(default_factory=set)
    stage: Stage = "to open"
    told: int = 0
    asked: int = 0
    died: int = 0

    def page(self, number: int) -> Path:
        """Return where a page is kept."""
        return self.journal.page(number) if self.journal else self.kept / f"{number:06d}.page"


def header_of(source: str, path: Path, options: str) -> Header:
    """Return what the pages of a file come from.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be opened ({error.strerror or error})") from None
    return Header(digest, size, options, __version__)


def options_of(pages: PageOptions) -> str:
    """Return a fingerprint of all that decides what a page of a file becomes.

    Raises:
        ModelError: There is no such model.
    """
    decisive = replace(pages.reading, threads=0, min_confidence=0.0)
    return fingerprint(
        [VERSION, asdict(replace(pages, reading=decisive)), _weights_of(pages.reading)]
    )


def _weights_of(options: ReadOptions) -> str:
    """Return a hash of the models that pages are read with.

    Of published ones, which have gigabytes, it is that of their files' names, sizes and times.

    Raises:
        ModelError: There is no such model.
    """
    hashed = hashlib.sha256((BUNDLED / "SHA256SUMS").read_bytes())
    model = options.model
    if model is None or options.engine is EngineName.TESSERACT:  # whose models are languages
        return hashed.hexdigest()
    if (BUNDLED / model / METADATA).is_file():
        return hashed.hexdigest()
    from ocrtool.engines.base import find_model
    from ocrtool.readers.model_lookup import published_folder

    published = published_folder(options)
    if published is not None:
        for path in sorted(path for path in published.rglob("*") if path.is_file()):
            found = path.stat()
            told = f"{path.relative_to(published)} {found.st_size} {found.st_mtime_ns}\n"
            hashed.update(told.encode())
        return hashed.hexdigest()
    for path in sorted(find_model(model).iterdir()):
        if path.is_file():
            with path.open("rb") as file:
                hashed.update(hashlib.file_digest(file, "sha256").digest())
    return hashed.hexdigest()
