"""Displayed formulas for synthetic pages, typeset once by TeX and placed on pages as needed.

They are stored as PDFs with one formula per page (``python -m ocrtool.synth.formulas ... --pdf``),
so that they are as sharp as the surrounding text at any scale, and are warped with it.
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

_mu: Any = pymupdf  # its functions are untyped
FORMULAS_PER_FILE = 300
"""Number of formulas of a file, all in one font."""
MAX_TRIES = 12
"""Maximum number of formulas tried until one is narrow enough."""


class DisplayFormula(NamedTuple):
    """A formula typeset by TeX.

    Attributes:
        drawing: MuPDF display list of its page, with ``MARGIN`` points of white around the formula.
        width: Width in points.
        height: Height in points.
    """

    drawing: Any
    width: float
    height: float


class DisplayFormulaSource:
    """Display formulas from PDFs with one formula per page.

    Args:
        paths: The files, opened at the first request.
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
        """Return a random formula of at most ``width`` points; None where none seems to exist.

        Raises:
            InputError: A file cannot be read.
        """
        for _ in range(MAX_TRIES if self._files else 0):
            file = self._files[int(rng.integers(len(self._files)))]
            page = file[int(rng.integers(len(file)))]
            wide, high = page.rect.width - 2 * MARGIN, page.rect.height - 2 * MARGIN
            if 0 < wide <= width:
                return DisplayFormula(page.get_displaylist().this, wide, high)
        return None


def write_displays(
    formulas: Sequence[Formula], folder: Path, seed: int = 0, jobs: int = 1
) -> list[Path]:
    """Typeset formulas into PDFs ``0000.pdf``, ``0001.pdf``, ... of a folder, one font per file.

    Returns:
        Paths of the files.

    Raises:
        MissingDependencyError: TeX is not installed.
        OutputError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        (
            [formula.latex for formula in formulas[start : start + FORMULAS_PER_FILE]],
            folder,
            number,
            seed,
        )
        for number, start in enumerate(range(0, len(formulas), FORMULAS_PER_FILE))
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
