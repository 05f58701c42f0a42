"""The checked-in files made from the program: completion scripts and pages of docs/.

``python tests/generate.py`` writes them; ``test_generated.py`` fails when they are stale.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from ocrtool.cli import make_app
from ocrtool.commands.completion_script import Shell, script
from ocrtool.training.options import RunOptions, TrainOptions
from ocrtool.training.stage_options import StageOptions

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
OPTIONS_HEAD = """# Training options

All options of [`ocrtool train`](train.md). Each can be given as `--set KEY=VALUE` or as a key of a
JSON file (`--config FILE`). Flags of [the command](cli.md#ocrtool-train) set the frequent ones and
take precedence over `--set`, and `--set` over the file. Values other than texts are JSON, such as
`--set 'curriculum=[[0, 24], [0.25, 60]]'`. Relative paths in a file are relative to the file.
"""
OPTION_GROUPS = (
    ("All networks", RunOptions),
    ("Lines, words and formulas", TrainOptions),
    ("Stages of DeepOCR (`--stage`)", StageOptions),
)


def generated() -> dict[Path, str]:
    """Return the content that each file should have."""
    files = {ROOT / path: script(shell) for shell, path in COMPLETIONS.items()}
    files[ROOT / "docs" / "cli.md"] = HEAD + "".join(sections())
    files[ROOT / "docs" / "train-options.md"] = OPTIONS_HEAD + "".join(option_tables())
    return files


def option_tables() -> Iterator[str]:
    """Return a section of docs/train-options.md for each class of options."""
    for title, kind in OPTION_GROUPS:
        about = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        described = dict(re.findall(r"^    (\w+): (.*(?:\n        .*)*)", about, re.MULTILINE))
        defaults = {f.name: default_of(f) for f in dataclasses.fields(kind)}
        yield f"\n## {title}\n\n| Key | Default | Meaning |\n|---|---|---|\n"
        for name, text in described.items():
            meaning = re.sub(r"\s+", " ", text).replace("``", "`").replace("None", "`null`")
            yield f"| `{name}` | {defaults[name]} | {meaning} |\n"
        others = [
            name
            for name in kind.__annotations__
            if name not in described and getattr(kind, name) != getattr(RunOptions, name)
        ]
        if others:
            listed = ", ".join(f"`{name}` {defaults[name]}" for name in others)
            yield f"\nDefaults that differ from those of all networks: {listed}.\n"


def default_of(field: dataclasses.Field[Any]) -> str:
    """Return the default of an option as a JSON value."""
    value = field.default
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"


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
