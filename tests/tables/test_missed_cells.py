"""Text in the fields of ruled tables that was not found as a line."""

from __future__ import annotations

import cv2
import numpy as np
import pymupdf

from ocrtool.document.lines import DetectedLayout, FoundLine, Rule
from ocrtool.document.tree import Box
from ocrtool.pages.reader import PageReader
from ocrtool.tables.missed_cells import cells_between, missed_lines
from tables.drawing import Sheet

ROWS, COLUMNS = 5, 3
WIDE, HIGH = 200, 40


def rules() -> tuple[Rule, ...]:
    """A grid; the last two fields of its first row are one."""
    right, foot = 100 + WIDE * COLUMNS, 100 + HIGH * ROWS
    level = [Rule(100, 100 + HIGH * k, right, 102 + HIGH * k, 2) for k in range(ROWS + 1)]
    heads = [140 if k == COLUMNS - 1 else 100 for k in range(COLUMNS + 1)]
    upright = [Rule(100 + WIDE * k, heads[k], 100 + WIDE * k, foot, 2) for k in range(COLUMNS + 1)]
    return (*level, *upright)


def drawn(words: dict[tuple[int, int], str]) -> np.ndarray:
    """A grey picture of the grid with words in some fields."""
    image = np.random.default_rng(1).normal(225, 4, (400, 800)).clip(0, 255).astype(np.uint8)
    for r in rules():
        cv2.line(image, (int(r.x0), int(r.y0)), (int(r.x1), int(r.y1)), 60, 2)
    for (row, column), text in words.items():
        place = (110 + WIDE * column, 130 + HIGH * row)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 50, 2)
    return image


def line(row: int, column: int, rows: int = 1) -> FoundLine:
    x, y = 108.0 + WIDE * column, 108.0 + HIGH * row
    foot = y + HIGH * (rows - 1) + 26
    return FoundLine(((x, y), (x + 90, y), (x + 90, foot), (x, foot)), 0.9)


def test_fields_have_a_rule_on_each_side() -> None:
    fields = cells_between(rules())
    assert len(fields) == ROWS * COLUMNS - 1
    assert all(36 < f.y1 - f.y0 + 8 < 44 for f in fields)
    assert sorted({round((f.x1 - f.x0) / WIDE) for f in fields}) == [1, 2]
    assert cells_between(rules()[: ROWS + 1]) == []


def test_lone_digits_that_were_passed_over_are_found() -> None:
    words = {(r, 0): "Words" for r in range(ROWS)} | {(1, 1): "7", (2, 2): "1", (4, 1): "12"}
    image = drawn(words)
    layout = DetectedLayout(tuple(line(r, 0) for r in range(ROWS)), rules=rules())
    found, wrong = missed_lines(image, layout)
    assert not wrong
    places = sorted((round((f.quad[0][1] - 110) / HIGH), int(f.quad[0][0] - 100) // WIDE)
                    for f in found)  # fmt: skip
    assert places == [(1, 1), (2, 2), (4, 1)]
    assert all(15 < f.height < 32 for f in found)
    assert missed_lines(image, DetectedLayout(layout.lines)) == ([], frozenset())


def test_what_was_found_over_two_rows_is_looked_for_in_each() -> None:
    image = drawn({(0, 0): "Words", (1, 0): "Words", (1, 1): "3", (2, 1): "5"})
    layout = DetectedLayout((line(0, 0), line(1, 0), line(1, 1, rows=2)), rules=rules())
    found, wrong = missed_lines(image, layout)
    assert wrong == {2}
    assert [f.quad[0][0] > 300 for f in found] == [True, True]


def test_specks_and_several_lines_are_left_alone() -> None:
    image = drawn({(0, 0): "Words", (1, 0): "Words"})
    cv2.circle(image, (420, 160), 1, 50, -1)
    tall = (Rule(100, 100, 700, 100, 2), Rule(100, 300, 700, 300, 2))
    sides = (Rule(100, 100, 100, 300, 2), Rule(700, 100, 700, 300, 2))
    layout = DetectedLayout((line(0, 0), line(1, 0)), rules=rules())
    assert missed_lines(image, layout)[0] == []
    apart = DetectedLayout(
        (FoundLine(((0, 0), (90, 0), (90, 26), (0, 26)), 0.9),), rules=tall + sides
    )
    assert cells_between(apart.rules) == [Box(104, 104, 696, 296)]
    assert missed_lines(image, apart)[0] == []


def test_lone_digits_of_a_ruled_table_are_read(page_reader: PageReader) -> None:
    sheet = Sheet(300, 200)
    names = ["Regions", "Central", "Northern", "Bicol", "Caraga", "Davao", "Visayas"]
    for k in range(8):
        sheet.rule(20, 20 + 13 * k, 260, 20 + 13 * k)
    for x in (20, 120, 190, 260):
        sheet.rule(x, 20, x, 111)
    columns = ["9875423", "3254978"]
    for i, name in enumerate(names):
        sheet.put(24, 30 + 13 * i, name, 8)
        for x, said in zip((124, 194), columns, strict=True):
            sheet.put(x, 30 + 13 * i, said[i] if i else "2007-2010", 8)
    drawn = sheet.page.get_pixmap(dpi=200, colorspace=pymupdf.csGRAY)
    image = np.frombuffer(drawn.samples, np.uint8).reshape(drawn.h, drawn.w)
    (block,) = page_reader.read(image.copy()).blocks
    said = {(c.row, c.column): " ".join(line.text for line in c.lines) for c in block.cells}
    right = sum(said.get((i, k + 1)) == columns[k][i] for i in range(1, 7) for k in range(2))
    assert right >= 10, said  # the detector alone finds half of them
