from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from drawn_pages import HEIGHT, KINDS, WIDTH, Drawn, draw, successions
from ocrtool.document.lines import DetectedLayout, FoundLine, ReadLine, ReadWord, Region
from ocrtool.document.tree import Block, Box, Page, Quad
from ocrtool.structure import AssembleOptions, assemble, join_lines


def quad_of(box: Sequence[float], degrees: float = 0.0) -> Quad:
    """Return the corners of a box on a page turned about its middle."""
    a = math.radians(degrees)
    x0, y0, x1, y1 = box

    def turned(x: float, y: float) -> tuple[float, float]:
        x, y = x - WIDTH / 2, y - HEIGHT / 2
        return (x * math.cos(a) - y * math.sin(a) + WIDTH / 2,
                x * math.sin(a) + y * math.cos(a) + HEIGHT / 2)  # fmt: skip

    return turned(x0, y0), turned(x1, y0), turned(x1, y1), turned(x0, y1)


def read(text: str) -> ReadLine:
    words, place = [], 0
    for word in text.split():
        place = text.index(word, place)
        end = place + len(word)
        words.append(ReadWord(word, 0.9, place / len(text), end / len(text)))
        place = end
    return ReadLine(text, 0.8, tuple(words))


def page_of(
    drawn: Drawn,
    degrees: float = 0.0,
    regions: Sequence[Region] = (),
    options: AssembleOptions | None = None,
) -> Page:
    mixed = [i for i, text in enumerate(drawn.texts) if text]
    random.Random(7).shuffle(mixed)
    lines = tuple(FoundLine(quad_of(drawn.boxes[i], degrees), 1.0) for i in mixed)
    readings = [read(drawn.texts[i]) for i in mixed]
    return assemble(1, (WIDTH, HEIGHT), DetectedLayout(lines, tuple(regions)), readings, options)


def blank() -> Drawn:
    return Drawn(random.Random(1))


def kinds(page: Page) -> list[str]:
    return [block.kind for block in page.blocks]


def only(page: Page, kind: str) -> Block:
    (block,) = (block for block in page.blocks if block.kind == kind)
    return block


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_is_in_the_text_exactly_once(kind: str) -> None:
    for seed in range(2):
        drawn = draw(kind, seed, 0.2)
        page = page_of(drawn)
        words = Counter(word for text in drawn.texts for word in text.split())
        assert Counter(page.text.split()) == words
        assert Counter(word.text for block in page.blocks for line in block.lines
                       for word in line.words) == words  # fmt: skip
        joined = page_of(drawn, options=AssembleOptions(hyphens="join")).text
        assert Counter("".join(joined.split())) == Counter("".join(words.elements()))


@pytest.mark.parametrize("degrees", [-2.0, -0.7, 1.3, 2.0])
@pytest.mark.parametrize("kind", ["paper", "newspaper", "invoice", "receipt"])
def test_skewed_pages_read_alike(kind: str, degrees: float) -> None:
    drawn = draw(kind, 4)
    page = page_of(drawn, degrees)
    place = {quad_of(box, degrees): i for i, box in enumerate(drawn.boxes)}
    order = [place[line.quad] for block in page.blocks for line in block.lines]
    right, steps = successions(order)
    assert right >= 0.98 * steps


def test_words_stand_where_they_are_along_the_line() -> None:
    quad = quad_of((100, 100, 300, 120), 1.0)
    reading = ReadLine(
        "two words", 0.9, (ReadWord("two", 0.9, 0, 0.3), ReadWord("words", 0.9, 0.4, 1))
    )
    page = assemble(3, (WIDTH, HEIGHT), DetectedLayout((FoundLine(quad, 1.0),)), [reading])
    (line,) = page.blocks[0].lines
    assert page.number == 3
    assert line.quad == quad
    assert line.words[0].quad[0] == quad[0]
    assert line.words[1].quad[1] == pytest.approx(quad[1])
    assert line.words[0].quad[1][0] == pytest.approx(quad[0][0] + 0.3 * (quad[1][0] - quad[0][0]))
    with pytest.raises(ValueError, match="zip"):
        assemble(1, (9, 9), DetectedLayout((FoundLine(quad, 1.0),)), [])


