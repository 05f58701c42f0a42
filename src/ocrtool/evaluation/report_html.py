"""Scores as an HTML page that needs nothing else: tables, plots, and the worst items."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterator
from html import escape
from importlib.resources import files

from PIL import Image
from rapidfuzz.distance import Levenshtein

from ocrtool.errors import OcrToolError
from ocrtool.evaluation.figures import addends_of
from ocrtool.evaluation.items import Item, Reading
from ocrtool.evaluation.metrics import confusions
from ocrtool.evaluation.report_plots import interval_plot, scatter_plot
from ocrtool.evaluation.report_table import costs, head, interval, signed
from ocrtool.evaluation.results import Evaluation, SystemResult
from ocrtool.inputs.page_source import open_pages
from ocrtool.options import PageSelection

WORST_ITEMS = 20
"""Number of items that are shown with picture, truth and reading."""
PICTURE_SIDE = 1_000
"""Longer side, in pixels, of the pictures."""
CONFUSIONS = 40
"""Number of the most frequent confusions of characters that are listed."""
DIFF_CHARACTERS = 20_000
"""Longest text, in characters, whose differences are coloured."""


def page(evaluation: Evaluation) -> str:
    """Return the report."""
    style = files("ocrtool.evaluation").joinpath("report.css").read_text("utf-8")
    title = f"Evaluation of {escape(evaluation.found.path.name)}"
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n",
            f"<h1>{title}</h1>\n<ul class='plain'>",
            *(f"<li>{escape(line)}</li>\n" for line in head(evaluation)),
            f"<li>seed {evaluation.seed}</li></ul>\n",
            *_scores(evaluation),
            *_differences(evaluation),
            *_plots(evaluation),
            *_systems(evaluation),
            *_confusions(evaluation),
            *_worst(evaluation),
            *_problems(evaluation),
            "</body>\n</html>\n",
        )
    )


def _row(cells: list[str], tag: str = "td") -> str:
    first, *others = cells
    numbers = "".join(f'<{tag} class="number">{cell}</{tag}>' for cell in others)
    return f"<tr><{tag}>{first}</{tag}>{numbers}</tr>\n"


def _scores(evaluation: Evaluation) -> Iterator[str]:
    titles = [escape(figure.title) for figure in evaluation.figures]
    yield "<h2>Scores</h2>\n<table>\n"
    yield _row(["system", *titles, "unread", "s/item", "CPU s/item", "peak MB"], "th")
    for result in evaluation.systems:
        cells = [
            interval(figure, result.estimates[figure.key]) if figure.key in result.estimates else ""
            for figure in evaluation.figures
        ]
        unread = len(result.readings.unread(evaluation.found.items))
        yield _row([escape(result.readings.system), *cells, str(unread), *costs(result)])
    yield "</table>\n<ul>\n"
    for figure in evaluation.figures:
        better = "less is better" if figure.lower_is_better else "more is better"
        yield f"<li>{escape(figure.title)}: {escape(figure.note)} ({better})</li>\n"
    yield "</ul>\n<p>In brackets, 95 % bootstrap intervals over items.</p>\n"


def _differences(evaluation: Evaluation) -> Iterator[str]:
    first, *others = evaluation.systems
    if not others:
        return
    name = escape(first.readings.system)
    yield f"<h2>{name} compared</h2>\n<p>Paired differences, {name} less the other.</p>\n<table>\n"
    yield _row(["other", *(escape(figure.title) for figure in evaluation.figures)], "th")
    for result in others:
        cells = [escape(result.readings.system)]
        for figure in evaluation.figures:
            gap = result.differences.get(figure.key)
            text = "" if gap is None else f"{signed(figure, gap)} {gap.verdict}"
            kind = "" if gap is None else str(gap.verdict).partition(" ")[0]
            cells.append(f'<span class="{kind}">{text}</span>')
        yield _row(cells)
    yield "</table>\n"


def _plots(evaluation: Evaluation) -> Iterator[str]:
    yield "<h2>Plots</h2>\n"
    for figure in evaluation.figures:
        rows = [
            (result.readings.system, result.estimates[figure.key])
            for result in evaluation.systems
            if figure.key in result.estimates
        ]
        yield interval_plot(figure, rows)
    figure = evaluation.protocol.figures[0]
    first, *others = evaluation.systems
    ours = figure.combine(addends_of(figure, first.scores))
    for result in others:
        theirs = figure.combine(addends_of(figure, result.scores))
        points = [
            (float(a), float(b), item.name)
            for a, b, item in zip(ours, theirs, evaluation.found.items, strict=True)
            if a == a and b == b
        ]
        yield scatter_plot(figure, (first.readings.system, result.readings.system), points)


def _systems(evaluation: Evaluation) -> Iterator[str]:
    yield "<h2>Commands</h2>\n<table>\n"
    for result in evaluation.systems:
        command = result.readings.command or "outputs that were given"
        name = escape(result.readings.system)
        yield f"<tr><td>{name}</td><td><code>{escape(command)}</code></td></tr>\n"
    yield "</table>\n"


def _confusions(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.protocol.name not in ("text", "lines", "words"):
        return
    result, how = evaluation.systems[0], evaluation.comparison
    counts: Counter[tuple[str, str]] = Counter()
    for item in evaluation.found.items:
        counts += confusions(how.normal(item.truth), how.normal(result.readings.of(item).text))
    yield f"<h2>Characters that {escape(result.readings.system)} confuses</h2>\n<table>\n"
    yield _row(["truth", "read as", "times"], "th")
    for (wanted, found), count in counts.most_common(CONFUSIONS):
        yield _row([_character(wanted), _character(found), str(count)])
    yield "</table>\n"


def _character(text: str) -> str:
    names = {"": "(nothing)", " ": "(space)", "\n": "(line break)"}
    return escape(names.get(text, text))


def _worst(evaluation: Evaluation) -> Iterator[str]:
    result = evaluation.systems[0]
    figure = evaluation.protocol.figures[0]
    yield f"<h2>Worst items of {escape(result.readings.system)}, by {escape(figure.title)}</h2>\n"
    for value, index in evaluation.worst(result)[:WORST_ITEMS]:
        item = evaluation.found.items[index]
        others = "".join(
            f", {escape(other.readings.system)} {_value(evaluation, other, index)}"
            for other in evaluation.systems[1:]
        )
        heading = f"{escape(item.name)}: {figure.show(value)}{others}"
        yield f'<section class="item">\n<h3>{heading}</h3>\n'
        yield f"<div>{_picture(item)}</div>\n"
        yield f'<div class="text">{_compared(evaluation, item, result.readings.of(item))}</div>\n'
        yield "</section>\n"


def _value(evaluation: Evaluation, result: SystemResult, index: int) -> str:
    figure = evaluation.protocol.figures[0]
    value = float(figure.combine(addends_of(figure, [result.scores[index]]))[0])
    return figure.show(value) if value == value else "-"


def _picture(item: Item) -> str:
    """Return the page as an image within the HTML."""
    selection = PageSelection.parse(str(item.page)) if item.page else None
    try:
        source = next(iter(open_pages(item.source, selection)))
        image = Image.fromarray(source.pixels)
    except (OcrToolError, OSError) as error:
        return escape(str(error))
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=75)
    data = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="{escape(item.name)}" src="data:image/jpeg;base64,{data}">'


def _compared(evaluation: Evaluation, item: Item, reading: Reading) -> str:
    """Return the truth, what the reading lacks marked as deleted, what it adds as inserted."""
    if item.facts:
        return _facts(evaluation, item, reading)
    truth, said = item.truth.strip(), reading.text.strip()
    if evaluation.protocol.name in ("text", "lines", "words"):
        truth, said = evaluation.comparison.normal(truth), evaluation.comparison.normal(said)
    if max(len(truth), len(said)) > DIFF_CHARACTERS:
        return f"{escape(truth)}\n<hr>\n{escape(said)}"
    parts = []
    for step in Levenshtein.opcodes(truth, said):
        old = escape(truth[step.src_start : step.src_end])
        new = escape(said[step.dest_start : step.dest_end])
        if step.tag == "equal":
            parts.append(old)
        else:
            parts += [f"<del>{old}</del>"] * bool(old) + [f"<ins>{new}</ins>"] * bool(new)
    return "".join(parts)


def _facts(evaluation: Evaluation, item: Item, reading: Reading) -> str:
    """Return what a benchmark asks of an item, then what was read."""
    told = evaluation.protocol.explain
    lines = told(item, reading, evaluation.comparison) if told else ()
    return "\n".join(map(escape, lines)) + f"\n<hr>\n{escape(reading.text.strip())}"


def _problems(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.found.problems:
        yield "<h2>Truths that were left out</h2>\n<ul>\n"
        yield "".join(f"<li>{escape(problem)}</li>\n" for problem in evaluation.found.problems)
        yield "</ul>\n"
