"""Short lines that were read with low confidence are read again in modified views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ocrtool.document.lines import LineResult
from ocrtool.options import ReadOptions
from ocrtool.readers.lines import LineReader
from ocrtool.readers.test_time_augmentation import (
    FIRST_VIEWS,
    augmented_views,
    is_uncertain,
    most_confident,
)
from ocrtool.synth.lines import STYLES, LineSource

SHORT = np.full((32, 100), 255, np.uint8)
VIEWS = len(list(augmented_views(SHORT)))


def said(text: str, confidence: float) -> LineResult:
    """Return a reading whose characters are equally sure."""
    return LineResult("", text, confidence, (), (confidence ** (1 / len(text)),) * len(text))


class ScriptedReader(LineReader):
    """Line reader that gives prepared readings of its images, one for each view of an image.

    Attributes:
        passes: Names of the images of each batch that was read.
    """

    def __init__(self, model: Path, readings: dict[str, list[LineResult]]) -> None:
        super().__init__(ReadOptions(model=str(model), device="cpu"))
        self.readings = {name: iter(results) for name, results in readings.items()}
        self.passes: list[list[str]] = []

    def _read_images(self, images: Sequence[tuple[str, np.ndarray]]) -> list[LineResult]:
        if images:
            self.passes.append([name for name, _ in images])
        return [replace(next(self.readings[name]), source=name) for name, _ in images]


def test_confident_lines_stay_and_are_read_once(checkpoint: Path) -> None:
    first = said("EXIT", 0.99)
    reader = ScriptedReader(checkpoint, {"a": [first], "b": [first]})
    results = list(reader.read_stream([("a", SHORT), ("b", SHORT)]))
    assert results == [replace(first, source="a"), replace(first, source="b")]
    assert reader.passes == [["a", "b"]]


def test_views_that_agree_settle_the_confidence(checkpoint: Path) -> None:
    readings = [said("EXIT", 0.6), said("EXIT", 0.7), said("EXIT", 0.5)]
    reader = ScriptedReader(checkpoint, {"sure": [said("IN", 0.99)], "unsure": readings})
    sure, unsure = reader.read_stream([("sure", SHORT), ("unsure", SHORT)])
    assert sure == replace(said("IN", 0.99), source="sure")
    assert reader.passes == [["sure", "unsure"], ["unsure"] * FIRST_VIEWS]
    assert unsure.text == "EXIT"
    assert unsure.confidence == pytest.approx((0.7 * (0.6 + 0.7 + 0.5) / 3) ** 0.5)
    assert unsure.mean_char_confidence == pytest.approx(unsure.confidence**0.25)


def test_the_most_confident_view_is_taken_where_views_differ(checkpoint: Path) -> None:
    readings = [said(text, 0.3) for text in ("EX1T", "FXIT", "EXIT", "EX1T", "EXLT", "CXIT")]
    readings.append(said("EXIT", 0.8))
    assert len(readings) == 1 + VIEWS
    reader = ScriptedReader(checkpoint, {"sign": readings})
    (result,) = reader.read_stream([("sign", SHORT)])
    assert reader.passes == [["sign"], ["sign"] * FIRST_VIEWS, ["sign"] * (VIEWS - FIRST_VIEWS)]
    assert result.text == "EXIT"
    assert result.confidence == pytest.approx((0.8 * (0.8 + 0.3) / 7) ** 0.5)


def test_augmentation_can_be_switched_off(checkpoint: Path) -> None:
    first = said("EXIT", 0.5)
    reader = ScriptedReader(checkpoint, {"sign": [first]})
    reader.augment_uncertain = False
    assert list(reader.read_stream([("sign", SHORT)])) == [replace(first, source="sign")]
    assert reader.passes == [["sign"]]


def test_every_view_shows_the_line_in_grey() -> None:
    source = LineSource(seed=5, styles={"scene": STYLES["scene"]}, words_only=True)
    image = source.draw(0).image
    height, width = image.shape
    wider, trimmed, contrast, inverted, left, right = augmented_views(image)
    assert wider.shape[0] == height and wider.shape[1] > width
    assert contrast.shape == image.shape and (inverted == 255 - image).all()
    assert left.shape == right.shape and min(left.shape) > height
    assert trimmed.shape[0] < height and trimmed.shape[1] == width
    colour = np.repeat(image[..., None], 3, axis=2)
    pairs = zip(augmented_views(colour), augmented_views(image), strict=True)
    assert all((a == b).all() for a, b in pairs)
    assert all(min(view.shape) > 0 for view in augmented_views(np.zeros((1, 1), np.uint8)))


def test_agreement_raises_confidence() -> None:
    readings = [said("EXIT", 0.6), said("EXIT", 0.7), said("EXIT", 0.5)]
    best, confidence = most_confident(readings)
    assert best is readings[1] and 0.6 < confidence < 0.7
    alone, doubtful = most_confident([said("EXIT", 0.7), said("EX1T", 0.3), said("FXIT", 0.3)])
    assert alone.text == "EXIT" and doubtful < 0.45


def test_long_confident_and_blank_lines_are_not_read_again() -> None:
    assert is_uncertain(SHORT, said("EXIT", 0.5))
    assert not is_uncertain(np.zeros((32, 900), np.uint8), said("EXIT", 0.5))
    assert not is_uncertain(SHORT, said("EXIT", 0.99))
    assert not is_uncertain(SHORT, LineResult("", "", 0.5, ()))
