"""Files made to break readers: what can be had is written, and the rest is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = Path(__file__).with_name("hostile")


def test_formats_fail_one_by_one(run_cli, tmp_path: Path) -> None:
    source = HOSTILE / "searchable_pdf_fails.pdf"  # MuPDF cannot save one of its objects
    done = run_cli("pdf", str(source), "-f", "md", "-f", "pdf", "-o", f"{tmp_path}/out/")
    assert done.code == 5 and "pdf was not written" in done.err
    assert (tmp_path / "out/searchable_pdf_fails.md").read_text("utf-8").strip()
    assert not (tmp_path / "out/searchable_pdf_fails.pdf").exists()
    # Among several documents it is a failure, too, and the others are complete.
    sound = shutil.copy(HOSTILE / "tounicode_surrogate.pdf", tmp_path / "sound.pdf")
    command = ("pdf", str(source), str(sound), "-f", "md", "-f", "pdf", "-o", f"{tmp_path}/two/")
    done = run_cli(*command)
    assert done.code == 1 and "pdf was not written" in done.err
    written = sorted(path.name for path in (tmp_path / "two").glob("*.*") if path.is_file())
    assert written == ["searchable_pdf_fails.md", "sound.md", "sound.pdf"]


def test_half_of_a_surrogate_pair_loses_no_page(run_cli, tmp_path: Path) -> None:
    done = run_cli("pdf", str(HOSTILE / "tounicode_surrogate.pdf"), "-o", "-")
    assert done.code == 0 and "Normal text before the odd ones" in done.out
    assert "\x1b" not in done.out and "\x07" not in done.out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory")
@pytest.mark.parametrize("command", ["read", "pdf"])
def test_a_page_that_needs_too_much_memory_is_given_up(command: str, tmp_path: Path) -> None:
    source = HOSTILE / "form_2pow40.pdf"  # a form that draws itself 2^40 times
    arguments = [command, str(source), "-o", str(tmp_path / "out.txt"), "--max-memory", "0.6"]
    # In a process of its own: the limit cannot be lifted again.
    done = subprocess.run(
        [sys.executable, "-m", "ocrtool", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode in (1, 4) and "page 1 cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
