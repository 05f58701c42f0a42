"""No words are invented where there are none: paper, ruled paper, pictures, noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ocrtool.pages.reader import PageReader
from ocrtool.synth.pages import KINDS, PageSource
from ocrtool.synth.pictures import photo


def pictures() -> Iterator[tuple[str, np.ndarray]]:
    """Name and draw pictures without text."""
    source = PageSource(seed=11, kinds={"blank": KINDS["blank"]}, size=(360, 800))
    for index in range(28):
        yield f"page {index}", source.draw(index).image
    rng = np.random.default_rng(3)
    for index in range(10):
        shape = (int(rng.integers(150, 500)), int(rng.integers(200, 600)))
        yield f"photograph {index}", np.clip(photo(rng, shape), 0, 255).astype(np.uint8)
    for deviation in (2, 10, 30, 120):
        for shape in ((40, 300), (400, 300)):
            grain = rng.normal(180, deviation, shape)
            yield f"grain {deviation} of {shape}", np.clip(grain, 0, 255).astype(np.uint8)
    ramp = np.linspace(0, 255, 400)
    yield "gradient", np.tile(ramp, (300, 1)).astype(np.uint8)
    yield "white", np.full((500, 400), 255, np.uint8)
    yield "black", np.zeros((500, 400), np.uint8)


@pytest.fixture(scope="module")
def reader() -> PageReader:
    return PageReader(lone_lines=True)


def test_no_words_are_invented(reader: PageReader) -> None:
    drawn = list(pictures())
    assert len(drawn) >= 40
    read = {name: reader.read(np.ascontiguousarray(image)).text for name, image in drawn}
    invented = {name: text for name, text in read.items() if text.strip()}
    assert not invented
