from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from ocrtool.engines import read_metadata
from ocrtool.errors import ModelError
from ocrtool.models.presets import EQUATION_VLM_SMALL
from ocrtool.training.checkpoint import Checkpoint, write_folder
from ocrtool.weights import BOS, EOS, PAD, SPECIALS, UNK
from ocrtool.weights.bpe import BpeVocabulary
from published_parts import byte_tokenizer

TEXTS = [r"\frac{a}{b}", r"x^{2}+y^{2}", r"\alpha\beta", "for all x"]
SOURCE = byte_tokenizer(TEXTS, 270).to_str()
PLAIN = BpeVocabulary.from_tokenizer(SOURCE)
LATEX = BpeVocabulary.from_tokenizer(SOURCE, " ")


def test_special_tokens_of_published_tokenizers_have_our_ids() -> None:
    tokens = json.loads(SOURCE)["added_tokens"]
    ids = {token["content"]: token["id"] for token in tokens}
    assert ids["<|endoftext|>"] == PAD
    assert ids["<|im_start|>"] == BOS
    assert ids["<|im_end|>"] == EOS
    assert ids["<repo_name>"] == UNK
    assert len(PLAIN) == 270 and len(PLAIN.entries) == 266


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
@settings(max_examples=50, deadline=None)
def test_every_text_comes_back(text: str) -> None:
    ids = PLAIN.encode(text)
    assert PLAIN.covers(text)
    assert min(ids, default=SPECIALS) >= SPECIALS
    assert PLAIN.decode([BOS, *ids, EOS, PAD]) == text


@pytest.mark.parametrize(
    "text",
    [
        r"\frac { a } { b }",
        r"\alpha x ^ { 2 } \text { f o r ~ a l l }",
        r"\begin{matrix} a & b \\ c & d \end{matrix}",
        r"\operatorname* { m a x }",
        "",
    ],
)
def test_latex_is_tokens_outside_and_pieces_inside(text: str) -> None:
    ids = LATEX.encode(text)
    assert LATEX.decode(ids) == text
    assert LATEX.split(text) == text.split()
    assert LATEX.unit == "token" and LATEX.separator == " "
    assert LATEX.encode(r"\frac { a } { b }") == PLAIN.encode(r"\frac{a}{b}")


def test_latex_that_is_cut_within_a_command_is_still_tokens() -> None:
    assert LATEX.decode(PLAIN.encode("x+\\")) == "x +"
    assert LATEX.decode(PLAIN.encode("{")) == "{"


def test_a_prompt_is_encoded_as_it_stands() -> None:
    assert LATEX.encode_prompt("LaTeX: ") == PLAIN.encode("LaTeX: ")
    assert LATEX.encode_prompt("LaTeX: ") != LATEX.encode("LaTeX: ")


def test_a_model_folder_holds_its_tokenizer(tmp_path: Path) -> None:
    config = replace(EQUATION_VLM_SMALL, vocab_size=270)
    files = Checkpoint(config, LATEX, {}).files()
    write_folder(tmp_path / "model", files)
    assert read_metadata(tmp_path / "model").vocabulary == LATEX
    assert pickle.loads(pickle.dumps(LATEX)) == LATEX
    (tmp_path / "model" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"damaged.*tokenizer\.json"):
        read_metadata(tmp_path / "model")


def test_tokenizers_of_other_kinds_are_refused() -> None:
    with pytest.raises(ModelError, match="damaged"):
        BpeVocabulary.from_tokenizer("{}")
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}, unk_token="a"))
    with pytest.raises(ModelError, match="no special tokens"):
        BpeVocabulary.from_tokenizer(words.to_str())
    words.add_special_tokens(["a", "b", "c", "d"])
    with pytest.raises(ModelError, match="cannot write every text"):
        BpeVocabulary.from_tokenizer(words.to_str())
