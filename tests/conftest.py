"""Models, open readers and images that several test files share."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from ocrtool.pages.reader import PageReader
    from ocrtool.readers.lines import LineReader

# A shell ignores Ctrl-C on behalf of what it starts in the background; here it is sent on purpose.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small line reader, as training leaves it."""
    from small_models import save, small_engine

    return save(small_engine(6, patch=8), tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def exported(checkpoint: Path) -> Path:
    """The same model as ONNX graphs."""
    from ocrtool.export import export_model

    return export_model(checkpoint, checkpoint.with_name("exported")).folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small published model of each architecture, by a short name."""
    from published_models import MAKERS

    root = tmp_path_factory.mktemp("published")
    return {name: make(root / name) for name, make in MAKERS.items()}


@pytest.fixture(scope="session")
def line_reader() -> LineReader:
    """The bundled line reader with default options, on the CPU."""
    from ocrtool.options import ReadOptions
    from ocrtool.readers.lines import LineReader

    return LineReader(ReadOptions(device="cpu"))


@pytest.fixture(scope="session")
def page_reader() -> PageReader:
    """The bundled page reader with default options, on the CPU."""
    from ocrtool.options import ReadOptions
    from ocrtool.pages.reader import PageReader

    return PageReader(ReadOptions(device="cpu"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder with the images 1.png and 2.png, a text file, and sub/3.png."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    grey = Image.fromarray(np.tile(np.arange(96, dtype=np.uint8), (40, 1)))
    for name in ("2.png", "1.png", "sub/3.png"):
        grey.save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder
