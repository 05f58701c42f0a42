"""Inputs are never replaced, and a bad name never ends a batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    image = Image.new("L", (420, 80), 245)
    ImageDraw.Draw(image).text((20, 20), "Ropes and chains", 10, ImageFont.load_default(32))
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(
    "arguments",
    [
        ("read", "photo.png", "-o", "photo.png", "--overwrite"),
        ("read", "photo.png", "-o", "x.txt", "--overlay", "photo.png", "--overwrite"),
        ("read", "photo.png", "-o", "./sub/../photo.png", "--overwrite", "--layout", "line"),
        ("read", "photo.png", "-o", "link.png", "--overwrite"),
        ("latex", "photo.png", "-o", "photo.png", "--overwrite"),
        ("pdf", "photo.png", "-o", "photo.png", "-f", "txt", "--overwrite"),
    ],
    ids=" ".join,
)
def test_an_input_is_never_replaced(
    run_cli, photo: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(photo.parent)
    (photo.parent / "sub").mkdir()
    (photo.parent / "link.png").symlink_to(photo)
    before = photo.read_bytes()
    done = run_cli(*arguments)
    assert done.code == 2 and "is an input and would be replaced" in done.err
    assert photo.read_bytes() == before and not (photo.parent / "x.txt").exists()


def test_bad_names_do_not_end_a_batch(run_cli, photo: Path) -> None:
    loop = photo.parent / "loop.png"
    loop.symlink_to(loop)
    done = run_cli("read", "n" * 300, str(loop), "", str(photo))
    assert done.code == 1 and done.out.strip() == "Ropes and chains"
    assert "an empty name is no input" in done.err and "3 failed" in done.err
    assert "Traceback" not in done.err and max(map(len, done.err.splitlines())) < 400


def test_an_empty_name_is_an_error(run_cli) -> None:
    done = run_cli("read", "")
    assert done.code == 4 and "an empty name" in done.err and not done.out


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout")
def test_standard_output_may_be_named(photo: Path) -> None:
    command = [sys.executable, "-m", "ocrtool", "read", str(photo), "-o", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "Ropes and chains\n", done.stderr
    with (photo.parent / "out.txt").open("w") as file:
        subprocess.run(command, stdout=file, check=True)
    assert (photo.parent / "out.txt").read_text() == "Ropes and chains\n"


@pytest.mark.parametrize("command", ["read", "pdf"])
def test_an_unknown_suffix_is_refused(run_cli, photo: Path, command: str) -> None:
    done = run_cli(command, str(photo), "-o", str(photo.with_name("text.docx")))
    assert done.code == 2 and "no format has the suffix .docx" in done.err
    assert not photo.with_name("text.docx").exists()
    done = run_cli(command, str(photo), "-o", str(photo.with_name("v1.2")), "-f", "txt")
    assert done.code == 0 and photo.with_name("v1.2").read_text().strip() == "Ropes and chains"
