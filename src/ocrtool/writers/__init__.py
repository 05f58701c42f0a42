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
from typing import TYPE_CHECKING, Any

from ocrtool.options import WriteOptions
from ocrtool.writers.line_records import (
    WRITERS,
    Write,
    to_json,
    to_record,
    write_json,
    write_jsonl,
    write_txt,
)
from ocrtool.writers.page_input import PageInput, PageWriter

if TYPE_CHECKING:
    from ocrtool.writers.flow_writer import FlowForm
    from ocrtool.writers.text import TextForm

__all__ = [
    "BINARY",
    "PICTURED",
    "SUFFIXES",
    "WRITERS",
    "PageFormat",
    "PageInput",
    "PageWriter",
    "Write",
    "WriteOptions",
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
    """A page to read; where there are pictures, each beside its text, to look at."""
    TEX = "tex"
    """LaTeX that compiles by itself."""
    PDF = "pdf"
    """The picture, or the page of a PDF as it was, over text that can be searched and copied."""


BINARY = frozenset({PageFormat.PDF})
"""Formats of bytes; the others are text."""
PICTURED = frozenset({PageFormat.HTML, PageFormat.PDF})
"""Formats that show the picture of a page, where the sheet has it."""
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
    form: PageFormat, write: Callable[[Any], object], options: WriteOptions | None = None
) -> PageWriter:
    """Begin an output.

    Args:
        form: Its format.
        write: Takes its content piece by piece: text, or bytes where the format is one of
            :data:`BINARY`.
        options: How it is written.
    """
    options = options or WriteOptions()
    if form is PageFormat.PDF:
        from ocrtool.writers.pdf import SearchablePdf

        return SearchablePdf(write, options.text_layer)
    if form is PageFormat.HTML:
        from ocrtool.writers.html_article import HtmlWriter

        return HtmlWriter(write, options)
    if form in (PageFormat.MD, PageFormat.TEX):
        from ocrtool.writers.flow_writer import FlowWriter

        return FlowWriter(_flow_form(form), write, options)
    from ocrtool.writers.text import TextWriter

    return TextWriter(_text_form(form), write, options)


def _flow_form(form: PageFormat) -> FlowForm:
    if form is PageFormat.MD:
        from ocrtool.writers.markdown import MARKDOWN

        return MARKDOWN
    from ocrtool.writers.tex import TEX

    return TEX


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
    if form is PageFormat.HOCR:
        from ocrtool.writers.hocr import HOCR

        return HOCR
    from ocrtool.writers.alto import ALTO

    return ALTO
