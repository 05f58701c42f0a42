"""Scans of thin paper: what shines through from the other side is left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import FoundLine, LineResult, ReadWord
from ocrtool.pages.filters import drop_bleed_through

PAGE = (400, 600)


def printed(rows: dict[int, int]) -> NDArray[np.uint8]:
    """Return a page with strokes in rows, each of a grey of its own."""
    image = np.full(PAGE, 240, np.uint8)
    for y, grey in rows.items():
        image[y + 6 : y + 24, 100:500:8] = grey
        image[y + 6 : y + 24, 101:500:8] = grey
    return image


def line(
    y: int, mean_char_confidence: float, text: str = "some words here"
) -> tuple[FoundLine, LineResult]:
    quad = ((100.0, y), (500.0, y), (500.0, y + 30.0), (100.0, y + 30.0))
    parts = text.split()
    words = tuple(
        ReadWord(part, mean_char_confidence ** len(part), k / len(parts), (k + 1) / len(parts))
        for k, part in enumerate(parts)
    )
    confidence = mean_char_confidence ** len(text)
    return FoundLine(quad, 1.0), LineResult(
        "", text, confidence, words, (mean_char_confidence,) * len(text)
    )


GOOD = {y: 20 for y in range(10, 250, 40)}


def test_pale_and_doubtful_lines_are_left_out() -> None:
    image = printed({**GOOD, 260: 215, 300: 215, 340: 20})
    read = [line(y, 0.99) for y in GOOD]
    read += [line(260, 0.8, "ghost"), line(300, 0.97, "grey caption"), line(340, 0.8, "hard")]
    kept = [result.text for _, result in drop_bleed_through(image, read)]
    assert kept[len(GOOD) :] == ["grey caption", "hard"]


def test_pale_words_at_the_ends_of_a_line_are_left_out() -> None:
    image = printed({**GOOD, 260: 20})
    image[260:290, 366:] = np.where(image[260:290, 366:] < 100, 220, 240)
    read = [line(y, 0.99) for y in GOOD] + [line(260, 0.85, "this side odtil")]
    _, result = drop_bleed_through(image, read)[-1]
    assert result.text == "this side"
    assert [word.text for word in result.words] == ["this", "side"]
    assert len(result.characters) == len(result.text)


def test_a_page_that_is_pale_all_over_stays() -> None:
    image = printed(dict.fromkeys(GOOD, 215))
    read = [line(y, 0.8) for y in GOOD]
    assert drop_bleed_through(image, read) == read
