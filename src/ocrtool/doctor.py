"""``ocrtool doctor``: installed packages, devices that compute, and problems.

Two things are tested, not assumed. ONNX Runtime lists a GPU provider as *available*
when it was built with it, and quietly computes on the CPU when a CUDA library is missing; so each
provider gets a session of one node, and the session is asked which providers it took. And the
bundled weights are hashed and compared with the table that ships with them.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ocrtool.console import cache_directory
from ocrtool.errors import ExitCode, install_command
from ocrtool.version import __version__
from ocrtool.weights import BUNDLED

WEIGHTS_TABLE = "SHA256SUMS"
"""The table in ``BUNDLED``, made there with
``sha256sum */*.onnx */*.safetensors */*.json */*.npy > SHA256SUMS``.
"""

PACKAGES = (
    "huggingface_hub",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python-headless",
    "pillow",
    "platformdirs",
    "pymupdf",
    "rich",
    "typer",
    "torch",
    "safetensors",
    "fonttools",
    "matplotlib",
    "onnx",
    "onnxscript",
    "tokenizers",
    "latex2mathml",
    "ziamath",
)
"""The dependencies: the base install, then those of the extras ``torch`` and ``formulas``."""

RUNTIMES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-rocm",
    "onnxruntime-silicon",
)
"""Distributions that all install the import package ``onnxruntime`` and overwrite each other."""

# y = max(x, 0) for x of shape (1,), made with
#   graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu",
#       [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
#       [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])
#   opset = helper.make_opsetid("", 13)
#   helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
ONE_NODE = base64.b64decode(
    "CAg6NgoMCgF4EgF5IgRSZWx1EgRyZWx1Wg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQDQ=="
)

CPU_FEATURES = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
    "bf16",
    "i8mm",
    "sve",
)
"""Instruction sets that affect speed, by their names in ``/proc/cpuinfo``."""


@dataclass(frozen=True)
class Cpu:
    """The processor: its name, the threads this process may use, and its instruction sets."""

    name: str
    threads: int
    features: tuple[str, ...]


@dataclass(frozen=True)
class Gpu:
    """A CUDA device as the driver reports it; memory in MiB."""

    device: str
    name: str
    memory: int
    driver: str


@dataclass(frozen=True)
class Provider:
    """An execution provider of ONNX Runtime: whether a session really ran on it."""

    name: str
    usable: bool
    reason: str


@dataclass(frozen=True)
class WeightFile:
    """A bundled file: its size in bytes, its SHA-256, and its state by the table.

    The status is ``ok``, ``changed``, ``missing`` or ``unlisted``.
    """

    file: str
    size: int
    sha256: str
    status: str


@dataclass(frozen=True)
class CacheFacts:
    """The cache folder of downloaded or generated files; size in bytes."""

    path: str
    writable: bool
    size: int


@dataclass(frozen=True)
class Problem:
    """A problem, its remedy, and whether it makes reading impossible."""

    message: str
    remedy: str
    fatal: bool


@dataclass(frozen=True)
class DoctorReport:
    """Result of ``ocrtool doctor``; ``--json`` prints these fields."""

    schema: int
    ocrtool: str
    python: str
    platform: str
    packages: dict[str, str | None]
    cpu: Cpu
    gpus: tuple[Gpu, ...]
    runtimes: tuple[str, ...]
    providers: tuple[Provider, ...]
    cache: CacheFacts
    weights: tuple[WeightFile, ...]
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the command: 3 when reading cannot work."""
        return ExitCode.MISSING if any(found.fatal for found in self.problems) else ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """As text for people."""
        yield f"ocrtool    {self.ocrtool}"
        yield f"python     {self.python}"
        yield f"platform   {self.platform}"
        yield f"processor  {self.cpu.name}, {self.cpu.threads} threads"
        yield f"           {' '.join(self.cpu.features) or 'instruction sets unknown'}"
        for gpu in self.gpus:
            yield f"{gpu.device:<10} {gpu.name}, {gpu.memory} MiB, driver {gpu.driver}"
        if not self.gpus:
            yield "gpu        none found"
        yield ""
        yield "packages"
        for name, version in self.packages.items():
            yield f"  {name:<24} {version or '-'}"
        yield ""
        yield "ONNX Runtime providers"
        for provider in self.providers:
            state = "usable" if provider.usable else "not usable"
            yield f"  {provider.name:<26} {state}: {provider.reason}"
        yield ""
        writable = "writable" if self.cache.writable else "not writable"
        yield f"cache      {self.cache.path} ({writable}, {_size(self.cache.size)})"
        yield ""
        yield "bundled weights"
        for weight in self.weights:
            yield f"  {weight.file:<26} {_size(weight.size):>9}  {weight.status}"
            yield f"    sha256 {weight.sha256 or '-'}"
        if not self.weights:
            yield "  none"
        yield ""
        for problem in self.problems:
            kind = "problem" if problem.fatal else "note"
            yield f"{kind}: {problem.message}; {problem.remedy}"
        yield "reading works" if self.exit_code is ExitCode.OK else "reading cannot work"


