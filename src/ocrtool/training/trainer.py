"""The training loop of all networks: batches to optimizer steps, validated, logged and saved.

- A `Task` supplies batches, losses, validation scores and the model's files; `Trainer` does the
  rest.
- Losses are divided by the counts of the whole step (all accumulated batches, all processes), so
  accumulation, splitting and data-parallel training equal one large batch.
- No random number generator has a state: data, noise and dropout are drawn from the seed and
  their own number, so a resumed run continues bit for bit.
- The moving average of the weights is validated and saved as the model.
- Progress is the largest of the used shares of steps, epochs and minutes; the learning rate
  follows it, so the schedule ends when the time does.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from ocrtool import console
from ocrtool.engines import lacks_memory
from ocrtool.errors import ModelError, OutputError, UsageError
from ocrtool.training import checkpoint
from ocrtool.training.curves import draw_curves
from ocrtool.training.distributed import Compute, Group, process_group
from ocrtool.training.optimizers import moments, optimizer_of, restore_moments
from ocrtool.training.options import OPTIONS, RunOptions, TrainOptions
from ocrtool.training.report import Log, MetricsWindow, TrainingProgress

WARMUP_SHARE = 0.03
"""Share of the run over which the learning rate rises where no warm-up steps are given."""
UNKNOWN_STEP_SHARE = 1e-3
"""Assumed share of the run of one step, for the warm-up of a run that is limited by time alone."""

B = TypeVar("B")


@dataclass(frozen=True)
class TrainResult:
    """Result of a run.

    Attributes:
        last: Folder of the last checkpoint.
        best: Folder of the best model.
        step: Optimizer steps done, resumed parts included.
        seconds: Seconds spent, resumed parts included.
        metrics: Scores of the best model.
        interrupted: Stopped by Ctrl-C or SIGTERM after saving (exit code 130).
        sheet: Contact sheet of samples, where only that was asked for.
    """

    last: Path
    best: Path
    step: int
    seconds: float
    metrics: Mapping[str, float]
    interrupted: bool = False
    sheet: Path | None = None


@dataclass
class Position:
    """State of a run beside weights and moments.

    Attributes:
        step: Optimizer steps done.
        batches: Batches that this process has consumed.
        seconds: Seconds spent before this start of the program.
        best: Score of the best model, lower is better; None before the first validation.
        metrics: Scores of the best model.
        split: Parts that a batch is cut into since memory ran out.
        longest: Maximum length of the texts in training at present; 0 for any.
    """

    step: int = 0
    batches: int = 0
    seconds: float = 0.0
    best: float | None = None
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    split: int = 1
    longest: int = 0


class Task(ABC, Generic[B]):
    """The network-specific part of training: data, losses, validation and files.

    Attributes:
        options: Options with a peak learning rate and an accumulation.
        compute: Where and how to compute.
        model: The network on its device; parameters that require gradients are trained.
        epoch_samples: Samples of one pass over the data; 0 where the data is endless.
        keeps_best: Whether ``best/`` is written beside ``last/``.
        has_tokens: Whether texts consist of LaTeX tokens, which have an edit similarity.
    """

    options: RunOptions
    compute: Compute
    model: nn.Module
    epoch_samples: int = 0
    keeps_best: bool = True
    has_tokens: bool = False

    @abstractmethod
    def batches(self, position: Position) -> Generator[B, None, None]:
        """Yield endless training batches, from the first that the run has not consumed."""

    @abstractmethod
    def counts(self, batch: B) -> Sequence[float]:
        """Return samples, samples left out, and the counts that losses are divided by."""

    @abstractmethod
    def split(self, batch: B, parts: int) -> Iterator[B]:
        """Cut a batch into up to `parts` parts that need less memory."""

    @abstractmethod
    def losses(self, batch: B, totals: Sequence[float]) -> dict[str, Tensor]:
        """Return scalars to log by name, of which ``loss`` is minimised.

        Args:
            batch: A batch or a part of one.
            totals: `counts`, summed over the step and over all processes.
        """

    @abstractmethod
    def validate(self, model: nn.Module, stopped: Callable[[], bool]) -> dict[str, Any] | None:
        """Return validation scores; None where there is no set, or `stopped` became true."""

    @abstractmethod
    def write_model(self, folder: Path, model: nn.Module, position: Position) -> None:
        """Write the files of the model."""

    def report(self, scores: Mapping[str, Any]) -> list[str]:
        """Describe validation scores in lines of text; by default those of readings."""
        rates = f"CER {scores['cer']:.2%}  WER {scores['wer']:.2%}"
        if self.has_tokens:
            rates = f"edit similarity {scores['similarity']:.2%}"
        first = (
            f"validation loss {scores['loss']:.4f}  accuracy {scores['accuracy']:.2%}"
            f"  {rates}  exact {scores['exact']:.1%}"
        )
        pairs = scores["samples"]
        return [first, *(f"{'=' if t == r else '!'} {t!r} -> {r!r}" for t, r in pairs)]

    def score(self, scores: Mapping[str, Any]) -> float:
        """Return the number that decides which model is best; lower is better."""
        return float(scores["loss"])

    def advance(self, position: Position, progress: float) -> bool:
        """Adapt the data to the progress of the run; return whether batches change."""
        return False

    def train_mode(self) -> None:
        """Put the network into training mode."""
        self.model.train()

    def compile(self) -> None:
        """Compile the network if the options request it; its average is not compiled."""


class Interrupt:
    """Records Ctrl-C and SIGTERM, so that the loop can save and stop; a second one ends at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def run_task(options: RunOptions, make: Callable[[Compute], Task[Any]]) -> TrainResult:
    """Claim the folder of a run, make its task, and train until the end or an interruption.

    Raises:
        UsageError: The folder holds another run.
        OutputError: The folder cannot be written; its old content is kept.
        DeviceError: The device is missing, or cannot compute in the precision.
    """
    with process_group(options.device) as group, Interrupt() as interrupt:
        compute = Compute.chosen(options, group)
        claim_folder(options, group)
        return Trainer(make(compute)).run(interrupt)


