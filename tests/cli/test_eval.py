from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import lxml.html
import pymupdf
import pytest

from cli.conftest import Done
from evaluation.drawn_sets import PAGES, page_set, program, word_set

Run = Callable[..., Done]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_set(tmp_path_factory.mktemp("eval") / "pages")


def scored(run_cli: Run, *arguments: str | Path, code: int = 0) -> dict:  # type: ignore[type-arg]
    done = run_cli("eval", *arguments, "--json", "--threads", "1")
    assert done.code == code, done.err
    record = json.loads(done.out)
    assert isinstance(record, dict)
    return record


def test_ocrtool_reads_drawn_pages(run_cli: Run, pages: Path) -> None:
    record = scored(run_cli, pages)
    (system,) = record["systems"]
    assert record["protocol"] == "text" and record["normalisation"] == "ocr"
    assert system["figures"]["cer"]["value"] < 0.02
    assert system["figures"]["word_f1"]["value"] > 0.95
    assert system["figures"]["calibration_error"]["value"] < 0.2
    assert system["cost"]["items"] == 3 and system["cost"]["seconds"] > 0
    assert [score["item"] for score in system["scores"]] == sorted(PAGES)


def test_words_of_a_table(run_cli: Run, tmp_path: Path) -> None:
    record = scored(run_cli, word_set(tmp_path / "words"), "--limit", "6")
    assert record["items"] == 6
    accuracy = record["systems"][0]["figures"]["accuracy"]
    assert accuracy["value"] > 0.8 and accuracy["low"] <= accuracy["value"] <= accuracy["high"]


def test_the_table_names_set_normalisation_and_figures(run_cli: Run, pages: Path) -> None:
    done = run_cli("eval", pages, "--predictions", pages)
    assert done.code == 0
    assert done.out.startswith(f"{pages}: 3 items, protocol text")
    assert "normalisation: ocr" in done.out
    assert "CER" in done.out and "0.00 %" in done.out


