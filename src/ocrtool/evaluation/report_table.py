"""Scores as a table on a terminal."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ocrtool.evaluation.figures import Difference, Estimate, Figure, Verdict
from ocrtool.evaluation.results import Evaluation, SystemResult

_COLORS = {Verdict.BETTER: "green", Verdict.WORSE: "red", Verdict.UNDECIDED: "default"}
PLAIN_WIDTH = 160
"""Columns of the table where standard output is no terminal."""


def table(evaluation: Evaluation, terminal: bool, color: bool) -> str:
    """Return the scores as text.

    Args:
        evaluation: The scores.
        terminal: Whether it is for a terminal, to whose width it is fitted.
        color: Whether verdicts are coloured.
    """
    width = shutil.get_terminal_size().columns if terminal else PLAIN_WIDTH
    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=color, no_color=not color, highlight=False
    )
    for line in head(evaluation):
        console.print(line, markup=False, soft_wrap=True)
    console.print(_scores(evaluation))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()).strip("\n") + "\n"


def head(evaluation: Evaluation) -> Iterator[str]:
    """Return what stands above the scores, a line each."""
    found, protocol = evaluation.found, evaluation.protocol
    yield f"{found.path}: {len(found.items)} items, protocol {protocol.name} ({protocol.about})"
    yield f"normalisation: {evaluation.normalisation}"
    if found.problems:
        yield f"left out: {len(found.problems)} truths with problems"
    for line in protocol.left_out:
        yield f"not computed: {line}"


def interval(figure: Figure, value: Estimate) -> str:
    """Return a value with its interval."""
    if value.low is None or value.high is None:
        return figure.show(value.value)
    low, high = (figure.show(bound).removesuffix(" %") for bound in (value.low, value.high))
    return f"{figure.show(value.value)} ({low} to {high})"


def signed(figure: Figure, gap: Difference) -> str:
    """Return a difference with its interval."""
    value = gap.estimate
    scale, digits = (100, 2) if figure.percent else (1, 3)
    text = f"{scale * value.value:+.{digits}f}"
    if value.low is not None and value.high is not None:
        text += f" ({scale * value.low:+.{digits}f} to {scale * value.high:+.{digits}f})"
    return text


def costs(result: SystemResult) -> tuple[str, str, str]:
    """Return seconds and CPU seconds an item, and the peak of memory."""
    cost = result.readings.cost
    if cost is None or not cost.items:
        return "", "", ""
    cpu = "" if cost.cpu_seconds is None else f"{cost.cpu_seconds / cost.items:.2f}"
    peak = "" if cost.peak_mb is None else f"{cost.peak_mb:.0f}"
    return f"{cost.seconds / cost.items:.2f}", cpu, peak


def _scores(evaluation: Evaluation) -> Table:
    """Return a row for each figure, a column for each system, and what each comparison says."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    first = evaluation.systems[0]
    table.add_column("")
    for result in evaluation.systems:
        table.add_column(result.readings.system, justify="right", overflow="fold")
        if result is not first:
            table.add_column(f"{first.readings.system} less it", justify="right", overflow="fold")
    for figure in evaluation.figures:
        cells = []
        for result in evaluation.systems:
            value = result.estimates.get(figure.key)
            cells.append("" if value is None else interval(figure, value))
            if result is not first:
                gap = result.differences.get(figure.key)
                cells.append("" if gap is None else _told(figure, gap))
        table.add_row(figure.title, *cells)
    for number, title in enumerate(("unread", "s/item", "CPU s/item", "peak MB")):
        cells = []
        for result in evaluation.systems:
            unread = str(len(result.readings.unread(evaluation.found.items)))
            cells += [(unread, *costs(result))[number], ""]
        table.add_row(title, *cells[:1], *cells[2:])
    return table


def _told(figure: Figure, gap: Difference) -> str:
    color = _COLORS[gap.verdict]
    return f"{signed(figure, gap)}\n[{color}]{gap.verdict}[/{color}]"
