"""Samples to batches: CSV rows, drawn lines or formulas, loaded by any number of worker processes.

Samples have positions 0, 1, 2, ... without end. A *pool* is a run of consecutive positions, loaded
by one worker and cut into a fixed number of batches. What a pool holds depends on the seed and its
number alone, so any worker may load any pool and a run resumes at an exact batch.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from ocrtool.errors import InputError
from ocrtool.inputs.images import load_image
from ocrtool.models.config import FORMULA_CELL, FRAME, ModelConfig
from ocrtool.preprocess.formulas import canonical, collate_formulas, formula_pixels, like_sizes
from ocrtool.preprocess.lines import collate_lines, line_pixels, square_pixels
from ocrtool.weights.vocabulary import BOS, EOS, PAD, SPECIALS, Vocabulary

LINE_POOL = 16  # batches a pool of lines: enough to sort by width, little enough to hold
FORMULA_POOL = 1024  # formulas a pool: they differ in height, width and length
TOKEN_COST = 180  # pixels that the encoder reads in the time that the decoder takes for a token
VALIDATED = 256  # formulas that are sorted by size together, so that the first are like all


class Sample(NamedTuple):
    """One labelled image.

    Attributes:
        image: uint8 (H, W) or (H, W, 3).
        text: What it says.
        places: (n, 3), where known: the number of a token, and where it stands, x and y in pixels
            from the top left.
    """

    image: NDArray[np.uint8]
    text: str
    places: NDArray[np.float32] | None = None


class Source(Protocol):
    """Where samples come from; ``draw`` is pure, so that any process may draw any index."""

    def draw(self, index: int) -> Any:
        """Return an object with the attributes ``image`` and ``text``, and maybe ``places``."""


@dataclass(frozen=True)
class LabelledImage:
    """One usable row of a CSV file.

    Attributes:
        image: Path of the image.
        text: What it says, without white space at the ends.
        origin: ``file.csv:line``.
    """

    image: Path
    text: str
    origin: str


# --------------------------------------------------------------------------- CSV files


def read_rows(paths: Sequence[Path], problems: list[str]) -> list[LabelledImage]:
    """Read the rows of CSV files with the columns ``image`` and ``text``.

    Args:
        paths: UTF-8 files, with or without a byte-order mark; quoted as RFC 4180 has it.
        problems: Gets a line ``file.csv:line: reason`` for every row that is left out.

    Raises:
        InputError: A file cannot be read, or has no such columns.
    """
    rows: list[LabelledImage] = []
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows.extend(_rows_of(path, csv.reader(file, strict=True), problems))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 ({error.reason})") from None
        except csv.Error as error:
            raise InputError(f"{path}: not CSV: {error}") from None
    return rows


def _rows_of(path: Path, reader: Any, problems: list[str]) -> Iterator[LabelledImage]:
    header = [name.strip().lower() for name in next(reader, [])]
    if "image" not in header or "text" not in header:
        raise InputError(
            f"{path}:1: no columns 'image' and 'text'", "start the file with the line image,text"
        )
    image_column, text_column = header.index("image"), header.index("text")
    line = reader.line_num
    for cells in reader:
        origin = f"{path}:{line + 1}"  # where the row begins; quoted texts may span lines
        line = reader.line_num
        if not cells:
            continue  # a blank line
        if len(cells) != len(header):
            problems.append(f"{origin}: {len(cells)} cells where the header has {len(header)}")
        elif not cells[text_column].strip():
            problems.append(f"{origin}: no text")
        elif not cells[image_column].strip():
            problems.append(f"{origin}: no image")
        else:
            image = path.parent / cells[image_column].strip()
            yield LabelledImage(image, cells[text_column].strip(), origin)


def usable_rows(
    rows: Sequence[LabelledImage], preparation: Preparation, problems: list[str]
) -> list[LabelledImage]:
    """Leave out the rows whose image cannot be read or whose text does not fit the network.

    Every image is decoded once, so that no worker stumbles in the middle of a long run.
    """

    def problem(row: LabelledImage) -> str | None:
        try:
            image = load_image(row.image)
        except InputError as error:
            return str(error)
        return preparation.misfit(preparation.pixels(image).shape[-1], row.text)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        reasons = list(pool.map(problem, rows))
    problems.extend(
        f"{row.origin}: {reason}" for row, reason in zip(rows, reasons, strict=True) if reason
    )
    return [row for row, reason in zip(rows, reasons, strict=True) if reason is None]


def split_rows(
    rows: Sequence[LabelledImage], share: float, seed: int
) -> tuple[list[LabelledImage], list[LabelledImage], str]:
    """Hold out a share of the rows, drawn by the seed.

    Where texts rarely repeat, whole texts are held out, so that no text of the validation occurs
    in training; else (few classes, many images of each) rows are.

    Returns:
        Training rows, validation rows, and in words what was held out.
    """
    texts = sorted({row.text for row in rows})
    generator = np.random.default_rng([seed, 1])
    if 2 * len(texts) >= len(rows):
        held = set(generator.permutation(len(texts))[: round(share * len(texts))].tolist())
        held_texts = {texts[index] for index in held}
        chosen = [row.text in held_texts for row in rows]
        what = "texts that training never shows"
    else:
        held = set(generator.permutation(len(rows))[: round(share * len(rows))].tolist())
        chosen = [index in held for index in range(len(rows))]
        what = "rows (texts repeat)"
    training = [row for row, is_held in zip(rows, chosen, strict=True) if not is_held]
    validation = [row for row, is_held in zip(rows, chosen, strict=True) if is_held]
    return training, validation, what


class RowSource:
    """Images of CSV rows, read from disk whenever they are drawn."""

    def __init__(self, rows: Sequence[LabelledImage]) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, index: int) -> Sample:
        """Load row `index`."""
        row = self.rows[index]
        return Sample(load_image(row.image), row.text)


class MixedSource:
    """Drawn lines and labelled real ones in a fixed proportion; the real ones are augmented.

    Args:
        drawn: Endless drawn samples.
        rows: Labelled images; each draw takes one at random, so no row is used up before another.
        share: Probability (0 to 1) that a sample is drawn and not a row.
        seed: Of the choices and the augmentation.
    """

    def __init__(
        self, drawn: Source, rows: Sequence[LabelledImage], share: float, seed: int
    ) -> None:
        self.drawn, self.rows, self.share, self.seed = drawn, list(rows), share, seed

    def draw(self, index: int) -> Sample:
        """Draw sample `index`: always the same for the same seed."""
        from ocrtool.training.augmentation import augment_line

        rng = np.random.default_rng([self.seed, 4, index])
        if rng.random() < self.share:
            sample = self.drawn.draw(index)
            return Sample(sample.image, sample.text)
        row = self.rows[int(rng.integers(len(self.rows)))]
        return Sample(augment_line(load_image(row.image), rng), row.text)


class HeldSource:
    """Samples drawn once and held in memory: the validation set of drawn lines."""

    def __init__(self, source: Source, size: int, preparation: Preparation) -> None:
        drawn = (source.draw(index) for index in range(size))
        self.samples = [
            Sample(sample.image, sample.text)
            for sample in drawn
            if preparation.misfit(preparation.pixels(sample.image).shape[-1], sample.text) is None
        ]

    def __len__(self) -> int:
        return len(self.samples)

    def draw(self, index: int) -> Sample:
        """Sample `index`."""
        return self.samples[index]


# --------------------------------------------------------------------------- batches


class Batch(NamedTuple):
    """What one forward pass takes.

    Attributes:
        pixels: (B, C, H, W) float32.
        sizes: int64, pixels that belong to each image: columns (B,), of formulas rows and columns
            (B, 2).
        tokens: (B, T) int64, BOS + text, padded with PAD: what the decoder is given.
        targets: (B, T) int64, text + EOS, padded with PAD: what it shall say.
        lengths: (B,) int64, characters (or tokens) of each text.
        signs: (B, T) int64, the image token at which the sign stands that `targets` names; -1 for
            what draws nothing, and where that is not known.
        places: (B, T) int64, the same of the next sign from there on: a brace announces it.
    """

    pixels: NDArray[np.float32]
    sizes: NDArray[np.int64]
    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    signs: NDArray[np.int64]
    places: NDArray[np.int64]


class Ready(NamedTuple):
    """One sample as the network takes it; see `Batch`."""

    pixels: NDArray[np.float32]
    text: str
    signs: NDArray[np.int64]


@dataclass(frozen=True)
class Preparation:
    """How samples become the input of one network."""

    config: ModelConfig
    vocabulary: Vocabulary

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pixels (C, H, W) as the network takes them."""
        vision = self.config.vision
        if vision.kind == "line":
            return line_pixels(image, vision.height)
        if vision.kind == "formula":
            return formula_pixels(image, vision.height, vision.width)
        return square_pixels(image, vision.height)

    def ready(self, sample: Any) -> Ready:
        """Pixels, text, and the image tokens at which the signs of the text stand, if known.

        Args:
            sample: As a `Source` draws it.
        """
        places: NDArray[np.float32] | None = getattr(sample, "places", None)
        if self.config.vision.kind != "formula" or places is None or not len(places):
            return Ready(self.pixels(sample.image), sample.text, np.zeros(0, np.int64))
        vision = self.config.vision
        pixels, scale, offset = canonical(sample.image, vision.height, vision.width)
        down, across = (np.array(pixels.shape[1:]) // FORMULA_CELL).tolist()
        columns, rows = (
            np.clip((places[:, 1 + i] * scale[i] + offset[i]) // FORMULA_CELL[1 - i], 0, most - 1)
            for i, most in enumerate((across, down))
        )
        signs = np.full(int(places[-1, 0]) + 1, -1, np.int64)
        signs[places[:, 0].astype(np.int64)] = rows * across + columns
        return Ready(pixels, sample.text, signs)

    def misfit(self, width: int, text: str) -> str | None:
        """Why the network cannot learn a text on an image of this width; None if it can."""
        parts, unit = self.vocabulary.split(text), self.vocabulary.unit
        longest = self.config.decoder.max_length - 1
        count = len(self.vocabulary.encode(text))
        if count > longest:
            return f"text has {count} {unit}s, the decoder takes {longest}"
        if not self.vocabulary.covers(text):
            missing = sorted(set(parts) - set(self.vocabulary.entries))
            return f"{unit}s outside the alphabet: {' '.join(missing)}"
        frames = width // FRAME
        needed = len(parts) + sum(a == b for a, b in pairwise(parts))
        if self.config.ctc and needed > frames:
            return f"image is too narrow for its text ({frames} frames, CTC needs {needed})"
        return None

    def collate(
        self,
        samples: Sequence[Ready],
        noise: float = 0.0,
        generator: np.random.Generator | None = None,
    ) -> Batch:
        """Pad images and texts to one batch.

        Args:
            samples: Pixels (C, H, W_i) and texts.
            noise: Share of the decoder's input tokens replaced by random ones, so that it learns
                to trust the image more than its own past.
            generator: Draws the noise; needed where `noise` is above 0.
        """
        pixels = [sample.pixels for sample in samples]
        if self.config.vision.kind == "line":
            images, sizes = collate_lines(pixels)
        elif self.config.vision.kind == "formula":
            images, sizes = collate_formulas(pixels)
        else:
            images = np.stack(pixels)
            sizes = np.full(len(pixels), images.shape[-1], np.int64)
        ids = [self.vocabulary.encode(sample.text) for sample in samples]
        lengths = np.array([len(line) for line in ids], np.int64)
        tokens = np.full((len(ids), int(lengths.max()) + 1), PAD, np.int64)
        targets = tokens.copy()
        tokens[:, 0] = BOS
        for row, line in enumerate(ids):
            tokens[row, 1 : len(line) + 1] = line
            targets[row, : len(line)] = line
            targets[row, len(line)] = EOS
        signs = np.full(tokens.shape, -1, np.int64)
        for known, sample in zip(signs, samples, strict=True):
            known[: len(sample.signs)] = sample.signs
        if noise and generator is not None:
            wrong = (generator.random(tokens.shape) < noise) & (tokens >= SPECIALS)
            drawn = generator.integers(SPECIALS, len(self.vocabulary), tokens.shape)
            tokens = np.where(wrong, drawn, tokens)
        return Batch(images, sizes, tokens, targets, lengths, signs, _announced(signs))

    def group(self, samples: Sequence[Ready], groups: int) -> list[list[int]]:
        """Cut images into batches of like sizes, so that little is padding.

        Returns:
            Indices of each batch. Batches of large images hold fewer: all take about as long.
        """
        if self.config.vision.kind != "formula":
            return _cut([sample.pixels.shape[-1] for sample in samples], groups)
        if len(samples) < groups:  # so few fit that some must serve twice
            return [[i % len(samples)] for i in range(groups)]
        sizes = [
            (*sample.pixels.shape[1:], len(self.vocabulary.split(sample.text)) + 1)
            for sample in samples
        ]
        costs = [height * width + TOKEN_COST * tokens for height, width, tokens in sizes]
        return like_sizes(sizes, costs, groups)


def _announced(signs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Fill what is -1 in rows (B, T) by what comes next; at the end there is nothing."""
    places = signs.copy()
    for column in range(signs.shape[1] - 2, -1, -1):
        unknown = places[:, column] < 0
        places[unknown, column] = places[unknown, column + 1]
    return places


class BatchPool(NamedTuple):
    """The batches of one pool, and how many of its samples did not fit the network."""

    batches: list[Batch]
    misfits: int


@dataclass
class PoolDataset(Dataset[BatchPool]):
    """Pools by number.

    Batches of lines and formulas are cut from the pool sorted by size, so that little is padding,
    at equal sums of size: wide batches hold fewer images, and every batch about as many characters.

    Args:
        source: Draws the samples.
        size: Samples of the source; 0 where it is endless. A finite source is shuffled anew
            every epoch.
        preparation: What the network takes.
        batch_size: Mean number of samples a batch.
        noise: See :meth:`Preparation.collate`.
        seed: Of the order and the noise.
    """

    source: Source
    size: int
    preparation: Preparation
    batch_size: int
    noise: float
    seed: int
    _epoch: tuple[int, NDArray[np.int64]] = field(
        default=(-1, np.zeros(0, np.int64)), init=False, repr=False
    )

    @property
    def batches(self) -> int:
        """Batches of every pool."""
        kind = self.preparation.config.vision.kind
        if kind == "formula":  # no more than there are different ones
            different = len(self.source) if isinstance(self.source, Sized) else FORMULA_POOL
            return -(-min(FORMULA_POOL, different) // self.batch_size)
        return LINE_POOL if kind == "line" else 1

    def __getitem__(self, number: int) -> BatchPool:
        """Load pool `number`."""
        wanted = self.batches * self.batch_size
        generator = np.random.default_rng([self.seed, 2, number])
        samples: list[Ready] = []
        misfits = 0
        for position in range(number * wanted, (number + 1) * wanted):
            ready = self.preparation.ready(self.source.draw(self._index(position)))
            if self.preparation.misfit(ready.pixels.shape[-1], ready.text) is None:
                samples.append(ready)
            else:
                misfits += 1
        if not samples:
            raise InputError("none of the drawn images fits the network", "raise max_length")
        groups = self.preparation.group(samples, self.batches)
        batches = [
            self.preparation.collate([samples[i] for i in groups[j]], self.noise, generator)
            for j in generator.permutation(len(groups))
        ]
        return BatchPool(batches, misfits)

    def _index(self, position: int) -> int:
        """Which sample of the source stands at a position."""
        if self.size == 0:
            return position
        epoch, place = divmod(position, self.size)
        if self._epoch[0] != epoch:
            generator = np.random.default_rng([self.seed, 3, epoch])
            self._epoch = (epoch, generator.permutation(self.size))
        return int(self._epoch[1][place])


def _cut(widths: Sequence[int], groups: int) -> list[list[int]]:
    """Indices sorted by width, cut into exactly `groups` runs of about equal sums of width."""
    order = sorted(range(len(widths)), key=lambda index: (widths[index], index))
    if len(order) < groups:  # so few fit that some must serve twice
        order = [order[i % len(order)] for i in range(groups)]
    sums = np.cumsum([widths[index] for index in order])
    ends = [int(e) for e in np.searchsorted(sums, sums[-1] * np.arange(1, groups) / groups)]
    cuts = [0]
    for group, end in enumerate(ends, 1):  # at least one sample each
        cuts.append(min(max(end, cuts[-1] + 1), len(order) - (groups - group)))
    cuts.append(len(order))
    return [order[start:end] for start, end in pairwise(cuts)]


# --------------------------------------------------------------------------- loaders


def batches_from(
    dataset: PoolDataset, start: int, workers: int, rank: int = 0, processes: int = 1
) -> Generator[tuple[Batch, int], None, None]:
    """Training batches without end, each with the misfits of the pool that it opens.

    Args:
        dataset: The pools; they are dealt to the processes in turn.
        start: Batches that this process has had already (a resumed run).
        workers: Loading processes; the batches are the same for any number.
        rank: This process among `processes` that train together.
        processes: How many train together.
    """
    pool, skip = divmod(start, dataset.batches)
    numbers = count(pool * processes + rank, processes)
    for pool_now in loaded(dataset, numbers, workers):
        misfits = pool_now.misfits
        for batch in pool_now.batches[skip:]:
            yield batch, misfits
            misfits = 0
        skip = 0


def loaded(dataset: Any, numbers: Iterable[int], workers: int) -> Iterator[Any]:
    """Yield what a data set holds under some numbers, in their order.

    Args:
        dataset: Anything that has ``[number]``; with workers, it must be picklable.
        numbers: Which; they may be endless.
        workers: Loading processes; 0 loads in this one.
    """
    if workers == 0:
        yield from (dataset[number] for number in numbers)
        return
    method = "spawn" if sys.platform == "win32" else "forkserver"
    with warnings.catch_warnings():
        # It finds more workers than processors suspicious; the user chose, or has one processor.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=_Numbers(numbers),
            num_workers=workers,
            collate_fn=_unchanged,  # arrays stay arrays: no shared memory, which containers lack
            worker_init_fn=_start_worker,
            multiprocessing_context=multiprocessing.get_context(method),
        )
        batches = iter(loader)
    yield from batches


class _Numbers:
    """An endless sampler."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = numbers

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)


def _unchanged(pool: Any) -> Any:
    return pool


def _start_worker(_: int) -> None:
    """Workers use one thread each, give way to the training, and leave Ctrl-C to the trainer."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    if sys.platform != "win32":
        os.nice(5)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def validation_batches(
    source: Source, size: int, preparation: Preparation, batch_size: int
) -> Iterator[tuple[Batch, list[str]]]:
    """Batches of a validation set with their texts, the same every time.

    Lines are sorted by width within chunks of 16 batches, formulas by size within smaller ones.
    """
    kind = preparation.config.vision.kind
    chunk = {"line": batch_size * LINE_POOL, "formula": max(VALIDATED, batch_size)}.get(
        kind, batch_size
    )
    for start in range(0, size, chunk):
        drawn = (source.draw(index) for index in range(start, min(start + chunk, size)))
        samples = [preparation.ready(sample) for sample in drawn]
        for group in preparation.group(samples, -(-len(samples) // batch_size)):
            members = [samples[i] for i in group]
            yield preparation.collate(members), [sample.text for sample in members]
