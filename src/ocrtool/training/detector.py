"""Training of the text detector on drawn pages: ``python -m ocrtool.training.detector --help``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrtool.engines import find_model
from ocrtool.errors import ExitCode, OcrToolError, UsageError
from ocrtool.layout.detector import load_network
from ocrtool.layout.postprocess import REGION_KINDS, REGION_THRESHOLD, Maps, find_lines
from ocrtool.models.detector import REGIONS, DetectorConfig, DetectorMaps, DetectorNet
from ocrtool.synth.fonts import find_fonts
from ocrtool.synth.pages import MATHEMATICS_WEIGHT
from ocrtool.training import checkpoint
from ocrtool.training.config import typed
from ocrtool.training.data import loaded
from ocrtool.training.detector_data import (
    CropDataset,
    DetectorBatch,
    Pages,
    SharedPages,
    collate,
    draw_crop,
)
from ocrtool.training.detector_scores import LineScores, add_scores, match_lines
from ocrtool.training.detector_targets import LEAST_HEIGHT
from ocrtool.training.distributed import Compute
from ocrtool.training.options import RunOptions
from ocrtool.training.trainer import Position, Task, TrainResult, run_task
from ocrtool.weights import METADATA, WEIGHTS

HELD_SEED = 7_919
"""Difference between the seeds of the validation pages and of the training pages."""
SCHEMA = 1
"""Version of the format of a detector's ``model.json``."""
FLAGS = {"validation_size": "validation-pages"}
"""Names of flags that differ from those of their options."""


@dataclass(frozen=True, kw_only=True)
class DetectorOptions(RunOptions):
    """Options of ``python -m ocrtool.training.detector``; batches consist of crops of pages.

    Attributes:
        crop: Side of a crop in pixels, a multiple of 32.
        areas: Channels of the regions' own pyramid, where the model to start from has none.
        only: Kinds of regions that are trained alone, in their own pyramid; all other maps stay
            bit for bit. Empty for everything.
        fonts: Folders of fonts to draw with; without any, the bundled ones.
        text: Text files to draw.
        formulas: PDFs of formulas (``python -m ocrtool.synth.formulas --pdf``).
        mathematics: Weight of pages of mathematics, if there are formulas.
    """

    validation_size: int = 48
    batch_size: int = 16
    learning_rate: float = 2e-3
    warmup: int | None = 200
    weight_decay: float = 0.02
    beta2: float = 0.99
    clip: float = 5.0
    workers: int = 2
    seed: int = 0
    log_every: int = 20
    validate_every: int = 500
    crop: int = 512
    areas: int = 0
    only: tuple[str, ...] = ()
    fonts: tuple[Path, ...] = ()
    text: tuple[Path, ...] = ()
    formulas: tuple[Path, ...] = ()
    mathematics: float = MATHEMATICS_WEIGHT

    def __post_init__(self) -> None:
        """Check ranges and contradictions."""
        super().__post_init__()
        if not (self.max_minutes or self.steps):
            raise UsageError("the run has no end", "give --max-minutes or --steps")
        if self.epochs:
            raise UsageError("drawn pages have no epochs", "give --max-minutes or --steps")
        for kind in self.only:
            if kind not in REGION_KINDS:
                raise UsageError(f"no kind of region {kind!r}", f"use {', '.join(REGION_KINDS)}")
        if self.crop % 32 or self.crop < 64:
            raise UsageError(f"crops of {self.crop} pixels", "use a multiple of 32 from 64 on")


# --------------------------------------------------------------------------- loss


def detector_loss(maps: DetectorMaps, batch: DetectorBatch) -> dict[str, Tensor]:
    """Return the losses of predicted maps, each a mean over the weighted pixels, and their sum.

    Cross-entropy and Dice loss (Milletari et al., 2016) of the kernel map, squared error of the
    reading direction, error of the logarithm of the line height, and the loss of the regions.
    """
    kernel, weight = batch.kernel[:, None], batch.weight[:, None]
    logits = maps.kernel.float()
    entropy = F.binary_cross_entropy_with_logits(logits, kernel, weight, reduction="sum")
    entropy = entropy / weight.sum().clamp_min(1.0)
    dice = _dice(logits.sigmoid(), kernel, weight).mean()
    geometry, inside = maps.geometry.float(), batch.inside
    count = inside.sum().clamp_min(1.0)
    off = ((geometry[:, :2] - batch.geometry[:, :2]) ** 2).sum(1)
    direction = (off * inside).sum() / count
    error = F.smooth_l1_loss(geometry[:, 2], batch.geometry[:, 2], reduction="none", beta=0.1)
    height = (error * inside).sum() / count
    regions = region_loss(maps.regions.float(), batch.regions)
    return {
        "loss": 2.0 * entropy + dice + 0.5 * direction + height + regions,
        "cross_entropy": entropy,
        "dice": dice,
        "direction": direction,
        "height": height,
        "regions": regions,
    }


