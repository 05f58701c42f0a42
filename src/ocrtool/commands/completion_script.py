"""Completion scripts for the shells, as Typer makes them.

A script asks the program itself what can follow, so it does not go stale with the options; it is
still checked in under ``completions/`` and held to what this module prints by a test.
"""

from __future__ import annotations

from enum import StrEnum


class Shell(StrEnum):
    """The shells that have a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def script(shell: Shell) -> str:
    """Return the completion script for ``shell``, ending with a line feed."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    text = get_completion_script(
        prog_name="ocrtool", complete_var="_OCRTOOL_COMPLETE", shell=shell.value
    )
    return text.strip() + "\n"
