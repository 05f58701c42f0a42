"""Tables with rules and without, of pages whose lines are known."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from ocrtool.document.tree import Block, Page
from tables.drawing import Sheet, cells, draw_rows, plain

ROWS = [
    ["Town", "Asked", "Yes", "No"],
    ["Ashford", "1,204", "61.2 %", "38.8 %"],
    ["Belton", "87", "44.0 %", "56.0 %"],
    ["Carrick on the Hill", "412", "9.9 %", "90.1 %"],
    ["Dunmore", "1,990", "70.4 %", "29.6 %"],
]
EDGES = (60.0, 180.0, 250.0, 330.0, 410.0)


def table_of(page: Page) -> Block:
    (block,) = (block for block in page.blocks if block.kind == "table")
    return block


def framed(sheet: Sheet, y: float = 200.0) -> float:
    """Prose, a table of five rows, prose; returns the table's head."""
    sheet.prose(60, 80, 470, 6)
    end = draw_rows(sheet, ROWS, EDGES, y, right=lambda k: k > 0)
    sheet.prose(60, end + 40, 470, 6)
    return y


@pytest.mark.parametrize("look", ["grid", "booktabs", "rows", "shaded", "head", "frame", "bare"])
def test_cells_are_found_however_they_are_ruled(look: str, tmp_path: Path) -> None:
    sheet = Sheet()
    y, left, right = 200.0, EDGES[0], EDGES[-1]
    if look == "shaded":
        for k in (0, 2, 4):
            sheet.fill(left, y + 18 * k, right, y + 18 * (k + 1))
    framed(sheet, y)
    levels = {"grid": range(6), "rows": range(1, 6), "booktabs": (0, 1, 5), "head": (0, 1),
              "frame": (0, 1, 5)}.get(look, ())  # fmt: skip
    for k in levels:
        sheet.rule(left, y + 18 * k, right, y + 18 * k)
    for x in EDGES if look == "grid" else (left, right) if look == "frame" else ():
        sheet.rule(x, y, x, y + 90)
    page = sheet.read(tmp_path)
    assert [block.kind for block in page.blocks] == ["paragraph", "table", "paragraph"]
    table = page.blocks[1]
    assert cells(table) == plain(ROWS)
    assert [cell.row for cell in table.cells if cell.header] == [0, 0, 0, 0]


def test_merged_cells_have_spans(tmp_path: Path) -> None:
    sheet = Sheet()
    edges = (60.0, 160.0, 240.0, 320.0, 400.0)
    for k in range(5):
        sheet.rule(60 if k in (0, 2, 4) else 160, 100 + 20 * k, 400, 100 + 20 * k)
    for i, x in enumerate(edges):
        sheet.rule(x, 120 if i == 3 else 100, x, 180)
    sheet.put(65, 123, "Region", font="hebo")
    sheet.put(170, 113, "Town")
    sheet.put(250, 113, "Both of these years", font="hebo")
    for k, (a, b, c) in enumerate(
        (("", "2023", "2024"), ("Marlow", "3", "4"), ("Kelso", "5", "6"))
    ):
        for x, text in zip(edges[1:], (a, b, c), strict=False):
            sheet.put(x + 5, 133 + 20 * k, text)
    sheet.put(65, 163, "North")
    table = table_of(sheet.read(tmp_path))
    assert cells(table) == [
        (0, 0, 2, 1, "Region"), (0, 1, 1, 1, "Town"), (0, 2, 1, 2, "Both of these years"),
        (1, 2, 1, 1, "2023"), (1, 3, 1, 1, "2024"),
        (2, 0, 2, 1, "North"), (2, 1, 1, 1, "Marlow"), (2, 2, 1, 1, "3"), (2, 3, 1, 1, "4"),
        (3, 1, 1, 1, "Kelso"), (3, 2, 1, 1, "5"), (3, 3, 1, 1, "6"),
    ]  # fmt: skip


