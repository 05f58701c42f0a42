"""Calibrate the confidences of a line reader on labelled lines that it was not trained on.

Usage: python -m ocrtool.training.calibrate MODEL --fit labels.csv [--check other.csv]

Writes the curves of characters and words to the model's ``model.json`` and prints the expected
calibration error (ECE) of characters, words and lines before and after, on all sets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from ocrtool.console import atomic_write
from ocrtool.decoding.calibration import Calibration, expected_calibration_error, fit
from ocrtool.document.lines import LineResult
from ocrtool.errors import InputError
from ocrtool.inputs.images import load_image
from ocrtool.options import ReadOptions
from ocrtool.readers.lines import LineReader
from ocrtool.training.rows import read_rows

UNITS = ("character", "word", "line")
FITTED = ("character", "word")
"""Calibrated units. Lines are not: drawn labels agree in every quote and space, labels of real
lines do not, so a curve fitted on drawn lines makes real lines overconfident."""


@dataclass(frozen=True)
class Judged:
    """Confidences of one kind of unit, and whether each unit is correct."""

    confidences: list[float]
    right: list[bool]


def judge(results: Sequence[LineResult], labels: Sequence[str]) -> dict[str, Judged]:
    """Compare readings with labels unit by unit.

    A character or word is correct where an alignment of the reading with the label matches it.
    """
    judged = {unit: Judged([], []) for unit in UNITS}
    for result, label in zip(results, labels, strict=True):
        words = [word.text for word in result.words]
        judged["character"].confidences.extend(result.characters)
        judged["character"].right.extend(_matched(result.text, label))
        judged["word"].confidences.extend(word.confidence for word in result.words)
        judged["word"].right.extend(_matched(words, label.split()))
        judged["line"].confidences.append(result.confidence)
        judged["line"].right.append(result.text == label)
    return judged


def _matched(said: Sequence[str], true: Sequence[str]) -> list[bool]:
    right = [False] * len(said)
    for block in SequenceMatcher(None, said, true, autojunk=False).get_matching_blocks():
        right[block.a : block.a + block.size] = [True] * block.size
    return right


def read_set(reader: LineReader, table: Path) -> tuple[list[LineResult], list[str]]:
    """Read the images of a CSV file; return the results and the labels.

    Raises:
        InputError: A row is unusable.
    """
    problems: list[str] = []
    rows = read_rows([table], problems)
    if problems or not rows:
        raise InputError(problems[0] if problems else f"{table}: no rows")
    results = list(reader.read_stream((str(row.image), load_image(row.image)) for row in rows))
    return results, [" ".join(row.text.split()) for row in rows]


def calibrate(
    model: Path, table: Path, checks: Sequence[Path], report: Callable[[str], None]
) -> Calibration:
    """Fit the curves on ``table``, write them to the model, and report the errors.

    Raises:
        InputError: A table has no usable rows.
        ModelError: The model cannot be read.
        OutputError: Its ``model.json`` cannot be written.
    """
    facts_file = model / "model.json"
    reader = LineReader(ReadOptions(model=str(model), device="cpu"))
    reader.calibration = Calibration()
    sets = {path: judge(*read_set(reader, path)) for path in (table, *checks)}
    fitted = sets[table]
    curves = {unit: fit(fitted[unit].confidences, fitted[unit].right) for unit in FITTED}
    calibration = Calibration(**curves)
    report(f"{'set':24} {'unit':10} {'right':>7} {'ECE raw':>8} {'fitted':>8}")
    for path, judged in sets.items():
        for unit, units in judged.items():
            after = [getattr(calibration, unit)(p) for p in units.confidences]
            report(
                f"{path.parent.name[:24]:24} {unit:10}"
                f" {sum(units.right) / max(1, len(units.right)):7.4f}"
                f" {expected_calibration_error(units.confidences, units.right):8.4f}"
                f" {expected_calibration_error(after, units.right):8.4f}"
            )
    facts = json.loads(facts_file.read_text("utf-8"))
    facts["calibration"] = calibration.to_dict()
    with atomic_write(facts_file) as temporary:
        temporary.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return calibration


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and calibrate."""
    parser = argparse.ArgumentParser(prog="python -m ocrtool.training.calibrate")
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("--fit", type=Path, required=True, help="CSV (image,text) to fit on")
    parser.add_argument("--check", type=Path, action="append", default=[], help="CSV to test on")
    given = parser.parse_args(arguments)
    calibrate(given.model, given.fit, given.check, lambda line: print(line, file=sys.stdout))


if __name__ == "__main__":
    main()
