"""The state of a document while it is converted."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ocrtool.batch.fingerprints import Header
from ocrtool.batch.journal import Journal
from ocrtool.batch.plan import PlannedDocument
from ocrtool.batch.tasks import OpenedDocument

Stage = Literal["to open", "opening", "reading", "to write", "writing"]


@dataclass
class DocumentState:
    """A document that is being converted.

    Attributes:
        planned: The document and its outputs.
        path: Its file.
        header: What its page results depend on.
        journal: Its finished pages; in a temporary folder if it goes to standard output.
        passwords: Passwords to try.
        begun: Time of :func:`time.monotonic` at which its conversion began.
        opened: Its properties, once it is open.
        wanted: Numbers of the pages to convert, in order.
        unfinished: How many of them are not finished.
        waiting: Numbers of those that no worker has begun, in order.
        retried: Numbers of those whose worker died once.
        stage: What is being done with it, or is to be done next.
        failed_pages: How many pages failed in this run.
        warned_pages: How many pages of this run have warnings.
        password_prompts: How often its password was asked for.
        losses: How often a worker died while opening or writing it.
    """

    planned: PlannedDocument
    path: Path
    header: Header
    journal: Journal
    passwords: tuple[str, ...]
    begun: float
    opened: OpenedDocument | None = None
    wanted: tuple[int, ...] = ()
    unfinished: int = 0
    waiting: deque[int] = field(default_factory=deque)
    retried: set[int] = field(default_factory=set)
    stage: Stage = "to open"
    failed_pages: int = 0
    warned_pages: int = 0
    password_prompts: int = 0
    losses: int = 0
