"""Training of the text detector: ``python -m ocrtool.training.detector --help``.

Crops of drawn pages, endless and by number: a resumed run goes on with the very crops that it
would have seen. What is validated and saved as the model is the moving average of the weights.
Progress is the larger of the shares of steps and minutes that are used up; the learning rate
follows it.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from ocrtool import console
from ocrtool.document.detected import RegionKind
from ocrtool.engines.base import find_model
from ocrtool.errors import ExitCode, ModelError, OcrToolError, UsageError
from ocrtool.layout.detector import load_network
from ocrtool.layout.postprocess import REGION_KINDS, REGION_THRESHOLD, Maps, find_lines
from ocrtool.models.detector import REGIONS, DetectorConfig, DetectorMaps, DetectorNet
from ocrtool.synth.fonts import find_fonts
from ocrtool.synth.pages import MATHEMATICS_WEIGHT
from ocrtool.training import checkpoint
from ocrtool.training.checkpoint import STATE, STATE_FACTS
from ocrtool.training.detector_data import (
    CropDataset,
    DetectorBatch,
    Pages,
    SharedPages,
    batches_from,
    collate,
    draw_crop,
)
from ocrtool.training.detector_scores import LineScores, add_scores, match_lines
from ocrtool.training.detector_targets import LEAST_HEIGHT
from ocrtool.training.distributed import Group, choose_device, choose_precision
from ocrtool.training.optimizers import moments, optimizer_of, restore_moments
from ocrtool.training.report import Log
from ocrtool.weights.bundled import METADATA, WEIGHTS

HELD_SEED = 7_919
"""What the seed of the validation pages is further on."""


@dataclass(frozen=True)
class DetectorOptions:
    """Everything that there is to say of a run.

    Attributes:
        out: Folder of the run: ``last/`` and ``best/`` are models, ``log.jsonl`` the log.
        max_minutes: Length of the run; 0 for no limit.
        steps: Likewise, in steps.
        batch_size: Crops a step.
        crop: Side of a crop in pixels, a multiple of 32.
        learning_rate: Highest of the run.
        warmup: Steps over which it rises.
        weight_decay: Of convolutions.
        ema: Share of the moving average that a step keeps.
        clip: Greatest norm of the gradient.
        workers: Processes that draw.
        threads: CPU threads of the training itself; 0 leaves it to PyTorch.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        seed: Of weights and crops.
        log_every: Steps between records.
        validate_every: Steps between validations.
        validation_pages: Crops that are held for them.
        save_minutes: Minutes between saves.
        resume: Go on with the run in ``out``.
        start_from: Bundled model or model folder whose weights to start from.
        areas: Channels of the regions' own pyramid, where the model to start from has none.
        only: Kinds of regions that alone are learned, in their own pyramid; all other maps stay as
            they are, to the bit. None for everything.
    """

    out: Path
    max_minutes: float = 0.0
    steps: int = 0
    batch_size: int = 16
    crop: int = 512
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.02
    ema: float = 0.999
    clip: float = 5.0
    workers: int = 2
    threads: int = 0
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    log_every: int = 20
    validate_every: int = 500
    validation_pages: int = 48
    save_minutes: float = 5.0
    resume: bool = False
    start_from: Path | None = None
    areas: int = 0
    only: tuple[RegionKind, ...] = ()

    def __post_init__(self) -> None:
        """Refuse contradictions.

        Raises:
            UsageError: There is no end to the run, or the crops do not fit the network.
        """
        if not (self.max_minutes or self.steps):
            raise UsageError("the run has no end", "give --max-minutes or --steps")
        if self.crop % 32 or self.crop < 64:
            raise UsageError(f"crops of {self.crop} pixels", "use a multiple of 32 from 64 on")


# --------------------------------------------------------------------------- loss


class Losses(NamedTuple):
    """What the network is told, each a mean over the pixels that count.

    Attributes:
        total: What is minimised.
        cross_entropy: Of the kernel map.
        dice: Of the kernel map: 1 less the overlap (Milletari et al., 2016).
        direction: Squared error of the reading direction.
        height: Error of the logarithm of the height.
        regions: Cross entropy and dice of the region maps.
    """

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor
    direction: Tensor
    height: Tensor
    regions: Tensor


def detector_loss(maps: DetectorMaps, batch: DetectorBatch) -> Losses:
    """Compare what the network sees with what is there."""
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
    total = 2.0 * entropy + dice + 0.5 * direction + height + regions
    return Losses(total, entropy, dice, direction, height, regions)


def region_loss(seen: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy and dice of logits (B, C, H, W) of C kinds, and where they are."""
    entropy = F.binary_cross_entropy_with_logits(seen, truth)
    present = (truth.sum((0, 2, 3)) > 0).float()
    overlap = _dice(seen.sigmoid(), truth, torch.ones_like(seen))
    return entropy + 0.25 * (overlap * present).sum() / present.sum().clamp_min(1.0)


