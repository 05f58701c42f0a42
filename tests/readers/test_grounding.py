"""Grounded text becomes labelled pieces with boxes; malformed boxes are dropped."""

from __future__ import annotations

import pytest

from ocrtool.document.tree import Box
from ocrtool.readers.grounding import grounded_pieces, html_cells, parse_boxes


def test_grounded_text_has_boxes() -> None:
    text = (
        "<|ref|>title<|/ref|><|det|>[[0, 0, 999, 100]]<|/det|>\n# A title\n"
        "<|ref|>text<|/ref|><|det|>[[100,200,500,300], [100,300,500,400]]<|/det|>\nWords.\n"
        "<|ref|>image<|/ref|><|det|>[[0, 500, 999, 999]]<|/det|>\n"
    )
    title, words, image = grounded_pieces(text, 1998, 999)
    assert (title.label, title.boxes, title.text.strip()) == (
        "title", (Box(0, 0, 1998, 100),), "# A title",
    )  # fmt: skip
    assert words.boxes == (Box(200, 200, 1000, 300), Box(200, 300, 1000, 400))
    assert image.label == "image" and not image.text.strip()
    (plain,) = grounded_pieces("Just text.", 10, 10)
    assert (plain.label, plain.boxes, plain.text) == ("", (), "Just text.")


@pytest.mark.parametrize(
    "wrong",
    [
        "[[1, 2, 3]]", "[[1, 2, 3, 4000]]", "[1, 2, 3, 4]", "__import__('os').system('x')",
        "[[-1, 2, 3, 4]]", "[[1, 2, 3, 4]", "", "[[1.5, 2, 3, 4]]", "[[5, 5, 5, 9]]",
    ],
)  # fmt: skip
def test_boxes_that_are_none_are_dropped(wrong: str) -> None:
    assert list(parse_boxes(wrong, 100, 100)) == []


def test_tables_keep_their_spans() -> None:
    cells = html_cells(
        "<table><tr><th colspan=2>a &amp; b</th><td rowspan='2'>c</td></tr><tr><td>d<td>e</table>"
    )
    assert [(c.row, c.column, c.row_span, c.column_span, c.text, c.header) for c in cells] == [
        (0, 0, 1, 2, "a & b", True),
        (0, 2, 2, 1, "c", False),
        (1, 0, 1, 1, "d", False),
        (1, 1, 1, 1, "e", False),
    ]
    assert html_cells("no table") == []
