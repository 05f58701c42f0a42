"""Lines of an image: found by the detector, cut out, and read by the line reader."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import MIN_MEAN_CHAR_CONFIDENCE, DetectedLayout, FoundLine
from ocrtool.layout.orientation import Turn, rotate_image
from ocrtool.pages.filters import LineReading, is_readable, is_text
from ocrtool.preprocess.lines import cut_line

if TYPE_CHECKING:
    from ocrtool.layout.detector import FindsText
    from ocrtool.readers import ReadsLines

logger = logging.getLogger(__name__)

MANY_LINES = 200
"""Number of lines above which ``PROBED_LINES`` of them are read first: if none is text, the image
is a pattern, such as a half-tone or a weave."""
PROBED_LINES = 24
"""Number of lines, spread over the image, that are read to tell text from a pattern."""


@dataclass(frozen=True, eq=False)
class FoundPage:
    """Lines and regions that the detector found on an image.

    Attributes:
        image: (H, W) or (H, W, 3), uint8, as it was searched.
        layout: All lines and regions, in pixels of ``image``.
        lines: The lines to read, longest first.
        turned_by: Degrees, counter-clockwise, by which the given image had been turned.
    """

    image: NDArray[np.uint8]
    layout: DetectedLayout
    lines: Sequence[FoundLine]
    turned_by: Turn = 0


@dataclass(frozen=True, eq=False)
class RecognisedPage:
    """A page whose lines have been read.

    Attributes:
        found: The page.
        lines: Its lines and their readings, longest first; empty for a pattern.
    """

    found: FoundPage
    lines: Sequence[LineReading]


def find_lines(
    image: NDArray[np.uint8], detector: FindsText, turn: Turn = 0, most: int = 0
) -> FoundPage:
    """Find the lines of an image.

    Args:
        image: (H, W) or (H, W, 3), uint8.
        detector: Finds lines and regions.
        turn: Degrees, counter-clockwise, by which the image is turned first.
        most: Number of lines that are wanted, the longest ones, from a detection at low
            resolution; 0 for all, at full resolution.
    """
    turned = rotate_image(image, turn)
    start = time.perf_counter()
    layout = detector.find(turned, 1) if most else detector.find(turned)
    if not layout.lines and not most:
        from ocrtool.preprocess.contrast import widest_contrast

        if (contrast := widest_contrast(turned)) is not None:
            turned, layout = contrast, detector.find(contrast)
    seconds = time.perf_counter() - start
    logger.info("%d lines found in %.0f ms", len(layout.lines), 1000 * seconds)
    lines = sorted(filter(is_readable, layout.lines), key=lambda line: -line.length)
    return FoundPage(turned, layout, lines[: most or None], turn)


def recognise(pages: Sequence[FoundPage], reader: ReadsLines) -> list[RecognisedPage]:
    """Read the lines of pages, those of all pages in shared batches."""
    wanted = [list(_worth_reading(page, reader)) for page in pages]
    start = time.perf_counter()
    crops = [
        ("", cut_line(page.image, line.quad))
        for page, lines in zip(pages, wanted, strict=True)
        for line in lines
    ]
    middle = time.perf_counter()
    results = iter(list(reader.read_stream(crops)))
    seconds = (middle - start, time.perf_counter() - middle)
    logger.info("%d lines cut in %.0f ms, read in %.0f", len(crops), *np.multiply(seconds, 1e3))
    return [
        RecognisedPage(page, [(line, next(results)) for line in lines])
        for page, lines in zip(pages, wanted, strict=True)
    ]


def _worth_reading(page: FoundPage, reader: ReadsLines) -> Sequence[FoundLine]:
    """Return the lines of a page, or none where it is a pattern rather than text."""
    if len(page.lines) <= MANY_LINES:
        return page.lines
    sample = page.lines[:: len(page.lines) // PROBED_LINES]
    (probe,) = recognise([replace(page, lines=sample)], reader)
    return page.lines if any(is_text(line, result) for line, result in probe.lines) else ()


def reread_doubtful(
    image: NDArray[np.uint8], read: Sequence[LineReading], reader: ReadsLines
) -> list[LineReading]:
    """Read lines of low confidence again, by test-time augmentation.

    Args:
        image: The image that the lines are on.
        read: Lines and their readings.
        reader: Decides which of the lines in doubt it can read better.
    """
    start = time.perf_counter()
    doubtful = [
        i
        for i, (_, result) in enumerate(read)
        if result.mean_char_confidence < MIN_MEAN_CHAR_CONFIDENCE
    ]
    again = list(read)
    pairs = [(cut_line(image, read[i][0].quad), read[i][1]) for i in doubtful]
    for i, result in zip(doubtful, reader.reread_uncertain(pairs), strict=True):
        again[i] = read[i][0], result
    count = sum(new is not old for (_, new), (_, old) in zip(again, read, strict=True))
    seconds = time.perf_counter() - start
    logger.info("%d lines looked at again in %.0f ms", count, 1e3 * seconds)
    return again
