"""Samples to batches: CSV rows, drawn lines or formulas, loaded by any number of worker processes.

Samples have endless positions 0, 1, 2, ... A *pool* is a run of consecutive positions, loaded by
one worker and cut into a fixed number of batches. Its content depends only on the seed and its
number, so any worker may load any pool and a run resumes at an exact batch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from ocrtool.errors import InputError
from ocrtool.inputs.images import load_image
from ocrtool.models import FORMULA_CELL, FRAME, ModelConfig
from ocrtool.preprocess.formulas import canonical, collate_formulas, formula_pixels, like_sizes
from ocrtool.preprocess.lines import collate_lines, line_pixels, square_pixels
from ocrtool.training.rows import LabelledImage
from ocrtool.weights import BOS, EOS, PAD, SPECIALS, Vocabulary

LINE_POOL = 16
"""Batches of a pool of lines: enough to sort by width, few enough for memory."""
FORMULA_POOL = 1024
"""Formulas of a pool: they differ in height, width and length."""
TOKEN_COST = 180
"""Pixels that the encoder processes in the time of one token of the decoder."""
VALIDATED = 256
"""Validation formulas that are sorted by size together, so that the first are typical."""


class Sample(NamedTuple):
    """One labelled image.

    Attributes:
        image: uint8 (H, W) or (H, W, 3).
        text: Its text.
        places: (n, 3) where known: index of a token, and its position x and y in pixels from the
            top left.
    """

    image: NDArray[np.uint8]
    text: str
    places: NDArray[np.float32] | None = None


class Source(Protocol):
    """A set of samples; ``draw`` is pure, so that any process may draw any index."""

    def draw(self, index: int) -> Any:
        """Return an object with the attributes ``image``, ``text`` and optionally ``places``."""


def usable_rows(
    rows: Sequence[LabelledImage], preparation: Preparation, problems: list[str]
) -> list[LabelledImage]:
    """Leave out the rows whose image cannot be read or whose text does not fit the network.

    Every image is decoded once, so that no worker fails in the middle of a long run.
    """

    def problem(row: LabelledImage) -> str | None:
        try:
            image = load_image(row.image)
        except InputError as error:
            return str(error)
        return preparation.misfit(preparation.pixels(image).shape[-1], row.text)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        reasons = list(pool.map(problem, rows))
    checked = list(zip(rows, reasons, strict=True))
    problems.extend(f"{row.origin}: {reason}" for row, reason in checked if reason)
    return [row for row, reason in checked if reason is None]


class RowSource:
    """Images of CSV rows, read from disk at each draw."""

    def __init__(self, rows: Sequence[LabelledImage]) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, index: int) -> Sample:
        """Load row `index`."""
        row = self.rows[index]
        return Sample(load_image(row.image), row.text)


class MixedSource:
    """Synthetic lines and augmented labelled lines in a fixed proportion.

    Args:
        drawn: Endless synthetic samples.
        rows: Labelled images, chosen at random with replacement.
        share: Probability (0 to 1) that a sample is synthetic.
        seed: Seed of the choices and the augmentation.
    """

    def __init__(
        self, drawn: Source, rows: Sequence[LabelledImage], share: float, seed: int
    ) -> None:
        self.drawn, self.rows, self.share, self.seed = drawn, list(rows), share, seed

    def draw(self, index: int) -> Sample:
        """Return sample `index`, a function of the index and the seed."""
        from ocrtool.training.augmentation import augment_line

        rng = np.random.default_rng([self.seed, 4, index])
        if rng.random() < self.share:
            sample = self.drawn.draw(index)
            return Sample(sample.image, sample.text)
        row = self.rows[int(rng.integers(len(self.rows)))]
        return Sample(augment_line(load_image(row.image), rng), row.text)


class HeldSource:
    """Samples drawn once and kept in memory: the validation set of drawn images."""

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
        """Return sample `index`."""
        return self.samples[index]


# --------------------------------------------------------------------------- batches


A = TypeVar("A")


class Batch(NamedTuple, Generic[A]):
    """Input and targets of one forward pass, as NumPy arrays or as tensors on a device.

    Attributes:
        pixels: (B, C, H, W) float32.
        sizes: int64, size of each image without padding: columns (B,), or rows and columns (B, 2)
            of formulas.
        tokens: (B, T) int64, decoder input: BOS + text, padded with PAD.
        targets: (B, T) int64, text + EOS, padded with PAD.
        lengths: (B,) int64, characters (or tokens) of each text.
        signs: (B, T) int64, index of the image token at the symbol of each target; -1 for targets
            that draw nothing, or whose position is unknown.
        places: (B, T) int64, `signs` with each -1 replaced by the next known index in the row.
    """

    pixels: A
    sizes: A
    tokens: A
    targets: A
    lengths: A
    signs: A
    places: A


Arrays = Batch[NDArray[Any]]


class Ready(NamedTuple):
    """One sample as input of the network; see `Batch`."""

    pixels: NDArray[np.float32]
    text: str
    signs: NDArray[np.int64]


@dataclass(frozen=True)
class Preparation:
    """Conversion of samples to the input of one network."""

    config: ModelConfig
    vocabulary: Vocabulary

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return an image as pixels (C, H, W) for the network."""
        vision = self.config.vision
        if vision.kind == "line":
            return line_pixels(image, vision.height)
        if vision.kind == "formula":
            return formula_pixels(image, vision.height, vision.width)
        return square_pixels(image, vision.height)

    def ready(self, sample: Any) -> Ready:
        """Convert a sample of a `Source`, symbol positions to image tokens where they are known."""
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
        """Return why an image of this width and its text do not fit the network, or None."""
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
    ) -> Arrays:
        """Pad images and texts to one batch.

        A share of `noise` of the decoder's input tokens is replaced by random ones, so that it
        relies on the image more than on the preceding text.
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
        """Group images of similar size, which reduces padding.

        Returns:
            Indices of each batch; batches of large images hold fewer, for similar run times.
        """
        if self.config.vision.kind != "formula":
            return _cut([sample.pixels.shape[-1] for sample in samples], groups)
        if len(samples) < groups:  # too few: some are used more than once
            return [[i % len(samples)] for i in range(groups)]
        sizes = [
            (*sample.pixels.shape[1:], len(self.vocabulary.split(sample.text)) + 1)
            for sample in samples
        ]
        costs = [height * width + TOKEN_COST * tokens for height, width, tokens in sizes]
        return like_sizes(sizes, costs, groups)


def _announced(signs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace each -1 in rows (B, T) by the next other value; at the end of a row it stays."""
    places = signs.copy()
    for column in range(signs.shape[1] - 2, -1, -1):
        unknown = places[:, column] < 0
        places[unknown, column] = places[unknown, column + 1]
    return places


