"""Pages of PDFs to blocks: their own text, their pictures, or both."""

from __future__ import annotations

import io
import re

import numpy as np
import pymupdf
import pytest
from PIL import Image

from ocrtool.documents import PageResult
from ocrtool.documents.page import PageConverter
from ocrtool.inputs.page_source import ImagePage, PdfPage
from ocrtool.options import OcrChoice, PageOptions
from ocrtool.pdf import PdfFile

PROSE = (
    "The harbour was quiet when the boats came home, and nobody on the quay had anything to say"
    " about the weather. A lamp was lit in the house above the wall."
)
OTHER = "Seven crates of oranges were counted twice before the evening train left for the north."


@pytest.fixture(scope="module")
def converter() -> PageConverter:
    return PageConverter()


def pdf_of(*draws: object, width: float = 420, height: float = 300) -> bytes:
    with pymupdf.open() as document:
        for draw in draws:
            draw(document.new_page(width=width, height=height))  # type: ignore[operator]
        return bytes(document.tobytes())


def prose(page: pymupdf.Page) -> None:
    page.insert_textbox((30, 30, 390, 120), PROSE, fontsize=12)


def picture_of(text: str, width: float, height: float, dpi: int = 200) -> pymupdf.Pixmap:
    with pymupdf.open() as document:
        page = document.new_page(width=width, height=height)
        page.insert_textbox((10, 10, width - 10, height - 10), text, fontsize=12)
        return page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY)


def scan(page: pymupdf.Page) -> None:
    picture = picture_of(PROSE, page.rect.width, page.rect.height, 150)
    page.insert_image(page.rect, pixmap=picture)


def convert(converter: PageConverter, content: bytes, index: int = 0) -> PageResult:
    with PdfFile(content) as file:
        return converter.convert(PdfPage(file, index + 1))


def words(result: PageResult) -> list[str]:
    return re.findall(r"\w+", result.page.text)


def alike(said: list[str], text: str) -> float:
    """Return the share of a text's words that were read, in order or not."""
    wanted = re.findall(r"\w+", text)
    return sum(word in said for word in wanted) / len(wanted)


def test_own_text_loads_no_model() -> None:
    converter = PageConverter()
    result = convert(converter, pdf_of(prose))
    assert result.route == "native"
    assert words(result) == re.findall(r"\w+", PROSE)
    assert result.page.number == 1 and result.page.dpi == 200
    assert not result.warnings and not result.pictures
    assert "reader" not in vars(converter)


def test_scans_are_read_at_their_own_resolution(converter: PageConverter) -> None:
    result = convert(converter, pdf_of(prose, scan), 1)
    assert result.route == "ocr"
    assert alike(words(result), PROSE) > 0.9
    assert result.page.number == 2 and result.page.dpi == pytest.approx(150, abs=1)
    assert result.page.width == pytest.approx(420 / 72 * 150, abs=2)


def test_pictures_of_text_are_read_beside_own_text(converter: PageConverter) -> None:
    def draw(page: pymupdf.Page) -> None:
        prose(page)
        page.insert_image((30, 150, 390, 230), pixmap=picture_of(OTHER, 360, 80))
        page.insert_text((30, 260), "The last line stands below.", fontsize=12)

    result = convert(converter, pdf_of(draw))
    assert result.route == "mixed"
    said = words(result)
    assert alike(said, OTHER) > 0.9
    assert said.count("harbour") == 1 and said.count("oranges") == 1
    assert said.index("weather") < said.index("oranges") < said.index("last")
    assert not any(block.kind == "figure" for block in result.page.blocks)


def test_a_poor_unseen_layer_is_passed_over(converter: PageConverter) -> None:
    def draw(page: pymupdf.Page) -> None:
        scan(page)
        page.insert_textbox((10, 10, 410, 290), "Tbe harhour vvas qniet", render_mode=3)

    result = convert(converter, pdf_of(draw))
    assert result.route == "ocr"
    assert alike(words(result), PROSE) > 0.9
    assert "vvas" not in words(result)


def test_ocr_never_takes_what_the_file_says() -> None:
    converter = PageConverter(PageOptions(ocr=OcrChoice.NEVER))
    result = convert(converter, pdf_of(scan))
    assert result.route == "blank"
    assert "not read" in result.warnings[0]

    def draw(page: pymupdf.Page) -> None:
        scan(page)
        page.insert_textbox((10, 10, 410, 290), "Tbe harhour vvas qniet", render_mode=3)

    result = convert(converter, pdf_of(draw))
    assert result.route == "native"
    assert words(result) == ["Tbe", "harhour", "vvas", "qniet"]
    assert "reader" not in vars(converter)


