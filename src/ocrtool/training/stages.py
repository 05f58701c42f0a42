"""Training DeepOCR in stages: first the projector alone, then the language model with it.

The loss is the cross-entropy of the texts' tokens; prompts are not learnt. A resumed run loads the
frozen parts from its start again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn

from ocrtool import console
from ocrtool.errors import (
    DeviceError,
    InputError,
    MissingDependencyError,
    ModelError,
    UsageError,
    install_command,
)
from ocrtool.models.deepocr import GEOMETRIES, Deepocr
from ocrtool.readers.deepocr import deepseek_folder, mode_for
from ocrtool.readers.deepocr_files import (
    ASKING,
    ENDS,
    LLM,
    TOKENIZER,
    TOWERS,
    end_ids,
    load_network,
    parts_of,
    save_network,
)
from ocrtool.training.data import loaded
from ocrtool.training.distributed import Compute, process_group
from ocrtool.training.metrics import rates
from ocrtool.training.prepare import LISTED
from ocrtool.training.published import fetched_part
from ocrtool.training.report import describe_readings
from ocrtool.training.stage_data import PROMPT, PageBatch, PageBatches, PromptSample, read_samples
from ocrtool.training.stage_options import STAGES, StageOptions
from ocrtool.training.trainer import (
    Interrupt,
    Position,
    Task,
    Trainer,
    TrainResult,
    claim_folder,
)
from ocrtool.weights.cache import fetched

LORA_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Linear layers of the language model that get adapters."""
READ = 16
"""Maximum number of validation samples that are read freely."""
SHOWN = 4
"""Maximum number of readings in a validation record."""
READ_LENGTH = 2
"""Length after which a reading is cut, as a multiple of the tokens of its true text."""


def run(options: StageOptions) -> TrainResult:
    """Train a stage.

    Raises:
        UsageError: Options contradict each other, or a folder holds a run already.
        InputError: No usable data.
        OutputError: The folder cannot be written; what lay in it is as it was.
        ModelError: The model to start from or the run to resume is not usable.
        DeviceError: The device is not there, or cannot compute as asked.
        MissingDependencyError: Adapters are asked for and peft is not installed.
    """
    with process_group(options.device) as group, Interrupt() as interrupt:
        compute = Compute.chosen(options, group)
        claim_folder(options, group)
        problems: list[str] = []
        samples, held = _split(options, problems)
        if problems and options.strict:
            raise InputError(problems[0], "mend it or leave out --strict")
        if group.leads:
            for problem in problems[:LISTED]:
                console.warn(problem)
            console.say(f"{len(samples)} samples to train on, {len(held)} to validate")
        network, words = start_of(options)
        trainer = make_trainer(options, network, words, samples, held, compute)
        return trainer.run(interrupt)


def _split(
    options: StageOptions, problems: list[str]
) -> tuple[list[PromptSample], list[PromptSample]]:
    samples = read_samples(options.data, problems)
    if options.validation is not None:
        held = read_samples([options.validation], problems)[: options.validation_size]
    else:
        count = min(options.validation_size, int(len(samples) * options.validation_share))
        generator = torch.Generator().manual_seed(options.seed)
        order = torch.randperm(len(samples), generator=generator).tolist()
        held = [samples[i] for i in sorted(order[:count])]
        samples = [samples[i] for i in sorted(order[count:])]
    if not samples:
        raise InputError(
            "no usable sample", problems[0] if problems else "see ocrtool train --help"
        )
    return samples, held


# --------------------------------------------------------------------------- the network


def start_of(options: StageOptions) -> tuple[Deepocr, Tokenizer]:
    """Load what training starts from; parts that are not named are made anew from the seed.

    Raises:
        UsageError: ``deepocr`` lacks a language model or towers, which nobody trains from nothing.
        ModelError: A part is missing, damaged, or does not fit.
    """
    parts: dict[str, Path] = {}
    if options.start_from is not None:
        parts = parts_of(_folder(options.start_from), deepseek_folder)
    for part, name in ((TOWERS, options.vision_from), (LLM, options.decoder_from)):
        if name is not None:
            folder = _folder(name)
            parts[part] = folder / part if (folder / part).is_dir() else folder
    if options.preset == "deepocr" and not (LLM in parts and TOWERS in parts):
        raise UsageError(
            "deepocr starts from trained parts",
            "give --decoder-from (a Qwen2) and --vision-from deepseek-ocr, or --from a checkpoint",
        )
    torch.manual_seed(options.seed)
    base = GEOMETRIES[options.preset]
    network = load_network(parts, base, "cpu", torch.float32)
    if LLM not in parts:
        return network, byte_tokenizer()
    path = parts[LLM] / TOKENIZER
    try:
        words = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        raise ModelError(f"{path} cannot be read: {error}") from None
    if words.get_vocab_size() > network.config.decoder.vocab_size:
        raise ModelError(f"{path} has more tokens than its model")
    return network, words


