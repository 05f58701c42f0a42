"""OmniDocBench's form of pages, with a page of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.drawn_sets import draw_text
from ocrtool.evaluation.benchmarks.omnidocbench import compared, score
from ocrtool.evaluation.items import Item, Reading
from ocrtool.evaluation.job import load
from ocrtool.evaluation.normalise import Comparison

TABLE = "<table><tr><td>Name</td><td>Boats</td></tr><tr><td>Newport</td><td>417</td></tr></table>"


def region(order: int, kind: str, text: str, field: str = "text", **more: Any) -> dict[str, Any]:
    return {"anno_id": order, "order": order, "category_type": kind, field: text, **more}


PAGE = {
    "page_info": {"image_path": "harbour.png", "width": 100, "height": 100},
    "layout_dets": [
        region(3, "text_block", "Boats lie at the quay all winter long and"),
        region(1, "title", "The harbour of the town"),
        region(2, "header", "Yearbook of 1912, page seventeen"),
        region(4, "text_block", "leave again in spring."),
        region(5, "equation_isolated", r"E=mc^{2}", "latex"),
        region(6, "table", TABLE, "html"),
        region(7, "figure", ""),
        region(8, "text_block", "never scored", ignore=True),
        region(9, "text_block", "The last words of the page stand here."),
    ],
    "extra": {
        "relation": [{"source_anno_id": 3, "target_anno_id": 4, "relation_type": "truncated"}]
    },
}
RIGHT = f"""# The harbour of the town

Boats lie at the quay all winter long and leave again in spring.

$$
E = mc^2 \\tag{{1}}
$$

{TABLE}

The last words of the page stand here.
"""


@pytest.fixture
def item(tmp_path: Path) -> Item:
    draw_text("x", tmp_path / "images" / "harbour.png")
    (tmp_path / "OmniDocBench.json").write_text(json.dumps([PAGE]))
    found = load(tmp_path, None)
    assert found.protocol == "omnidocbench" and not found.problems
    return found.items[0]


def marks(item: Item, text: str) -> dict[str, float]:
    found = score(item, Reading(text), Comparison())
    return {key: value[0] / value[1] for key, value in found.items()}


PERFECT = {"text_edit": 0, "order_edit": 0, "formula_edit": 0, "teds": 1, "teds_s": 1}


def test_a_right_reading(item: Item) -> None:
    assert marks(item, RIGHT) == PERFECT


def test_headers_may_be_there_or_not(item: Item) -> None:
    assert marks(item, f"Yearbook of 1912, page seventeen\n\n{RIGHT}") == PERFECT


def test_blocks_may_be_split_or_joined(item: Item) -> None:
    split = RIGHT.replace("winter long and ", "winter long and\n\n")
    joined = RIGHT.replace("# The harbour of the town\n\n", "The harbour of the town ")
    assert marks(item, split) == PERFECT
    assert marks(item, joined)["text_edit"] == 0


def test_what_is_lost_added_or_wrong_counts(item: Item) -> None:
    last = compared("The last words of the page stand here.")
    body = "Boats lie at the quay all winter long and leave again in spring."
    length = len(compared("The harbour of the town") + compared(body) + last)
    wrong = marks(item, RIGHT.replace("quay", "quad"))
    assert wrong["text_edit"] == pytest.approx(1 / length)
    lost = marks(item, RIGHT.replace("The last words of the page stand here.", ""))
    assert lost["text_edit"] == pytest.approx(len(last) / length)
    added = marks(item, f"{RIGHT}\n\n0123456789")
    assert added["text_edit"] == pytest.approx(10 / (length + 10))
    nothing = marks(item, "")
    assert nothing["text_edit"] == nothing["formula_edit"] == 1
    assert nothing["teds"] == 0 and "order_edit" not in nothing


def test_order_counts_apart_from_text(item: Item) -> None:
    first, *rest = RIGHT.split("\n\n")
    found = marks(item, "\n\n".join([*rest, first]))
    assert found["text_edit"] == 0
    assert found["order_edit"] == pytest.approx(2 / 3)


def test_bad_pages_are_told(tmp_path: Path) -> None:
    file = tmp_path / "pages.json"
    file.write_text(json.dumps([PAGE, {"layout_dets": []}]))
    found = load(file, None)
    assert found.problems == (
        f"{file}: page 1: {tmp_path / 'harbour.png'} is missing",
        f"{file}: page 2: not a page of OmniDocBench: KeyError('page_info')",
    )
    file.write_text('[\n{"layout_dets": oops')
    assert load(file, None).problems[0].startswith(f"{file}:2: not JSON")
