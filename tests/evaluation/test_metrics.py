from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ocrtool.evaluation.items import Item, Reading
from ocrtool.evaluation.metrics import (
    CALIBRATION,
    calibration,
    character_errors,
    confusions,
    word_errors,
    word_overlap,
)
from ocrtool.evaluation.normalise import Comparison, Normalisation
from ocrtool.evaluation.protocols import PROTOCOLS
from ocrtool.training.metrics import edit_distance


def test_error_rates_are_edit_distances() -> None:
    truth, said = "the harbour was built", "the harbor was builtt up"
    assert character_errors(truth, said) == (edit_distance(truth, said), len(truth))
    assert word_errors(truth, said) == (edit_distance(truth.split(), said.split()), 4)
    assert character_errors(truth, "") == (len(truth), len(truth))


def test_word_overlap_counts_repetitions() -> None:
    assert word_overlap("a a b", "a b b c") == (2, 4, 3)


def test_calibration_is_the_gap_between_confidence_and_rightness() -> None:
    words = [("the", 0.9), ("cat", 0.9), ("sot", 0.9)]
    addends = calibration(["the", "cat", "sat"], words)
    assert addends[-1] == 3
    import numpy as np

    error = CALIBRATION.combine(np.array([addends]))[0]
    assert error == pytest.approx(0.9 - 2 / 3)


def test_confusions() -> None:
    assert confusions("modern", "modem") == Counter({("r", "m"): 1, ("n", ""): 1})


@pytest.mark.parametrize(
    ("normalisation", "truth", "said", "same"),
    [
        ("ocr", "“Quoted” – twice", '"Quoted" -  twice\n', True),
        ("ocr", "a har-\nbour", "a harbour", True),
        ("ocr", "ﬁne", "fine", True),
        ("ocr", "Fine", "fine", False),
        ("none", "“Quoted”", '"Quoted"', False),
        ("none", " a\n", "a", True),
    ],
)
def test_normalisation(normalisation: str, truth: str, said: str, same: bool) -> None:
    how = Comparison(Normalisation(normalisation))
    assert (how.normal(truth) == how.normal(said)) is same


def test_case_can_be_ignored() -> None:
    how = Comparison(ignore_case=True)
    assert how.normal("STRASSE") == how.normal("straße")


@pytest.mark.parametrize(
    ("cased", "punctuation", "right"),
    [
        (False, False, {"Kelly's": "KELLYS", "NO.7": "no7"}),
        (True, False, {"Kelly's": "Kellys"}),
        (False, True, {"Kelly's": "KELLY'S"}),
        (True, True, {"Kelly's": "Kelly's"}),
    ],
)
def test_word_protocols(cased: bool, punctuation: bool, right: dict[str, str]) -> None:
    how = Comparison(cased=cased, punctuation=punctuation)
    words = PROTOCOLS["words"]
    for truth, said in right.items():
        score = words.score(Item("a", Path("a"), "", truth), Reading(said), how)
        assert score["accuracy"] == (1, 1)
    wrong = words.score(Item("a", Path("a"), "", "Kelly's"), Reading("Kelly5"), how)
    assert wrong["accuracy"] == (0, 1)
