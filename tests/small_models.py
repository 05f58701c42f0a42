"""Small networks with random weights, for what needs a network but not a good one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ocrtool.engines import ModelMetadata
from ocrtool.engines.torch import TorchEngine
from ocrtool.models import DecoderConfig, ModelConfig, VisionConfig
from ocrtool.models.ocr import OcrModel
from ocrtool.training.checkpoint import Checkpoint, write_folder
from ocrtool.weights import Vocabulary

ALPHABET = " .abcdefghi"


@lru_cache
def small_engine(
    seed: int, *, ctc: bool = True, kv_heads: int = 1, gain: float = 6.0, patch: int = 4
) -> TorchEngine:
    """A line reader of a few thousand random weights, large enough that its scores differ."""
    vocabulary = Vocabulary(tuple(ALPHABET))
    config = ModelConfig(
        preset="line",
        vision=VisionConfig("line", 1, 32, 0, patch, 16, 1, 2, 32, 0.1, (4, 4, 8)),
        decoder=DecoderConfig(16, 2, 2, kv_heads, 32, 0.1, True, 10_000.0, 32),
        vocab_size=len(vocabulary),
        ctc=ctc,
        flash=True,
    )
    model = _random_model(config, seed, gain)
    raw = {"schema": 1, "config": config.to_dict(), "characters": ALPHABET}
    return TorchEngine(ModelMetadata(config, vocabulary, raw), model)


def _random_model(config: ModelConfig, seed: int, gain: float) -> OcrModel:
    torch.manual_seed(seed)
    model = OcrModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(gain)
    return model


@lru_cache
def small_formula_engine(seed: int, gain: float = 3.0) -> TorchEngine:
    """A formula reader of random weights that writes tokens of valid and of broken LaTeX."""
    entries = (r"\frac", "{", "}", "a", "b", "^", "_", "+", r"\left(", r"\right)")
    vocabulary = Vocabulary(entries, " ")
    config = ModelConfig(
        preset="formula",
        vision=VisionConfig("formula", 1, 160, 1024, 8, 16, 1, 2, 32, 0.1, (4, 4, 8, 8)),
        decoder=DecoderConfig(16, 2, 2, 1, 32, 0.1, True, 10_000.0, 32),
        vocab_size=len(vocabulary),
        ctc=False,
        flash=True,
    )
    model = _random_model(config, seed, gain)
    raw = {"schema": 1, "config": config.to_dict(), "tokens": list(entries)}
    return TorchEngine(ModelMetadata(config, vocabulary, raw), model)


def save(engine: TorchEngine, folder: Path) -> Path:
    """Write the model of an engine as training does."""
    metadata = engine.metadata
    weights = engine.model.state_dict()
    write_folder(folder, Checkpoint(metadata.config, metadata.vocabulary, weights).files())
    return folder


def cache_actions(config: DecoderConfig, seed: int) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
    """What may be done to a cache of three rows: its methods and their arrays, eight at most."""
    rng = np.random.default_rng(seed)
    lengths = np.zeros(3, np.int64)
    for _ in range(8):
        action = rng.integers(3)
        if action == 0 and lengths.max() + 4 <= config.max_length:
            steps = int(rng.integers(1, 5))
            shape = (config.n_layer, len(lengths), config.n_kv_head, steps, config.d_head)
            keys, values = rng.standard_normal((2, *shape)).astype(np.float32)
            lengths = lengths + steps
            yield "append", (keys, values)
        elif action == 1:
            shorter = rng.integers(0, 12, len(lengths))
            lengths = np.minimum(lengths, shorter)
            yield "truncate", (shorter,)
        else:
            order = rng.integers(0, len(lengths), int(rng.integers(1, 5)))
            lengths = lengths[order]
            yield "reorder", (order,)
