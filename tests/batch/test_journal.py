"""The journal of a document: only what is finished counts as finished."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ocrtool.batch.fingerprints import Header
from ocrtool.batch.journal import BusyError, CompletionRecord, Journal
from ocrtool.batch.output_files import digest_of
from ocrtool.batch.report import PageNote, failed_page, note_of
from ocrtool.batch.stored_pages import StoredPage, StoredPages
from ocrtool.document.tree import Block, Box, Line, Page, Word
from ocrtool.documents import PageResult
from ocrtool.errors import OutputError

HEADER = Header("a" * 64, 1000, "options", "0.1")
QUAD = ((1.0, 2.0), (30.0, 2.0), (30.0, 9.5), (1.0, 9.5))


def result(number: int = 1) -> PageResult:
    line = Line("Zürich", 0.98, QUAD, (Word("Zürich", 0.98, QUAD),), size=9.5)
    figure = Block("figure", Box(0, 0, 9, 9), image="page-1-1.png")
    blocks = (Block("paragraph", Box(1, 2, 30, 9.5), (line,), "Zürich"), figure)
    pictures = {"page-1-1.png": b"\x89PNG" + bytes(range(256))}
    return PageResult(Page(number, 100, 200, blocks), "native", ("faint",), pictures)


def add(journal: Journal, number: int) -> PageNote:
    page = result(number)
    note = note_of(page.page, page.route, page.warnings, 0.5)
    journal.add_page(StoredPage.of(page, note))
    return note


def complete(journal: Journal, notes: tuple[PageNote, ...], retry: bool = False) -> None:
    draft = journal.drafts() / "draft.md"
    draft.write_text("text", "utf-8")
    names = journal.publish({journal.folder / "paper.md": draft}, overwrite=False)
    journal.complete(CompletionRecord(HEADER, "outputs", names, notes, retry))


def begun(folder: Path, pages: int = 1) -> Path:
    """Return the journal that a run leaves which was stopped after some pages."""
    with Journal(folder, "paper") as journal:
        journal.begin(HEADER)
        for number in range(1, pages + 1):
            add(journal, number)
    return journal.path


def changed(path: Path, *statements: str) -> None:
    """Change the database of a journal by other means than the journal's own."""
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def test_a_stored_page_comes_back_unchanged(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        assert journal.begin(HEADER) == "" and journal.notes == {}
        note = add(journal, 7)
        assert journal.notes == {7: note} == {7: PageNote(7, "native", 0.98, 0.5, ("faint",))}
        with StoredPages(journal.checkpoint()) as stored:
            assert list(stored.pages([7])) == [result(7).page]
            assert stored.pictures(7, {"page-1-1.png"}) == result(7).pictures
            assert stored.pictures(7, {"another.png"}) == {}


def test_a_page_is_parsed_once_in_two_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = begun(tmp_path, pages=3)
    with StoredPages(path) as stored:
        first = list(stored.pages([1, 2, 3]))
        monkeypatch.setattr("ocrtool.batch.stored_pages.page_from", None)
        assert list(stored.pages([1, 2, 3])) == first


def test_finished_pages_are_known_to_the_next_run(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        notes = {number: add(journal, number) for number in (1, 3)}
    with Journal(tmp_path, "paper") as journal:
        assert journal.begin(HEADER) == "" and journal.notes == notes


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (replace(HEADER, sha256="b" * 64), "the input has changed"),
        (replace(HEADER, options="others"), "the options or models have changed"),
        (replace(HEADER, program="0.2"), "it was begun by ocrtool 0.1"),
    ],
)
def test_pages_of_another_input_or_of_other_options_are_dropped(
    tmp_path: Path, header: Header, reason: str
) -> None:
    begun(tmp_path)
    with Journal(tmp_path, "paper") as journal:
        assert journal.begin(header) == reason and journal.notes == {}
        add(journal, 1)
    with Journal(tmp_path, "paper") as journal:
        assert journal.begin(header) == "" and set(journal.notes) == {1}


def assert_discarded(folder: Path) -> None:
    """Open a journal that must be discarded, and use the new one."""
    with Journal(folder, "paper") as journal:
        assert journal.discarded == "its journal is not readable"
        assert journal.completed is None and journal.notes == {}
        assert journal.begin(HEADER) == ""
        add(journal, 1)
    with Journal(folder, "paper") as journal:
        assert journal.discarded == "" and set(journal.notes) == {1}


