"""The ONNX Runtime engine: what reads by default, without PyTorch.

On a GPU inputs and outputs are bound, and keys and values never leave it.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ocrtool.engines import (
    HOST,
    CacheStore,
    Encoded,
    EngineCache,
    FloatArray,
    IntArray,
    ModelMetadata,
    read_metadata,
)
from ocrtool.errors import DeviceError, MissingDependencyError, ModelError
from ocrtool.weights import DECODER, ENCODER

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
        """See :meth:`ocrtool.engines.Engine.encode`."""
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
        """See :meth:`ocrtool.engines.Engine.step`."""
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


CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
ERRORS_ONLY = 3
FATAL_ONLY = 4


def import_runtime() -> Any:
    """Import ONNX Runtime.

    Raises:
        MissingDependencyError: It is missing or damaged.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX Runtime cannot be loaded ({error})",
            "reinstall ocrtool, or use --engine torch with the extra torch",
        ) from None
    if not hasattr(onnxruntime, "InferenceSession"):
        raise MissingDependencyError(
            "the package onnxruntime is damaged",
            "two builds may be installed over each other; see ocrtool doctor",
        )
    return onnxruntime


def require_cuda(runtime: Any, device: str) -> None:
    """Refuse a GPU that cannot be there, before ONNX Runtime loads and complains.

    The CUDA libraries that come as pip packages are loaded, too: the system's loader does not
    find them.
    """
    if CUDA not in runtime.get_available_providers():
        raise _unusable(device, "this build of ONNX Runtime has no CUDA provider")
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        raise _unusable(device, "there is no NVIDIA driver") from None
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        raise _unusable(device, "the NVIDIA driver does not start")
    if int(device.partition(":")[2]) >= count.value:
        raise _unusable(device, f"the NVIDIA driver sees {count.value} GPUs")
    if hasattr(runtime, "preload_dlls"):
        # It prints what it misses; what counts is the provider that runs, and that is checked.
        with contextlib.redirect_stdout(io.StringIO()):
            runtime.preload_dlls()


def open_session(runtime: Any, path: Path, device: str, threads: int) -> Any:
    """Open one graph and make sure that it runs where it shall."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Every batch has its own width: an arena would keep the sum of all shapes ever met, and a
    # memory plan for each. Waiting threads shall not spin: other work needs the cores.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = ERRORS_ONLY if device == "cpu" else FATAL_ONLY
    providers: list[Any] = [CPU]
    if device != "cpu":
        index = device.partition(":")[2]
        arena = {"device_id": index, "arena_extend_strategy": "kSameAsRequested"}
        providers.insert(0, (CUDA, arena))
    if not path.is_file():
        raise ModelError(f"{path}: no such file", "ocrtool export makes it")
    try:
        session = runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # the runtime's exceptions have no common class
        reason = " ".join(str(error).split())
        if device != "cpu" and "CUDA" in reason:
            raise _unusable(device, reason) from None
        raise ModelError(f"{path} cannot be loaded: {reason}") from None
    if device != "cpu" and CUDA not in session.get_providers():
        raise _unusable(device, "ONNX Runtime could not load its CUDA libraries")
    return session


def open_on(runtime: Any, path: Path, device: str, threads: int) -> tuple[Any, str]:
    """Open one graph on a device.

    Args:
        runtime: Module ``onnxruntime``.
        path: File of the graph.
        device: ``auto`` for a usable GPU, else the CPU; ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; 0 leaves the choice to the engine.

    Returns:
        The session, and the device that it runs on.

    Raises:
        ModelError: The file is missing or damaged.
        DeviceError: The device that is asked for cannot be used.
    """
    wanted = "cuda:0" if device in ("auto", "cuda") else device
    try:
        if wanted != "cpu":
            require_cuda(runtime, wanted)
        return open_session(runtime, path, wanted, threads), wanted
    except DeviceError as error:
        if device != "auto":
            raise
        logger.info("%s runs on the CPU: %s", path.stem, error.message)
    return open_session(runtime, path, "cpu", threads), "cpu"


def _unusable(device: str, reason: str) -> DeviceError:
    return DeviceError(
        f"{device} cannot be used: {reason}",
        "see ocrtool doctor; pip install 'onnxruntime-gpu[cuda,cudnn]' adds the CUDA libraries, "
        "--device cpu reads without a GPU",
    )


APPEND = Path(__file__).with_name("append.onnx")
TAKE = Path(__file__).with_name("take.onnx")


class BoundStore:
    """Arrays of ONNX Runtime (``OrtValue``), as long as the rows that they hold.

    Args:
        runtime: The module ``onnxruntime``.
        device: ``cpu`` or ``cuda:N``.
        threads: CPU threads; 0 for one a physical core.
    """

    def __init__(self, runtime: Any, device: str, threads: int) -> None:
        self._runtime = runtime
        kind, _, index = device.partition(":")
        self._place = (kind, int(index or 0))
        self._append = open_session(runtime, APPEND, device, threads)
        self._take = open_session(runtime, TAKE, device, threads)

    def run(
        self,
        session: Any,
        feeds: Mapping[str, Any],
        names: Sequence[str] = (),
        kept: int = 0,
    ) -> list[Any]:
        """Run a graph on inputs that are on the host or here.

        Args:
            session: That runs it.
            feeds: Inputs by name: arrays of NumPy, or of this store.
            names: The outputs; all of the graph's where none are named.
            kept: How many of the first outputs stay here; the others become NumPy's.
        """
        binding = session.io_binding()
        given = {k: np.ascontiguousarray(v) for k, v in feeds.items() if isinstance(v, np.ndarray)}
        for name, value in feeds.items():
            if name in given:
                binding.bind_cpu_input(name, given[name])
            else:
                binding.bind_ortvalue_input(name, value)
        names = names or [output.name for output in session.get_outputs()]
        for i, name in enumerate(names):
            binding.bind_output(name, *(self._place if i < kept else ("cpu", 0)))
        session.run_with_iobinding(binding)
        outputs = binding.get_outputs()
        return [*outputs[:kept], *(output.numpy() for output in outputs[kept:])]

    def empty(self, shape: tuple[int, ...]) -> Any:
        """See `ocrtool.engines.CacheStore.empty`."""
        # One entry that no row counts: arrays without any are not taken everywhere.
        nothing = np.zeros((*shape[:3], 1, shape[4]), np.float32)
        return self._runtime.OrtValue.ortvalue_from_numpy(nothing, *self._place)

    def take(self, array: Any, rows: IntArray, end: int) -> Any:
        """See `ocrtool.engines.CacheStore.take`."""
        feeds = {"entries": array, "rows": rows, "end": np.array([end])}
        return self.run(self._take, feeds, kept=1)[0]

    def append(self, array: Any, new: Any, lengths: IntArray) -> Any:
        """See `ocrtool.engines.CacheStore.append`."""
        feeds = {"entries": array, "new": new, "lengths": lengths}
        return self.run(self._append, feeds, kept=1)[0]
