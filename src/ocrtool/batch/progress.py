"""How far a batch is, drawn on standard error while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ocrtool import console


@dataclass
class Progress:
    """What has been done, and what there is to do as far as that is known.

    Attributes:
        documents: All of them.
        opened: Those whose pages are counted.
        ended: Those that are complete, or failed.
        pages: Of the documents that are counted.
        read: Of those, read or found done.
        fresh: Pages that were read in this run.
    """

    documents: int
    opened: int = 0
    ended: int = 0
    pages: int = 0
    read: int = 0
    fresh: int = 0

    def expected(self) -> int:
        """Return how many pages there may be, those not counted taken like the others."""
        rest = self.documents - self.opened
        return self.pages + round(rest * self.pages / max(1, self.opened)) if rest else self.pages


@contextmanager
def drawn(progress: Progress) -> Iterator[Callable[[], None]]:
    """Draw it while the block runs.

    Args:
        progress: What is shown; the block changes it.

    Yields:
        A function to call when it has changed.
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
