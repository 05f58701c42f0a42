"""Line results without positions: words and characters share the line evenly."""

from __future__ import annotations

import pytest

from ocrtool.readers.line_results import char_probabilities, plain_result


def test_words_are_placed_by_their_characters() -> None:
    result = plain_result("a.png", " to be ", (0.5, 0.9, 0.8, 1.0, 0.7, 0.6, 0.5))
    assert (result.source, result.text) == ("a.png", "to be")
    assert result.characters == (0.9, 0.8, 1.0, 0.7, 0.6)
    assert result.confidence == pytest.approx(0.9 * 0.8 * 0.7 * 0.6)
    first, second = result.words
    assert (first.text, first.start, first.end) == ("to", 0.0, 0.4)
    assert (second.text, second.start, second.end) == ("be", 0.6, 1.0)
    assert first.confidence == pytest.approx(0.72)
    assert second.confidence == pytest.approx(0.42)


def test_a_text_below_the_threshold_is_withheld() -> None:
    result = plain_result("", "to be", (0.9,) * 5, min_confidence=0.6)
    assert (result.text, result.words) == ("", ())
    assert result.confidence == pytest.approx(0.9**5)
    assert plain_result("", "to be", (0.9,) * 5, min_confidence=0.5).text == "to be"


def test_characters_share_the_probability_of_their_token() -> None:
    assert char_probabilities("tobe", [("to", 0.25), ("be", 0.81)]) == [0.5, 0.5, 0.9, 0.9]
    longer = char_probabilities("be", [("\u2581be\u2581", 0.5**4)])
    assert longer == [0.5, 0.5]
    assert char_probabilities("to", []) == [1.0, 1.0]
    assert char_probabilities("", [("</s>", 0.5)]) == []
