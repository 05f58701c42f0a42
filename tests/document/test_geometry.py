"""Skew and boxes of lines on a tilted page."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ocrtool.document.geometry import (
    DESCENT,
    SMALL_DESCENT,
    angle,
    baseline,
    centers,
    direction,
    height,
    hull,
    is_upright,
    part_of,
    points_inside,
    shared_areas,
    skew,
    straight_boxes,
    straight_rules,
    usual_height,
    words_of,
)
from ocrtool.document.lines import Rule
from ocrtool.document.tree import Box, Line, Quad, Word

LINES = [Box(20, 20 + 30 * i, 220 + 10 * i, 40 + 30 * i) for i in range(5)]


def quad(box: Box, degrees: float = 0.0) -> Quad:
    """Return the corners of a box, rotated clockwise about the origin."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
    a, b, c, d = ((cosine * x - sine * y, sine * x + cosine * y) for x, y in corners)
    return a, b, c, d


@pytest.mark.parametrize("degrees", [0.0, -7.5, 3.0])
def test_lines_of_a_tilted_page_become_level(degrees: float) -> None:
    quads = [quad(box, degrees) for box in LINES]
    corners = np.array(quads)
    assert math.degrees(skew(corners)) == pytest.approx(degrees, abs=1e-6)
    lines, areas = straight_boxes(quads)
    wanted = [(box.x0, box.y0, box.x1, box.y1) for box in LINES]
    assert lines == pytest.approx(np.array(wanted), abs=1e-3) and areas.shape == (0, 4)
    (x0, y0), (x1, y1), *_ = quad(Box(20, 45, 220, 46), degrees)
    (rule,) = straight_rules([Rule(x0, y0, x1, y1, 2.0)], quads)
    assert (rule.x0, rule.y0, rule.x1, rule.y1) == pytest.approx((20, 45, 220, 45))
    assert rule.width == 2.0 and rule.level


def test_steep_lines_are_not_skew() -> None:
    assert skew(np.array([quad(box, 25) for box in LINES])) == 0.0
    assert skew(np.zeros((0, 4, 2))) == 0.0
    one = np.array([*(quad(box, 90) for box in LINES), quad(LINES[0], 3)])
    assert skew(one) == 0.0  # most of the text runs downwards


def test_boxes_and_parts_of_lines() -> None:
    assert Box.around((quad(LINES[0]), LINES[4])) == Box(20, 20, 260, 160)
    assert part_of(quad(Box(0, 0, 100, 10)), 0.25, 0.5) == quad(Box(25, 0, 50, 10))
    assert usual_height([]) == 0.0
    lines = [Line("a", 1.0, quad(Box(0, 0, 10, height))) for height in (8, 50, 12)]
    assert usual_height(lines) == 12


def test_areas_and_overlaps() -> None:
    assert Box(0, 0, 4, 5).area == 20 and Box(4, 0, 0, 5).area == 0
    assert Box(0, 0, 10, 10).share_in(Box(5, 0, 20, 20)) == 0.5
    assert Box(0, 0, 10, 10).share_in(Box(10, 0, 20, 20)) == 0.0
    assert Box(0, 0, 0, 0).share_in(Box(0, 0, 9, 9)) == 0.0
    assert Box(0, 0, 10, 4).overlap_x(Box(8, 7, 20, 9)) == 2
    assert Box(0, 0, 10, 4).overlap_y(Box(8, 7, 20, 9)) == -3
    assert Box(0, 0, 10, 4).is_near(Box(8, 7, 20, 9), 4)
    assert not Box(0, 0, 10, 4).is_near(Box(8, 7, 20, 9), 3)


def test_boxes_are_changed() -> None:
    box = Box(1, 2, 11, 6)
    assert (box.width, box.height, box.center_x, box.center_y) == (10, 4, 6, 4)
    assert box.contains(12, 3, 2) and not box.contains(12, 3)
    assert box.expanded(2).clipped(12, 7) == Box(0, 0, 12, 7)
    assert box.scaled(2).moved(-2, -4) == Box(0, 0, 20, 8)


def test_arrays_of_boxes() -> None:
    boxes = np.array([(0, 0, 10, 10), (20, 0, 30, 40)], np.float32)
    assert hull(boxes) == Box(0, 0, 30, 40)
    assert centers(boxes).tolist() == [[5, 5], [25, 20]]
    assert points_inside(centers(boxes), Box(0, 0, 6, 6)).tolist() == [True, False]
    assert shared_areas(Box(5, 5, 25, 25), boxes).tolist() == [25, 100]


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
