"""What pages hold of their own: text with its setting, links, rules, pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymupdf
import pytest

from ocrtool.document.tree import Bookmark, Line
from ocrtool.errors import InputError
from ocrtool.pdf import NativePage, PdfFile, native_page
from ocrtool.pdf.content import Letters
from ocrtool.pdf.lines import assemble_lines

DPI = 144.0  # two pixels a point
Draw = Callable[[pymupdf.Page], object]


def page_of(draw: Draw, width: float = 400, height: float = 300) -> bytes:
    with pymupdf.open() as document:
        draw(document.new_page(width=width, height=height))
        return bytes(document.tobytes())


def read(content: bytes, index: int = 0) -> NativePage:
    with PdfFile(content) as file:
        return native_page(file, index, DPI)


def drawn(draw: Draw, **size: float) -> NativePage:
    return read(page_of(draw, **size))


def texts(lines: tuple[Line, ...]) -> list[str]:
    return [line.text for line in lines]


def styled(line: Line) -> dict[str, str]:
    """Return how each part of a line is set."""
    return {
        line.text[span.start : span.end]: "".join(
            name[0] for name in ("bold", "italic", "mono", "script") if getattr(span, name)
        )
        + span.link
        for span in line.spans
    }


def test_a_line_has_words_places_and_size() -> None:
    page = drawn(lambda page: page.insert_text((50, 100), "Good morning", fontsize=20))
    (line,) = page.lines
    assert (page.width, page.height) == (800, 600)
    assert line.text == "Good morning"
    assert [word.text for word in line.words] == ["Good", "morning"]
    assert line.size == pytest.approx(40)
    (x0, y0), (x1, _), (_, y1), _ = line.quad
    assert x0 == pytest.approx(100, abs=2)
    assert y0 < 200 < y1  # about the foot of the letters
    assert line.words[0].quad[1][0] < line.words[1].quad[0][0] < x1
    assert line.confidence == 1.0


def test_parts_of_a_line_keep_their_style() -> None:
    def draw(page: pymupdf.Page) -> None:
        x = 20.0
        for text, font in (("plain", "helv"), ("heavy", "hebo"), ("sloped", "heit"),
                           ("typed", "cour"), ("plain", "helv")):  # fmt: skip
            page.insert_text((x, 50), text, fontname=font, fontsize=12)
            x += pymupdf.get_text_length(text + " ", font, 12)

    (line,) = drawn(draw).lines
    assert line.text == "plain heavy sloped typed plain"
    assert styled(line) == {"heavy": "b", "sloped": "i", "typed": "m"}


def test_raised_and_lowered_figures_join_their_line() -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((20, 45), "2", fontsize=7)  # first in the file, last on the page
        page.insert_text((24, 50), "Roman roads", fontsize=12)
        end = 24 + pymupdf.get_text_length("Roman roads", "helv", 12)
        page.insert_text((end, 45), "31", fontsize=7)
        page.insert_text((20, 80), "H", fontsize=12)
        end = 20 + pymupdf.get_text_length("H", "helv", 12)
        page.insert_text((end, 83), "2", fontsize=7)
        page.insert_text((end + 4, 80), "O", fontsize=12)

    one, two = drawn(draw).lines
    assert one.text == "2Roman roads31"
    assert [(span.start, span.end, span.script) for span in one.spans] == [(0, 1, 1), (12, 14, 1)]
    assert two.text == "H2O"
    assert [(span.start, span.end, span.script) for span in two.spans] == [(1, 2, -1)]


def test_words_without_spaces_in_the_file_are_parted() -> None:
    def draw(page: pymupdf.Page) -> None:
        x = 20.0
        for word in ["Composition", "of", "the", "pretraining", "data"]:
            page.insert_text((x, 50), word, fontsize=10)
            x += pymupdf.get_text_length(word, "helv", 10) + 2.0  # a narrow space

    assert texts(drawn(draw).lines) == ["Composition of the pretraining data"]


def put_stream(page: pymupdf.Page, operators: str) -> None:
    """Add operators to a page that has a font ``/helv``."""
    page.insert_font("helv")
    document = page.parent
    xref = document.get_new_xref()
    document.update_object(xref, "<<>>")
    document.update_stream(xref, operators.encode())
    document.xref_set_key(page.xref, "Contents", f"{xref} 0 R")


def test_letters_set_apart_are_words_still() -> None:
    def draw(page: pymupdf.Page) -> None:
        put_stream(page, "BT /helv 14 Tf 4 Tc 20 250 Td (CHAPTER FOUR) Tj ET")

    assert texts(drawn(draw).lines) == ["CHAPTER FOUR"]


def test_what_stands_far_apart_on_a_row_is_parted() -> None:
    def draw(page: pymupdf.Page) -> None:
        for x, text in ((20, "Bolts, steel"), (180, "40 pcs"), (300, "12.50")):
            page.insert_text((x, 50), text, fontsize=10)
        page.insert_text((20, 80), "1.", fontsize=10)  # but not the number of an item
        page.insert_text((36, 80), "Remove the cover.", fontsize=10)

    assert texts(drawn(draw).lines) == [
        "Bolts, steel", "40 pcs", "12.50", "1. Remove the cover."
    ]  # fmt: skip


def test_columns_on_one_foot_are_parted_by_a_narrow_gutter() -> None:
    def draw(page: pymupdf.Page) -> None:
        for x, rows in ((20.0, ("The mean of all", "lines is found")),
                        (0.0, ("once more here", "and then there"))):  # fmt: skip
            for row, text in enumerate(rows):
                if x == 0:  # one em to the right of the left column
                    left = pymupdf.get_text_length("The mean of all", "helv", 10)
                    page.insert_text((30 + left, 40 + 12 * row), text, fontsize=10)
                else:
                    page.insert_text((x, 40 + 12 * row), text, fontsize=10)

    assert texts(drawn(draw).lines) == [
        "The mean of all", "lines is found", "once more here", "and then there"
    ]  # fmt: skip


def test_slanted_type_keeps_its_spaces_and_is_italic() -> None:
    def draw(page: pymupdf.Page) -> None:
        slant = pymupdf.Matrix(1, 0, 0.25, 1, 0, 0)
        at = pymupdf.Point(20, 50)
        page.insert_text(at, "Times on each set", fontsize=12, morph=(at, slant))
        page.insert_text((20, 80), "Plain as AVATARS To Ya", fontsize=12)

    slanted, plain = drawn(draw).lines
    assert slanted.text == "Times on each set"
    assert styled(slanted) == {"Times on each set": "i"}
    assert plain.text == "Plain as AVATARS To Ya" and not plain.spans


def test_spaces_of_letters_set_apart_part_words() -> None:
    def draw(page: pymupdf.Page) -> None:
        put_stream(page, "BT /helv 10 Tf 1 Tc -1.2 Tw 20 250 Td (Errors and times on a set) Tj ET")

    assert texts(drawn(draw).lines) == ["Errors and times on a set"]


def test_a_drawn_line_parts_cells() -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((20, 50), "east", fontsize=10)
        page.insert_text((44, 50), "west", fontsize=10)
        page.draw_line((41.5, 35), (41.5, 60), width=0.5)

    page = drawn(draw)
    assert texts(page.lines) == ["east", "west"]
    (rule,) = page.rules
    assert (rule.x0, rule.y0, rule.y1) == pytest.approx((83, 69.5, 120.5), abs=1)


def test_shadows_and_fakes_of_bold_type_are_read_once() -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((51, 51), "Annual report", fontsize=20, color=(0.6, 0.6, 0.6))
        page.insert_text((50, 50), "Annual report", fontsize=20)
        page.insert_text((50, 100), "A", fontsize=20)
        page.insert_text((50.6, 100), "A", fontsize=20)

    assert texts(drawn(draw).lines) == ["Annual report", "A"]


@pytest.mark.parametrize("turned", [0, 90])
def test_text_that_is_not_seen_is_kept_apart(turned: int) -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((20, 20), "not painted", render_mode=3)
        page.insert_text((20, 40), "white on white", color=(1, 1, 1))
        page.draw_rect((0, 50, 400, 80), fill=(0.1, 0.1, 0.5), color=None)
        page.insert_text((20, 70), "white on blue", color=(1, 1, 1))
        page.insert_text((20, 100), "under a picture")
        grey = pymupdf.Pixmap(pymupdf.csGRAY, 40, 20, bytes([128] * 800), False)
        page.insert_image((10, 85, 200, 110), pixmap=grey, keep_proportion=False)
        page.insert_text((20, 140), "on black")
        page.draw_rect((0, 150, 400, 180), fill=(0, 0, 0), color=None)
        page.insert_text((20, 170), "black on black")
        page.set_cropbox((5, 5, 390, 290))
        page.set_rotation(turned)

    page = drawn(draw)
    assert texts(page.lines) == ["white on blue", "on black"]
    assert sorted(texts(page.hidden)) == [
        "black on black", "not painted", "under a picture", "white on white"
    ]  # fmt: skip


def test_text_on_a_picture_is_seen() -> None:
    def draw(page: pymupdf.Page) -> None:
        dark = pymupdf.Pixmap(pymupdf.csGRAY, 40, 20, bytes([20] * 800), False)
        page.insert_image(page.rect, pixmap=dark, keep_proportion=False)
        page.insert_text((20, 100), "A slide", color=(1, 1, 1))

    page = drawn(draw)
    assert texts(page.lines) == ["A slide"]
    assert not page.hidden


def test_text_outside_the_page_is_none() -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((20, 50), "inside")
        page.insert_text((20, 500), "below the page")
        page.insert_text((20, 20), "cut off")
        page.set_cropbox((0, 30, 400, 300))

    page = drawn(draw)
    assert texts(page.lines) == ["inside"]
    assert page.height == 540


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_places_are_those_of_the_page_as_it_is_shown(turned: int) -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((120, 140), "Hexameter", fontsize=30)
        page.set_cropbox((100, 80, 380, 280))
        page.set_rotation(turned)

    content = page_of(draw)
    (line,) = read(content).lines
    with PdfFile(content) as file:
        dark = np.argwhere(file.rasterise(0, DPI)[..., 0] < 128)
    (y0, x0), (y1, x1) = dark.min(axis=0), dark.max(axis=0)
    xs, ys = zip(*line.quad, strict=True)
    slack = 15  # the quad is as high as type may be
    assert min(xs) - slack < x0 < min(xs) + slack
    assert max(xs) - slack < x1 < max(xs) + slack
    assert min(ys) - slack < y0 < min(ys) + slack
    assert max(ys) - slack < y1 < max(ys) + slack
    along = np.subtract(line.quad[1], line.quad[0])
    wanted = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turned]
    assert along / np.hypot(*along) == pytest.approx(wanted, abs=0.01)


def test_ligatures_soft_hyphens_and_accents() -> None:
    def draw(page: pymupdf.Page) -> None:
        writer = pymupdf.TextWriter(page.rect)
        font = pymupdf.Font("helv")
        writer.append((20, 50), "of\ufb01ce impor\u00ad", font, 12)
        writer.write_text(page)
        page.insert_text((20, 80), "caf", fontsize=12)
        x = 20 + pymupdf.get_text_length("caf", "helv", 12)
        page.insert_text((x + 1.2, 80), "\u00b4", fontsize=12)
        page.insert_text((x, 80), "e bar", fontsize=12)

    assert texts(drawn(draw).lines) == ["office impor\u00ad", "café bar"]


def test_links_lead_from_the_words_they_lie_on() -> None:
    with pymupdf.open() as document:
        for _ in range(3):
            document.new_page(width=400, height=300)
        page = document[0]
        page.insert_text((20, 50), "See the site or the end or not", fontsize=12)

        def over(words: str) -> pymupdf.Rect:
            return page.search_for(words)[0]

        page.insert_link({"kind": 2, "from": over("the site"), "uri": "https://example.org/a"})
        page.insert_link({"kind": 1, "from": over("the end"), "page": 2, "to": pymupdf.Point()})
        page.insert_link({"kind": 2, "from": over("not"), "uri": "javascript:alert(1)"})
        content = bytes(document.tobytes())
    (line,) = read(content).lines
    assert styled(line) == {"the site": "https://example.org/a", "the end": "#page=3"}


def test_rules_fills_drawings_and_pictures() -> None:
    def draw(page: pymupdf.Page) -> None:
        page.draw_line((20, 20), (200, 20), width=1)
        page.draw_rect((20, 30, 120, 31), fill=(0, 0, 0), color=None)  # a bar is a rule, too
        page.draw_rect((20, 40, 120, 60), fill=(0.9, 0.9, 0.9), color=None)
        page.draw_rect((0, 0, 400, 300), fill=(1, 1, 1), color=None, overlay=False)
        for k in range(8):
            page.draw_line((200 + 10 * k, 200 + 5 * (k % 3)), (210 + 10 * k, 180 + 4 * k))
            page.draw_circle((205 + 10 * k, 190), 4)
        grey = pymupdf.Pixmap(pymupdf.csGRAY, 40, 20, bytes(range(200)) * 4, False)
        page.insert_image((20, 100, 100, 140), pixmap=grey, keep_proportion=False)

    page = drawn(draw)
    assert [(rule.x0, rule.x1) for rule in page.rules if rule.level] == [
        pytest.approx((40, 400), abs=2), pytest.approx((40, 240), abs=2)
    ]  # fmt: skip
    (fill,) = page.fills
    assert (fill.x0, fill.y0, fill.x1, fill.y1) == pytest.approx((40, 80, 240, 120), abs=1)
    (picture,) = page.pictures
    assert (picture.x0, picture.y0, picture.x1) == pytest.approx((40, 200, 200), abs=1)
    (drawing,) = page.drawings
    assert 395 < drawing.x0 < 410 and 560 < drawing.x1 < 575


def test_the_grid_of_a_table_is_rules_and_no_drawing() -> None:
    def draw(page: pymupdf.Page) -> None:
        for row in range(4):
            for column in range(3):
                x, y = 20 + 100 * column, 50 + 20 * row
                page.draw_rect((x, y, x + 100, y + 20), width=0.5)
                page.insert_text((x + 5, y + 14), f"cell {row}{column}", fontsize=9)

    page = drawn(draw)
    assert not page.drawings
    level = [rule for rule in page.rules if rule.level]
    assert len(level) == 5 and len(page.rules) == 9
    assert all(rule.x1 - rule.x0 == pytest.approx(600, abs=3) for rule in level)


def test_fields_and_notes_are_read_once() -> None:
    def draw(page: pymupdf.Page) -> None:
        field = pymupdf.Widget()
        field.field_type = pymupdf.PDF_WIDGET_TYPE_TEXT
        field.field_name, field.field_value = "name", "Ada Byron"
        field.rect = pymupdf.Rect(100, 40, 250, 60)
        page.add_widget(field)
        page.insert_text((20, 54), "Name")
        page.add_freetext_annot((20, 80, 200, 100), "checked twice", fontsize=10)
        page.add_text_annot((300, 150), "Who wrote this?\nAnd when?")

    page = drawn(draw)
    assert sorted(texts(page.lines)) == [
        "Ada Byron", "Name", "checked twice"
    ]  # fmt: skip
    assert texts(page.notes) == ["[note: Who wrote this? And when?]"]


def test_a_formula_is_told_by_its_fonts() -> None:
    with pymupdf.open() as document:
        page = document.new_page(width=400, height=300)
        page.insert_text((20, 50), "The energy at rest follows from this law:", fontsize=10)
        page.insert_text((150, 80), "E = mc + kT", fontsize=10, fontname="heit")
        page.insert_text((20, 110), "where the symbols stand as before.", fontsize=10)
        (sloped,) = (font[0] for font in page.get_fonts() if "Oblique" in font[3])
        document.xref_set_key(sloped, "BaseFont", "/CMMI10")
        content = bytes(document.tobytes())
    (box,) = read(content).formulas
    assert 290 < box.x0 < 310 and 140 < box.y0 < box.y1 < 170


def test_text_from_right_to_left_keeps_its_order() -> None:
    # As MuPDF gives it: in the order in which it is read, each letter left of the one before.
    text = "שלום עולם"
    kept = [i for i, letter in enumerate(text) if letter != " "]
    n = len(kept)
    letters = Letters(
        [text[i] for i in kept],
        u=200.0 - 10 * np.array(kept, float),
        v=np.full(n, 50.0),
        width=np.full(n, 10.0),
        size=np.full(n, 18.0),
        turn=np.tile([1.0, 0.0], (n, 1)),
        style=np.zeros(n, np.int64),
        color=np.zeros(n, np.int64),
        row=np.ones(n, np.int64),
        font=np.zeros(n, np.int64),
        seen=np.ones(n, bool),
        spaced=np.array([i > 0 and text[i - 1] == " " for i in kept]),
        covered=np.zeros(n, bool),
    )
    (found,) = assemble_lines(letters)
    assert found.line.text == text
    first, second = found.line.words
    assert first.quad[0][0] > second.quad[1][0]


def test_a_page_of_very_many_strokes_is_read() -> None:
    def draw(page: pymupdf.Page) -> None:
        strokes = "".join(f"{i % 390} {i // 390} m {i % 390 + 7} {i // 390 + 5} l S\n"
                          for i in range(20_500))  # fmt: skip
        put_stream(page, strokes + "BT /helv 14 Tf 20 250 Td (A map) Tj ET")

    page = drawn(draw)
    assert texts(page.lines) == ["A map"]
    assert page.drawings


def test_a_page_of_very_many_letters_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocrtool.pdf.content.MAX_CHARACTERS", 20)
    page = drawn(lambda page: page.insert_text((20, 50), "more letters than there is room for"))
    (line,) = page.lines
    assert line.text == "more letters than there is room for"
    assert len(line.words) == 7


def test_bookmarks() -> None:
    with pymupdf.open() as document:
        for _ in range(3):
            document.new_page()
        document.set_toc([[1, "Opening", 1], [2, "First  steps", 2], [1, "End", 3]])
        content = bytes(document.tobytes())
    with PdfFile(content) as file:
        assert file.bookmarks == (
            Bookmark(1, "Opening", 1), Bookmark(2, "First steps", 2), Bookmark(1, "End", 3)
        )  # fmt: skip


def test_a_part_of_a_page_is_drawn() -> None:
    from ocrtool.document.tree import Box

    content = page_of(lambda page: page.draw_rect((100, 100, 200, 150), fill=(1, 0, 0)))
    with PdfFile(content) as file:
        pixels = file.rasterise(0, DPI, Box(210, 210, 390, 290))
    assert pixels.shape == (80, 180, 3)
    assert (pixels == (255, 0, 0)).all()


def test_a_missing_page_is_an_input_error() -> None:
    with pymupdf.open() as document:
        document.new_page()
        pages = int(document.xref_get_key(document.pdf_catalog(), "Pages")[1].split()[0])
        document.xref_set_key(pages, "Count", "3")
        content = bytes(document.tobytes())
    with PdfFile(content) as file, pytest.raises(InputError, match="page 3 is damaged"):
        native_page(file, 2, DPI)
