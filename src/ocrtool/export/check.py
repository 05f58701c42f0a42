"""Whether an exported network is the one that was trained: numbers and texts, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.autoregressive import DecodeOptions, decode
from ocrtool.engines.base import Encoded, Engine, EngineCache, FloatArray, IntArray
from ocrtool.errors import OcrToolError
from ocrtool.layout.detector import Detector
from ocrtool.models.config import ModelConfig
from ocrtool.options import Precision
from ocrtool.training.data import Batch, Preparation, Ready
from ocrtool.training.metrics import rates
from ocrtool.weights.vocabulary import BOS, SPECIALS

TOLERANCE = 1e-3
"""Greatest difference in float32, in natural logarithms of probabilities, or of a detector in
probability and geometry."""
LIKELY = -14.0
"""Natural logarithm of the probability from which scores are compared: one in a million."""
MORE_ERRORS = 0.001
"""Most that the error rate may rise in less than float32: 0.1 points."""
OTHER_PIXELS = 0.005
"""Most pixels that a detector may take for text, or not, otherwise than in float32."""
TEXT = 0.5
"""Probability from which a pixel is text."""


class ParityError(OcrToolError):
    """An exported network does not do what the trained one does."""


@dataclass(frozen=True)
class Parity:
    """How far two engines are from each other.

    Attributes:
        difference: Greatest difference of scores.
        texts: Pictures that both have read.
        equal: Those that read the same.
        errors: Error rate of each on them, by the engine's name; empty where no truth is known.
        other_pixels: Share of pixels that a detector sees otherwise.
    """

    difference: float
    texts: int = 0
    equal: int = 0
    errors: tuple[float, float] | None = None
    other_pixels: float = 0.0

    def require(self, precision: Precision) -> None:
        """Refuse what is out of bounds.

        Raises:
            ParityError: Says what, and what the bound is.
        """
        remedy = "export with another version of PyTorch, or see with --no-check what it reads"
        if precision is Precision.FP32:
            if not self.difference <= TOLERANCE:
                raise ParityError(
                    f"the exported graphs differ from PyTorch by {self.difference:.2g}, more than"
                    f" {TOLERANCE:g}",
                    remedy,
                )
            if self.equal < self.texts:
                raise ParityError(
                    f"{self.texts - self.equal} of {self.texts} pictures read otherwise", remedy
                )
            return
        remedy = f"{precision} does not suit this model: export another precision"
        if not np.isfinite(self.difference):
            raise ParityError(f"the network overflows in {precision}", remedy)
        if self.other_pixels > OTHER_PIXELS:
            raise ParityError(
                f"{100 * self.other_pixels:.2f} % of the pixels are seen otherwise, more than"
                f" {100 * OTHER_PIXELS:g} %",
                remedy,
            )
        if self.errors is not None and self.errors[1] > self.errors[0] + MORE_ERRORS:
            before, after = (100 * rate for rate in self.errors)
            raise ParityError(
                f"the error rate rises from {before:.2f} % to {after:.2f} %, by more than"
                f" {100 * MORE_ERRORS:g} points",
                remedy,
            )


def compare(
    reference: Engine,
    candidate: Engine,
    preparation: Preparation,
    batches: Sequence[Sequence[Ready]] = (),
) -> Parity:
    """Compare two engines, on noise of several sizes and on pictures.

    Args:
        reference: What was trained.
        candidate: What was exported.
        preparation: Of both.
        batches: Pictures and what they say.
    """
    worst = _on_noise(reference, candidate)
    readings: list[list[str]] = [[], []]
    truths: list[str] = []
    for members in batches:
        batch = preparation.collate(members)
        encoded = [engine.encode(batch.pixels, batch.sizes) for engine in (reference, candidate)]
        worst = max(worst, _ctc_difference(encoded), _told(reference, candidate, batch, encoded))
        for texts, engine, images in zip(readings, (reference, candidate), encoded, strict=True):
            found = decode(engine, images.select(np.arange(len(members))), DecodeOptions())
            texts += [preparation.vocabulary.decode(reading.ids) for reading in found]
        truths += [sample.text for sample in members]
    if not truths:
        return Parity(worst)
    separator = preparation.vocabulary.separator
    before, after = (rates(texts, truths, separator).cer for texts in readings)
    equal = sum(a == b for a, b in zip(*readings, strict=True))
    return Parity(worst, len(truths), equal, (before, after))


def compare_detectors(
    reference: Detector, candidate: Detector, pages: Sequence[NDArray[np.uint8]]
) -> Parity:
    """Compare two detectors, on noise of two shapes and on pages."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((96, 160), (224, 64))]
    worst, other, count = 0.0, 0, 0
    for image in (*noise, *pages):
        seen = [detector.maps(image) for detector in (reference, candidate)]
        for name in ("kernel", "geometry", "regions"):
            a, b = (getattr(maps, name) for maps in seen)
            worst = max(worst, _worst(np.abs(a - b)))
    for image in pages:
        a, b = (detector.maps(image).kernel > TEXT for detector in (reference, candidate))
        other, count = other + int((a != b).sum()), count + a.size
    return Parity(worst, other_pixels=other / max(count, 1))


