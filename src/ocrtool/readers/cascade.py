"""A fast reader first, and a larger one for the lines that it is not sure of.

The better-scored answer wins, and says who gave it. The larger reader is opened with the first line
that needs it. A budget bounds what it may read, in lines or seconds; what is beyond stays as the
fast reader read it.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.readings import LineResult
from ocrtool.options import ReadOptions
from ocrtool.readers import ReadsLines

Image = NDArray[np.uint8]

WINDOW = 64
"""Lines held at a time."""

logger = logging.getLogger(__name__)


class CascadeReader:
    """Reads lines with one reader, and those in doubt with another.

    Args:
        first: The fast one.
        larger: Opens the other.
        name: Of the other, as results tell it.
        options: Confidence below which a line is in doubt, and the budget.
    """

    def __init__(
        self, first: ReadsLines, larger: Callable[[], ReadsLines], name: str, options: ReadOptions
    ) -> None:
        self.first = first
        self.name = name
        self.options = options
        self._open = larger
        self.lines_left = options.budget_lines
        self.seconds_left = options.budget_seconds

    @cached_property
    def larger(self) -> ReadsLines:
        """The larger reader."""
        return self._open()

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines, in their order; see `ocrtool.readers.ReadsLines`."""
        stream = iter(images)
        while window := list(itertools.islice(stream, WINDOW)):
            read = zip(window, self.first.read_stream(window), strict=True)
            yield from self.escalate([(image, result) for (_, image), result in read])

    def look_again(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return better readings of lines in doubt, by the first reader."""
        return self.first.look_again(first)

    def escalate(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return the readings, those in doubt replaced where the larger reader is surer."""
        results = [result for _, result in first]
        doubted = [i for i, result in enumerate(results) if result.confidence < self.options.below]
        doubted.sort(key=lambda i: results[i].confidence)
        if self.lines_left is not None:
            doubted = doubted[: self.lines_left]
            self.lines_left -= len(doubted)
        if not doubted:
            return results
        began = time.monotonic()
        changed = 0
        said = self.larger.read_stream((results[i].source, first[i][0]) for i in doubted)
        for i in doubted:
            if self.seconds_left is not None and time.monotonic() - began > self.seconds_left:
                break
            other = next(said)
            if other.text and other.confidence > results[i].confidence:
                results[i] = replace(other, reader=self.name)
                changed += 1
        seconds = time.monotonic() - began
        if self.seconds_left is not None:
            self.seconds_left = max(0.0, self.seconds_left - seconds)
        logger.info(
            "%d of %d lines went to %s (%.1f s), which was surer of %d",
            len(doubted), len(results), self.name, seconds, changed,
        )  # fmt: skip
        return results
