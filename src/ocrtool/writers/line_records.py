"""Results as text: one small function a format, each writing as results arrive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ocrtool.options import TextFormat

if TYPE_CHECKING:
    from ocrtool.document.lines import LineResult

Write = Callable[[str], None]


def write_txt(results: Iterable[LineResult], write: Write) -> None:
    """Write the text alone, one line an image; an image without text is an empty line."""
    for result in results:
        write(result.text + "\n")


def write_json(results: Iterable[LineResult], write: Write) -> None:
    """Write one array, a record a line."""
    separator = "[\n"
    for result in results:
        write(separator + to_json(result))
        separator = ",\n"
    write("[]\n" if separator == "[\n" else "\n]\n")


def write_jsonl(results: Iterable[LineResult], write: Write) -> None:
    """Write one record a line, each complete as soon as its image is read."""
    for result in results:
        write(to_json(result) + "\n")


def to_record(result: LineResult) -> dict[str, Any]:
    """Return a result as plain values, confidences (0 to 1) rounded to four digits."""
    return {
        "source": result.source,
        "text": result.text,
        "confidence": round(float(result.confidence), 4),
        "words": [
            {"text": word.text, "confidence": round(float(word.confidence), 4)}
            for word in result.words
        ],
    }


def to_json(result: LineResult) -> str:
    """Return a result as JSON on one line."""
    return json.dumps(to_record(result), ensure_ascii=False)


WRITERS: dict[TextFormat, Callable[[Iterable[LineResult], Write], None]] = {
    TextFormat.TXT: write_txt,
    TextFormat.JSON: write_json,
    TextFormat.JSONL: write_jsonl,
}
"""The function that writes each format."""
