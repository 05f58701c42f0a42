"""``ocrtool read`` on whole pages, with the bundled weights."""

from __future__ import annotations

import io
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFont

import ocrtool
from batch.drawn_pdfs import text_pdf
from ocrtool.document.json import from_json
from ocrtool.synth.fonts import bundled_fonts
from ocrtool.training.metrics import rates

TEXT = """The Lighthouse

The keeper climbed the stairs at dusk
and lit the lamp. Ships far out at sea
saw the beam and turned to the north.

In winter the path was covered with ice,
and nobody came for 40 days."""


def drawn(text: str = TEXT, size: tuple[int, int] = (900, 620)) -> Image.Image:
    page = Image.new("L", size, 250)
    font = ImageFont.truetype(next(f for f in bundled_fonts() if f.name == "Serif.ttf"), 34)
    pen = ImageDraw.Draw(page)
    for row, line in enumerate(text.split("\n")):
        pen.text((90, 60 + 54 * row), line, fill=20, font=font)
    return page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    drawn().save(folder / "page.png")
    drawn().save(
        folder / "pages.tif", save_all=True, append_images=[drawn("The second page\nhas two lines")]
    )
    Image.new("L", (400, 300), 255).save(folder / "blank.png")
    return folder


def words(text: str) -> str:
    return " ".join(text.split())


def close(text: str, wanted: str = TEXT, most: float = 0.03) -> bool:
    return rates([words(text)], [words(wanted)]).cer <= most


def test_text_goes_to_standard_output_line_by_line(run_cli, folder: Path) -> None:
    done = run_cli("read", folder / "page.png")
    assert (done.code, done.err) == (0, "")
    assert close(done.out)
    assert len([line for line in done.out.splitlines() if line]) == 6


def test_every_format_at_once_into_a_folder(run_cli, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    forms = ("txt", "md", "json", "jsonl", "tsv", "hocr", "alto", "html", "pdf")
    flags = [flag for form in forms for flag in ("-f", form)]
    done = run_cli("read", folder / "page.png", folder / "pages.tif", *flags, "-o", f"{out}/")
    assert (done.code, done.out) == (0, "") and done.err.startswith("2 documents; 3 pages (3 ocr)")
    assert {path.name for path in out.iterdir()} - {".ocrtool"} == {
        f"{name}.{form}" for name in ("page", "pages") for form in forms
    }
    page = from_json((out / "page.json").read_text("utf-8")).pages[0]
    assert close(page.text) and (page.width, page.height) == (900, 620)
    with pymupdf.open(out / "pages.pdf") as document:
        assert len(document) == 2 and "keeper" in document[0].get_text()
        (box,) = document[0].search_for("Lighthouse")
        scale = document[0].rect.width / 900
        assert abs(box.y0 / scale - 60) < 30 and abs(box.x0 / scale - 150) < 30


def test_pages_are_chosen_and_numbered(run_cli, folder: Path) -> None:
    done = run_cli("read", folder / "pages.tif", "-f", "jsonl")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["page"] for record in records] == [1, 2]
    assert close(records[1]["text"], "The second page has two lines", 0.1)
    done = run_cli("read", folder / "pages.tif", "-f", "jsonl", "--pages", "2-end")
    assert [json.loads(line)["page"] for line in done.out.splitlines()] == [2]
    assert run_cli("read", folder / "pages.tif", "--pages", "7").code == 4


