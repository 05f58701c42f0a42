"""Work that is done ahead: the same results, in the same order, a bounded number of them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ocrtool.document.tree import Page
from ocrtool.inputs.page_source import ImagePage
from ocrtool.options import ReadOptions
from ocrtool.pages.reader import PageReader
from ocrtool.preprocess.prefetch import ahead
from ocrtool.synth.pages import PageSource


def test_items_come_in_order_from_one_thread_a_few_ahead() -> None:
    taken: list[int] = []
    threads: set[int] = set()

    def items() -> Iterator[int]:
        for i in range(20):
            taken.append(i)
            yield i

    def work(item: int) -> int:
        threads.add(threading.get_ident())
        return 10 * item

    for used, (item, result) in enumerate(ahead(work, items(), 3)):
        assert (item, result) == (used, 10 * used)
        assert len(taken) <= used + 4
    assert taken == list(range(20)) and len(threads) == 1
    assert threads.isdisjoint({threading.get_ident()})
    assert list(ahead(work, [], 2)) == []


def test_a_failure_comes_behind_what_went_well() -> None:
    stream = ahead(lambda item: 1 // item, [2, 1, 0], 4)
    assert [next(stream), next(stream)] == [(2, 0), (1, 1)]
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_whoever_stops_leaves_no_thread() -> None:
    before = threading.active_count()
    stream = ahead(str, range(100), 2)
    assert next(stream) == (0, "0")
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def unsure(page: Page) -> Any:
    """Return a page as plain values, without confidences."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(each) for key, each in value.items() if key != "confidence"}
        return [without(each) for each in value] if isinstance(value, list | tuple) else value

    return without(dataclasses.asdict(page))


def test_pages_read_together_are_pages_read_one_by_one() -> None:
    """The way of GPUs, on a CPU: found ahead, and read across pages."""
    source = PageSource(seed=4, size=(500, 700))
    pages = [ImagePage(source.draw(i).image, number=i + 1) for i in range(4)]
    reader = PageReader(ReadOptions(device="cpu", threads=1), lone_lines=True)
    alone = [page for _, page in reader.read_stream(pages)]
    reader.overlapped = True
    together = list(reader.read_stream(pages))
    assert [image for image, _ in together] == pages
    # Other batches round otherwise: all but the confidences is the same to the bit.
    assert [unsure(page) for _, page in together] == [unsure(page) for page in alone]
    for (_, page), other in zip(together, alone, strict=True):
        assert page.confidence == pytest.approx(other.confidence, abs=1e-5)
    assert sum(len(page.blocks) for page in alone) > 5