def test_grouped_heads_reach_over_their_columns(tmp_path: Path) -> None:
    sheet = Sheet()
    edges = (60.0, 160.0, 220.0, 280.0, 340.0, 400.0)
    sheet.rule(60, 100, 400, 100)
    sheet.put(65, 114, "Model", font="hebo")
    for a, name in ((160, "Notes"), (280, "Letters")):
        sheet.put(a + 45, 114, name, font="hebo")
        sheet.rule(a + 3, 118, a + 117, 118)
    body = [["", "Error", "Time", "Error", "Time"],
            ["Small", "0.4", "12", "1.9", "14"], ["Large", "0.2", "31", "1.1", "40"],
            ["Largest", "0.1", "90", "1.0", "120"]]  # fmt: skip
    end = draw_rows(sheet, body, edges, 120)
    sheet.rule(60, 137, 400, 137)
    sheet.rule(60, end, 400, end)
    table = table_of(sheet.read(tmp_path))
    top = [cell for cell in cells(table) if cell[0] == 0]
    assert [cell[1:] for cell in top if cell[1]] == [(1, 1, 2, "Notes"), (3, 1, 2, "Letters")]
    assert [c[4] for c in cells(table) if c[0] == 3] == ["Large", "0.2", "31", "1.1", "40"]
    assert {cell.row for cell in table.cells if cell.header} == {0, 1}


def test_fields_that_no_rule_parts_are_one_where_each_row_has_its_rule(tmp_path: Path) -> None:
    sheet = Sheet()
    edges = (60.0, 140.0, 240.0, 320.0)
    body = [["Region", "Town", "Staff"], ["West", "Oakham", "182"], ["", "Norton", "424"],
            ["East", "Glenties", "99"], ["", "Dunmore", "671"], ["", "Kelso", "31"]]  # fmt: skip
    draw_rows(sheet, body, edges, 100)
    for k in range(6):
        rest = k < 5 and not body[k + 1][0]
        sheet.rule(140 if rest else 60, 118 + 18 * k, 320, 118 + 18 * k)
    found = cells(table_of(sheet.read(tmp_path)))
    assert [cell for cell in found if cell[1] == 0] == [
        (0, 0, 1, 1, "Region"), (1, 0, 2, 1, "West"), (3, 0, 3, 1, "East")]  # fmt: skip
    assert [cell[4] for cell in found if cell[1] == 1] == [row[1] for row in body]


def test_names_wrapped_in_a_narrow_column_are_one_row_between_rules(tmp_path: Path) -> None:
    sheet = Sheet()
    body = [["In thousands", "2025", "2024"], ["Legal and audit fees", "2,281", "(13)"],
            ["Rent and rates", "101", "26"], ["Profit for the year", "246", "(290)"]]  # fmt: skip
    y = 100.0
    sheet.rule(60, y, 260, y)
    for row in body:
        parts = textwrap.wrap(row[0], 9)
        for k, part in enumerate(parts):
            sheet.put(65, y + 12 + 12 * k, part)
        for x, text in zip((130, 200), row[1:], strict=True):
            sheet.put(x, y + 12, text)
        y += 12 * len(parts) + 12
        sheet.rule(60, y - 6, 260, y - 6)
    assert cells(table_of(sheet.read(tmp_path))) == plain(body)


def test_prose_above_the_first_of_three_rules_is_no_row(tmp_path: Path) -> None:
    sheet = Sheet()
    for x in (60, 310):
        sheet.prose(x, 80, 225, 14)
    edges = (60.0, 180.0, 300.0, 420.0, 535.0)
    end = draw_rows(sheet, ROWS, edges, 275)
    for y in (273.0, 292.0, end):
        sheet.rule(60, y, 535, y)
    assert cells(table_of(sheet.read(tmp_path))) == plain(ROWS)


