from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ocrtool.document.geometry import words_of
from ocrtool.document.json import from_json, to_json
from ocrtool.document.tree import Block, DocumentTree, Line, Page, Word
from ocrtool.errors import UsageError
from ocrtool.writers import PAGE_FORMATS, PageInput, WriteOptions, format_of, formats, open_writer
from ocrtool.writers.low_confidence import marked_block
from ocrtool.writers.markdown import escape
from writers.drawing import all_words, block, written

Q = ((0.0, 0.0), (100.0, 0.0), (100.0, 10.0), (0.0, 10.0))


def line(text: str, doubtful: str = "", low: float = 0.1) -> Line:
    marks = doubtful.split()
    return Line(text, 0.9, Q, tuple(Word(w, low if w in marks else 0.9, Q) for w in text.split()))


def sheet_of(*blocks: Block) -> PageInput:
    return PageInput("x.png", Page(1, 100, 100, blocks))


def test_txt_holds_texts_a_blank_line_between_them(two_pages: tuple[PageInput, PageInput]) -> None:
    one = written("txt", two_pages[0])
    assert one == two_pages[0].page.text + "\n"
    assert "\n\nItem    Price\nPear    1.20\nFig     0.35\n\nif x:\n    return `y`\n\n" in one
    assert written("txt", *two_pages).split("\f") == [one, one]


def test_an_empty_page_is_empty() -> None:
    empty = sheet_of()
    assert written("txt", empty) == written("md", empty) == ""
    assert from_json(written("json", empty)) == DocumentTree("x.png", (empty.page,))
    for form in PAGE_FORMATS.values():
        if not form.binary:
            written(form.name, empty)
            written(form.name)


def test_words_in_doubt_are_replaced_where_they_stand(sheet: PageInput) -> None:
    text = written("txt", sheet, min_confidence=0.5)
    assert "Zażółć [?] jaźń, read" in text and "gęślą" not in text
    assert "    return [?]\n" in text
    assert text.count("[?]") == 2
    assert written("md", sheet, min_confidence=0.5).count("[?]") == 2


@pytest.mark.parametrize("doubtful", ["exam-", "ple", "exam- ple"])
def test_a_joined_word_is_in_doubt_if_a_half_is(doubtful: str) -> None:
    lines = line("the exam-", doubtful), line("ple the end", doubtful)
    assert marked_block(block("paragraph", *lines, text="the example the end"), 0.5) == (
        "the [?] the end"
    )


def test_the_right_one_of_equal_words_is_replaced() -> None:
    words = tuple(Word("the", c, Q) for c in (0.9, 0.9, 0.1, 0.9))
    equal = block("paragraph", Line("the the the the", 0.1, Q, words), text="the the the the")
    assert marked_block(equal, 0.5) == "the the [?] the"
    rewritten = block("list", line("• a the"), line("• b the", "b"), text="- a the\n- b the")
    assert marked_block(rewritten, 0.5) == "- a the\n- [?] the"


def test_columns_stay_where_they_are() -> None:
    rows = line("Apples 1.20 x", "Apples"), line("Fig 10.35 y", "10.35"), line("a 2 z", "a")
    table = block("table", *rows, text="Apples   1.20   x\nFig      10.35  y\na        2      z")
    assert marked_block(table, 0.5) == "[?]      1.20   x\nFig      [?]    y\n[?]      2      z"


def test_without_doubt_the_text_is_untouched() -> None:
    odd = block("code", line("a b"), text=" a\t b\n")
    assert marked_block(odd, 0.5) == " a\t b\n"


def test_json_is_the_document(two_pages: tuple[PageInput, PageInput]) -> None:
    document = DocumentTree(
        "a & b.jpg", tuple(sheet.page for sheet in two_pages), two_pages[0].metadata
    )
    assert json.loads(written("json", *two_pages)) == json.loads(to_json(document))
    assert written("json", *two_pages, min_confidence=0.5).count('"doubtful":true') == 4


@pytest.mark.parametrize("form", ["json", "alto"])
def test_one_file_holds_one_document(form: str, sheet: PageInput) -> None:
    with pytest.raises(UsageError, match="jsonl"):
        written(form, sheet, replace(sheet, source="other"))


def test_jsonl_is_a_record_a_page_as_it_comes(two_pages: tuple[PageInput, PageInput]) -> None:
    parts: list[str] = []
    writer = open_writer(formats.JSONL, parts.append, WriteOptions(min_confidence=0.5))
    for i, sheet in enumerate(two_pages, 1):
        writer.add(replace(sheet, source=f"{i}.png"))
        record = json.loads("".join(parts).splitlines()[-1])
        assert (record["source"], record["page"]) == (f"{i}.png", i)
        assert record["text"] == sheet.page.text and 0.9 < record["confidence"] < 1
        assert [part["kind"] for part in record["blocks"]] == [b.kind for b in sheet.page.blocks]
        assert "".join(parts).count('"doubtful":true') == 2 * i
    writer.finish()
    assert "".join(parts).count("\n") == 2