def test_markdown_of_a_page_of_a_pdf(run_cli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    with pymupdf.open() as document:
        for text in ("Another page", "The second page has these words."):
            page = document.new_page(width=300, height=200)
            page.insert_text((30, 60), "A heading", fontsize=24)
            page.insert_text((30, 120), text, fontsize=11)
        document.save(folder / "paper.pdf")
    (folder / "paper.md").write_text("# A heading\n\nThe second page has these words.\n")
    (folder / "paper.page.json").write_text('{"page": 2}')
    record = scored(run_cli, folder)
    figures = record["systems"][0]["figures"]
    assert record["protocol"] == "markdown"
    assert figures["text"]["value"] == figures["headings"]["value"] == 1
    assert "teds" not in figures


def test_predictions_are_found_by_name_and_missing_ones_are_told(
    run_cli: Run, pages: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    shutil.copy(pages / "winter.txt", theirs / "winter.md")
    (theirs / "harbour.txt").write_text(PAGES["harbour"].replace("built", "burnt"))
    record = scored(run_cli, pages, "--predictions", f"peer={theirs}", code=1)
    (system,) = record["systems"]
    assert system["name"] == "peer" and system["cost"] is None
    assert system["unread"] == ["market"]
    scores = {score["item"]: score["cer"] for score in system["scores"]}
    assert scores["winter"] == 0 and scores["market"] == 1
    assert scores["harbour"] == pytest.approx(2 / len(PAGES["harbour"]), abs=1e-6)


def test_a_command_is_a_system(run_cli: Run, pages: Path, tmp_path: Path) -> None:
    copy = program(tmp_path, "Path(sys.argv[2]).write_text('The harbour')\n")
    say = program(tmp_path / "..", "print('The harbour')\n")
    record = scored(
        run_cli, pages, "--predictions", f"truth={pages}",
        "--against", f"file={copy} {{input}} {{output}}",
        "--against", f"stdout={say} {{input}}",
    )  # fmt: skip
    names = [system["name"] for system in record["systems"]]
    assert names == ["truth", "file", "stdout"]
    first, file, stdout = record["systems"]
    assert file["figures"] == stdout["figures"] != first["figures"]
    assert file["first_less_this"]["cer"]["value"] < 0
    assert file["first_less_this"]["cer"]["first_is"] == "cannot be told"  # three pages only
    assert file["cost"]["cpu_seconds"] > 0


def test_verdicts_need_six_items(run_cli: Run, tmp_path: Path) -> None:
    table = word_set(tmp_path / "words")
    say = program(tmp_path, "print('nothing')\n")
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    theirs = tmp_path / "theirs.jsonl"
    theirs.write_text("".join(json.dumps({"image": i, "text": t}) + "\n" for i, t in rows))
    record = scored(run_cli, table, "-p", theirs, "--against", f"mute={say} {{input}}")
    gap = record["systems"][1]["first_less_this"]["accuracy"]
    assert gap["first_is"] == "better" and gap["low"] > 0


def test_a_folder_command_runs_once(run_cli: Run, pages: Path, tmp_path: Path) -> None:
    code = (
        "for path in Path(sys.argv[1]).iterdir():\n"
        "    (Path(sys.argv[2]) / path.stem).mkdir()\n"
        "    (Path(sys.argv[2]) / path.stem / 'text.md').write_text('The harbour')\n"
    )
    command = program(tmp_path, code)
    record = scored(
        run_cli, pages, "-p", f"truth={pages}", "-a", f"peer={command} {{inputs}} {{outputs}}"
    )
    assert not record["systems"][1]["unread"]


def test_what_was_kept_is_not_read_again(run_cli: Run, pages: Path, tmp_path: Path) -> None:
    log, broken = tmp_path / "log", tmp_path / "broken"
    command = program(
        tmp_path,
        f"open({str(log)!r}, 'a').write('x')\n"
        f"fails = Path({str(broken)!r}).exists() and sys.argv[1].endswith('2.png')\n"
        "sys.exit(1) if fails else print('The')\n",
    )
    broken.touch()
    arguments = (pages, "-p", f"truth={pages}", "--keep", tmp_path / "kept", "-a")
    peer = f"peer={command} {{input}}"
    done = run_cli("eval", *arguments, peer)
    assert "peer: no output for 1 items: market" in done.err
    assert len(log.read_text()) == 3
    broken.unlink()
    record = scored(run_cli, *arguments, peer)
    assert len(log.read_text()) == 4
    assert record["systems"][1]["unread"] == []
    assert record["systems"][1]["cost"]["items"] == 3
    other = run_cli("eval", *arguments, f"{peer} x")
    assert other.code == 2 and "--keep" in other.err


def test_nothing_left_is_an_input_error(run_cli: Run, pages: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("image,text\ngone.png,Gone\n")
    done = run_cli("eval", table)
    assert done.code == 4
    assert f"{table}:2: {tmp_path / 'gone.png'} is missing" in done.err
    assert run_cli("eval", tmp_path / "none").code == 4


def test_a_truth_that_is_left_out_is_a_partial_failure(
    run_cli: Run, pages: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(pages, folder)
    (folder / "winter.txt").write_text("")
    done = run_cli("eval", folder, "--predictions", pages)
    assert done.code == 1
    assert f"{folder / 'winter.txt'}: empty" in done.err
    assert "left out: 1 truths" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--against", "unheard-of"], 2, "no system that is known"),
        (["--against", "cat {inputs}"], 2, "needs {input}"),
        (["--against", "pix2tex"], 2, "pix2tex has no command for this set"),
        (["--against", "docling"], 3, "--peer-python"),
        (["--against", "x=no-such-program {input}"], 3, "no-such-program"),
        (["--protocol", "unheard-of"], 2, "no protocol unheard-of"),
        (["--normalise", "benchmark"], 2, "has no rules of its own"),
    ],
)
def test_what_cannot_be_done(
    run_cli: Run, pages: Path, arguments: list[str], code: int, words: str
) -> None:
    done = run_cli("eval", pages, "-p", f"truth={pages}", *arguments)
    assert done.code == code, done.err
    assert words in done.err


def test_the_report_needs_no_other_file(run_cli: Run, pages: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name, text in PAGES.items():
        (theirs / f"{name}.txt").write_text(text.replace("snow", "show").replace("noon", "n<on"))
    report = tmp_path / "report.html"
    done = run_cli("eval", pages, "-p", theirs, "-p", f"truth={pages}", "--report", report)
    assert done.code == 0
    html = report.read_text("utf-8")
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", html)
    assert html.count('src="data:image/jpeg;base64,') == 3
    # The worst page comes first, its differences marked.
    assert html.index("<h3>market") < html.index("<h3>harbour")
    assert "at n<del>o</del><ins>&lt;</ins>on," in html
    assert "<td>o</td>" in html and "normalisation: ocr" in html
    assert html.count("<svg") == 4  # CER, WER, word F1, both systems against each other
    lxml.html.document_fromstring(html)


def test_a_result_file_is_not_overwritten(run_cli: Run, pages: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    arguments = ("eval", pages, "-p", pages, "--json", "-o", target)
    assert run_cli(*arguments).code == 0
    assert json.loads(target.read_text())["items"] == 3
    assert run_cli(*arguments).code == 5
    assert run_cli(*arguments, "--overwrite").code == 0
