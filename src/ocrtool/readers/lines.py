"""Text-line recognition: line images to text, with a confidence for each line, word and character.

Images are grouped into batches of similar widths. A very long line is cut into pieces, and a tall
image is also read rotated by 90 degrees to either side.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.autoregressive import DecodeOptions, decode
from ocrtool.decoding.calibration import Calibration
from ocrtool.decoding.ctc import Decoded
from ocrtool.decoding.lexicon import bundled_lexicon, rescore_with_lexicon
from ocrtool.document.lines import MIN_MEAN_CHAR_CONFIDENCE, LineResult, ReadWord
from ocrtool.engines import Encoded, Engine, open_engine, split_on_oom
from ocrtool.errors import InputError, ModelError
from ocrtool.inputs.images import pixels_of
from ocrtool.models import FRAME
from ocrtool.options import ReadOptions
from ocrtool.preprocess.lines import collate_lines, cut_long, line_pixels, square_pixels

Image = NDArray[np.uint8]

WINDOW = 64
"""Maximum number of images held at a time, from which batches of similar widths are made."""
CPU_BATCH_WIDTH = 5_000
"""Maximum total width of a CPU batch in pixels, padding included; bounded by the CPU's caches."""
GPU_BATCH_WIDTH = 100_000
"""Maximum total width of a GPU batch in pixels, padding included."""
BATCH_COST = 250
"""Fixed cost of a batch (calls, decoder steps), as an equivalent width in pixels."""
MAX_ASPECT = 120
"""Maximum width of a line read in one piece, in image heights; longer lines are cut at gaps."""
MIN_VERTICAL_ASPECT = 1.5
"""Minimum height of an image, in image widths, from which it may show a vertical line of text."""
MIN_VERTICAL_CHARS = 3
"""Minimum number of characters of a vertical line; an image of one upright letter is tall, too."""
MIN_VERTICAL_CONFIDENCE = 0.7
"""Minimum mean character confidence of a vertical line where the upright image reads as blank."""
RUNAWAY_CONFIDENCE = 0.1
"""Maximum confidence of a text that repeats itself without end or is too long for its image."""
CTC_DELAY = 0.6
"""Number of frames by which CTC places a character right of its centre (measured on the bundled
model)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Segment:
    """Horizontal position of a piece within its line image.

    Attributes:
        joint: Text between the previous piece and this one: a space or nothing.
        start: Left edge, as a fraction of the image width.
        end: Right edge, as a fraction of the image width.
        frames: Number of CTC frames of the piece.
    """

    joint: str
    start: float
    end: float
    frames: int

    def spans(self, reading: Decoded) -> list[tuple[float, float]]:
        """Return start and end of each token, as fractions of the image width."""
        columns, frames, delay = reading.columns, self.frames, CTC_DELAY
        if columns is None:  # without a CTC head, all characters count as equally wide
            columns, frames = tuple((i, i + 1) for i in range(len(reading.ids))), len(reading.ids)
            delay = 0.0

        def position(frame: float) -> float:
            fraction = min(1.0, max(0.0, (frame - delay) / frames))
            return self.start + (self.end - self.start) * fraction

        return [(position(a), position(b)) for a, b in columns]


class LineReader:
    """Recogniser of text lines; keeps its model loaded.

    Args:
        options: Model, engine, device, threads and minimum confidence.
        decoding: Decoding strategy and its parameters.
        augment_uncertain: Whether short lines read with low confidence are read again in modified
            views; see :mod:`ocrtool.readers.test_time_augmentation`.

    Raises:
        ModelError: The model does not exist, is damaged, or reads formulas.
        MissingDependencyError: The engine is not installed.
        DeviceError: The requested device cannot be used.
    """

    def __init__(
        self,
        options: ReadOptions | None = None,
        decoding: DecodeOptions | None = None,
        augment_uncertain: bool = True,
    ) -> None:
        self.options = options or ReadOptions()
        self.augment_uncertain = augment_uncertain
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
            InputError: The image cannot be opened or decoded.
        """
        return next(self.read_stream([pixels_of(image)]))

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines in their order; at most `WINDOW` images are held at a time.

        Batches are made of images of similar widths. The text of an image does not depend on the
        batch it is read in.

        Args:
            images: Name and pixels, (H, W) or (H, W, 3) uint8, of each line.

        Raises:
            InputError: An array is not an image.
        """
        stream = iter(images)
        while window := list(itertools.islice(stream, WINDOW)):
            copies = [(source, copy) for source, image in window for copy in _orientations(image)]
            readings = iter(zip(copies, self._read_images(copies), strict=True))
            first: list[tuple[Image, LineResult]] = []
            for _, image in window:
                pairs = [(copy, result) for (_, copy), result in
                         itertools.islice(readings, len(_orientations(image)))]  # fmt: skip
                best = _best_orientation([result for _, result in pairs])
                first.append(next(pair for pair in pairs if pair[1] is best))
            results = [result for _, result in first]
            for result in self.reread_uncertain(first) if self.augment_uncertain else results:
                yield self._thresholded(result)

    def reread_uncertain(self, first: Sequence[tuple[Image, LineResult]]) -> list[LineResult]:
        """Return the readings; uncertain ones are replaced by the most confident of several views.

        Where the first views all read the same, no further ones are read.

        Args:
            first: Images and their first readings.
        """
        results = [result for _, result in first]
        if all(result.mean_char_confidence >= MIN_MEAN_CHAR_CONFIDENCE for result in results):
            return results
        from ocrtool.readers.test_time_augmentation import reread

        best = reread(first, self._read_images)
        for i, (result, confidence) in best.items():
            results[i] = _with_confidence(result, confidence)
        return results

    def _read_images(self, images: Sequence[tuple[str, Image]]) -> list[LineResult]:
        pieces: list[NDArray[np.float32]] = []
        segments: list[list[_Segment]] = []
        for source, image in images:
            pixels, positions = self._prepare(source, image)
            pieces += pixels
            segments.append(positions)
        readings = iter(self._read_pieces(pieces))
        return [
            self._result(source, list(itertools.islice(readings, len(positions))), positions)
            for (source, _), positions in zip(images, segments, strict=True)
        ]

    def _prepare(
        self, source: str, image: Image
    ) -> tuple[list[NDArray[np.float32]], list[_Segment]]:
        """Return the network input of an image, in pieces if it is very long, and their positions.

        A piece is (1, H, W) for a ``line`` encoder and square for a ``vit`` one.
        """
        vision = self.engine.metadata.config.vision
        try:
            if vision.kind != "line":
                return [square_pixels(image, vision.height)], [_Segment("", 0.0, 1.0, 0)]
            parts, joints = cut_long(image, MAX_ASPECT)
            pixels = [line_pixels(part, vision.height) for part in parts]
            ends = np.cumsum([part.shape[1] for part in parts]) / image.shape[1]
            frames = [piece.shape[2] // FRAME for piece in pixels]
            edges = [0.0, *ends.tolist()]
            segments = zip(("", *joints), edges[:-1], edges[1:], frames, strict=True)
            return pixels, [_Segment(*segment) for segment in segments]
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
            return self._rescored(encoded, decode(self.engine, encoded, self.decoding))

        found: dict[int, Decoded] = {}
        for batch in batches([piece.shape[2] for piece in pieces], self._batch_width):
            found.update(zip(batch, split_on_oom(read, batch), strict=True))
        return [found[i] for i in range(len(pieces))]

    def _rescored(self, encoded: Encoded, readings: list[Decoded]) -> list[Decoded]:
        """Choose between characters of nearly equal CTC probability by the lexicon."""
        weight, vocabulary = self.decoding.lexicon_weight, self.engine.metadata.vocabulary
        if encoded.ctc_log_probs is None or not weight:
            return readings
        frames = encoded.frames.tolist()
        return [
            rescore_with_lexicon(reading, log_probs[:length], vocabulary, bundled_lexicon(), weight)
            for reading, log_probs, length in zip(
                readings, encoded.ctc_log_probs, frames, strict=True
            )
        ]

    def _result(
        self, source: str, readings: Sequence[Decoded], segments: Sequence[_Segment]
    ) -> LineResult:
        """Join the pieces of one image into its text, with calibrated confidences."""
        text = ""
        probabilities: list[float] = []
        spans: list[tuple[float, float]] = []
        for reading, segment in zip(readings, segments, strict=True):
            text += segment.joint + self.engine.metadata.vocabulary.decode(reading.ids)
            probabilities += [1.0] * len(segment.joint) + list(reading.probabilities)
            spans += [(segment.start, segment.start)] * len(segment.joint) + segment.spans(reading)
        complete = math.prod(reading.complete for reading in readings)
        confidence = self.calibration.line(math.prod(probabilities) * complete)
        if any(reading.runaway for reading in readings):
            logger.info("%s: the text repeated itself without end and was cut", source)
            confidence = min(confidence, RUNAWAY_CONFIDENCE)
        words = tuple(self._words(text, probabilities, spans))
        stripped = text.strip()
        start = text.index(stripped)
        characters = tuple(
            self.calibration.character(p) for p in probabilities[start : start + len(stripped)]
        )
        return LineResult(source, stripped, confidence, words, characters)

    def _thresholded(self, result: LineResult) -> LineResult:
        """Return the result without its text if that is below the confidence threshold."""
        if result.confidence < self.options.min_confidence:
            return LineResult(result.source, "", result.confidence, ())
        return result

    def _words(
        self, text: str, probabilities: Sequence[float], spans: Sequence[tuple[float, float]]
    ) -> Iterator[ReadWord]:
        # CTC places a character near its centre: a word's box ends half a character beyond that.
        centres = [(a + b) / 2 for a, b in spans]
        half = 0.5 * (centres[-1] - centres[0]) / (len(centres) - 1) if len(centres) > 1 else 0.5
        start = 0
        for word in text.split():
            start = text.index(word, start)
            end = start + len(word)
            confidence = self.calibration.word(math.prod(probabilities[start:end]))
            left = max(centres[start] - half, centres[start - 1] if start else 0.0)
            right = min(centres[end - 1] + half, centres[end] if end < len(text) else 1.0)
            yield ReadWord(word, confidence, left, right)
            start = end


def _orientations(image: Image) -> list[Image]:
    """Return the image and, if it is tall, its rotations by 90 degrees to the left and right."""
    if image.ndim < 2 or image.shape[0] < MIN_VERTICAL_ASPECT * image.shape[1]:
        return [image]
    return [image, np.rot90(image), np.rot90(image, -1)]


def _best_orientation(results: Sequence[LineResult]) -> LineResult:
    """Return the most confident reading among that of the upright image and of its rotations.

    Args:
        results: The reading of the upright image, then those of its rotations, if any.
    """
    upright, *rotated = results
    rotated = [result for result in rotated if len(result.text) >= MIN_VERTICAL_CHARS]
    if not upright.text:
        rotated = [
            result for result in rotated if result.mean_char_confidence > MIN_VERTICAL_CONFIDENCE
        ]
    return max((upright, *rotated), key=lambda result: result.mean_char_confidence)


def _with_confidence(result: LineResult, confidence: float) -> LineResult:
    """Return the result with another confidence, by which its words and characters are scaled."""
    if not result.text or result.confidence <= 0:
        return replace(result, confidence=confidence)
    factor = (confidence / result.confidence) ** (1 / len(result.text))
    words = (
        replace(word, confidence=min(1.0, word.confidence * factor ** len(word.text)))
        for word in result.words
    )
    characters = (min(1.0, probability * factor) for probability in result.characters)
    return replace(result, confidence=confidence, words=tuple(words), characters=tuple(characters))


def batches(widths: Sequence[int], max_width: int) -> Iterator[list[int]]:
    """Group images of similar widths into batches with little padding.

    The images are sorted by width; dynamic programming finds the cheapest way to cut the sorted
    list into batches, where a batch costs its padded width plus `BATCH_COST`.

    Args:
        widths: Widths of the images in pixels.
        max_width: Maximum total width of a batch in pixels, padding included; a wider image is a
            batch of its own.

    Yields:
        Indices of the images of a batch, narrow images first.
    """
    order = sorted(range(len(widths)), key=lambda i: (widths[i], i))
    costs = [0.0]  # costs[n] is the least cost of the first n images
    starts: list[int] = []  # where the last batch of that solution begins
    for end in range(1, len(order) + 1):
        width = widths[order[end - 1]]
        first = max(0, end - max(1, max_width // max(1, width)))
        cost, start = min((costs[i] + (end - i) * width + BATCH_COST, i) for i in range(first, end))
        costs.append(cost)
        starts.append(start)
    groups = []
    end = len(order)
    while end:
        groups.append(order[starts[end - 1] : end])
        end = starts[end - 1]
    yield from reversed(groups)