def test_tsv_has_the_columns_of_tesseract(two_pages: tuple[PageInput, PageInput]) -> None:
    text = written("tsv", *two_pages)
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert tuple(rows[0]) == (
        *("level", "page_num", "block_num", "par_num", "line_num", "word_num"),
        *("left", "top", "width", "height", "conf", "text"),
    )
    words = [row for row in rows if row["level"] == "5"]
    assert [row["text"] for row in words] == 2 * [w.text for w in all_words(two_pages[0].page)]
    assert {row["page_num"] for row in rows} == {"1", "2"}
    assert all((row["conf"] == "-1") == (row["level"] != "5") for row in rows)
    first = words[1]  # "&"
    quad = all_words(two_pages[0].page)[1].quad
    assert abs(int(first["left"]) - quad[0][0]) <= 1 and first["conf"] == "99.00"
    assert abs(int(first["left"]) + int(first["width"]) - quad[1][0]) <= 1
    numbers = [tuple(int(row[c]) for c in list(row)[1:6]) for row in rows]
    assert len(set(numbers)) == len(numbers) and numbers == sorted(numbers)


def test_markdown_of_each_kind(sheet: PageInput) -> None:
    parts = written("md", sheet).strip().split("\n\n")
    assert parts == [
        "# Größe & Maß",
        "Zażółć gęślą jaźń, read it as one example of \\<many> that costs 5 €.",
        "- one \\*star\\*\n- two",
        "| Item | Price |\n| --- | --- |\n| Pear | 1.20 |\n| Fig | 0.35 |",
        "```\nif x:\n    return `y`\n```",
        "<!-- figure -->",
        "$$\n\\frac{a}{b}\n$$",
        "*Tilted words here*",
        "Upwards",
        "<!-- footer: · 7 · -->",
    ]


def test_markdown_pages_are_told_apart(two_pages: tuple[PageInput, PageInput]) -> None:
    assert written("md", *two_pages).count("\n\n<!-- page 2 -->\n\n# Größe") == 1


def test_markdown_tables_without_cells() -> None:
    aligned = block("table", line("x"), text="Name   Sum\nPear | x    3")
    assert written("md", sheet_of(aligned)) == (
        "| Name | Sum |\n| --- | --- |\n| Pear \\| x | 3 |\n"
    )
    ragged = block("table", line("x"), text="Name   Sum\n       3\nrest")
    assert written("md", sheet_of(ragged)) == "```\nName   Sum\n       3\nrest\n```\n"


def test_markdown_lists() -> None:
    text = "1) one\n  a tail\n2. two\n   • in *it*\n3. three"
    assert written("md", sheet_of(block("list", line("x"), text=text))) == (
        "1. one a tail\n2. two\n   - in \\*it\\*\n3. three\n"
    )


def test_markdown_shows_signs_as_they_are() -> None:
    assert escape("# no heading") == "\\# no heading"
    assert escape("- no item") == "\\- no item" and escape("-5 °C") == "-5 °C"
    assert escape("1998. A year") == "1998\\. A year" and escape("1.5 m") == "1.5 m"
    assert escape("snake_case _x_") == "snake_case \\_x\\_"
    assert escape("a<b> &amp; c & d [x](y) [?]") == "a\\<b> \\&amp; c & d [x\\](y) [?]"
    fenced = block("code", line("x"), text="```\nx\n```")
    assert written("md", sheet_of(fenced)) == "````\n```\nx\n```\n````\n"
    furniture = block("header", line("a -- b --"))
    assert written("md", sheet_of(furniture)) == "<!-- header: a - - b -  -->\n"


def test_lines_of_a_paragraph_run_on_and_split_words_are_mended() -> None:
    text = "Whatever is impor-\ntant is well-\nknown: 1990-\n95 was not important."
    assert written("md", sheet_of(block("paragraph", line("x"), text=text))) == (
        "Whatever is important is well-known: 1990-95 was not important.\n"
    )


def test_a_line_without_words_is_split_by_its_text() -> None:
    words = words_of(Line("ab  cdef gh", 0.7, Q))
    assert [word.text for word in words] == ["ab", "cdef", "gh"]
    assert [word.confidence for word in words] == [0.7] * 3
    assert words[0].quad[0] == (0, 0) and words[2].quad[2] == pytest.approx((100, 10))
    assert words[1].quad[0][0] == pytest.approx(100 * 4 / 11)
    assert words_of(Line("  ", 0.7, Q)) == ()


def test_suffixes() -> None:
    assert format_of("a/b.MD") is formats.MD and format_of("x.htm") is formats.HTML
    assert format_of("x.xml") is formats.ALTO and format_of("x") is format_of("x.png") is None


def test_pages_are_taken_one_by_one() -> None:
    taken = 0

    def sheets() -> Iterator[PageInput]:
        nonlocal taken
        for i in range(5):
            taken += 1
            yield PageInput("x", Page(i + 1, 9, 9))

    seen: list[int] = []
    writer = open_writer(formats.JSONL, lambda text: seen.append(taken))
    for sheet in sheets():
        writer.add(sheet)
    assert [count for count in dict.fromkeys(seen) if count] == [1, 2, 3, 4, 5]


def test_a_doubtful_line_is_marked_in_every_format_of_text() -> None:
    words = tuple(Word(text, c, Q) for text, c in (("if", 0.6), ("__name__", 0.05)))
    page = Page(1, 90, 40, (block("paragraph", Line("if __name__", 0.03, Q, words)),))
    sheet = PageInput("x", page)
    for form in ("txt", "md", "html", "tex"):
        text = written(form, sheet)
        assert text.count("[?]") == 1 and text.index("name") < text.index("[?]"), form
    assert '"doubtful_lines":1' in written("json", sheet)
