"""The PyTorch engine: runs a checkpoint as training left it. Needs the extra ``[torch]``.

On a GPU it computes in float16; keys and values stay there, and steps of one token are replayed
from a CUDA graph.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ocrtool.engines import (
    Encoded,
    EngineCache,
    FloatArray,
    IntArray,
    ModelMetadata,
    read_metadata,
)
from ocrtool.engines.cuda_graphs import FixedStep, StepGraphs
from ocrtool.errors import DeviceError, ModelError
from ocrtool.models.cache import append_entries
from ocrtool.models.ocr import CrossCache, OcrModel
from ocrtool.weights import WEIGHTS


class TorchStore:
    """Tensors on one device, preallocated."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype

    def empty(self, shape: tuple[int, ...]) -> torch.Tensor:
        """See `ocrtool.engines.CacheStore.empty`."""
        return torch.zeros(shape, device=self.device, dtype=self.dtype)

    def take(self, array: torch.Tensor, rows: IntArray, end: int) -> torch.Tensor:
        """See `ocrtool.engines.CacheStore.take`."""
        return array[:, :, :, :end].index_select(1, self.tensor(rows))

    def append(self, array: torch.Tensor, new: torch.Tensor, lengths: IntArray) -> torch.Tensor:
        """See `ocrtool.engines.CacheStore.append`."""
        append_entries(array, new, self.tensor(lengths))
        return array

    def tensor(self, array: FloatArray | IntArray) -> torch.Tensor:
        """Bring an array here; numbers with a fraction become of the type of the network."""
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor


class TorchEngine:
    """Runs :class:`~ocrtool.models.ocr.OcrModel`.

    Args:
        metadata: Geometry and alphabet.
        model: The network with its weights; it is moved to ``device`` and set to evaluation.
        device: ``cpu`` or ``cuda:N``.
        dtype: What it computes in; None for float16 on a GPU and float32 on a CPU.
    """

    name = "torch"

    def __init__(
        self,
        metadata: ModelMetadata,
        model: OcrModel,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        self.metadata = metadata
        self.device = device
        on_gpu = device != "cpu"
        self.store = TorchStore(device, dtype or (torch.float16 if on_gpu else torch.float32))
        self.model = model.to(device, self.store.dtype).eval()
        self._graphs = StepGraphs(self.model) if on_gpu else None

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
        metadata = read_metadata(folder)
        model = OcrModel(metadata.config)
        path = folder / WEIGHTS
        try:
            model.load_state_dict(load_file(path))
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error}") from None
        except (SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"{path} does not fit {folder.name}: {reason}") from None
        return cls(metadata, model, device)

    @torch.inference_mode()
    def encode(self, pixels: FloatArray, sizes: IntArray) -> Encoded:
        """See :meth:`ocrtool.engines.Engine.encode`."""
        encoding = self.model.encode(self.store.tensor(pixels), self.store.tensor(sizes))
        cross = self.model.cross(encoding)
        lengths = cross.lengths.cpu().numpy()
        if encoding.ctc_logits is None:
            return Encoded(cross.keys, cross.values, lengths, None, store=self.store)
        log_probs = _array(encoding.ctc_logits.float().log_softmax(-1))
        frames = self.metadata.config.vision.frames
        return Encoded(cross.keys, cross.values, lengths, log_probs, frames, self.store)

    @torch.inference_mode()
    def step(self, tokens: IntArray, encoded: Encoded, cache: EngineCache) -> FloatArray:
        """See :meth:`ocrtool.engines.Engine.step`."""
        given, image, behind = map(self.store.tensor, (tokens, encoded.lengths, cache.lengths))
        cross = CrossCache(encoded.cross_keys, encoded.cross_values, image)
        if self._graphs is not None and tokens.shape[1] == 1:
            cache.advance(1)
            step = FixedStep(given, cross, cache.keys, cache.values, behind)
            return _array(self._graphs.step(step))
        logits, new_keys, new_values = self.model.step(given, cross, *cache.past(), behind)
        cache.append(new_keys, new_values, tokens.shape[1])
        return _array(logits)


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
