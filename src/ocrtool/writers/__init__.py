"""Results as files: single lines by :data:`WRITERS`, whole pages by :func:`open_writer`.

Pages arrive one by one, so that an input of any length is written with the memory of a page::

    outputs = [open_writer(PageFormat.HOCR, write_text), open_writer(PageFormat.PDF, write_bytes)]
    for sheet in sheets:  # lazily made
        for output in outputs:
            output.add(sheet)
    for output in outputs:
        output.finish()

Nothing heavy is imported before a format that needs it is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from ocrtool.writers.lines import (
    WRITERS,
    Write,
    to_json,
    to_record,
    write_json,
    write_jsonl,
    write_txt,
)
from ocrtool.writers.sheet import PageWriter, Picture, Sheet
from ocrtool.writers.text import TextForm, TextWriter

__all__ = [
    "BINARY",
    "PICTURED",
    "SUFFIXES",
    "WRITERS",
    "PageFormat",
    "PageWriter",
    "Picture",
    "Sheet",
    "Write",
    "format_of",
    "open_writer",
    "to_json",
    "to_record",
    "write_json",
    "write_jsonl",
    "write_txt",
]


class PageFormat(StrEnum):
    """How pages are written; ``docs/formats.md`` tells each in full."""

    TXT = "txt"
    """The text; a form feed between pages."""
    MD = "md"
    """Markdown with GitHub's tables."""
    JSON = "json"
    """The document tree; one document a file."""
    JSONL = "jsonl"
    """One record a page, each written as soon as it is read; any number of documents."""
    TSV = "tsv"
    """Tesseract's table of boxes."""
    HOCR = "hocr"
    """XHTML with geometry, as Tesseract writes it."""
    ALTO = "alto"
    """ALTO 4 XML; one document a file."""
    HTML = "html"
    """The picture beside the text, to look at."""
    PDF = "pdf"
    """The picture over text that can be searched and copied."""


BINARY = frozenset({PageFormat.PDF})
"""Formats of bytes; the others are text."""
PICTURED = frozenset({PageFormat.HTML, PageFormat.PDF})
"""Formats that show the picture of a page."""
SUFFIXES = {
    **{f".{form.value}": form for form in PageFormat},
    ".htm": PageFormat.HTML,
    ".markdown": PageFormat.MD,
    ".text": PageFormat.TXT,
    ".xml": PageFormat.ALTO,
}
"""What the name of an output tells of its format."""


def format_of(name: str) -> PageFormat | None:
    """Return the format that the suffix of a file's name stands for, if any."""
    return SUFFIXES.get(PurePath(name).suffix.lower())


def open_writer(
    form: PageFormat, write: Callable[[Any], object], min_confidence: float = 0.0
) -> PageWriter:
    """Begin an output.

    Args:
        form: Its format.
        write: Takes its content piece by piece: text, or bytes where the format is one of
            :data:`BINARY`.
        min_confidence: Words below it (0 to 1) are ``[?]`` in txt and md, ``"doubtful": true`` in
            json and jsonl, underlined in html. The others always carry the confidences.
    """
    if form is PageFormat.PDF:
        from ocrtool.writers.pdf import SearchablePdf

        return SearchablePdf(write)
    return TextWriter(_text_form(form), write, min_confidence)


def _text_form(form: PageFormat) -> TextForm:
    from ocrtool.writers import text

    plain = {
        PageFormat.TXT: text.TXT,
        PageFormat.JSON: text.JSON,
        PageFormat.JSONL: text.JSONL,
        PageFormat.TSV: text.TSV,
    }
    if form in plain:
        return plain[form]
    if form is PageFormat.MD:
        from ocrtool.writers.markdown import MARKDOWN

        return MARKDOWN
    if form is PageFormat.HOCR:
        from ocrtool.writers.hocr import HOCR

        return HOCR
    if form is PageFormat.ALTO:
        from ocrtool.writers.alto import ALTO

        return ALTO
    from ocrtool.writers.html import HTML

    return HTML
