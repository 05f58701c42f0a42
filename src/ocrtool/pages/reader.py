"""Whole pages to documents: find the lines, read them, put them in order."""

from __future__ import annotations

import copy
import itertools
import logging
import math
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.lexicon import bundled_lexicon
from ocrtool.document.detected import DetectedLayout, FoundLine, Region
from ocrtool.document.geometry import part_of
from ocrtool.document.readings import LineResult, ReadLine, ReadWord
from ocrtool.document.tree import Page
from ocrtool.inputs.images import PageImage, pixels_of
from ocrtool.layout.detector import Detector
from ocrtool.layout.orientation import (
    WAYS,
    Turn,
    likely_ways,
    page_turn,
    runs_across,
    turn_image,
    turn_quad,
)
from ocrtool.layout.rotate import turned_box, turned_page
from ocrtool.layout.ruling_lines import table_rules
from ocrtool.options import EngineName, Order, ReadOptions
from ocrtool.pages.bleed_through import drop_bleed_through
from ocrtool.pages.formulas import with_latex
from ocrtool.preprocess.crops import MARGIN, cut_box, cut_line
from ocrtool.preprocess.prefetch import ahead
from ocrtool.readers import open_lines
from ocrtool.readers.cascade import CascadeReader
from ocrtool.readers.test_time_augmentation import DOUBT
from ocrtool.structure import AssembleOptions, assemble
from ocrtool.structure.equations import is_number
from ocrtool.tables.missed_cells import missed_lines

if TYPE_CHECKING:
    from ocrtool.readers import ReadsFormulas, ReadsLines

logger = logging.getLogger(__name__)

BACK: dict[Turn, Turn] = {0: 0, 90: 270, 180: 180, 270: 90}
"""The turn that undoes another."""
LEAST_SURENESS = 0.75
"""Geometric mean of the letters' probabilities below which a line is a pattern taken for text."""
LEAST_FOUND = 0.6
"""Confidence of the detector below which a line has never been text, and is not read."""
LEAST_HEIGHT = 5.5
"""Pixels; nobody can read lower lines."""
TINY, TINY_SURENESS = 7.0, 0.9
"""Pixels below which a rule on grainy paper looks like a line of text, and how sure one must be."""
MANY, SAMPLE = 200, 24
"""Lines from which it is first asked whether they are text at all, and lines that answer it."""
QUICK_SAMPLE = 12
"""Lines that are read to find out whether a page lies another way."""
SHORT = 3
"""Letters up to which a stain may look like text, so that the detector must be sure of it, too."""
SHORT_SURENESS, SIGN_SURENESS = 0.6, 0.75
"""Least product of both for short lines, and for those without a letter or digit."""
WALLED = 0.5
"""The same of a word that stands in a field of a ruled table, and so is no pattern."""
LEAST_AGAIN = 0.5
"""The least mean_char_confidence of a short line once it was looked at again."""
DOUBTFUL = 0.9
"""Geometric mean of the letters' probabilities below which a page may lie another way."""
TELLING = 6
"""Letters of long known words, read surely, after which no page is thought to lie another way."""
WORD_WIDTH = 1.5
"""Least width, in heights, of a line with such a word: where words lie on their side, what is found
of them is higher than wide."""
LONG_WORDS = re.compile(r"[^\W\d_]{4,}")
"""Shorter ones come by chance, too."""
ENOUGH = 3
"""Lines that have to read surely the other way."""
PLAINLY = 0.08
"""How much surer another way must be."""
TOGETHER = 8
"""Pages of a document whose lines a GPU reads together, or whose lines in doubt go to a larger
reader together."""
SMALL = 400_000
"""Pixels up to which an image with next to nothing on it may be a single line, cut out tight."""
LONE_SURENESS = 0.9
"""What the letters of such a line must come to: the whole image was read, text or not."""


@dataclass(frozen=True, eq=False)
class _Found:
    """What was found on an image as it lies: the layout, and the lines that are to be read."""

    image: NDArray[np.uint8]
    layout: DetectedLayout
    lines: Sequence[FoundLine]
    way: Turn = 0


