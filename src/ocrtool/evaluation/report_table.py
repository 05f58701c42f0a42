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
    if len(evaluation.systems) > 1:
        console.print(_differences(evaluation))
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
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("system", overflow="fold")
    for figure in evaluation.figures:
        table.add_column(figure.title, justify="right")
    for title in ("unread", "s/item", "CPU s/item", "peak MB"):
        table.add_column(title, justify="right")
    for result in evaluation.systems:
        cells = [
            interval(figure, result.estimates[figure.key]) if figure.key in result.estimates else ""
            for figure in evaluation.figures
        ]
        unread = len(result.readings.unread(evaluation.found.items))
        table.add_row(result.readings.system, *cells, str(unread), *costs(result))
    return table


def _differences(evaluation: Evaluation) -> Table:
    first, *others = evaluation.systems
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{first.readings.system} less ...", overflow="fold")
    for figure in evaluation.figures:
        table.add_column(figure.title, justify="right")
    for result in others:
        cells = []
        for figure in evaluation.figures:
            gap = result.differences.get(figure.key)
            if gap is None:
                cells.append("")
                continue
            style = _COLORS[gap.verdict]
            cells.append(f"{signed(figure, gap)} [{style}]{gap.verdict}[/{style}]")
        table.add_row(result.readings.system, *cells)
    return table
