"""Images of text lines to text, with a confidence for every line and word."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.autoregressive import DecodeOptions, decode
from ocrtool.decoding.calibration import Calibration
from ocrtool.decoding.ctc import Decoded
from ocrtool.decoding.lexicon import bundled_lexicon, rescore_with_lexicon
from ocrtool.document.readings import LineResult, ReadWord
from ocrtool.engines import open_engine
from ocrtool.engines.base import Encoded, Engine
from ocrtool.engines.oom import split_on_oom
from ocrtool.errors import InputError, ModelError
from ocrtool.inputs.images import pixels_of
from ocrtool.models.config import FRAME
from ocrtool.options import ReadOptions
from ocrtool.preprocess.lines import collate_lines, cut_long, line_pixels, square_pixels
from ocrtool.readers.test_time_augmentation import FIRST_LOOKS, in_doubt, looks, surest

Image = NDArray[np.uint8]

WINDOW = 64
"""Images held at a time, from which batches of like widths are made."""
CPU_BATCH_WIDTH = 5_000
"""Pixels of width in a batch, padding included: what a CPU's caches hold."""
GPU_BATCH_WIDTH = 100_000
BATCH_COST = 250
"""What a batch costs besides, in pixels of width: calls, and the decoder's steps."""
LONGEST_ASPECT = 120
"""Width, in heights, beyond which a line is cut at gaps and read in pieces."""
TALL = 1.5
"""Height, in widths, from which a picture may show a line that runs up or down."""
TURNED_LETTERS = 3
"""Letters that a line that runs up or down must have: one letter alone is tall, too."""
BLANK_SURENESS = 0.7
"""How sure each letter of a turned picture must be where the upright one shows nothing."""
RUNAWAY_CONFIDENCE = 0.1
"""Most that a text may have that repeats itself or outgrows its width."""
LAG = 0.6
"""Frames by which CTC marks a letter behind its middle (measured on the bundled model)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Place:
    """Where a piece of an image stands in it.

    Attributes:
        joint: What joins its text to that of the piece before.
        start: Its left edge, in widths of the image.
        end: Its right edge.
        frames: CTC frames that it fills.
    """

    joint: str
    start: float
    end: float
    frames: int

    def spans(self, reading: Decoded) -> list[tuple[float, float]]:
        """Return start and end of each token, in widths of the image."""
        columns, frames, lag = reading.columns, self.frames, LAG
        if columns is None:  # no CTC head: letters are about equally wide
            columns, frames = tuple((i, i + 1) for i in range(len(reading.ids))), len(reading.ids)
            lag = 0.0

        def place(frame: float) -> float:
            share = min(1.0, max(0.0, (frame - lag) / frames))
            return self.start + (self.end - self.start) * share

        return [(place(a), place(b)) for a, b in columns]


class LineReader:
    """Reads text lines; keeps its model loaded.

    Args:
        options: Model, engine, device and the like.
        decoding: How text is found in what the network sees.
        second_looks: Whether short lines that are in doubt are read again in other ways; see
            :mod:`ocrtool.readers.test_time_augmentation`.

    Raises:
        ModelError: There is no such model, or it is damaged.
        MissingDependencyError: The engine is not installed.
        DeviceError: The device that is asked for cannot be used.
    """

    def __init__(
        self,
        options: ReadOptions | None = None,
        decoding: DecodeOptions | None = None,
        second_looks: bool = True,
    ) -> None:
        self.options = options or ReadOptions()
        self.second_looks = second_looks
        self.decoding = decoding or DecodeOptions()
        asked = self.options
        self.engine: Engine = open_engine(asked.model, asked.engine, asked.device, asked.threads)
        metadata = self.engine.metadata
        if metadata.vocabulary.separator:
            raise ModelError(f"{asked.model} reads formulas", "use ocrtool latex")
        self.calibration = Calibration.from_dict(metadata.raw.get("calibration", {}))
        on_cpu = self.engine.device == "cpu"
        self._batch_width = CPU_BATCH_WIDTH if on_cpu else GPU_BATCH_WIDTH

    def read(self, image: Image | Path | str | bytes) -> LineResult:
        """Read one line.

        Args:
            image: A path, the content of an image file, or pixels (H, W) or (H, W, 3), uint8.

        Raises:
            InputError: It is no image that can be read.
        """
        return next(self.read_stream([pixels_of(image)]))

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines, in their order, a bounded number of them held at a time.

        Batches are made of images of like widths. What an image reads does not depend on the
        batch that it falls into.

        Args:
            images: Name and pixels, (H, W) or (H, W, 3) uint8, of each line.

        Raises:
            InputError: An array is no image.
        """
        stream = iter(images)
        while window := list(itertools.islice(stream, WINDOW)):
            copies = [(source, turned) for source, image in window for turned in _turns(image)]
            readings = iter(zip(copies, self._read_images(copies), strict=True))
            first: list[tuple[Image, LineResult]] = []
            for _, image in window:
                ways = [(way, result) for (_, way), result in
                        itertools.islice(readings, len(_turns(image)))]  # fmt: skip
                result = _surest([result for _, result in ways])
                first.append(next(pair for pair in ways if pair[1] is result))
            results = self.look_again(first) if self.second_looks else [pair[1] for pair in first]
            for result in results:
                yield self._checked(result)

    def look_again(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return readings, those in doubt replaced by the surest of several looks.

        Where the first looks all say the same, no others are taken.

        Args:
            first: Images and what they read at first sight.
        """
        results = [result for _, result in first]
        doubted = [i for i, pair in enumerate(first) if in_doubt(*pair)]
        ways = {i: looks(first[i][0]) for i in doubted}
        said = {i: [results[i]] for i in doubted}
        for most in (FIRST_LOOKS, None):
            places, copies = [], []
            for i in doubted:
                if len({result.text for result in said[i]}) > 1 or most:
                    more = list(itertools.islice(ways[i], most))
                    places += [i] * len(more)
                    copies += [(results[i].source, look) for look in more]
            for i, reading in zip(places, self._read_images(copies), strict=True):
                said[i].append(reading)
        for i in doubted:
            results[i] = _trusted(*surest(said[i]))
        return results

    def _read_images(self, images: Sequence[tuple[str, Image]]) -> list[LineResult]:
        pieces: list[NDArray[np.float32]] = []
        shares: list[list[_Place]] = []
        for source, image in images:
            parts, places = self._prepare(source, image)
            pieces += parts
            shares.append(places)
        readings = iter(self._read_pieces(pieces))
        return [
            self._result(source, list(itertools.islice(readings, len(places))), places)
            for (source, _), places in zip(images, shares, strict=True)
        ]

    def _prepare(self, source: str, image: Image) -> tuple[list[NDArray[np.float32]], list[_Place]]:
        """Return the pixels of an image, in pieces where it is very long, and their places."""
        vision = self.engine.metadata.config.vision
        try:
            if vision.kind != "line":
                return [square_pixels(image, vision.height)], [_Place("", 0.0, 1.0, 0)]
            parts, joints = cut_long(image, LONGEST_ASPECT)
            pixels = [line_pixels(part, vision.height) for part in parts]
            ends = np.cumsum([part.shape[1] for part in parts]) / image.shape[1]
            frames = [piece.shape[2] // FRAME for piece in pixels]
            edges = [0.0, *ends.tolist()]
            places = zip(("", *joints), edges[:-1], edges[1:], frames, strict=True)
            return pixels, [_Place(*place) for place in places]
        except ValueError as error:
            raise InputError(f"{source or 'image'}: {error}") from None

    def _read_pieces(self, pieces: Sequence[NDArray[np.float32]]) -> list[Decoded]:
        def read(batch: list[int]) -> list[Decoded]:
            chosen = [pieces[i] for i in batch]
            if self.engine.metadata.config.vision.kind == "line":
                pixels, widths = collate_lines(chosen)
            else:
                pixels = np.stack(chosen)
                widths = np.full(len(chosen), pixels.shape[3], np.int64)
            encoded = self.engine.encode(pixels, widths)
            return self._respelt(encoded, decode(self.engine, encoded, self.decoding))

        found: dict[int, Decoded] = {}
        for batch in batches([piece.shape[2] for piece in pieces], self._batch_width):
            found.update(zip(batch, split_on_oom(read, batch), strict=True))
        return [found[i] for i in range(len(pieces))]

    def _respelt(self, encoded: Encoded, readings: list[Decoded]) -> list[Decoded]:
        """Let words decide about letters that CTC can hardly tell apart."""
        weight, vocabulary = self.decoding.spelling, self.engine.metadata.vocabulary
        if encoded.ctc_log_probs is None or not weight:
            return readings
        frames = encoded.frames.tolist()
        seen = zip(readings, encoded.ctc_log_probs, frames, strict=True)
        return [
            rescore_with_lexicon(reading, log_probs[:length], vocabulary, bundled_lexicon(), weight)
            for reading, log_probs, length in seen
        ]

    def _result(
        self, source: str, readings: Sequence[Decoded], places: Sequence[_Place]
    ) -> LineResult:
        """Join the pieces of one image to its text and weigh it."""
        text = ""
        probabilities: list[float] = []
        spans: list[tuple[float, float]] = []
        for reading, place in zip(readings, places, strict=True):
            text += place.joint + self.engine.metadata.vocabulary.decode(reading.ids)
            probabilities += [1.0] * len(place.joint) + list(reading.probabilities)
            spans += [(place.start, place.start)] * len(place.joint) + place.spans(reading)
        complete = math.prod(reading.complete for reading in readings)
        confidence = self.calibration.line(math.prod(probabilities) * complete)
        if any(reading.runaway for reading in readings):
            logger.info("%s: the text ran away and was cut", source)
            confidence = min(confidence, RUNAWAY_CONFIDENCE)
        words = tuple(self._words(text, probabilities, spans))
        stripped = text.strip()
        start = text.index(stripped)
        characters = tuple(
            self.calibration.character(p) for p in probabilities[start : start + len(stripped)]
        )
        return LineResult(source, stripped, confidence, words, characters)

    def _checked(self, result: LineResult) -> LineResult:
        """Withhold a text that is not sure enough."""
        if result.confidence < self.options.min_confidence:
            return LineResult(result.source, "", result.confidence, ())
        return result

    def _words(
        self, text: str, probabilities: Sequence[float], spans: Sequence[tuple[float, float]]
    ) -> Iterator[ReadWord]:
        # CTC marks a letter near its middle; half a letter more on either side is the word's box.
        middles = [(a + b) / 2 for a, b in spans]
        half = 0.5 * (middles[-1] - middles[0]) / (len(middles) - 1) if len(middles) > 1 else 0.5
        start = 0
        for word in text.split():
            start = text.index(word, start)
            end = start + len(word)
            confidence = self.calibration.word(math.prod(probabilities[start:end]))
            left = max(middles[start] - half, middles[start - 1] if start else 0.0)
            right = min(middles[end - 1] + half, middles[end] if end < len(text) else 1.0)
            yield ReadWord(word, confidence, left, right)
            start = end


def _turns(image: Image) -> list[Image]:
    """Return an image, and if it is tall, how it looks turned to either side."""
    if image.ndim < 2 or image.shape[0] < TALL * image.shape[1]:
        return [image]
    return [image, np.rot90(image), np.rot90(image, -1)]


def _surest(results: Sequence[LineResult]) -> LineResult:
    """Return the surest reading of an image and its turned copies; the first is the upright one."""
    upright, *turned = results
    turned = [result for result in turned if len(result.text) >= TURNED_LETTERS]
    if not upright.text:
        turned = [result for result in turned if result.mean_char_confidence > BLANK_SURENESS]
    return max((upright, *turned), key=lambda result: result.mean_char_confidence)


def _trusted(result: LineResult, confidence: float) -> LineResult:
    """Return a result with another confidence, words and letters made more or less sure alike."""
    if not result.text or result.confidence <= 0:
        return replace(result, confidence=confidence)
    share = (confidence / result.confidence) ** (1 / len(result.text))
    words = (
        replace(word, confidence=min(1.0, word.confidence * share ** len(word.text)))
        for word in result.words
    )
    letters = (min(1.0, letter * share) for letter in result.characters)
    return replace(result, confidence=confidence, words=tuple(words), characters=tuple(letters))


def batches(widths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Group indices by width, so that little is padded and few batches are made.

    Of all ways to cut the images, in order of their widths, into batches, the cheapest is found by
    dynamic programming.

    Args:
        widths: Of the images, in pixels.
        most: Count times greatest width of a batch; an image that alone is wider is one of its own.

    Yields:
        Indices of a batch, narrow images first.
    """
    order = sorted(range(len(widths)), key=lambda i: (widths[i], i))
    costs = [0.0]  # of the cheapest way for so many images
    starts: list[int] = []  # of its last batch
    for end in range(1, len(order) + 1):
        width = widths[order[end - 1]]
        first = max(0, end - max(1, most // max(1, width)))
        cost, start = min((costs[i] + (end - i) * width + BATCH_COST, i) for i in range(first, end))
        costs.append(cost)
        starts.append(start)
    groups = []
    end = len(order)
    while end:
        groups.append(order[starts[end - 1] : end])
        end = starts[end - 1]
    yield from reversed(groups)


def read(image: Image | Path | str | bytes, options: ReadOptions | None = None) -> LineResult:
    """Read the image of one text line; see :class:`LineReader` for many.

    The model is loaded at the first call and kept.

    Args:
        image: A path, the content of an image file, or pixels (H, W) or (H, W, 3), uint8.
        options: Model, engine, device and the like.

    Raises:
        InputError: It is no image that can be read.
        ModelError: There is no such model, or it is damaged.
        MissingDependencyError: The engine is not installed.
        DeviceError: The device that is asked for cannot be used.
    """
    return _reader(options or ReadOptions()).read(image)


@lru_cache(maxsize=2)
def _reader(options: ReadOptions) -> LineReader:
    return LineReader(options)
