"""Marks of lists that browsers draw as shapes."""

from __future__ import annotations

import pymupdf
import pytest

from ocrtool.document.tree import Line
from ocrtool.pdf import PdfFile, native_page


def lines_of(page: pymupdf.Page) -> tuple[Line, ...]:
    with PdfFile(page.parent.tobytes()) as file:
        return native_page(file, 0, 144.0).lines


@pytest.fixture
def page() -> pymupdf.Page:
    document = pymupdf.open()
    page = document.new_page(width=400, height=300)
    for row, text in enumerate(("What is needed:", "a lamp", "a rope", "a map", "The end.")):
        page.insert_text((20 + 20 * (0 < row < 4), 40 + 20 * row), text, fontsize=12)
    return page


def test_discs_circles_and_squares_stand_before_their_lines(page: pymupdf.Page) -> None:
    page.draw_circle((30, 56), 2.4, color=None, fill=(0, 0, 0))
    page.draw_circle((30, 76), 2.4, color=(0, 0, 0), width=0.8)
    page.draw_rect((28, 93.6, 32.8, 98.4), color=None, fill=(0, 0, 0))
    page.insert_text((79, 60), "bold", fontname="hebo", fontsize=12)
    found = sorted(lines_of(page), key=lambda line: line.quad[0][1])
    texts = [line.text for line in found]
    assert texts[0] == "What is needed:"
    assert texts[1:] == ["• a lamp bold", "◦ a rope", "▪ a map", "The end."]
    assert found[1].words[0].quad[0][0] == pytest.approx(55, abs=1)
    for line in found:
        assert line.text == " ".join(word.text for word in line.words)
        for span in line.spans:
            assert line.text[span.start : span.end] == "bold"


def test_keys_of_charts_and_boxes_to_tick_are_no_marks(page: pymupdf.Page) -> None:
    page.draw_rect((28, 53.6, 32.8, 58.4), color=None, fill=(0.9, 0.1, 0.1))
    page.draw_rect((28, 73.6, 32.8, 78.4), color=None, fill=(0.1, 0.1, 0.9))
    page.draw_rect((24, 90, 34, 100), color=(0, 0, 0), width=0.8)
    assert [line.text for line in lines_of(page)][1:4] == ["a lamp", "a rope", "a map"]
