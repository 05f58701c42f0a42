"""Prefetching in a thread: the host prepares the next items while a GPU computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], count: int
) -> Iterator[tuple[Item, Result]]:
    """Do some work on items in a thread, at most so many ahead of whoever uses the results.

    Args:
        work: Done in that thread, on one item after the other.
        items: Taken in the thread of the caller: documents may not be opened in two.
        count: From 1 on.

    Yields:
        Items and what became of them.

    Raises:
        Exception: What ``work`` raises, once the items before are used.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > count:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
