"""Training with several processes, started by ``torchrun`` with the same command.

Every process has the whole network and its own pools of data. Gradients are summed over processes
after the last batch of a step, in one flat tensor: batches differ in their number of characters, so
every loss is divided by the count of all processes beforehand, and a process that had to split a
batch for memory is still in step with the others.
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
"""Side of the matrices by which the types of numbers are compared."""
PAYS = 0.7
"""Share of float32's time below which bf16 is worth its coarseness and its conversions."""


@dataclass(frozen=True)
class Group:
    """The processes that train together.

    Attributes:
        rank: Number of this process; 0 logs, validates and saves.
        size: How many there are.
        local_rank: Number of this process on its machine; its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process logs and saves."""
        return self.rank == 0

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums of numbers over all processes."""
        if self.size == 1:
            return list(values)
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def agreed(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """The leader's clock, and whether any process wants to stop: one clock and one mind."""
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
    """Join the group that ``torchrun`` set up; a group of one where it did not."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group()
        return
    group = Group(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))
    on_gpu = device != "cpu" and torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield group
        dist.barrier()  # the leader still saves: nobody leaves while another may talk to it
    finally:
        dist.destroy_process_group()


def choose_device(wanted: str, group: Group) -> torch.device:
    """The device of this process.

    Raises:
        DeviceError: A GPU was asked for and there is none.
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
    """The type of the matrix products, and why.

    Raises:
        DeviceError: The device cannot compute in the wanted type.
    """
    if device.type == "cuda":
        if wanted == "auto":
            if torch.cuda.is_bf16_supported():
                return torch.bfloat16, "the GPU computes in bf16"
            return torch.float16, "the GPU has no bf16"
    else:
        if wanted == "auto":
            if _cpu_bf16_pays():
                return torch.bfloat16, "the processor multiplies faster in bf16"
            return torch.float32, "bf16 is not much faster on this processor"
        if wanted == "fp16":
            raise DeviceError("fp16 training needs a GPU", "use --precision bf16 or fp32")
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return types[wanted], "as asked"


def _cpu_bf16_pays() -> bool:
    """Whether this processor multiplies matrices in bf16 much faster than in float32; measured.

    What the instruction sets say is not enough: AVX-512's bf16 is three times as fast as float32
    on an EPYC of 2023, and no faster on a Xeon without AMX tiles.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(PRODUCT, PRODUCT, dtype=dtype)
        product = functools.partial(torch.matmul, matrix, matrix)
        seconds[dtype] = min(timeit.repeat(product, number=1, repeat=6))
    return seconds[torch.bfloat16] < PAYS * seconds[torch.float32]
