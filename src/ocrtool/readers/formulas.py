"""Pictures of formulas to LaTeX, with a confidence and a word on whether it is valid.

A formula that was read with doubt is read once more, now in several sizes at once, and each of its
tokens is the one that is likeliest in all of them (test-time augmentation, as in ten-crop testing:
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
from ocrtool.engines import open_engine
from ocrtool.engines.base import Engine
from ocrtool.engines.oom import split_on_oom
from ocrtool.errors import InputError, ModelError
from ocrtool.inputs.images import pixels_of
from ocrtool.latex import detokenize, is_valid, normal, repair
from ocrtool.latex.delimiters import stretched
from ocrtool.options import ReadOptions
from ocrtool.preprocess.formulas import PAPER_VALUE, collate_formulas, formula_pixels, rescaled
from ocrtool.preprocess.lines import square_pixels
from ocrtool.weights.bundled import FORMULA_READER

Image = NDArray[np.uint8]
Pixels = NDArray[np.float32]

WINDOW = 64
"""Pictures held at a time, from which batches of like sizes are made."""
CPU_BATCH_AREA = 250_000
"""Pixels in a batch, padding included: some ten formulas, so that each step reads the weights once
for all of them."""
GPU_BATCH_AREA = 5_000_000
LEAST_CONTRAST = 0.08
"""Difference between ink and paper, of the 2 from black to white, below which a square picture is
blank."""
LEAST_FILLED = 0.6
"""Share of a batch that is picture; what is left is padding."""
DOUBT = 0.8
"""Probability of a whole text below which it is read once more."""
SIZES = (1.0, 0.88, 1.13)
"""In which sizes."""
BROKEN_CONFIDENCE = 0.1
"""Most that LaTeX may have that ran away or had to be repaired."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FormulaResult:
    """What one picture says.

    Attributes:
        latex: LaTeX without ``$`` around it, always valid, its brackets as tall as what is in them;
            empty for a blank picture.
        confidence: Probability, 0 to 1, that the whole formula is right.
        tokens: The tokens of its normal form.
        valid: Whether it is as the network wrote it; else that was no valid LaTeX, and was
            repaired.
        source: Where the picture came from, as it was given.
        others: What else it may say, likelier first; only valid LaTeX, and only of a beam.
    """

    latex: str
    confidence: float
    tokens: tuple[str, ...]
    valid: bool
    source: str = ""
    others: tuple[str, ...] = ()

    def instead(self, index: int) -> FormulaResult:
        """Return the same with another of its texts: 0 is ``latex``, then come ``others``."""
        if index == 0:
            return self
        texts = [self.latex, *self.others]
        chosen = texts.pop(index)
        return replace(
            self, latex=chosen, tokens=tuple(normal(chosen)), valid=True, others=tuple(texts)
        )


class FormulaReader:
    """Reads formulas; keeps its model loaded.

    Args:
        options: Model, engine, device and the like.
        decoding: ``greedy``, which every strategy but ``beam`` means here, or ``beam``, which
            prefers valid LaTeX among its texts.
        augment_uncertain: Whether formulas in doubt are read once more, in several sizes.

    Raises:
        ModelError: There is no such model, it is damaged, or reads no formulas.
        MissingDependencyError: The engine is not installed.
        DeviceError: The device that is asked for cannot be used.
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
            InputError: It is no image that can be read.
        """
        return next(self.read_stream([pixels_of(image)]))

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[FormulaResult]:
        """Read any number of formulas, in their order, a bounded number of them held at a time.

        Batches are made of pictures of like sizes. What a picture reads does not depend on the
        batch that it falls into.

        Args:
            images: Name and pixels, (H, W) or (H, W, 3) uint8, of each.

        Raises:
            InputError: An array is no image.
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
            return float(np.ptp(picture)) > LEAST_CONTRAST
        return float(picture.max()) > PAPER_VALUE

    def _collate(self, pictures: Sequence[Pixels]) -> tuple[Pixels, NDArray[np.int64]]:
        if self.engine.metadata.config.vision.kind == "vit":
            images = np.stack(pictures)
            return images, np.full(len(images), images.shape[-1], np.int64)
        return collate_formulas(pictures)

    def _read(self, pixels: Sequence[Pixels]) -> list[FormulaResult]:
        texts = self._texts(pixels)
        if self.augment_uncertain:
            doubted = [i for i, (row, *_) in enumerate(texts) if row.log_prob < math.log(DOUBT)]
            first = [texts[i][0].ids for i in doubted]
            again = self._texts([pixels[i] for i in doubted], SIZES, first)
            for i, rows in zip(doubted, again, strict=True):
                texts[i] = rows
        return [self._result([row.reading() for row in rows]) for rows in texts]

    def _texts(
        self,
        pixels: Sequence[Pixels],
        scales: Sequence[float] = (1.0,),
        drafts: Sequence[Sequence[int]] = (),
    ) -> list[list[Hypothesis]]:
        """Return the texts of each picture, the likeliest first.

        Args:
            pixels: The pictures.
            scales: Sizes in all of which each is seen.
            drafts: What each may say, if anybody knows: of a good one the decoder reads many tokens
                in one step, and none of its own is another for it.
        """
        vision = self.engine.metadata.config.vision

        def read(batch: list[int]) -> list[list[Hypothesis]]:
            views = [
                pixels[i] if scale == 1 else rescaled(pixels[i], scale, vision.height, vision.width)
                for i in batch
                for scale in scales
            ]
            encoded = self.engine.encode(*self._collate(views))
            # The grid of a batch has more cells than its largest picture: cut what is none.
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
        """Return the first of the readings that is valid, or the first one repaired."""
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
            confidence = min(confidence, BROKEN_CONFIDENCE)
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
    return detokenize(stretched(tokens))


def batches(sizes: Sequence[tuple[int, ...]], most: int) -> Iterator[list[int]]:
    """Group pictures of like sizes, so that a batch has at most so many pixels and little padding.

    A picture that alone is larger is a batch of its own.

    Args:
        sizes: Height and width of each.
        most: Pixels of a batch, padding included.
    """
    group: list[int] = []
    tall = wide = filled = 0
    for i in sorted(range(len(sizes)), key=lambda i: (sizes[i], i)):
        height, width = sizes[i]
        tall, wide, filled = max(tall, height), max(wide, width), filled + height * width
        area = (len(group) + 1) * tall * wide
        if group and (area > most or filled < LEAST_FILLED * area):
            yield group
            group, tall, wide, filled = [], height, width, height * width
        group.append(i)
    if group:
        yield group
