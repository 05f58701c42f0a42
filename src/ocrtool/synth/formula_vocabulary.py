"""The vocabulary of the bundled formula reader.

Usage: python -m ocrtool.synth.formula_vocabulary FILE... [--least N] [-o vocabulary.txt]

Counts the tokens of normal forms in files of one formula per line (also ``.xz``) and writes the
frequent ones, most frequent first, one per line.
"""

from __future__ import annotations

import argparse
import lzma
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

from ocrtool.console import atomic_write
from ocrtool.errors import InputError
from ocrtool.latex_syntax.normal import normal
from ocrtool.latex_syntax.symbols import CHARACTERS, FONTS, MATRICES
from ocrtool.latex_syntax.tokens import LatexError

MIN_COUNT = 20
"""Minimum number of formulas that contain a token of the vocabulary."""
REQUIRED_TOKENS = (
    CHARACTERS
    | set(FONTS.values())
    | {rf"\{side}{{{name}}}" for name in ("matrix", "cases", "aligned", *MATRICES.values())
       for side in ("begin", "end")}
)  # fmt: skip
"""Tokens that are in the vocabulary regardless of their frequency."""


def formula_tokens() -> list[str]:
    """Return the vocabulary of formulas, most frequent token first."""
    text = resources.files("ocrtool.synth").joinpath("formula_vocabulary.txt").read_text("utf-8")
    return text.split()


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, which may be ``.xz``.

    Raises:
        InputError: It cannot be read.
    """
    try:
        if path.suffix == ".xz":
            with lzma.open(path, "rt", encoding="utf-8") as packed:
                yield from (line.rstrip("\n") for line in packed)
        else:
            with path.open(encoding="utf-8") as stream:
                yield from (line.rstrip("\n") for line in stream)
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def counted(formulas: Iterable[str]) -> Counter[str]:
    """Count in how many formulas each token occurs; formulas that do not parse are ignored."""
    counts: Counter[str] = Counter()
    for latex in formulas:
        try:
            counts.update(set(normal(latex)))
        except LatexError:
            continue
    return counts


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, count and write."""
    parser = argparse.ArgumentParser(
        prog="python -m ocrtool.synth.formula_vocabulary", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("files", type=Path, nargs="+", help="text files, one formula a line")
    parser.add_argument("-o", "--output", type=Path, help="file to write; standard output else")
    parser.add_argument(
        "--least", type=int, default=MIN_COUNT, help=f"fewest formulas ({MIN_COUNT})"
    )
    options = parser.parse_args(arguments)
    counts = counted(line for path in options.files for line in read_lines(path))
    for token in REQUIRED_TOKENS:
        counts[token] += options.least
    kept = sorted((t for t in counts if counts[t] >= options.least), key=lambda t: (-counts[t], t))
    text = "".join(token + "\n" for token in kept)
    if options.output is None:
        sys.stdout.write(text)
    else:
        with atomic_write(options.output) as temporary:
            temporary.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
