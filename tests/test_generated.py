from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from generate import ROOT, generated
from ocrtool.commands.completion_script import Shell, script


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_file_is_what_the_program_makes(path: Path) -> None:
    fresh = path.read_text("utf-8") == generated()[path]
    assert fresh, f"{path.relative_to(ROOT)} is stale; run: python tests/generate.py"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_and_options() -> None:
    program = Path(sys.executable).parent / "ocrtool"
    if not program.exists():
        pytest.skip("needs the installed command")
    lines = [
        script(Shell.BASH),
        "COMP_WORDS=(ocrtool read --rec); COMP_CWORD=2",
        f"_ocrtool_completion '{program}'",
        'echo "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["--recursive"]


def complete(words: str, position: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "ocrtool"],
        env=os.environ
        | {"_OCRTOOL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_the_program_answers_a_shell() -> None:
    commands = [
        "read",
        "pdf",
        "latex",
        "eval",
        "train",
        "export",
        "doctor",
        "completions",
        "models",
    ]
    assert complete("ocrtool ", 1) == commands
    assert complete("ocrtool models s", 2) == ["show"]
    assert complete("ocrtool read --engine o", 3) == ["onnx"]
