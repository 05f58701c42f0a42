"""Crops of drawn pages as the detector learns them, drawn by any number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from ocrtool.layout.detector import standardize
from ocrtool.synth.pages import MATHEMATICS_WEIGHT, PageSource
from ocrtool.training.detector_targets import LineTarget, RegionTarget, Targets, make_targets

TURNED = 0.2
"""Share of pages that lie on a side or on their head."""
INVERTED = 0.06
"""Share of crops whose light and dark are exchanged, beside the pages that are dark as drawn."""


class TrainingPage(Protocol):
    """A drawn page or a part of one."""

    @property
    def image(self) -> Any:
        """(H, W) uint8."""

    @property
    def lines(self) -> Sequence[LineTarget]:
        """Its lines."""

    @property
    def regions(self) -> Sequence[RegionTarget]:
        """Its regions."""


class Pages(Protocol):
    """Where pages come from; pure, so that any process may draw any index."""

    def draw_crop(self, index: int, size: int) -> TrainingPage:
        """Return a square part of a page, ``size`` pixels a side."""


@dataclass(frozen=True)
class SharedPages:
    """A ``PageSource`` that each process opens for itself when it first draws.

    Attributes:
        fonts: Font files.
        texts: Text files.
        seed: Of everything drawn.
        formulas: PDFs of displayed formulas, see `ocrtool.synth.display_formulas`.
        mathematics: Weight of pages of mathematics where there are formulas.
    """

    fonts: tuple[Path, ...]
    texts: tuple[Path, ...]
    seed: int
    formulas: tuple[Path, ...] = ()
    mathematics: float = MATHEMATICS_WEIGHT

    def draw_crop(self, index: int, size: int) -> TrainingPage:
        """See ``PageSource.draw_crop``."""
        return _opened(self).draw_crop(index, size)


@lru_cache(maxsize=2)
def _opened(pages: SharedPages) -> PageSource:
    return PageSource(
        pages.fonts,
        pages.texts,
        pages.seed,
        turned=TURNED,
        formulas=pages.formulas,
        mathematics=pages.mathematics,
    )


class DetectorBatch(NamedTuple):
    """Crops and what is to be seen on them; ``Targets`` says the shapes, B in front.

    Attributes:
        pixels: (B, 1, H, W) float32, standardised.
    """

    pixels: Any
    kernel: Any
    weight: Any
    geometry: Any
    inside: Any
    regions: Any

    def to(self, device: torch.device) -> DetectorBatch:
        """The same as float tensors on a device."""
        arrays = (torch.from_numpy(array).to(device, non_blocking=True) for array in self)
        return DetectorBatch(*(tensor.float() for tensor in arrays))


@dataclass(frozen=True)
class Crop:
    """A crop as it is learned: ``image`` (H, W) uint8 and what is on it."""

    image: Any
    lines: Sequence[LineTarget]
    regions: Sequence[RegionTarget]

    def targets(self) -> Targets:
        """The maps to learn."""
        return make_targets(self.image.shape, self.lines, self.regions)


def draw_crop(pages: Pages, index: int, size: int, seed: int) -> Crop:
    """Draw a crop by its number and exchange its light and dark now and then."""
    page = pages.draw_crop(index, size)
    rng = np.random.default_rng((seed, 11, index))
    image = 255 - page.image if rng.random() < INVERTED else page.image
    return Crop(np.ascontiguousarray(image), page.lines, page.regions)


@dataclass(frozen=True)
class CropDataset(Dataset[DetectorBatch]):
    """Batches by number."""

    pages: Pages
    batch_size: int
    crop: int
    seed: int

    def __getitem__(self, number: int) -> DetectorBatch:
        """Draw batch ``number``."""
        crops = [
            draw_crop(self.pages, number * self.batch_size + i, self.crop, self.seed)
            for i in range(self.batch_size)
        ]
        return collate(crops)


def collate(crops: Sequence[Crop]) -> DetectorBatch:
    """Stack crops of one size and their targets."""
    pixels = np.stack([standardize(crop.image)[None] for crop in crops])
    maps = (np.stack(parts) for parts in zip(*(crop.targets() for crop in crops), strict=True))
    return DetectorBatch(pixels, *maps)
