"""Which way up a picture lies is told by what reads surely, at no cost where that is plain."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrtool.layout.orientation import Turn, turn_image
from ocrtool.pages.reader import DOUBTFUL, TELLING, PageReader
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


@pytest.fixture(scope="module")
def reader() -> PageReader:
    return PageReader()


def test_known_words_settle_which_way_up_a_picture_lies(
    reader: PageReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = reader._look(sign())
    assert look.mean_char_confidence < DOUBTFUL and look.known_word_letters >= TELLING
    monkeypatch.setattr(reader.detector, "find", lambda *_: pytest.fail("looked at again"))
    assert reader._best_look(sign(), look) is look


@pytest.mark.parametrize("given", [90, 180, 270])
def test_one_line_of_known_words_turns_a_picture(reader: PageReader, given: Turn) -> None:
    page = reader.read(np.ascontiguousarray(turn_image(sign(), given)))
    assert page.turned == 360 - given
    assert "West Coast Market" in page.text


def test_words_that_lie_on_their_side_tell_nothing(reader: PageReader) -> None:
    look = reader._look(np.ascontiguousarray(turn_image(sign(), 90)))
    assert "West Coast Market" in [said.text for _, said in look.texts]
    assert look.known_word_letters == 0
