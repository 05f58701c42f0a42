"""Words decide about letters that CTC can hardly tell apart."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ocrtool.decoding.autoregressive import DecodeOptions
from ocrtool.decoding.ctc import Decoded, greedy_path
from ocrtool.decoding.lexicon import (
    Lexicon,
    bundled_lexicon,
    counts_of,
    rescore_with_lexicon,
    shares_of,
)
from ocrtool.options import ReadOptions
from ocrtool.readers.lines import LineReader
from ocrtool.synth import LineSource, LineStyle
from ocrtool.training.metrics import rates
from ocrtool.weights import Vocabulary

ALPHABET = Vocabulary(tuple(" -0123èêabcdefhilmnorstuABCDILMNOST"))
LEXICON = Lexicon.of({"même": 1e-3, "cat": 1e-4, "con": 1e-4, "lace": 1e-6, "place": 1e-4})


def seen(text: str, doubts: dict[int, tuple[str, float]]) -> tuple[Decoded, np.ndarray]:
    """What CTC gives for a text: two frames a letter, a blank between; some letters in doubt.

    Args:
        text: What it reads.
        doubts: By place: another letter, and the probability that it has.
    """
    probabilities = np.full((3 * len(text), len(ALPHABET)), 1e-6)
    for i, id_ in enumerate(ALPHABET.encode(text)):
        other, share = doubts.get(i, ("", 0.0))
        probabilities[3 * i : 3 * i + 2, id_] = 1 - share
        if other:
            probabilities[3 * i : 3 * i + 2, ALPHABET.encode(other)[0]] = share
        probabilities[3 * i + 2, 0] = 1
    log_probs = np.log(probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32)
    return greedy_path(log_probs), log_probs


@pytest.mark.parametrize(
    ("text", "doubts", "wanted"),
    [
        ("mème", {1: ("ê", 0.4)}, "même"),
        ("a mème b", {3: ("ê", 0.1)}, "a même b"),
        ("mème", {1: ("ê", 0.01)}, "mème"),  # what is read surely stays, word or not
        ("même", {1: ("è", 0.45)}, "même"),
        ("coh", {2: ("n", 0.4)}, "con"),
        ("COh", {2: ("N", 0.3)}, "CON"),
        ("CAI", {2: ("T", 0.4)}, "CAI"),  # three capitals: an abbreviation
        ("ca1", {2: ("t", 0.45)}, "ca1"),  # a code
        ("012", {1: ("t", 0.45)}, "012"),
        ("ca", {1: ("o", 0.45)}, "ca"),  # too short
        ("coh-", {2: ("n", 0.4)}, "coh-"),  # goes on in the next line
        ("meme", {1: ("ê", 0.3), 3: ("a", 0.3)}, "même"),
        ("lècè", {1: ("a", 0.4), 3: ("e", 0.4)}, "lècè"),  # no single change makes a word
    ],
)
def test_doubtful_letters_make_words(
    text: str, doubts: dict[int, tuple[str, float]], wanted: str
) -> None:
    reading, log_probs = seen(text, doubts)
    assert ALPHABET.decode(reading.ids) == text
    found = rescore_with_lexicon(reading, log_probs, ALPHABET, LEXICON, 0.4)
    assert ALPHABET.decode(found.ids) == wanted
    assert len(found.probabilities) == len(found.ids)
    assert all(0 < p <= 1 for p in found.probabilities)
    changed = [i for i, (a, b) in enumerate(zip(text, wanted, strict=True)) if a != b]
    for i in range(len(text)):
        if i not in changed:
            assert found.probabilities[i] == reading.probabilities[i]
    assert rescore_with_lexicon(reading, log_probs, ALPHABET, LEXICON, 0.0) == reading


def test_without_places_nothing_changes() -> None:
    reading, log_probs = seen("mème", {1: ("ê", 0.4)})
    lost = Decoded(reading.ids, reading.probabilities, 1.0, None)
    assert rescore_with_lexicon(lost, log_probs, ALPHABET, LEXICON, 0.4) is lost


def test_the_table_tells_how_common_a_word_is() -> None:
    shares = shares_of([counts_of(["The cat sat.", "the CAT; 2nd"]), {"katze": 9, "hund": 1}])
    assert shares == {"the": 2 / 5, "cat": 2 / 5, "katze": 9 / 10}
    lexicon = Lexicon.of({"the": 2**-4, "whale": 2**-14, "rare": 2**-40})
    bits = [lexicon.log_probability(w) / math.log(2) for w in ("The", "WHALE", "rare", "unseen")]
    assert bits == pytest.approx([-8, -14, -22, -26])
    assert lexicon.table.dtype == np.uint32
    assert (np.diff(lexicon.table.astype(np.int64)) > 0).all()


def test_the_bundled_table_knows_words_of_many_languages() -> None:
    lexicon = bundled_lexicon()
    for word, other in (("même", "mème"), ("straße", "straβe"), ("hodně", "hodnè"), ("the", "tke")):
        assert lexicon.log_probability(word) > lexicon.log_probability(other) + 4


def test_words_help_more_than_they_harm() -> None:
    source = LineSource(seed=7, styles={"scan": LineStyle(1.0, contrast=(60, 160))})
    drawn = [source.draw(i) for i in range(60)]
    errors = {}
    for weight in (0.0, 0.4):
        reader = LineReader(ReadOptions(device="cpu"), DecodeOptions(lexicon_weight=weight))
        texts = [result.text for result in reader.read_stream(("", d.image) for d in drawn)]
        errors[weight] = rates(texts, [d.text for d in drawn]).cer
    assert errors[0.4] <= errors[0.0] < 0.3


def test_a_table_is_made_by_command(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("one word, one more\n", "utf-8")
    (tmp_path / "counted.txt").write_text("wort 5\nselten 1\n", "utf-8")
    command = [sys.executable, "-m", "ocrtool.training.words", "text.txt", "-o", "words.npy"]
    done = subprocess.run(
        [*command, "--counted", "counted.txt"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "2 words, 0.0 MB\n"), done.stderr
    lexicon = Lexicon.load(tmp_path / "words.npy")
    assert lexicon.log_probability("one") > lexicon.log_probability("more")
    (tmp_path / "counted.txt").write_text("wort\n", "utf-8")
    done = subprocess.run(
        [*command, "--counted", "counted.txt"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "line 1: not a word and its count" in done.stderr


def test_known_words_are_told_from_others() -> None:
    assert "Market" in bundled_lexicon() and "RESERVED" in bundled_lexicon()
    unknown = ["Jdvnkcq", "xxxqzl", "teGamr", "pfoqwv"]
    assert not any(word in bundled_lexicon() for word in unknown)
