"""Paragraphs on squares, the smallest pages of the data engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtool.errors import UsageError
from ocrtool.synth.__main__ import main
from ocrtool.synth.fonts import bundled_fonts
from ocrtool.synth.paragraphs import ParagraphSource


def test_letters_of_one_pitch_stand_in_one_grid() -> None:
    mono = [path for path in bundled_fonts() if path.stem == "Mono"]
    source = ParagraphSource(mono, side=128, sizes=(27, 27), seed=3)
    counts = set()
    for index in range(20):
        drawn = source.draw(index)
        again = ParagraphSource(mono, side=128, sizes=(27, 27), seed=3).draw(index)
        assert drawn.text == again.text and (drawn.image == again.image).all()
        rows = drawn.text.split("\n")
        counts.add(len(rows))
        cells = drawn.image.reshape(4, 32, 8, 16).min(axis=(1, 3)) < 128
        for row, inked in zip(rows, cells, strict=False):
            assert 0 < len(row) <= 8
            assert not inked[len(row) :].any()
            assert all(inked[i] for i, letter in enumerate(row) if letter.isalnum())
        assert not cells[len(rows) :].any()
    assert counts == {1, 2, 3, 4}
    with pytest.raises(UsageError, match="does not fit"):
        ParagraphSource(side=20, sizes=(16, 30))


def test_the_command_lists_them(tmp_path: Path) -> None:
    main(["3", "-o", str(tmp_path), "--paragraphs", "--square", "192", "--lines", "1"])
    rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == ["0.png", "1.png", "2.png"]
    assert all(row["text"] and "\n" not in row["text"] for row in rows)
    assert np.asarray(Image.open(tmp_path / "0.png")).shape == (192, 192)
