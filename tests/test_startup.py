from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"cv2", "huggingface_hub", "matplotlib", "numpy", "onnxruntime", "PIL", "pymupdf", "torch"}

LIST_MODULES = """
import sys
from ocrtool.cli import main
code = main(sys.argv[1:])
sys.stderr.write(" ".join(name for name in sys.modules if "." not in name))
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


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, ocrtool; ocrtool.__version__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & (HEAVY | {"rich", "typer"})


def test_unknown_attribute_of_the_package() -> None:
    import ocrtool

    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        _ = ocrtool.reed
    assert "read" in dir(ocrtool)