def test_lines_without_text_are_left_out() -> None:
    lines = tuple(FoundLine(quad_of((10, y, 90, y + 20)), 1.0) for y in (10, 40, 70))
    readings = [ReadLine("  ", 0.1), read("here"), ReadLine("", 0.0)]
    page = assemble(1, (100, 100), DetectedLayout(lines), readings)
    assert page.text == "here"
    assert assemble(1, (100, 100), DetectedLayout(lines), [ReadLine("", 0.0)] * 3).blocks == ()
    assert assemble(1, (100, 100), DetectedLayout(()), []).text == ""


def test_paragraphs_end_at_white_at_indents_and_at_short_lines() -> None:
    for indent, white in ((40, 0), (0, 30)):
        drawn, y = blank(), 100.0
        for _ in range(3):
            first = len(drawn.boxes)
            y = drawn.prose(100, y, 900, 4) + white
            x0, y0, x1, y1 = drawn.boxes[first]
            drawn.boxes[first] = (x0 + indent, y0, x1, y1)
        page = page_of(drawn)
        assert kinds(page) == ["paragraph"] * 3
        assert page.blocks[1].text.split("\n") == drawn.texts[5:10]


def test_headings_are_larger_or_set_apart_and_have_levels() -> None:
    drawn = blank()
    drawn.put(100, 100, "The Title", 60)
    y = drawn.prose(100, 200, 1000, 5)
    drawn.put(100, y + 60, "A Section of It", 38)
    y = drawn.prose(100, y + 110, 1000, 5)
    drawn.put(100, y + 50, "2.1 Smaller Parts", 25)
    drawn.prose(100, y + 100, 1000, 5)
    page = page_of(drawn)
    heads = [(block.text, block.level) for block in page.blocks if block.kind == "heading"]
    assert heads == [("The Title", 1), ("A Section of It", 2), ("2.1 Smaller Parts", 3)]
    assert kinds(page).count("paragraph") == 3


def test_a_few_large_words_are_no_headings() -> None:
    drawn = blank()
    drawn.put(100, 300, "EXIT", 90)
    drawn.put(100, 500, "Way out", 80)
    assert set(kinds(page_of(drawn))) == {"paragraph"}


def test_lists_keep_their_items() -> None:
    drawn = blank()
    y = drawn.prose(100, 100, 900, 3) + 10
    for _ in range(3):
        drawn.put(130, y, "•")
        y = drawn.prose(160, y, 800, 1) + 4
    drawn.prose(100, y + 20, 900, 3)
    page = page_of(drawn)
    assert kinds(page) == ["paragraph", "list", "paragraph"]
    rows = page.blocks[1].text.split("\n")
    assert [row.startswith("• ") for row in rows] == [True, False] * 3
    assert rows[1].startswith(" ")
    items = join_lines(page.blocks[1]).split("\n")
    assert len(items) == 3
    assert all(item.startswith("• ") for item in items)


def test_a_table_has_cells_and_aligned_columns() -> None:
    drawn = blank()
    rows = [("Name", "Weight", "Price"), ("Apples", "2", "3.50"), ("Pears, green", "12", "10.25"),
            ("Plums", "", "1.00")]  # fmt: skip
    y = drawn.prose(100, 100, 900, 3) + 30
    for row in rows:
        for x, text, side in zip((100, 500, 800), row, ("left", "right", "right"), strict=True):
            if text:
                drawn.put(x, y, text, 24, side)
        y += 40
    block = only(page_of(drawn), "table")
    assert block.text == (
        "Name          Weight  Price\n"
        "Apples             2   3.50\n"
        "Pears, green      12  10.25\n"
        "Plums                  1.00"
    )
    found = {(c.row, c.column): " ".join(line.text for line in c.lines) for c in block.cells}
    wanted = {(i, k): text for i, row in enumerate(rows) for k, text in enumerate(row) if text}
    assert found == wanted
    assert [cell.header for cell in block.cells] == [True] * 3 + [False] * 8


