"""Pictures to LaTeX: formulas, tables, pages; a bounded number of them in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.autoregressive import DecodeOptions
from ocrtool.document.tree import Block, Bookmark, Box, Page
from ocrtool.documents.page import PageConverter
from ocrtool.inputs.page_source import PageSource
from ocrtool.layout.content_type import is_formula
from ocrtool.options import HyphenChoice, PageOptions, PictureKind, ReadOptions
from ocrtool.pages.reader import PageReader
from ocrtool.readers import ReadsFormulas, formula_reader, open_formulas
from ocrtool.readers.formulas import FormulaResult

if TYPE_CHECKING:
    from ocrtool.document.lines import LineResult
    from ocrtool.pages.recognise import FoundPage
    from ocrtool.rendering.render import Renderer

Image = NDArray[np.uint8]

WINDOW, PIXELS = 32, 12_000_000
"""Pictures, and pixels in all of them, that are held at a time."""
UNLIKE = 0.1
"""Most confidence in a formula that, drawn again, looks different."""
MOSTLY = 0.8
"""Share of a picture's lines in one table, from which the picture is that table."""


@dataclass(frozen=True, eq=False)
class Given:
    """A picture that is to be transcribed.

    Attributes:
        source: Name of its input.
        page: Its page.
    """

    source: str
    page: PageSource

    @cached_property
    def image(self) -> Image:
        """Pixels of the page."""
        return self.page.pixels


@dataclass(frozen=True)
class Transcript:
    """What a picture says.

    Attributes:
        source: Name of its input.
        number: Of its page, from 1.
        kind: What it holds.
        confidence: 0 to 1: that all of a formula is right; of tables and pages, the mean of their
            words.
        formula: What a formula says.
        block: A table.
        pages: A page, or all of one input.
        figures: Image files of their figures, by name.
        metadata: Title, author and the like of the input.
        bookmarks: Table of contents of the input.
        closeness: How well the drawn formula agrees with the picture, 0 to 1, where that was
            asked; else nothing.
        agrees: Whether that is well enough.
    """

    source: str
    number: int
    kind: Literal["formula", "table", "page"]
    confidence: float
    formula: FormulaResult | None = None
    block: Block | None = None
    pages: tuple[Page, ...] = ()
    figures: Mapping[str, bytes] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    bookmarks: tuple[Bookmark, ...] = ()
    closeness: float | None = None
    agrees: bool | None = None

    @property
    def candidates(self) -> tuple[str, ...]:
        """What a formula may say, likelier first; nothing where it is blank."""
        if self.formula is None or not self.formula.latex:
            return ()
        return self.formula.latex, *self.formula.others


