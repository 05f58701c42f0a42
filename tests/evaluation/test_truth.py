from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evaluation.drawn_sets import PAGES, WORDS, page_set, word_set
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
