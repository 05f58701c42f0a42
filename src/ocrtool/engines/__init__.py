"""What runs a network: ONNX Runtime by default, PyTorch where it is asked for."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ocrtool.errors import MissingDependencyError, ModelError, UsageError, install_command
from ocrtool.options import EngineName

if TYPE_CHECKING:
    from ocrtool.engines.base import Engine

DEFAULT_MODEL = "line"

logger = logging.getLogger(__name__)


def open_engine(
    model: str | Path | None = None,
    engine: EngineName = EngineName.AUTO,
    device: str = "auto",
    threads: int = 0,
) -> Engine:
    """Open a model on the engine and device that are asked for, or that suit it.

    Args:
        model: Name of a bundled model or path of a model folder; None for the bundled reader.
        engine: ``auto`` takes ONNX Runtime where the folder holds ONNX files, else PyTorch.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; 0 leaves the choice to the engine.

    Raises:
        UsageError: The engine is none that runs models.
        ModelError: There is no such model, it is damaged, or not of the kind the engine runs.
        MissingDependencyError: The engine is not installed.
        DeviceError: The device that is asked for cannot be used.
    """
    from ocrtool.engines.base import find_model
    from ocrtool.weights import DECODER, ENCODER, WEIGHTS

    if engine is EngineName.TESSERACT:
        raise UsageError("Tesseract runs no models of ours", "it is for ocrtool read and pdf")
    folder = find_model(DEFAULT_MODEL if model is None else model)
    has_onnx = (folder / ENCODER).is_file() and (folder / DECODER).is_file()
    has_weights = (folder / WEIGHTS).is_file()
    reason = "asked for"
    if engine is EngineName.AUTO:
        engine = EngineName.ONNX if has_onnx else EngineName.TORCH
        reason = "the model has ONNX files" if has_onnx else "the model has no ONNX files"
    if engine is EngineName.ONNX and not has_onnx:
        raise ModelError(f"{folder} has no ONNX files", "ocrtool export makes them")
    if engine is EngineName.TORCH and not has_weights:
        raise ModelError(f"{folder} has no {WEIGHTS}", "use --engine onnx")
    opened = _open(folder, engine, device, threads)
    logger.info(
        "%s: engine %s (%s), device %s (%s)",
        folder.name,
        opened.name,
        reason,
        opened.device,
        "asked for" if device != "auto" else "first that can be used",
    )
    return opened


def _open(folder: Path, engine: EngineName, device: str, threads: int) -> Engine:
    if engine is EngineName.ONNX:
        from ocrtool.engines.onnx import OnnxEngine

        return OnnxEngine(folder, device, threads)
    try:
        from ocrtool.engines.torch import TorchEngine
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("torch", "safetensors"):
            raise
        raise MissingDependencyError(
            f"the PyTorch engine needs {error.name}", install_command("torch")
        ) from None
    return TorchEngine.open(folder, device, threads)
