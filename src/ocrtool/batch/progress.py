"""The progress of a run, displayed on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ocrtool import console


@dataclass
class Progress:
    """Numbers of documents and pages that are finished and expected.

    Attributes:
        documents: Number of documents of the run.
        opened: How many of them were opened, so that their number of pages is known.
        ended: How many of them are complete or failed.
        pages: Number of pages of the opened documents.
        read: How many of them are finished, in this run or an earlier one.
        fresh: How many of them were finished in this run.
    """

    documents: int
    opened: int = 0
    ended: int = 0
    pages: int = 0
    read: int = 0
    fresh: int = 0

    def expected(self) -> int:
        """Estimate the number of all pages from the mean of the opened documents."""
        rest = self.documents - self.opened
        return self.pages + round(rest * self.pages / max(1, self.opened)) if rest else self.pages


@contextmanager
def progress_bar(progress: Progress) -> Iterator[Callable[[], None]]:
    """Display a progress bar while the block runs, if standard error is a terminal.

    Args:
        progress: The numbers to display; the block changes them.

    Yields:
        A function to call after a change.
    """
    if not console.progress_wanted():
        yield lambda: None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.fields[documents]} documents"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.fields[shown]} pages  {task.fields[pace]}"),
    )
    start = time.monotonic()
    with Bars(*columns, console=console.stderr(), transient=True) as bars:
        task = bars.add_task("", total=None, documents="", shown="?", pace="")

        def update() -> None:
            expected = progress.expected()
            seconds = max(time.monotonic() - start, 1e-3)
            rate = progress.fresh / seconds
            pace = f"{rate:.1f} pages/s" if progress.fresh else ""
            if rate and seconds > 1:
                left = max(0, expected - progress.read) / rate
                pace += f"  {int(left) // 60}:{int(left) % 60:02d} left"
            bars.update(
                task,
                total=expected or None,
                completed=progress.read,
                documents=f"{progress.ended}/{progress.documents}",
                shown=f"{'~' * (progress.opened < progress.documents)}{expected}",
                pace=pace,
            )

        yield update
