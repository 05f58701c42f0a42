"""PubTabNet: images of tables and their HTML in JSON lines, scored by TEDS.

Zhong et al., "Image-based table recognition: data, model, and evaluation", ECCV 2020. Every tag
counts, ``thead`` and ``tbody`` too, and the text of cells with its inline tags. A reading in HTML
is scored as it is if it has such sections; other tables, as of Markdown, get them: rows of heading
cells at the top are the head, the others the body.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import lxml.html
from docling_metrics_table.utils.teds import TEDScorer
from lxml.html import HtmlElement
from markdown_it import MarkdownIt

from ocrtool.evaluation.items import Item, Reading, Task, TestSet
from ocrtool.evaluation.markdown_scores import TEDS, TEDS_S
from ocrtool.evaluation.normalise import Comparison
from ocrtool.evaluation.protocol import Protocol, Score
from ocrtool.evaluation.truth import read_text, unique


def recognise(path: Path) -> str:
    """Return why a path is such a set; empty where it is none."""
    file = _file_of(path)
    if file is None:
        return ""
    with file.open(encoding="utf-8", errors="replace") as lines:
        first = lines.readline()
    is_table = '"filename"' in first and '"html"' in first and '"structure"' in first
    return "JSON lines with filename and html.structure" if is_table else ""


def _file_of(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix == ".jsonl" else None
    files = sorted(path.glob("*.jsonl"))
    return files[0] if len(files) == 1 else None


def load(path: Path) -> TestSet:
    """Load tables whose images lie beside the file or in a folder named by their split."""
    file = _file_of(path)
    assert file is not None  # recognised before
    items, problems = [], []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        origin = f"{file}:{number}"
        try:
            record = json.loads(line)
            name, html = record["filename"], html_of(record["html"])
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"{origin}: not a table of PubTabNet: {error!r}")
            continue
        folders = (file.parent, file.parent / str(record.get("split", "")))
        image = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if image is None:
            problems.append(f"{origin}: {file.parent / name} is missing")
        else:
            items.append(Item(Path(name).stem, image, origin, html))
    return TestSet(path, PROTOCOL.name, unique(items), tuple(problems), recognise(path))


def html_of(table: dict[str, Any]) -> str:
    """Return the HTML of a table: the tokens of its structure with those of its cells between.

    Raises:
        KeyError: It lacks one of the two.
        ValueError: They do not fit each other.
    """
    cells = ["".join(cell["tokens"]) for cell in table["cells"]]
    parts, used = [], 0
    for token in table["structure"]["tokens"]:
        if token == "</td>":
            if used == len(cells):
                raise ValueError("more cells in the structure than texts")
            parts.append(cells[used])
            used += 1
        parts.append(token)
    if used != len(cells):
        raise ValueError("fewer cells in the structure than texts")
    return f"<table>{''.join(parts)}</table>"


def score(item: Item, reading: Reading, how: Comparison) -> Score:
    """Score a table with and without the text of its cells."""
    truth, said = _tables(item.truth), _tables(reading.text)
    if not said:
        return {"teds": (0.0, 1.0), "teds_s": (0.0, 1.0)}
    wanted, found = truth[0], sectioned(said[0])
    values = [float(TEDScorer().teds(wanted, found, structure_only=only)) for only in (False, True)]
    return {"teds": (values[0], 1.0), "teds_s": (values[1], 1.0)}


def _tables(text: str) -> list[HtmlElement]:
    if "<table" not in text:
        text = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    tables = lxml.html.fromstring(f"<div>{text}</div>").xpath(".//table")
    return [table for table in tables if table.xpath(".//*")]


def sectioned(table: HtmlElement) -> HtmlElement:
    """Return a table with ``thead`` and ``tbody`` and nothing but ``td`` in its rows."""
    has_sections = bool(table.xpath("./thead | ./tbody"))
    rows = list(table.iter("tr"))
    heads = [row for row in rows if row.xpath("./th") and not row.xpath("./td")]
    for cell in table.iter("th"):
        cell.tag = "td"
    if has_sections:
        return table
    count = next((i for i, row in enumerate(rows) if row not in heads), len(rows))
    html = _section("thead", rows[:count]) + _section("tbody", rows[count:])
    return lxml.html.fragment_fromstring(f"<table>{html}</table>")


def _section(tag: str, rows: Iterable[HtmlElement]) -> str:
    lines = []
    for row in rows:
        cells = []
        for cell in row.iter("td"):
            spans = "".join(
                f' {name}="{escape(cell.get(name))}"'
                for name in ("rowspan", "colspan") if cell.get(name)
            )  # fmt: skip
            inside = escape(cell.text or "") + "".join(
                lxml.html.tostring(child, encoding="unicode") for child in cell
            )
            cells.append(f"<td{spans}>{inside.strip()}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<{tag}>{''.join(lines)}</{tag}>" if lines else ""


PROTOCOL = Protocol(
    "pubtabnet",
    "PubTabNet: images of tables and their HTML",
    Task.TABLE,
    (TEDS, TEDS_S),
    score,
    own_rules=True,
    recognise=recognise,
    load=load,
)
