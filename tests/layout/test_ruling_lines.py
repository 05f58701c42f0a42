from __future__ import annotations

import cv2
import numpy as np
import pytest

from ocrtool.document.lines import DetectedLayout, FoundLine, Region
from ocrtool.document.tree import Box
from ocrtool.layout.ruling_lines import find_rules, table_rules

BOX = Box(100, 100, 900, 500)


def drawn(dark: int = 60, paper: int = 240) -> np.ndarray:
    """A grid of three columns and four rows with a line of text in each field."""
    image = np.full((700, 1000), paper, np.uint8)
    for y in range(100, 501, 100):
        cv2.line(image, (100, y), (900, y), dark, 2)
    for x in (100, 400, 700, 900):
        cv2.line(image, (x, 100), (x, 500), dark, 2)
    for y in range(160, 501, 100):
        for x in (110, 410, 710):
            cv2.putText(image, "Some words", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, dark, 2)
    return image


@pytest.mark.parametrize(("dark", "paper"), [(0, 255), (120, 200)])
def test_rules_of_a_grid_are_found_among_text(dark: int, paper: int) -> None:
    found = find_rules(drawn(dark, paper), BOX)
    level = sorted(round(rule.y0) for rule in found if rule.level)
    upright = sorted(round(rule.x0) for rule in found if not rule.level)
    assert level == pytest.approx([100, 200, 300, 400, 500], abs=2)
    assert upright == pytest.approx([100, 400, 700, 900], abs=2)
    assert all(rule.x1 - rule.x0 > 790 for rule in found if rule.level)


def test_rules_may_lie_askew_and_in_colour() -> None:
    turn = cv2.getRotationMatrix2D((500, 350), 1.0, 1.0)
    image = cv2.warpAffine(drawn(), turn, (1000, 700), borderValue=240)
    found = find_rules(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), Box(90, 80, 910, 520))
    level = [rule for rule in found if rule.level and rule.x1 - rule.x0 > 700]
    assert len(level) == 5
    assert all(10 < rule.y0 - rule.y1 < 16 for rule in level)  # the ends tell how it lies


def test_text_alone_has_no_rules() -> None:
    image = np.full((400, 1000), 255, np.uint8)
    for y in range(50, 400, 40):
        text = "illiterate mill will fill until still"
        cv2.putText(image, text, (20, y), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 2)
    assert find_rules(image, Box(0, 0, 1000, 400)) == []


def test_only_where_a_table_may_be() -> None:
    image = drawn()
    assert table_rules(image, DetectedLayout(())) == ()
    assert len(table_rules(image, DetectedLayout((), (Region("table", BOX, 0.9),)))) == 9
    strips = tuple(Region("rule", Box(100, y, 900, y + 2), 0.9) for y in range(100, 501, 100))
    assert len(table_rules(image, DetectedLayout((), strips))) == 9
    assert table_rules(image, DetectedLayout((), strips[:2])) == ()


def test_pale_rules_below_each_other_are_a_table_without_the_detector() -> None:
    paper = np.random.default_rng(1).normal(235, 3, (700, 1000))
    for y in range(100, 301, 50):
        paper[y : y + 2, 60:640] -= 30
    image = np.clip(paper, 0, 255).astype(np.uint8)
    lines = tuple(
        FoundLine(((x, y + 15), (x + 90, y + 15), (x + 90, y + 40), (x, y + 40)), 0.9)
        for y in range(100, 300, 50)
        for x in (80, 300)
    )
    found = table_rules(image, DetectedLayout(lines))
    assert [round(rule.y0) for rule in found] == pytest.approx(range(100, 301, 50), abs=1)
    figure = Region("figure", Box(40, 80, 700, 320), 0.9)
    assert table_rules(image, DetectedLayout(lines, (figure,))) == ()
    image[110:310] = image[320:520]  # all but the first
    assert table_rules(image, DetectedLayout(lines)) == ()


def test_a_hairline_in_pieces_is_one_rule_and_two_tables_are_two() -> None:
    paper = np.random.default_rng(1).normal(235, 3, (700, 1000))
    for y in range(100, 501, 50):
        paper[y : y + 2, 60:940] -= 25
        for x in (300, 480, 700):  # worn away, but for a trace
            paper[y : y + 2, x : x + 40] += 13
    for y0, y1 in ((100, 300), (324, 500)):
        paper[y0:y1, 60:62] = 120
    image = np.clip(paper, 0, 255).astype(np.uint8)
    found = find_rules(image, Box(0, 0, 1000, 700))
    level = [rule for rule in found if rule.level]
    assert [round(rule.y0) for rule in level] == pytest.approx(range(100, 501, 50), abs=1)
    assert all(rule.x0 < 80 and rule.x1 > 920 for rule in level)
    assert sum(not rule.level for rule in found) == 2


def test_a_table_found_in_part_has_its_rules_whole_and_letters_have_none() -> None:
    image = drawn()
    cv2.line(image, (130, 150), (190, 150), 60, 2)  # a stroke of a letter
    line = FoundLine(((110, 140), (300, 140), (300, 165), (110, 165)), 0.9)
    layout = DetectedLayout((line,), (Region("table", Box(300, 180, 600, 320), 0.9),))
    found = table_rules(image, layout)
    assert len(found) == 9
    assert all(rule.x1 - rule.x0 > 790 for rule in found if rule.level)


def test_a_picture_has_no_rules_of_tables() -> None:
    regions = (Region("figure", BOX, 0.9), Region("table", Box(100, 600, 900, 680), 0.9))
    assert table_rules(drawn(), DetectedLayout((), regions)) == ()
