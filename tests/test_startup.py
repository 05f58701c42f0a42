from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

HEAVY = {"cv2", "huggingface_hub", "matplotlib", "numpy", "onnxruntime", "PIL", "pymupdf", "torch"}

MAX_OWN_MODULES = 60
"""Maximum number of modules of the package that reading a page of plain text imports."""

LIST_MODULES = """
import sys
from ocrtool.cli import main
code = main(sys.argv[1:])
sys.stderr.write(" ".join(sys.modules))
sys.exit(code)
"""


def modules_after(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["read", "--help"],
        ["pdf", "--help"],
        ["train", "--help"],
        ["models", "--help"],
        ["models", "list"],
        ["doctor", "--help"],
        ["completions", "zsh"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    assert not modules_after(*arguments) & HEAVY


def test_rich_is_not_imported_for_help() -> None:
    assert "rich" not in modules_after("--help")


def test_reading_a_photo_imports_few_modules(tmp_path: Path) -> None:
    page = Image.new("L", (900, 300), 235)
    font = ImageFont.load_default(28)
    for i, text in enumerate(("Plain text in a few lines", "that are read with ease,", "the end.")):
        ImageDraw.Draw(page).text((60, 60 + 50 * i), text, 20, font)
    page.save(tmp_path / "photo.png")
    loaded = modules_after("read", str(tmp_path / "photo.png"))
    own = sorted(name for name in loaded if name.partition(".")[0] == "ocrtool")
    assert len(own) <= MAX_OWN_MODULES, own


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, ocrtool; ocrtool.__version__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & (HEAVY | {"rich", "typer"})


def test_unknown_attribute_of_the_package() -> None:
    import ocrtool

    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        _ = ocrtool.reed
    assert "read" in dir(ocrtool)
