from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from evaluation.drawn_sets import draw_text
from ocrtool.evaluation.benchmarks.formulas import PROTOCOL, bleu, score
from ocrtool.evaluation.items import Item, Reading
from ocrtool.evaluation.job import load
from ocrtool.evaluation.normalise import Comparison
from ocrtool.latex_syntax import normal

TRUTHS = [r"\frac{a}{b}+c^2=d", r"\sum_{i=1}^{n} x_i", r"E=mc^{2}"]


def scores(readings: list[str]) -> list[dict[str, tuple[float, ...]]]:
    return [
        score(Item(str(i), Path("a"), "", truth), Reading(said), Comparison())
        for i, (truth, said) in enumerate(zip(TRUTHS, readings, strict=True))
    ]


def test_other_ways_to_write_a_formula_are_right() -> None:
    for found in scores([r"{a \over b} + c^{2} = d", r"\sum^n_{i=1}x_{i}", r"$E = m c^2$"]):
        assert found["exact"] == found["edit_similarity"] == found["parses"] == (1, 1)


def test_errors_are_counted_in_tokens() -> None:
    one, none, broken = scores([r"\frac{a}{b}+c^3=e", "", r"\frac{a"])
    assert [one[key][0] for key in ("exact", "at_most_1", "at_most_2")] == [0, 0, 1]
    assert none["edit_similarity"] == broken["edit_similarity"] == (0, 1)
    assert none["parses"] == broken["parses"] == (0, 1)


def test_bleu_is_that_of_sacrebleu() -> None:
    said = [r"\frac{a}{b}+c^2=e", r"\sum_{i=1}^{n} x_j", r"E=mc^{3}"]
    sums = np.sum([found["bleu"] for found in scores(said)], axis=0)
    wanted, found = ([" ".join(normal(text)) for text in texts] for texts in (TRUTHS, said))
    published = BLEU(tokenize="none", smooth_method="none", force=True)
    assert bleu(sums) == pytest.approx(published.corpus_score(found, [wanted]).score / 100)
    assert bleu(np.stack([sums, 2 * sums])).shape == (2,)


def test_unimer_test(tmp_path: Path) -> None:
    for part, count in (("spe", 2), ("hwe", 1)):
        (tmp_path / f"{part}.txt").write_text("\n".join(TRUTHS[:count]))
        for number in range(count):
            draw_text("x", tmp_path / part / f"{number:07}.png")
    (tmp_path / "hwe.txt").write_text("\n".join([TRUTHS[2], TRUTHS[0]]))
    found = load(tmp_path, None)
    assert found.protocol == PROTOCOL.name
    assert [(item.name, item.group, item.truth) for item in found.items] == [
        ("hwe/0000000", "hwe", TRUTHS[2]),
        ("spe/0000000", "spe", TRUTHS[0]),
        ("spe/0000001", "spe", TRUTHS[1]),
    ]
    assert found.problems == (f"{tmp_path / 'hwe.txt'}:2: there is no image hwe/0000001",)


def test_im2latex(tmp_path: Path) -> None:
    draw_text("x", tmp_path / "formula_images" / "abc.png")
    (tmp_path / "im2latex_formulas.lst").write_text("\n".join(TRUTHS))
    listing = tmp_path / "im2latex_test.lst"
    listing.write_text("2 abc basic\n17 abc basic\n")
    found = load(listing, None)
    assert [(item.name, item.truth) for item in found.items] == [("abc", TRUTHS[2])]
    assert found.problems == (f"{listing}:2: not the number of a formula and an image",)


def test_labels_of_crohme_and_truths_that_do_not_parse(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw_text("x", tmp_path / "img" / f"{name}.png")
    (tmp_path / "caption.txt").write_text("a\tx ^ { 2 }\nb\t\\frac { x\n")
    found = load(tmp_path, None)
    assert [item.name for item in found.items] == ["a"]
    assert found.problems == (
        f"{tmp_path / 'caption.txt'}:2: not LaTeX that can be parsed: \\frac {{ x",
    )
