"""Labelled images listed in CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ocrtool.errors import InputError


@dataclass(frozen=True)
class LabelledImage:
    """One usable row of a CSV file; its origin is ``file.csv:line``."""

    image: Path
    text: str
    origin: str


def read_rows(paths: Sequence[Path], problems: list[str]) -> list[LabelledImage]:
    """Read the rows of CSV files (UTF-8, RFC 4180) with the columns ``image`` and ``text``.

    `problems` receives a line ``file.csv:line: reason`` for every row that is left out.

    Raises:
        InputError: A file cannot be read, or lacks the columns.
    """
    rows: list[LabelledImage] = []
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows.extend(_rows_of(path, csv.reader(file, strict=True), problems))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 ({error.reason})") from None
        except csv.Error as error:
            raise InputError(f"{path}: not CSV: {error}") from None
    return rows


def _rows_of(path: Path, reader: Any, problems: list[str]) -> Iterator[LabelledImage]:
    header = [name.strip().lower() for name in next(reader, [])]
    if "image" not in header or "text" not in header:
        raise InputError(
            f"{path}:1: no columns 'image' and 'text'", "start the file with the line image,text"
        )
    image_column, text_column = header.index("image"), header.index("text")
    line = reader.line_num
    for cells in reader:
        origin = f"{path}:{line + 1}"  # the first line of the row; quoted texts may span lines
        line = reader.line_num
        if not cells:
            continue  # a blank line
        if len(cells) != len(header):
            problems.append(f"{origin}: {len(cells)} cells where the header has {len(header)}")
        elif not cells[text_column].strip():
            problems.append(f"{origin}: no text")
        elif not cells[image_column].strip():
            problems.append(f"{origin}: no image")
        else:
            image = path.parent / cells[image_column].strip()
            yield LabelledImage(image, cells[text_column].strip(), origin)


def split_rows(
    rows: Sequence[LabelledImage], share: float, seed: int
) -> tuple[list[LabelledImage], list[LabelledImage], str]:
    """Hold out a share of the rows, drawn by the seed.

    Where texts rarely repeat, whole texts are held out, so that no validation text occurs in
    training; otherwise (few classes with many images each) rows are.

    Returns:
        Training rows, validation rows, and a description of the validation rows.
    """
    texts = sorted({row.text for row in rows})
    by_text = 2 * len(texts) >= len(rows)
    count = len(texts) if by_text else len(rows)
    order = np.random.default_rng([seed, 1]).permutation(count)
    held = set(order[: round(share * count)].tolist())
    held_texts = {texts[index] for index in held} if by_text else set()
    parts: tuple[list[LabelledImage], list[LabelledImage]] = ([], [])
    for index, row in enumerate(rows):
        parts[row.text in held_texts if by_text else index in held].append(row)
    return *parts, "texts that do not occur in training" if by_text else "rows (texts repeat)"
