"""PP-OCR's line recogniser, run by ONNX Runtime.

It reads Chinese, Japanese, Greek capitals, and Latin script with most of its accented letters; no
Cyrillic, Korean or Arabic. Source: Li et al., "PP-OCRv3", 2022, and its successors.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import LineResult, ReadWord
from ocrtool.engines import split_on_oom
from ocrtool.engines.onnx import import_runtime, open_on
from ocrtool.options import ReadOptions
from ocrtool.readers.line_results import SinglePassReader
from ocrtool.readers.lines import WINDOW, batches
from ocrtool.weights.ppocr import RECOGNISER, ppocr_file

Image = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

HEIGHT = 48
"""Height of the network's input in pixels."""
MIN_WIDTH = 320
"""Minimum width of the network's input in pixels; narrower lines are padded."""
MAX_WIDTH = 4_800
"""Maximum width of the network's input in pixels; longer lines are compressed."""
BATCH_WIDTH = 4_000
"""Maximum total width of a batch in pixels, padding included."""
BLANK = 0
"""Class of the CTC blank; the last class is the space."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Character:
    """A decoded character: its text, its probability, and its place as a share of the width."""

    text: str
    probability: float
    start: float
    end: float


class PpocrReader(SinglePassReader):
    """Line reader that runs PP-OCR's recogniser; keeps its model loaded.

    Args:
        options: Device, threads and minimum confidence.

    Raises:
        MissingDependencyError: The package with the model is not installed.
        ModelError: Its file is damaged.
        DeviceError: The device that is asked for cannot be used.
    """

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self._session, self.device = open_on(
            import_runtime(), ppocr_file(RECOGNISER), options.device, options.threads
        )
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.alphabet = ("", *metadata["character"].splitlines(), " ")

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines in their order; see `ocrtool.readers.ReadsLines`."""
        stream = iter(images)
        while window := list(itertools.islice(stream, WINDOW)):
            pixels = [network_input(image) for _, image in window]
            found: dict[int, LineResult] = {}

            def read(
                batch: list[int],
                window: Sequence[tuple[str, Image]] = window,
                pixels: Sequence[FloatArray] = pixels,
            ) -> list[LineResult]:
                sources = [window[i][0] for i in batch]
                return self._read(sources, [pixels[i] for i in batch])

            for batch in batches([max(MIN_WIDTH, one.shape[2]) for one in pixels], BATCH_WIDTH):
                found.update(zip(batch, split_on_oom(read, batch), strict=True))
            yield from (found[i] for i in range(len(window)))

    def _read(self, sources: Sequence[str], lines: Sequence[FloatArray]) -> list[LineResult]:
        width = max(MIN_WIDTH, *(line.shape[2] for line in lines))
        pixels = np.zeros((len(lines), 3, HEIGHT, width), np.float32)
        for row, line in zip(pixels, lines, strict=True):
            row[:, :, : line.shape[2]] = line
        (probabilities,) = self._session.run(None, {"x": pixels})
        results = []
        for source, row, line in zip(sources, probabilities, lines, strict=True):
            share = line.shape[2] / width
            results.append(self._result(source, self._decoded(row, share)))
        return results

    def _decoded(self, probabilities: FloatArray, share: float) -> list[_Character]:
        """Decode (T, C) probabilities greedily; the line fills this share of the frames."""
        best = probabilities.argmax(1)
        highest = probabilities[np.arange(len(best)), best]
        starts = np.flatnonzero(np.diff(best, prepend=-1))
        ends = np.append(starts[1:], len(best))
        total = max(1.0, len(best) * share)
        return [
            _Character(
                self.alphabet[best[a]],
                float(highest[a:b].max()),
                min(1.0, a / total),
                min(1.0, b / total),
            )
            for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
            if best[a] != BLANK
        ]

    def _result(self, source: str, characters: list[_Character]) -> LineResult:
        while characters and not characters[0].text.strip():
            characters = characters[1:]
        while characters and not characters[-1].text.strip():
            characters = characters[:-1]
        text = "".join(one.text for one in characters)
        confidence = math.prod(one.probability for one in characters)
        if confidence < self.options.min_confidence or not text:
            return LineResult(source, "", confidence if text else 1.0, ())
        words = tuple(_words(characters))
        return LineResult(source, text, confidence, words, tuple(c.probability for c in characters))


def network_input(image: Image) -> FloatArray:
    """Return a line as the network takes it: (3, 48, W), BGR, -1 to 1.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
    """
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)
    height, width = colour.shape[:2]
    wide = min(MAX_WIDTH, max(1, math.ceil(HEIGHT * width / height)))
    scaled = cv2.resize(colour, (wide, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32) / 127.5 - 1


def _words(characters: Sequence[_Character]) -> Iterator[ReadWord]:
    """Yield the words of a line; a script without spaces is one word between two spaces."""
    for blank, group in itertools.groupby(characters, lambda one: not one.text.strip()):
        if not blank:
            some = list(group)
            text = "".join(one.text for one in some)
            probability = math.prod(one.probability for one in some)
            yield ReadWord(text, probability, some[0].start, some[-1].end)