def test_a_table_region_is_a_table_whatever_is_in_it() -> None:
    drawn = blank()
    for i in range(2):
        for k in range(2):
            drawn.put(100 + 300 * k, 100 + 40 * i, f"cell {i} {k}")
    region = Region("table", Box(80, 60, 700, 200), 0.9)
    (block,) = page_of(drawn, regions=[region]).blocks
    assert block.kind == "table"
    assert block.text == "cell 0 0  cell 0 1\ncell 1 0  cell 1 1"
    assert [(cell.row, cell.column) for cell in block.cells] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_table_whose_rows_are_found_as_lines_is_cut_at_its_white() -> None:
    rows = [("Property", "Ours", "Model A", "Model B"), ("Length, mm", "73.0", "91.4", "322.5"),
            ("Power, kW", "37.5", "272.3", "229.8"),
            ("Life, h", "327.7", "265.4", "347.1")]  # fmt: skip
    lines = [FoundLine(quad_of((100, 60, 420, 95)), 1.0)]
    readings = [read("2 Technical data")]
    for i, row in enumerate(rows):
        places = []
        for x, text in zip((100, 220, 300, 380), row, strict=True):
            for word in text.split():
                start = x + 8 * text.index(word)
                places.append((word, start, start + 8 * len(word)))
        end = places[-1][2]
        words = [ReadWord(word, 0.9, (a - 100) / (end - 100), (b - 100) / (end - 100))
                 for word, a, b in places]  # fmt: skip
        lines.append(FoundLine(quad_of((100, 120 + 40 * i, end, 140 + 40 * i)), 1.0))
        readings.append(ReadLine(" ".join(row), 0.8, tuple(words)))
    page = assemble(1, (WIDTH, HEIGHT), DetectedLayout(tuple(lines)), readings)
    assert page.blocks[0].text == "2 Technical data"
    block = only(page, "table")
    found = {(c.row, c.column): " ".join(line.text for line in c.lines) for c in block.cells}
    assert found == {(i, k): text for i, row in enumerate(rows) for k, text in enumerate(row)}


def test_prose_and_the_caption_above_a_table_without_rules_are_no_rows_of_it() -> None:
    drawn = blank()
    for x, text in ((100, "of 20 % that"), (320, "was paid on booking.")):
        drawn.put(x, 100, text)
    for x, text in ((100, "Table 1:"), (260, "Technical data")):
        drawn.put(x, 140, text)
    rows = [("Property", "Ours", "Model A"), ("Length, mm", "73.0", "91.4"),
            ("Power, kW", "37.5", "272.3"), ("Life, h", "327.7", "265.4")]  # fmt: skip
    for i, row in enumerate(rows):
        for x, text in zip((100, 320, 480), row, strict=True):
            drawn.put(x, 180 + 40 * i, text)
    block = only(page_of(drawn), "table")
    assert "Technical data" not in block.text
    assert block.text.startswith("Property")


def test_columns_of_short_cells_are_one_table_where_some_hold_numbers() -> None:
    rows = [("Time", "Subject", "Speaker", "Where"),
            ("09:00", "Budget for the coming year", "M. Lindqvist", "Room 16"),
            ("09:35", "Report of the treasurer", "M. Lindqvist", "Room 11"),
            ("10:25", "Election of two members", "J. Osei", "Room 26"),
            ("10:55", "Any other business", "A. Becker", "Room 17"),
            ("11:15", "Maintenance of the lifts", "L. Moreau", "Room 24"),
            ("11:50", "Closing", "E. Walsh", "Room 20")]  # fmt: skip
    drawn = blank()
    for i, row in enumerate(rows):
        for x, text in zip((100, 190, 560, 740), row, strict=True):
            drawn.put(x, 200 + 34 * i, text)
    block = only(page_of(drawn), "table")
    found = {(c.row, c.column): " ".join(line.text for line in c.lines) for c in block.cells}
    assert found == {(i, k): text for i, row in enumerate(rows) for k, text in enumerate(row)}


