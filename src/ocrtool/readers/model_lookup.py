"""Look-up of published models and their folders, without heavy imports."""

from __future__ import annotations

import json
from pathlib import Path

from ocrtool.errors import ModelError
from ocrtool.options import EngineName, ReadOptions
from ocrtool.weights import METADATA, is_bundled
from ocrtool.weights.ppocr import PPOCR_NAMES

CONFIG = "config.json"
"""Name of the configuration file of a model in the layout of `transformers`."""

OWN_ARCHITECTURES = {"DeepseekOCRForCausalLM": "deepseek-ocr", "LlavaLlamaModel": "deepocr"}
"""Published architectures that the project implements itself, and their names here."""


def own_architecture(folder: Path) -> str:
    """Return the name of the project's own network for a published model; empty without one."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        names = [
            OWN_ARCHITECTURES[name]
            for name in config.get("architectures") or ()
            if name in OWN_ARCHITECTURES
        ]
    except (OSError, ValueError, TypeError, AttributeError):
        return ""  # whoever loads the model reports what is wrong with it
    name = next(iter(names), "")
    # Other models share this architecture name; DeepOCR keeps its language model in a subfolder.
    return "" if name == "deepocr" and not (folder / "llm").is_dir() else name


def published_folder(options: ReadOptions) -> Path | None:
    """Return the folder of the published model that the options select; None for other models.

    A model of the hub is downloaded if it is not in the cache.

    Raises:
        UsageError: The name looks like that of a hub repository and is malformed.
        ModelError: The model cannot be obtained, or cannot run on the requested engine.
    """
    name = options.model
    if name is None or is_bundled(name) or name in PPOCR_NAMES:
        return None
    folder: Path | None = Path(name)
    if folder is None or (folder / METADATA).is_file() or not (folder / CONFIG).is_file():
        from ocrtool.weights.cache import fetched

        folder = fetched(name, options.offline)
    if folder is not None and options.engine == EngineName.ONNX:
        raise ModelError(f"{name} has no ONNX files", "leave out --engine onnx")
    return folder
