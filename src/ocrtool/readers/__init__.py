"""Factories and protocols for line, formula and page recognisers.

`ReadOptions` select the bundled networks, a published model, Tesseract, or a cascade of two of
them. A line reader gets the crops that the detector found, a page reader gets whole page images.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import ModelError
from ocrtool.options import EngineName, ReadOptions

if TYPE_CHECKING:
    from ocrtool.decoding.autoregressive import DecodeOptions
    from ocrtool.document.lines import LineResult
    from ocrtool.document.tree import Page
    from ocrtool.inputs.page_source import PageSource
    from ocrtool.options import Order
    from ocrtool.readers.formulas import FormulaReader, FormulaResult

Image = NDArray[np.uint8]

TESSERACT = "tesseract"
PIX2TEX = "pix2tex"
"""Model name that selects the formula reader of the pix2tex package."""


class ReadsLines(Protocol):
    """Recogniser of single text lines."""

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines in their order.

        Args:
            images: Name and pixels, (H, W) or (H, W, 3) uint8, of each line.
        """

    def reread_uncertain(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return the readings, uncertain ones replaced by more confident ones where possible.

        Args:
            first: Images and their first readings.
        """


class ReadsFormulas(Protocol):
    """Recogniser of formula images."""

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[FormulaResult]:
        """Read any number of formulas in their order.

        Args:
            images: Name and pixels, (H, W) or (H, W, 3) uint8, of each formula.
        """


class ReadsPages(Protocol):
    """Recogniser of whole page images."""

    def read(
        self, image: Image, number: int = 1, dpi: float = 0.0, known: Collection[str] = ()
    ) -> Page:
        """Read a page; see `ocrtool.pages.reader.PageReader.read`."""

    def read_stream(
        self, pages: Iterable[PageSource], known: Collection[str] = ()
    ) -> Iterator[tuple[PageSource, Page]]:
        """Read the pages of a document in their order.

        Args:
            pages: The page images.
            known: Words of the pages accepted so far; the collection may grow meanwhile.
        """

    def with_order(self, order: Order) -> ReadsPages:
        """Return a reader with the same models and another reading order."""


def open_lines(
    options: ReadOptions, decoding: DecodeOptions | None = None, augment_uncertain: bool = True
) -> ReadsLines:
    """Open the line reader that the options select.

    Args:
        options: Model, engine, device, and the model to which uncertain lines are escalated.
        decoding: Decoding options of a bundled network; see `ocrtool.readers.lines.LineReader`.
        augment_uncertain: Test-time augmentation of a bundled network; see there.

    Raises:
        ModelError: The model does not exist, is damaged, or does not read lines.
        MissingDependencyError: A package or program that runs the model is not installed.
        DeviceError: The requested device cannot be used.
    """
    first = _open_lines(options, decoding, augment_uncertain)
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
    options: ReadOptions, decoding: DecodeOptions | None = None, augment_uncertain: bool = True
) -> ReadsLines:
    if options.engine == EngineName.TESSERACT:
        from ocrtool.readers.tesseract import TesseractReader

        return TesseractReader(options)
    folder = None
    if options.model is not None:
        from ocrtool.weights.ppocr import PPOCR_NAMES

        if options.model in PPOCR_NAMES:
            from ocrtool.readers.ppocr import PpocrReader

            return PpocrReader(options)
        from ocrtool.readers.model_lookup import published_folder

        folder = published_folder(options)
    if folder is None:
        from ocrtool.readers.lines import LineReader

        return LineReader(options, decoding, augment_uncertain)
    from ocrtool.readers.transformers import PublishedLines, open_published

    network = open_published(folder, options)
    if network.reads != "lines":
        raise ModelError(
            f"{options.model} reads {network.reads}, not lines", "leave out --layout line"
        )
    return PublishedLines(network, options)


def open_formulas(options: ReadOptions, decoding: DecodeOptions | None = None) -> ReadsFormulas:
    """Open the formula reader that the options select.

    Raises:
        ModelError: The model does not exist, is damaged, or does not read formulas.
        MissingDependencyError: A package that runs the model is not installed.
        DeviceError: The requested device cannot be used.
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


def formula_reader(options: ReadOptions) -> Callable[[], FormulaReader]:
    """Return a function that opens the bundled formula reader once, at its first call.

    Args:
        options: Engine, device and the like; their model is the line reader's and not used.
    """

    @functools.cache
    def reader() -> FormulaReader:
        from ocrtool.readers.formulas import FormulaReader

        return FormulaReader(replace(options, model=None))

    return reader
