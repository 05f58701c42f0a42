"""The steps from an image to a page, one by one, on a sample page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrtool.document.lines import FoundLine, LineResult
from ocrtool.inputs.images import load_image
from ocrtool.pages.assembly import assembled, turned_upright, with_missed_cells
from ocrtool.pages.filters import is_readable, is_text, text_lines, without_unstable
from ocrtool.pages.reader import PageReader
from ocrtool.pages.recognise import RecognisedPage, find_lines, recognise, reread_doubtful
from ocrtool.pages.single_line import as_single_line
from ocrtool.pages.upright import best_orientation, oriented
from ocrtool.structure import AssembleOptions
from ocrtool.synth.fonts import bundled_fonts

SAMPLES = Path(__file__).parents[2] / "docs" / "images"
QUAD = ((0.0, 0.0), (90.0, 0.0), (90.0, 20.0), (0.0, 20.0))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return load_image(SAMPLES / "sample-page.jpg")


@pytest.fixture(scope="module")
def recognised(page_reader: PageReader, image: np.ndarray) -> RecognisedPage:
    (page,) = recognise([find_lines(image, page_reader.detector)], page_reader.lines)
    return page


def test_lines_are_found_longest_first(recognised: RecognisedPage) -> None:
    found = recognised.found
    lengths = [line.length for line in found.lines]
    assert len(lengths) > 10 and lengths == sorted(lengths, reverse=True)
    assert all(map(is_readable, found.lines))


def test_few_lines_are_found_for_a_probe(page_reader: PageReader, image: np.ndarray) -> None:
    found = find_lines(image, page_reader.detector, 180, 5)
    assert len(found.lines) == 5 and found.turned_by == 180
    assert np.array_equal(found.image, np.rot90(image, 2))


def test_pages_share_batches_and_read_the_same(
    page_reader: PageReader, recognised: RecognisedPage
) -> None:
    found = replace(recognised.found, lines=recognised.found.lines[:6])
    first, second = recognise([found, found], page_reader.lines)
    assert [result.text for _, result in first.lines] == [r.text for _, r in second.lines]


def test_the_sample_page_step_by_step(
    page_reader: PageReader, image: np.ndarray, recognised: RecognisedPage
) -> None:
    lines = text_lines(recognised.lines, recognised.found.layout.regions)
    lines = without_unstable(reread_doubtful(recognised.found.image, lines, page_reader.lines))
    text = best_orientation(oriented(recognised, lines), lambda *_: pytest.fail("reads well"))
    assert as_single_line(image, text, page_reader.lines) is text
    upright = turned_upright(text)
    assert len(upright.layout.lines) == len(upright.readings)
    page = assembled(with_missed_cells(upright, page_reader.lines), 1, AssembleOptions())
    assert page == replace(page_reader.read(image), unread_lines=0)


def reading(text: str, found: float, confidence: float) -> tuple[FoundLine, LineResult]:
    """Return a line of 20 px and its reading; confidences of the detector and of each character."""
    return FoundLine(QUAD, found), LineResult("", text, confidence ** len(text), ())


def test_badly_read_lines_stay_and_noise_goes() -> None:
    sure = [reading("a line that reads well", 0.95, 0.99)] * 3
    doubtful = [reading("if __name__ == '__m", 0.9, 0.55), reading("n/a", 0.9, 0.55)]
    noise = [reading("l.", 0.62, 0.6), reading("- - + . - +", 0.9, 0.6), reading("Ewoin", 0.6, 0.6)]
    assert text_lines([*sure, *doubtful, *noise], ()) == [*sure, *doubtful]
    assert text_lines([*doubtful, *noise], ()) == []  # a picture, as far as can be told
    alone = [reading("Yes @ No v X", 0.85, 0.72)]
    assert text_lines(alone, ()) == alone


@pytest.mark.parametrize(
    ("text", "found", "confidence", "accepted"),
    [
        ("harbour", 0.7, 0.9, True),
        ("harbour", 0.7, 0.01, False),
        ("", 1.0, 1.0, False),
        ("ab", 0.7, 0.7, False),
        ("ab", 0.9, 0.9, True),
        ("~~", 0.8, 0.8, False),
    ],
)
def test_text_is_told_from_noise(
    text: str, found: float, confidence: float, accepted: bool
) -> None:
    result = LineResult("", text, confidence, ())
    assert is_text(FoundLine(QUAD, found), result) is accepted


def test_a_line_cut_out_tightly_is_read_whole(page_reader: PageReader) -> None:
    image = load_image(SAMPLES / "sample-line.png")
    (page,) = recognise([find_lines(image, page_reader.detector)], page_reader.lines)
    none = oriented(replace(page, lines=[]), [])
    text = as_single_line(image, replace(none, found=0), page_reader.lines)
    assert text.single_line and text.letters > 5


def word(text: str, size: int, image_size: tuple[int, int]) -> np.ndarray:
    """Return a mask (H, W) of a word in letters of a size in pixels, in the middle."""
    mask = Image.new("1", image_size)
    centre = image_size[0] / 2, image_size[1] / 2
    font = ImageFont.truetype(str(bundled_fonts()[0]), size)
    ImageDraw.Draw(mask).text(centre, text, 1, font, anchor="mm")
    return np.asarray(mask)


def test_letters_that_fill_the_image_are_found(page_reader: PageReader) -> None:
    page = page_reader.read(np.where(word("DOCK", 330, (1200, 760)), 20, 240).astype(np.uint8))
    assert page.text == "DOCK"


def test_red_letters_on_a_green_ground_are_found(page_reader: PageReader) -> None:
    mask = word("Berth 27, ticket 80415", 40, (700, 200))[..., None]
    page = page_reader.read(np.where(mask, np.uint8((232, 0, 0)), np.uint8((0, 118, 0))))
    assert page.text == "Berth 27, ticket 80415"