def test_names_stand_far_above_the_first_rule_but_headings_are_none(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.put(60, 80, "Who does what", 18)
    edges = (60.0, 180.0, 260.0, 340.0)
    body = [["Task", "Who", "Until"], ["Scan", "Osei", "May"], ["Check", "Novak", "July"],
            ["Shelve", "Walsh", "June"]]  # fmt: skip
    draw_rows(sheet, body, edges, 100, step=34)
    for k in range(4):
        sheet.rule(60, 132 + 34 * k, 340, 132 + 34 * k)
    page = sheet.read(tmp_path)
    assert cells(table_of(page)) == plain(body)
    assert page.blocks[0].text == "Who does what"


def test_a_name_beside_the_white_of_the_columns_is_parted_too(tmp_path: Path) -> None:
    sheet = Sheet()
    for x, name in ((65, "Town"), (125, "Asked"), (164, "Yes")):
        sheet.put(x, 112, name)
    body = [["Kelso", "15", "45 %"], ["Oakham", "91", "84 %"], ["Selby", "87", "50 %"],
            ["Marlow", "98", "62 %"]]  # fmt: skip
    draw_rows(sheet, [["", "", ""], *body], (60.0, 120.0, 152.0, 230.0), 100)
    for k in range(5):
        sheet.rule(60, 118 + 18 * k, 230, 118 + 18 * k)
    assert cells(table_of(sheet.read(tmp_path))) == plain([["Town", "Asked", "Yes"], *body])


def test_bullets_below_a_ruled_table_are_no_rows_of_it(tmp_path: Path) -> None:
    sheet = Sheet()
    end = draw_rows(sheet, ROWS, EDGES, 100)
    for y in (98.0, 117.0, end):
        sheet.rule(60, y, 410, y)
    for k, text in enumerate(("Nine in ten were found", "One in five followed", "Three remain")):
        sheet.put(65, end + 14 + 14 * k, "\u2022")
        sheet.put(110, end + 14 + 14 * k, text)
    page = sheet.read(tmp_path)
    assert cells(table_of(page)) == plain(ROWS)
    assert "Nine in ten" in page.blocks[-1].text


def test_wrapped_cells_are_one(tmp_path: Path) -> None:
    sheet = Sheet()
    edges = (60.0, 130.0, 300.0, 380.0)
    y = draw_rows(sheet, [["No.", "What", "Price"]], edges, 100)
    for k, (first, rest) in enumerate((("A pump for the well in", "the garden"), ("A valve", ""),
                                       ("Pipes of copper, cut to", "length"))):  # fmt: skip
        y = draw_rows(sheet, [["", "", ""], [str(k + 1), first, f"{k + 3}.50"]], edges, y - 18)
        if rest:
            sheet.put(135, y + 6, rest)
            y += 12
        y += 6
    table = table_of(sheet.read(tmp_path))
    assert cells(table) == plain([
        ["No.", "What", "Price"],
        ["1", "A pump for the well in the garden", "3.50"],
        ["2", "A valve", "4.50"],
        ["3", "Pipes of copper, cut to length", "5.50"],
    ])  # fmt: skip


def test_wrapped_cells_between_rules_are_one(tmp_path: Path) -> None:
    sheet = Sheet()
    for k in range(4):
        sheet.rule(60, 100 + 40 * k, 400, 100 + 40 * k)
    for x in (60, 150, 400):
        sheet.rule(x, 100, x, 220)
    for k, name in enumerate(("One", "Two", "Three")):
        sheet.put(65, 124 + 40 * k, name)
        sheet.prose(155, 114 + 40 * k, 235, 2)
    found = cells(table_of(sheet.read(tmp_path)))
    assert [cell[:4] for cell in found] == [(r, k, 1, 1) for r in range(3) for k in range(2)]
    assert [cell[4] for cell in found[::2]] == ["One", "Two", "Three"]


def test_tables_beside_and_below_each_other_stay_apart(tmp_path: Path) -> None:
    sheet = Sheet()
    rows = [["Name", "Size"], ["a", "1"], ["b", "2"]]
    for x in (60.0, 320.0):
        for y in (100.0, 240.0):
            for k in range(4):
                sheet.rule(x, y + 18 * k, x + 160, y + 18 * k)
            for at in (x, x + 80, x + 160):
                sheet.rule(at, y, at, y + 54)
            draw_rows(sheet, rows, (x, x + 80, x + 160), y)
    tables = [block for block in sheet.read(tmp_path).blocks if block.kind == "table"]
    assert [cells(table) for table in tables] == [plain(rows)] * 4


def test_a_chart_is_no_table(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.prose(60, 80, 470, 8)
    for k in range(6):
        sheet.rule(120, 300 + 30 * k, 420, 300 + 30 * k)
        sheet.put(100, 303 + 30 * k, str(50 - 10 * k), 7)
    for k in range(5):
        sheet.rule(140 + 60 * k, 300, 140 + 60 * k, 450)
        sheet.fill(150 + 60 * k, 330 + 10 * k, 180 + 60 * k, 450, 0.4)
        sheet.put(155 + 60 * k, 460, f"May {k}", 7)
    sheet.prose(60, 520, 470, 8)
    page = sheet.read(tmp_path)
    assert "table" not in [block.kind for block in page.blocks]


def test_tables_in_columns_do_not_mix_with_those_beside_them(tmp_path: Path) -> None:
    sheet = Sheet()
    for x, at in ((60.0, 80.0), (310.0, 110.0)):
        y = sheet.prose(x, at, 225, 4)
        y = draw_rows(sheet, ROWS, (x, x + 95, x + 135, x + 180, x + 225), y, 15)
        sheet.prose(x, y + 24, 225, 4)
    page = sheet.read(tmp_path)
    assert [block.kind for block in page.blocks] == ["paragraph", "table", "paragraph"] * 2
    assert [cells(page.blocks[k]) for k in (1, 4)] == [plain(ROWS)] * 2


RISKS = [
    ["Risk", "What may happen", "What is done about it"],
    ["The scanner is late", "The first boxes cannot be sent to the firm before the end of March",
     "One is rented for as long as it takes, at the cost of the contractor"],
    ["The store is not ready", "Books have to stay where they are, in the damp of the old cellar",
     "The east cellar is kept for another year and heated when it freezes"],
    ["Nobody reads the labels and boxes go astray", "Readers wait for days and come in vain",
     "Large print, bar codes, and a list at the door that is printed each week"],
    ["Water", "The lower shelves are wet", "Pumps"],
]  # fmt: skip


@pytest.mark.parametrize("space", [4.0, 8.0])
def test_columns_of_wrapped_cells_are_no_columns_of_the_page(space: float, tmp_path: Path) -> None:
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 5) + 20
    for row in RISKS:
        feet = []
        for x, text in zip((65, 185, 355), row, strict=True):
            parts = textwrap.wrap(text, 22 if x == 65 else 32)
            for k, part in enumerate(parts):
                sheet.put(x, y + 12.5 * k, part)
            feet.append(y + 12.5 * len(parts))
        y = max(feet) + space
    sheet.prose(60, y + 20, 470, 5)
    page = sheet.read(tmp_path)
    assert [block.kind for block in page.blocks] == ["paragraph", "table", "paragraph"]
    assert cells(table_of(page)) == plain(RISKS)


@pytest.mark.parametrize("edges", [(60, 160, 220, 290, 400, 530), (60, 120, 200, 300, 400, 530)])
def test_a_table_across_the_gutter_parts_the_columns(
    edges: tuple[float, ...], tmp_path: Path
) -> None:
    sheet = Sheet()
    body = [[*row, note] for row, note in zip(ROWS, ("Note", *"abcd"), strict=True)]
    for k, y in enumerate((80, 400)):
        sheet.prose(
            60, y, 225, 14, text=f"Left{k} is the first column of the page and has a story. "
        )
        sheet.prose(310, y, 225, 14, text=f"Right{k} is the second column that tells another one. ")
    body[3][0] = "Carrick"
    draw_rows(sheet, body, edges, 280)
    page = sheet.read(tmp_path)
    assert cells(table_of(page)) == plain(body)
    order = [block.text.split()[0] for block in page.blocks]
    assert order == ["Left0", "Right0", "Town", "Left1", "Right1"]