def _on_noise(reference: Engine, candidate: Engine) -> float:
    """Greatest difference on one and on three images of noise, behind pasts of several lengths."""
    config = reference.metadata.config
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch, past in ((1, 1), (3, 5)):
        pixels, sizes = _noise(config, batch, rng)
        encoded = [engine.encode(pixels, sizes) for engine in (reference, candidate)]
        worst = max(worst, _ctc_difference(encoded))
        tokens = rng.integers(SPECIALS, config.vocab_size, (batch, past + 3))
        tokens[:, 0] = BOS
        kept = np.arange(batch, dtype=np.int64) % past + 1
        scores = []
        for engine, images in zip((reference, candidate), encoded, strict=True):
            cache = EngineCache.allocate(config.decoder, batch, engine.store)
            first = engine.step(tokens[:, :past], images, cache)
            cache.truncate(kept)
            second = engine.step(tokens[:, past:], images, cache)
            scores.append(np.concatenate((first, second), axis=1))
        worst = max(worst, _apart(*map(_log_softmax, scores)))
    return worst


def _noise(
    config: ModelConfig, batch: int, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Return one or three images of noise, of different sizes where they may differ."""
    vision = config.vision
    width = vision.width if vision.kind == "vit" else 64 if batch == 1 else 212
    height = vision.height if vision.kind != "formula" else 32 if batch == 1 else 80
    pixels = rng.standard_normal((batch, vision.channels, height, width)).astype(np.float32)
    widths = np.array([width, width // 8 * 4, 8][:batch], np.int64)
    if vision.kind != "formula":
        return pixels, widths
    heights = np.array([height // 2, height, 16][:batch], np.int64)
    return pixels, np.stack((heights, widths), 1)


def _ctc_difference(encoded: Sequence[Encoded]) -> float:
    """Greatest difference between what two CTC heads say of the frames that exist."""
    first, second = (images.ctc_log_probs for images in encoded)
    if first is None or second is None:
        return 0.0
    valid = np.arange(first.shape[1]) < encoded[0].frames[:, None]
    return _apart(first[valid], second[valid])


def _told(reference: Engine, candidate: Engine, batch: Batch, encoded: Sequence[Encoded]) -> float:
    """Greatest difference between two decoders that are told the truth as they go."""
    tokens, config = batch.tokens, reference.metadata.config.decoder
    steps = min(tokens.shape[1], config.max_length)
    scores = [
        engine.step(
            tokens[:, :steps], images, EngineCache.allocate(config, len(tokens), engine.store)
        )
        for engine, images in zip((reference, candidate), encoded, strict=True)
    ]
    valid = np.arange(steps) <= batch.lengths[:, None]
    first, second = (_log_softmax(rows[valid]) for rows in scores)
    return _apart(first, second)


def _log_softmax(scores: FloatArray) -> FloatArray:
    shifted = scores - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), np.float32)


def _apart(first: FloatArray, second: FloatArray) -> float:
    """Greatest difference of log-probabilities that one or the other takes for likely."""
    differences = np.abs(first - second)[~(np.maximum(first, second) < LIKELY)]
    return _worst(differences)


def _worst(differences: FloatArray) -> float:
    """The greatest; what is no number is infinitely far."""
    greatest = float(differences.max(initial=0.0))
    return greatest if np.isfinite(greatest) else float("inf")