@dataclass(frozen=True, eq=False)
class _Look:
    """What was read of an image as it lies.

    Attributes:
        image: As it lay.
        texts: The lines that read surely, and what they say.
        regions: Of the layout.
        turn: Which way up their reading directions say that the page lies.
        mean_char_confidence: Geometric mean of the probabilities of all letters of the longest
            lines, accepted or not.
        count: Lines that were found.
        ways: In which it may lie if it does not lie right.
        way: How the image that was given had been turned.
        lone: Whether all of the image was read as a line.
    """

    image: NDArray[np.uint8]
    texts: tuple[tuple[FoundLine, LineResult], ...]
    regions: tuple[Region, ...]
    turn: Turn
    mean_char_confidence: float
    count: int
    ways: tuple[Turn, ...] = WAYS
    way: Turn = 0
    lone: bool = False

    @property
    def letters(self) -> int:
        """How many were read surely."""
        return sum(len(result.text) for _, result in self.texts)

    @cached_property
    def known_word_letters(self) -> int:
        """Letters of long known words that stand, surely read, in lines that run across."""
        lexicon = bundled_lexicon()
        return sum(
            len(word)
            for line, said in self.texts
            if said.mean_char_confidence >= DOUBTFUL and line.length > WORD_WIDTH * line.height
            if runs_across(line.quad)
            for word in LONG_WORDS.findall(said.text)
            if word in lexicon
        )

    def cut(self, line: FoundLine) -> NDArray[np.uint8]:
        """Return the picture of a line."""
        return self.image if self.lone else cut_line(self.image, line.quad)