def _folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    return fetched(name) or fetched_part(name)


def byte_tokenizer() -> Tokenizer:
    """Return a tokenizer for networks that start from nothing: bytes, and the words of the chat."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    marks = (*ENDS, "<|im_start|>")
    words.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    chat = ASKING[0] + ASKING[1].format(PROMPT)
    for mark in marks:
        chat = chat.replace(mark, "\0")
    pieces = (piece for piece in chat.split("\0") if len(piece) > 1)
    words.add_tokens(list(dict.fromkeys(pieces)))
    return words


def freeze(network: Deepocr, options: StageOptions) -> None:
    """Train only the parts of the stage, and of the language model with ``lora`` only adapters.

    Raises:
        MissingDependencyError: Adapters are asked for and peft is not installed.
    """
    network.requires_grad_(False)
    for part in options.trained:
        getattr(network, part).requires_grad_(True)
    if options.lora:
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ModuleNotFoundError:
            raise MissingDependencyError("--lora needs peft", install_command("lora")) from None
        torch.manual_seed(options.seed)
        network.llm.requires_grad_(False)
        adapters = LoraConfig(
            r=options.lora,
            lora_alpha=2 * options.lora,
            lora_dropout=0.05,
            target_modules=list(LORA_LAYERS),
        )
        inject_adapter_in_model(adapters, network.llm)
    network.llm.model.recompute = options.recompute


def merged(network: Deepocr) -> dict[str, Tensor]:
    """Return the tensors of a network, adapters added to what they stand beside."""
    state = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in network.state_dict().items()
        if ".lora_" not in name
    }
    for name, module in network.named_modules():
        if hasattr(module, "get_delta_weight"):
            delta: Tensor = module.get_delta_weight("default")
            state[f"{name}.weight"] = state[f"{name}.weight"] + delta.to(module.weight.dtype)
    return state


# --------------------------------------------------------------------------- the task


def make_trainer(
    options: StageOptions,
    network: Deepocr,
    words: Tokenizer,
    samples: Sequence[PromptSample],
    held: Sequence[PromptSample],
    compute: Compute,
) -> Trainer[PageBatch]:
    """Freeze what the stage does not train, and build the trainer.

    Args:
        options: Options of the run.
        network: The network, in float32.
        words: Its tokenizer.
        samples: Training set.
        held: Validation set.
        compute: Where and how to compute.

    Raises:
        DeviceError: The GPU has no bfloat16.
    """
    if compute.precision == torch.float16:
        raise DeviceError("the GPU has no bf16", "use --precision fp32")
    stage, group = STAGES[options.stage], compute.group
    # A step has the images of the stage's recipe, but no more than one pass over the data.
    images = min(stage.batch, len(samples))
    accumulation = options.accumulation or -(-images // (options.batch_size * group.size))
    limits = [options.steps] if options.steps else []
    epochs = options.epochs or (0.0 if options.steps or options.max_minutes else 1.0)
    if epochs:
        batches = -(-len(samples) // options.batch_size)
        limits.append(math.ceil(epochs * batches / (group.size * accumulation)))
    options = dataclasses.replace(
        options,
        accumulation=accumulation,
        learning_rate=options.learning_rate or stage.rate,
        steps=min(limits, default=None),
        epochs=None,
    )
    return Trainer(StageTask(options, network, words, samples, held, compute), options, compute)


class StageTask(Task[PageBatch]):
    """DeepOCR with its pages; see `make_trainer` for the arguments."""

    model: Deepocr
    keeps_best = False

    def __init__(
        self,
        options: StageOptions,
        network: Deepocr,
        words: Tokenizer,
        samples: Sequence[PromptSample],
        held: Sequence[PromptSample],
        compute: Compute,
    ) -> None:
        self.options, self.words, self.held, self.compute = options, words, held, compute
        freeze(network, options)
        for parameter in network.parameters():  # frozen weights need no float32
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(compute.precision)
        self.model = network.to(compute.device)
        self.pages = PageBatches(
            samples,
            words,
            mode_for(network.config, options.mode),
            network.config.decoder.max_length,
            options.batch_size,
            options.seed,
        )

    def batches(self, position: Position) -> Generator[PageBatch, None, None]:
        """Yield endless training batches, from the first that the run has not consumed."""
        group = self.compute.group
        numbers = self.pages.numbers(position.batches, group.rank, group.size)
        for batch in loaded(self.pages, numbers, self.options.workers):
            for reason in batch.misfits:
                if self.options.strict:
                    raise InputError(reason, "mend it or leave out --strict")
                console.warn(f"left out: {reason}")
            yield batch

    def counts(self, batch: PageBatch) -> Sequence[float]:
        """Return samples, misfits and tokens of the texts."""
        return len(batch.tokens), len(batch.misfits), len(batch.targets)

    def split(self, batch: PageBatch, parts: int) -> Iterator[PageBatch]:
        """Cut a batch along its images."""
        size = -(-len(batch.tokens) // parts)
        ends = batch.where.sum(1).cumsum().tolist()
        for start in range(0, len(batch.tokens), size):
            rows = slice(start, start + size)
            first, last = ([0, *ends][start], ends[rows][-1])
            yield PageBatch(
                batch.tokens[rows],
                batch.where[rows],
                batch.targets[first:last],
                batch.views[rows],
                batch.tiles[rows],
                batch.grids[rows],
                [],
            )

    def losses(self, batch: PageBatch, totals: Sequence[float]) -> dict[str, Tensor]:
        """Return the cross-entropy of the texts and the share of correct tokens."""
        scores, targets = self.scores(batch)
        loss = F.cross_entropy(scores, targets, reduction="sum") / totals[2]
        return {"loss": loss, "accuracy": (scores.argmax(-1) == targets).sum() / totals[2]}

    def scores(self, batch: PageBatch, model: nn.Module | None = None) -> tuple[Tensor, Tensor]:
        """Return scores (N, V) in float32 and targets (N,) of a batch."""

        def here(array: Any) -> Tensor:
            return torch.from_numpy(array).to(self.compute.device)

        with self.compute.autocast():
            tiles = [None if part is None else here(part) for part in batch.tiles]
            tokens, where, views = here(batch.tokens), here(batch.where), here(batch.views)
            network = self.model if model is None else model
            scores: Tensor = network(tokens, where, views, tiles, batch.grids)
        return scores.float(), here(batch.targets)

    @torch.no_grad()
    def validate(self, model: nn.Module, stopped: Callable[[], bool]) -> dict[str, Any] | None:
        """Score the validation set with the true text before each token, and read some freely."""
        model.eval()
        loss, right, count = 0.0, 0, 0
        for start in range(0, len(self.held), self.options.batch_size):
            batch = self.pages.together(self.held[start : start + self.options.batch_size])
            if stopped():
                return None
            if len(batch.targets):
                scores, targets = self.scores(batch, model)
                loss += float(F.cross_entropy(scores, targets, reduction="sum"))
                right += int((scores.argmax(-1) == targets).sum())
                count += len(targets)
        if not count:
            return None
        fitting = [s for s in self.held[:READ] if not self.pages.together([s]).misfits]
        pairs = [(sample.words(), self.read(sample)) for sample in fitting]
        read = rates([reading for _, reading in pairs], [truth for truth, _ in pairs])
        return {
            "loss": loss / count,
            "accuracy": right / count,
            **dataclasses.asdict(read),
            "samples": pairs[:SHOWN],
        }

    @torch.no_grad()
    def read(self, sample: PromptSample) -> str:
        """Return the greedy reading of a sample that fits the network."""
        page = self.pages.page(sample)
        batch = self.pages.together([sample])
        device = self.compute.device
        ends, written, past = end_ids(self.words), list[int](), None
        tiles = None if batch.tiles[0] is None else torch.from_numpy(batch.tiles[0])
        with self.compute.autocast():
            seen = self.model.see(
                torch.from_numpy(batch.views[0]).to(device),
                None if tiles is None else tiles.to(device),
                batch.grids[0],
            )
            x = self.model.embed(torch.tensor([page.ids[: page.start]]).to(device), seen)
            for _ in range(READ_LENGTH * (len(page.ids) - page.start)):
                scores, past = self.model.read(x, past)
                token = int(scores[0].argmax())
                if token in ends:
                    break
                written.append(token)
                x = self.model.embed(torch.tensor([[token]]).to(device))
        return str(self.words.decode(written, skip_special_tokens=False)).strip()

    def report(self, scores: Mapping[str, Any]) -> list[str]:
        """Describe validation scores in lines of text."""
        return describe_readings(scores)

    def write_model(self, folder: Path, model: nn.Module, position: Position) -> None:
        """Write a checkpoint in the published layout, adapters merged."""
        assert isinstance(model, Deepocr)
        save_network(folder, model.config, merged(model))
        self.words.save(str(folder / LLM / TOKENIZER))
