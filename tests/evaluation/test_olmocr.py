"""Facts of olmOCR-bench, on pages of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from ocrtool.evaluation.benchmarks import olmocr
from ocrtool.evaluation.benchmarks.olmocr_facts import formulas, holds, problem_of
from ocrtool.evaluation.benchmarks.table_grid import html_grids, markdown_grids
from ocrtool.evaluation.items import Reading
from ocrtool.evaluation.job import load
from ocrtool.evaluation.normalise import Comparison

PAGE = """# The harbour

**Boats** come and _go_, as “they” did before.[^1] A later line says more.

Energy is \\( E = \\mathbf{m} c^{2} \\) and $$\\frac{a}{b} + 1$$

| Name | Length | Width |
|---|---|---|
| Newport | 12.5 | 3 |
| Kingston | 28 | 7 |

[^1]: A note at the foot.
"""
SPANS = """<table><thead><tr><th rowspan="2">Name</th><th colspan="2">Size</th></tr>
<tr><th>Length</th><th>Width</th></tr></thead>
<tr><td>Newport</td><td>12.5</td><td>3<br>m</td></tr></table>"""


@pytest.mark.parametrize(
    ("fact", "right"),
    [
        ({"type": "present", "text": "Boats come and go"}, True),
        ({"type": "present", "text": 'as "they" did'}, True),
        ({"type": "present", "text": "Boots come and go"}, False),
        ({"type": "present", "text": "Boots come and go", "max_diffs": 2}, True),
        ({"type": "present", "text": "BOATS COME", "case_sensitive": False}, True),
        ({"type": "present", "text": "The harbour", "first_n": 20}, True),
        ({"type": "present", "text": "The harbour", "last_n": 20}, False),
        ({"type": "absent", "text": "Page 17 of 30"}, True),
        ({"type": "absent", "text": "The harbour"}, False),
        ({"type": "order", "before": "The harbour", "after": "A later line"}, True),
        ({"type": "order", "before": "A later line", "after": "The harbour"}, False),
        ({"type": "order", "before": "A liter line", "after": "A note", "max_diffs": 1}, True),
        ({"type": "table", "cell": "28", "left": "Kingston", "up": "12.5"}, True),
        ({"type": "table", "cell": "28", "right": "3"}, False),
        ({"type": "table", "cell": "7", "top_heading": "Width", "left_heading": "Kingston"}, True),
        ({"type": "table", "cell": "28", "ignore_markdown_tables": True}, False),
        ({"type": "math", "math": "E=mc^2"}, True),
        ({"type": "math", "math": "\\dfrac ab"}, True),
        ({"type": "math", "math": "\\frac{b}{a}"}, False),
        ({"type": "format", "text": "The harbour", "format": "heading"}, True),
        ({"type": "format", "text": "Boats", "format": "bold"}, True),
        ({"type": "format", "text": "go", "format": "italic"}, True),
        ({"type": "format", "text": "later line", "format": "bold"}, False),
        ({"type": "footnote", "marker": "1", "appears_before_marker": "did before"}, True),
        ({"type": "footnote", "marker": "1", "appears_after_marker": "A later line"}, True),
        ({"type": "footnote", "marker": "1", "appears_before_marker": "Kingston"}, False),
        ({"type": "footnote", "marker": "2"}, False),
        ({"type": "baseline"}, True),
        ({"type": "baseline", "max_length": 20}, False),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else str(value),
)
def test_facts(fact: dict[str, Any], right: bool) -> None:
    assert holds(fact, PAGE) is right


@pytest.mark.parametrize(
    ("page", "fact", "right"),
    [
        ("", {}, False),
        ("", {"max_length": 5}, True),
        ("end " * 40, {}, False),
        ("end " * 20, {}, True),
        ("the 漢 sign", {}, False),
        ("the 漢 sign", {"check_disallowed_characters": False}, True),
    ],
)
def test_baselines(page: str, fact: dict[str, Any], right: bool) -> None:
    assert holds({"type": "baseline", **fact}, page) is right


def test_neighbours_of_cells_that_span() -> None:
    (grid,) = html_grids(SPANS)
    places = {cell.text: place for place, cell in grid.cells.items()}

    def texts(found: set[tuple[int, int]]) -> set[str]:
        return {grid.cells[place].text for place in found}

    assert texts(grid.neighbours(places["Name"], "right")) == {"Size", "Length"}
    assert texts(grid.neighbours(places["Size"], "down")) == {"Length", "Width"}
    assert texts(grid.headings(places["12.5"], "up")) == {"Length", "Size"}
    assert texts(grid.headings(places["12.5"], "left")) == {"Newport"}
    assert places["3\nm"] == (2, 2)
    assert not list(html_grids("no table")) and len(list(markdown_grids(PAGE))) == 1


def test_formulas_are_found_once() -> None:
    assert list(formulas(r"\(a\) \[b\] $$c$$ $d$")) == ["a", "b", "c", "d"]
    assert list(formulas(r"\(a\) costs $5 or $6", dollars=False)) == ["a"]


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ([], "no object"),
        ({"pdf": "a.pdf", "page": 1, "id": "x"}, "no type"),
        ({"pdf": "a.pdf", "page": 1, "id": "x", "type": "smell"}, "unknown type 'smell'"),
        ({"pdf": "a.pdf", "page": 1, "id": "x", "type": "order", "before": "a"}, "no after"),
        ({"pdf": "a.pdf", "page": 1, "id": "x", "type": "baseline", "max_diffs": -1}, "max_diffs"),
    ],
)
def test_bad_facts(fact: object, words: str) -> None:
    assert words in problem_of(fact)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    (tmp_path / "pdfs" / "part").mkdir(parents=True)
    for name in ("one", "part/two"):
        with pymupdf.open() as document:
            for number in (1, 2):
                document.new_page().insert_text((50, 80), f"Page {number} of {name}")
            document.save(tmp_path / "pdfs" / f"{name}.pdf")
    facts = [
        {"pdf": "one.pdf", "page": 2, "id": "a", "type": "present", "text": "Page 2 of one"},
        {"pdf": "part/two.pdf", "page": 1, "id": "b", "type": "absent", "text": "Page 2"},
        {"pdf": "part/two.pdf", "page": 1, "id": "c", "type": "present", "text": "never there"},
    ]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    (tmp_path / "bad.jsonl").write_text(
        '{"pdf": "gone.pdf", "page": 1, "id": "d", "type": "baseline"}\n\n{oops\n'
        + json.dumps(facts[0])
    )
    return tmp_path


def test_a_set_is_recognised_and_bad_lines_are_told(bench: Path) -> None:
    found = load(bench, None)
    assert found.protocol == "olmocr"
    names = [(item.name, item.page, len(item.facts)) for item in found.items]
    # Documents have the fact that their first page is not blank.
    assert names == [("one_pg1", 1, 1), ("one_pg2", 2, 1), ("part/two_pg1", 1, 3)]
    assert f"{bench / 'bad.jsonl'}:1: {bench / 'pdfs' / 'gone.pdf'} is missing" in found.problems
    assert any(
        problem.startswith(f"{bench / 'bad.jsonl'}:3: not JSON") for problem in found.problems
    )


def test_the_mean_is_that_of_the_files(bench: Path) -> None:
    (bench / "bad.jsonl").unlink()
    items = load(bench, None).items
    protocol = olmocr.PROTOCOL.for_items(items)
    overall, *parts = protocol.figures
    assert [figure.title for figure in parts] == [
        "baseline", "text", "type present", "type absent", "type baseline"
    ]  # fmt: skip
    said = [Reading("Page 1"), Reading("Page 2 of one"), Reading("something else")]
    scores = [
        protocol.score(item, reading, Comparison())
        for item, reading in zip(items, said, strict=True)
    ]
    import numpy as np

    sums = np.array([score["overall"] for score in scores]).sum(0)
    assert overall.combine(sums) == pytest.approx((2 / 2 + 2 / 3) / 2)
    silent = protocol.score(items[2], Reading(missing=True), Comparison())
    assert silent["type_absent"] == (0, 1)