def with_areas(net: DetectorNet, channels: int) -> DetectorNet:
    """Give a detector a pyramid of its own for the regions; one that has such keeps it."""
    if net.config.areas or not channels:
        return net
    larger = DetectorNet(dataclasses.replace(net.config, areas=channels))
    larger.load_state_dict(net.state_dict(), strict=False)
    return larger


def _dice(probability: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """One less the overlap of (B, C, H, W) over the batch: (C,)."""
    common = (probability * truth * weight).sum((0, 2, 3))
    both = ((probability + truth) * weight).sum((0, 2, 3))
    return 1.0 - (2.0 * common + 1.0) / (both + 1.0)


# --------------------------------------------------------------------------- training


@dataclass
class Position:
    """Where a run stands: steps done, seconds spent, best score so far and its figures."""

    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)


class DetectorTrainer:
    """Trains a detector on drawn pages.

    Args:
        options: What there is to say.
        pages: Pages to learn from.
        held: Pages to validate on.
        config: Geometry of the network, where it starts from nothing.

    Raises:
        UsageError: The folder holds a run already.
        ModelError: The run to resume or the model to start from is not usable.
        DeviceError: The device is not there.
    """

    def __init__(
        self,
        options: DetectorOptions,
        pages: Pages,
        held: Pages,
        config: DetectorConfig | None = None,
    ) -> None:
        self.options = options
        self.last = options.out / "last"
        checkpoint.recover(self.last)
        if self.last.exists() and not options.resume:
            raise UsageError(f"{options.out} holds a run", "--resume goes on; or name another")
        self.device = choose_device(options.device, Group())
        self.precision, _ = choose_precision(options.precision, self.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        start = self.last if options.resume else options.start_from
        if start is None:
            net = DetectorNet(config or DetectorConfig(areas=options.areas))
        else:
            net = with_areas(load_network(find_model(start)), options.areas)
        self.net = net.to(self.device)
        self.kinds = [REGION_KINDS.index(kind) for kind in options.only]
        if self.kinds:
            if net.areas is None:
                raise UsageError(
                    "regions alone are learned in a pyramid of their own", "--areas 64"
                )
            net.requires_grad_(False)
            net.areas.requires_grad_(True)
        for parameter in self.net.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimizer = optimizer_of(
            self.net, "adamw", weight_decay=options.weight_decay, beta2=0.99
        )
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.precision == torch.float16
        )
        self.position = Position()
        if options.resume:
            self._restore()
        self.dataset = CropDataset(pages, options.batch_size, options.crop, options.seed)
        self.held = [
            draw_crop(held, index, options.crop, options.seed + HELD_SEED)
            for index in range(options.validation_pages)
        ]
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of the whole run so far."""
        return self.position.seconds + time.monotonic() - self._began

    def progress(self) -> float:
        """Share of the run that is done, 0 to 1."""
        options = self.options
        shares = [0.0]
        if options.steps:
            shares.append(self.position.step / options.steps)
        if options.max_minutes:
            shares.append(self.seconds / (60 * options.max_minutes))
        return min(1.0, max(shares))

    def learning_rate(self, progress: float) -> float:
        """Linear warm-up, a tenth of the run at most, then half a cosine."""
        cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))
        ramp = (self.position.step + 1) / max(1, self.options.warmup)
        return self.options.learning_rate * cosine * min(1.0, max(ramp, 10 * progress))

    def run(self) -> bool:
        """Train to the end, or until SIGINT or SIGTERM; save; return whether it was the end."""
        options, position = self.options, self.position
        options.out.mkdir(parents=True, exist_ok=True)
        log = Log(options.out / "log.jsonl", position.step)
        stopped: list[int] = []
        before = {
            number: signal.signal(number, lambda number, _: stopped.append(number))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        batches = batches_from(self.dataset, position.step, options.workers)
        sums, since, saved = [], time.monotonic(), time.monotonic()
        try:
            while (progress := self.progress()) < 1.0 and not stopped:
                rate = self.learning_rate(progress)
                sums.append(self.step(next(batches).to(self.device), rate))
                if position.step % options.log_every == 0:
                    means = torch.stack(sums).mean(0).tolist()
                    speed = options.batch_size * len(sums) / (time.monotonic() - since)
                    self._tell(log, means, rate, speed, progress)
                    sums, since = [], time.monotonic()
                if position.step % options.validate_every == 0:
                    self._validate(log)
                    since = time.monotonic()
                if time.monotonic() - saved > 60 * options.save_minutes:
                    self._save()
                    saved = time.monotonic()
            if not stopped and position.step % options.validate_every:
                self._validate(log)
            self._save()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return not stopped

    def step(self, batch: DetectorBatch, rate: float) -> Tensor:
        """Take one step; return the losses in the order of ``Losses``."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.net.train()
        if self.kinds and self.net.areas is not None:  # norms of what is frozen are frozen, too
            self.net.eval()
            self.net.areas.train()
        pixels = batch.pixels.to(memory_format=torch.channels_last)
        half = self.precision != torch.float32
        with torch.autocast(self.device.type, self.precision, enabled=half):
            maps = self.net(pixels)
        losses = detector_loss(maps, batch)
        wanted = losses.total
        if self.kinds:
            wanted = region_loss(maps.regions[:, self.kinds].float(), batch.regions[:, self.kinds])
        torch.autograd.backward(self.scaler.scale(wanted))
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.options.clip)
        if self.scaler.is_enabled() or bool(norm.isfinite()):
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.position.step += 1
        self._average()
        return torch.stack(losses).detach()

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones, faster while the run is young."""
        step = self.position.step
        share = 1.0 - min(self.options.ema, (1 + step) / (10 + step))
        present = self.net.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(present[name], share)
            else:
                value.copy_(present[name])

    def _tell(
        self, log: Log, means: Sequence[float], rate: float, speed: float, progress: float
    ) -> None:
        values = {name: round(v, 5) for name, v in zip(Losses._fields, means, strict=True)}
        log.add(
            {
                "kind": "train",
                "step": self.position.step,
                **values,
                "learning_rate": rate,
                "crops_per_second": round(speed, 2),
                "seconds": round(self.seconds, 1),
            }
        )
        parts = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        console.say(
            f"{progress:4.0%}  step {self.position.step}  {parts}  lr {rate:.2g}  {speed:.1f}/s"
        )

    def _validate(self, log: Log) -> None:
        """Score the averaged weights through the real post-processing; keep the best."""
        position = self.position
        scores, entropy, overlap = self.validate()
        metrics = {
            "precision": round(scores.precision, 5),
            "recall": round(scores.recall, 5),
            "f1": round(scores.f1, 5),
            "loss": round(entropy, 5),
            "regions": round(overlap, 5),
        }
        log.add(
            {
                "kind": "validation",
                "step": position.step,
                **metrics,
                "lines": scores.drawn,
                "seconds": round(self.seconds, 1),
            }
        )
        score = metrics["regions" if self.kinds else "f1"]
        is_best = score >= position.best
        if is_best:
            position.best, position.metrics = score, metrics
            checkpoint.write_folder(self.options.out / "best", self._model_files())
        console.say(
            f"step {position.step}: precision {scores.precision:.1%}  recall {scores.recall:.1%}"
            f"  f1 {scores.f1:.1%} of {scores.drawn} lines  regions {overlap:.1%}"
            f"{'  best' if is_best else ''}"
        )

    @torch.inference_mode()
    def validate(self) -> tuple[LineScores, float, float]:
        """Look at the held crops.

        Returns:
            Scores of the lines found, the mean loss, and the overlap (intersection over union) of
            regions in pixels, the mean of the kinds that are learned.
        """
        scores, losses = [], []
        common, either = torch.zeros(REGIONS), torch.zeros(REGIONS)
        for start in range(0, len(self.held), self.options.batch_size):
            crops = self.held[start : start + self.options.batch_size]
            batch = collate(crops).to(self.device)
            seen = self.average(batch.pixels.to(memory_format=torch.channels_last))
            losses.append(float(detector_loss(seen, batch).total) * len(crops))
            kernel, geometry, regions = (
                part.cpu().numpy()
                for part in (seen.kernel.sigmoid(), seen.geometry, seen.regions.sigmoid())
            )
            there, told = batch.regions.cpu() > 0, torch.from_numpy(regions) > REGION_THRESHOLD
            common += (there & told).sum((0, 2, 3))
            either += (there | told).sum((0, 2, 3))
            for i, crop in enumerate(crops):
                found = find_lines(Maps(kernel[i, 0], geometry[i], regions[i]))
                drawn = [line.quad for line in crop.lines]
                quads = [line.quad for line in found]
                scores.append(match_lines(drawn, quads, crop.image.shape, LEAST_HEIGHT))
        loss = sum(losses) / max(len(self.held), 1)
        overlap = (common / either.clamp_min(1))[self.kinds or slice(None)]
        return add_scores(scores), loss, float(overlap.mean())

    # ----------------------------------------------------------------- files

    def _model_files(self) -> dict[str, bytes]:
        facts = {
            "schema": 1,
            "kind": "detector",
            "config": self.net.config.to_dict(),
            "step": self.position.step,
            "metrics": self.position.metrics,
        }
        return {
            WEIGHTS: _packed(self.average.state_dict()),
            METADATA: checkpoint.to_json(facts).encode(),
        }

    def _save(self) -> None:
        tensors = {f"weights.{name}": value for name, value in self.net.state_dict().items()}
        tensors |= moments(self.optimizer, self.net.named_parameters())
        facts = {
            "position": dataclasses.asdict(
                dataclasses.replace(self.position, seconds=self.seconds)
            ),
            "scaler": self.scaler.state_dict(),
        }
        files = self._model_files()
        files |= {STATE: _packed(tensors), STATE_FACTS: checkpoint.to_json(facts).encode()}
        checkpoint.write_folder(self.last, files)

    def _restore(self) -> None:
        try:
            facts = json.loads((self.last / STATE_FACTS).read_text("utf-8"))
            tensors = load_tensors((self.last / STATE).read_bytes())
            self.position = Position(**facts["position"])
            self.scaler.load_state_dict(facts["scaler"])
            present = self.net.state_dict()
            with torch.no_grad():
                for name, value in present.items():
                    value.copy_(tensors[f"weights.{name}"])
        except OSError as error:
            reason = error.strerror or error
            raise ModelError(f"{self.last}: nothing to resume from ({reason})") from None
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{self.last}: damaged training state: {error}") from None
        restore_moments(self.optimizer, self.net.named_parameters(), tensors)


def _packed(tensors: dict[str, Any]) -> bytes:
    # A state that averages are made from holds channels-last tensors; files hold plain ones.
    return bytes(
        save_tensors({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
    )


# --------------------------------------------------------------------------- command


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ocrtool.training.detector",
        description="Train the text detector on drawn pages.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the run")
    for flag, what in (
        ("--fonts", "folders with fonts"),
        ("--text", "text files"),
        ("--formulas", "PDFs of formulas, of python -m ocrtool.synth.formulas --pdf"),
    ):
        parser.add_argument(flag, type=Path, nargs="+", action="extend", default=[], help=what)
    for field in dataclasses.fields(DetectorOptions):
        if field.name in ("out", "resume", "start_from", "only"):
            continue
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, type=type(field.default), default=field.default)
    parser.add_argument("--start-from", type=Path, help="model to start from")
    parser.add_argument(
        "--only", choices=REGION_KINDS, nargs="+", default=[], help="regions that alone are learned"
    )
    parser.add_argument(
        "--mathematics",
        type=float,
        default=MATHEMATICS_WEIGHT,
        help="weight of pages of mathematics",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    given = vars(parser.parse_args(arguments))
    folders, texts, formulas = (tuple(given.pop(key)) for key in ("fonts", "text", "formulas"))
    mathematics = given.pop("mathematics")
    try:
        options = DetectorOptions(**{**given, "only": tuple(given["only"])})
        cv2.setNumThreads(0)
        fonts = tuple(find_fonts(folders))
        pages = SharedPages(fonts, texts, options.seed, formulas, mathematics)
        held = dataclasses.replace(pages, seed=options.seed + HELD_SEED)
        finished = DetectorTrainer(options, pages, held).run()
    except OcrToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.OK if finished else ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
