"""A grid of rules is told from the strokes of a formula."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtool.document.lines import DetectedLayout, Region, Rule
from ocrtool.document.tree import Box
from ocrtool.layout.content_type import is_formula


def picture(rules: list[Rule]) -> np.ndarray:
    """Rules on paper."""
    image = np.full((240, 640), 255, np.uint8)
    for rule in rules:
        half = rule.width / 2
        x0, x1 = int(rule.x0 - half * (not rule.level)), int(rule.x1 + half * (not rule.level))
        y0, y1 = int(rule.y0 - half * rule.level), int(rule.y1 + half * rule.level)
        image[y0:y1, x0:x1] = 0
    return image


def level(y: float, x0: float, x1: float) -> Rule:
    return Rule(x0, y, x1, y, 4)


def upright(x: float, y0: float, y1: float) -> Rule:
    return Rule(x, y0, x, y1, 4)


GRID = [level(y, 40, 600) for y in (30, 120, 210)] + [upright(x, 30, 210) for x in (40, 300, 600)]
BRACKETS = [level(y, x, x + 90) for y, x in ((120, 60), (120, 220), (120, 420))]
BRACKETS += [upright(x, 30, 210) for x in (40, 340, 600)]


@pytest.mark.parametrize(("rules", "formula"), [(GRID, False), (BRACKETS, True), ([], True)])
def test_only_rules_that_meet_make_a_table(rules: list[Rule], formula: bool) -> None:
    def read(_: object) -> list:
        raise AssertionError("there is no line to read")

    seen = Region("table", Box(260, 90, 380, 150), 0.6)  # as the detector sees a part of either
    assert is_formula(picture(rules), DetectedLayout((), (seen,)), read) is formula
