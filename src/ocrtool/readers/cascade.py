"""Cascade of two line readers: a fast one first, a larger one for its uncertain lines.

The reading with the higher confidence is kept, and names its reader. The larger reader is opened
when the first line needs it. A budget limits the lines or seconds it may take; lines beyond the
budget keep the reading of the fast reader.
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

from ocrtool.document.lines import LineResult
from ocrtool.options import ReadOptions
from ocrtool.readers import ReadsLines

Image = NDArray[np.uint8]

WINDOW = 64
"""Maximum number of lines held at a time."""

logger = logging.getLogger(__name__)


class CascadeReader:
    """Line reader that rereads uncertain lines with a larger reader.

    Args:
        first: The fast reader.
        larger: Opens the larger reader.
        name: Name of the larger reader in results.
        options: Confidence below which a line is reread, and the budget.
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
        """The larger reader, opened at first use."""
        return self._open()

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines in their order; see `ocrtool.readers.ReadsLines`."""
        stream = iter(images)
        while window := list(itertools.islice(stream, WINDOW)):
            read = zip(window, self.first.read_stream(window), strict=True)
            yield from self.escalate([(image, result) for (_, image), result in read])

    def reread_uncertain(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return the readings, uncertain ones reread by the fast reader."""
        return self.first.reread_uncertain(first)

    def escalate(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return the readings, replaced where the larger reader is more confident."""
        results = [result for _, result in first]
        uncertain = [
            i for i, result in enumerate(results) if result.confidence < self.options.below
        ]
        uncertain.sort(key=lambda i: results[i].confidence)
        if self.lines_left is not None:
            uncertain = uncertain[: self.lines_left]
            self.lines_left -= len(uncertain)
        if not uncertain:
            return results
        began = time.monotonic()
        changed = 0
        rereadings = self.larger.read_stream((results[i].source, first[i][0]) for i in uncertain)
        for i in uncertain:
            if self.seconds_left is not None and time.monotonic() - began > self.seconds_left:
                break
            other = next(rereadings)
            if other.text and other.confidence > results[i].confidence:
                results[i] = replace(other, reader=self.name)
                changed += 1
        seconds = time.monotonic() - began
        if self.seconds_left is not None:
            self.seconds_left = max(0.0, self.seconds_left - seconds)
        logger.info(
            "%d of %d lines were reread by %s (%.1f s), %d of them with higher confidence",
            len(uncertain), len(results), self.name, seconds, changed,
        )  # fmt: skip
        return results