def test_ocr_always_reads_the_picture(converter: PageConverter) -> None:
    always = PageConverter(PageOptions(ocr=OcrChoice.ALWAYS))
    vars(always)["reader"] = converter.reader
    result = convert(always, pdf_of(prose))
    assert result.route == "ocr"
    assert alike(words(result), PROSE) > 0.9


def test_blank_pages() -> None:
    converter = PageConverter()
    result = convert(converter, pdf_of(lambda page: None))
    assert result.route == "blank"
    assert not result.page.blocks
    assert "reader" not in vars(converter)


def jpeg() -> bytes:
    generator = np.random.default_rng(5)
    coarse = generator.integers(0, 255, (12, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def test_figures_are_cut_out() -> None:
    photo = jpeg()

    def draw(page: pymupdf.Page) -> None:
        prose(page)
        page.insert_image((30, 130, 190, 250), stream=photo)
        for k in range(12):
            page.draw_circle((250 + 10 * k, 200 - 4 * k), 8, fill=(0.2, 0.5, 0.2))
            page.draw_line((240, 240), (250 + 10 * k, 200 - 4 * k))
        page.insert_image((30, 270, 36, 276), stream=photo)  # a tiny one is decoration

    result = convert(PageConverter(), pdf_of(draw))
    figures = [block for block in result.page.blocks if block.kind == "figure"]
    assert sorted(block.image for block in figures) == sorted(result.pictures)
    assert sorted(result.pictures) == ["page-001-figure-1.jpg", "page-001-figure-2.png"]
    assert result.pictures["page-001-figure-1.jpg"] == photo
    with Image.open(io.BytesIO(result.pictures["page-001-figure-2.png"])) as image:
        assert image.width > 300 and image.format == "PNG"
    without = PageConverter(PageOptions(pictures=False))
    assert not convert(without, pdf_of(draw)).pictures


def test_huge_pages_are_drawn_at_less(converter: PageConverter) -> None:
    def draw(page: pymupdf.Page) -> None:
        picture = picture_of(PROSE, 420, 300, 100)
        page.insert_image(page.rect, pixmap=picture)

    result = convert(converter, pdf_of(draw, width=7200, height=5143))
    assert result.page.dpi < 60
    assert result.page.width * result.page.height <= 16_100_000
    assert alike(words(result), PROSE) > 0.8


def test_pages_on_their_side_are_read_upright() -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_textbox((30, 30, 120, 390), PROSE, fontsize=12, rotate=90)

    result = convert(PageConverter(), pdf_of(draw, width=300, height=420))
    assert result.page.turned == 270
    assert words(result) == re.findall(r"\w+", PROSE)
    assert (result.page.width, result.page.height) == (834, 1167)
    (block,) = result.page.blocks
    assert block.box.y1 - block.box.y0 > 2 * (block.box.x1 - block.box.x0)


def test_a_missing_page_is_empty_and_has_an_error() -> None:
    with pymupdf.open() as document:
        prose(document.new_page())
        pages = int(document.xref_get_key(document.pdf_catalog(), "Pages")[1].split()[0])
        document.xref_set_key(pages, "Count", "2")
        content = bytes(document.tobytes())
    result = convert(PageConverter(), content, 1)
    assert result.page.error.startswith("damaged") and not result.page.blocks


def test_an_image_and_a_page_of_a_pdf_are_one_kind_of_source(converter: PageConverter) -> None:
    picture = picture_of(PROSE, 420, 300)
    pixels = np.frombuffer(picture.samples, np.uint8).reshape(picture.height, picture.width)
    image = ImagePage(np.stack([pixels] * 3, axis=-1), number=2, dpi=200)
    with PdfFile(pdf_of(prose)) as file:
        sources = [PdfPage(file), image]
        results = [result for _, result in converter.convert_stream(sources)]
        assert [source.native(200) is None for source in sources] == [False, True]
    assert [result.route for result in results] == ["native", "ocr"]
    assert [result.page.number for result in results] == [1, 2]
    assert results[1] == converter.convert(image)
    assert alike(words(results[1]), PROSE) > 0.9
    never = PageConverter(PageOptions(ocr=OcrChoice.NEVER)).convert(image)
    assert never.route == "blank" and "not read" in never.warnings[0]
