"""Parity checks between an exported network and its checkpoint: scores and recognised texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.autoregressive import DecodeOptions, decode
from ocrtool.engines import Encoded, Engine, EngineCache, FloatArray, IntArray
from ocrtool.errors import OcrToolError
from ocrtool.layout.detector import Detector
from ocrtool.models import ModelConfig
from ocrtool.options import Precision
from ocrtool.training.data import Arrays, Preparation, Ready
from ocrtool.training.metrics import rates
from ocrtool.weights import BOS, SPECIALS

MAX_DIFFERENCE = 1e-3
"""Maximum float32 difference of log-probabilities (natural logarithm), or of a detector's
probability and geometry maps."""
MIN_LOG_PROBABILITY = -14.0
"""Minimum natural log-probability at which scores are compared: one in a million."""
MAX_ERROR_INCREASE = 0.001
"""Maximum increase of the error rate in less than float32: 0.1 percentage points."""
MAX_CHANGED_PIXELS = 0.005
"""Maximum share of pixels whose text classification may change in less than float32."""
TEXT_THRESHOLD = 0.5
"""Minimum kernel probability of a text pixel."""


class ParityError(OcrToolError):
    """An exported network deviates from its checkpoint."""


@dataclass(frozen=True)
class Parity:
    """Deviation between two engines.

    Attributes:
        difference: Maximum difference of scores.
        texts: Number of images that both have read.
        equal: Number of images with equal results.
        errors: Error rates of reference and candidate; None where no ground truth is known.
        other_pixels: Share of pixels that a detector classifies differently.
    """

    difference: float
    texts: int = 0
    equal: int = 0
    errors: tuple[float, float] | None = None
    other_pixels: float = 0.0

    def require(self, precision: Precision) -> None:
        """Check the deviation against the limits of a precision.

        Raises:
            ParityError: A limit is exceeded; the message names the value and the limit.
        """
        remedy = "export with another version of PyTorch, or see with --no-check what it reads"
        if precision is Precision.FP32:
            if not self.difference <= MAX_DIFFERENCE:
                raise ParityError(
                    f"the exported graphs differ from PyTorch by {self.difference:.2g}, more than"
                    f" {MAX_DIFFERENCE:g}",
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
        if self.other_pixels > MAX_CHANGED_PIXELS:
            raise ParityError(
                f"{100 * self.other_pixels:.2f} % of the pixels are seen otherwise, more than"
                f" {100 * MAX_CHANGED_PIXELS:g} %",
                remedy,
            )
        if self.errors is not None and self.errors[1] > self.errors[0] + MAX_ERROR_INCREASE:
            before, after = (100 * rate for rate in self.errors)
            raise ParityError(
                f"the error rate rises from {before:.2f} % to {after:.2f} %, by more than"
                f" {100 * MAX_ERROR_INCREASE:g} points",
                remedy,
            )


def compare(
    reference: Engine,
    candidate: Engine,
    preparation: Preparation,
    batches: Sequence[Sequence[Ready]] = (),
) -> Parity:
    """Compare two engines on noise of several sizes and on labelled images.

    Args:
        reference: Engine of the checkpoint.
        candidate: Engine of the exported model.
        preparation: Preprocessing of both.
        batches: Labelled images.
    """
    worst = _on_noise(reference, candidate)
    readings: list[list[str]] = [[], []]
    truths: list[str] = []
    for members in batches:
        batch = preparation.collate(members)
        encoded = [engine.encode(batch.pixels, batch.sizes) for engine in (reference, candidate)]
        worst = max(
            worst,
            _ctc_difference(encoded),
            _teacher_forcing_difference(reference, candidate, batch, encoded),
        )
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
    """Compare two detectors on noise of two shapes and on pages."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((96, 160), (224, 64))]
    worst, other, count = 0.0, 0, 0
    for image in (*noise, *pages):
        seen = [detector.maps(image) for detector in (reference, candidate)]
        for name in ("kernel", "geometry", "regions"):
            a, b = (getattr(maps, name) for maps in seen)
            worst = max(worst, _maximum(np.abs(a - b)))
    for image in pages:
        a, b = (detector.maps(image).kernel > TEXT_THRESHOLD for detector in (reference, candidate))
        other, count = other + int((a != b).sum()), count + a.size
    return Parity(worst, other_pixels=other / max(count, 1))


def _on_noise(reference: Engine, candidate: Engine) -> float:
    """Return the maximum difference on noise images, with various cache lengths."""
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
        worst = max(worst, _likely_difference(*map(_log_softmax, scores)))
    return worst


def _noise(
    config: ModelConfig, batch: int, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Return one or three noise images, of different sizes where the network allows it."""
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
    """Return the maximum difference of two CTC heads on the valid frames."""
    first, second = (images.ctc_log_probs for images in encoded)
    if first is None or second is None:
        return 0.0
    valid = np.arange(first.shape[1]) < encoded[0].frames[:, None]
    return _likely_difference(first[valid], second[valid])


def _teacher_forcing_difference(
    reference: Engine, candidate: Engine, batch: Arrays, encoded: Sequence[Encoded]
) -> float:
    """Return the maximum difference of two decoders with teacher forcing."""
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
    return _likely_difference(first, second)


def _log_softmax(scores: FloatArray) -> FloatArray:
    shifted = scores - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), np.float32)


def _likely_difference(first: FloatArray, second: FloatArray) -> float:
    """Return the maximum difference of log-probabilities that are likely in either array."""
    differences = np.abs(first - second)[~(np.maximum(first, second) < MIN_LOG_PROBABILITY)]
    return _maximum(differences)


def _maximum(differences: FloatArray) -> float:
    """Return the maximum; NaN counts as infinity."""
    greatest = float(differences.max(initial=0.0))
    return greatest if np.isfinite(greatest) else float("inf")
