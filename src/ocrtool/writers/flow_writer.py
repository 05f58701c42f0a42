"""What all formats share that show text as it runs; see :mod:`ocrtool.writers.flow`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from ocrtool.document.tree import Page
from ocrtool.options import ImageChoice, WriteOptions
from ocrtool.writers.flow import Flow, FlowPart
from ocrtool.writers.formats import PageInput

IMAGE_TYPES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
}
"""Types of images that every browser shows, by how their files start."""


def no_head(sheet: PageInput, options: WriteOptions) -> str:
    """Return the head of a format that has none."""
    return ""


@dataclass(frozen=True)
class FlowForm:
    """How parts become one text.

    Attributes:
        part: Gives a part's text, no line feeds at its ends; empty where nothing is to be shown.
        head: What comes before the first part; it is given the first sheet.
        foot: What comes after the last.
        apart: What stands between two lists that follow each other, if anything must.
    """

    part: Callable[[FlowPart, WriteOptions], str]
    head: Callable[[PageInput, WriteOptions], str] = no_head
    foot: str = ""
    apart: str = ""

    def writer(self, write: Callable[[str], object], options: WriteOptions) -> FlowWriter:
        """Return a writer of one output."""
        return FlowWriter(self, write, options)


class FlowWriter:
    """Writes parts, a blank line between them; see :class:`ocrtool.writers.formats.PageWriter`.

    Args:
        form: The format.
        write: Takes the text, piece by piece.
        options: What is wanted.
    """

    def __init__(
        self, form: FlowForm, write: Callable[[str], object], options: WriteOptions
    ) -> None:
        self._form = form
        self._write = write
        self._options = options
        self._flow = Flow(options, self._add)
        self._begun = False
        self._before = ""

    def add(self, sheet: PageInput) -> None:
        """Write what of the next page cannot go on, and what went on up to there."""
        self._begin(sheet)
        self._flow.add(sheet)

    def finish(self) -> None:
        """Write what is held, and what comes after the last page."""
        self._begin(PageInput("", Page(1, 0, 0)))
        self._flow.finish()
        self._write(self._form.foot)

    def _begin(self, sheet: PageInput) -> None:
        if not self._begun:
            self._write(self._form.head(sheet, self._options))
        self._begun = True

    def _add(self, part: FlowPart) -> None:
        text = self._form.part(part, self._options)
        if not text:
            return
        between = "\n" if self._before else ""
        if self._form.apart and self._before == part.kind == "list":
            between += self._form.apart + "\n\n"
        self._before = part.kind
        self._write(f"{between}{text}\n")


def image_source(part: FlowPart, options: WriteOptions) -> str:
    """Return where a figure's image is, as a path or as a data URL; empty where it is nowhere."""
    if not part.image or options.images is ImageChoice.NONE:
        return ""
    if options.images is ImageChoice.EMBED:
        return data_url(part.content) if part.content else ""
    return f"{options.image_folder}/{part.image}" if options.image_folder else part.image


def data_url(content: bytes) -> str:
    """Return a URL that is the content of an image file itself; of unknown type if need be."""
    kind = next((kind for start, kind in IMAGE_TYPES.items() if content.startswith(start)), None)
    kind = kind or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
