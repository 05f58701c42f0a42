r"""Brackets that grow: the normal form says only that they are there, people want `\left( \right)`.

The normal form has no sizes, since they follow from what stands between the brackets. Written out
without them, the brackets round a fraction would stay small.
"""

from __future__ import annotations

from collections.abc import Sequence

from ocrtool.latex.symbols import LARGE
from ocrtool.latex.tokens import names

_OPENING = frozenset({"(", "[", r"\{", *names(r"\langle \lfloor \lceil")})
_CLOSING = frozenset({")", "]", r"\}", *names(r"\rangle \rfloor \rceil")})
_TALL = LARGE | names(r"\frac \binom \atop \substack \overset \underset \overbrace \underbrace")


def stretched(tokens: Sequence[str], everywhere: bool = False) -> list[str]:
    r"""Put `\left` and `\right` before brackets round what is taller than a line.

    Brackets are matched within a group, a cell or an argument. The sign `|` opens as well as
    closes and is left alone.

    Args:
        tokens: A normal form, as of `ocrtool.latex.normal`.
        everywhere: Whether brackets round all else get them, too.

    Returns:
        LaTeX tokens whose normal form are the given ones; if everywhere, tokens that look the same.
    """
    levels = [_Level()]
    grown: dict[int, str] = {}
    before = ""
    for i, token in enumerate(tokens):
        level = levels[-1]
        if before in (r"\left", r"\right"):
            pass  # grows already
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
            if everywhere or (level.tall and not _lone_grid(tokens[start + 1 : i])):
                grown[start], grown[i] = r"\left", r"\right"
            level.tall |= tall
        before = token
    written: list[str] = []
    for i, token in enumerate(tokens):
        written += [grown[i], token] if i in grown else [token]
    return written


class _Level:
    """What has been seen of a group, so far.

    Attributes:
        open: Where brackets opened that have not closed yet, and whether what was before is tall.
        tall: Whether anything since the last bracket that opened is.
    """

    def __init__(self, script: bool = False, option: bool = False, grid: bool = False) -> None:
        self.script, self.option, self.grid = script, option, grid
        self.open: list[tuple[int, bool]] = []
        self.tall = False

    def closes(self, token: str) -> bool:
        """Tell whether a token ends the option of a root."""
        return self.option and token == "]" and not self.open


def _lone_grid(tokens: Sequence[str]) -> bool:
    r"""Tell whether there is only a matrix: small brackets are meant, else it were a `pmatrix`."""
    first, last = tokens[0], tokens[-1]
    return first.startswith(r"\begin") and last.startswith(r"\end")
