"""Training of networks that read lines, words and formulas: ``ocrtool train`` without stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ocrtool import console
from ocrtool.engines import find_model
from ocrtool.models import ModelConfig
from ocrtool.models.decoder import DecoderBlock
from ocrtool.models.ocr import OcrModel
from ocrtool.models.presets import PRESETS
from ocrtool.models.vision import VisionBlock
from ocrtool.training import checkpoint
from ocrtool.training.checkpoint import Checkpoint
from ocrtool.training.curves import draw_sheet
from ocrtool.training.data import Arrays, Batch, PoolDataset, batches_from
from ocrtool.training.distributed import Compute, Group
from ocrtool.training.evaluation import guidance_of, sums_of, to_device, validate
from ocrtool.training.options import DEFAULT_EPOCHS, DEFAULT_STEPS, TrainOptions
from ocrtool.training.prepare import DataSets, prepare
from ocrtool.training.published import fetched_parts, load_parts
from ocrtool.training.trainer import Position, Task, TrainResult, claim_folder, run_task

DEFAULT_LEARNING_RATE = 5e-4
"""Peak learning rate of a model whose preset this version does not know."""


class RecognitionBatch(NamedTuple):
    """A training batch on the device.

    Attributes:
        tensors: Input and targets.
        characters: Characters (or tokens) of its texts.
        misfits: Samples that were left out of the pool that this batch opens.
    """

    tensors: Batch[Tensor]
    characters: int
    misfits: int


def run(options: TrainOptions) -> TrainResult:
    """Train a model, or with ``draw`` only write a contact sheet; see `run_task`.

    Raises:
        UsageError: Options contradict each other.
        InputError: No usable data.
        ModelError: The model to start from or the run to resume is unusable.
    """
    if options.draw:
        claim_folder(options, Group())
        options, data, *_ = _prepared(options, Group())
        return _draw(options, data)

    def make(compute: Compute) -> RecognitionTask:
        chosen, data, config, start = _prepared(options, compute.group)
        return RecognitionTask(chosen, config, data, compute, start)

    return run_task(options, make)


def _prepared(
    options: TrainOptions, group: Group
) -> tuple[TrainOptions, DataSets, ModelConfig, Checkpoint | None]:
    """Return options with local parts, the data, the geometry and the model to start from."""
    start = None
    if options.resume:
        start = checkpoint.load(options.out / "last")
    elif options.start_from is not None:
        start = checkpoint.load(find_model(options.start_from))
    options = fetched_parts(options)
    return options, *prepare(options, start, group), start


def _draw(options: TrainOptions, data: DataSets) -> TrainResult:
    """Draw a contact sheet of samples instead of training."""
    path = options.out / "samples.png"
    source, size = data.upto(options.longest(0.0))
    count = min(options.draw, size) if size else options.draw
    samples = [source.draw(index) for index in range(count)]
    draw_sheet([(data.preparation.pixels(s.image), s.text) for s in samples], path)
    console.say(f"{count} samples drawn to {path}")
    return TrainResult(options.out / "last", options.out / "best", 0, 0.0, {}, sheet=path)


class RecognitionTask(Task[RecognitionBatch]):
    """An `OcrModel` with its data; `start` is the model to start from or the run to resume."""

    options: TrainOptions
    model: OcrModel

    def __init__(
        self,
        options: TrainOptions,
        config: ModelConfig,
        data: DataSets,
        compute: Compute,
        start: Checkpoint | None,
    ) -> None:
        leads = compute.group.leads
        if not (options.steps or options.epochs or options.max_minutes):
            if options.data and options.synth is None:
                options = dataclasses.replace(options, epochs=DEFAULT_EPOCHS)
            else:
                options = dataclasses.replace(options, steps=DEFAULT_STEPS)
            if leads:
                what = f"{options.epochs:g} epochs" if options.epochs else f"{options.steps} steps"
                console.say(f"no end given: training for {what}")
        if options.learning_rate is None:
            known = PRESETS.get(config.preset)
            rate = known.learning_rate if known else DEFAULT_LEARNING_RATE
            options = dataclasses.replace(options, learning_rate=rate)
        self.options, self.config, self.data, self.compute = options, config, data, compute
        torch.manual_seed(options.seed)
        # On a CPU the fused attention is slower than plain products, most of all backward.
        plain = compute.device.type == "cpu" and options.use_flash is None
        self.model = OcrModel(dataclasses.replace(config, flash=config.flash and not plain))
        if start is not None:
            vocabulary = data.preparation.vocabulary
            kept = checkpoint.transfer(start, self.model, vocabulary)
            if leads and not options.resume:
                new = len(vocabulary.entries) - kept
                console.say(
                    f"starting from a trained model: {kept} {vocabulary.unit}s known, {new} new"
                )
        elif options.vision_from or options.decoder_from:
            load_parts(options, self.model)
            if leads:
                console.say("starting from published weights")
        self.model.to(compute.device)
        self.epoch_samples = data.upto(0)[1] if options.data else 0
        self.has_tokens = bool(data.preparation.vocabulary.separator)
        self.weights = (options.decoder_weight, options.ctc_weight) if config.ctc else (1.0, 0.0)

    def compile(self) -> None:
        """Compile the blocks one by one: all blocks of a kind share their code."""
        if self.options.compile:
            for module in self.model.modules():
                if isinstance(module, VisionBlock | DecoderBlock):
                    module.compile(dynamic=True)

    def dataset(self, longest: int) -> PoolDataset:
        """Return the training set without the texts longer than `longest` (0: any length)."""
        source, size = self.data.upto(longest)
        options = self.options
        return PoolDataset(
            source,
            size,
            self.data.preparation,
            options.batch_size,
            options.token_noise,
            options.seed,
        )

    def batches(self, position: Position) -> Generator[RecognitionBatch, None, None]:
        """Yield endless training batches, from the first that the run has not consumed."""
        group = self.compute.group
        loaded = batches_from(
            self.dataset(position.longest),
            position.batches,
            self.options.workers,
            group.rank,
            group.size,
        )
        for batch, misfits in loaded:
            yield self.on_device(batch, misfits)

    def on_device(self, batch: Arrays, misfits: int = 0) -> RecognitionBatch:
        """Copy a batch to the device."""
        tensors = to_device(batch, self.compute.device)
        return RecognitionBatch(tensors, int(batch.lengths.sum()), misfits)

    def counts(self, batch: RecognitionBatch) -> Sequence[float]:
        """Return samples, misfits, characters, and tokens (characters and one EOS each)."""
        samples = len(batch.tensors.lengths)
        return samples, batch.misfits, batch.characters, batch.characters + samples

    def split(self, batch: RecognitionBatch, parts: int) -> Iterator[RecognitionBatch]:
        """Cut a batch along its images."""
        size = -(-batch.tensors.pixels.shape[0] // parts)
        for pieces in zip(*(torch.split(tensor, size) for tensor in batch.tensors), strict=True):
            yield RecognitionBatch(Batch(*pieces), 0, 0)

    def losses(self, batch: RecognitionBatch, totals: Sequence[float]) -> dict[str, Tensor]:
        """Return the losses of the decoder, of CTC, and the share of correct tokens."""
        characters, tokens = totals[2:]
        tensors, guided = batch.tensors, self.options.guidance > 0
        with self.compute.autocast():
            output = self.model(tensors.pixels, tensors.tokens, tensors.sizes, guided)
            sums = sums_of(output, tensors, self.options.label_smoothing)
            guidance = None
            if guided:
                guidance = guidance_of(output, tensors, self.model.decoder.embed.weight)
        decoder, ctc = sums.decoder / tokens, sums.ctc / characters
        loss = self.weights[0] * decoder + self.weights[1] * ctc
        if guidance is not None:
            loss = loss + self.options.guidance / tokens * guidance
        accuracy = sums.correct / tokens
        return {"loss": loss, "decoder_loss": decoder, "ctc_loss": ctc, "accuracy": accuracy}

    def advance(self, position: Position, progress: float) -> bool:
        """Follow the curriculum."""
        longest = self.options.longest(progress)
        if longest == position.longest:
            return False
        position.longest = longest
        if self.compute.group.leads and position.step:
            console.say(f"step {position.step}: texts of up to {longest} from here on")
        return True

    def validate(self, model: nn.Module, stopped: Callable[[], bool]) -> dict[str, Any] | None:
        """Score the validation set, with known and with free reading."""
        assert isinstance(model, OcrModel)
        if self.data.validation_size == 0:
            return None
        return validate(
            model,
            self.data.validation,
            self.data.validation_size,
            self.data.preparation,
            self.options.batch_size,
            self.weights,
            self.compute.precision,
            stopped,
        )

    def score(self, scores: Mapping[str, Any]) -> float:
        """Return the CER where every sample is read freely (CTC), else the loss."""
        return float(scores["cer" if self.config.ctc else "loss"])

    def write_model(self, folder: Path, model: nn.Module, position: Position) -> None:
        """Write a model folder."""
        made = Checkpoint(
            self.config,
            self.data.preparation.vocabulary,
            model.state_dict(),
            position.step,
            position.metrics,
        )
        for name, content in made.files().items():
            (folder / name).write_bytes(content)
