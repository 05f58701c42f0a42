"""Sessions of ONNX Runtime that run where they shall, or a word on why they cannot."""

from __future__ import annotations

import contextlib
import ctypes
import io
import sys
from pathlib import Path
from typing import Any

from ocrtool.errors import DeviceError, MissingDependencyError, ModelError

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


def _unusable(device: str, reason: str) -> DeviceError:
    return DeviceError(
        f"{device} cannot be used: {reason}",
        "see ocrtool doctor; pip install 'onnxruntime-gpu[cuda,cudnn]' adds the CUDA libraries, "
        "--device cpu reads without a GPU",
    )
