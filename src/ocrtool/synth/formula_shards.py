"""Files of drawn formulas: made once by TeX, read many times by training.

A shard is an uncompressed `.npz` of about a thousand clean pictures with their labels:

    pictures   uint8: PNG files, one after the other
    ends       int64 (n,): where each picture ends
    labels     uint8: UTF-8 text, one label a line
    tokens     int32 (n,): tokens of each label
    em         float32 (n,): type size in pixels
    places     float32 (m, 3): where tokens stand, see `formula_places`
    place_ends int64 (n,): where the places of each picture end
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.console import atomic_write
from ocrtool.errors import InputError
from ocrtool.rendering.tex import FONTS, TexStyle, draw_formulas, has_font
from ocrtool.synth.formula_alignment import places_of
from ocrtool.synth.formula_texts import Formula

Random = np.random.Generator
Task = TypeVar("Task")

RUN = 500
"""Formulas of one run of TeX: one font, one size."""
RUNS = 4
"""Runs that are mixed with each other."""
SHARDS = 2
"""Shards that they become."""
HELD_OPEN = 24
"""Shards that one reader keeps in memory."""
_GREYS = 17  # of 255: sixteen steps


@dataclass(frozen=True)
class DrawnFormula:
    """A clean picture (H, W) uint8, its label, its type size in pixels, and where tokens stand.

    `places` is (n, 3), the number of a token, and x and y in pixels.
    """

    image: NDArray[np.uint8]
    label: str
    em: float
    places: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))


def write_shard(path: Path, drawn: Sequence[DrawnFormula]) -> None:
    """Write one shard; it takes its name when it is whole.

    Raises:
        OutputError: It cannot be written.
    """
    pictures = []
    for item in drawn:
        steps = (item.image.astype(np.uint16) + _GREYS // 2) // _GREYS * _GREYS
        code = cv2.imencode(".png", steps.astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 5])[1]
        pictures.append(code.reshape(-1))
    with atomic_write(path) as temporary:
        np.savez(
            temporary,
            pictures=np.concatenate(pictures) if pictures else np.zeros(0, np.uint8),
            ends=np.cumsum([len(p) for p in pictures], dtype=np.int64),
            labels=np.frombuffer("\n".join(d.label for d in drawn).encode(), np.uint8),
            tokens=np.array([d.label.count(" ") + 1 for d in drawn], np.int32),
            em=np.array([d.em for d in drawn], np.float32),
            places=np.concatenate([np.zeros((0, 3), np.float32), *(d.places for d in drawn)]),
            place_ends=np.cumsum([len(d.places) for d in drawn], dtype=np.int64),
        )


class Shards:
    """DrawnFormula formulas in files, read when they are asked for; few are in memory at a time.

    Args:
        paths: Shards, as `write_shard` makes them.

    Raises:
        InputError: One cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.tokens: list[NDArray[np.int32]] = [_load(path, "tokens") for path in self.paths]
        self._open: OrderedDict[int, _Shard] = OrderedDict()

    def get(self, shard: int, item: int) -> DrawnFormula:
        """Return one formula.

        Raises:
            InputError: The shard cannot be read.
        """
        held = self._open.get(shard)
        if held is None:
            held = self._open[shard] = _Shard(self.paths[shard])
            while len(self._open) > HELD_OPEN:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(shard)
        return held.get(item)


class _Shard:
    """One shard in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pictures = _load(path, "pictures")
        self.starts = np.concatenate([[0], _load(path, "ends")])
        self.labels = _load(path, "labels").tobytes().decode().split("\n")
        self.em = _load(path, "em")
        self.places = _load(path, "places")
        self.first_places = np.concatenate([[0], _load(path, "place_ends")])

    def get(self, item: int) -> DrawnFormula:
        part = self.pictures[self.starts[item] : self.starts[item + 1]]
        image = cv2.imdecode(part, cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise InputError(f"{self.path}: picture {item} is damaged")
        places = self.places[self.first_places[item] : self.first_places[item + 1]]
        return DrawnFormula(
            np.asarray(image, np.uint8), self.labels[item], float(self.em[item]), places
        )


def _load(path: Path, name: str) -> Any:
    try:
        with np.load(path) as file:
            return np.asarray(file[name])
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: no shard of formulas ({error})") from None


def draw_shards(
    formulas: Sequence[Formula], folder: Path, seed: int = 0, jobs: int = 1, quiet: bool = False
) -> list[Path]:
    """Draw formulas into shards `0000.npz`, `0001.npz`, ... of a folder.

    Shards that are there already are kept, so an interrupted run can be taken up again with the
    same arguments.

    Args:
        formulas: In the order of the shards, roughly: neighbours are mixed.
        folder: Is made if need be.
        seed: Of fonts and sizes.
        jobs: Processes.
        quiet: Say nothing on standard error.

    Returns:
        The shards' paths.

    Raises:
        MissingDependencyError: There is no TeX.
        OutputError: A shard cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = RUN * RUNS
    tasks = [
        (formulas[start : start + size], folder, start // size, seed)
        for start in range(0, len(formulas), size)
    ]
    paths: list[Path] = []

    def told(done: list[Path]) -> None:
        paths.extend(done)
        if not quiet:
            print(f"{len(paths)} shards of {SHARDS * len(tasks)}", file=sys.stderr)

    for done in in_processes(_draw_task, tasks, jobs):
        told(done)
    return paths


def in_processes(
    do: Callable[[Task], list[Path]], tasks: Sequence[Task], jobs: int
) -> Iterator[list[Path]]:
    """Yield what is made of each task, in order, made by as many processes as ``jobs``."""
    if jobs == 1:
        yield from map(do, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(do, tasks)


def _draw_task(task: tuple[Sequence[Formula], Path, int, int]) -> list[Path]:
    """Draw a few runs of TeX in different styles and write them, mixed, as shards."""
    formulas, folder, number, seed = task
    paths = [folder / f"{number * SHARDS + i:04}.npz" for i in range(SHARDS)]
    if all(path.exists() for path in paths):
        return paths
    rng = np.random.default_rng((seed, number))
    order = rng.permutation(len(formulas))
    drawn: list[DrawnFormula] = []
    for start in range(0, len(order), RUN):
        members = [formulas[i] for i in order[start : start + RUN]]
        style = choose_style(rng)
        small = [not _needs_display(f.latex) and rng.random() < 0.35 for f in members]
        typeset = draw_formulas([f.latex for f in members], style, small)
        drawn += [
            DrawnFormula(one.image, formula.label, style.em, places_of(formula.label, one.glyphs))
            for one, formula in zip(typeset, members, strict=True)
            if one is not None
        ]
    mixed = rng.permutation(len(drawn))
    for part, path in zip(np.array_split(mixed, len(paths)), paths, strict=True):
        write_shard(path, [drawn[i] for i in part])
    return paths


def choose_style(rng: Random) -> TexStyle:
    """Choose a font by its weight, a type size and a resolution.

    Raises:
        MissingDependencyError: There is no TeX.
    """
    names = list(FONTS)
    weights = np.array([FONTS[name].weight for name in names])
    points = (10, 10, 10, 11, 12)[int(rng.integers(5))]
    dpi = float(rng.uniform(180, 250))
    while True:
        name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        if has_font(name):
            return TexStyle(name, points, dpi)
        weights[names.index(name)] = 0.0


def _needs_display(latex: str) -> bool:
    """Formulas whose limits are above and below in the normal form, and those of several rows."""
    return r"\begin" in latex or r"\mathop" in latex or r"\limits" in latex
