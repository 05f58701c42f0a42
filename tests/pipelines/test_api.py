"""The Python API on the files that the documentation shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ocrtool
from ocrtool.document.tree import Page
from ocrtool.errors import InputError, UsageError

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LINE = IMAGES / "sample-line.png"
TEXT = "Printed in Zürich, 1912: 24 copies at £3.50 each."


@pytest.fixture(scope="module")
def reader() -> ocrtool.Reader:
    return ocrtool.Reader(device="cpu")


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PDF with a heading, a line of text and a picture of a line, on three pages."""
    import pymupdf

    path = tmp_path_factory.mktemp("api") / "three.pdf"
    with pymupdf.open() as file:
        for number in range(3):
            page = file.new_page()
            page.insert_text((72, 200), f"Part {number + 1}", fontsize=24)
            page.insert_text((72, 260), f"This is what page {number + 1} has to say about it.")
        file.save(path)
    return path


def test_every_kind_of_image_reads_alike(reader: ocrtool.Reader) -> None:
    picture = Image.open(LINE)
    pixels = np.asarray(picture.convert("RGB"))
    given = [str(LINE), LINE, LINE.read_bytes(), picture, pixels, np.asarray(picture.convert("L"))]
    pages = [reader.read(image) for image in given]
    assert {page.text for page in pages} == {TEXT}
    assert all(isinstance(page, Page) and page.confidence > 0.9 for page in pages)


@pytest.mark.parametrize(
    "wrong", [b"no image", 7, np.zeros((3, 3)), np.zeros((2, 2, 4), np.uint8), "gone.png"]
)
def test_what_is_no_image_is_refused(reader: ocrtool.Reader, wrong: object) -> None:
    with pytest.raises(InputError):
        reader.read(wrong)  # type: ignore[arg-type]


def test_a_document_in_every_form(reader: ocrtool.Reader, pdf: Path, tmp_path: Path) -> None:
    seen: list[Page] = []
    document = reader.convert(pdf, on_page=seen.append)
    assert [page.number for page in seen] == [1, 2, 3] == [p.number for p in document.pages]
    markdown = document.to_markdown()
    assert "# Part 1" in markdown and "page 3 has to say" in markdown
    assert "<h1" in document.to_html() and document.to_dict()["source"] == str(pdf)
    for name in ("a.md", "a.html", "a.json", "a.txt", "a.tex"):
        document.save(tmp_path / name)
        assert "Part 2" in (tmp_path / name).read_text("utf-8")
    assert (tmp_path / "a.md").read_text("utf-8") == markdown
    with pytest.raises(UsageError, match=r"a\.zip"):
        document.save(tmp_path / "a.zip")
    assert [page.number for page in reader.pages(pdf, pages="2-3")] == [2, 3]


def test_the_command_line_gives_the_same_markdown(pdf: Path, reader: ocrtool.Reader) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ocrtool", "pdf", str(pdf)], capture_output=True, check=True
    )
    assert done.stdout.decode() == reader.convert(pdf).to_markdown()


def test_options_are_those_of_the_command_line(pdf: Path) -> None:
    assert ocrtool.convert(pdf, ocr="never", pages="1").text.startswith("Part 1")
    with pytest.raises(UsageError, match="device"):
        ocrtool.read(LINE, devise="cpu")
    with pytest.raises(UsageError, match="auto"):
        ocrtool.read(LINE, layout="circle")


def test_formulas_and_pages_become_latex(reader: ocrtool.Reader) -> None:
    page = reader.latex(IMAGES / "sample-paper.png", kind="page")
    assert isinstance(page, ocrtool.Page)
    assert any(block.latex for block in page.blocks)
    formula = ocrtool.latex(IMAGES / "sample-line.png", kind="formula")
    assert isinstance(formula, ocrtool.Formula)


def test_nothing_else_is_public_and_importing_is_light() -> None:
    code = (
        "import sys, ocrtool; heavy = {'numpy', 'cv2', 'torch', 'onnxruntime', 'pymupdf', 'PIL'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "assert set(dir(ocrtool)) == set(ocrtool.__all__);"
        "import ocrtool.rendering.compare; assert callable(ocrtool.latex)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
