"""Second looks at short lines that are in doubt, with the bundled weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ocrtool.options import ReadOptions
from ocrtool.readers.lines import LineReader
from ocrtool.readers.test_time_augmentation import DOUBT, in_doubt, looks, surest
from ocrtool.synth.lines import STYLES, LineSource


@dataclass(frozen=True)
class Said:
    text: str
    confidence: float

    @property
    def mean_char_confidence(self) -> float:
        return self.confidence ** (1 / len(self.text))


@pytest.fixture(scope="module")
def signs() -> list[tuple[str, np.ndarray]]:
    source = LineSource(seed=5, styles={"scene": STYLES["scene"]}, words_only=True)
    return [(line.text, line.image) for line in map(source.draw, range(120))]


def test_more_signs_are_read_and_the_sure_ones_stay(signs: list[tuple[str, np.ndarray]]) -> None:
    once = list(LineReader(ReadOptions(device="cpu"), second_looks=False).read_stream(signs))
    twice = list(LineReader(ReadOptions(device="cpu")).read_stream(signs))
    right_once = sum(said.text == label for said, (label, _) in zip(once, signs, strict=True))
    right_twice = sum(said.text == label for said, (label, _) in zip(twice, signs, strict=True))
    assert right_twice > right_once
    assert [said.source for said in twice] == [label for label, _ in signs]
    sure = [i for i, said in enumerate(once) if said.mean_char_confidence >= DOUBT or not said.text]
    assert 20 < len(sure) < 120
    assert all(once[i] == twice[i] for i in sure)


def test_every_look_shows_the_same_line_in_grey(signs: list[tuple[str, np.ndarray]]) -> None:
    image = signs[0][1]
    height, width = image.shape
    wider, trimmed, contrast, inverted, left, right = looks(image)
    assert wider.shape[0] == height and wider.shape[1] > width
    assert contrast.shape == image.shape and (inverted == 255 - image).all()
    assert left.shape == right.shape and min(left.shape) > height
    assert trimmed.shape[0] < height and trimmed.shape[1] == width
    colour = np.repeat(image[..., None], 3, axis=2)
    assert all((a == b).all() for a, b in zip(looks(colour), looks(image), strict=True))
    assert all(min(look.shape) > 0 for look in looks(np.zeros((1, 1), np.uint8)))


def test_agreement_makes_a_reading_trustworthy() -> None:
    said = [Said("EXIT", 0.6), Said("EXIT", 0.7), Said("EXIT", 0.5)]
    best, confidence = surest(said)
    assert best is said[1] and 0.6 < confidence < 0.7
    alone, doubtful = surest([Said("EXIT", 0.7), Said("EX1T", 0.3), Said("FXIT", 0.3)])
    assert alone.text == "EXIT" and doubtful < 0.45


def test_long_sure_and_blank_lines_are_not_looked_at_again() -> None:
    short, long = np.zeros((32, 100), np.uint8), np.zeros((32, 900), np.uint8)
    assert in_doubt(short, Said("EXIT", 0.5))
    assert not in_doubt(long, Said("EXIT", 0.5))
    assert not in_doubt(short, Said("EXIT", 0.99))
