"""Files of typeset formulas: rendered once by TeX, read many times in training.

A shard is an uncompressed ``.npz`` of about a thousand clean images with their labels:

    pictures   uint8: concatenated PNG files
    ends       int64 (n,): end of each image in ``pictures``
    labels     uint8: UTF-8 text, one label per line
    tokens     int32 (n,): number of tokens of each label
    em         float32 (n,): type size in pixels
    places     float32 (m, 3): token positions, see ``formula_alignment``
    place_ends int64 (n,): end of each image's rows in ``places``
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
from ocrtool.synth.formula_alignment import token_positions
from ocrtool.synth.formula_texts import Formula

Random = np.random.Generator
Task = TypeVar("Task")

FORMULAS_PER_RUN = 500
"""Number of formulas of a run of TeX, in one font and size."""
RUNS_PER_TASK = 4
"""Number of runs whose formulas are mixed."""
SHARDS_PER_TASK = 2
"""Number of shards written from these runs."""
MAX_LOADED_SHARDS = 24
"""Maximum number of shards that a reader keeps in memory."""
_GREYS = 17  # quantisation step of grey levels: 16 levels


@dataclass(frozen=True)
class DrawnFormula:
    """A clean image (H, W) uint8, its label, its type size in pixels, and token positions.

    ``places`` is (n, 3): the index of a token, and x and y in pixels.
    """

    image: NDArray[np.uint8]
    label: str
    em: float
    places: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))


def write_shard(path: Path, drawn: Sequence[DrawnFormula]) -> None:
    """Write a shard atomically.

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
    """Formulas in shard files, loaded on demand, with a bounded number of shards in memory.

    Args:
        paths: Shards written by ``write_shard``.

    Raises:
        InputError: A shard cannot be read.
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
            while len(self._open) > MAX_LOADED_SHARDS:
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
    """Render formulas into shards ``0000.npz``, ``0001.npz``, ... of a folder.

    Existing shards are kept, so an interrupted run can be continued with the same arguments.

    Args:
        formulas: Approximately in the order of the shards; neighbours are mixed.
        folder: Output folder, created if needed.
        seed: Seed of fonts and sizes.
        jobs: Number of processes.
        quiet: Print nothing on standard error.

    Returns:
        Paths of the shards.

    Raises:
        MissingDependencyError: TeX is not installed.
        OutputError: A shard cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = FORMULAS_PER_RUN * RUNS_PER_TASK
    tasks = [
        (formulas[start : start + size], folder, start // size, seed)
        for start in range(0, len(formulas), size)
    ]
    paths: list[Path] = []

    def told(done: list[Path]) -> None:
        paths.extend(done)
        if not quiet:
            print(f"{len(paths)} shards of {SHARDS_PER_TASK * len(tasks)}", file=sys.stderr)

    for done in in_processes(_draw_task, tasks, jobs):
        told(done)
    return paths


def in_processes(
    do: Callable[[Task], list[Path]], tasks: Sequence[Task], jobs: int
) -> Iterator[list[Path]]:
    """Yield the result of each task, in order, computed by ``jobs`` processes."""
    if jobs == 1:
        yield from map(do, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(do, tasks)


def _draw_task(task: tuple[Sequence[Formula], Path, int, int]) -> list[Path]:
    """Render a few runs of TeX in different styles and write them, mixed, as shards."""
    formulas, folder, number, seed = task
    paths = [folder / f"{number * SHARDS_PER_TASK + i:04}.npz" for i in range(SHARDS_PER_TASK)]
    if all(path.exists() for path in paths):
        return paths
    rng = np.random.default_rng((seed, number))
    order = rng.permutation(len(formulas))
    drawn: list[DrawnFormula] = []
    for start in range(0, len(order), FORMULAS_PER_RUN):
        members = [formulas[i] for i in order[start : start + FORMULAS_PER_RUN]]
        style = choose_style(rng)
        small = [not _needs_display(f.latex) and rng.random() < 0.35 for f in members]
        typeset = draw_formulas([f.latex for f in members], style, small)
        drawn += [
            DrawnFormula(
                one.image, formula.label, style.em, token_positions(formula.label, one.glyphs)
            )
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
        MissingDependencyError: TeX is not installed.
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
    """Tell whether the normal form implies display style: limits or several rows."""
    return r"\begin" in latex or r"\mathop" in latex or r"\limits" in latex
