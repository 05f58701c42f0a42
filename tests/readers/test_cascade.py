"""A larger reader gets what the first is not sure of, within its budget, and says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ocrtool.document.lines import LineResult
from ocrtool.errors import UsageError
from ocrtool.inputs.images import load_image
from ocrtool.inputs.page_source import ImagePage
from ocrtool.options import ReadOptions, parse_budget
from ocrtool.pages.reader import PageReader
from ocrtool.readers.cascade import CascadeReader
from ocrtool.readers.line_results import plain_result

Picture = np.ndarray
PAGE = Path(__file__).parents[2] / "docs/images/sample-page.jpg"


class Fixed:
    """A reader that is as sure as the first pixel of a picture says, in hundredths."""

    def __init__(self, text: str, more: float = 0.0) -> None:
        self.text, self.more = text, more
        self.read: list[str] = []

    def read_stream(self, images: Iterable[tuple[str, Picture]]) -> Iterator[LineResult]:
        for source, image in images:
            self.read.append(source)
            sure = min(1.0, image[0, 0] / 100 + self.more)
            yield plain_result(source, self.text, (sure,))

    def reread_uncertain(self, first: Sequence[tuple[Picture, LineResult]]) -> list[LineResult]:
        return [result for _, result in first]


def pictures(*sure: int) -> list[tuple[str, Picture]]:
    return [(f"{value}", np.full((8, 8), value, np.uint8)) for value in sure]


def cascade(larger: Fixed, **options: float) -> CascadeReader:
    chosen = ReadOptions(escalate="big", **options)  # type: ignore[arg-type]
    return CascadeReader(Fixed("s"), lambda: larger, "big", chosen)


def test_only_what_is_in_doubt_is_escalated_and_the_surer_wins() -> None:
    larger = Fixed("L", 0.1)
    results = list(cascade(larger, below=0.85).read_stream(pictures(99, 80, 20, 85)))
    assert [(r.text, r.reader) for r in results] == [
        ("s", ""),
        ("L", "big"),
        ("L", "big"),
        ("s", ""),
    ]
    assert larger.read == ["20", "80"]  # the worst first
    weaker = Fixed("W", -0.1)
    results = list(cascade(weaker, below=0.85).read_stream(pictures(99, 80)))
    assert [(r.text, r.reader) for r in results] == [("s", ""), ("s", "")]


def test_the_larger_reader_is_opened_when_it_is_needed() -> None:
    def never() -> Fixed:
        raise AssertionError("opened")

    reader = CascadeReader(Fixed("s"), never, "big", ReadOptions(escalate="big"))
    assert [r.text for r in reader.read_stream(pictures(99, 90))] == ["s", "s"]


def test_budgets() -> None:
    larger = Fixed("L", 0.1)
    reader = cascade(larger, budget_lines=3)
    results = list(reader.read_stream(pictures(*[50] * 100)))
    assert sum(r.text == "L" for r in results) == 3 == len(larger.read)
    none = Fixed("L", 0.1)
    results = list(cascade(none, budget_seconds=1e-9).read_stream(pictures(50, 60)))
    assert [r.text for r in results] == ["s", "s"]


@pytest.mark.parametrize(
    ("text", "found"),
    [(None, (None, None)), ("200", (200, None)), ("30s", (None, 30.0)), ("1.5h", (None, 5400.0))],
)
def test_budgets_are_lines_or_times(
    text: str | None, found: tuple[int | None, float | None]
) -> None:
    assert parse_budget(text) == found


@pytest.mark.parametrize("text", ["", "many", "-3", "5 days", "1.5"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        parse_budget(text)


def test_lines_in_doubt_of_several_pages_go_to_the_larger_reader_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = PageReader(ReadOptions(escalate="big", below=1.0, device="cpu"))
    asked: list[int] = []

    def escalate(first: Sequence[tuple[Picture, LineResult]]) -> list[LineResult]:
        asked.append(len(first))
        return [replace(result, reader="big") for _, result in first]

    assert reader.cascade is not None
    monkeypatch.setattr(reader.cascade, "escalate", escalate)
    pixels = load_image(PAGE)
    given = [ImagePage(pixels, number=number) for number in (1, 2)]
    read = list(reader.read_stream(iter(given)))
    assert [image for image, _ in read] == given
    alone = reader.read(pixels)
    assert asked == [2 * asked[1], asked[1]]
    for number, (_, page) in enumerate(read, start=1):
        assert page == replace(alone, number=number)  # as if read one by one
        assert {line.reader for block in page.blocks for line in block.lines} == {"big"}