def examine() -> DoctorReport:
    """Examine this installation. Takes about a second: each provider runs a test graph."""
    runtimes = installed_runtimes(dist.metadata["Name"] for dist in metadata.distributions())
    gpus = tuple(list_gpus())
    providers = tuple(try_providers())
    weights = tuple(check_weights(BUNDLED))
    cache = check_cache(cache_directory())
    packages = {name: _version(name) for name in PACKAGES}
    return DoctorReport(
        schema=1,
        ocrtool=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        platform=platform.platform(),
        packages=packages,
        cpu=examine_cpu(),
        gpus=gpus,
        runtimes=runtimes,
        providers=providers,
        cache=cache,
        weights=weights,
        problems=tuple(find_problems(packages, runtimes, gpus, providers, cache, weights)),
    )


def find_problems(
    packages: dict[str, str | None],
    runtimes: tuple[str, ...],
    gpus: tuple[Gpu, ...],
    providers: tuple[Provider, ...],
    cache: CacheFacts,
    weights: tuple[WeightFile, ...],
) -> Iterator[Problem]:
    """Derive the problems from the findings."""
    if not any(provider.usable for provider in providers):
        reason = providers[0].reason if providers else "it is not installed"
        yield Problem(f"ONNX Runtime does not run ({reason})", "reinstall ocrtool", fatal=True)
    if gpus and not any(found.name.startswith("CUDA") and found.usable for found in providers):
        yield Problem(
            "there is a GPU, but ONNX Runtime cannot use it and reads on the CPU",
            "pip install 'onnxruntime-gpu[cuda,cudnn]' adds the CUDA libraries that it loads",
            fatal=False,
        )
    if len(runtimes) > 1:
        yield Problem(
            f"{' and '.join(runtimes)} are both installed and overwrite each other",
            f"pip uninstall {' '.join(runtimes)}, then reinstall ocrtool",
            fatal=False,
        )
    for weight in weights:
        if weight.status != "ok":
            yield Problem(
                f"bundled file {weight.file} is {weight.status}",
                "reinstall ocrtool",
                fatal=weight.status != "unlisted",
            )
    if not weights:
        yield Problem("there are no bundled weights", "reinstall ocrtool", fatal=True)
    if not cache.writable:
        yield Problem(
            f"the cache {cache.path} cannot be written",
            "point OCRTOOL_CACHE at a folder of yours",
            fatal=False,
        )
    if packages.get("torch") is None:
        yield Problem(
            "ocrtool train and --engine torch need PyTorch",
            f"{install_command('torch')} if you want them",
            fatal=False,
        )


