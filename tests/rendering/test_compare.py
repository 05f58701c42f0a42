"""Formulas drawn and compared with their pictures."""

from __future__ import annotations

import numpy as np
import pytest

from drawn_formulas import draw
from ocrtool.latex_syntax import detokenize, normal
from ocrtool.rendering import tex
from ocrtool.rendering.compare import closeness, verify, verify_all
from ocrtool.rendering.render import Renderer, TexRenderer, ZiamathRenderer, open_renderer
from ocrtool.synth.formulas import FORMULA_STYLES, SHIPPED, FormulaSource

needs_tex = pytest.mark.skipif(not tex.have_tex(), reason="there is no pdflatex")
FORMULAS = [r"E=mc^{2}", r"\frac{a+b}{c}", r"\sum_{i=1}^{n}i", r"\hat{\theta}\in\Theta",
            r"f=\begin{cases}1&x>0\\0&\text{otherwise}\end{cases}", r"\sqrt{2\pi n}",
            r"(\frac{p}{q})^{k}", r"\begin{pmatrix}1&0\\0&1\end{pmatrix}"]  # fmt: skip


@pytest.fixture(params=[ZiamathRenderer, pytest.param(TexRenderer, marks=needs_tex)])
def renderer(request: pytest.FixtureRequest) -> Renderer:
    return request.param()


def test_pictures_are_cut_and_what_is_no_formula_has_none(renderer: Renderer) -> None:
    bad = [r"\nosuch{x}", "{", "", r"\input{/etc/passwd}", r"\loop\iftrue\repeat"]
    drawn = renderer.render([*bad, *FORMULAS])
    assert all(picture is None for picture in drawn[: len(bad)])
    for picture in drawn[len(bad) :]:
        assert picture is not None and picture.dtype == np.uint8 and picture.ndim == 2
        ink = picture < 128
        assert ink.any() and not ink[0].any() and not ink[:, -1].any()
        assert min(picture.shape) > 12
    looks = renderer.looks([*bad, *FORMULAS])
    assert [len(one) > 0 for one in looks] == [picture is not None for picture in drawn]
    assert all(
        np.array_equal(one[0], picture)
        for one, picture in zip(looks, drawn, strict=True)
        if picture is not None
    )


@needs_tex
def test_brackets_grow_and_limits_move() -> None:
    looks = TexRenderer().looks([r"(\frac{p}{q})^{k}", r"\sum_{i}i", "x"])
    assert [len(one) for one in looks] == [4, 2, 1]


def test_the_formula_that_is_shown_is_found(renderer: Renderer) -> None:
    drawn = renderer.render(FORMULAS)
    pictures = [np.pad(255 - p, 20, mode="edge") for p in drawn if p is not None]  # dark mode
    turned = [(FORMULAS * 2)[i : i + 3] for i in range(len(FORMULAS))]
    candidates = [group[i % 3 :] + group[: i % 3] for i, group in enumerate(turned)]
    verdicts = verify_all(pictures, candidates, renderer)
    for formula, group, verdict in zip(FORMULAS, candidates, verdicts, strict=True):
        assert group[verdict.index] == formula
        assert verdict.agrees and verdict.closeness > 0.8


def test_one_mistake_is_less_close(renderer: Renderer) -> None:
    wrong = [[r"E=mc_{2}", r"E=nc^{2}", "E=m^{2}"], [r"\frac{a+b}{e}", r"\frac{a-b}{c}"],
             [r"\sum_{i=1}^{n}j", r"\sum_{i=1}i"]]  # fmt: skip
    asked = [*FORMULAS[:3], *(latex for group in wrong for latex in group)]
    pictures = renderer.render(asked)
    rights, drawn = pictures[:3], iter(pictures[3:])
    for right, group in zip(rights, wrong, strict=True):
        assert right is not None
        for _ in group:
            other = next(drawn)
            assert other is not None
            assert closeness(right, other) < closeness(right, right)
    assert rights[0] is not None
    verdict = verify(rights[0], [*wrong[0], FORMULAS[0]], renderer)
    assert verdict.index == 3 and verdict.agrees
    assert not verify(rights[0], [r"E=nc^{2}", "E=m^{2}"], renderer).agrees


def test_closeness_is_of_ink() -> None:
    page = np.full((60, 200), 255, np.uint8)
    one, other = draw(("a", "+", "b")), draw(("\\frac", "{", "1", "}", "{", "2", "}"))
    assert closeness(page, one) == closeness(one, page) == 0
    assert closeness(one, one) > 0.95
    assert 0 <= closeness(one, other) < 0.5
    with pytest.raises(ValueError):
        closeness(np.zeros((0, 3), np.uint8), one)


def test_without_candidates_there_is_no_verdict(renderer: Renderer) -> None:
    page = np.full((60, 200), 255, np.uint8)
    with pytest.raises(ValueError, match="nothing"):
        verify(page, [], renderer)
    verdict = verify(page, ["x", r"\nosuch"], renderer)
    assert (verdict.index, verdict.closeness, verdict.agrees) == (0, 0.0, False)


@needs_tex
@pytest.mark.slow
def test_damaged_pictures_in_other_fonts_are_known() -> None:
    source = FormulaSource(
        [SHIPPED], seed=4, looks={k: FORMULA_STYLES[k] for k in ("clean", "screen")}
    )
    lines = [source.draw(i) for i in range(len(source))]
    labels = [detokenize(line.text.split(" ")) for line in lines]
    candidates = [[label, *(other for other in labels[:5] if other != label)] for label in labels]
    verdicts = verify_all([line.image for line in lines], candidates, TexRenderer())
    assert sum(verdict.index == 0 for verdict in verdicts) >= len(verdicts) - 1
    assert sum(verdict.agrees for verdict in verdicts) >= len(verdicts) - 2
    assert all(normal(label) for label in labels)


def test_the_best_renderer_is_opened() -> None:
    best = open_renderer()
    assert best is not None
    assert best.name == ("TeX" if tex.have_tex() else "ziamath")
