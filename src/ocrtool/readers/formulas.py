"""Formula recognition: formula images to valid LaTeX, with a confidence.

A formula read with low confidence is read again at several scales at once; each token is then the
most probable one on average over the scales (test-time augmentation, as in ten-crop testing:
Krizhevsky et al., 2012).
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

from ocrtool.decoding.autoregressive import (
    DecodeOptions,
    Hypothesis,
    beam_rows,
    generate,
    width_limits,
)
from ocrtool.decoding.calibration import Calibration
from ocrtool.decoding.ctc import Decoded
from ocrtool.engines import Engine, open_engine, split_on_oom
from ocrtool.errors import InputError, ModelError
from ocrtool.inputs.images import pixels_of
from ocrtool.latex_syntax import detokenize, is_valid, normal, repair
from ocrtool.latex_syntax.delimiters import with_automatic_delimiters
from ocrtool.options import ReadOptions
from ocrtool.preprocess.formulas import PAPER_VALUE, collate_formulas, formula_pixels, rescaled
from ocrtool.preprocess.lines import square_pixels
from ocrtool.weights import FORMULA_READER

Image = NDArray[np.uint8]
Pixels = NDArray[np.float32]

WINDOW = 64
"""Maximum number of images held at a time, from which batches of similar sizes are made."""
CPU_BATCH_AREA = 250_000
"""Maximum area of a CPU batch in pixels, padding included: about ten formulas, so that each decoder
step reads the weights once for all of them."""
GPU_BATCH_AREA = 5_000_000
"""Maximum area of a GPU batch in pixels, padding included."""
MIN_CONTRAST = 0.08
"""Minimum difference between ink and paper in a square image, on the scale from -1 (black) to 1
(white), below which the image is blank."""
MIN_FILLED = 0.6
"""Minimum share of a batch's area that is image rather than padding."""
MIN_CONFIDENCE = 0.8
"""Uncalibrated probability of a whole formula below which it is read again."""
SCALES = (1.0, 0.88, 1.13)
"""Scales at which it is read again."""
INVALID_CONFIDENCE = 0.1
"""Maximum confidence of LaTeX that was cut as runaway text or had to be repaired."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FormulaResult:
    """Formula read from one image.

    Attributes:
        latex: Valid LaTeX without ``$`` delimiters and with growing brackets; empty for a blank
            image.
        confidence: Probability, 0 to 1, that the whole formula is right.
        tokens: Tokens of the formula's normal form.
        valid: Whether the network's output was valid LaTeX; otherwise it was repaired.
        source: Name of the image, as it was given.
        others: Further valid hypotheses of a beam, the most probable first.
    """

    latex: str
    confidence: float
    tokens: tuple[str, ...]
    valid: bool
    source: str = ""
    others: tuple[str, ...] = ()

    def instead(self, index: int) -> FormulaResult:
        """Return the result with another hypothesis: 0 is ``latex``, 1 is ``others[0]``."""
        if index == 0:
            return self
        texts = [self.latex, *self.others]
        chosen = texts.pop(index)
        return replace(
            self, latex=chosen, tokens=tuple(normal(chosen)), valid=True, others=tuple(texts)
        )


class FormulaReader:
    """Recogniser of formulas; keeps its model loaded.

    Args:
        options: Model, engine, device and threads.
        decoding: Strategy ``beam``, which prefers hypotheses that are valid LaTeX, or ``greedy``,
            which every other strategy means here.
        augment_uncertain: Whether formulas read with low confidence are read again at several
            scales.

    Raises:
        ModelError: The model does not exist, is damaged, or does not read formulas.
        MissingDependencyError: The engine is not installed.
        DeviceError: The requested device cannot be used.
    """

    def __init__(
        self,
        options: ReadOptions | None = None,
        decoding: DecodeOptions | None = None,
        augment_uncertain: bool = True,
    ) -> None:
        self.options = asked = options or ReadOptions()
        self.decoding = decoding or DecodeOptions(strategy="greedy")
        model = FORMULA_READER if asked.model is None else asked.model
        self.engine: Engine = open_engine(model, asked.engine, asked.device, asked.threads)
        metadata = self.engine.metadata
        if metadata.config.vision.kind == "line" or not metadata.vocabulary.separator:
            raise ModelError(f"{model} reads no formulas", "name a model of the preset formula")
        self.augment_uncertain = augment_uncertain and metadata.config.vision.kind == "formula"
        self.calibration = Calibration.from_dict(metadata.raw.get("calibration", {}))
        self._batch_area = CPU_BATCH_AREA if self.engine.device == "cpu" else GPU_BATCH_AREA

    def read(self, image: Image | Path | str | bytes) -> FormulaResult:
        """Read one formula.

        Args:
            image: A path, the content of an image file, or pixels (H, W) or (H, W, 3), uint8.

        Raises:
            InputError: The image cannot be opened or decoded.
        """
        return next(self.read_stream([pixels_of(image)]))

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[FormulaResult]:
        """Read any number of formulas in their order; at most `WINDOW` images are held at a time.

        Batches are made of images of similar sizes. The result of an image does not depend on the
        batch it is read in.

        Args:
            images: Name and pixels, (H, W) or (H, W, 3) uint8, of each formula.

        Raises:
            InputError: An array is not an image.
        """
        stream = iter(images)
        while window := list(itertools.islice(stream, WINDOW)):
            pixels = [self._prepare(source, image) for source, image in window]
            inked = [i for i, picture in enumerate(pixels) if self._is_inked(picture)]
            found = dict(zip(inked, self._read([pixels[i] for i in inked]), strict=True))
            blank = FormulaResult("", 1.0, (), True)
            for i, (source, _) in enumerate(window):
                yield replace(found.get(i, blank), source=source)

    def _prepare(self, source: str, image: Image) -> Pixels:
        vision = self.engine.metadata.config.vision
        try:
            if vision.kind == "vit":
                return square_pixels(image, vision.height)
            return formula_pixels(image, vision.height, vision.width)
        except ValueError as error:
            raise InputError(f"{source or 'image'}: {error}") from None

    def _is_inked(self, picture: Pixels) -> bool:
        if self.engine.metadata.config.vision.kind == "vit":
            return float(np.ptp(picture)) > MIN_CONTRAST
        return float(picture.max()) > PAPER_VALUE

    def _collate(self, pictures: Sequence[Pixels]) -> tuple[Pixels, NDArray[np.int64]]:
        if self.engine.metadata.config.vision.kind == "vit":
            images = np.stack(pictures)
            return images, np.full(len(images), images.shape[-1], np.int64)
        return collate_formulas(pictures)

    def _read(self, pixels: Sequence[Pixels]) -> list[FormulaResult]:
        texts = self._texts(pixels)
        if self.augment_uncertain:
            threshold = math.log(MIN_CONFIDENCE)
            uncertain = [i for i, (row, *_) in enumerate(texts) if row.log_prob < threshold]
            first = [texts[i][0].ids for i in uncertain]
            again = self._texts([pixels[i] for i in uncertain], SCALES, first)
            for i, rows in zip(uncertain, again, strict=True):
                texts[i] = rows
        return [self._result([row.reading() for row in rows]) for rows in texts]

    def _texts(
        self,
        pixels: Sequence[Pixels],
        scales: Sequence[float] = (1.0,),
        drafts: Sequence[Sequence[int]] = (),
    ) -> list[list[Hypothesis]]:
        """Return the hypotheses of each image, the most probable first.

        Args:
            pixels: Prepared images.
            scales: Scales over which token probabilities are averaged.
            drafts: A draft for each image, or none; drafts save decoder steps and do not change
                the result.
        """
        vision = self.engine.metadata.config.vision

        def read(batch: list[int]) -> list[list[Hypothesis]]:
            views = [
                pixels[i] if scale == 1 else rescaled(pixels[i], scale, vision.height, vision.width)
                for i in batch
                for scale in scales
            ]
            encoded = self.engine.encode(*self._collate(views))
            # The batch's grid may have more cells than its largest image: cut the padding.
            encoded = encoded.select(np.arange(len(views)))
            limits = width_limits(self.engine, encoded)[:: len(scales)]
            if self.decoding.strategy == "beam":
                return beam_rows(self.engine, encoded, limits, self.decoding, len(scales))
            proposals = [drafts[i] for i in batch] if drafts else None
            greedy = generate(self.engine, encoded, limits, proposals, views=len(scales))
            return [[row] for row in greedy]

        found: dict[int, list[Hypothesis]] = {}
        area = self._batch_area // len(scales)
        for batch in batches([picture.shape[1:] for picture in pixels], area):
            found.update(zip(batch, split_on_oom(read, batch), strict=True))
        return [found[i] for i in range(len(pixels))]

    def _result(self, readings: Sequence[Decoded]) -> FormulaResult:
        """Return the first hypothesis that is valid LaTeX, or else the first one repaired."""
        written = [self._tokens(reading) for reading in readings]
        valid = [is_valid(tokens) for tokens in written]
        chosen = valid.index(True) if any(valid) else 0
        reading, tokens = readings[chosen], written[chosen]
        confidence = math.prod(reading.probabilities) * reading.complete
        confidence = self.calibration.line(confidence)
        if not valid[chosen]:
            logger.info("not valid LaTeX, repaired: %s", " ".join(tokens))
            tokens = tuple(repair(tokens))
        if reading.runaway or not valid[chosen]:
            confidence = min(confidence, INVALID_CONFIDENCE)
        others = tuple(
            _shown(other)
            for i, other in enumerate(written)
            if valid[i] and i != chosen and other != tokens
        )
        return FormulaResult(_shown(tokens), confidence, tokens, valid[chosen], others=others)

    def _tokens(self, reading: Decoded) -> tuple[str, ...]:
        vocabulary = self.engine.metadata.vocabulary
        return tuple(vocabulary.split(vocabulary.decode(reading.ids)))


def _shown(tokens: Sequence[str]) -> str:
    return detokenize(with_automatic_delimiters(tokens))


def batches(sizes: Sequence[tuple[int, ...]], max_area: int) -> Iterator[list[int]]:
    """Group images of similar sizes into batches with little padding.

    Args:
        sizes: Height and width of each image in pixels.
        max_area: Maximum area of a batch in pixels, padding included; a larger image is a batch of
            its own.

    Yields:
        Indices of the images of a batch, small images first.
    """
    group: list[int] = []
    tall = wide = filled = 0
    for i in sorted(range(len(sizes)), key=lambda i: (sizes[i], i)):
        height, width = sizes[i]
        tall, wide, filled = max(tall, height), max(wide, width), filled + height * width
        area = (len(group) + 1) * tall * wide
        if group and (area > max_area or filled < MIN_FILLED * area):
            yield group
            group, tall, wide, filled = [], height, width, height * width
        group.append(i)
    if group:
        yield group
