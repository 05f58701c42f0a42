"""The clipboard, played by a script in the place of ``xclip`` that keeps it in a file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from PIL import Image

from ocrtool.errors import InputError, OutputError
from ocrtool.inputs import clipboard

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems have a clipboard of their own"
)
SAMPLE = Path(__file__).parents[2] / "docs" / "images" / "sample-line.png"
XCLIP = """#!/bin/sh
case "$*" in
  *-o*) if [ -f "{folder}/image" ]; then cat "{folder}/image"; else
          echo "Error: target image/png not available" >&2; exit 1; fi;;
  *) cat > "{folder}/text";;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the clipboard's image and text are."""
    script = tmp_path / "bin" / "xclip"
    script.parent.mkdir()
    script.write_text(XCLIP.format(folder=tmp_path))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("XDG_SESSION_TYPE", "x11")
    return tmp_path


@pytest.mark.parametrize("layout", ["auto", "line"])
def test_the_image_comes_from_the_clipboard_and_the_text_goes_there(
    run_cli, folder: Path, layout: str
) -> None:
    with Image.open(SAMPLE) as image:
        image.save(folder / "image", "PNG")
    done = run_cli("read", "--clipboard", "--copy", "--layout", layout)
    assert (done.code, done.err) == (0, "")
    assert done.out.strip()
    assert (folder / "text").read_text("utf-8").split() == done.out.split()


def test_an_empty_clipboard_is_unreadable_input(run_cli, folder: Path) -> None:
    done = run_cli("read", "--clipboard")
    assert (done.code, done.out) == (4, "")
    assert "no image on the clipboard" in done.err and done.err.count("\n") == 1


def test_without_a_tool_the_error_names_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        clipboard.grab()
    with pytest.raises(OutputError) as caught:
        clipboard.put("text")
    assert "xclip" in str(caught.value)
