"""Write synthetic lines, words or paragraphs to a folder: images and ``labels.csv``.

Usage: python -m ocrtool.synth COUNT -o FOLDER [--words] [--square SIDE] [--text FILE] ...
       python -m ocrtool.synth COUNT -o FOLDER --paragraphs [--square SIDE] [--size LOW HIGH] ...

The folder is a data set for ``ocrtool train FOLDER/labels.csv`` (columns ``image,text``), or a
test set for any reader.
Paragraphs are listed in ``labels.jsonl``, for ``ocrtool train --stage``.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtool.console import atomic_write
from ocrtool.synth.alphabet import ALPHABET
from ocrtool.synth.fonts import find_fonts
from ocrtool.synth.lines import STYLES, LineSource
from ocrtool.synth.paragraphs import ParagraphSource


def on_square(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Place a line at the left edge of a square with its background, as input of square networks.

    Args:
        image: (H, W) or (H, W, 3), uint8.
        side: Side of the square in pixels. Larger lines are reduced.
    """
    high, wide = image.shape[:2]
    scale = min(1.0, side / high, side / wide)
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    square = np.empty((side, side, *image.shape[2:]), np.uint8)
    square[...] = np.median(edge, axis=0)
    y = (side - size[1]) // 2
    square[y : y + size[1], : size[0]] = small
    return square


def write_set(source: LineSource, count: int, folder: Path, side: int = 0) -> Path:
    """Write lines 0 to ``count`` - 1 of a source as PNG files; return the CSV that lists them.

    Args:
        source: Source of the lines.
        count: Number of lines.
        folder: Output folder.
        side: Side in pixels of the square that each is placed on; 0 for none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "labels.csv"
    digits = len(str(count - 1))
    with (
        atomic_write(table) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["image", "text"])
        for index in range(count):
            line = source.draw(index)
            image = on_square(line.image, side) if side else line.image
            name = f"{index:0{digits}}.png"
            Image.fromarray(image).save(folder / name, compress_level=1)
            writer.writerow([name, line.text])
    return table


def write_paragraphs(source: ParagraphSource, count: int, folder: Path) -> Path:
    """Write paragraphs 0 to ``count`` - 1 as PNG files; return the JSON Lines file of labels."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "labels.jsonl"
    digits = len(str(count - 1))
    with atomic_write(table) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for index in range(count):
            drawn = source.draw(index)
            name = f"{index:0{digits}}.png"
            Image.fromarray(drawn.image).save(folder / name, compress_level=1)
            row = {"image": name, "text": drawn.text}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return table


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and write the data set."""
    parser = argparse.ArgumentParser(prog="python -m ocrtool.synth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("count", type=int, help="how many to draw")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--words", action="store_true", help="single words instead of lines")
    parser.add_argument("--paragraphs", action="store_true", help="paragraphs on squares")
    parser.add_argument("--size", type=int, nargs=2, default=(16, 26), help="ems of paragraphs")
    parser.add_argument("--lines", type=int, default=0, help="most lines of a paragraph")
    parser.add_argument("--square", type=int, default=0, help="put each on a square of this side")
    parser.add_argument("--style", action="append", choices=list(STYLES), help="only this style")
    parser.add_argument("--fonts", type=Path, action="append", default=[], help="folder or file")
    parser.add_argument("--text", type=Path, action="append", default=[], help="UTF-8 text file")
    parser.add_argument("--alphabet", default=ALPHABET, help="characters that may occur")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.paragraphs:
        paragraphs = ParagraphSource(
            find_fonts(options.fonts),
            options.text,
            options.square or 128,
            tuple(options.size),
            options.lines,
            options.seed,
        )
        print(write_paragraphs(paragraphs, options.count, options.output), file=sys.stdout)
        return
    styles = {name: STYLES[name] for name in options.style or STYLES}
    if options.words:
        styles = {name: replace(style, neighbours=0.0) for name, style in styles.items()}
    source = LineSource(
        find_fonts(options.fonts),
        options.text,
        alphabet=options.alphabet,
        seed=options.seed,
        styles=styles,
        words_only=options.words,
    )
    table = write_set(source, options.count, options.output, options.square)
    print(table, file=sys.stdout)


if __name__ == "__main__":
    main()
