"""Lines that run across a gutter are parted; lines with wide spaces are not."""

from __future__ import annotations

import numpy as np
import pytest

from ocrtool.document.tree import Line, Quad, Word
from ocrtool.reading_order.rows import split_lines

HEIGHT = 20.0


def line(row: int, words: list[tuple[str, float]], space: float = 7.0) -> Line:
    """Set words, each with the white after it, from x = 100 on; letters are 10 pixels wide."""
    placed = []
    x, y = 100.0, 100.0 + 26 * row
    for text, after in words:
        end = x + 10 * len(text)
        placed.append(Word(text, 0.9, _quad(x, y, end)))
        x = end + (after or space)
    quad = _quad(100.0, y, x)
    return Line(" ".join(text for text, _ in words), 0.81, quad, tuple(placed))


def _quad(x0: float, y0: float, x1: float) -> Quad:
    return ((x0, y0), (x1, y0), (x1, y0 + HEIGHT), (x0, y0 + HEIGHT))


def columns(rows: int, gutter: float) -> list[Line]:
    """Two justified columns of 30 letters, found as if they were one."""
    rng = np.random.default_rng(1)
    lines = []
    for row in range(rows):
        left = [int(n) for n in rng.multinomial(20, [0.25] * 4) + 2]  # letters of four words
        right = [int(n) for n in rng.multinomial(20, [0.25] * 4) + 2]
        words = [("n" * n, 0.0) for n in left]
        words[-1] = (words[-1][0], gutter)
        lines.append(line(row, words + [("m" * n, 0.0) for n in right]))
    return lines


@pytest.mark.parametrize("gutter", [18.0, 25.0, 50.0])
def test_columns_are_parted(gutter: float) -> None:
    lines = columns(8, gutter)
    parted = split_lines(lines)
    assert len(parted) == 16
    for whole, (left, right) in zip(
        lines, zip(parted[::2], parted[1::2], strict=True), strict=True
    ):
        assert f"{left.text} {right.text}" == whole.text
        assert set(left.text) == {"n", " "} and set(right.text) == {"m", " "}
        assert left.words + right.words == whole.words
        assert left.quad[1][0] < right.quad[0][0]
        assert left.confidence * right.confidence == pytest.approx(whole.confidence)


def test_few_lines_prove_no_gutter() -> None:
    lines = columns(3, 25.0)
    assert split_lines(lines) == lines


def test_spaces_after_sentences_part_nothing() -> None:
    rng = np.random.default_rng(2)
    lines = []
    for row in range(12):
        words = [("n" * int(n), 0.0) for n in rng.integers(2, 9, 9)]
        stop = int(rng.integers(0, 8))
        words[stop] = (words[stop][0], 20.0)
        lines.append(line(row, words))
    assert split_lines(lines) == lines


def test_cells_stay_in_their_rows() -> None:
    lines = [line(row, [("tea", 25.0), ("2", 25.0), ("1.40", 0.0)]) for row in range(8)]
    assert split_lines(lines) == lines


def test_nothing_to_part() -> None:
    assert split_lines([]) == []
    single = [Line("one", 0.5, _quad(0, 0, 30), ())]
    assert split_lines(single) == single
