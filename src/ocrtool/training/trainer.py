"""The training loop: data to batches to steps, validated, logged and saved.

What is worth knowing:

- Losses are sums over characters, divided by the characters of the whole step (all batches that
  accumulate, all processes). So a character weighs the same in whatever batch it stands, and
  accumulation, splitting and data-parallel training all equal the one big batch.
- Nothing random has a state: data, noise and dropout are drawn from the seed and their own number.
  A resumed run goes on bit for bit.
- The weights that are validated and saved as the model are the moving average.
- Progress is the largest of the shares of steps, epochs and minutes that are used up; the learning
  rate follows it, so the schedule ends when the time does.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor

from ocrtool import console
from ocrtool.engines.base import find_model
from ocrtool.engines.oom import lacks_memory
from ocrtool.errors import OcrToolError, OutputError, UsageError
from ocrtool.models.config import ModelConfig
from ocrtool.models.decoder import DecoderBlock
from ocrtool.models.ocr import OcrModel
from ocrtool.models.vision import VisionBlock
from ocrtool.training import checkpoint
from ocrtool.training.checkpoint import Checkpoint, TrainerState
from ocrtool.training.config import (
    DEFAULT_EPOCHS,
    DEFAULT_STEPS,
    LEARNING_RATES,
    OPTIONS,
    TrainOptions,
)
from ocrtool.training.curves import draw_curves, draw_sheet
from ocrtool.training.data import Batch, PoolDataset, batches_from
from ocrtool.training.distributed import Group, choose_device, choose_precision, process_group
from ocrtool.training.evaluation import (
    Scores,
    Tensors,
    guidance_of,
    sums_of,
    to_device,
    validate,
)
from ocrtool.training.optimizers import moments, optimizer_of, restore_moments
from ocrtool.training.prepare import DataSets, prepare
from ocrtool.training.published import fetched_parts, load_parts
from ocrtool.training.report import Log, TrainingProgress
from ocrtool.training.stage_options import StageOptions


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    Attributes:
        last: Folder of the last checkpoint.
        best: Folder of the best model.
        step: Steps done, resumed parts included.
        seconds: Seconds spent, likewise.
        metrics: Scores of the best model.
        interrupted: Stopped by Ctrl-C (or SIGTERM) after saving: exit code 130.
        sheet: Picture of drawn samples, where only that was asked for.
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
    """Where a run stands.

    Attributes:
        step: Steps done.
        batches: Batches that this process has had.
        seconds: Seconds spent before this start of the program.
        best: Score of the best model, lower is better; None before the first validation.
        metrics: Scores of the best model.
        split: Parts that a batch is cut into since memory ran out.
        longest: Longest text that is learnt from at present; 0 for any.
    """

    step: int = 0
    batches: int = 0
    seconds: float = 0.0
    best: float | None = None
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    split: int = 1
    longest: int = 0


def run(options: TrainOptions) -> TrainResult:
    """Train a model.

    Args:
        options: Everything that there is to say.

    Returns:
        What came of it; `interrupted` where Ctrl-C ended it.

    Raises:
        UsageError: Options contradict each other, or a folder holds a run already.
        InputError: No usable data.
        OutputError: The folder cannot be written; what lay in it is as it was.
        ModelError: The model to start from or the run to resume is not usable.
        DeviceError: The device is not there.
    """
    with process_group(options.device) as group, Interrupt() as interrupt:
        device = choose_device(options.device, group)
        if options.threads:
            torch.set_num_threads(options.threads)
        cv2.setNumThreads(0)
        claim_folder(options, group)
        start = _starting_point(options)
        options = fetched_parts(options)
        data, config = prepare(options, start, group)
        if options.draw:
            return _draw(options, data)
        trainer = Trainer(options, config, data, group, device, start)
        return trainer.run(interrupt)


def claim_folder(options: TrainOptions | StageOptions, group: Group) -> None:
    """Make the folder of a run, and write down what it was asked for.

    Raises:
        UsageError: It holds another run.
        OutputError: It cannot be written.
    """
    looking = isinstance(options, TrainOptions) and options.draw > 0
    last = options.out / "last"
    checkpoint.recover(last)
    if last.exists() and not (options.resume or options.overwrite or looking):
        raise UsageError(f"{options.out} holds a run", "--resume goes on, --overwrite starts anew")
    if not group.leads:
        return
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {options.out}: {error.strerror or error}") from None
    if looking:
        return
    with console.atomic_write(options.out / OPTIONS) as temporary:
        temporary.write_text(checkpoint.to_json(options.to_dict()), "utf-8")


def _starting_point(options: TrainOptions) -> Checkpoint | None:
    if options.resume:
        return checkpoint.load(options.out / "last")
    if options.start_from is not None:
        return checkpoint.load(find_model(options.start_from))
    return None


def _draw(options: TrainOptions, data: DataSets) -> TrainResult:
    """Draw a sheet of samples instead of training."""
    path = options.out / "samples.png"
    source, size = data.upto(options.longest(0.0))
    count = min(options.draw, size) if size else options.draw
    samples = [source.draw(index) for index in range(count)]
    draw_sheet([(data.preparation.pixels(s.image), s.text) for s in samples], path)
    console.say(f"{count} samples drawn to {path}")
    return TrainResult(options.out / "last", options.out / "best", 0, 0.0, {}, sheet=path)


class Interrupt:
    """Notes Ctrl-C and SIGTERM, so that the loop may save and stop; a second one ends at once."""

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


# --------------------------------------------------------------------------- the loop


class Trainer:
    """One run on one process.

    Args:
        options: What was asked for.
        config: Geometry of the network.
        data: Training and validation set.
        group: The processes that train together.
        device: Where this one computes.
        start: Model to go on from; a run to resume where ``options.resume``.
    """

    def __init__(
        self,
        options: TrainOptions,
        config: ModelConfig,
        data: DataSets,
        group: Group,
        device: torch.device,
        start: Checkpoint | None,
    ) -> None:
        if not (options.steps or options.epochs or options.max_minutes):
            end = {"epochs": DEFAULT_EPOCHS} if options.data else {"steps": DEFAULT_STEPS}
            options = dataclasses.replace(options, **end)
            if group.leads:
                console.say(
                    f"no end given: training for {next(iter(end.values()))} {next(iter(end))}"
                )
        self.options, self.config, self.data = options, config, data
        self.group, self.device = group, device
        self.precision, reason = choose_precision(options.precision, device)
        if group.leads:
            console.note(f"{device}, {str(self.precision).removeprefix('torch.')}: {reason}")
        torch.manual_seed(options.seed)
        # On a CPU the fused attention is slower than plain products, most of all backward.
        plain = device.type == "cpu" and options.use_flash is None
        self.model = OcrModel(dataclasses.replace(config, flash=config.flash and not plain))
        if start is not None:
            known = checkpoint.transfer(start, self.model, data.preparation.vocabulary)
            if group.leads and not options.resume:
                vocabulary = data.preparation.vocabulary
                new = len(vocabulary.entries) - known
                console.say(
                    f"starting from a trained model: {known} {vocabulary.unit}s known, {new} new"
                )
        elif options.vision_from or options.decoder_from:
            load_parts(options, self.model)
            if group.leads:
                console.say("starting from published weights")
        self.model.to(device)
        self.average = copy.deepcopy(self.model).eval() if options.ema else self.model
        self.optimizer = optimizer_of(
            self.model,
            options.optimizer,
            weight_decay=options.weight_decay,
            beta2=options.beta2,
        )
        # Beside its work in fp16, the scaler skips every step whose gradient is not finite, and it
        # does so without waiting for the GPU; in other types its scale stays at 1.
        self.scales = self.precision == torch.float16
        self.scaler = torch.amp.GradScaler(device.type, init_scale=2.0**16 if self.scales else 1.0)
        self.position = Position(longest=options.longest(0.0))
        if options.resume:
            self._restore(checkpoint.load_state(options.out / "last"))
        if options.compile:  # block by block: all blocks of a kind share their code
            for module in self.model.modules():
                if isinstance(module, VisionBlock | DecoderBlock):
                    module.compile(dynamic=True)
        self.dataset = self._dataset()
        self.rows = data.upto(0)[1] if options.data else 0
        self.weights = (options.decoder_weight, options.ctc_weight) if config.ctc else (1.0, 0.0)
        self.started = time.monotonic()

    def _dataset(self) -> PoolDataset:
        """The training set as far as the curriculum has come."""
        source, size = self.data.upto(self.position.longest)
        options = self.options
        return PoolDataset(
            source,
            size,
            self.data.preparation,
            options.batch_size,
            options.token_noise,
            options.seed,
        )

    # ------------------------------------------------------------------ time and rate

    @property
    def seconds(self) -> float:
        """Seconds of the whole run so far."""
        return self.position.seconds + time.monotonic() - self.started

    def progress(self, seconds: float) -> float:
        """Share of the run that is done, 0 to 1."""
        options, position = self.options, self.position
        shares = [0.0]
        if options.steps:
            shares.append(position.step / options.steps)
        if options.max_minutes:
            shares.append(seconds / (60 * options.max_minutes))
        if options.epochs:
            seen = position.batches * options.batch_size * self.group.size
            shares.append(seen / (options.epochs * self.rows))
        return min(1.0, max(shares))

    def learning_rate(self, progress: float) -> float:
        """Linear warm-up, a tenth of the run at most, then half a cosine to the final share."""
        options = self.options
        peak = options.learning_rate or LEARNING_RATES.get(self.config.preset, 5e-4)
        floor = options.final_learning_rate
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
        ramp = (self.position.step + 1) / max(1, options.warmup)
        return peak * cosine * min(1.0, max(ramp, 10 * progress))

    # ------------------------------------------------------------------ run

    def run(self, interrupt: Interrupt) -> TrainResult:
        """Train until the end or an interruption, and save."""
        options, position, group = self.options, self.position, self.group
        log = Log(options.out / "log.jsonl", position.step) if group.leads else None
        display = TrainingProgress(quiet=not group.leads)
        batches = self._batches()
        window = _Window(self.device)
        began = (time.monotonic(), self.progress(self.seconds))
        saved_at = time.monotonic()
        validated = -1
        try:
            while True:
                seconds, stop = group.agreed(self.seconds, interrupt.asked)
                progress = self.progress(seconds)
                if stop or progress >= 1.0:
                    break
                longest = options.longest(progress)
                if longest != position.longest:
                    position.longest = longest
                    self.dataset = self._dataset()
                    batches.close()
                    batches = self._batches()
                    if log is not None:
                        console.say(f"step {position.step}: texts of up to {longest} from here on")
                rate = self.learning_rate(progress)
                self._step(batches, rate, window)
                if log is None:
                    continue
                if position.step % options.log_every == 0:
                    record = window.record(position.step, rate, self.seconds, options.log_every)
                    log.add(record)
                    left = time_left(began, progress)
                    display.training(record, progress, left)
                paused = time.monotonic()
                due = position.step % options.validate_every == 0
                if due:
                    validated = position.step
                    self._validate(log, display, interrupt)
                if due or paused - saved_at > 60 * options.save_minutes > 0:
                    self._save()
                    saved_at = time.monotonic()
                    window.since += saved_at - paused  # the rate is that of training alone
            if log is not None:
                if not interrupt.asked and validated != position.step:
                    self._validate(log, display, interrupt)
                self._save()
        finally:
            display.close()
        return TrainResult(
            last=options.out / "last",
            best=options.out / "best",
            step=position.step,
            seconds=self.seconds,
            metrics=dict(position.metrics),
            interrupted=interrupt.asked or stop,
        )

    def _batches(self) -> Generator[tuple[Batch, int], None, None]:
        """Training batches from where the run stands."""
        options, group = self.options, self.group
        return batches_from(
            self.dataset, self.position.batches, options.workers, group.rank, group.size
        )

    def _step(self, batches: Iterator[tuple[Batch, int]], rate: float, window: _Window) -> None:
        """One step of the optimiser over `accumulation` batches."""
        options, position, group = self.options, self.position, self.group
        micro = [next(batches) for _ in range(options.accumulation)]
        loaded = [to_device(batch, self.device) for batch, _ in micro]
        characters, tokens = _counts([batch for batch, _ in micro])
        samples = sum(batch.pixels.shape[0] for batch in loaded)
        characters_all, tokens_all, samples_all = group.total([characters, tokens, samples])
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        self.model.train()
        while True:
            # Dropout is a function of the seed and the step, so a resumed run repeats it.
            torch.manual_seed((options.seed * 1_000_003 + position.step) * 1009 + group.rank)
            try:
                for batch in loaded:
                    for part in _parts(batch, position.split):
                        self._backward(part, characters_all, tokens_all, window)
                break
            except RuntimeError as error:
                largest = max(batch.pixels.shape[0] for batch in loaded)
                if not lacks_memory(error) or position.split >= largest:
                    raise
            window.forget()
            self.optimizer.zero_grad()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            position.split *= 2
            console.warn(f"out of memory: batches are cut into {position.split} parts from here on")
        group.add_gradients(self.model.parameters())
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), options.clip or math.inf, foreach=True
        )
        self.scaler.step(self.optimizer)
        self.scaler.update(None if self.scales else 1.0)
        self.optimizer.zero_grad()
        position.step += 1
        position.batches += options.accumulation
        self._average()
        window.close(norm, tokens, round(samples_all), sum(n for _, n in micro))

    def _backward(self, batch: Tensors, characters: float, tokens: float, window: _Window) -> None:
        half = self.precision != torch.float32
        with torch.autocast(self.device.type, self.precision, enabled=half):
            guided = self.options.guidance > 0
            output = self.model(batch.pixels, batch.tokens, batch.sizes, guided)
            sums = sums_of(output, batch, self.options.label_smoothing)
            guidance = (
                guidance_of(output, batch, self.model.decoder.embed.weight) if guided else None
            )
        decoder, ctc = sums.decoder / tokens, sums.ctc / characters
        loss = self.weights[0] * decoder + self.weights[1] * ctc
        if guidance is not None:
            loss = loss + self.options.guidance / tokens * guidance
        torch.autograd.backward(self.scaler.scale(loss))
        window.add(loss.detach(), decoder.detach(), ctc.detach(), sums.correct)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones, faster while the run is young."""
        if self.average is self.model:
            return
        step = self.position.step
        decay = min(self.options.ema, (1 + step) / (10 + step))
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.model.parameters()), 1.0 - decay
        )

    # ------------------------------------------------------------------ validate and save

    def _validate(self, log: Log, display: TrainingProgress, interrupt: Interrupt) -> None:
        """Score the averaged weights, log it, keep them where they are the best so far."""
        if self.data.validation_size == 0:
            return
        scores = validate(
            self.average,
            self.data.validation,
            self.data.validation_size,
            self.data.preparation,
            self.options.batch_size,
            self.weights,
            self.precision,
            lambda: interrupt.asked,
        )
        if scores is None:
            return
        position = self.position
        record = {"kind": "validation", "step": position.step, **scores._asdict()}
        log.add({**record, "seconds": round(self.seconds, 1)})
        score = _score(scores, self.config)
        is_best = position.best is None or score < position.best
        if is_best:
            numbers = {k: v for k, v in scores._asdict().items() if isinstance(v, float)}
            position.best, position.metrics = score, numbers
            checkpoint.write_folder(self.options.out / "best", self._model_now(numbers).files())
        tokens = bool(self.data.preparation.vocabulary.separator)
        display.validation(record, is_best, tokens)
        draw_curves(log.records, self.options.out / "curves.png")

    def _model_now(self, metrics: Mapping[str, float]) -> Checkpoint:
        return Checkpoint(
            self.config,
            self.data.preparation.vocabulary,
            self.average.state_dict(),
            self.position.step,
            metrics,
        )

    def _save(self) -> None:
        position = dataclasses.replace(self.position, seconds=self.seconds)
        named = dict(self.model.named_parameters())
        tensors: dict[str, Tensor] = {f"weights.{name}": value for name, value in named.items()}
        tensors |= moments(self.optimizer, named.items())
        facts = {
            "position": dataclasses.asdict(position),
            "scaler": self.scaler.state_dict(),
            "processes": self.group.size,
            "options": self.options.to_dict(),
        }
        contents = self._model_now(self.position.metrics).files()
        contents |= TrainerState(tensors, facts).files()
        checkpoint.write_folder(self.options.out / "last", contents)

    def _restore(self, state: TrainerState) -> None:
        """Take up the weights, the optimiser and the position of a saved run."""
        if state.facts["processes"] != self.group.size:
            raise UsageError(
                f"the run had {state.facts['processes']} processes, this has {self.group.size}",
                "resume with the same number",
            )
        self.position = Position(**state.facts["position"])
        self.scaler.load_state_dict(state.facts["scaler"])
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(state.tensors[f"weights.{name}"])
        restore_moments(self.optimizer, self.model.named_parameters(), state.tensors)


