"""Which models are published ones, and where they lie. Nothing heavy is imported."""

from __future__ import annotations

import json
from pathlib import Path

from ocrtool.errors import ModelError
from ocrtool.options import EngineName, ReadOptions
from ocrtool.weights.bundled import METADATA, is_bundled

CONFIG = "config.json"
"""Of a model in the layout of `transformers`."""

OWN = {"DeepseekOCRForCausalLM": "deepseek-ocr", "LlavaLlamaModel": "deepocr"}
"""Architectures that networks of our own run."""


def own_of(folder: Path) -> str:
    """Return which network of our own runs a published model; empty where none does."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        names = [OWN[name] for name in config.get("architectures") or () if name in OWN]
    except (OSError, ValueError, TypeError, AttributeError):
        return ""  # what is wrong with it, others tell
    name = next(iter(names), "")
    # Many models are called so; this one's language model has a folder.
    return "" if name == "deepocr" and not (folder / "llm").is_dir() else name


def published_folder(options: ReadOptions) -> Path | None:
    """Return the folder of the published model that the options name; None where it is our own.

    A model of the hub is fetched if it is not there.

    Raises:
        UsageError: A name that begins like a repository's is none.
        ModelError: It cannot be had, or is asked to run where it cannot.
    """
    name = options.model
    if name is None or is_bundled(name):
        return None
    folder: Path | None = Path(name)
    if folder is None or (folder / METADATA).is_file() or not (folder / CONFIG).is_file():
        from ocrtool.weights.cache import fetched

        folder = fetched(name, options.offline)
    if folder is not None and options.engine is EngineName.ONNX:
        raise ModelError(f"{name} has no ONNX files", "leave out --engine onnx")
    return folder
