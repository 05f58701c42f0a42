"""Blocks of pages whose lines, rules and pictures are known."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pymupdf
import pytest

from ocrtool.document.tree import Page
from ocrtool.structure import AssembleOptions
from ocrtool.structure.native import assemble_native
from tables.drawing import Sheet, cells, draw_rows


def kinds(page: Page) -> list[str]:
    return [block.kind for block in page.blocks]


def letters(text: str) -> Counter[str]:
    return Counter("".join(text.split()))


def crowd(seed: int) -> Sheet:
    """A page with something of everything, wherever it happens to stand."""
    rng = random.Random(seed)
    sheet, y = Sheet(), 60.0
    while y < 740:
        x, size = rng.choice((50, 50, 70, 310)), rng.choice((8, 10, 10, 10, 14, 20))
        choice = rng.randrange(8)
        if choice < 3:
            y = sheet.prose(x, y, rng.choice((240, 480)), rng.randint(1, 6), size)
        elif choice == 3:
            sheet.put(x, y, f"{rng.randint(1, 9)}.{rng.randint(1, 9)} A heading", size, "hebo")
        elif choice == 4:
            edges = (50, 150, 260, 420, 540)
            for at in edges[: rng.randint(0, 5)]:
                sheet.rule(at, y, at, y + 72)
            for k in range(rng.randint(0, 5)):
                sheet.rule(50, y + 18 * k, 540, y + 18 * k)
            y = draw_rows(sheet, [["a word", "12", "", "more of it"]] * 4, edges, y)
        elif choice == 5:
            sheet.put(x, y, "\u00b7")
            sheet.put(x + 14, y, "an item of a list")
        elif choice == 6:
            sheet.put(x, y, "for i in range(3):", 10, "cour")
        else:
            sheet.fill(x, y - 10, x + 200, y + 20)
            sheet.put(x + 5, y, "in a box . . . . . . . . 7", size)
        y += rng.choice((14, 20, 30))
    return sheet


@pytest.mark.parametrize("seed", range(12))
def test_no_letter_is_lost_or_doubled(seed: int, tmp_path: Path) -> None:
    native = crowd(seed).native(tmp_path)
    said = letters("".join(line.text for line in native.lines))
    for options in (None, AssembleOptions(order="block"), AssembleOptions(order="sparse")):
        page = assemble_native(1, native, options)
        assert letters("".join(x.text for b in page.blocks for x in b.lines)) == said
        assert letters(page.text) == said
        assert (
            letters("".join(w.text for b in page.blocks for x in b.lines for w in x.words)) == said
        )


def test_an_empty_page_has_no_blocks(tmp_path: Path) -> None:
    page = Sheet().read(tmp_path)
    assert page.blocks == ()
    assert (page.width, page.dpi) == (1653, 200)


def test_headings_are_bold_or_large(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.put(60, 80, "The Title of It", 22, "hebo")
    y = sheet.prose(60, 120, 470, 5)
    sheet.put(60, y + 14, "A section", 10, "hebo")
    y = sheet.prose(60, y + 32, 470, 5)
    sheet.put(60, y + 14, "Nothing but emphasis.", 10, "hebo")
    y = sheet.prose(60, y + 32, 470, 5)
    sheet.prose(90, y + 20, 400, 2, font="heit")
    page = sheet.read(tmp_path)
    heads = [(block.text, block.level) for block in page.blocks if block.kind == "heading"]
    assert heads == [("The Title of It", 1), ("A section", 3)]
    assert kinds(page)[-1] == "quote"  # emphasis, set in on both sides


def test_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.put(60, 80, "A paper in two columns", 20, "hebo")
    sheet.prose(60, 110, 470, 4, text="Abstract words that run over both columns of the page. ")
    for x, name in ((60, "left"), (310, "right")):
        sheet.prose(
            x, 190, 225, 30, text=f"In the {name} column there is nothing but these words. "
        )
    page = sheet.read(tmp_path)
    assert kinds(page)[:2] == ["heading", "paragraph"]
    text = page.text
    assert text.index("Abstract") < text.index("left") < text.index("right")
    assert text.rindex("left") < text.index("right")
    assert "table" not in kinds(page)


def test_a_title_over_both_columns_does_not_hide_that_the_left_one_is_longer(
    tmp_path: Path,
) -> None:
    sheet = Sheet()
    sheet.put(60, 80, "Agreement for the Hire of the Rooms of the Trust", 20, "hebo")
    for y in (110, 250, 390):  # its paragraphs stand apart
        sheet.prose(60, y, 220, 6)
    sheet.put(60, 500, "3 Payment", 14, "hebo")
    sheet.prose(60, 520, 220, 2, text="The fee is due a fortnight before the first day of hire. ")
    for y in (110, 250):
        sheet.prose(310, y, 220, 9, text="Guests may come and leave by the side door at any time. ")
    said = " ".join(block.text.replace("\n", " ") for block in sheet.read(tmp_path).blocks)
    assert said.index("The committee") < said.index("3 Payment") < said.index("Guests may")


def test_a_sentence_goes_on_in_the_next_column(tmp_path: Path) -> None:
    sheet = Sheet()
    for x, words in ((60, "and so the text of this column goes on "), (310, "without an end ")):
        sheet.prose(x, 100, 225, 30, text=words)
    (block,) = sheet.read(tmp_path).blocks
    assert len(block.lines) == 60


def test_code_keeps_its_indentation(tmp_path: Path) -> None:
    program = ["def add(a, b):", "    if a:", "        return a + b", "    return b"]
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 4) + 10
    for line in program:
        body = line.lstrip()
        sheet.put(60 + 6 * (len(line) - len(body)), y, body, 10, "cour")
        y += 12
    sheet.prose(60, y + 10, 470, 4)
    page = sheet.read(tmp_path)
    assert kinds(page) == ["paragraph", "code", "paragraph"]
    assert page.blocks[1].text.split("\n") == program


def test_lists_are_nested_as_they_are_indented(tmp_path: Path) -> None:
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 4) + 8
    for x, text in ((70, "one thing"), (90, "part of it"), (90, "another part"), (70, "the next")):
        sheet.put(x, y, "\u00b7")
        sheet.put(x + 12, y, text)
        y += 14
    page = sheet.read(tmp_path)
    assert kinds(page) == ["paragraph", "list"]
    assert page.blocks[1].text.split("\n") == [
        "· one thing", "    · part of it", "    · another part", "· the next"
    ]  # fmt: skip
    assert [line.text for line in page.blocks[1].lines][1] == "· part of it"


def test_a_drop_capital_begins_its_word(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.put(60, 118, "T", 34)
    sheet.put(84, 100, "he first words stand beside a letter that is")
    sheet.put(84, 112.5, "as high as two or three lines of the text, and")
    sheet.prose(60, 125, 230, 8)
    page = sheet.read(tmp_path)
    assert page.text.startswith("The first words")
    assert page.blocks[0].lines[0].words[0].text == "The"


def test_what_is_written_in_a_picture_belongs_to_it(tmp_path: Path) -> None:
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 5)
    pixels = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 60, 40), False)
    pixels.clear_with(200)
    sheet.page.insert_image((150, y, 450, y + 200), pixmap=pixels, keep_proportion=False)
    sheet.put(200, y + 60, "A label", 8)
    sheet.put(150, y + 216, "Figure 1: What it shows", 8)
    sheet.prose(60, y + 240, 470, 5)
    page = sheet.read(tmp_path)
    assert kinds(page) == ["paragraph", "figure", "caption", "paragraph"]
    assert [line.text for line in page.blocks[1].lines] == ["A label"]


def test_prose_on_a_picture_is_no_part_of_it(tmp_path: Path) -> None:
    sheet = Sheet()
    pixels = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 60, 40), False)
    pixels.clear_with(200)
    sheet.page.insert_image((0, 0, 595, 842), pixmap=pixels, keep_proportion=False)
    sheet.put(60, 80, "A poster", 30, "hebo")
    sheet.prose(60, 130, 470, 12)
    assert kinds(sheet.read(tmp_path)) == ["heading", "paragraph"]


def test_notes_are_small_and_last_in_their_column(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.prose(60, 80, 225, 48)
    sheet.prose(310, 80, 225, 54)
    sheet.put(60, 720, "1", 5)
    sheet.put(64, 723, "A note on what is said above.", 7.5)
    sheet.put(290, 800, "17", 9)
    page = sheet.read(tmp_path)
    (note,) = (block for block in page.blocks if block.kind == "footnote")
    assert "A note" in note.text
    assert kinds(page).count("paragraph") >= 1
    assert "table" not in kinds(page)


def test_boxed_prose_is_no_table(tmp_path: Path) -> None:
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 5) + 10
    sheet.page.draw_rect((55, y, 540, y + 90))
    y = sheet.prose(60, y + 20, 470, 5) + 40
    sheet.page.draw_rect((55, y, 540, y + 110))
    for x in (60, 310):
        sheet.prose(x, y + 20, 220, 7)
    page = sheet.read(tmp_path)
    assert "table" not in kinds(page)


def test_rules_over_and_under_columns_are_no_table(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.rule(60, 70, 535, 70)
    for x in (60, 310):
        sheet.prose(x, 90, 225, 40)
    sheet.rule(60, 640, 535, 640)
    assert "table" not in kinds(sheet.read(tmp_path))


def test_extra_lines_come_where_they_stand(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.prose(60, 80, 470, 5)
    sheet.prose(60, 400, 470, 5)
    other = Sheet()
    other.put(60, 250, "Read from a picture, this stands between.")
    extra = other.native(tmp_path).lines
    page = assemble_native(1, sheet.native(tmp_path), extra=extra)
    assert kinds(page) == ["paragraph"] * 3
    assert page.blocks[1].lines == extra


def test_entries_of_a_table_of_contents_stay_apart(tmp_path: Path) -> None:
    sheet, y = Sheet(), 100.0
    for name, number in (("Introduction", 1), ("Materials and methods", 12), ("Results", 27)):
        end = sheet.put(60, y, name)
        at = pymupdf.get_text_length(str(number), "helv", 10)
        dots = int((530 - at - end - 8) / pymupdf.get_text_length(" .", "helv", 10))
        sheet.put(end + 3, y, " ." * dots)
        sheet.put(535 - at, y, str(number))
        y += 16
    page = sheet.read(tmp_path)
    said = [line.split() for line in page.text.split("\n") if line]
    assert [(words[0], words[-1]) for words in said] == [
        ("Introduction", "1"), ("Materials", "12"), ("Results", "27")
    ]  # fmt: skip


def test_labels_and_values_are_rows(tmp_path: Path) -> None:
    sheet = Sheet()
    rows = [["Invoice no.", "2024-118"], ["Date", "3 May 2024"], ["Customer", "12 881"],
            ["Due", "412.50"]]  # fmt: skip
    draw_rows(sheet, rows, (60, 160, 400), 100)
    (block,) = sheet.read(tmp_path).blocks
    assert block.kind == "table"
    assert [text for *_, text in cells(block)] == [text for row in rows for text in row]


def test_what_is_set_in_on_both_sides_is_a_quote(tmp_path: Path) -> None:
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 5)
    y = sheet.prose(85, y + 8, 420, 3)
    y = sheet.prose(85, y + 8, 420, 2)
    y = sheet.prose(60, y + 8, 470, 4)
    page = sheet.read(tmp_path)
    assert kinds(page) == ["paragraph", "quote", "quote", "paragraph"]
    assert page.blocks[1].text.startswith("The committee met")


def test_what_is_set_in_for_another_reason_is_none(tmp_path: Path) -> None:
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 4)
    y = sheet.prose(85, y + 8, 445, 3)  # on one side alone
    y = sheet.prose(60, y + 8, 470, 4)
    sheet.put(220, y + 10, "Abstract")
    y = sheet.prose(85, y + 26, 420, 4)
    sheet.prose(60, y + 14, 470, 5)
    assert "quote" not in kinds(sheet.read(tmp_path))


def test_signs_far_before_their_items_make_no_table(tmp_path: Path) -> None:
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 3) + 12
    items = ("Share the plan with all", "Ask for the keys of the hall", "Close the doors at ten")
    for item in items:
        sheet.put(70, y, "\u2022", 10, "helv")
        sheet.put(112, y, item)
        y += 18
    page = sheet.read(tmp_path)
    assert kinds(page) == ["paragraph", "list"]
    assert [line.strip("\u00b7\u2022 ") for line in page.blocks[1].text.split("\n")] == list(items)


def test_the_hours_of_an_agenda_stay_apart(tmp_path: Path) -> None:
    sheet = Sheet()
    y = sheet.prose(60, 80, 470, 4) + 14
    for hour in ("6:00 Welcome to all", "6:10 What the office says", "6:25 Questions"):
        sheet.put(60, y, hour)
        y += 12.5
    page = sheet.read(tmp_path)
    assert [b.text for b in page.blocks][1:] == [
        "6:00 Welcome to all", "6:10 What the office says", "6:25 Questions",
    ]  # fmt: skip
