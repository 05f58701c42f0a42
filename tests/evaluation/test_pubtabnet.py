"""PubTabNet's form of tables, with tables of our own."""

from __future__ import annotations

import json
from pathlib import Path

import lxml.html
import pytest

from evaluation.drawn_sets import draw_text
from ocrtool.evaluation.benchmarks.pubtabnet import html_of, score, sectioned
from ocrtool.evaluation.items import Item, Reading
from ocrtool.evaluation.job import load
from ocrtool.evaluation.normalise import Comparison

ROW = ["<tr>", "<td>", "</td>", "<td", ' rowspan="2"', ">", "</td>", "</tr>"]
TABLE = {
    "cells": [{"tokens": [*"<b>"[:0], "<b>", "N", "</b>"]}, {"tokens": ["7"]}, {"tokens": []}],
    "structure": {
        "tokens": ["<thead>", *ROW, "</thead>", "<tbody>", "<tr>", "<td>", "</td>", "</tr>",
                   "</tbody>"]
    },
}  # fmt: skip
HTML = (
    '<table><thead><tr><td><b>N</b></td><td rowspan="2">7</td></tr></thead>'
    "<tbody><tr><td></td></tr></tbody></table>"
)


def marks(truth: str, said: str) -> tuple[float, float]:
    found = score(Item("a", Path("a"), "", truth), Reading(said), Comparison())
    return found["teds"][0], found["teds_s"][0]


def test_tokens_become_html() -> None:
    assert html_of(TABLE) == HTML
    with pytest.raises(ValueError, match="more cells"):
        html_of({**TABLE, "cells": TABLE["cells"][:2]})
    with pytest.raises(ValueError, match="fewer cells"):
        html_of({**TABLE, "cells": [*TABLE["cells"], {"tokens": ["8"]}]})


def test_teds_counts_tags_and_characters() -> None:
    assert marks(HTML, f"<html><body>{HTML}</body></html>") == (1, 1)
    assert marks(HTML, "no table") == (0, 0)
    # Of 8 tags (the inline one, too), one cell has all its characters wrong.
    assert marks(HTML, HTML.replace("7", "8")) == (pytest.approx(1 - 1 / 8), 1)
    assert marks(HTML, HTML.replace(' rowspan="2"', "")) == (pytest.approx(1 - 1 / 8),) * 2


def test_markdown_gets_sections() -> None:
    truth = (
        "<table><thead><tr><td>N</td><td>M</td></tr></thead>"
        "<tbody><tr><td>1</td><td>2</td></tr></tbody></table>"
    )
    assert marks(truth, "| N | M |\n|---|---|\n| 1 | 2 |") == (1, 1)
    bare = lxml.html.fragment_fromstring(
        "<table><tr><th>N</th></tr><tr><th>x</th><td>&lt;1</td></tr></table>"
    )
    assert lxml.html.tostring(sectioned(bare), encoding="unicode") == (
        "<table><thead><tr><td>N</td></tr></thead>"
        "<tbody><tr><td>x</td><td>&lt;1</td></tr></tbody></table>"
    )


def test_a_set_is_recognised(tmp_path: Path) -> None:
    draw_text("N 7", tmp_path / "val" / "one.png")
    good = {"filename": "one.png", "split": "val", "html": TABLE}
    lines = [
        json.dumps(good),
        json.dumps({**good, "filename": "gone.png"}),
        json.dumps({**good, "html": {"cells": []}}),
    ]
    file = tmp_path / "tables.jsonl"
    file.write_text("\n".join(lines))
    for path in (file, tmp_path):
        found = load(path, None)
        assert found.protocol == "pubtabnet"
        assert [(item.name, item.truth) for item in found.items] == [("one", HTML)]
        assert found.problems[0] == f"{file}:2: {tmp_path / 'gone.png'} is missing"
        assert found.problems[1].startswith(f"{file}:3: not a table of PubTabNet")
