"""Bundled models (one folder each), and published models that are downloaded on request."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parent
"""Parent folder of the bundled models."""
FORMULA_READER = "formula"
"""Name of the default formula model."""
METADATA = "model.json"
"""File with geometry, vocabulary and calibration."""
WEIGHTS = "model.safetensors"
"""Weights for PyTorch, from which training can start."""
TOKENIZER = "tokenizer.json"
"""Published tokenizer, of models that use one."""
CARD = "CARD.md"
"""Model card: data, training and scores."""
ENCODER = "encoder.onnx"
DECODER = "decoder.onnx"
DETECTOR = "detector.onnx"


def is_bundled(name: str) -> bool:
    """Tell whether a model of this name is bundled with the package."""
    return (BUNDLED / name / METADATA).is_file()
