"""Devices, number formats, and data-parallel training with several processes (``torchrun``).

Every process has the whole network and its own pools of data. Gradients are summed over processes
once per step, in one flat tensor; losses are divided by the counts of all processes beforehand.
"""

from __future__ import annotations

import functools
import os
import timeit
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import cv2
import torch
import torch.distributed as dist
from torch import Tensor

from ocrtool import console
from ocrtool.errors import DeviceError
from ocrtool.training.options import RunOptions

PRODUCT = 512
"""Side of the matrices whose products are timed to compare number formats."""
BF16_SHARE = 0.7
"""Maximum time of a product in bf16, as a share of float32's, for which bf16 is chosen."""


@dataclass(frozen=True)
class Group:
    """The processes that train together.

    Attributes:
        rank: Number of this process; 0 logs, validates and saves.
        size: Number of processes.
        local_rank: Number of this process on its machine, and of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process logs and saves."""
        return self.rank == 0

    def total(self, values: Sequence[float]) -> list[float]:
        """Return sums over all processes."""
        if self.size == 1:
            return list(values)
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def agreed(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """Return the clock of process 0, and whether any process is to stop."""
        if self.size == 1:
            return seconds, stop
        seconds, stopping = self.total([seconds if self.leads else 0.0, float(stop)])
        return seconds, stopping > 0

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its sum over all processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


@dataclass(frozen=True)
class Compute:
    """Where and how this process computes.

    Attributes:
        group: The processes that train together.
        device: Device of this process.
        precision: Number format of matrix products.
    """

    group: Group = Group()
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: torch.dtype = torch.float32

    @classmethod
    def chosen(cls, options: RunOptions, group: Group) -> Compute:
        """Apply the options about devices, threads and precision.

        Raises:
            DeviceError: The device is missing, or cannot compute in the precision.
        """
        device = choose_device(options.device, group)
        if options.threads:
            torch.set_num_threads(options.threads)
        cv2.setNumThreads(0)
        precision, reason = choose_precision(options.precision, device)
        if group.leads:
            console.note(f"{device}, {str(precision).removeprefix('torch.')}: {reason}")
        return cls(group, device, precision)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the network computes in this precision."""
        half = self.precision != torch.float32
        return torch.autocast(self.device.type, self.precision, enabled=half)


@contextmanager
def process_group(device: str) -> Iterator[Group]:
    """Join the process group of ``torchrun``; without ``torchrun``, a group of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group()
        return
    group = Group(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))
    on_gpu = device != "cpu" and torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield group
        dist.barrier()  # process 0 is still saving
    finally:
        dist.destroy_process_group()


def choose_device(wanted: str, group: Group) -> torch.device:
    """Return the device of this process.

    Raises:
        DeviceError: There is no such GPU.
    """
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise DeviceError(f"no device {wanted}: PyTorch sees no GPU", "use --device cpu")
    index = group.local_rank if group.size > 1 or ":" not in wanted else int(wanted.split(":")[1])
    if index >= torch.cuda.device_count():
        raise DeviceError(f"no device cuda:{index}", f"there are {torch.cuda.device_count()} GPUs")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def choose_precision(wanted: str, device: torch.device) -> tuple[torch.dtype, str]:
    """Return the number format of matrix products, and the reason for it.

    Raises:
        DeviceError: The device does not support it.
    """
    gpu = device.type == "cuda"
    if wanted != "auto":
        if wanted == "fp16" and not gpu:
            raise DeviceError("fp16 training needs a GPU", "use --precision bf16 or fp32")
        formats = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        return formats[wanted], "as requested"
    if gpu and torch.cuda.is_bf16_supported():
        return torch.bfloat16, "the GPU supports bf16"
    if gpu:
        return torch.float16, "the GPU has no bf16"
    if _cpu_bf16_pays():
        return torch.bfloat16, "bf16 is faster on this processor"
    return torch.float32, "bf16 is not much faster on this processor"


def _cpu_bf16_pays() -> bool:
    """Measure whether matrix products are much faster in bf16 than in float32.

    Instruction sets do not decide: bf16 of AVX-512 is three times as fast as float32 on an EPYC of
    2023, and no faster on a Xeon without AMX.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(PRODUCT, PRODUCT, dtype=dtype)
        product = functools.partial(torch.matmul, matrix, matrix)
        seconds[dtype] = min(timeit.repeat(product, number=1, repeat=6))
    return seconds[torch.bfloat16] < BF16_SHARE * seconds[torch.float32]
