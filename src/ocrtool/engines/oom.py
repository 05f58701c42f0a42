"""What is too much for a device's memory is read in halves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

Read = TypeVar("Read")

SIGNS = ("out of memory", "allocate memory", "alloc_failed", "bad_alloc", "available memory of")
"""What PyTorch, ONNX Runtime and CUDA's libraries say, in lower case."""

logger = logging.getLogger(__name__)


def lacks_memory(error: Exception) -> bool:
    """Tell whether an engine failed because memory ran out; engines have no common class for it."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in SIGNS)


def split_on_oom(read: Callable[[list[int]], list[Read]], batch: list[int]) -> list[Read]:
    """Read a batch, or its halves where memory does not suffice, down to single things.

    Args:
        read: Reads the things of these numbers.
        batch: All of them.

    Raises:
        Exception: What ``read`` raises, of a single thing or for any other reason.
    """
    try:
        return read(batch)
    except Exception as error:
        if len(batch) == 1 or not lacks_memory(error):
            raise
        logger.info("out of memory with %d in a batch: halved", len(batch))
    # Not within the handler: the error holds what the failed batch had allocated.
    middle = len(batch) // 2
    return split_on_oom(read, batch[:middle]) + split_on_oom(read, batch[middle:])
