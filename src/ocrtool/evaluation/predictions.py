"""Outputs that another program wrote before, found by the names of the items."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ocrtool.errors import InputError
from ocrtool.evaluation.items import Item, Reading, Readings
from ocrtool.evaluation.runner import TEXT_SUFFIXES, reading_from
from ocrtool.evaluation.systems import reading_of
from ocrtool.evaluation.truth import read_text

NAMES = ("name", "source", "image", "filename", "img")
"""Names under which records hold what they are outputs of, likewise."""
FIELDS = ("text", "latex", "markdown", "html", "pred", "prediction")
"""Names under which records hold what was read, in the order in which they are looked for."""


def load_predictions(wanted: str, items: Sequence[Item]) -> Readings:
    """Load outputs.

    Args:
        wanted: ``[NAME=]PATH``: a folder of files named as the items, or a file of records (JSON
            lines), of pairs (a JSON object), or of rows (``image,text``).
        items: What they are outputs for.

    Raises:
        InputError: There is none that belongs to an item.
    """
    name, separator, rest = wanted.partition("=")
    path = Path(rest if separator and not Path(wanted).exists() else wanted)
    label = name if separator and not Path(wanted).exists() else path.stem
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    found = dict(_of_folder(path, items) if path.is_dir() else _of_file(path, items))
    if not found:
        raise InputError(
            f"{path}: no output for any item",
            f"outputs are called like the items, such as {items[0].name}.txt",
        )
    return Readings(label, found)


def names_of(item: Item) -> Iterator[str]:
    """Return the names, without suffix, under which outputs of an item are looked for."""
    yield item.name
    yield f"{item.name}_repeat1"  # of olmOCR-bench
    yield f"{item.name}{item.source.suffix}"
    yield item.source.name
    yield item.source.stem


def _of_folder(folder: Path, items: Sequence[Item]) -> Iterator[tuple[str, Reading]]:
    for item in items:
        for name in names_of(item):
            file = next(
                (folder / f"{name}{end}" for end in TEXT_SUFFIXES
                 if (folder / f"{name}{end}").is_file()),
                None,
            )  # fmt: skip
            if file is not None:
                yield item.name, _of_content(file)
                break


def _of_content(file: Path) -> Reading:
    text = read_text(file)
    if file.suffix != ".json":
        return Reading(text)
    from ocrtool.document.json import from_json

    return Reading("\n\n".join(page.text for page in from_json(text).pages))


def _of_file(path: Path, items: Sequence[Item]) -> Iterator[tuple[str, Reading]]:
    by_name = {name: item.name for item in items for name in (*names_of(item), str(item.source))}
    for name, reading in _entries(path):
        item = by_name.get(name) or by_name.get(Path(name).name) or by_name.get(Path(name).stem)
        if item is not None:
            yield item, reading


def _entries(path: Path) -> Iterator[tuple[str, Reading]]:
    text = read_text(path)
    if path.suffix.lower() in (".csv", ".tsv"):
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        for cells in csv.reader(text.splitlines(keepends=True), delimiter=delimiter):
            if len(cells) >= 2 and cells[:2] != ["image", "text"]:
                yield cells[0], Reading(cells[1])
        return
    if path.suffix.lower() == ".json":
        yield from _pairs(path, text)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}:{number}: not JSON: {error}") from None
        if isinstance(record, dict):
            yield from _entry(record)


def _pairs(path: Path, text: str) -> Iterator[tuple[str, Reading]]:
    """Return the pairs of an object ``{name: text}``, or the entries of a list of records."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if isinstance(content, dict):
        for name, value in content.items():
            if isinstance(value, str):
                yield name, Reading(value)
            elif isinstance(value, dict):
                yield from _entry({"image": name, **value})
    elif isinstance(content, list):
        for record in content:
            if isinstance(record, dict):
                yield from _entry(record)


def _entry(record: dict[str, Any]) -> Iterator[tuple[str, Reading]]:
    name = next(
        (record[key] for key in ("name", "source", "image", "filename", "img") if key in record),
        None,
    )
    field = next((key for key in FIELDS if key in record), None)
    if not isinstance(name, str) or field is None:
        return
    # Records of a run that was kept hold words as pairs, those of ocrtool as objects.
    words = record.get("words")
    kept = bool(words) and isinstance(words, list) and isinstance(words[0], list)
    yield name, reading_from(record) if kept else reading_of(record, field)