def _counts(batches: Sequence[Batch]) -> tuple[int, int]:
    """Characters, and tokens (characters and one EOS a text), of some batches."""
    characters = sum(int(batch.lengths.sum()) for batch in batches)
    return characters, characters + sum(len(batch.lengths) for batch in batches)


def _parts(batch: Tensors, split: int) -> Iterator[Tensors]:
    """Cut a batch along its images."""
    if split == 1:
        yield batch
        return
    size = -(-batch.pixels.shape[0] // split)
    for parts in zip(*(torch.split(tensor, size) for tensor in batch), strict=True):
        yield Tensors(*parts)


def _score(scores: Scores, config: ModelConfig) -> float:
    """What "best" means: CER where every sample is read (CTC), else the loss."""
    return scores.cer if config.ctc else scores.loss


def time_left(began: tuple[float, float], progress: float) -> float | None:
    """Return the seconds that are left, from the clock and the progress at the beginning."""
    done = progress - began[1]
    if done <= 0:
        return None
    return (time.monotonic() - began[0]) * (1.0 - progress) / done


class _Window:
    """Sums over the steps between two records, kept on the device: no step waits for them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._reset()

    def _reset(self) -> None:
        self.sums = torch.zeros(6, device=self.device)
        self.step = torch.zeros(4, device=self.device)
        self.tokens = self.samples = self.misfits = 0
        self.since = time.monotonic()

    def add(self, *values: Tensor) -> None:
        """Add the loss, its two parts and the correct tokens of a part of a step."""
        self.step += torch.stack([value.float() for value in values])

    def forget(self) -> None:
        """Drop the parts of a step that is tried again."""
        self.step = torch.zeros_like(self.step)

    def close(self, norm: Tensor, tokens: int, samples: int, misfits: int) -> None:
        """End a step; one whose gradient is not finite was skipped and only counts as such."""
        taken = norm.isfinite() & self.step.isfinite().all()
        values = torch.cat((self.step, norm[None], torch.ones_like(norm)[None]))
        self.sums += torch.where(taken, values, torch.zeros_like(values))
        self.forget()
        self.tokens += tokens
        self.samples += samples
        self.misfits += misfits

    def record(self, step: int, rate: float, seconds: float, steps: int) -> dict[str, Any]:
        """Means over the window as a log record; start the next one.

        Raises:
            OcrToolError: Not one step of the window had a finite gradient.
        """
        loss, decoder, ctc, correct, norm, taken = self.sums.tolist()
        spent = time.monotonic() - self.since
        if not taken:
            raise OcrToolError(
                f"no loss or gradient of the steps up to {step} is a number",
                "lower the learning rate, or resume from last/",
            )
        record = {
            "kind": "train",
            "step": step,
            "loss": round(loss / taken, 6),
            "decoder_loss": round(decoder / taken, 6),
            "ctc_loss": round(ctc / taken, 6),
            "accuracy": round(correct / max(self.tokens, 1), 6),
            "learning_rate": rate,
            "gradient_norm": round(norm / taken, 4),
            "samples_per_second": round(self.samples / max(spent, 1e-9), 2),
            "seconds": round(seconds, 1),
            "skipped_steps": steps - round(taken),
            "misfits": self.misfits,
        }
        self._reset()
        return record
