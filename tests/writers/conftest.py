"""One drawn page for all tests of writers."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ocrtool.document.tree import Page
from ocrtool.inputs.page_source import ImagePage
from ocrtool.writers import PageInput
from writers.drawing import draw_page


@pytest.fixture(scope="session")
def drawn() -> tuple[Page, np.ndarray]:
    return draw_page()


@pytest.fixture(scope="session")
def page(drawn: tuple[Page, np.ndarray]) -> Page:
    return drawn[0]


@pytest.fixture(scope="session")
def jpeg(drawn: tuple[Page, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(drawn[1]).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def sheet(drawn: tuple[Page, np.ndarray], jpeg: bytes) -> PageInput:
    return PageInput("a & b.jpg", drawn[0], ImagePage(drawn[1], jpeg), {"title": "Tëst"})


@pytest.fixture(scope="session")
def two_pages(sheet: PageInput) -> tuple[PageInput, PageInput]:
    return sheet, replace(sheet, page=replace(sheet.page, number=2))
