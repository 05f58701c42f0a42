"""DrawnFormula formulas: TeX's pages never slip against their labels, and damage is seeded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ocrtool.errors import InputError
from ocrtool.latex_syntax import is_valid, normal
from ocrtool.rendering import tex
from ocrtool.synth.formula_shards import DrawnFormula, Shards, draw_shards, write_shard
from ocrtool.synth.formula_texts import (
    LENGTHS,
    Formula,
    composed,
    drawable,
    drawable_formulas,
    is_held_out,
    ordered,
)
from ocrtool.synth.formula_vocabulary import formula_tokens
from ocrtool.synth.formulas import FORMULA_STYLES, SHIPPED, FormulaSource, main

HERE = Path(__file__).parent
SHARD = SHIPPED
"""`formulas.txt` as TeX drew it."""
TEXTS = (HERE / "formulas.txt").read_text().splitlines()

needs_tex = pytest.mark.skipif(not tex.have_tex(), reason="there is no pdflatex")


@pytest.fixture(scope="module")
def source() -> FormulaSource:
    return FormulaSource([SHARD], seed=5)


def test_a_formula_depends_on_seed_and_index_only(source: FormulaSource) -> None:
    again = FormulaSource([SHARD], seed=5)
    other = FormulaSource([SHARD], seed=6)
    forward = [source.draw(i) for i in range(40)]
    backward = [again.draw(i) for i in reversed(range(40))][::-1]
    for line, twin in zip(forward, backward, strict=True):
        assert line.text == twin.text
        assert np.array_equal(line.image, twin.image)
    assert [line.text for line in forward] != [other.draw(i).text for i in range(40)]


def test_each_formula_comes_once_a_round(source: FormulaSource) -> None:
    labels = {" ".join(normal(text)) for text in TEXTS}
    assert {source.clean(i).label for i in range(len(source))} == labels
    assert {source.clean(i).label for i in range(len(source), 2 * len(source))} == labels


@pytest.mark.parametrize("name", FORMULA_STYLES)
def test_every_look_shows_ink(name: str) -> None:
    source = FormulaSource([SHARD], looks={name: FORMULA_STYLES[name]})
    for index in range(20):
        line = source.draw(index)
        assert line.image.dtype == np.uint8 and line.image.ndim == 2
        assert np.ptp(line.image) > 30
        assert is_valid(line.text.split(" "))


def test_without_looks_the_picture_is_clean() -> None:
    source = FormulaSource([SHARD], looks={})
    image = source.draw(0).image
    assert image.max() == 255 and image.min() < 60
    assert np.all(image[0] > 240) and np.all(image[:, 0] > 240)


def test_lengths_are_chosen() -> None:
    short = FormulaSource([SHARD], max_tokens=12)
    long = FormulaSource([SHARD], min_tokens=13)
    assert all(short.draw(i).text.count(" ") < 12 for i in range(30))
    assert all(long.draw(i).text.count(" ") >= 12 for i in range(30))
    with pytest.raises(InputError):
        FormulaSource([SHARD], max_tokens=1)


def test_few_shards_are_in_memory_and_none_that_is_no_shard(tmp_path: Path) -> None:
    image = np.full((8, 12), 255, np.uint8)
    image[2:6, 3:9] = 0
    paths = [tmp_path / f"{i}.npz" for i in range(30)]
    for i, path in enumerate(paths):
        write_shard(path, [DrawnFormula(image, f"x _ {{ {i % 10} }}", 30.0)])
    shards = Shards(paths)
    for i in range(30):
        assert np.array_equal(shards.get(i, 0).image, image)
    assert len(shards._open) < 30
    (tmp_path / "no.npz").write_bytes(b"no")
    with pytest.raises(InputError):
        FormulaSource([tmp_path / "no.npz"])


def test_formulas_to_draw_are_known_and_different() -> None:
    lines = [*TEXTS, r"\nosuch{x}", TEXTS[0], r"E=mc^{2}", "{broken", r"\mathcal{a}"]
    found = list(drawable_formulas(lines, 200))
    assert [f.label for f in found] == [" ".join(normal(text)) for text in TEXTS]
    assert not [f for f in drawable_formulas(lines, 5) if f.tokens > 5]
    assert drawable(r"\begin{split} a \label{b} \end{split}").split() == [
        r"\begin{aligned}", "a", r"\end{aligned}",
    ]  # fmt: skip


def test_composed_formulas_can_be_learnt() -> None:
    rng = np.random.default_rng(1)
    parts = list(
        drawable_formulas([*TEXTS, "x", "y_2", r"\alpha", "n+1", "2k", "a = b + c + d"], 200)
    )
    made = composed(parts, 60, rng, 200)
    assert len(made) == 60
    known = set(formula_tokens())
    for formula in made:
        assert set(formula.label.split(" ")) <= known
        assert formula.label == " ".join(normal(formula.latex))


def test_the_order_is_a_fair_mix_with_rare_tokens_early() -> None:
    long = [Formula("", "a " * 30 + f"b{i}") for i in range(300)]
    short = [Formula("", f"x y{i % 40}") for i in range(5000)]
    rare = [Formula("", f"x {'rare' if i < 10 else 'often'}") for i in range(4000)]
    order = ordered(long + short + rare, np.random.default_rng(0))
    assert len(order) == 9300
    first = order[:400]
    share = sum(f.tokens > LENGTHS[0][0] for f in first) / 400
    assert 0.4 < share < 0.7
    places = [i for i, f in enumerate(order) if f.label == "x rare"]
    assert np.mean(places) < 0.6 * len(order)
    held = sum(is_held_out(Formula("", f"x {i}")) for i in range(5000))
    assert 20 < held < 90


@needs_tex
def test_a_formula_that_tex_rejects_does_not_move_the_others() -> None:
    good = ["x", r"\frac{a}{b}", "a+b+c+d", r"\sum_{i}", "y"]
    alone = tex.draw_formulas(good, tex.TexStyle())
    assert all(picture is not None for picture in alone)
    bad = ["x", r"\undefinedcommand", r"\frac{a}{b}", "x}{", "a+b+c+d", "x^2^2", r"\sum_{i}",
           r"\begin{nosuch}", r"\char255", "y", r"\hskip 9999pt x"]  # fmt: skip
    drawn = tex.draw_formulas(bad, tex.TexStyle())
    left = dict(zip(bad, drawn, strict=True))
    for text, picture in zip(good, alone, strict=True):
        seen = left.pop(text)
        assert seen is not None and picture is not None
        assert np.array_equal(seen.image, picture.image), text
    assert all(picture is None for picture in left.values())


@needs_tex
def test_a_run_that_dies_is_divided() -> None:
    drawn = tex.draw_formulas(["x", r"\end{document}", "y", r"\input{nosuchfile}"],
                              tex.TexStyle())  # fmt: skip
    assert drawn[0] is not None and drawn[2] is not None
    assert drawn[3] is None


@needs_tex
@pytest.mark.slow
def test_a_formula_without_end_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tex, "_RUN_SECONDS", 0.8)
    monkeypatch.setattr(tex, "_FORMULA_SECONDS", 0.0)
    formulas = [f"x_{{{i}}}" for i in range(200)]
    formulas[150] = r"\loop\iftrue\repeat"
    drawn = tex.draw_formulas(formulas, tex.TexStyle())
    assert [i for i, picture in enumerate(drawn) if picture is None] == [150]


@needs_tex
def test_texts_become_shards_and_shards_pictures(tmp_path: Path, capsys) -> None:
    main([str(HERE / "formulas.txt"), "-o", str(tmp_path), "--count", "8", "--seed", "3"])
    paths = capsys.readouterr().out.split()
    assert [Path(path).name for path in paths] == ["0000.npz", "0001.npz"]
    before = [Path(path).stat().st_mtime_ns for path in paths]
    source = FormulaSource([Path(path) for path in paths], looks={})
    assert len(source) == 8
    labels = {" ".join(normal(text)) for text in TEXTS}
    assert {source.draw(i).text for i in range(8)} <= labels
    draw_shards([], tmp_path, quiet=True)
    main([str(HERE / "formulas.txt"), "-o", str(tmp_path), "--count", "8", "--seed", "3"])
    assert before == [Path(path).stat().st_mtime_ns for path in paths]
