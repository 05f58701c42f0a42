from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrtool.weights import BOS, EOS, PAD, UNK, Vocabulary

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_specials_come_first_and_characters_follow_by_code_point() -> None:
    vocabulary = Vocabulary.from_texts(["ba", "éa"])
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert vocabulary.entries == ("a", "b", "é")
    assert vocabulary.encode("abé") == [4, 5, 6]
    assert len(vocabulary) == 7


def test_unknown_characters_become_unk_and_are_shown() -> None:
    vocabulary = Vocabulary.from_texts(["ab"])
    assert vocabulary.encode("axb") == [4, UNK, 5]
    assert vocabulary.decode([BOS, 4, UNK, 5, EOS, PAD]) == "a\ufffdb"
    assert vocabulary.covers("ba") and vocabulary.covers("")
    assert not vocabulary.covers("bax")


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_round_trips(texts: list[str]) -> None:
    vocabulary = Vocabulary.from_texts(texts)
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    for text in texts:
        assert vocabulary.covers(text)
        assert vocabulary.decode(vocabulary.encode(text)) == text


def test_ambiguous_alphabets_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Vocabulary.from_json("aba")
    with pytest.raises(ValueError, match="single"):
        Vocabulary(("ab",))
    with pytest.raises(ValueError, match="string"):
        Vocabulary.from_json({"a": 1})  # type: ignore[arg-type]


def test_tokens_stand_between_spaces() -> None:
    vocabulary = Vocabulary.from_texts([r"\frac { a } { b }", r"\alpha a"], " ")
    assert vocabulary.entries == (r"\alpha", r"\frac", "a", "b", "{", "}")
    assert vocabulary.unit == "token"
    ids = vocabulary.encode(r"\frac { a }  { \beta }")
    assert ids == [5, 8, 6, 9, 8, UNK, 9]
    assert vocabulary.decode([BOS, *ids, EOS, PAD]) == r"\frac { a } { " + "\ufffd }"
    assert vocabulary.covers(r"a \alpha") and not vocabulary.covers("alpha")
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_ambiguous_tokens_are_refused() -> None:
    for entries in (["a", "a"], ["a b"], [""], ["a", 1]):
        with pytest.raises(ValueError):
            Vocabulary.from_json(entries)  # type: ignore[arg-type]