def test_rows_of_a_receipt_stay_rows() -> None:
    drawn = draw("receipt", 5)
    text = page_of(drawn).text.split("\n")
    for label in ("SUBTOTAL", "TAX", "CASH", "CHANGE"):
        amount = drawn.texts[drawn.texts.index(label) + 1]
        assert [row for row in text if row.split() == [label, amount]], label
    ends = {len(row) for row in text if row.split()[:1] in (["SUBTOTAL"], ["CASH"])}
    assert len(ends) == 1


def test_code_keeps_its_indentation() -> None:
    drawn = blank()
    drawn.font = "cour"
    program = [
        "def add(a, b):",
        "    if a == b:",
        "        return f(a)",
        "    return a + b",
        "print(add(1, 2))",
    ]
    for k, line in enumerate(program):
        body = line.lstrip()
        drawn.put(100 + 14.4 * (len(line) - len(body)), 100 + 30 * k, body)
    block = only(page_of(drawn), "code")
    assert block.text.split("\n") == program


def test_running_heads_page_numbers_and_notes() -> None:
    drawn = blank()
    drawn.put(100, 80, "12", 20)
    drawn.put(620, 80, "On the Order of Lines", 20, "centre")
    y = drawn.prose(100, 180, 1000, 12)
    drawn.prose(100, y + 20, 1000, 12)
    drawn.put(100, 1500, "1. See the first chapter, where more is said.", 18)
    drawn.put(620, 1690, "- 12 -", 20, "centre")
    page = page_of(drawn)
    assert kinds(page) == ["header", "paragraph", "paragraph", "footnote", "footer"]
    assert page.blocks[0].text == "12   On the Order of Lines"


def test_pictures_and_formulas_have_their_place() -> None:
    drawn = blank()
    y = drawn.prose(100, 120, 1000, 4)
    top = y + 20
    drawn.put(300, top + 450, "Figure 3: a view from the hill", 20)
    y = drawn.prose(100, top + 520, 1000, 4)
    drawn.put(500, y + 60, "a = b + c")
    end = drawn.prose(100, y + 130, 1000, 4)
    picture = Box(200, top, 1000, top + 400)
    regions = [
        Region("figure", picture, 0.9),
        Region("formula", Box(480, y + 30, 700, y + 75), 0.9),
        Region("formula", Box(100, end - 70, 130, end - 50), 0.9),  # within a line
        Region("rule", Box(100, top - 10, 1100, top - 8), 0.9),
    ]
    page = page_of(drawn, regions=regions)
    assert kinds(page) == ["paragraph", "figure", "caption", "paragraph", "formula", "paragraph"]
    assert page.blocks[1].box == picture
    assert page.blocks[1].lines == ()
    assert page.blocks[4].text == "a = b + c"


def test_split_words_are_joined_when_asked() -> None:
    said = ["It is of great impor-", "tance to a well-", "known man that", "nothing is lost."]
    drawn = blank()
    for k, line in enumerate(said):
        drawn.put(100, 100 + 31 * k, line)
    kept = page_of(drawn)
    assert kept.text.split("\n") == said
    joined = page_of(drawn, options=AssembleOptions(hyphens="join"))
    assert joined.text.split("\n") == [
        "It is of great importance", "to a well-", "known man that", "nothing is lost."
    ]  # fmt: skip
    whole = "It is of great importance to a well-known man that nothing is lost."
    assert join_lines(kept.blocks[0]) == join_lines(joined.blocks[0]) == whole
    elsewhere = AssembleOptions(hyphens="join", known={"impor-tance"})
    assert page_of(drawn, options=elsewhere).text.startswith("It is of great impor-\n")


def test_hyphens_before_and_stand_alone() -> None:
    said = ["auf Hand-", "und Fußarbeit, 1990-", "95 und so"]
    drawn = blank()
    for k, line in enumerate(said):
        drawn.put(100, 100 + 31 * k, line)
    (block,) = page_of(drawn).blocks
    assert join_lines(block) == "auf Hand- und Fußarbeit, 1990-95 und so"
