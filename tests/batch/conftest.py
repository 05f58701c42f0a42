"""PDFs that several tests of conversions share."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch.drawn_pdfs import slow_pdf


@pytest.fixture(scope="session")
def slow_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PDF of three pages whose second takes hours to read."""
    return slow_pdf(tmp_path_factory.mktemp("slow") / "slow.pdf")
