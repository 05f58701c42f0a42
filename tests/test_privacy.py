"""Nothing is sent anywhere, and no file is written outside the folders that the command names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINE = ROOT / "docs" / "images" / "sample-line.png"
PAGE = ROOT / "docs" / "images" / "sample-page.jpg"
FORMULA = ROOT / "docs" / "images" / "sample-paper.png"
COMMANDS = {
    "read": ["read", str(LINE)],
    "read offline": ["read", "--offline", str(PAGE), "-f", "json"],
    "pdf": ["pdf", "page.pdf", "-f", "md", "-o", "out/"],
    "latex": ["latex", str(FORMULA), "--kind", "page"],
    "doctor": ["doctor"],
}


def _environment(folder: Path) -> dict[str, str]:
    places = {
        "HOME": "home",
        "TMPDIR": "tmp",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
    }
    for name in places.values():
        (folder / name).mkdir()
    kept = {k: v for k, v in os.environ.items() if "TELEMETRY" not in k}
    return kept | {key: str(folder / name) for key, name in places.items()}


def _page_pdf(folder: Path) -> None:
    import pymupdf

    with pymupdf.open() as file:
        page = file.new_page()
        page.insert_image(page.rect, filename=str(LINE))
        file.save(folder / "page.pdf")


@pytest.mark.skipif(sys.platform != "linux", reason="folders are named by variables of Linux")
@pytest.mark.parametrize("name", COMMANDS)
def test_no_file_outside_and_no_connection(name: str, tmp_path: Path) -> None:
    """A command leaves no file but its output and its own cache, and opens no network socket."""
    _page_pdf(tmp_path)
    environment = _environment(tmp_path)
    command = [sys.executable, "-m", "ocrtool", *COMMANDS[name]]
    trace = tmp_path / "trace"
    strace = shutil.which("strace")
    if strace:
        command = [strace, "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(trace), *command]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode in (0, 1), done.stderr
    files = {
        path.relative_to(tmp_path).as_posix()
        for top in ("home", "tmp", "cache", "config")
        for path in (tmp_path / top).rglob("*")
        if path.is_file()
    }
    assert {path for path in files if not path.startswith("cache/ocrtool/")} == set()
    if strace:
        calls = trace.read_text(errors="replace")
        assert not re.search(r"sa_family=AF_INET6?\b(?!.*(127\.0\.0\.1|::1))", calls)
