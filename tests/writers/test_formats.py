"""The table of page formats: a new entry is enough to write pages in a new format."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ocrtool.batch.plan import make_plan
from ocrtool.document.tree import Block, Box, Page
from ocrtool.errors import UsageError
from ocrtool.pipelines import PageOutputs
from ocrtool.writers import (
    PAGE_FORMATS,
    PageFormat,
    PageInput,
    WriteOptions,
    format_of,
    formats,
    page_format,
    register_format,
)


class WordCountWriter:
    """A line per page: its number and how many words it has."""

    def __init__(self, write: Callable[[str], object], options: WriteOptions) -> None:
        self._write = write

    def add(self, sheet: PageInput) -> None:
        self._write(f"{sheet.page.number}: {len(sheet.page.text.split())}\n")

    def finish(self) -> None:
        self._write("end\n")


OPENER = f"{__name__}:WordCountWriter"


@pytest.fixture
def word_count() -> Iterator[PageFormat]:
    yield register_format(
        PageFormat("count", "Words per page.", OPENER, (".wc",), separator="--\n")
    )
    del PAGE_FORMATS["count"]


def test_a_registered_format_writes_a_page(word_count: PageFormat, tmp_path: Path) -> None:
    target = tmp_path / "page.wc"
    page = Page(3, 100, 100, (Block("paragraph", Box(0, 0, 9, 9), text="two words"),))
    outputs = PageOutputs(str(target), (), False, WriteOptions(), 2)
    with outputs.opened():
        ((form, writer),) = outputs.writers
        assert form is word_count
        writer.add(PageInput("x.png", page))
    assert target.read_text("utf-8") == "3: 2\nend\n"


def test_a_registered_format_can_be_streamed(word_count: PageFormat, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.pdf").write_bytes(b"%PDF-1.4")
    plan = make_plan([str(tmp_path)], False, "-", [word_count], None)
    assert len(plan.documents) == 2 and plan.streamed
    with pytest.raises(UsageError, match="one html holds one document"):
        make_plan([str(tmp_path)], False, "-", [formats.HTML], None)


def test_names_and_suffixes_belong_to_one_format(word_count: PageFormat) -> None:
    assert page_format("count") is format_of("a.wc") is format_of("a.count") is word_count
    with pytest.raises(ValueError, match=r"\.wc belongs to another format"):
        register_format(PageFormat("wc", "Also words.", OPENER))
    with pytest.raises(UsageError, match="no output format 'odt'"):
        page_format("odt")


def test_a_format_is_pickled_by_its_name() -> None:
    for form in PAGE_FORMATS.values():
        assert pickle.loads(pickle.dumps(form)) is form
