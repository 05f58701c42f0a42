"""Displayed formulas found on a page: pieces of one become one, and numbers go to theirs."""

from __future__ import annotations

import pytest

from ocrtool.document.lines import DetectedLayout, FoundLine, Region, RegionKind
from ocrtool.document.tree import Box, Line, Page, Quad
from ocrtool.structure import assemble
from ocrtool.structure.equations import is_number, with_formulas


def quad(x0: float, y0: float, x1: float, y1: float) -> Quad:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


class Said:
    words = ()
    confidence = 0.9
    reader = ""

    def __init__(self, text: str) -> None:
        self.text = text


LEFT, RIGHT = (
    Region("formula", Box(200, 200, 300, 240), 0.9),
    Region("formula", Box(340, 205, 400, 235), 0.7),
)
LINES = {
    "Let us suppose that the sum of both": quad(100, 150, 500, 170),
    "so that there is nothing to prove at": quad(100, 270, 500, 290),
}


def page(lines: dict[str, Quad], *regions: Region) -> Page:
    layout = DetectedLayout(tuple(FoundLine(q, 1.0) for q in lines.values()), regions)
    return assemble(1, (600, 800), layout, [Said(text) for text in lines])  # type: ignore[misc]


def line(text: str, x0: float, y0: float, x1: float, y1: float) -> Line:
    return Line(text, 1.0, quad(x0, y0, x1, y1))


def test_pieces_side_by_side_are_one_formula() -> None:
    prose = [line(text, *at[0], *at[2]) for text, at in LINES.items()]
    [one] = with_formulas([LEFT, RIGHT], prose)
    assert one == Region("formula", Box(200, 200, 400, 240), 0.9)


@pytest.mark.parametrize(
    ("between", "far"),
    [
        (line("and", 305, 210, 335, 230), 0),
        (line("above", 100, 150, 500, 170), 60),  # more white than a formula has
    ],
)
def test_what_is_apart_stays_apart(between: Line, far: float) -> None:
    box = Box(RIGHT.box.x0 + far, RIGHT.box.y0, RIGHT.box.x1 + far, RIGHT.box.y1)
    other = Region("formula", box, 0.7)
    assert len(with_formulas([LEFT, other], [between])) == 2


@pytest.mark.parametrize(
    ("text", "stays"), [("a = b + c", True), ("(12)", False), ("where x = nothing", False)]
)
def test_lines_over_a_formula_have_a_say(text: str, stays: bool) -> None:
    assert with_formulas([LEFT], [line(text, 198, 202, 302, 238)]) == [LEFT] * stays


@pytest.mark.parametrize("text", ["(12)", "25", "- 7 -", "(A.3)"])
def test_a_number_found_as_a_formula_is_none(text: str) -> None:
    number = Region("formula", Box(440, 205, 480, 235), 0.9)
    said = [line("a = b + c", 198, 202, 302, 238), line(text, 442, 210, 478, 230)]
    assert with_formulas([LEFT, number], said) == [LEFT]


def test_a_speck_is_no_formula() -> None:
    assert not with_formulas(
        [Region("formula", Box(300, 300, 320, 306), 0.9)], [line("x", 0, 0, 9, 20)]
    )


@pytest.mark.parametrize(
    ("kind", "box", "sure", "kept"),
    [
        ("figure", Box(230, 205, 260, 225), 0.99, ["formula"]),  # a letter
        ("rule", Box(210, 218, 290, 221), 0.99, ["formula"]),  # of a fraction
        ("figure", Box(195, 198, 310, 245), 0.8, ["formula"]),
        ("figure", Box(195, 198, 310, 245), 0.95, ["figure"]),
        ("figure", Box(0, 0, 600, 400), 0.5, ["figure", "formula"]),  # an article within a frame
        ("table", Box(0, 0, 600, 400), 0.5, ["table"]),
    ],
)
def test_what_is_in_the_place_of_a_formula(
    kind: RegionKind, box: Box, sure: float, kept: list[str]
) -> None:
    found = with_formulas([Region(kind, box, sure), LEFT], [])
    assert [region.kind for region in found] == kept


def test_a_page_of_one_formula_needs_no_lines() -> None:
    assert [block.kind for block in page({}, LEFT, RIGHT).blocks] == ["formula"]


def test_a_number_belongs_to_the_formula_beside_it() -> None:
    lines = {**LINES, "(2.1)": quad(460, 212, 500, 230)}
    before, formula, after = page(lines, LEFT).blocks
    assert (before.kind, formula.kind, after.kind) == ("paragraph", "formula", "paragraph")
    assert [line.text for line in formula.lines] == ["(2.1)"]
    assert formula.box == LEFT.box


@pytest.mark.parametrize(
    ("text", "y", "sure", "told"),
    [
        ("(3)", 210, 0.9, True),
        ("(3)", 260, 0.9, False),
        ("(3)", 210, 0.5, False),
        ("3)", 210, 0.9, False),
    ],
)
def test_a_number_beside_a_formula_is_known_by_it(
    text: str, y: float, sure: float, told: bool
) -> None:
    region = Region("formula", LEFT.box, sure)
    assert is_number(text, quad(480, y, 500, y + 20), [region]) is told


def test_a_number_in_prose_stays_there() -> None:
    lines = {**LINES, "(2.1)": quad(460, 300, 500, 318)}
    assert all("(2.1)" not in [line.text for line in block.lines]
               for block in page(lines, LEFT).blocks if block.kind == "formula")  # fmt: skip
