"""Reading PDFs, and searchable PDFs: the picture untouched, the text found at its place."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image

from ocrtool.document.tree import Box, Line, Page, Quad, Word
from ocrtool.errors import EncryptedError, ExitCode, InputError, OutputError
from ocrtool.inputs.page_source import ImagePage, PdfPage
from ocrtool.options import TextLayerChoice, WriteOptions
from ocrtool.pdf import MAX_UNSAVED_PAGES, PdfFile, PdfMaker
from ocrtool.writers import PageInput
from ocrtool.writers.pdf import SearchablePdf
from writers.drawing import all_words, block, written_pdf

POINTS_A_PIXEL = 72 / 150


def encoded(pixels: np.ndarray, form: str, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, exif=exif)
    return buffer.getvalue()


def a_pdf(pages: int = 1, **options: object) -> bytes:
    with pymupdf.open() as document:
        for i in range(pages):
            page = document.new_page(width=300, height=200)
            page.insert_text((50, 100), f"Page {i + 1}", fontsize=24)
        document.set_metadata({"title": "A title"})
        return bytes(document.tobytes(**options))


def open_back(content: bytes) -> pymupdf.Document:
    document = pymupdf.open(stream=content)
    assert not document.is_repaired
    return document


def rects(page: pymupdf.Page) -> list[tuple[str, pymupdf.Rect]]:
    return [(word[4], pymupdf.Rect(word[:4])) for word in page.get_text("words")]


def differs(found: pymupdf.Rect, quad: Quad, scale: float = POINTS_A_PIXEL) -> float:
    """Greatest distance in points between a found rectangle and where a word was drawn."""
    box = Box.of(quad)
    wanted = pymupdf.Rect(box.x0, box.y0, box.x1, box.y1) * pymupdf.Matrix(scale, scale)
    return float(max(abs(a - b) for a, b in zip(found, wanted, strict=True)))


def test_every_word_is_found_at_its_place(two_pages: tuple[PageInput, PageInput]) -> None:
    with open_back(written_pdf(*two_pages)) as document:
        assert document.page_count == 2 and document.metadata["title"] == "Tëst"
        for page, sheet in zip(document, two_pages, strict=True):
            assert page.rect[2:] == pytest.approx((900 * POINTS_A_PIXEL, 1000 * POINTS_A_PIXEL))
            found, words = rects(page), all_words(sheet.page)
            assert [text for text, _ in found] == [word.text for word in words]
            for (_, rect), word in zip(found, words, strict=True):
                assert differs(rect, word.quad) < 3
            (hit,) = page.search_for("gęślą jaźń")
            first, second = words[4], words[5]
            assert hit.contains(pymupdf.Rect(bounds_of(first), bounds_of(second, end=True)))


def bounds_of(word: Word, end: bool = False) -> pymupdf.Point:
    box = word.box
    x, y = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    return pymupdf.Point(x + end, y + end) * POINTS_A_PIXEL


def test_text_is_copied_line_by_line(sheet: PageInput) -> None:
    with open_back(written_pdf(sheet)) as document:
        text = document[0].get_text()
        spans = [
            (span, line["dir"])
            for part in document[0].get_text("dict")["blocks"]
            for line in part.get("lines", ())
            for span in line["spans"]
        ]
    assert "Größe & Maß\nZażółć gęślą jaźń, read it as one exam-\nple of <many> that" in text
    assert text.count("Tilted words here\n") == 1
    directions = {span["text"].strip(): direction for span, direction in spans}
    angle = math.radians(15)
    assert directions["Tilted"] == pytest.approx((math.cos(angle), -math.sin(angle)), abs=1e-3)
    assert directions["Upwards"] == pytest.approx((0, -1), abs=1e-3)


def test_text_is_not_seen(sheet: PageInput) -> None:
    assert sheet.picture
    with open_back(written_pdf(sheet)) as document:
        pixmap = document[0].get_pixmap(dpi=150)
        assert all(trace["type"] == 3 for trace in document[0].get_texttrace())
    shown = np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width, 3)
    assert sheet.picture.file
    with Image.open(io.BytesIO(sheet.picture.file)) as image:
        assert np.abs(shown.astype(int) - np.asarray(image)).mean() < 1


def test_the_file_of_a_jpeg_is_untouched(sheet: PageInput, jpeg: bytes) -> None:
    with open_back(written_pdf(sheet)) as document:
        (image,) = document[0].get_images()
        assert document.extract_image(image[0])["image"] == jpeg


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "GIF", None])
def test_other_pictures_lose_nothing(form: str | None) -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[10:20, 5:50] = 255
    file = encoded(pixels, form) if form else b"no image at all"
    page = Page(1, 80, 60, dpi=72)
    with open_back(written_pdf(PageInput("x", page, ImagePage(pixels, file)))) as document:
        (image,) = document[0].get_images()
        found = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.Pixmap(document, image[0]))
        back = np.frombuffer(found.samples, np.uint8).reshape(found.height, found.width, -1)
        assert (back[..., :3] == pixels).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_the_camera_meant(sheet: PageInput, orientation: int) -> None:
    assert sheet.picture
    upright = sheet.picture.pixels
    back = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    file = encoded(np.ascontiguousarray(back[orientation]), "JPEG", orientation)
    turned = replace(sheet, picture=ImagePage(upright, file))
    with open_back(written_pdf(turned)) as document:
        page = document[0]
        assert page.rect[2:] == pytest.approx((432, 480))
        pixmap = page.get_pixmap(dpi=150)
        shown = np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width, 3)
        assert np.abs(shown.astype(int) - upright).mean() < 3
        image = page.get_images()[0][0]
        assert (document.extract_image(image)["image"] == file) == (orientation in (1, 3, 6, 8))
        # Places are those of the page before it is turned.
        for (_, rect), word in zip(rects(page), all_words(sheet.page), strict=True):
            assert differs(rect * page.rotation_matrix, word.quad) < 3


def test_characters_of_every_plane() -> None:
    texts = ["Ἀθῆναι", "Москва", "日本語", "🙂\U0001d4b3🙂", "ﬁ\u00ad", "\U0001d4b3"]
    quad = ((10.0, 10.0), (90.0, 10.0), (90.0, 20.0), (10.0, 20.0))
    lines = [
        Line(text, 1.0, moved, (Word(text, 1.0, moved),))
        for i, text in enumerate(texts)
        for moved in [tuple((x, y + 30 * i) for x, y in quad)]
    ]
    page = Page(1, 100, 300, (block("paragraph", *lines),))  # type: ignore[arg-type]
    picture = ImagePage(np.full((300, 100, 3), 255, np.uint8))
    with open_back(written_pdf(PageInput("x", page, picture))) as document:
        assert document[0].get_text().split() == texts
        assert document[0].rect.height == pytest.approx(842)


def test_words_that_touch_stay_words() -> None:
    first = ((10.0, 10.0), (52.0, 10.0), (52.0, 20.0), (10.0, 20.0))
    second = ((50.0, 10.0), (90.0, 10.0), (90.0, 20.0), (50.0, 20.0))
    line = Line("one two", 1.0, (first[0], second[1], second[2], first[3]),
                (Word("one", 1.0, first), Word("two", 1.0, second)))  # fmt: skip
    picture = ImagePage(np.full((50, 100, 3), 255, np.uint8))
    sheet = PageInput("x", Page(1, 100, 50, (block("paragraph", line),), dpi=72), picture)
    with open_back(written_pdf(sheet)) as document:
        assert document[0].get_text() == "one two\n"


def test_many_pages_go_to_disk_as_they_come(sheet: PageInput) -> None:
    count = 2 * MAX_UNSAVED_PAGES + 3
    pages = [replace(sheet, page=replace(sheet.page, number=i + 1)) for i in range(count)]
    with open_back(written_pdf(*pages)) as document:
        assert document.page_count == count
        assert len({page.get_fonts()[0][0] for page in document}) == 1
        for i in (0, MAX_UNSAVED_PAGES - 1, MAX_UNSAVED_PAGES, count - 1):
            assert [text for text, _ in rects(document[i])][:2] == ["Größe", "&"]


def test_what_cannot_be_written(sheet: PageInput) -> None:
    with pytest.raises(OutputError, match="without pages"):
        written_pdf()
    with pytest.raises(ValueError, match="picture"):
        written_pdf(replace(sheet, picture=None))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pages_of_a_pdf_stay_and_get_the_text(rotation: int) -> None:
    with pymupdf.open(stream=a_pdf(3)) as made:
        page = made[1]
        page.set_cropbox(pymupdf.Rect(20, 10, 280, 190))
        page.set_rotation(rotation)
        xref = page.get_contents()[0]
        # Left set at the end: a clip, a colour, another origin.
        made.update_stream(xref, made.xref_stream(xref) + b"\n0 0 9 9 re W n 2 0 0 2 70 30 cm q\n")
        content = made.tobytes()
    with PdfFile(content) as file:
        pixels = file.rasterise(1, 144)
        dark = np.argwhere(pixels.min(axis=2) < 128)
        (y0, x0), (y1, x1) = dark.min(axis=0), dark.max(axis=0) + 1.0
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        turns = {0: 0, 90: 1, 180: 2, 270: 3}[rotation]
        quad: Quad = tuple(corners[(i + turns) % 4] for i in range(4))  # type: ignore[assignment]
        line = Line("Read", 1.0, quad, (Word("Read", 1.0, quad),))
        read = Page(2, pixels.shape[1], pixels.shape[0], (block("paragraph", line),), dpi=144)
        out = written_pdf(PageInput("x.pdf", read, PdfPage(file, 2)))
    with open_back(out) as document, PdfFile(out) as again:
        assert (again.rasterise(0, 144) == pixels).all()
        page = document[0]
        places = dict(rects(page))
        assert differs(places["Read"] * page.rotation_matrix, quad, 0.5) < 1.5
        assert page.search_for("Page 2")


def test_an_original_gets_only_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    with pymupdf.open(stream=a_pdf(3)) as made:
        made.set_toc([[1, "A mark", 2]])
        made.save(path)
    quad: Quad = ((20.0, 20.0), (120.0, 20.0), (120.0, 40.0), (20.0, 40.0))
    own = Line("Page", 1.0, quad, (Word("Page", 1.0, quad),), size=12.0)
    was_read = Line("Read", 0.9, quad, (Word("Read", 0.9, quad),))
    with PdfFile(path) as file:
        pages = [
            Page(1, 600, 400, (block("paragraph", own),), dpi=144),
            Page(2, 600, 400, (block("paragraph", own, was_read),), dpi=144),
            Page(3, 0, 0, error="damaged"),
        ]
        out = written_pdf(*(PageInput("x.pdf", page, original=file) for page in pages))
        some = written_pdf(PageInput("x.pdf", pages[1], original=file))
        plain = written_pdf(*(PageInput("x.pdf", pages[0], original=file) for _ in range(1)))
    assert out.startswith(path.read_bytes())  # nothing of it was touched
    with open_back(out) as document:
        assert [page.get_text().split() for page in document] == [
            ["Page", "1"], ["Page", "2", "Read"], ["Page", "3"]
        ]  # fmt: skip
        assert document.get_toc() == [[1, "A mark", 2]]
        (place,) = (rect for text, rect in rects(document[1]) if text == "Read")
        assert place.x0 == pytest.approx(10, abs=1) and place.x1 == pytest.approx(60, abs=1)
    for content, words in ((some, ["Page", "2", "Read"]), (plain, ["Page", "1"])):
        with open_back(content) as document:
            assert document.page_count == 1 and document[0].get_text().split() == words


def test_an_encrypted_original_stays_encrypted() -> None:
    content = a_pdf(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="söz", owner_pw="x")
    quad: Quad = ((20.0, 20.0), (120.0, 20.0), (120.0, 40.0), (20.0, 40.0))
    was_read = Line("Read", 0.9, quad, (Word("Read", 0.9, quad),))
    with PdfFile(content, "söz") as file:
        page = Page(1, 600, 400, (block("paragraph", was_read),))
        out = written_pdf(PageInput("x.pdf", page, original=file))
    with PdfFile(out, "söz") as again:
        assert again.encrypted and "Read" in again.document[0].get_text()


def test_a_page_that_cannot_be_copied_is_shown_by_its_pixels(
    sheet: PageInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(maker: PdfMaker, source: PdfFile, index: int) -> None:
        raise InputError("damaged")

    monkeypatch.setattr(PdfMaker, "add_page", fail)
    with (
        PdfFile(a_pdf()) as file,
        open_back(written_pdf(replace(sheet, picture=PdfPage(file)))) as document,
    ):
        assert document.page_count == 1 and len(document[0].get_images()) == 1
        assert document[0].search_for("Größe")


def test_pdfs_are_drawn_as_they_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "ä.pdf"
    path.write_bytes(a_pdf(2))
    with PdfFile(path) as file:
        assert len(file) == 2 and file.metadata == {"title": "A title"}
        assert file.size(0) == (300, 200)
        pixels = file.rasterise(1, 144)
    assert pixels.shape == (400, 600, 3) and pixels.dtype == np.uint8
    ink = np.argwhere(pixels.min(axis=2) < 128)
    assert 150 < ink[:, 0].min() < 210 and 95 < ink[:, 1].min() < 110


def test_encrypted_pdfs_need_their_password() -> None:
    content = a_pdf(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="söz", owner_pw="x")
    with pytest.raises(EncryptedError, match="give its password") as caught:
        PdfFile(content)
    assert caught.value.exit_code == ExitCode.ENCRYPTED
    with pytest.raises(EncryptedError, match="wrong"):
        PdfFile(content, "no")
    with PdfFile(content, "söz") as file:
        assert file.rasterise(0, 72).shape == (200, 300, 3)
        out = written_pdf(PageInput("x", Page(1, 300, 200), PdfPage(file)))
    with open_back(out) as document:
        assert not document.is_encrypted and document[0].search_for("Page 1")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.7\n",
        b"no pdf, only text",
        a_pdf()[:200],
        encoded(np.zeros((9, 9, 3), np.uint8), "PNG"),
    ],
    ids=["empty", "head", "text", "cut", "png"],
)
def test_what_is_no_pdf_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(InputError) as caught:
            PdfFile(source)
        assert caught.value.exit_code == ExitCode.INPUT
    with pytest.raises(InputError, match="no such file"):
        PdfFile(tmp_path / "gone.pdf")


def test_damaged_and_huge_pages_are_refused() -> None:
    with PdfFile(a_pdf()) as file:
        with pytest.raises(InputError, match="lower resolution"):
            file.rasterise(0, 5_000)
        with pytest.raises(InputError, match="page 8 is damaged"):
            file.rasterise(7, 72)


def test_the_invisible_font_shows_nothing() -> None:
    from importlib.resources import files

    from fontTools.ttLib import TTFont

    with TTFont(io.BytesIO(files("ocrtool.pdf").joinpath("invisible.ttf").read_bytes())) as font:
        assert all(font["glyf"][name].numberOfContours == 0 for name in font.getGlyphOrder())
        assert (font["hhea"].ascent, font["hhea"].descent) == (800, -200)
        assert {width for width, _ in font["hmtx"].metrics.values()} == {500}


@pytest.fixture
def scan(sheet: PageInput) -> bytes:
    """A searchable PDF of a scanned page, as the tool itself writes it."""
    return written_pdf(sheet)


def relaid(content: bytes, page: Page, choice: TextLayerChoice) -> list[str]:
    """Lay text over a PDF of one page, and return all its words."""
    parts: list[bytes] = []
    with PdfFile(content) as file:
        writer = SearchablePdf(parts.append, WriteOptions(text_layer=choice))
        writer.add(PageInput("x.pdf", page, original=file))
        writer.finish()
    with open_back(b"".join(parts)) as document:
        return document[0].get_text().split()


def test_a_text_layer_is_not_doubled(sheet: PageInput, scan: bytes) -> None:
    with open_back(scan) as document:
        words = document[0].get_text().split()
    assert len(words) > 3
    for choice in TextLayerChoice:
        assert sorted(relaid(scan, sheet.page, choice)) == sorted(words), choice


def test_a_text_layer_that_says_something_else_is_replaced(sheet: PageInput, scan: bytes) -> None:
    page = replace(sheet.page, blocks=(block("paragraph", spaced("Quite different", 20, 30)),))
    assert relaid(scan, page, TextLayerChoice.KEEP) == ["Quite", "different"]


def test_every_reader_sees_the_same_words() -> None:
    import pypdfium2
    from pdfminer.high_level import extract_text

    texts = "the smallest of all boats", "was his own, with a sail", "of red & white stripes."
    lines = [spaced(text, 20.0, 30.0 + 40 * i) for i, text in enumerate(texts)]
    picture = ImagePage(np.full((200, 600, 3), 255, np.uint8))
    page = Page(1, 600, 200, (block("paragraph", *lines),), dpi=150)
    content = written_pdf(PageInput("x", page, picture))
    words = " ".join(texts).split()
    with open_back(content) as document:
        assert document[0].get_text().split() == words
    assert pypdfium2.PdfDocument(content)[0].get_textpage().get_text_range().split() == words
    assert extract_text(io.BytesIO(content)).split() == words


def spaced(text: str, x: float, y: float) -> Line:
    """Return a line of words with narrow gaps, as proportional type has."""
    words = []
    left = x
    for part in text.split():
        right = left + 11.0 * len(part)
        quad: Quad = ((left, y), (right, y), (right, y + 22), (left, y + 22))
        words.append(Word(part, 0.99, quad))
        left = right + 5.0
    quad = ((x, y), (left, y), (left, y + 22), (x, y + 22))
    return Line(text, 0.9, quad, tuple(words))
