"""The journal of a document: nothing is done twice, and nothing is taken for done that is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ocrtool.batch.journal import (
    BusyError,
    CompletionRecord,
    Header,
    Journal,
    digest_of,
    read_page,
    write_page,
)
from ocrtool.batch.report import PageNote, failed_page, note_of
from ocrtool.document.tree import Block, Box, Line, Page, Word
from ocrtool.documents.result import PageResult
from ocrtool.errors import OutputError

HEADER = Header("a" * 64, 1000, "options", "0.1")
QUAD = ((1.0, 2.0), (30.0, 2.0), (30.0, 9.5), (1.0, 9.5))


def result(number: int = 1) -> PageResult:
    line = Line("Zürich", 0.98, QUAD, (Word("Zürich", 0.98, QUAD),), size=9.5)
    figure = Block("figure", Box(0, 0, 9, 9), image="page-1-1.png")
    blocks = (Block("paragraph", Box(1, 2, 30, 9.5), (line,), "Zürich"), figure)
    pictures = {"page-1-1.png": b"\x89PNG" + bytes(range(256))}
    return PageResult(Page(number, 100, 200, blocks), "native", ("faint",), pictures)


def keep(journal: Journal, number: int) -> PageNote:
    page = result(number)
    return write_page(
        journal.page(number), page, note_of(page.page, page.route, page.warnings, 0.5)
    )


def finish(journal: Journal, notes: tuple[PageNote, ...], again: bool = False) -> None:
    draft = journal.drafts() / "draft.md"
    draft.write_text("text", "utf-8")
    target = journal.outputs / "paper.md"
    puts = journal.publish({target: draft}, overwrite=False)
    journal.finish(CompletionRecord(HEADER, "outputs", puts, notes, again))


def test_a_page_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        assert journal.begin(HEADER) == ({}, "")
        note = keep(journal, 7)
        kept = read_page(journal.page(7), pictures=True)
        assert kept.result == result(7)
        assert kept.note == note == PageNote(7, "native", 0.98, 0.5, ("faint",))
        assert read_page(journal.page(7)).result.pictures == {}


def test_what_is_done_is_known_to_the_next_run(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        notes = {number: keep(journal, number) for number in (1, 3)}
    with Journal(tmp_path, "paper") as journal:
        assert journal.begin(HEADER) == (notes, "")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (replace(HEADER, sha256="b" * 64), "the input has changed"),
        (replace(HEADER, options="others"), "the options or models have changed"),
        (replace(HEADER, program="0.2"), "it was begun by ocrtool 0.1"),
    ],
)
def test_pages_of_another_input_or_of_other_options_are_dropped(
    tmp_path: Path, changed: Header, told: str
) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        keep(journal, 1)
    with Journal(tmp_path, "paper") as journal:
        assert journal.begin(changed) == ({}, told)
        assert len(list(journal.folder.iterdir())) == 1


def test_a_torn_page_is_done_again(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        for number in (1, 2, 3, 4):
            keep(journal, number)
        whole = journal.page(2).read_bytes()
        journal.page(2).write_bytes(whole[: len(whole) // 2])
        journal.page(3).write_bytes(bytes(len(whole)))
        middle = bytearray(whole)
        middle[60:80] = bytes(20)
        journal.page(4).write_bytes(middle)
    with Journal(tmp_path, "paper") as journal:
        assert set(journal.begin(HEADER)[0]) == {1}
        with pytest.raises(OutputError, match="damaged"):
            read_page(journal.page(3))


def test_a_journal_of_another_version_is_not_read(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        finish(journal, (keep(journal, 1),))
    (marker,) = (tmp_path / ".ocrtool").iterdir()
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "journal": 99}))
    with Journal(tmp_path, "paper") as journal:
        assert journal.finished is None
        with pytest.raises(OutputError, match="exists"):
            journal.check(tmp_path / "paper.md", overwrite=False)
    for damaged in (b"", b"[]", b'{"journal": 1}', b"\xff\xfe"):
        marker.write_bytes(damaged)
        with Journal(tmp_path, "paper") as journal:
            assert journal.finished is None


def test_only_a_marker_stays_of_a_complete_document(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        note = keep(journal, 1)
        finish(journal, (note,))
    assert [path.suffix for path in (tmp_path / ".ocrtool").iterdir()] == [".json"]
    with Journal(tmp_path, "paper") as journal:
        assert journal.finished is not None and journal.finished.pages == (note,)
        assert journal.state() == "whole"
        (tmp_path / "paper.md").write_text("changed", "utf-8")
        assert journal.state() == "changed"
        (tmp_path / "paper.md").unlink()
        assert journal.state() == "missing"


def test_nothing_stays_where_nothing_was_done(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
    assert list(tmp_path.iterdir()) == []


def test_pages_that_may_be_mended_keep_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        good, damaged = keep(journal, 1), failed_page(2, "damaged", "damaged", 0.1)
        late = failed_page(3, "too long", "timeout", 9.0)
        for note in (damaged, late):
            write_page(journal.page(note.page), result(note.page), note)
        finish(journal, (good, damaged, late), again=True)
    with Journal(tmp_path, "paper") as journal:
        assert set(journal.begin(HEADER)[0]) == {1, 2}


def test_only_own_outputs_are_replaced(tmp_path: Path) -> None:
    target = tmp_path / "paper.md"
    target.write_text("by hand", "utf-8")
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        draft = journal.drafts() / "draft.md"
        draft.write_text("text", "utf-8")
        with pytest.raises(OutputError, match="--overwrite"):
            journal.publish({target: draft}, overwrite=False)
        assert target.read_text() == "by hand"
        puts = journal.publish({target: draft}, overwrite=True)
        assert puts["paper.md"].digest == digest_of(target)
        # Killed here: the next run knows that it was about to write this.
        keep(journal, 1)
    with Journal(tmp_path, "paper") as journal:
        journal.check(target, overwrite=False)
        target.write_text("by hand", "utf-8")
        with pytest.raises(OutputError, match="exists"):
            journal.check(target, overwrite=False)


def test_a_folder_of_pictures_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "paper_images"
    for names in (("a.png", "b.png"), ("b.png",)):
        with Journal(tmp_path, "paper") as journal:
            journal.begin(HEADER)
            draft = journal.drafts() / "pictures"
            draft.mkdir()
            for name in names:
                (draft / name).write_bytes(name.encode())
            note = keep(journal, 1)
            puts = journal.publish({target: draft}, overwrite=False)
            journal.finish(CompletionRecord(HEADER, "outputs", puts, (note,)))
            assert journal.state() == "whole"
        assert sorted(path.name for path in target.iterdir()) == list(names)


HOLD = """
import sys
from pathlib import Path
from ocrtool.batch.journal import Journal
journal = Journal(Path(sys.argv[1]), "paper")
print("held", flush=True)
sys.stdin.read()
"""


def test_two_processes_are_kept_apart_and_a_dead_ones_lock_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match="another process"):
            Journal(tmp_path, "paper")
        Journal(tmp_path, "another").close()
        process.kill()
    assert [path.suffix for path in (tmp_path / ".ocrtool").iterdir()] == [".lock"]
    Journal(tmp_path, "paper").close()
    assert list(tmp_path.iterdir()) == []


def test_names_that_look_alike_have_journals_of_their_own(tmp_path: Path) -> None:
    names = ("a/b", "a_b", "A/b", "a/b.", "x" * 300, "x" * 299, ".hidden", "ü\udcff")
    with_names = [Journal(tmp_path, name) for name in names]
    assert len({journal.folder for journal in with_names}) == len(names)
    for journal in with_names:
        journal.close()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "out", "paper")


def test_a_file_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "out", "paper")