def installed_runtimes(names: Iterable[str | None]) -> tuple[str, ...]:
    """Pick from ``names`` of distributions those that install ``onnxruntime``, sorted."""
    canonical = {(name or "").lower().replace("_", "-") for name in names}
    return tuple(sorted(canonical.intersection(RUNTIMES)))


def try_providers() -> Iterator[Provider]:
    """Run one node on each provider that ONNX Runtime was built with."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        yield Provider("CPUExecutionProvider", False, f"import onnxruntime: {error}")
        return
    if not hasattr(ort, "InferenceSession"):
        # What is left when one of two runtimes was uninstalled.
        yield Provider("CPUExecutionProvider", False, "the package onnxruntime is damaged")
        return
    ort.set_default_logger_severity(4)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if hasattr(ort, "preload_dlls"):
            # The CUDA libraries of pip's nvidia packages are not on the loader's path.
            ort.preload_dlls(directory="")
        # Consumed here: the messages of the attempts are silenced only inside this block.
        providers = [_try_provider(ort, name) for name in ort.get_available_providers()]
    yield from providers


def _try_provider(ort: Any, name: str) -> Provider:
    import numpy as np

    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(ONE_NODE, options, providers=[name])
        taken = session.get_providers()
        if name not in taken:
            return Provider(name, False, f"a session takes {', '.join(taken)} instead")
        (result,) = session.run(None, {"x": np.array([2.0], np.float32)})
    except Exception as error:  # ONNX Runtime's errors have no common base class.
        first = (str(error).splitlines() or [""])[0]
        return Provider(name, False, f"{type(error).__name__}: {first}")
    if result.tolist() != [2.0]:
        return Provider(name, False, "computes wrong results")
    return Provider(name, True, "a session ran on it")


def examine_cpu() -> Cpu:
    """Return name, threads and features of the processor, as far as the system reports them."""
    if hasattr(os, "sched_getaffinity"):
        threads = len(os.sched_getaffinity(0))
    else:
        threads = os.cpu_count() or 1
    name, flags = platform.processor() or platform.machine(), set[str]()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags.update(value.split())
    return Cpu(name, threads, tuple(feature for feature in CPU_FEATURES if feature in flags))


def list_gpus() -> Iterator[Gpu]:
    """Ask NVIDIA's driver for its devices, if there is one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return
    query = "--query-gpu=index,name,memory.total,driver_version"
    try:
        answer = subprocess.run(
            [tool, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            check=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return
    for line in answer.stdout.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4 and fields[2].isdecimal():
            yield Gpu(f"cuda:{fields[0]}", fields[1], int(fields[2]), fields[3])


def check_weights(folder: Path) -> Iterator[WeightFile]:
    """Hash the files below ``folder`` and compare them with its table.

    Args:
        folder: Holds :data:`WEIGHTS_TABLE` and one folder a model.

    Yields:
        The files in the table and those on the disk, sorted by name.
    """
    table = {}
    with contextlib.suppress(OSError):
        for line in (folder / WEIGHTS_TABLE).read_text("utf-8").splitlines():
            digest, _, file = line.partition(" ")
            table[file.lstrip(" *")] = digest
    present = {
        path.relative_to(folder).as_posix(): path
        for path in folder.glob("*/*.*")
        if path.suffix in (".onnx", ".safetensors", ".json", ".npy")
    }
    for file in sorted(table.keys() | present.keys()):
        if file not in present:
            yield WeightFile(file, 0, "", "missing")
            continue
        with present[file].open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        status = "unlisted" if file not in table else "ok" if table[file] == digest else "changed"
        yield WeightFile(file, present[file].stat().st_size, digest, status)


def check_cache(folder: Path) -> CacheFacts:
    """Measure the cache and test whether it is writable; it is not created."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    # What will be created has to be writable where its path leaves the disk's.
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return CacheFacts(str(folder), existing.is_dir() and os.access(existing, os.W_OK), size)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _size(count: int) -> str:
    """Bytes for people, in decimal units."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
