"""Which way up a picture lies is told by what reads surely, at no cost where that is plain."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrtool.layout.orientation import Turn, rotate_image
from ocrtool.pages.reader import PageReader
from ocrtool.pages.recognise import find_lines, recognise
from ocrtool.pages.upright import (
    MAX_DOUBTFUL_CONFIDENCE,
    MIN_KNOWN_LETTERS,
    OrientedText,
    best_orientation,
)
from ocrtool.synth.fonts import bundled_fonts


def sign() -> np.ndarray:
    """Draw a line of plain text above scribbles that can be taken for text."""
    rng = np.random.default_rng(0)
    image = Image.new("RGB", (700, 500), (205, 200, 190))
    pen = ImageDraw.Draw(image)
    font = ImageFont.truetype(bundled_fonts()[0], 64)
    pen.text((90, 60), "West Coast Market", font=font, fill=(30, 30, 40))
    for y in range(180, 468, 32):
        x = rng.uniform(40, 500)
        scribble = [(x + 9 * i, y + rng.uniform(0, 24)) for i in range(16)]
        pen.line(scribble, fill=(60, 50, 50), width=3)
    return np.asarray(image)


def text_of(page_reader: PageReader, image: np.ndarray) -> OrientedText:
    """Read an image as it lies."""
    (page,) = recognise([find_lines(image, page_reader.detector)], page_reader.lines)
    return page_reader._filtered(page)


def test_known_words_settle_the_orientation(page_reader: PageReader) -> None:
    text = text_of(page_reader, sign())
    assert text.mean_char_confidence < MAX_DOUBTFUL_CONFIDENCE
    assert text.known_word_letters >= MIN_KNOWN_LETTERS
    assert best_orientation(text, lambda *_: pytest.fail("read again")) is text


@pytest.mark.parametrize("given", [90, 180, 270])
def test_one_line_of_known_words_turns_a_picture(page_reader: PageReader, given: Turn) -> None:
    page = page_reader.read(np.ascontiguousarray(rotate_image(sign(), given)))
    assert page.turned == 360 - given
    assert "West Coast Market" in page.text


def test_words_that_lie_on_their_side_tell_nothing(page_reader: PageReader) -> None:
    text = text_of(page_reader, np.ascontiguousarray(rotate_image(sign(), 90)))
    assert "West Coast Market" in [result.text for _, result in text.lines]
    assert text.known_word_letters == 0
