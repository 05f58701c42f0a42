"""Where the models that ship with the package are, and the files of a model folder."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parent
"""One folder a model."""
FORMULA_READER = "formula"
"""What reads formulas where no other model is named."""
METADATA = "model.json"
"""Geometry, alphabet and calibration."""
WEIGHTS = "model.safetensors"
"""What training starts from and PyTorch runs."""
TOKENIZER = "tokenizer.json"
CARD = "CARD.md"
"""Where a model comes from, and what it can do."""
"""Only where the model writes the pieces of a published tokenizer."""
ENCODER = "encoder.onnx"
DECODER = "decoder.onnx"
DETECTOR = "detector.onnx"


def is_bundled(name: str) -> bool:
    """Tell whether a model ships with the package."""
    return (BUNDLED / name / METADATA).is_file()
