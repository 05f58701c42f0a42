"""Signs of a formula are found in its picture, whatever TeX's order and the damage."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtool.models import FORMULA_CELL
from ocrtool.models.presets import FORMULA
from ocrtool.rendering import tex
from ocrtool.rendering.tex import Glyph
from ocrtool.synth.formula_alignment import UNKNOWN, token_positions
from ocrtool.synth.formula_shards import Shards
from ocrtool.synth.formulas import FORMULA_STYLES, SHIPPED, FormulaSource
from ocrtool.training.data import Preparation
from ocrtool.weights import Vocabulary


def in_a_row(characters: str) -> list[Glyph]:
    return [Glyph(character, 10.0 * i, 0.0) for i, character in enumerate(characters)]


def found(label: str, characters: str) -> dict[str, float]:
    tokens = label.split(" ")
    places = token_positions(label, in_a_row(characters))
    return {f"{int(number)}:{tokens[int(number)]}": x / 10 for number, x, _ in places}


def test_an_exponent_comes_before_its_index() -> None:
    label = "x _ { i } ^ { 2 } = y"
    assert found(label, "x2i=y") == {"0:x": 0, "3:i": 2, "7:2": 1, "9:=": 3, "10:y": 4}


def test_names_and_alphabets_are_letters() -> None:
    label = r"\sin \mathbf { F } - \mu"
    assert found(label, "sin𝐅−µ") == {r"0:\sin": 1, "3:F": 3, "5:-": 4, r"6:\mu": 5}


def test_signs_that_the_font_does_not_name_are_told_by_their_neighbours() -> None:
    assert found(r"a \sum b", f"a{UNKNOWN}b") == {"0:a": 0, r"1:\sum": 1, "2:b": 2}
    assert found(r"a \sum b", f"a{UNKNOWN}{UNKNOWN}b") == {"0:a": 0, "2:b": 3}
    assert token_positions("x", []).shape == (0, 3)


@pytest.mark.skipif(not tex.have_tex(), reason="there is no pdflatex")
def test_tex_tells_where_it_set_what() -> None:
    typeset = tex.draw_formulas([r"\frac{a}{b}"], tex.TexStyle())[0]
    assert typeset is not None
    (_, ax, ay), (_, bx, by) = token_positions(r"\frac { a } { b }", typeset.glyphs)
    height, width = typeset.image.shape
    assert abs(ax - bx) < 0.2 * width and abs(ax - width / 2) < 0.3 * width
    assert ay < 0.5 * height < by


@pytest.mark.parametrize("name", FORMULA_STYLES)
def test_places_follow_their_signs_through_all_damage(name: str) -> None:
    """In the cell that is named, or beside it, there is ink."""
    source = FormulaSource([SHIPPED], seed=3, looks={name: FORMULA_STYLES[name]})
    near = []
    for index in range(len(source)):
        picture = source.draw(index)
        vocabulary = Vocabulary.from_texts([picture.text], " ")
        ready = Preparation(FORMULA, vocabulary).ready(picture)
        across = ready.pixels.shape[2] // FORMULA_CELL[1]
        ink = ready.pixels[0] > 0.6
        for cell in ready.signs[ready.signs >= 0]:
            y, x = cell // across * FORMULA_CELL[0], cell % across * FORMULA_CELL[1]
            near.append(ink[max(0, y - 4) : y + 20, max(0, x - 4) : x + 12].any())
    assert len(near) > 100 and np.mean(near) > 0.98


def test_tokens_that_draw_nothing_announce_what_follows() -> None:
    drawn = Shards([SHIPPED]).get(0, 0)
    assert len(drawn.places) and (np.diff(drawn.places[:, 0]) > 0).all()
    picture = FormulaSource([SHIPPED], looks={}).draw(0)
    preparation = Preparation(FORMULA, Vocabulary.from_texts([picture.text], " "))
    ready = preparation.ready(picture)
    numbers = picture.places[:, 0].astype(int)
    assert np.flatnonzero(ready.signs >= 0).tolist() == numbers.tolist()
    batch = preparation.collate([ready])
    start = 0
    for number in numbers:
        assert set(batch.places[0, start : number + 1].tolist()) == {ready.signs[number]}
        start = number + 1
    assert (batch.places[0, start:] == -1).all()
