"""The ONNX Runtime engine: what reads by default, without PyTorch.

On a GPU inputs and outputs are bound, and keys and values never leave it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ocrtool.engines.base import (
    HOST,
    CacheStore,
    Encoded,
    EngineCache,
    FloatArray,
    IntArray,
    ModelMetadata,
    read_metadata,
)
from ocrtool.engines.ort_kv_cache import BoundStore
from ocrtool.engines.sessions import import_runtime, open_session, require_cuda
from ocrtool.errors import DeviceError
from ocrtool.weights.bundled import DECODER, ENCODER

logger = logging.getLogger(__name__)


class OnnxEngine:
    """Runs ``encoder.onnx`` and ``decoder.onnx``, each in one session that is kept.

    Args:
        folder: The model.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. ``auto`` takes the first GPU that ONNX
            Runtime can really use, else the CPU.
        threads: CPU threads; 0 for one a physical core.
        bound: Whether keys and values stay in ONNX Runtime's own arrays; None for where that saves
            a way, on GPUs. The text is the same.

    Raises:
        ModelError: The files are missing or damaged.
        MissingDependencyError: ONNX Runtime is not installed.
        DeviceError: The device that is asked for is not really used.
    """

    name = "onnx"

    def __init__(
        self, folder: Path, device: str = "auto", threads: int = 0, bound: bool | None = None
    ) -> None:
        self.metadata: ModelMetadata = read_metadata(folder)
        runtime = import_runtime()
        if device == "auto":
            try:
                self._open(runtime, folder, "cuda:0", threads)
            except DeviceError as error:
                logger.info("reading on the CPU: %s", error.message)
                self._open(runtime, folder, "cpu", threads)
        else:
            self._open(runtime, folder, "cuda:0" if device == "cuda" else device, threads)
        self.store: CacheStore = HOST
        self._bound: BoundStore | None = None
        if self.device != "cpu" if bound is None else bound:
            self.store = self._bound = BoundStore(runtime, self.device, threads)

    def _open(self, runtime: Any, folder: Path, device: str, threads: int) -> None:
        if device != "cpu":
            require_cuda(runtime, device)
        self._encoder = open_session(runtime, folder / ENCODER, device, threads)
        self._decoder = open_session(runtime, folder / DECODER, device, threads)
        self.device = device
        self._encoder_inputs = {value.name for value in self._encoder.get_inputs()}

    def encode(self, pixels: FloatArray, sizes: IntArray) -> Encoded:
        """See :meth:`ocrtool.engines.base.Engine.encode`."""
        feeds = {"images": pixels, "widths": sizes, "sizes": sizes}
        feeds = {name: feeds[name] for name in feeds if name in self._encoder_inputs}
        if self._bound is None:
            keys, values, lengths, *log_probs = self._encoder.run(None, feeds)
        else:
            results = self._bound.run(self._encoder, feeds, kept=2)
            keys, values, lengths, *log_probs = results
        if not log_probs:
            return Encoded(keys, values, lengths, None, store=self.store)
        frames = self.metadata.config.vision.frames
        return Encoded(keys, values, lengths, log_probs[0], frames, self.store)

    def step(self, tokens: IntArray, encoded: Encoded, cache: EngineCache) -> FloatArray:
        """See :meth:`ocrtool.engines.base.Engine.step`."""
        feeds = {
            "tokens": tokens,
            "cross_keys": encoded.cross_keys,
            "cross_values": encoded.cross_values,
            "lengths": encoded.lengths,
            "past_lengths": cache.lengths,
        }
        if self._bound is None:
            feeds["past_keys"], feeds["past_values"] = map(np.ascontiguousarray, cache.past())
            logits, new_keys, new_values = self._decoder.run(None, feeds)
        else:
            feeds["past_keys"], feeds["past_values"] = cache.keys, cache.values
            names = ("new_keys", "new_values", "logits")
            new_keys, new_values, logits = self._bound.run(self._decoder, feeds, names, kept=2)
        cache.append(new_keys, new_values, tokens.shape[1])
        scores: FloatArray = logits
        return scores
