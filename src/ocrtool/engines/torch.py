"""The PyTorch engine: runs a checkpoint as training left it. Needs the extra ``[torch]``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ocrtool.bundled import WEIGHTS
from ocrtool.engines.base import (
    Cache,
    Encoded,
    FloatArray,
    IntArray,
    ModelFacts,
    read_facts,
)
from ocrtool.errors import DeviceError, ModelError
from ocrtool.models.ocr import CrossCache, OcrModel


class TorchEngine:
    """Runs :class:`~ocrtool.models.ocr.OcrModel` in float32.

    Args:
        facts: Geometry and alphabet.
        model: The network with its weights; it is moved to ``device`` and set to evaluation.
        device: ``cpu`` or ``cuda:N``.
    """

    name = "torch"

    def __init__(self, facts: ModelFacts, model: OcrModel, device: str = "cpu") -> None:
        self.facts = facts
        self.device = device
        self.model = model.to(device).eval()

    @classmethod
    def open(cls, folder: Path, device: str, threads: int) -> TorchEngine:
        """Load a model folder with ``model.json`` and ``model.safetensors``.

        Args:
            folder: The model.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
            threads: CPU threads of the whole process; 0 leaves PyTorch's choice.

        Raises:
            ModelError: The files are missing, damaged or do not fit each other.
            DeviceError: The device that is asked for is not there.
        """
        device = device_of(device)
        if threads:
            torch.set_num_threads(threads)
        facts = read_facts(folder)
        model = OcrModel(facts.config)
        path = folder / WEIGHTS
        try:
            model.load_state_dict(load_file(path))
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error}") from None
        except (SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"{path} does not fit {folder.name}: {reason}") from None
        return cls(facts, model, device)

    @torch.inference_mode()
    def encode(self, pixels: FloatArray, sizes: IntArray) -> Encoded:
        """See :meth:`ocrtool.engines.base.Engine.encode`."""
        encoding = self.model.encode(self._tensor(pixels), self._tensor(sizes))
        cross = self.model.cross(encoding)
        log_probs = None
        if encoding.ctc_logits is not None:
            log_probs = _array(encoding.ctc_logits.float().log_softmax(-1))
        lengths = cross.lengths.cpu().numpy()
        return Encoded(_array(cross.keys), _array(cross.values), lengths, log_probs)

    @torch.inference_mode()
    def step(self, tokens: IntArray, encoded: Encoded, cache: Cache) -> FloatArray:
        """See :meth:`ocrtool.engines.base.Engine.step`."""
        cross = CrossCache(
            self._tensor(encoded.cross_keys),
            self._tensor(encoded.cross_values),
            self._tensor(encoded.lengths),
        )
        past_keys, past_values, past_lengths = (self._tensor(part) for part in cache.past())
        logits, new_keys, new_values = self.model.step(
            self._tensor(tokens), cross, past_keys, past_values, past_lengths
        )
        cache.append(_array(new_keys), _array(new_values))
        return _array(logits)

    def _tensor(self, array: FloatArray | IntArray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _array(tensor: torch.Tensor) -> FloatArray:
    return tensor.float().cpu().numpy()


def device_of(asked: str) -> str:
    """Return ``cpu`` or ``cuda:N`` for what was asked, once it is known to be there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return "cuda:0" if count else "cpu"
    if asked == "cpu":
        return asked
    index = int(asked.partition(":")[2] or 0)
    if index >= count:
        found = f"PyTorch sees {count} CUDA devices" if count else "PyTorch sees no CUDA device"
        raise DeviceError(f"{asked} cannot be used: {found}", "use --device cpu, or see doctor")
    return f"cuda:{index}"
