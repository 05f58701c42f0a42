from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evaluation.drawn_sets import PAGES, WORDS, page_set, word_set
from evaluation.test_alto_page_xml import ALTO, PAGE
from ocrtool.document.json import to_json
from ocrtool.document.tree import Block, Box, DocumentTree, Page
from ocrtool.errors import InputError
from ocrtool.evaluation.job import load
from ocrtool.evaluation.truth import limited


def test_a_folder_of_pairs(tmp_path: Path) -> None:
    found = load(page_set(tmp_path / "set"), None)
    assert found.protocol == "text"
    assert {item.name: item.truth for item in found.items} == PAGES
    assert not found.problems


def test_pairs_without_a_half_are_problems(tmp_path: Path) -> None:
    folder = page_set(tmp_path / "set")
    (folder / "winter.txt").unlink()
    (folder / "market.png").unlink()
    (folder / "harbour.txt").write_bytes(b"\xff\xfe\x00")
    shutil.copy(folder / "harbour.png", folder / "blank.png")
    (folder / "blank.txt").write_text(" \n")
    found = load(folder, None)
    assert not found.items
    told = "\n".join(found.problems)
    for words in (
        "winter.png: no truth beside it (winter.txt",
        "market.txt: no image or PDF beside it",
        "harbour.txt: not UTF-8",
        "blank.txt: empty",
    ):
        assert words in told


def test_folders_below_on_request(tmp_path: Path) -> None:
    page_set(tmp_path / "set" / "part")
    assert not load(tmp_path / "set", None).items
    found = load(tmp_path / "set", None, recursive=True)
    assert [item.name for item in found.items] == [f"part/{name}" for name in sorted(PAGES)]


def test_words_and_lines_are_told_apart_by_their_labels(tmp_path: Path) -> None:
    table = word_set(tmp_path / "set")
    assert load(table, None).protocol == load(table.parent, None).protocol == "words"
    with table.open("a") as file:
        file.write("Harbour.png,two words\n")
    found = load(table, None)
    assert found.protocol == "lines"
    assert len({item.name for item in found.items}) == len(WORDS) + 1
    assert load(table, "words").protocol == "words"


def test_formulas_are_told_by_their_commands(tmp_path: Path) -> None:
    word_set(tmp_path / "set")
    table = tmp_path / "set" / "labels.tsv"
    table.write_text("Harbour.png\t\\frac{a}{b}\nWinter.png\tx^2\n")
    assert load(table, None).protocol == "formulas"


def test_bad_rows_are_told_by_line(tmp_path: Path) -> None:
    table = word_set(tmp_path / "set")
    table.write_text(
        'image,text\nHarbour.png,"two\nlines"\ngone.png,Gone\nWinter.png,\nMarket.png,a,b\n'
    )
    found = load(table, None)
    assert [item.truth for item in found.items] == ["two\nlines"]
    assert found.problems == (
        f"{table}:4: {table.parent / 'gone.png'} is missing",
        f"{table}:5: no text",
        f"{table}:6: 3 cells instead of 2",
    )


def test_a_table_without_its_columns(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("a.png,Harbour\n")
    with pytest.raises(InputError, match=r"labels\.csv:1: no columns 'image' and 'text'"):
        load(table, None)


def test_a_limit_draws_by_the_seed(tmp_path: Path) -> None:
    found = load(word_set(tmp_path / "set"), None)
    drawn = [tuple(item.name for item in limited(found, 3, seed).items) for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1] and len(set(drawn)) > 1
    assert all(list(names) == sorted(names) and len(names) == 3 for names in drawn)


def test_markdown_json_and_xml_beside_pages(tmp_path: Path) -> None:
    folder = page_set(tmp_path / "set")
    for name in PAGES:
        (folder / f"{name}.txt").unlink()
    (folder / "harbour.xml").write_text(ALTO)
    (folder / "winter.xml").write_text(PAGE)
    block = Block("heading", Box(0, 0, 9, 9), text="Market", level=1)
    tree = DocumentTree("market.png", (Page(1, 9, 9, (block,)),))
    (folder / "market.json").write_text(to_json(tree))
    found = load(folder, None)
    assert found.protocol == "text"
    assert found.items[0].truth == 'The har-\nbour town\n\n"Next"'
    assert found.items[1].truth == "Market"
    (item,) = load(folder, "markdown").items
    assert item.truth.strip() == "# Market"


def test_the_kind_of_truth_that_most_pages_have_counts(tmp_path: Path) -> None:
    folder = page_set(tmp_path / "set")
    for name in ("harbour", "winter"):
        (folder / f"{name}.md").write_text(f"# {name}")
    found = load(folder, None)
    assert found.protocol == "markdown"
    assert [item.name for item in found.items] == ["harbour", "winter"]
    assert "market.png: no truth beside it (market.md, market.json)" in found.problems[0]
    assert len(load(folder, "text").items) == 3


def test_damaged_json_and_xml_are_told_by_line(tmp_path: Path) -> None:
    folder = page_set(tmp_path / "set")
    for name in PAGES:
        (folder / f"{name}.txt").unlink()
    (folder / "harbour.xml").write_text("<alto>\n<Layout>\n</alto>")
    (folder / "winter.json").write_text('{"schema": 1,\n oops')
    (folder / "market.json").write_text('{"other": 1}')
    told = "\n".join(load(folder, "text").problems)
    assert f"{folder / 'harbour.xml'}:3: " in told
    assert f"{folder / 'winter.json'}:2: " in told
    assert f"{folder / 'market.json'}: not a document of ocrtool" in told


def test_the_page_of_a_truth(tmp_path: Path) -> None:
    folder = page_set(tmp_path / "set")
    (folder / "winter.page.json").write_text('{"page": 2}')
    (folder / "market.page.json").write_text('{"page": "two"}')
    found = load(folder, None)
    assert [item.page for item in found.items] == [None, 2]
    assert "market.page.json: no page 'two'" in found.problems[0]
