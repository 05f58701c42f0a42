"""``ocrtool pdf``: what goes in, what comes out, what is told, and the exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image

from batch.drawn_pdfs import text_pdf, title, tree
from ocrtool.batch.journal import Journal
from ocrtool.document.json import from_json


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    return text_pdf(tmp_path / "in" / "paper.pdf", 2)


def locked(path: Path, password: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pymupdf.open(text_pdf(path.with_name("plain.tmp"), 1)) as document:
        document.save(path, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw=password)
    return path


def pictured(path: Path) -> Path:
    """Write a PDF with a picture between lines of text."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((600, 400)).save(stream, "PNG")
    with pymupdf.open() as document:
        page = document.new_page()
        page.insert_text((72, 90), "The keeper drew what he saw from his window that night.")
        page.insert_image(pymupdf.Rect(72, 140, 372, 340), stream=stream.getvalue())
        page.insert_text((72, 400), "Nobody who saw it later could say what it was meant to be.")
        document.save(path)
    return path


def report_of(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def test_one_document_goes_to_standard_output(run_cli, pdf: Path, tmp_path: Path) -> None:
    done = run_cli("pdf", pdf)
    assert (done.code, done.err) == (0, "")
    assert title(1) in done.out and "Row 3 of page 2" in done.out
    document = from_json(run_cli("pdf", pdf, "-f", "json").out)
    assert [page.number for page in document.pages] == [1, 2]
    assert document.source == str(pdf)
    second = run_cli("pdf", "-", "--pages", "2", stdin=pdf.read_bytes())
    assert second.code == 0 and "page 2" in second.out and "page 1" not in second.out
    assert list(pdf.parent.iterdir()) == [pdf]


def test_a_folder_becomes_a_tree_of_its_like(run_cli, pdf: Path, tmp_path: Path) -> None:
    text_pdf(tmp_path / "in" / "sub" / "other.PDF", 1)
    text_pdf(tmp_path / "in" / "sub" / "v1.2.pdf", 1)
    out, report = tmp_path / "out", tmp_path / "report.json"
    done = run_cli("pdf", tmp_path / "in", "-r", "-o", out, "--report", report)
    assert done.code == 0 and done.out == ""
    assert "3 documents; 4 pages (4 native)" in done.err and "pages/s" in done.err
    assert sorted(tree(out)) == ["paper.md", "sub/other.md", "sub/v1.2.md"]
    told = report_of(report)
    assert told["totals"]["routes"]["native"] == 4
    assert [len(document["pages"]) for document in told["documents"]] == [2, 1, 1]
    assert told["documents"][0]["outputs"] == [str(out / "paper.md")]
    assert {
        "page",
        "route",
        "confidence",
        "seconds",
        "warnings",
        "error",
        "failure",
        "left_out",
    } == set(told["documents"][0]["pages"][0])
    only = run_cli("pdf", tmp_path / "in", "-o", tmp_path / "flat/", "-q")
    assert (only.code, only.err) == (0, "")
    assert sorted(tree(tmp_path / "flat")) == ["paper.md"]


def test_what_is_done_is_not_done_again(run_cli, pdf: Path, tmp_path: Path) -> None:
    other = text_pdf(tmp_path / "in" / "other.pdf", 1)
    out, report = tmp_path / "out", tmp_path / "report.json"
    arguments = ("pdf", tmp_path / "in", "-o", f"{out}/", "--report", report)
    run_cli(*arguments)
    first, pages = tree(out), [note["pages"] for note in report_of(report)["documents"]]
    again = run_cli(*arguments)
    assert again.code == 0 and "2 documents; 2 done before" in again.err
    assert [note["pages"] for note in report_of(report)["documents"]] == pages
    assert [note["outcome"] for note in report_of(report)["documents"]] == ["unchanged"] * 2

    text_pdf(other, 2)
    changed = run_cli(*arguments)
    assert "other.pdf: the input has changed: starts anew" in changed.err
    assert "1 done before" in changed.err and tree(out)["other.md"] != first["other.md"]

    (out / "paper.md").write_text("by hand", "utf-8")
    kept = run_cli(*arguments)
    assert kept.code == 0 and "output was changed since; --overwrite" in kept.err
    other_options = run_cli(*arguments, "--page-breaks")
    assert (
        other_options.code == 1 and "paper.md exists; --overwrite replaces it" in other_options.err
    )
    assert (out / "paper.md").read_text("utf-8") == "by hand"
    assert b"<!-- page" in tree(out)["other.md"]
    assert run_cli(*arguments, "--page-breaks", "--overwrite").code == 0
    assert b"<!-- page" in tree(out)["paper.md"]

    (out / "paper.md").unlink()
    assert run_cli(*arguments, "--page-breaks").code == 0
    assert b"<!-- page" in tree(out)["paper.md"]
    assert {path.suffix for path in (out / ".ocrtool").iterdir()} == {".sqlite"}


def test_a_file_that_no_run_wrote_is_not_replaced(run_cli, pdf: Path, tmp_path: Path) -> None:
    out = tmp_path / "paper.txt"
    out.write_text("mine", "utf-8")
    done = run_cli("pdf", pdf, "-o", out)
    assert done.code == 5 and "exists; --overwrite replaces it" in done.err
    assert out.read_text("utf-8") == "mine"
    assert run_cli("pdf", pdf, "-o", out, "--overwrite").code == 0
    assert "Row 3 of page 2" in out.read_text("utf-8")
    assert run_cli("pdf", pdf, "-o", out).code == 0


def test_another_process_at_the_same_output_is_noticed(run_cli, pdf: Path, tmp_path: Path) -> None:
    with Journal(tmp_path, "paper"):
        done = run_cli("pdf", pdf, "-o", tmp_path / "paper.md")
        assert done.code == 5 and "another process is at work" in done.err
    assert run_cli("pdf", pdf, "-o", tmp_path / "paper.md").code == 0


def test_several_documents_on_standard_output_keep_their_order(
    run_cli, pdf: Path, tmp_path: Path
) -> None:
    (tmp_path / "in" / "bad.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    second = text_pdf(tmp_path / "in" / "second.pdf", 1)
    done = run_cli("pdf", pdf, tmp_path / "in" / "bad.pdf", second, "-f", "jsonl")
    assert done.code == 1 and done.err.count("bad.pdf") == 1
    sources = [json.loads(line)["source"] for line in done.out.splitlines()]
    assert sources == [str(pdf), str(pdf), str(second)]
    assert run_cli("pdf", pdf, second, "-f", "json").code == 2


def test_every_format_at_once(run_cli, pdf: Path, tmp_path: Path) -> None:
    forms = ("md", "json", "jsonl", "html", "txt", "tex", "pdf")
    out = tmp_path / "out"
    done = run_cli("pdf", pdf, "-o", f"{out}/", *[flag for form in forms for flag in ("-f", form)])
    assert done.code == 0, done.err
    assert set(tree(out)) == {f"paper.{form}" for form in forms}
    for form in set(forms) - {"pdf"}:
        assert b"Row 3 of page 2" in tree(out)[f"paper.{form}"]
    with pymupdf.open(out / "paper.pdf") as document, pymupdf.open(pdf) as original:
        assert [page.get_text() for page in document] == [page.get_text() for page in original]


def test_pictures_go_where_they_are_wanted(run_cli, tmp_path: Path) -> None:
    source, out = pictured(tmp_path / "window.pdf"), tmp_path / "out"
    assert run_cli("pdf", source, "-o", f"{out}/").code == 0
    written = tree(out)
    (name,) = [name for name in written if name.startswith("window_images/")]
    assert f"({name})" in written["window.md"].decode()
    with Image.open(out / name) as picture:
        assert picture.width > picture.height > 100
    assert run_cli("pdf", source, "-o", f"{out}/").code == 0
    embedded = run_cli("pdf", source, "--images", "embed").out
    assert "(data:image/" in embedded
    assert "data:" not in run_cli("pdf", source).out
    assert run_cli("pdf", source, "--images", "refs").code == 2


def test_passwords(run_cli, pdf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocrtool.batch.runner._at_terminal", lambda: False)
    path = locked(tmp_path / "in" / "locked.pdf", "æøå 1")
    done = run_cli("pdf", path)
    assert done.code == 8 and "--password-file" in done.err and done.out == ""
    passwords = tmp_path / "passwords.txt"
    passwords.write_text("wrong\n", "utf-8")
    assert run_cli("pdf", path, "--password-file", passwords).code == 8
    passwords.write_text("wrong\næøå 1\n", "utf-8")
    done = run_cli("pdf", path, "--password-file", passwords)
    assert done.code == 0 and "Row 3 of page 1" in done.out
    composed = locked(tmp_path / "composed.pdf", "SaSL")
    passwords.write_text("S\u00aaS\u00adL", "utf-8")
    assert run_cli("pdf", composed, "--password-file", passwords).code == 0
    done = run_cli("pdf", path, pdf, "-o", tmp_path / "out/")
    assert done.code == 1 and "locked.pdf: is encrypted" in done.err
    assert list(tree(tmp_path / "out")) == ["paper.md"]


def test_a_person_is_asked_for_a_password(
    run_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = locked(tmp_path / "locked.pdf", "secret")
    typed = iter(["wrong", "secret"])
    asked: list[str] = []
    monkeypatch.setattr("ocrtool.batch.runner._at_terminal", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or next(typed))
    done = run_cli("pdf", path)
    assert done.code == 0 and "Row 3 of page 1" in done.out
    assert asked == [f"password of {path}: ", f"wrong; password of {path}: "]


def damaged_inputs(folder: Path) -> dict[str, bytes]:
    whole = text_pdf(folder / "whole.tmp", 3).read_bytes()
    return {
        "empty.pdf": b"",
        "text.pdf": b"This is no PDF.\n" * 40,
        "head.pdf": whole[:60],
        "broken.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
    }


def test_what_cannot_be_read_has_its_code_and_one_line(run_cli, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    for name, content in damaged_inputs(folder).items():
        (folder / name).write_bytes(content)
        out = tmp_path / "out.md"
        done = run_cli("pdf", folder / name, "-o", out)
        assert done.code == 4 and done.err.count("\n") == 1 and name in done.err, done.err
        assert not out.exists() and not (tmp_path / ".ocrtool").exists()
    done = run_cli("pdf", *sorted(folder.glob("*.p??")), "-o", tmp_path / "all/")
    assert done.code == 1 and done.err.count("error:") == 4
    assert "4 documents; 4 failed" in done.err
    assert tree(tmp_path / "all") == {}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "Usage"),
        (["missing.pdf"], 4, "missing.pdf: no such file"),
        (["folder"], 4, "no PDFs in folder; --recursive"),
        (["*.nope"], 4, "nothing matches"),
        (["paper.pdf", "--pages", "9"], 4, "has 2 pages, none of them asked for"),
        (["paper.pdf", "--pages", "0"], 2, "counted from 1"),
        (["paper.pdf", "--jobs", "-1"], 2, "--jobs"),
        (["paper.pdf", "-f", "md", "-f", "json"], 2, "one format"),
        (["paper.pdf", "copy.pdf", "-o", "one.md"], 2, "cannot go to one file"),
        (["paper.pdf", "-o", "paper.pdf", "--overwrite"], 2, "would be replaced"),
        ([".", "-f", "pdf", "-o", ".", "--overwrite"], 2, "would be replaced"),
        (["-", "-"], 2, "only once"),
        (["paper.pdf", "-o", "notes.txt/out.md"], 5, "cannot write"),
        (["paper.pdf", "-o", "out/", "--report", "missing/r.json"], 5, "no folder missing"),
        (["paper.pdf", "-o", "out/", "--report", "notes.txt"], 5, "is no report"),
        (["paper.pdf", "--password-file", "missing"], 4, "missing: cannot be read"),
        (["paper.pdf", "--model", "nope"], 6, "no model 'nope'"),
        (["paper.pdf", "--ocr", "always", "--device", "cuda:99"], 3, "cuda:99"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors(arguments, code, told, run_cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text_pdf(tmp_path / "paper.pdf", 2)
    text_pdf(tmp_path / "copy.pdf", 1)
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    before = sorted(tmp_path.iterdir())
    done = run_cli("pdf", *arguments)
    assert done.code == code, done.err
    assert told in done.err + done.out and "Traceback" not in done.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_page_that_takes_too_long_is_given_up_and_tried_again(
    run_cli, slow_page: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    arguments = ("pdf", slow_page, "-o", f"{out}/", "--page-timeout", "5", "--report", report)
    done = run_cli(*arguments)
    assert done.code == 1
    assert f"{slow_page}: page 2 cannot be read: it took more than 5 s" in done.err
    written = (out / "slow.md").read_text("utf-8")
    assert "<!-- page 2: unreadable: it took more than 5 s -->" in written
    pages = report_of(report)["documents"][0]["pages"]
    assert [page["route"] for page in pages] == ["native", "failed", "native"]
    assert pages[1]["failure"] == "timeout" and pages[1]["seconds"] > 4
    again = run_cli(*arguments)
    assert again.code == 1 and "goes on, 2 of 3 pages being done" in again.err
    assert (out / "slow.md").read_text("utf-8") == written


def test_a_picture_is_a_page(run_cli, tmp_path: Path) -> None:
    with pymupdf.open(text_pdf(tmp_path / "a.pdf", 1, rows=3)) as document:
        document[0].get_pixmap(dpi=200).save(tmp_path / "photo.png")
    done = run_cli("pdf", tmp_path / "photo.png", "--report", tmp_path / "report.json")
    assert done.code == 0 and "Row 1 of page 1 tells" in done.out
    (document,) = report_of(tmp_path / "report.json")["documents"]
    assert [page["route"] for page in document["pages"]] == ["ocr"]
    (tmp_path / "photo.png").rename(tmp_path / "photo.pdf")
    assert run_cli("pdf", tmp_path / "photo.pdf").out == done.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(run_cli, pdf: Path) -> None:
    done = run_cli("pdf", pdf, "-o", "/dev/full")
    assert done.code == 5 and "No space left" in done.err
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "ocrtool", "pdf", str(pdf)]
        process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    assert process.returncode == 5 and b"No space left" in process.stderr


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
def test_a_pipe_that_is_closed_is_a_quiet_end(pdf: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "ocrtool", "pdf", str(pdf)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX pipes")
def test_a_document_may_come_through_a_pipe(pdf: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "ocrtool", "pdf", str(fifo), "-f", "txt"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    fifo.write_bytes(pdf.read_bytes())
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and b"Row 3 of page 2" in out


def test_the_outputs_of_an_earlier_run_are_no_inputs(run_cli, pdf: Path, tmp_path: Path) -> None:
    arguments = ("pdf", tmp_path / "in", "-r", "-f", "pdf", "-o", tmp_path / "in" / "out/")
    assert "1 document;" in run_cli(*arguments).err
    assert "1 document; 1 done before" in run_cli(*arguments).err
    assert list(tree(tmp_path / "in" / "out")) == ["paper.pdf"]


def headed(path: Path) -> Path:
    """Write a PDF of six pages with a running header."""
    with pymupdf.open() as document:
        for number in range(1, 7):
            page = document.new_page()
            page.insert_text((72, 40), f"The Keeper's Almanac {number}", fontsize=8)
            for row in range(12):
                text = f"Row {row} of page {number}: the water rose and the boats went by again."
                page.insert_text((72, 100 + 20 * row), text, fontsize=11)
        document.save(path)
    return path


def test_running_headers_that_the_text_lacks_stand_in_the_report(run_cli, tmp_path: Path) -> None:
    path = headed(tmp_path / "headed.pdf")
    out, report = tmp_path / "out.md", tmp_path / "report.json"
    assert run_cli("pdf", path, "-o", out, "--report", report).code == 0
    assert "Almanac" not in out.read_text()
    for _ in range(2):  # of this run, and of an earlier one
        (document,) = report_of(report)["documents"]
        left_out = [page["left_out"] for page in document["pages"]]
        (header,) = left_out[2]
        assert (header["role"], header["text"]) == ("header", "The Keeper's Almanac 3")
        assert 0 < header["box"][1] < header["box"][3] < 150
        assert run_cli("pdf", path, "-o", out, "--report", report).code == 0
    kept = run_cli("pdf", path, "--headers", "keep")
    assert "<!-- header: The Keeper's Almanac 3 -->" in kept.out


@pytest.mark.parametrize(
    ("form", "chosen", "kept"),
    [
        ("txt", (), True),
        ("txt", ("--headers", "drop"), False),
        ("md", (), False),
        ("md", ("--headers", "keep"), True),
        ("json", ("--headers", "drop"), True),
    ],
)
def test_read_keeps_or_drops_running_headers(form, chosen, kept, run_cli, tmp_path: Path) -> None:
    path, report, out = headed(tmp_path / "headed.pdf"), tmp_path / "r.json", tmp_path / f"o.{form}"
    done = run_cli("read", path, "-f", form, *chosen)
    assert done.code == 0 and ("The Keeper's Almanac 3" in done.out) is kept
    assert "Row 3 of page 2" in done.out
    assert run_cli("read", path, "-o", out, *chosen, "--report", report).code == 0
    (document,) = report_of(report)["documents"]
    assert any(page["left_out"] for page in document["pages"]) is not kept
