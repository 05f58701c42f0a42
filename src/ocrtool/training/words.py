"""Build the lexicon that decides between ambiguous letters, from texts.

Usage: python -m ocrtool.training.words TEXT... -o words.npy [--counted FILE]... [--least N]

Each TEXT (or `.xz`) has one language, because words are counted per language. A FILE of counted
words has a word and its count in each line.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from ocrtool.console import atomic_write
from ocrtool.decoding.lexicon import Lexicon, counts_of, shares_of
from ocrtool.errors import InputError, OcrToolError
from ocrtool.synth.formula_vocabulary import read_lines


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and write the table."""
    parser = argparse.ArgumentParser(prog="python -m ocrtool.training.words", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("texts", type=Path, nargs="+", help="text files, one a language")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    parser.add_argument("--counted", type=Path, nargs="+", default=[], help="words with counts")
    parser.add_argument("--least", type=int, default=2, help="minimum count of a word (2)")
    options = parser.parse_args(arguments)
    try:
        languages = [counts_of(read_lines(path)) for path in options.texts]
        languages += [_counted(path) for path in options.counted]
        table = Lexicon.of(shares_of(languages, options.least)).table
        with atomic_write(options.output) as temporary, temporary.open("wb") as file:
            np.save(file, table)
    except OcrToolError as error:
        sys.exit(f"{parser.prog}: {error}")
    print(f"{len(table)} words, {table.nbytes / 1e6:.1f} MB")


def _counted(path: Path) -> dict[str, int]:
    counts = {}
    for number, line in enumerate(read_lines(path), 1):
        word, _, count = line.rpartition(" ")
        if not count.isdigit():
            raise InputError(f"{path}, line {number}: not a word and its count")
        if word.isalpha():
            counts[word.lower()] = int(count)
    return counts


if __name__ == "__main__":
    main()