def claim_folder(options: RunOptions, group: Group) -> None:
    """Create the folder of a run and write its options.

    Raises:
        UsageError: It holds another run.
        OutputError: It cannot be written.
    """
    draws_only = isinstance(options, TrainOptions) and options.draw > 0
    last = options.out / "last"
    checkpoint.recover(last)
    if last.exists() and not (options.resume or options.overwrite or draws_only):
        raise UsageError(
            f"{options.out} holds a run", "--resume continues it, --overwrite replaces it"
        )
    if not group.leads:
        return
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {options.out}: {error.strerror or error}") from None
    if draws_only:
        return
    with console.atomic_write(options.out / OPTIONS) as temporary:
        temporary.write_text(checkpoint.to_json(options.to_dict()), "utf-8")


class Trainer(Generic[B]):
    """One run on one process, of a task.

    Raises:
        UsageError: A run is resumed with another number of processes.
        ModelError: The run to resume is damaged or trained other parts.
    """

    def __init__(self, task: Task[B]) -> None:
        self.task, self.options = task, task.options
        options, compute = task.options, task.compute
        self.group, self.device = compute.group, compute.device
        self.model = task.model
        self.average = self.model
        if options.ema:
            self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.trained = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        stored = self.model.state_dict().keys()
        self.buffers = [(n, b) for n, b in self.model.named_buffers() if n in stored]
        self.optimizer = optimizer_of(
            self.model, options.optimizer, weight_decay=options.weight_decay, beta2=options.beta2
        )
        # Beside its work in fp16, the scaler skips every step whose gradient is not finite without
        # waiting for the GPU; in other formats its scale stays at 1.
        self.scales = compute.precision == torch.float16
        self.scaler = torch.amp.GradScaler(
            self.device.type, init_scale=2.0**16 if self.scales else 1.0
        )
        self.position = Position()
        if options.resume:
            self._restore(*checkpoint.load_state(options.out / "last"))
        task.compile()
        self.started = time.monotonic()

    # ------------------------------------------------------------------ time and rate

    @property
    def seconds(self) -> float:
        """Seconds of the whole run so far."""
        return self.position.seconds + time.monotonic() - self.started

    def progress(self, seconds: float) -> float:
        """Return the share of the run that is done, 0 to 1."""
        options, position = self.options, self.position
        shares = [0.0]
        if options.steps:
            shares.append(position.step / options.steps)
        if options.max_minutes:
            shares.append(seconds / (60 * options.max_minutes))
        if options.epochs:
            seen = position.batches * options.batch_size * self.group.size
            shares.append(seen / (options.epochs * self.task.epoch_samples))
        return min(1.0, max(shares))

    def learning_rate(self, progress: float) -> float:
        """Return the rate after linear warm-up and cosine decay to the final share."""
        options = self.options
        floor = options.final_learning_rate
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
        if options.warmup is None:
            share = 1 / options.steps if options.steps else UNKNOWN_STEP_SHARE
            ramp = (progress + share) / WARMUP_SHARE
        else:
            ramp = max((self.position.step + 1) / max(1, options.warmup), 10 * progress)
        return (options.learning_rate or 0.0) * cosine * min(1.0, ramp)

    # ------------------------------------------------------------------ run

    def run(self, interrupt: Interrupt) -> TrainResult:
        """Train until the end or an interruption, and save."""
        options, position, group = self.options, self.position, self.group
        log = Log(options.out / "log.jsonl", position.step) if group.leads else None
        display = TrainingProgress(quiet=not group.leads)
        window = MetricsWindow(group.size)
        batches: Generator[B, None, None] | None = None
        began = (time.monotonic(), self.progress(self.seconds))
        saved_at = time.monotonic()
        validated = -1
        try:
            while True:
                seconds, stop = group.agreed(self.seconds, interrupt.asked)
                progress = self.progress(seconds)
                if stop or progress >= 1.0:
                    break
                if self.task.advance(position, progress) and batches is not None:
                    batches.close()
                    batches = None
                if batches is None:
                    batches = self.task.batches(position)
                rate = self.learning_rate(progress)
                self._step(batches, rate, window)
                if log is None:
                    continue
                if position.step % options.log_every == 0:
                    record = window.record(position.step, rate, self.seconds, options.log_every)
                    log.add(record)
                    display.training(record, progress, _time_left(began, progress))
                paused = time.monotonic()
                due = position.step % options.validate_every == 0
                if due:
                    validated = position.step
                    self._validate(log, display, interrupt)
                if due or paused - saved_at > 60 * options.save_minutes > 0:
                    self._save()
                    saved_at = time.monotonic()
                    window.since += saved_at - paused  # the speed is that of training alone
            if log is not None:
                if not (stop or interrupt.asked or validated == position.step):
                    self._validate(log, display, interrupt)
                self._save()
        finally:
            display.close()
        last = options.out / "last"
        return TrainResult(
            last=last,
            best=options.out / "best" if self.task.keeps_best else last,
            step=position.step,
            seconds=self.seconds,
            metrics=dict(position.metrics),
            interrupted=interrupt.asked or stop,
        )

    def _step(self, batches: Iterator[B], rate: float, window: MetricsWindow) -> None:
        """Take one optimizer step over the accumulated batches."""
        options, position, group = self.options, self.position, self.group
        accumulation = options.accumulation or 1
        micro = [next(batches) for _ in range(accumulation)]
        counts = [self.task.counts(batch) for batch in micro]
        totals = group.total([sum(column) for column in zip(*counts, strict=True)])
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        self.task.train_mode()
        while True:
            # Dropout is a function of the seed and the step, so a resumed run repeats it.
            torch.manual_seed((options.seed * 1_000_003 + position.step) * 1009 + group.rank)
            try:
                for batch, (samples, *_) in zip(micro, counts, strict=True):
                    if samples:
                        self._backward(batch, totals, window)
                break
            except RuntimeError as error:
                largest = max(samples for samples, *_ in counts)
                if not lacks_memory(error) or position.split >= largest:
                    raise
            window.forget()
            self.optimizer.zero_grad()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            position.split *= 2
            console.warn(f"out of memory: batches are cut into {position.split} parts from here on")
        for _, parameter in self.trained:
            if parameter.grad is None:  # every process must have the same gradients
                parameter.grad = torch.zeros_like(parameter)
        parameters = [parameter for _, parameter in self.trained]
        group.add_gradients(parameters)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(parameters, options.clip or math.inf, foreach=True)
        self.scaler.step(self.optimizer)
        self.scaler.update(None if self.scales else 1.0)
        self.optimizer.zero_grad()
        position.step += 1
        position.batches += accumulation
        self._average()
        window.close(norm, totals[0], totals[1])

    def _backward(self, batch: B, totals: Sequence[float], window: MetricsWindow) -> None:
        parts = [batch] if self.position.split == 1 else self.task.split(batch, self.position.split)
        for part in parts:
            losses = self.task.losses(part, totals)
            torch.autograd.backward(self.scaler.scale(losses["loss"]))
            window.add(losses)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones, faster while the run is young."""
        if self.average is self.model:
            return
        step = self.position.step
        share = 1.0 - min(self.options.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), share)
        means = dict(self.average.named_buffers())
        for name, value in self.buffers:
            if value.is_floating_point():
                means[name].lerp_(value, share)
            else:
                means[name].copy_(value)

    # ------------------------------------------------------------------ validate and save

    def _validate(self, log: Log, display: TrainingProgress, interrupt: Interrupt) -> None:
        """Score the averaged weights, log it, and keep them where they are the best so far."""
        scores = self.task.validate(self.average, lambda: interrupt.asked)
        if scores is None:
            return
        position, out = self.position, self.options.out
        seconds = round(self.seconds, 1)
        log.add({"kind": "validation", "step": position.step, **scores, "seconds": seconds})
        score = self.task.score(scores)
        is_best = self.task.keeps_best and (position.best is None or score < position.best)
        if is_best or not self.task.keeps_best:
            position.best = score
            position.metrics = {k: v for k, v in scores.items() if isinstance(v, float)}
        if is_best:
            with checkpoint.replacing(out / "best") as fresh:
                self.task.write_model(fresh, self.average, position)
        display.validation(position.step, self.task.report(scores), is_best)
        draw_curves(log.records, out / "curves.png")

    def _save(self) -> None:
        position = dataclasses.replace(self.position, seconds=self.seconds)
        tensors = {f"weights.{name}": value for name, value in (*self.trained, *self.buffers)}
        tensors |= moments(self.optimizer, self.trained)
        facts = {
            "position": dataclasses.asdict(position),
            "scaler": self.scaler.state_dict(),
            "processes": self.group.size,
        }
        with checkpoint.replacing(self.options.out / "last") as fresh:
            self.task.write_model(fresh, self.average, position)
            checkpoint.write_state(fresh, tensors, facts)

    def _restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Restore the weights, the optimizer and the position of a saved run."""
        folder = self.options.out / "last"
        try:
            facts = {"processes": 1, "scaler": self.scaler.state_dict(), **facts}
            position = dict(facts["position"])
            if "batches" not in position:  # an older detector run, whose best score is an F1
                position |= {"batches": position["step"], "best": 1.0 - position["best"]}
            self.position = Position(**position)
            if facts["scaler"]:
                self.scaler.load_state_dict(facts["scaler"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"{folder}: damaged training state: {error}") from None
        if facts["processes"] != self.group.size:
            raise UsageError(
                f"the run had {facts['processes']} processes, this has {self.group.size}",
                "resume with the same number",
            )
        with torch.no_grad():
            for name, value in (*self.trained, *self.buffers):
                if f"weights.{name}" not in tensors:
                    raise ModelError(f"{folder}: the run trained other parts")
                value.copy_(tensors[f"weights.{name}"])
        restore_moments(self.optimizer, self.trained, tensors)


def _time_left(began: tuple[float, float], progress: float) -> float | None:
    """Return the seconds that are left, from the clock and the progress at the beginning."""
    done = progress - began[1]
    if done <= 0:
        return None
    return (time.monotonic() - began[0]) * (1.0 - progress) / done
