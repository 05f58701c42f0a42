"""Direction, height, baseline and words of a line."""

from __future__ import annotations

import pytest

from ocrtool.document.line_metrics import (
    DESCENT,
    SMALL_DESCENT,
    angle,
    baseline,
    direction,
    height,
    is_upright,
    words_of,
)
from ocrtool.document.tree import Box, Line, Quad, Word

LEVEL: Quad = ((10, 20), (110, 20), (110, 40), (10, 40))
UPWARDS: Quad = ((20, 110), (20, 10), (40, 10), (40, 110))


def test_a_line_may_run_in_any_direction() -> None:
    assert is_upright(LEVEL) and not is_upright(UPWARDS)
    assert angle(LEVEL) == 0 and angle(UPWARDS) == pytest.approx(90)
    assert direction(UPWARDS) == (0, -1) and direction(((1, 1),) * 4) == (1, 0)
    assert height(LEVEL) == height(UPWARDS) == 20 and height(((1, 1),) * 4) == 1
    assert Box.of(UPWARDS) == Box(20, 10, 40, 110)
    assert Box.around([LEVEL, UPWARDS]) == Box(10, 10, 110, 110)


@pytest.mark.parametrize(
    ("text", "descent"), [("Hat", 0), ("man", 0), ("Hag", DESCENT), ("pug", SMALL_DESCENT)]
)
def test_the_baseline_depends_on_descenders(text: str, descent: float) -> None:
    start, end = baseline(Line(text, 1.0, LEVEL))
    assert start == pytest.approx((10, 40 - 20 * descent))
    assert end == pytest.approx((110, 40 - 20 * descent))


def test_words_of_a_line_without_positions_are_placed_by_length() -> None:
    line = Line("to be", 0.8, LEVEL)
    first, second = words_of(line)
    assert (first.text, second.text, first.confidence) == ("to", "be", 0.8)
    assert first.box == Box(10, 20, 50, 40) and second.box.x0 == 70
    known = (Word("to be", 0.9, LEVEL),)
    assert words_of(Line("to be", 0.8, LEVEL, known)) is known
    assert words_of(Line(" ", 0.8, LEVEL)) == ()