class BatchPool(NamedTuple):
    """The batches of one pool, and the number of its samples that did not fit the network."""

    batches: list[Arrays]
    misfits: int


@dataclass
class PoolDataset(Dataset[BatchPool]):
    """Pools by number.

    Lines and formulas of a pool are sorted by size, which reduces padding, and cut at equal sums of
    size: wide batches hold fewer images, and all batches about as many characters.

    Args:
        source: The samples.
        size: Number of samples; 0 where the source is endless. A finite source is shuffled anew
            every epoch.
        preparation: Converts samples to the network's input.
        batch_size: Mean number of samples of a batch.
        noise: See `Preparation.collate`.
        seed: Seed of the order and the noise.
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
        """Number of batches of every pool."""
        kind = self.preparation.config.vision.kind
        if kind == "formula":  # no more than there are different formulas
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
        """Return the index of the source's sample at a position."""
        if self.size == 0:
            return position
        epoch, place = divmod(position, self.size)
        if self._epoch[0] != epoch:
            generator = np.random.default_rng([self.seed, 3, epoch])
            self._epoch = (epoch, generator.permutation(self.size))
        return int(self._epoch[1][place])


def _cut(widths: Sequence[int], groups: int) -> list[list[int]]:
    """Sort indices by width and cut them into `groups` runs of about equal sums of width."""
    order = sorted(range(len(widths)), key=lambda index: (widths[index], index))
    if len(order) < groups:  # too few: some are used more than once
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
) -> Generator[tuple[Arrays, int], None, None]:
    """Yield endless training batches; the first batch of a pool comes with the pool's misfits.

    Pools are distributed over the `processes` that train together, of which this is number `rank`;
    `start` is the number of batches that it has consumed before (a resumed run).
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
    """Yield the items of a picklable data set by number, equal for any number of workers."""
    if workers == 0:
        yield from (dataset[number] for number in numbers)
        return
    method = "spawn" if sys.platform == "win32" else "forkserver"
    with warnings.catch_warnings():
        # More workers than processors are the user's choice, or there is one processor.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            collate_fn=_unchanged,  # arrays, not tensors: containers may lack shared memory
            worker_init_fn=_start_worker,
            multiprocessing_context=multiprocessing.get_context(method),
        )
        batches = iter(loader)
    yield from batches


def _unchanged(pool: Any) -> Any:
    return pool


def _start_worker(_: int) -> None:
    """Use one thread, a lower priority than the trainer's, and leave Ctrl-C to the trainer."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    if sys.platform != "win32":
        os.nice(5)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def validation_batches(
    source: Source, size: int, preparation: Preparation, batch_size: int
) -> Iterator[tuple[Arrays, list[str]]]:
    """Yield the batches of a validation set with their texts, equal at every call.

    Lines are sorted by width within chunks of `LINE_POOL` batches, formulas by size within chunks
    of `VALIDATED`.
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
