"""The checked-in files that the program itself makes: completion scripts and docs/cli.md.

``python tests/generate.py`` writes them; ``test_generated.py`` fails when they are stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from ocrtool.cli import make_app
from ocrtool.commands.completion_script import Shell, script

ROOT = Path(__file__).parent.parent
COMPLETIONS = {
    Shell.BASH: "completions/ocrtool.bash",
    Shell.ZSH: "completions/_ocrtool",
    Shell.FISH: "completions/ocrtool.fish",
}
HEAD = """# Commands

What `--help` prints for each command. Options with an environment variable take their value from it
when they are not given.
"""


def generated() -> dict[Path, str]:
    """Return the content that each file should have."""
    files = {ROOT / path: script(shell) for shell, path in COMPLETIONS.items()}
    files[ROOT / "docs" / "cli.md"] = HEAD + "".join(sections())
    return files


def sections() -> Iterator[str]:
    """Return a section of docs/cli.md for each command."""
    for path in command_paths((), typer.main.get_command(make_app())):
        title = " ".join(("ocrtool", *path))
        result = CliRunner().invoke(
            make_app(), [*path, "--help"], prog_name="ocrtool", env={"COLUMNS": "96"}
        )
        assert result.exit_code == 0, result.output
        yield f"\n## {title}\n\n```text\n{result.output.strip()}\n```\n"


def command_paths(path: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
    """Walk the tree of commands, a group before its commands."""
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from command_paths((*path, name), child)


if __name__ == "__main__":
    for file, content in generated().items():
        file.write_text(content, "utf-8")
