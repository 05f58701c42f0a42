r"""Delimiters with automatic size: ``\left`` and ``\right`` around tall expressions.

The normal form has no delimiter sizes, because they follow from the content. Written without
them, the brackets around a fraction would stay small.
"""

from __future__ import annotations

from collections.abc import Sequence

from ocrtool.latex_syntax.symbols import LARGE
from ocrtool.latex_syntax.tokens import names

_OPENING = frozenset({"(", "[", r"\{", *names(r"\langle \lfloor \lceil")})
_CLOSING = frozenset({")", "]", r"\}", *names(r"\rangle \rfloor \rceil")})
_TALL = LARGE | names(r"\frac \binom \atop \substack \overset \underset \overbrace \underbrace")


def with_automatic_delimiters(tokens: Sequence[str], everywhere: bool = False) -> list[str]:
    r"""Insert ``\left`` and ``\right`` at brackets around expressions taller than a line.

    Brackets are matched within a group, a cell or an argument. The delimiter ``|`` is left alone,
    since it both opens and closes.

    Args:
        tokens: A normal form, from ``ocrtool.latex_syntax.normal``.
        everywhere: Whether to insert them at all other matched brackets, too.

    Returns:
        LaTeX tokens with the same normal form; with ``everywhere`` they render identically where
        the content is not tall.
    """
    levels = [_Level()]
    inserted: dict[int, str] = {}
    before = ""
    for i, token in enumerate(tokens):
        level = levels[-1]
        if before in (r"\left", r"\right"):
            pass  # has an automatic size already
        elif token == "{":
            levels.append(_Level(script=before in ("_", "^")))
        elif token == "[" and before == r"\sqrt":
            levels.append(_Level(option=True))
        elif token == r"\left" or token.startswith(r"\begin"):
            levels.append(_Level(grid=token != r"\left"))
        elif token in ("}", r"\right") or token.startswith(r"\end") or level.closes(token):
            if len(levels) > 1:
                inner = levels.pop()
                if (inner.tall or inner.grid) and not inner.script:
                    levels[-1].tall = True
        elif token in ("&", r"\\"):
            level.open.clear()
        elif token in _TALL:
            level.tall = True
        elif token in _OPENING:
            level.open.append((i, level.tall))
            level.tall = False
        elif token in _CLOSING and level.open:
            start, tall = level.open.pop()
            if everywhere or (level.tall and not _is_single_matrix(tokens[start + 1 : i])):
                inserted[start], inserted[i] = r"\left", r"\right"
            level.tall |= tall
        before = token
    written: list[str] = []
    for i, token in enumerate(tokens):
        written += [inserted[i], token] if i in inserted else [token]
    return written


class _Level:
    """State of one group, cell or argument.

    Attributes:
        open: Indices of unmatched opening brackets, and whether the content before each is tall.
        tall: Whether the content since the last unmatched opening bracket is tall.
    """

    def __init__(self, script: bool = False, option: bool = False, grid: bool = False) -> None:
        self.script, self.option, self.grid = script, option, grid
        self.open: list[tuple[int, bool]] = []
        self.tall = False

    def closes(self, token: str) -> bool:
        """Tell whether a token ends the optional argument of a root."""
        return self.option and token == "]" and not self.open


def _is_single_matrix(tokens: Sequence[str]) -> bool:
    """Tell whether the content is only a matrix: with tall brackets it would be a ``pmatrix``."""
    first, last = tokens[0], tokens[-1]
    return first.startswith(r"\begin") and last.startswith(r"\end")