def region_loss(seen: Tensor, truth: Tensor) -> Tensor:
    """Return cross-entropy and Dice loss of region logits (B, C, H, W) against their masks."""
    entropy = F.binary_cross_entropy_with_logits(seen, truth)
    present = (truth.sum((0, 2, 3)) > 0).float()
    overlap = _dice(seen.sigmoid(), truth, torch.ones_like(seen))
    return entropy + 0.25 * (overlap * present).sum() / present.sum().clamp_min(1.0)


def with_areas(net: DetectorNet, channels: int) -> DetectorNet:
    """Return a detector with a separate pyramid for regions; one that has it is unchanged."""
    if net.config.areas or not channels:
        return net
    larger = DetectorNet(dataclasses.replace(net.config, areas=channels))
    larger.load_state_dict(net.state_dict(), strict=False)
    return larger


def _dice(probability: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return the Dice loss of (B, C, H, W) over the batch for each channel, (C,)."""
    common = (probability * truth * weight).sum((0, 2, 3))
    both = ((probability + truth) * weight).sum((0, 2, 3))
    return 1.0 - (2.0 * common + 1.0) / (both + 1.0)


# --------------------------------------------------------------------------- the task


def train_detector(
    options: DetectorOptions, pages: Pages, held: Pages, config: DetectorConfig | None = None
) -> TrainResult:
    """Train a detector; see `DetectorTask` and `run_task`.

    Raises:
        ModelError: The run to resume or the model to start from is unusable.
    """
    return run_task(options, lambda compute: DetectorTask(options, pages, held, compute, config))


class DetectorTask(Task[DetectorBatch]):
    """A detector with its drawn pages, of which `held` are for validation.

    `config` is the geometry of a network that starts from random weights.
    """

    options: DetectorOptions
    model: DetectorNet

    def __init__(
        self,
        options: DetectorOptions,
        pages: Pages,
        held: Pages,
        compute: Compute,
        config: DetectorConfig | None = None,
    ) -> None:
        self.options, self.compute = options, compute
        torch.manual_seed(options.seed)
        start = options.out / "last" if options.resume else options.start_from
        if start is None:
            self.model = DetectorNet(config or DetectorConfig(areas=options.areas))
        else:
            self.model = with_areas(load_network(find_model(start)), options.areas)
        self.model.to(compute.device)
        self.kinds = [REGION_KINDS.index(kind) for kind in options.only]
        if self.kinds:
            if self.model.areas is None:
                raise UsageError("single regions are trained in a separate pyramid", "--areas 64")
            self.model.requires_grad_(False)
            self.model.areas.requires_grad_(True)
        for parameter in self.model.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
        self.dataset = CropDataset(pages, options.batch_size, options.crop, options.seed)
        self.held = [
            draw_crop(held, index, options.crop, options.seed + HELD_SEED)
            for index in range(options.validation_size if compute.group.leads else 0)
        ]

    def batches(self, position: Position) -> Generator[DetectorBatch, None, None]:
        """Yield endless training batches, from the first that the run has not consumed."""
        group = self.compute.group
        numbers = count(position.batches * group.size + group.rank, group.size)
        for batch in loaded(self.dataset, numbers, self.options.workers):
            yield batch.to(self.compute.device)

    def counts(self, batch: DetectorBatch) -> Sequence[float]:
        """Return crops; none is ever left out."""
        return len(batch.pixels), 0

    def split(self, batch: DetectorBatch, parts: int) -> Iterator[DetectorBatch]:
        """Cut a batch along its crops; batch normalisation then uses the means of the parts."""
        size = -(-len(batch.pixels) // parts)
        for pieces in zip(*(torch.split(tensor, size) for tensor in batch), strict=True):
            yield DetectorBatch(*pieces)

    def train_mode(self) -> None:
        """Put the network into training mode, except the normalisation of frozen parts."""
        self.model.train(not self.kinds)
        if self.kinds and self.model.areas is not None:
            self.model.areas.train()

    def losses(self, batch: DetectorBatch, totals: Sequence[float]) -> dict[str, Tensor]:
        """Return the losses by name, weighted by the batch's share of the step's crops."""
        share = len(batch.pixels) / totals[0]
        with self.compute.autocast():
            maps = self.model(batch.pixels.to(memory_format=torch.channels_last))
        losses = detector_loss(maps, batch)
        if self.kinds:
            seen, truth = maps.regions[:, self.kinds].float(), batch.regions[:, self.kinds]
            losses["loss"] = region_loss(seen, truth)
        return {name: share * value for name, value in losses.items()}

    def validate(self, model: nn.Module, stopped: Callable[[], bool]) -> dict[str, Any] | None:
        """Score the held crops through the real post-processing.

        Returns:
            Precision, recall and F1 of the lines found, the mean loss, and the overlap
            (intersection over union) of regions in pixels, the mean of the kinds that are trained.
        """
        model.eval()
        scores: list[LineScores] = []
        loss = 0.0
        common, either = torch.zeros(REGIONS), torch.zeros(REGIONS)
        for start in range(0, len(self.held), self.options.batch_size):
            if stopped():
                return None
            crops = self.held[start : start + self.options.batch_size]
            batch = collate(crops).to(self.compute.device)
            with torch.inference_mode():
                seen = model(batch.pixels.to(memory_format=torch.channels_last))
                loss += float(detector_loss(seen, batch)["loss"]) * len(crops)
                kernel, geometry, regions = (
                    part.cpu().numpy()
                    for part in (seen.kernel.sigmoid(), seen.geometry, seen.regions.sigmoid())
                )
            truth, guess = batch.regions.cpu() > 0, torch.from_numpy(regions) > REGION_THRESHOLD
            common += (truth & guess).sum((0, 2, 3))
            either += (truth | guess).sum((0, 2, 3))
            for i, crop in enumerate(crops):
                found = find_lines(Maps(kernel[i, 0], geometry[i], regions[i]))
                drawn = [line.quad for line in crop.lines]
                quads = [line.quad for line in found]
                scores.append(match_lines(drawn, quads, crop.image.shape, LEAST_HEIGHT))
        lines = add_scores(scores)
        overlap = (common / either.clamp_min(1))[self.kinds or slice(None)]
        return {
            "precision": round(lines.precision, 5),
            "recall": round(lines.recall, 5),
            "f1": round(lines.f1, 5),
            "loss": round(loss / max(len(self.held), 1), 5),
            "regions": round(float(overlap.mean()), 5),
            "lines": lines.drawn,
        }

    def score(self, scores: Mapping[str, Any]) -> float:
        """Return 1 less the F1 of lines, or the overlap of regions where they are trained alone."""
        return 1.0 - float(scores["regions" if self.kinds else "f1"])

    def report(self, scores: Mapping[str, Any]) -> list[str]:
        """Describe validation scores in lines of text."""
        return [
            f"precision {scores['precision']:.1%}  recall {scores['recall']:.1%}"
            f"  f1 {scores['f1']:.1%} of {scores['lines']} lines  regions {scores['regions']:.1%}"
        ]

    def write_model(self, folder: Path, model: nn.Module, position: Position) -> None:
        """Write a model folder."""
        facts = {
            "schema": SCHEMA,
            "kind": "detector",
            "config": self.model.config.to_dict(),
            "step": position.step,
            "metrics": position.metrics,
        }
        (folder / WEIGHTS).write_bytes(checkpoint.packed(model.state_dict()))
        (folder / METADATA).write_text(checkpoint.to_json(facts), "utf-8")


# --------------------------------------------------------------------------- command


def main(arguments: Sequence[str] | None = None) -> int:
    """Train with the options of a command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ocrtool.training.detector",
        description="Train the text detector on drawn pages.",
    )
    for field in dataclasses.fields(DetectorOptions):
        names = ["--" + FLAGS.get(field.name, field.name.replace("_", "-"))]
        if field.name == "out":
            names.insert(0, "-o")
        how: dict[str, Any] = {"help": f"default {field.default}"}
        if isinstance(field.default, bool):
            how |= {"action": "store_const", "const": True}
        elif isinstance(field.default, tuple):
            how |= {"action": "extend", "nargs": "+"}
        parser.add_argument(*names, dest=field.name, **how)
    given = {k: v for k, v in vars(parser.parse_args(arguments)).items() if v is not None}
    try:
        options = DetectorOptions(**typed(given, DetectorOptions, "", Path(), texts=True))
        fonts = tuple(find_fonts(options.fonts))
        pages = SharedPages(
            fonts, options.text, options.seed, options.formulas, options.mathematics
        )
        held = dataclasses.replace(pages, seed=options.seed + HELD_SEED)
        result = train_detector(options, pages, held)
    except OcrToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.INTERRUPTED if result.interrupted else ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
