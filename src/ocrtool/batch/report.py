"""The report of a run (``--report``) as JSON; its format is documented in ``docs/pdf.md``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ocrtool import console
from ocrtool.document.tree import Box, Page
from ocrtool.documents import Route
from ocrtool.errors import OutputError
from ocrtool.version import __version__

SCHEMA = 1
"""Version of the format; raised when a reader of the old format would misread the new one."""
KIND = "ocrtool pdf report"
"""Value of ``kind``, by which a report is recognised."""

Failure = Literal["", "damaged", "timeout", "crash", "memory"]
"""Why a page could not be read; ``damaged`` if the page itself is the cause."""
ROUTES = ("native", "ocr", "mixed", "blank", "failed")
"""Values of ``route`` in the order of the report."""
Outcome = Literal["converted", "unchanged", "failed"]


@dataclass(frozen=True)
class DroppedHeader:
    """A running header or footer that text formats lack.

    Attributes:
        role: ``header`` or ``footer``.
        box: Its place in pixels of the page; origin at the top left.
        text: Its text.
    """

    role: str
    box: Box
    text: str

    def to_record(self) -> dict[str, Any]:
        """Convert it to JSON-serialisable values."""
        corners = (self.box.x0, self.box.y0, self.box.x1, self.box.y1)
        box = [round(float(value), 2) for value in corners]
        return {"role": self.role, "box": box, "text": self.text}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> DroppedHeader:
        """Return what :meth:`to_record` gave."""
        x0, y0, x1, y1 = map(float, record["box"])
        return cls(str(record["role"]), Box(x0, y0, x1, y1), str(record["text"]))


@dataclass(frozen=True)
class PageNote:
    """Report entry of a page.

    Attributes:
        page: Number of the page, from 1.
        route: Source of its text, or that it failed.
        confidence: Mean confidence of its words, 0 to 1.
        seconds: Time it took to read.
        warnings: Possible defects of the result.
        error: Why it could not be read; empty if it was.
        failure: Kind of the error.
        left_out: Running headers and footers that the text formats lack.
    """

    page: int
    route: Route | Literal["failed"]
    confidence: float = 1.0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: str = ""
    failure: Failure = ""
    left_out: tuple[DroppedHeader, ...] = ()

    @property
    def is_retryable(self) -> bool:
        """Whether the page failed for a reason that may not recur."""
        return self.failure in ("timeout", "crash", "memory")

    def to_record(self) -> dict[str, Any]:
        """Convert it to JSON-serialisable values."""
        return {
            "page": self.page,
            "route": self.route,
            "confidence": round(float(self.confidence), 4),
            "seconds": round(self.seconds, 3),
            "warnings": list(self.warnings),
            "error": self.error,
            "failure": self.failure,
            "left_out": [header.to_record() for header in self.left_out],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PageNote:
        """Return what :meth:`to_record` gave.

        Raises:
            KeyError: A value is missing.
            ValueError: A value is not valid.
        """
        if record["route"] not in ROUTES or record["failure"] not in get_args(Failure):
            raise ValueError(f"page {record['page']} has no valid route or failure")
        return cls(
            int(record["page"]),
            cast(Route, str(record["route"])),
            float(record["confidence"]),
            float(record["seconds"]),
            tuple(map(str, record["warnings"])),
            str(record["error"]),
            cast(Failure, str(record["failure"])),
            tuple(map(DroppedHeader.from_record, record["left_out"])),
        )


def failed_page(number: int, error: str, failure: Failure, seconds: float) -> PageNote:
    """Return the report entry of a page that could not be read."""
    return PageNote(number, "failed", 0.0, seconds, error=error, failure=failure)


def note_of(page: Page, route: Route, warnings: Sequence[str], seconds: float) -> PageNote:
    """Return the report entry of a page that was read."""
    return PageNote(page.number, route, page.confidence, seconds, tuple(warnings))


@dataclass(frozen=True)
class DocumentNote:
    """Report entry of a document.

    Attributes:
        source: Path as it was given or found.
        outcome: Whether it was converted by this run, by an earlier one, or failed.
        outputs: Paths of its outputs.
        error: Why it could not be converted; empty if it was.
        pages: Entries of its pages, in order.
        seconds: Time from its start to its outputs.
    """

    source: str
    outcome: Outcome
    outputs: tuple[str, ...] = ()
    error: str = ""
    pages: tuple[PageNote, ...] = ()
    seconds: float = 0.0

    def to_record(self) -> dict[str, Any]:
        """Convert it to JSON-serialisable values."""
        return {
            "source": self.source,
            "outcome": self.outcome,
            "outputs": list(self.outputs),
            "error": self.error,
            "seconds": round(self.seconds, 3),
            "pages": [note.to_record() for note in self.pages],
        }


@dataclass
class BatchReport:
    """The report of a run.

    Attributes:
        notes: Entries of the documents by index among the inputs.
        seconds: Time the run took.
        fresh: Number of pages that were read in this run, not in an earlier one.
    """

    notes: dict[int, DocumentNote] = field(default_factory=dict)
    seconds: float = 0.0
    fresh: int = 0

    @property
    def failures(self) -> int:
        """Number of documents and pages that could not be read."""
        failed = sum(note.outcome == "failed" for note in self.notes.values())
        return failed + self.routes()["failed"]

    def routes(self) -> Counter[str]:
        """Count the pages of each route."""
        return Counter(page.route for note in self.notes.values() for page in note.pages)

    def outcomes(self) -> Counter[str]:
        """Count the documents of each outcome."""
        return Counter(note.outcome for note in self.notes.values())

    def to_record(self) -> dict[str, Any]:
        """Convert it to JSON-serialisable values."""
        outcomes, routes = self.outcomes(), self.routes()
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "version": __version__,
            "totals": {
                "documents": len(self.notes),
                **{name: outcomes[name] for name in ("converted", "unchanged", "failed")},
                "pages": sum(routes.values()),
                "routes": {name: routes[name] for name in ROUTES},
                "seconds": round(self.seconds, 3),
            },
            "documents": [self.notes[place].to_record() for place in sorted(self.notes)],
        }

    def summary(self) -> str:
        """Return the summary line that is displayed at the end of a run."""
        outcomes, routes = self.outcomes(), self.routes()
        parts = [_count(len(self.notes), "document")]
        parts += [
            f"{outcomes[name]} {shown}"
            for name, shown in (("unchanged", "done before"), ("failed", "failed"))
            if outcomes[name]
        ]
        pages = [f"{count} {name}" for name, count in sorted(routes.items())]
        parts.append(
            _count(sum(routes.values()), "page") + (f" ({', '.join(pages)})" * bool(pages))
        )
        if self.fresh:
            pace = self.fresh / max(self.seconds, 1e-3)
            parts.append(f"{self.seconds:.1f} s, {pace:.1f} pages/s")
        return "; ".join(parts)


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def check_report(path: Path, overwrite: bool, folders: Collection[Path]) -> None:
    """Make sure that a report may be written; an earlier report may be replaced.

    Args:
        path: Path of the report.
        overwrite: Whether any other file may be replaced as well.
        folders: Folders that the run makes for the outputs.

    Raises:
        OutputError: Another file is there, or the folder is missing.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder", "name a file")
    if not path.parent.is_dir() and path.parent not in folders:
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    if overwrite or not path.is_file():
        return
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        record = None
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise OutputError(f"{path} exists and is no report", "--overwrite replaces it")


def write_report(path: Path, report: BatchReport) -> None:
    """Write a report as JSON.

    Raises:
        OutputError: It cannot be written.
    """
    with console.output(str(path), overwrite=True) as write:
        write(json.dumps(report.to_record(), ensure_ascii=False, indent=1) + "\n")