class PageReader:
    """Reads pages; keeps its models loaded.

    Args:
        options: Model of the lines, engine, device and the like.
        assembling: How lines become blocks.
        detector: Name of a bundled detector or path of a model folder.
        lone_lines: Whether a small image on which less than two lines are found is also read as
            if it were a line.
        formulas: Returns what reads displayed formulas; asked for with the first of them. Without
            it they stay text.

    Raises:
        ModelError: There is no such model, or it is damaged.
        MissingDependencyError: The engine is not installed.
        DeviceError: The device that is asked for cannot be used.
    """

    def __init__(
        self,
        options: ReadOptions | None = None,
        assembling: AssembleOptions | None = None,
        detector: str = "detector",
        lone_lines: bool = False,
        formulas: Callable[[], ReadsFormulas] | None = None,
    ) -> None:
        start = time.perf_counter()
        self.options = options or ReadOptions()
        self.lone_lines = lone_lines
        self.formulas = formulas
        self.assembling = assembling or AssembleOptions()
        asked = self.options
        # What is not sure enough is marked by the writers, not withheld by the reader.
        lines = open_lines(replace(asked, min_confidence=0.0), second_looks=False)
        # Only what is text, and is still in doubt after a second look, is worth its time.
        self.cascade = lines if isinstance(lines, CascadeReader) else None
        self.lines: ReadsLines = self.cascade.first if self.cascade else lines
        engine = EngineName.AUTO if asked.engine is EngineName.TESSERACT else asked.engine
        self.detector = Detector(detector, engine, asked.device, asked.threads)
        # A GPU reads the lines of several pages at once while the host prepares the next ones.
        self.overlapped = self.detector.device != "cpu"
        logger.info("models opened in %.0f ms", 1000 * (time.perf_counter() - start))

    def read(
        self,
        image: NDArray[np.uint8],
        number: int = 1,
        dpi: float = 0.0,
        known: Collection[str] = (),
    ) -> Page:
        """Read a page or picture, whichever way up it lies.

        Args:
            image: (H, W) grey or (H, W, 3) RGB, uint8.
            number: Of the page, from 1.
            dpi: Pixels an inch, where it is known; else 0.
            known: Words of other pages of its document; see ``AssembleOptions``.

        Returns:
            The page; all geometry in pixels of ``image`` as it is given.

        Raises:
            InputError: The array is no image.
        """
        (look,) = self._escalated([self._best_look(image, self._look(image))])
        return self._page(look, number, dpi, known)

    def read_stream(
        self, pages: Iterable[PageImage], known: Collection[str] = ()
    ) -> Iterator[tuple[PageImage, Page]]:
        """Read the pages of a document; see `ocrtool.readers.ReadsPages`."""
        # What is read of several pages makes fuller batches.
        together = TOGETHER if self.cascade or self.overlapped else 1

        def find(page: PageImage) -> _Found:
            return self._find(page.picture.pixels)

        found = ((page, find(page)) for page in pages)
        stream = ahead(find, pages, TOGETHER) if self.overlapped else found
        while window := list(itertools.islice(stream, together)):
            read = self._read([found for _, found in window])
            firsts = map(self._seen, (found for _, found in window), read)
            looks = self._escalated(
                [
                    self._best_look(page.picture.pixels, first)
                    for (page, _), first in zip(window, firsts, strict=True)
                ]
            )
            for (page, _), look in zip(window, looks, strict=True):
                yield page, self._page(look, page.number, page.dpi, known)

    def with_order(self, order: Order) -> PageReader:
        """Return a reader of the same models that takes pages for something else.

        Args:
            order: See ``AssembleOptions``.
        """
        other = copy.copy(self)
        other.assembling = replace(self.assembling, order=order)
        return other

    def _best_look(self, image: NDArray[np.uint8], look: _Look) -> _Look:
        """Return what an image says whichever way up it lies, once it was looked at as it is."""
        if (
            look.mean_char_confidence < DOUBTFUL
            and look.count
            and look.known_word_letters < TELLING
        ):
            others: list[_Look] = []
            for way in look.ways:
                others.append(self._look(image, way, QUICK_SAMPLE))
                if others[-1].known_word_letters >= TELLING:
                    break
            best = max(
                others,
                key=lambda other: (other.known_word_letters >= TELLING, other.mean_char_confidence),
            )
            plainly = (
                best.mean_char_confidence > look.mean_char_confidence + PLAINLY
                and len(best.texts) >= ENOUGH
            )
            if plainly or best.known_word_letters >= TELLING:
                look = self._look(image, best.way)
        if self.lone_lines and look.count < 2 and image.shape[0] * image.shape[1] <= SMALL:
            lone = self._lone_line(image)
            # A letter may have been left out of what was found.
            if lone is not None and (lone.letters, lone.mean_char_confidence) > (
                look.letters,
                look.mean_char_confidence,
            ):
                look = lone
        return look

    def _page(self, look: _Look, number: int, dpi: float, known: Collection[str]) -> Page:
        """Put what was read in order.

        Args:
            look: What was read.
            number: See ``read``.
            dpi: See ``read``.
            known: See ``read``.
        """
        start = time.perf_counter()
        lying = (look.image.shape[1], look.image.shape[0])
        width, height = lying if look.way in (0, 180) else lying[::-1]  # as it was given
        turn = cast(Turn, (look.way + look.turn) % 360)
        upright = (width, height) if turn in (0, 180) else (height, width)
        margin = 0.0 if look.lone else MARGIN
        sure = [
            placed(result, line, margin)
            for line, result in drop_bleed_through(look.image, look.texts)
        ]
        layout = DetectedLayout(tuple(line for line, _ in sure), look.regions)
        layout = turned_layout(layout, look.turn, *lying)
        turned = turn_image(look.image, look.turn)
        layout = replace(layout, rules=table_rules(turned, layout))
        layout, readings = self._with_fields(turned, layout, tuple(said for _, said in sure))
        assembling = replace(self.assembling, known={*self.assembling.known, *known})
        page = assemble(number, upright, layout, readings, assembling)
        if self.formulas is not None:
            page = with_latex(page, lambda box: cut_box(turned, box), self.formulas)
        page = turned_page(page, BACK[turn], *upright)
        page = replace(page, width=width, height=height, turned=turn, dpi=dpi)
        logger.info("assembled in %.0f ms", 1000 * (time.perf_counter() - start))
        return page

    def _look(self, given: NDArray[np.uint8], way: Turn = 0, most: int = 0) -> _Look:
        """Find and read the lines of an image; arguments as of ``_find``."""
        found = self._find(given, way, most)
        (read,) = self._read([found])
        return self._seen(found, read, again=not most)

    def _find(self, given: NDArray[np.uint8], way: Turn = 0, most: int = 0) -> _Found:
        """Find the lines of an image.

        Args:
            given: As it was given.
            way: How it is turned first.
            most: Lines that are wanted, the longest ones that a quick look finds; 0 for all.
        """
        image = turn_image(given, way)
        start = time.perf_counter()
        layout = self.detector.find(image, 1) if most else self.detector.find(image)
        seconds = time.perf_counter() - start
        logger.info("%d lines found in %.0f ms", len(layout.lines), 1000 * seconds)
        lines = sorted(filter(is_readable, layout.lines), key=lambda line: -line.length)
        lines = lines[: most or None]
        return _Found(image, layout, lines, way)

    def _seen(
        self,
        found: _Found,
        read: Sequence[tuple[FoundLine, LineResult]],
        again: bool = True,
    ) -> _Look:
        """Judge what was read of an image.

        Args:
            found: What was found.
            read: What the lines say.
            again: Whether short lines in doubt are read again.
        """
        results = [result for _, result in read]
        regions = found.layout.regions
        texts = [
            (line, result)
            for line, result in read
            if is_text(line, result) or is_number(result.text, line.quad, regions)
        ]
        if again:
            # What is short and reads otherwise each time is a squiggle.
            texts = [
                (line, result)
                for line, result in self._look_again(found.image, texts)
                if len(result.text) > SHORT or result.mean_char_confidence >= LEAST_AGAIN
            ]
        # Specks and stains say nothing about which way up the page lies.
        longest = [result for result in results[:SAMPLE] if result.text]
        letters = sum(len(result.text) for result in longest)
        odds = sum(math.log(max(result.confidence, 1e-30)) for result in longest)
        return _Look(
            found.image,
            tuple(texts),
            regions,
            page_turn(found.layout.lines),
            math.exp(odds / letters) if letters else 0.0,
            len(found.layout.lines),
            likely_ways([line for line, _ in read]),
            found.way,
        )

    def _read(self, found: Sequence[_Found]) -> list[list[tuple[FoundLine, LineResult]]]:
        """Read the lines of images, those of all of them together."""
        wanted = [list(self._worth_reading(one)) for one in found]
        start = time.perf_counter()
        crops = [
            ("", cut_line(one.image, line.quad))
            for one, lines in zip(found, wanted, strict=True)
            for line in lines
        ]
        middle = time.perf_counter()
        results = iter(list(self.lines.read_stream(crops)))
        seconds = (middle - start, time.perf_counter() - middle)
        logger.info("%d lines cut in %.0f ms, read in %.0f", len(crops), *np.multiply(seconds, 1e3))
        return [[(line, next(results)) for line in lines] for lines in wanted]

    def _worth_reading(self, found: _Found) -> Sequence[FoundLine]:
        """Return the lines of an image, or none where there are many that say nothing.

        The dots of a half-tone, the weave of a cloth: a look at some of them is enough.
        """
        if len(found.lines) <= MANY:
            return found.lines
        (some,) = self._read([replace(found, lines=found.lines[:: len(found.lines) // SAMPLE])])
        return found.lines if any(is_text(line, result) for line, result in some) else ()

    def _look_again(
        self, image: NDArray[np.uint8], read: Sequence[tuple[FoundLine, LineResult]]
    ) -> list[tuple[FoundLine, LineResult]]:
        """Read short lines that are in doubt in other ways."""
        start = time.perf_counter()
        unsure = [i for i, (_, result) in enumerate(read) if result.mean_char_confidence < DOUBT]
        seen = _read_again(image, read, unsure, self.lines.look_again)
        count = sum(new is not old for (_, new), (_, old) in zip(seen, read, strict=True))
        logger.info(
            "%d lines looked at again in %.0f ms", count, 1e3 * (time.perf_counter() - start)
        )
        return seen

    def _escalated(self, looks: Sequence[_Look]) -> Sequence[_Look]:
        """Let a larger reader read what is in doubt on some pages, if there is one."""
        if self.cascade is None:
            return looks
        texts = [list(look.texts) for look in looks]
        doubted = [
            (i, j)
            for i, look in enumerate(looks)
            for j, (_, said) in enumerate(look.texts)
            if said.confidence < self.options.below
        ]
        pairs = [(looks[i].cut(texts[i][j][0]), texts[i][j][1]) for i, j in doubted]
        for (i, j), result in zip(doubted, self.cascade.escalate(pairs), strict=True):
            texts[i][j] = texts[i][j][0], result
        return [replace(look, texts=tuple(said)) for look, said in zip(looks, texts, strict=True)]

    def _with_fields(
        self, image: NDArray[np.uint8], layout: DetectedLayout, readings: tuple[ReadLine, ...]
    ) -> tuple[DetectedLayout, tuple[ReadLine, ...]]:
        """Read what stands in the fields of ruled tables but was not found as a line."""
        missed, wrong = missed_lines(image, layout)
        if not missed:
            return layout, readings
        (read,) = self._read([_Found(image, layout, missed)])
        texts = [
            placed(result, line)
            for line, result in self._look_again(image, read)
            if is_text(line, result)
            or (result.text.isalnum() and result.mean_char_confidence >= WALLED)
        ]
        if not texts:
            return layout, readings
        kept = [i for i in range(len(readings)) if i not in wrong]
        lines = (*(layout.lines[i] for i in kept), *(line for line, _ in texts))
        said = (*(readings[i] for i in kept), *(said for _, said in texts))
        return replace(layout, lines=lines), said

    def _lone_line(self, image: NDArray[np.uint8]) -> _Look | None:
        """Read an image as if it were a line; nothing where that makes no sense."""
        (result,) = self.lines.read_stream([("", image)])
        if not result.text or result.mean_char_confidence < LONE_SURENESS:
            return None
        height, width = image.shape[:2]
        whole = FoundLine(((0, 0), (width, 0), (width, height), (0, height)), result.confidence)
        return _Look(image, ((whole, result),), (), 0, result.mean_char_confidence, 1, lone=True)


def _read_again(
    image: NDArray[np.uint8],
    read: Sequence[tuple[FoundLine, LineResult]],
    chosen: Sequence[int],
    again: Callable[[Sequence[tuple[NDArray[np.uint8], LineResult]]], Sequence[LineResult]],
) -> list[tuple[FoundLine, LineResult]]:
    """Return lines and what they read, some of them read again from their pictures."""
    seen = list(read)
    pairs = [(cut_line(image, read[i][0].quad), read[i][1]) for i in chosen]
    for i, result in zip(chosen, again(pairs), strict=True):
        seen[i] = read[i][0], result
    return seen


def read_page(
    image: NDArray[np.uint8] | Path | str | bytes, options: ReadOptions | None = None
) -> Page:
    """Read a page, photo or screenshot; see :class:`PageReader` for many.

    The models are loaded at the first call and kept.

    Args:
        image: A path, the content of an image file, or pixels (H, W) or (H, W, 3), uint8.
        options: Model of the lines, engine, device and the like.

    Raises:
        InputError: It is no image that can be read.
        ModelError: There is no such model, or it is damaged.
        MissingDependencyError: The engine is not installed.
        DeviceError: The device that is asked for cannot be used.
    """
    _, pixels = pixels_of(image)
    return _reader(options or ReadOptions()).read(pixels)


@lru_cache(maxsize=1)
def _reader(options: ReadOptions) -> PageReader:
    return PageReader(options, lone_lines=True)


def is_readable(line: FoundLine) -> bool:
    """Tell whether a line is worth reading."""
    return line.height >= LEAST_HEIGHT and line.confidence >= LEAST_FOUND


def is_text(line: FoundLine, result: LineResult) -> bool:
    """Tell text from what only looks like it, by how surely it was found and read."""
    least = TINY_SURENESS if line.height < TINY else LEAST_SURENESS
    if result.mean_char_confidence < least or not result.text:
        return False
    both = line.confidence * result.mean_char_confidence
    if not any(letter.isalnum() for letter in result.text):
        return both >= SIGN_SURENESS
    return len(result.text) > SHORT or both >= SHORT_SURENESS


def placed(
    result: LineResult, line: FoundLine, margin: float = MARGIN
) -> tuple[FoundLine, ReadLine]:
    """Return a line cut to its words, and its reading with the words placed along it.

    What was found may reach beyond the text into the white between columns, which then could not
    be told from the white between words.

    Args:
        result: What was read.
        line: Where.
        margin: How much wider the picture was that was read, at each end, in heights of the line.
    """
    margin *= line.height / max(line.length, 1e-6)

    def along(place: float) -> float:
        return min(max(place * (1 + 2 * margin) - margin, 0.0), 1.0)

    spans = [(along(word.start), along(word.end)) for word in result.words]
    first, last = spans[0][0], spans[-1][1]
    if last <= first:
        first, last = 0.0, 1.0
    words = (
        ReadWord(
            word.text,
            word.confidence,
            (start - first) / (last - first),
            (end - first) / (last - first),
        )
        for word, (start, end) in zip(result.words, spans, strict=True)
    )
    cut = FoundLine(part_of(line.quad, first, last), line.confidence)
    return cut, ReadLine(result.text, result.confidence, tuple(words), result.reader)


def turned_layout(
    layout: DetectedLayout, turn: Turn, width: float, height: float
) -> DetectedLayout:
    """Return where a layout comes to lie when its image, of this size, is turned."""
    if turn == 0:
        return layout
    lines = (
        FoundLine(turn_quad(line.quad, turn, width, height), line.confidence)
        for line in layout.lines
    )
    regions = (
        Region(region.kind, turned_box(region.box, turn, width, height), region.confidence)
        for region in layout.regions
    )
    return DetectedLayout(tuple(lines), tuple(regions))