class Transcriber:
    """Reads pictures as LaTeX; loads each model when it is first needed, and keeps it.

    Args:
        options: Model of formulas, engine, device and the like.
        decoding: How formulas are decoded.
        renderer: Draws formulas again, to compare them with their pictures; not done without.
        figures: Whether the figures of pages are cut out.
    """

    def __init__(
        self,
        options: ReadOptions | None = None,
        decoding: DecodeOptions | None = None,
        renderer: Renderer | None = None,
        figures: bool = False,
    ) -> None:
        self.options = options or ReadOptions()
        self.decoding = decoding
        self.renderer = renderer
        self.figures = figures

    @cached_property
    def formulas(self) -> ReadsFormulas:
        """What reads formulas."""
        return open_formulas(self.options, self.decoding)

    @cached_property
    def converter(self) -> PageConverter:
        """Converter of pages; the model that was asked for reads formulas."""
        own = self.options.model is None
        formulas = formula_reader(self.options) if own else lambda: self.formulas
        reading = replace(self.options, model=None)
        options = PageOptions(pictures=self.figures, hyphens=HyphenChoice.JOIN, reading=reading)
        return PageConverter(options, formulas)

    @cached_property
    def pages(self) -> PageReader:
        """Reader of images of pages."""
        assert isinstance(self.converter.reader, PageReader)  # no published model is asked for
        return self.converter.reader

    @cached_property
    def tables(self) -> PageReader:
        """Reader that takes the whole image for one table."""
        return self.pages.with_order("table")

    def read(
        self, pictures: Iterable[Given], kind: PictureKind = PictureKind.AUTO
    ) -> Iterator[Transcript]:
        """Read any number of pictures, in their order.

        Args:
            pictures: Lazily loaded.
            kind: What they hold.

        Raises:
            InputError: An array is no image.
            ModelError: There is no such model, it is damaged, or reads no formulas.
            MissingDependencyError: The engine is not installed.
            DeviceError: The device that is asked for cannot be used.
        """
        for window in windows(pictures):
            yield from self._window(window, kind)

    def _window(self, window: Sequence[Given], kind: PictureKind) -> Iterator[Transcript]:
        found: dict[int, FoundPage] = {}
        if kind is PictureKind.AUTO:
            found = {i: self.pages.find(given.image) for i, given in enumerate(window)}
        formulas = [
            i for i in range(len(window))
            if kind is PictureKind.FORMULA or (i in found and self._is_formula(found[i]))
        ]  # fmt: skip
        said = self._formulas([window[i] for i in formulas])
        for i, given in enumerate(window):
            yield next(said) if i in formulas else self._page(given, kind, found.get(i))

    def _is_formula(self, found: FoundPage) -> bool:
        def read(crops: Sequence[Image]) -> Sequence[LineResult]:
            return list(self.pages.lines.read_stream([("", crop) for crop in crops]))

        return is_formula(found.image, found.layout, read)

    def _formulas(self, pictures: Sequence[Given]) -> Iterator[Transcript]:
        if not pictures:
            return iter(())
        results = list(self.formulas.read_stream([(one.source, one.image) for one in pictures]))
        said = [
            Transcript(given.source, given.page.number, "formula", result.confidence, result)
            for given, result in zip(pictures, results, strict=True)
        ]
        return iter(said if self.renderer is None else self._verified(pictures, said))

    def _verified(
        self, pictures: Sequence[Given], said: Sequence[Transcript]
    ) -> Iterator[Transcript]:
        """Take of each formula the text that looks most like its picture."""
        from ocrtool.rendering.compare import verify_all

        assert self.renderer is not None
        shown = [i for i, one in enumerate(said) if one.candidates]
        groups = [said[i].candidates for i in shown]
        images = [pictures[i].image for i in shown]
        verdicts = dict(zip(shown, verify_all(images, groups, self.renderer), strict=True))
        for i, one in enumerate(said):
            verdict = verdicts.get(i)
            if verdict is None or one.formula is None:
                yield one
                continue
            formula = one.formula.instead(verdict.index)
            confidence = one.confidence if verdict.agrees else min(one.confidence, UNLIKE)
            yield replace(
                one,
                formula=formula,
                confidence=confidence,
                closeness=verdict.closeness,
                agrees=verdict.agrees,
            )

    def _page(self, given: Given, kind: PictureKind, found: FoundPage | None) -> Transcript:
        source, number = given.page, given.page.number
        if kind is PictureKind.TABLE:
            page, figures = self.tables.read(given.image, number, source.dpi), {}
        else:
            result = self.converter.convert(source, found=found)
            page, figures = result.page, dict(result.pictures)
        lines = sum(len(block.lines) for block in page.blocks)
        tables = [block for block in page.blocks if block.kind == "table" and block.cells]
        table = max(
            tables, key=lambda block: len(block.lines), default=Block("table", Box(0, 0, 0, 0))
        )
        alone = tables and len(table.lines) >= MOSTLY * lines
        if kind is PictureKind.TABLE or (kind is PictureKind.AUTO and alone):
            return Transcript(given.source, number, "table", page.confidence, block=table)
        return Transcript(
            given.source, number, "page", page.confidence, pages=(page,), figures=figures,
            metadata=source.metadata, bookmarks=source.bookmarks,
        )  # fmt: skip


def windows(pictures: Iterable[Given]) -> Iterator[list[Given]]:
    """Group pictures as they come, so that few pixels are held at a time."""
    window: list[Given] = []
    pixels = 0
    for given in pictures:
        size = given.image.shape[0] * given.image.shape[1]
        if window and (len(window) == WINDOW or pixels + size > PIXELS):
            yield window
            window, pixels = [], 0
        window.append(given)
        pixels += size
    if window:
        yield window
