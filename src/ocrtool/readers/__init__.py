"""What reads: the bundled networks, published models, Tesseract, and the one behind the other.

`ReadOptions` choose. A reader of lines gets what the detector found; a reader of pages gets whole
pictures. All give the same results, with confidences.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import ModelError
from ocrtool.options import EngineName, ReadOptions

if TYPE_CHECKING:
    from ocrtool.decoding.autoregressive import DecodeOptions
    from ocrtool.document.readings import LineResult
    from ocrtool.document.tree import Page
    from ocrtool.inputs.images import PageImage
    from ocrtool.options import Order
    from ocrtool.readers.formulas import FormulaResult

Image = NDArray[np.uint8]

TESSERACT = "tesseract"
PIX2TEX = "pix2tex"
"""Name of a model that a package of its own runs."""


class ReadsLines(Protocol):
    """Reads pictures of single lines."""

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines, in their order.

        Args:
            images: Name and pixels, (H, W) or (H, W, 3) uint8, of each.
        """

    def look_again(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return better readings of lines in doubt; the same where there is no better way."""


class ReadsFormulas(Protocol):
    """Reads pictures of formulas."""

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[FormulaResult]:
        """Read any number of formulas, in their order; arguments as of `ReadsLines`."""


class ReadsPages(Protocol):
    """Reads pictures of pages."""

    def read(
        self, image: Image, number: int = 1, dpi: float = 0.0, known: Collection[str] = ()
    ) -> Page:
        """Read a page; see `ocrtool.pages.reader.PageReader.read`."""

    def read_stream(
        self, pages: Iterable[PageImage], known: Collection[str] = ()
    ) -> Iterator[tuple[PageImage, Page]]:
        """Read the pages of a document, in their order.

        Args:
            pages: The pages.
            known: Words of pages that were taken, which may grow meanwhile.
        """

    def with_order(self, order: Order) -> ReadsPages:
        """Return a reader of the same models that takes pages for something else."""


def open_lines(
    options: ReadOptions, decoding: DecodeOptions | None = None, second_looks: bool = True
) -> ReadsLines:
    """Open the reader of lines that the options name.

    Args:
        options: Model, engine, device, and what gets the lines that are in doubt.
        decoding: How a network of our own finds text; see `ocrtool.readers.lines.LineReader`.
        second_looks: Likewise.

    Raises:
        ModelError: There is no such model, it is damaged, or it reads no lines.
        MissingDependencyError: What runs it is not installed.
        DeviceError: The device that is asked for cannot be used.
    """
    first = _open_lines(options, decoding, second_looks)
    if options.escalate is None:
        return first
    from ocrtool.readers.cascade import CascadeReader

    named = options.escalate
    engine, _, model = named.partition(":") if named.startswith(TESSERACT) else ("", "", named)
    larger = replace(
        options,
        model=model or None,
        engine=EngineName.TESSERACT if engine == TESSERACT else EngineName.AUTO,
        escalate=None,
        budget_lines=None,
        budget_seconds=None,
    )
    return CascadeReader(first, lambda: _open_lines(larger), named, options)


def _open_lines(
    options: ReadOptions, decoding: DecodeOptions | None = None, second_looks: bool = True
) -> ReadsLines:
    if options.engine is EngineName.TESSERACT:
        from ocrtool.readers.tesseract import TesseractReader

        return TesseractReader(options)
    from ocrtool.readers.model_lookup import published_folder

    folder = published_folder(options)
    if folder is None:
        from ocrtool.readers.lines import LineReader

        return LineReader(options, decoding, second_looks)
    from ocrtool.readers.transformers import PublishedLines, open_published

    network = open_published(folder, options)
    if network.reads != "lines":
        raise ModelError(
            f"{options.model} reads {network.reads}, not lines", "leave out --layout line"
        )
    return PublishedLines(network, options)


def open_formulas(options: ReadOptions, decoding: DecodeOptions | None = None) -> ReadsFormulas:
    """Open the reader of formulas that the options name.

    Raises:
        ModelError: There is no such model, it is damaged, or reads no formulas.
        MissingDependencyError: What runs it is not installed.
        DeviceError: The device that is asked for cannot be used.
    """
    if options.model == PIX2TEX and not Path(PIX2TEX).exists():
        from ocrtool.readers.pix2tex import Pix2texFormulas

        return Pix2texFormulas(options)
    from ocrtool.readers.model_lookup import published_folder

    folder = published_folder(options)
    if folder is None:
        from ocrtool.readers.formulas import FormulaReader

        return FormulaReader(options, decoding)
    from ocrtool.readers.page_models import PublishedFormulas
    from ocrtool.readers.transformers import open_published

    network = open_published(folder, options)
    if network.reads != "formulas":
        raise ModelError(f"{options.model} reads {network.reads}, not formulas", "use ocrtool read")
    return PublishedFormulas(network)
