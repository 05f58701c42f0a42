"""``ocrtool completions``."""

from __future__ import annotations

from typing import Annotated

import typer

from ocrtool import console
from ocrtool.commands.completion_script import Shell


def completions(shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish")]) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      ocrtool completions bash > ~/.local/share/bash-completion/completions/ocrtool
      ocrtool completions zsh > ~/.zfunc/_ocrtool
      ocrtool completions fish > ~/.config/fish/completions/ocrtool.fish
    """
    from ocrtool.commands.completion_script import script

    console.data().write(script(shell))