def test_pdfs_are_read(run_cli, tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    stream = io.BytesIO()
    drawn().save(stream, "PNG")
    with pymupdf.open() as document:
        page = document.new_page(width=450, height=310)
        page.insert_image(page.rect, stream=stream.getvalue())
        document.save(path)
    assert close(run_cli("read", path).out)
    with pymupdf.open(path) as document:
        document.save(
            tmp_path / "locked.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="secret"
        )
    assert run_cli("read", tmp_path / "locked.pdf").code == 8
    done = run_cli("read", tmp_path / "locked.pdf", path)
    assert done.code == 1 and close(done.out) and "encrypted" in done.err


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_page_is_read_and_its_boxes_lie_where_the_ink_is(turns: int) -> None:
    upright = np.asarray(drawn())
    pixels = np.rot90(upright, turns)
    page = ocrtool.read(np.ascontiguousarray(pixels))
    assert page.turned == {1: 270, 2: 180, 3: 90}[turns]
    assert close(page.text, most=0.05)
    assert (page.height, page.width) == pixels.shape
    for block in page.blocks:
        for line in block.lines:
            corners = np.array(line.quad)
            (x0, y0), (x1, y1) = corners.min(0).astype(int), corners.max(0).astype(int)
            assert pixels[max(0, y0) : y1, max(0, x0) : x1].min() < 60


def test_light_text_on_dark_ground_is_read() -> None:
    assert close(ocrtool.read(255 - np.asarray(drawn())).text)


def test_blank_paper_says_nothing(run_cli, folder: Path) -> None:
    done = run_cli("read", folder / "blank.png")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_one_bad_input_never_stops_the_others(run_cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    out = tmp_path / "out"
    done = run_cli("read", tmp_path / "bad.png", folder / "page.png", "-o", f"{out}/")
    assert done.code == 1
    assert [path.name for path in out.glob("*.txt")] == ["page.txt"]
    assert str(tmp_path / "bad.png") in done.err and "1 failed" in done.err
    assert run_cli("read", tmp_path / "bad.png").code == 4


def test_inputs_of_one_name_keep_their_own_files(run_cli, folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        drawn("page " + name).save(tmp_path / name / "same.png")
    out = tmp_path / "out"
    run_cli("read", tmp_path / "a", tmp_path / "b", "-o", f"{out}/")
    assert sorted(path.name for path in out.glob("*.txt")) == ["same.png.txt", "same.txt"]
    (out / "same.txt").write_text("changed")
    assert "--overwrite" in run_cli("read", tmp_path / "a", "-o", f"{out}/").err
    assert run_cli("read", tmp_path / "a", "-o", f"{out}/", "--overwrite").code == 0
    assert "changed" not in (out / "same.txt").read_text()


def test_a_folder_is_mirrored_and_a_second_run_reads_nothing_again(
    run_cli, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "scans" / "deep").mkdir(parents=True)
    for name in ("one.png", "deep/two.png"):
        shutil.copy(folder / "page.png", tmp_path / "scans" / name)
    out, report = tmp_path / "out", tmp_path / "report.json"
    asked = ("read", "-r", tmp_path / "scans", "-o", f"{out}/", "--report", report)
    assert run_cli(*asked).code == 0
    assert (out / "deep" / "two.txt").read_text() == run_cli("read", folder / "page.png").out
    assert run_cli(*asked).code == 0
    record = json.loads(report.read_text())
    assert [note["outcome"] for note in record["documents"]] == ["unchanged"] * 2


def test_images_in_a_batch_are_not_rasterised_again(run_cli, folder: Path, tmp_path: Path) -> None:
    for command in ("read", "pdf"):
        out = tmp_path / command
        asked = (command, folder / "page.png", "-f", "json", "-f", "pdf", "-o", f"{out}/")
        assert run_cli(*asked).code == 0
        (page,) = json.loads((out / "page.json").read_text())["pages"]
        with Image.open(folder / "page.png") as image:
            assert (page["width"], page["height"]) == image.size
        with pymupdf.open(out / "page.pdf") as document:
            assert close(document[0].get_text())


def test_a_damaged_frame_costs_one_page(run_cli, tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    frames = [drawn("first page"), drawn("second page"), drawn("third page")]
    frames[0].save(path, save_all=True, append_images=frames[1:], compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    compression = struct.pack("<HHIH", 259, 3, 1, 5)  # the entry of the directory: LZW
    second = content.index(compression, content.index(compression) + 1)
    content[second : second + 10] = struct.pack("<HHIH", 259, 3, 1, 999)
    path.write_bytes(content)
    for out in (tmp_path / "p.pdf", f"{tmp_path}/out/"):
        done = run_cli("read", path, "-f", "pdf", "-f", "json", "-o", out)
        assert done.code == 1 and "page 2 cannot be read" in done.err
    for result in (tmp_path / "p", tmp_path / "out" / "pages"):
        pages = json.loads(result.with_suffix(".json").read_text())["pages"]
        assert [bool(page.get("error")) for page in pages] == [False, True, False]
        with pymupdf.open(result.with_suffix(".pdf")) as document:
            assert len(document) == 3


def test_words_in_doubt_are_marked(run_cli, folder: Path) -> None:
    done = run_cli("read", folder / "page.png", "--min-confidence", "1")
    assert set(done.out.split()) == {"[?]"}


def test_the_overlay_is_the_picture_with_boxes(run_cli, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "boxes.png"
    assert run_cli("read", folder / "pages.tif", "--overlay", path).code == 0
    with Image.open(path) as first, Image.open(tmp_path / "boxes-2.png") as second:
        assert first.size == second.size == (900, 620)
        colours = np.asarray(first.convert("RGB"))
        assert (colours[..., 0] != colours[..., 2]).any()  # the page itself is grey


def test_verbose_tells_where_the_time_goes(run_cli, folder: Path) -> None:
    told = run_cli("read", folder / "page.png", "-v").err
    for stage in ("opened", "decoded", "found", "cut", "looked at again", "assembled"):
        assert f"{stage} in" in told


def test_layouts_differ_in_order_and_in_paragraphs(run_cli, tmp_path: Path) -> None:
    page = Image.new("L", (1000, 330), 250)
    for x, name in ((60, "left"), (560, "right")):
        rows = [f"the {name} column of text", "goes on in this line", "and has its end here"]
        page.paste(drawn("\n".join(rows), (440, 330)).crop((80, 0, 440, 330)), (x, 0))
    page.save(tmp_path / "columns.png")

    def read(layout: str) -> str:
        done = run_cli("read", tmp_path / "columns.png", "--layout", layout)
        assert (done.code, done.err) == (0, "")
        return done.out

    by_column, by_row, apart = read("page"), read("block"), read("sparse")
    assert by_column.index("end here") < by_column.index("right")
    assert by_row.index("right") < by_row.index("goes on")
    assert read("auto") == by_column
    assert apart.strip().count("\n\n") == 5
    assert sorted(by_row.split()) == sorted(by_column.split()) == sorted(apart.split())


def test_a_word_that_was_cut_out_tight_is_read(run_cli, tmp_path: Path) -> None:
    page = drawn("Lighthouse", (400, 120))
    page.crop((88, 64, 285, 101)).save(tmp_path / "word.png")
    assert run_cli("read", tmp_path / "word.png").out.split() == ["Lighthouse"]
    Image.new("L", (172, 32), 240).save(tmp_path / "white.png")
    assert run_cli("read", tmp_path / "white.png").out == ""


def test_words_of_earlier_pages_tell_how_a_word_was_split(run_cli, tmp_path: Path) -> None:
    first = drawn("It is IMPORTANT that the lamp\nis lit.")
    second = drawn("In the evening it is IMPOR-\nTANT to be at home.")
    first.save(tmp_path / "both.tif", save_all=True, append_images=[second])
    second.save(tmp_path / "second.tif")
    both = run_cli("read", tmp_path / "both.tif", "--hyphens", "join").out
    assert both.count("IMPORTANT") == 2
    alone = run_cli("read", tmp_path / "second.tif", "--hyphens", "join").out
    assert "IMPOR-\nTANT" in alone


def test_a_page_of_a_pdf_with_text_is_not_read_by_ocr(
    run_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = text_pdf(tmp_path / "paper.pdf", 2)
    monkeypatch.setattr("ocrtool.pages.open_pages", lambda *_: pytest.fail("read by OCR"))
    done = run_cli("read", path)
    assert done.code == 0 and "Row 3 of page 2" in done.out
    assert done.out.count("\f") == 1


def test_ocr_of_a_pdf_can_be_forced(run_cli, tmp_path: Path) -> None:
    path = text_pdf(tmp_path / "paper.pdf", 1, rows=3)
    done = run_cli("read", path, "--ocr", "always", "-f", "json")
    (page,) = from_json(done.out).pages
    confidences = [line.confidence for block in page.blocks for line in block.lines]
    assert min(confidences) < 1 and "Row 1 of page 1" in page.text


def test_read_and_pdf_give_the_same_markdown(run_cli, tmp_path: Path) -> None:
    path = text_pdf(tmp_path / "paper.pdf", 3)
    read, converted = run_cli("read", path, "-f", "md"), run_cli("pdf", path)
    assert (read.code, converted.code) == (0, 0)
    assert "Row 3 of page 2" in read.out and read.out == converted.out