@pytest.mark.parametrize("seed", range(8))
def test_a_truncated_journal_is_discarded(seed: int, tmp_path: Path) -> None:
    path = begun(tmp_path, pages=40)
    content = path.read_bytes()
    path.write_bytes(content[: random.Random(seed).randrange(1, len(content))])
    assert_discarded(tmp_path)


def test_a_corrupt_journal_is_discarded_or_whole(tmp_path: Path) -> None:
    path = begun(tmp_path, pages=4)
    content = path.read_bytes()
    chance = random.Random(1)
    discarded = 0
    for _ in range(60):
        place = chance.randrange(len(content))
        damaged = bytearray(content)
        damaged[place : place + 400] = chance.randbytes(len(damaged[place : place + 400]))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(damaged)
        with Journal(tmp_path, "paper") as journal:
            discarded += bool(journal.discarded)
            assert journal.discarded or set(journal.notes) == {1, 2, 3, 4}
    assert discarded > 5  # most of the small database is unused space


@pytest.mark.parametrize("content", [b"[]", b"x" * 5000, b"SQLite format 3\0"])
def test_a_file_that_is_no_database_is_discarded(content: bytes, tmp_path: Path) -> None:
    begun(tmp_path).write_bytes(content)
    assert_discarded(tmp_path)


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA user_version = 99",
        "PRAGMA application_id = 99",
        "DROP TABLE outputs",
        "ALTER TABLE pages ADD COLUMN more TEXT",
        "CREATE VIEW more AS SELECT * FROM pages",
        "CREATE TRIGGER more AFTER INSERT ON pages BEGIN DELETE FROM pages; END",
    ],
)
def test_a_journal_with_other_tables_is_discarded(statement: str, tmp_path: Path) -> None:
    changed(begun(tmp_path), statement)
    assert_discarded(tmp_path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pages SET content = x'00'",
        "UPDATE pages SET content = 'text'",
        "UPDATE pages SET note = '{}'",
        "UPDATE pages SET note = CAST(x'ff' AS TEXT)",
        "UPDATE pages SET number = 2",
        "UPDATE pictures SET content = x'00'",
        "UPDATE pictures SET name = '../page.png'",
        "UPDATE pictures SET name = 3",
        "DELETE FROM pictures",
        "UPDATE records SET value = '[]'",
        """UPDATE records SET value = '{"sha256": 1, "size": 2, "options": "", "program": ""}'""",
        "INSERT INTO records VALUES ('completed', '{}')",
        "INSERT INTO outputs VALUES (3, 'a', 1, 1)",
        "INSERT INTO outputs VALUES (CAST('../paper.md' AS BLOB), 'a', 1, 1)",
    ],
)
def test_a_forged_journal_is_discarded(statement: str, tmp_path: Path) -> None:
    changed(begun(tmp_path), statement)
    assert_discarded(tmp_path)


@pytest.mark.parametrize("name", ["../paper.md", "/etc/passwd", "a/../../b", "", "a\0b"])
def test_names_outside_the_output_folder_are_refused(name: str, tmp_path: Path) -> None:
    record = CompletionRecord(HEADER, "outputs", (name,), ()).to_record()
    path = begun(tmp_path)
    database = sqlite3.connect(path)
    database.execute("INSERT INTO records VALUES ('completed', ?)", (json.dumps(record),))
    database.commit()
    database.close()
    assert_discarded(tmp_path)


def test_a_page_that_is_damaged_after_it_was_checked_is_an_error(tmp_path: Path) -> None:
    path = begun(tmp_path)
    changed(path, "UPDATE pages SET content = x'00'")
    with StoredPages(path) as stored:
        for number in (1, 2):
            with pytest.raises(OutputError, match="damaged"):
                list(stored.pages([number]))


def test_an_empty_file_is_a_new_journal(tmp_path: Path) -> None:
    begun(tmp_path).write_bytes(b"")
    with Journal(tmp_path, "paper") as journal:
        assert (journal.discarded, journal.notes, journal.begin(HEADER)) == ("", {}, "")


