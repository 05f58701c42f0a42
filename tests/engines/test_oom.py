"""What does not fit in memory is read in smaller batches."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ocrtool.engines.oom import lacks_memory, split_on_oom

STARVED = """
import logging
import resource
import numpy as np
from ocrtool.options import ReadOptions
from ocrtool.readers.lines import LineReader

reader = LineReader(ReadOptions(device="cpu", threads=1))
rng = np.random.default_rng(0)
images = [("", rng.integers(0, 255, (32, 1500), dtype=np.uint8)) for _ in range(64)]
wanted = [result.text for result in reader.read_stream(images)]
logging.basicConfig(level="INFO")
reader._batch_width = 10_000_000
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 100_000_000,) * 2)
assert [result.text for result in reader.read_stream(images)] == wanted
"""


def test_halves_keep_the_order_and_only_memory_is_worth_another_try() -> None:
    sizes: list[int] = []

    def read(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return [10 * i for i in batch]

    assert split_on_oom(read, list(range(11))) == [10 * i for i in range(11)]
    assert sizes == [11, 5, 2, 3, 6, 3, 3]
    with pytest.raises(ValueError, match="other"):
        split_on_oom(lambda _: (_ for _ in ()).throw(ValueError("other")), [1, 2])
    with pytest.raises(MemoryError):
        split_on_oom(lambda _: (_ for _ in ()).throw(MemoryError()), [1, 2])


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 20.00 MiB",
        "Non-zero status code returned while running Conv node. Status Message: std::bad_alloc",
        "BFCArena: Failed to allocate memory for requested buffer of size 1024",
        "Available memory of 1 is smaller than requested bytes of 2",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
    ],
)
def test_engines_say_it_in_many_ways(message: str) -> None:
    assert lacks_memory(RuntimeError(message))
    assert not lacks_memory(RuntimeError("shapes do not match"))


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
def test_lines_are_read_where_a_batch_does_not_fit() -> None:
    done = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "out of memory with 64 in a batch: halved" in done.stderr
