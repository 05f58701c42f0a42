"""Writers of pages, opened by :func:`open_writer`; ``line_records`` writes single lines.

Pages are passed one by one, so the memory in use does not grow with the length of the input::

    outputs = [open_writer(formats.HOCR, write_text), open_writer(formats.PDF, write_bytes)]
    for page_input in page_inputs:  # a generator
        for output in outputs:
            output.add(page_input)
    for output in outputs:
        output.finish()

:mod:`ocrtool.writers.formats` is the table of page formats.
"""

from __future__ import annotations

from ocrtool.options import WriteOptions
from ocrtool.writers import formats
from ocrtool.writers.formats import (
    PAGE_FORMATS,
    PageFormat,
    PageInput,
    PageWriter,
    format_of,
    format_of_target,
    open_writer,
    page_format,
    register_format,
)

__all__ = [
    "PAGE_FORMATS",
    "PageFormat",
    "PageInput",
    "PageWriter",
    "WriteOptions",
    "format_of",
    "format_of_target",
    "formats",
    "open_writer",
    "page_format",
    "register_format",
]
