"""Imports only run down the layers of the package (contract in ``pyproject.toml``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_ROOMS = 32
"""Packages directly below the top one."""
MAX_LOOSE_MODULES = 8
"""Modules at the top level of the package."""


def test_imports_run_down_the_layers() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rooms_and_loose_modules_stay_few() -> None:
    top = ROOT / "src" / "ocrtool"
    assert len([path for path in top.iterdir() if (path / "__init__.py").exists()]) <= MAX_ROOMS
    assert len(list(top.glob("*.py"))) <= MAX_LOOSE_MODULES
