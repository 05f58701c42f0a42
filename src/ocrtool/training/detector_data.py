"""Crops of drawn pages for training the detector, drawn by any number of processes."""

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
from ocrtool.training.detector_targets import LineTarget, RegionTarget, make_targets

TURNED = 0.2
"""Share of pages that are turned by 90, 180 or 270 degrees."""
INVERTED = 0.06
"""Share of crops that are inverted, beside the pages drawn light on dark."""


class Pages(Protocol):
    """A set of pages; ``draw_crop`` is pure, so that any process may draw any index."""

    def draw_crop(self, index: int, size: int) -> Any:
        """Return a square crop of a page, ``size`` pixels a side, with the attributes of `Crop`."""


@dataclass(frozen=True)
class SharedPages:
    """A ``PageSource`` that each process opens at its first draw; see `DetectorOptions`."""

    fonts: tuple[Path, ...]
    texts: tuple[Path, ...]
    seed: int
    formulas: tuple[Path, ...] = ()
    mathematics: float = MATHEMATICS_WEIGHT

    def draw_crop(self, index: int, size: int) -> Any:
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
    """Crops and their target maps, with the shapes of ``Targets`` after the batch dimension.

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
        """Return the batch as float tensors on a device."""
        arrays = (torch.from_numpy(array).to(device, non_blocking=True) for array in self)
        return DetectorBatch(*(tensor.float() for tensor in arrays))


@dataclass(frozen=True)
class Crop:
    """A crop: ``image`` (H, W) uint8 with its lines and regions."""

    image: Any
    lines: Sequence[LineTarget]
    regions: Sequence[RegionTarget]


def draw_crop(pages: Pages, index: int, size: int, seed: int) -> Crop:
    """Draw a crop by its number; a share of `INVERTED` is inverted."""
    page = pages.draw_crop(index, size)
    rng = np.random.default_rng((seed, 11, index))
    image = 255 - page.image if rng.random() < INVERTED else page.image
    return Crop(np.ascontiguousarray(image), page.lines, page.regions)


@dataclass(frozen=True)
class CropDataset(Dataset[DetectorBatch]):
    """Batches of crops by number."""

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
    targets = (make_targets(crop.image.shape, crop.lines, crop.regions) for crop in crops)
    maps = (np.stack(parts) for parts in zip(*targets, strict=True))
    return DetectorBatch(pixels, *maps)
