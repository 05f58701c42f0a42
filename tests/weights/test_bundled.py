"""The bundled line reader, with its trained weights, on real pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrtool.decoding.autoregressive import DecodeOptions
from ocrtool.inputs.images import load_image
from ocrtool.options import EngineName, ReadOptions
from ocrtool.readers.lines import LineReader
from ocrtool.synth import ALPHABET, LineSource, LineStyle
from ocrtool.synth.fonts import bundled_fonts
from ocrtool.training.metrics import rates

SAMPLE = Path(__file__).parents[2] / "docs" / "images" / "sample-line.png"
TEXT = "Printed in Zürich, 1912: 24 copies at £3.50 each."


@pytest.fixture(scope="module")
def lines() -> list[tuple[str, np.ndarray, str]]:
    """Forty lines and words such as documents have, none too damaged to be read."""
    styles = {"clean": LineStyle(0.6), "scan": LineStyle(0.4, contrast=(150, 250))}
    source = LineSource(seed=40, styles=styles)
    drawn = [source.draw(i) for i in range(40)]
    return [(str(i), line.image, line.text) for i, line in enumerate(drawn)]


def texts(reader: LineReader, lines: list[tuple[str, np.ndarray, str]]) -> list[str]:
    return [result.text for result in reader.read_stream((name, im) for name, im, _ in lines)]


def test_the_command_reads_the_sample_of_the_readme() -> None:
    command = [sys.executable, "-m", "ocrtool", "read", str(SAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, TEXT + "\n", "")


def test_the_command_reads_standard_input_as_json() -> None:
    command = [sys.executable, "-m", "ocrtool", "read", "-", "--layout", "line", "-f", "jsonl"]
    done = subprocess.run(command, capture_output=True, input=SAMPLE.read_bytes(), check=True)
    record = json.loads(done.stdout)
    assert record["text"] == TEXT
    assert [word["text"] for word in record["words"]] == TEXT.split()
    assert 0.3 < record["confidence"] <= 1.0


def test_drawn_lines_are_read_well(
    line_reader: LineReader, lines: list[tuple[str, np.ndarray, str]]
) -> None:
    assert rates(texts(line_reader, lines), [text for _, _, text in lines]).cer < 0.06


def test_both_engines_read_the_same(
    line_reader: LineReader, lines: list[tuple[str, np.ndarray, str]]
) -> None:
    twin = LineReader(ReadOptions(device="cpu", engine=EngineName.TORCH))
    assert texts(twin, lines) == texts(line_reader, lines)


def test_a_line_reads_the_same_alone_as_in_a_batch(
    line_reader: LineReader, lines: list[tuple[str, np.ndarray, str]]
) -> None:
    assert [line_reader.read(image).text for _, image, _ in lines] == texts(line_reader, lines)


def test_verified_drafts_equal_greedy_decoding(
    lines: list[tuple[str, np.ndarray, str]],
) -> None:
    # Without test-time augmentation, which chooses views by confidence, and that of a text that
    # equals its draft is another.
    greedy, verified = (
        LineReader(
            ReadOptions(device="cpu"),
            DecodeOptions(strategy=strategy, verify="all", lexicon_weight=0),
            augment_uncertain=False,
        )
        for strategy in ("greedy", "verify")
    )
    assert texts(verified, lines) == texts(greedy, lines)


def test_blank_and_tiny_images_are_empty_text(line_reader: LineReader) -> None:
    for shape in ((40, 300), (1, 1), (3, 200), (200, 3)):
        assert line_reader.read(np.full(shape, 255, np.uint8)).text == ""


def test_confidence_falls_with_legibility(line_reader: LineReader) -> None:
    from ocrtool.inputs.images import load_image

    image = load_image(SAMPLE)
    noise = np.random.default_rng(0).normal(0, 90, image.shape)
    drowned = np.clip(image + noise, 0, 255).astype(np.uint8)
    assert line_reader.read(drowned).confidence < line_reader.read(image).confidence


def test_it_knows_its_alphabet(line_reader: LineReader) -> None:
    assert "".join(line_reader.engine.metadata.vocabulary.entries) == ALPHABET


@pytest.mark.parametrize("turns", [1, 3])
def test_a_line_that_runs_up_or_down_is_read(line_reader: LineReader, turns: int) -> None:
    sample = load_image(SAMPLE)
    assert line_reader.read(np.rot90(sample, turns)).text == line_reader.read(sample).text == TEXT


@pytest.mark.parametrize("letter", ["8", "R", "k"])
def test_a_tall_letter_is_no_line_that_runs_up_or_down(
    line_reader: LineReader, letter: str
) -> None:
    page = Image.new("L", (40, 70), 255)
    font = ImageFont.truetype(bundled_fonts()[0], 48)
    ImageDraw.Draw(page).text((20, 52), letter, fill=0, font=font, anchor="ms")
    assert line_reader.read(np.asarray(page)).text == letter


def test_a_blank_tall_picture_stays_blank(line_reader: LineReader) -> None:
    assert line_reader.read(np.full((300, 40), 255, np.uint8)).text == ""


def test_words_are_where_they_are_drawn(line_reader: LineReader) -> None:
    text, em = "The quick brown fox jumps over 12,500 lazy dogs", 40
    font = ImageFont.truetype(bundled_fonts()[0], em)
    page = Image.new("L", (int(font.getlength(text)) + 20, 60), 255)
    ImageDraw.Draw(page).text((10, 44), text, fill=0, font=font, anchor="ls")
    words = line_reader.read(np.asarray(page)).words
    assert [word.text for word in words] == text.split()
    place = 0
    for word in words:
        left = 10 + font.getlength(text[:place])
        right = left + font.getlength(word.text)
        assert abs(word.start * page.width - left) < 0.4 * em
        assert abs(word.end * page.width - right) < 0.4 * em
        place += len(word.text) + 1