def test_a_completed_document_keeps_no_pages(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        notes = tuple(add(journal, number) for number in range(1, 200))
        size = journal.checkpoint().stat().st_size
        complete(journal, notes)
    assert list((tmp_path / ".ocrtool").iterdir()) == [journal.path]
    assert journal.path.stat().st_size < size / 2
    with Journal(tmp_path, "paper") as journal:
        assert journal.completed is not None and journal.completed.pages == notes
        assert journal.notes == {} and journal.state() == "whole"
        (tmp_path / "paper.md").write_text("changed", "utf-8")
        assert journal.state() == "changed"
        (tmp_path / "paper.md").unlink()
        assert journal.state() == "missing"


def test_without_results_no_file_remains(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        journal.drafts()
    assert list(tmp_path.iterdir()) == []


def test_pages_that_may_succeed_later_are_read_again(tmp_path: Path) -> None:
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        good, damaged = add(journal, 1), failed_page(2, "damaged", "damaged", 0.1)
        late = failed_page(3, "too long", "timeout", 9.0)
        for note in (damaged, late):
            journal.add_page(StoredPage.failed(note))
        complete(journal, (good, damaged, late), retry=True)
    with Journal(tmp_path, "paper") as journal:
        assert journal.begin(HEADER) == "" and set(journal.notes) == {1, 2}


def test_only_own_outputs_are_replaced(tmp_path: Path) -> None:
    target = tmp_path / "paper.md"
    target.write_text("by hand", "utf-8")
    with Journal(tmp_path, "paper") as journal:
        journal.begin(HEADER)
        draft = journal.drafts() / "draft.md"
        draft.write_text("text", "utf-8")
        digest = digest_of(draft)
        with pytest.raises(OutputError, match="--overwrite"):
            journal.publish({target: draft}, overwrite=False)
        assert target.read_text() == "by hand"
        assert journal.publish({target: draft}, overwrite=True) == ("paper.md",)
        assert digest_of(target) == digest
        # Killed here: the next run recognises the output by its stored record.
    with Journal(tmp_path, "paper") as journal:
        journal.check(target, overwrite=False)
        target.write_text("by hand", "utf-8")
        with pytest.raises(OutputError, match="exists"):
            journal.check(target, overwrite=False)


def test_outputs_under_former_names_stay_known(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        with Journal(tmp_path, "paper") as journal:
            journal.begin(HEADER)
            draft = journal.drafts() / "draft.md"
            draft.write_text(name, "utf-8")
            names = journal.publish({tmp_path / name: draft}, overwrite=False)
            journal.complete(CompletionRecord(HEADER, name, names, ()))
    with Journal(tmp_path, "paper") as journal:
        assert journal.owns(tmp_path / "a.md") and journal.owns(tmp_path / "b.md")


def test_a_picture_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "paper_images"
    for names in (("a.png", "b.png"), ("b.png",)):
        with Journal(tmp_path, "paper") as journal:
            journal.begin(HEADER)
            draft = journal.drafts() / "pictures"
            draft.mkdir()
            for name in names:
                (draft / name).write_bytes(name.encode())
            outputs = journal.publish({target: draft}, overwrite=False)
            journal.complete(CompletionRecord(HEADER, "outputs", outputs, ()))
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


def test_a_journal_is_locked_by_one_process_until_it_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match="another process"):
            Journal(tmp_path, "paper")
        Journal(tmp_path, "another").close()
        process.kill()
    assert ".lock" in {path.suffix for path in (tmp_path / ".ocrtool").iterdir()}
    Journal(tmp_path, "paper").close()
    assert list(tmp_path.iterdir()) == []


def test_similar_names_have_journals_of_their_own(tmp_path: Path) -> None:
    names = ("a/b", "a_b", "A/b", "a/b.", "x" * 300, "x" * 299, ".hidden", "ü\udcff")
    journals = [Journal(tmp_path, name) for name in names]
    assert len({journal.path for journal in journals}) == len(names)
    for journal in journals:
        journal.close()


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_names_may_have_any_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "# 50%?\udcff"
    name = "\udcfe\\..\\C: x"
    for state in (None, "whole"):
        with Journal(folder, name) as journal:
            if state:
                assert journal.state() == state and journal.discarded == ""
                continue
            journal.begin(HEADER)
            note = add(journal, 1)
            with StoredPages(journal.checkpoint()) as stored:
                assert list(stored.pages([1])) == [result(1).page]
            draft = journal.drafts() / "draft.md"
            draft.write_text("text", "utf-8")
            names = journal.publish({folder / f"{name}.md": draft}, overwrite=False)
            journal.complete(CompletionRecord(HEADER, "outputs", names, (note,)))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "out", "paper")


def test_a_file_in_place_of_the_output_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "out", "paper")
