"""Characters, strikes, notes and watermarks as the page shows them."""

from __future__ import annotations

import pymupdf

from pdf.test_native import drawn, put_stream, texts

LINES = [
    "The board met in May and heard the report",
    "of the keeper about the state of the lamp",
    "and of the stairs, which are to be mended",
    "before the winter, as far as money allows.",
]


def prose(page: pymupdf.Page) -> None:
    for k, line in enumerate(LINES):
        page.insert_text((40, 100 + 16 * k), line, fontsize=11)


def test_words_that_are_printed_again_are_read_once() -> None:
    def draw(page: pymupdf.Page) -> None:
        x = 20.0
        for word in ("Lock", "Review", "ill"):
            for k in range(4):
                page.insert_text((x + 0.25 * k, 50 + 0.1 * k), word, fontsize=12)
            x += pymupdf.get_text_length(word + " ", "helv", 12)

    assert texts(drawn(draw).lines) == ["Lock Review ill"]


def test_text_under_a_later_rectangle_and_tiny_text_are_hidden() -> None:
    def draw(page: pymupdf.Page) -> None:
        prose(page)
        page.insert_text((40, 200), "The name of the witness", fontsize=11)
        page.draw_rect((35, 188, 300, 206), color=None, fill=(1, 1, 1))
        page.insert_text((40, 230), "nobody can read these words", fontsize=1)
        page.draw_rect((35, 240, 300, 262), color=None, fill=(0.9, 0.9, 0.9))
        page.insert_text((40, 255), "This stands on grey.", fontsize=11)

    page = drawn(draw)
    assert texts(page.lines) == [*LINES, "This stands on grey."]
    assert texts(page.hidden) == ["The name of the witness", "nobody can read these words"]


def test_a_small_page_keeps_its_small_text() -> None:
    page = drawn(
        lambda page: page.insert_text((4, 20), "all of it is small", fontsize=1.2), width=60
    )
    assert texts(page.lines) == ["all of it is small"]


def test_words_under_a_strike_are_marked_and_underlined_ones_are_not() -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((40, 50), "The fee is 200 250 euros", fontsize=12)
        x0 = 40 + pymupdf.get_text_length("The fee is ", "helv", 12)
        page.draw_line((x0, 46), (x0 + pymupdf.get_text_length("200", "helv", 12), 46))
        page.draw_line((40, 52), (60, 52))

    page = drawn(draw)
    (line,) = page.lines
    assert [line.text[span.start : span.end] for span in line.spans if span.struck] == ["200"]
    assert len(page.rules) == 1


def test_a_watermark_stands_apart_from_the_lines_it_crosses() -> None:
    def draw(page: pymupdf.Page) -> None:
        prose(page)
        turn = pymupdf.Matrix(30)
        page.insert_text((60, 180), "DRAFT", fontsize=60, color=(0.8,) * 3,
                         morph=(pymupdf.Point(60, 180), turn))  # fmt: skip

    page = drawn(draw)
    assert texts(page.lines) == LINES
    assert texts(page.watermarks) == ["DRAFT"]


def test_a_stamp_and_a_note_stand_apart_from_the_lines_they_cover() -> None:
    def draw(page: pymupdf.Page) -> None:
        prose(page)
        page.add_text_annot((200, 90), "Ask the clerk.")
        page.add_stamp_annot((40, 95, 240, 140), stamp=0)

    page = drawn(draw)
    assert texts(page.lines) == LINES
    assert sorted(texts(page.notes))[0] == "[note: Ask the clerk.]"
    assert len(page.notes) == 2


def test_rules_between_letters_are_underscores() -> None:
    def draw(page: pymupdf.Page) -> None:
        put_stream(
            page,
            "BT /helv 12 Tf 20 250 Td (read) Tj ET BT /helv 12 Tf 49 250 Td (page) Tj ET\n"
            "0 g 44.6 248.5 3.8 0.4 re f\n"
            "BT /helv 12 Tf 120 250 Td (under) Tj ET 120 248.5 30 0.4 re f",
        )

    assert texts(drawn(draw).lines)[0] == "read_page"
    assert "under" in texts(drawn(draw).lines)


def test_dingbats_are_signs() -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((20, 50), "n3", fontname="zadb", fontsize=12)

    assert texts(drawn(draw).lines) == ["■✓"]


def test_fields_and_drawn_squares_are_check_boxes() -> None:
    def draw(page: pymupdf.Page) -> None:
        for k, (name, ticked) in enumerate((("power", True), ("water", False))):
            box = pymupdf.Widget()
            box.field_type = pymupdf.PDF_WIDGET_TYPE_CHECKBOX
            box.field_name, box.field_value = name, ticked
            box.rect = pymupdf.Rect(20, 40 + 20 * k, 32, 52 + 20 * k)
            page.add_widget(box)
            page.insert_text((40, 50 + 20 * k), f"Needs {name}", fontsize=11)
        for k, ticked in enumerate((False, True)):
            y = 100 + 20 * k
            page.draw_rect((20, y, 30, y + 10))
            if ticked:
                page.draw_line((21, y + 1), (29, y + 9))
                page.draw_line((29, y + 1), (21, y + 9))
            page.insert_text((36, y + 9), f"Row {k}", fontsize=11)

    page = drawn(draw)
    signs = sorted((line.box.y0, line.text) for line in page.lines if len(line.text) == 1)
    assert [sign for _, sign in signs] == ["☒", "☐", "☐", "☒"]
    assert [(f.name, f.kind, bool(f.value)) for f in page.fields] == [
        ("power", "check box", True), ("water", "check box", False)
    ]  # fmt: skip


def test_squares_of_a_grid_are_no_check_boxes() -> None:
    def draw(page: pymupdf.Page) -> None:
        for k in range(6):
            page.draw_rect((20 + 12 * k, 40, 32 + 12 * k, 52))
        page.insert_text((100, 50), "Date", fontsize=11)

    assert texts(drawn(draw).lines) == ["Date"]
