"""PP-OCR's recogniser and detector, with the published weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrtool.document.tree import Page
from ocrtool.errors import MissingDependencyError, ModelError
from ocrtool.options import DetectorChoice, ReadOptions
from ocrtool.pages import open_pages
from ocrtool.readers import open_lines
from ocrtool.readers.ppocr import HEIGHT, PpocrReader, network_input
from ocrtool.weights import ppocr

JAPANESE = "/usr/share/fonts/truetype/bizud-mincho/BIZUDMincho-Regular.ttf"


def line(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> np.ndarray:
    left, top, right, bottom = map(int, font.getbbox(text))
    image = Image.new("L", (right - left + 20, bottom - top + 16), 255)
    ImageDraw.Draw(image).text((10 - left, 8 - top), text, 0, font)
    return np.asarray(image)


@pytest.fixture(scope="session")
def reader() -> PpocrReader:
    return PpocrReader(ReadOptions(device="cpu", threads=1))


@pytest.fixture(scope="session")
def page() -> np.ndarray:
    image = Image.new("RGB", (900, 360), (250, 250, 248))
    for i, text in enumerate(("Harbour office, 4 June", "Ropes and chains", "118.40 EUR")):
        font = ImageFont.load_default(34)
        ImageDraw.Draw(image).text((60, 50 + 90 * i), text, (20, 20, 20), font)
    return np.asarray(image)


def test_a_line_is_read_with_words_in_their_places(reader: PpocrReader) -> None:
    (found,) = reader.read_stream([("x", line("Ropes and chains", ImageFont.load_default(32)))])
    assert found.text == "Ropes and chains" and found.source == "x"
    assert [word.text for word in found.words] == ["Ropes", "and", "chains"]
    starts = [word.start for word in found.words]
    assert starts == sorted(starts) and found.words[0].end <= found.words[1].start
    assert 0.9 < found.words[-1].end <= 1.0
    assert len(found.characters) == len(found.text)
    assert 0.5 < found.confidence <= found.mean_char_confidence <= 1.0


@pytest.mark.skipif(not Path(JAPANESE).is_file(), reason="no Japanese font")
def test_japanese_is_read(reader: PpocrReader) -> None:
    text = "どこで生れたかとんと見当がつかぬ。"
    (found,) = reader.read_stream([("", line(text, ImageFont.truetype(JAPANESE, 34)))])
    assert found.text == text and len(found.words) == 1


def test_a_batch_does_not_change_what_is_read(reader: PpocrReader) -> None:
    font = ImageFont.load_default(30)
    images = [("", line(text, font)) for text in ("One", "A much longer line of text", "118.40")]
    together = [found.text for found in reader.read_stream(images)]
    alone = [next(reader.read_stream([image])).text for image in images]
    assert together == alone == ["One", "A much longer line of text", "118.40"]


def test_a_blank_line_has_no_text(reader: PpocrReader) -> None:
    (found,) = reader.read_stream([("", np.full((40, 200), 255, np.uint8))])
    assert found.text == "" and not found.words


def test_network_input_is_scaled_and_normalised() -> None:
    image = np.zeros((24, 60, 3), np.uint8)
    image[:, :, 0] = 255  # red
    pixels = network_input(image)
    assert pixels.shape == (3, HEIGHT, 120)
    assert pixels[2].min() == 1.0 and pixels[0].max() == -1.0  # blue, green, red


@pytest.mark.parametrize("detector", [DetectorChoice.AUTO, DetectorChoice.BUNDLED])
def test_pages_are_read_after_either_detector(page: np.ndarray, detector: DetectorChoice) -> None:
    options = ReadOptions(model="ppocr", detector=detector, device="cpu", threads=1)
    found: Page = open_pages(options).read(page)
    assert found.text.split() == [
        "Harbour",
        "office,",
        "4",
        "June",
        "Ropes",
        "and",
        "chains",
        "118.40",
        "EUR",
    ]
    first = found.blocks[0].lines[0].box
    assert 50 < first.x0 < 70 and 40 < first.y0 < 70 and 80 < first.y1 < 105


def test_doubtful_lines_can_be_escalated() -> None:
    reader = open_lines(ReadOptions(escalate="ppocr", below=1.0, device="cpu", threads=1))
    (found,) = reader.read_stream([("", line("Ropes and chains", ImageFont.load_default(32)))])
    assert found.text == "Ropes and chains"


def test_missing_and_wrong_files_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ppocr.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="rapidocr"):
        ppocr.ppocr_file(ppocr.RECOGNISER)
    monkeypatch.undo()
    monkeypatch.setitem(ppocr.HASHES, ppocr.RECOGNISER, "0" * 64)
    with pytest.raises(ModelError, match="not the file that was published"):
        ppocr.ppocr_file(ppocr.RECOGNISER)


@pytest.mark.skipif(not Path(JAPANESE).is_file(), reason="no Japanese font")
def test_a_page_in_another_script_is_doubted_by_the_bundled_reader() -> None:
    image = Image.new("L", (900, 400), 250)
    texts = [
        "吾輩は猫である。名前は無い。",
        "どこで生れたか見当がつかぬ。",
        "薄暗い所で泣いていた。",
    ]
    for i, text in enumerate(texts):
        ImageDraw.Draw(image).text((60, 50 + 90 * i), text, 20, ImageFont.truetype(JAPANESE, 34))
    options = ReadOptions(device="cpu", threads=1)
    assert "--model ppocr" in open_pages(options).read(np.asarray(image)).warning
    found = open_pages(ReadOptions(model="ppocr", device="cpu")).read(np.asarray(image))
    assert found.text.replace("\n", "") == "".join(texts) and not found.warning
