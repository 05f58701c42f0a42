"""Displayed formulas for drawn pages: set by TeX once, put wherever a page wants one.

They are kept as PDFs with a formula a page (``python -m ocrtool.synth.formulas ... --pdf``), so
that they are as sharp as the type around them at whatever scale a page is drawn, and bend with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pymupdf

from ocrtool.console import atomic_write
from ocrtool.errors import InputError
from ocrtool.rendering.tex import MARGIN, formula_pages
from ocrtool.synth.formula_shards import choose_style, in_processes
from ocrtool.synth.formula_texts import Formula

Random = np.random.Generator

_mu: Any = pymupdf  # whose functions have no types
A_FILE = 300
"""Formulas of one file: one font."""
TRIES = 12
"""Formulas that are looked at before none is narrow enough."""


class DisplayFormula(NamedTuple):
    """A formula that TeX set.

    Attributes:
        drawing: MuPDF's display list of its page, which has `MARGIN` points of white round it.
        width: Points from its left edge to its right one.
        height: Points from its top to its foot.
    """

    drawing: Any
    width: float
    height: float


class Displays:
    """Formulas out of PDFs, a page each.

    Args:
        paths: The files, opened when the first formula is asked for.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)

    @cached_property
    def _files(self) -> list[Any]:
        try:
            files = [_mu.open(path) for path in self.paths]
        except (RuntimeError, OSError) as error:
            raise InputError(f"formulas of drawn pages: {error}") from None
        return [file for file in files if len(file)]

    def choose(self, rng: Random, width: float) -> DisplayFormula | None:
        """Return a formula of no more than ``width`` points; None where there seems to be none.

        Raises:
            InputError: A file cannot be read.
        """
        for _ in range(TRIES if self._files else 0):
            file = self._files[int(rng.integers(len(self._files)))]
            page = file[int(rng.integers(len(file)))]
            wide, high = page.rect.width - 2 * MARGIN, page.rect.height - 2 * MARGIN
            if 0 < wide <= width:
                return DisplayFormula(page.get_displaylist().this, wide, high)
        return None


def write_displays(
    formulas: Sequence[Formula], folder: Path, seed: int = 0, jobs: int = 1
) -> list[Path]:
    """Set formulas into PDFs `0000.pdf`, `0001.pdf`, ... of a folder, each in a font of its own.

    Returns:
        The files' paths.

    Raises:
        MissingDependencyError: There is no TeX.
        OutputError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        ([formula.latex for formula in formulas[start : start + A_FILE]], folder, number, seed)
        for number, start in enumerate(range(0, len(formulas), A_FILE))
    ]
    return [path for paths in in_processes(_write, tasks, jobs) for path in paths]


def _write(task: tuple[Sequence[str], Path, int, int]) -> list[Path]:
    formulas, folder, number, seed = task
    path = folder / f"{number:04}.pdf"
    content = formula_pages(formulas, choose_style(np.random.default_rng((seed, number))))
    if not content:
        return []
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return [path]
