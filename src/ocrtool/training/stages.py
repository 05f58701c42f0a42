"""Training DeepOCR in stages: first the projector alone, then the language model with it.

The loss is the cross-entropy of the texts' tokens; prompts have no loss. A resumed run loads the
frozen parts from its start again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator, Iterator, Sequence
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
from ocrtool.training.distributed import Compute
from ocrtool.training.metrics import rates
from ocrtool.training.prepare import LISTED
from ocrtool.training.published import fetched_part
from ocrtool.training.stage_data import PROMPT, PageBatch, PageBatches, PromptSample, read_samples
from ocrtool.training.stage_options import STAGES, StageOptions
from ocrtool.training.trainer import Position, Task, TrainResult, run_task
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
    """Train a stage; see `run_task`.

    Raises:
        InputError: No usable data.
        ModelError: The model to start from or the run to resume is unusable.
        MissingDependencyError: ``lora`` needs peft, which is not installed.
    """

    def make(compute: Compute) -> StageTask:
        problems: list[str] = []
        samples, held = _split(options, problems)
        if problems and options.strict:
            raise InputError(problems[0], "correct it or leave out --strict")
        if compute.group.leads:
            for problem in problems[:LISTED]:
                console.warn(problem)
            console.say(f"{len(samples)} samples to train on, {len(held)} to validate")
        return StageTask(options, *start_of(options), samples, held, compute)

    return run_task(options, make)


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
    """Return the network and the tokenizer to start from; other parts are initialised at random.

    Raises:
        UsageError: ``deepocr`` without a language model or vision towers to start from.
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
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain exceptions
        raise ModelError(f"{path} cannot be read: {error}") from None
    if tokenizer.get_vocab_size() > network.config.decoder.vocab_size:
        raise ModelError(f"{path} has more tokens than its model")
    return network, tokenizer


def _folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    return fetched(name) or fetched_part(name)


def byte_tokenizer() -> Tokenizer:
    """Return a tokenizer of bytes and the chat template, for networks with random weights."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = (*ENDS, "<|im_start|>")
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    chat = ASKING[0] + ASKING[1].format(PROMPT)
    for mark in marks:
        chat = chat.replace(mark, "\0")
    pieces = (piece for piece in chat.split("\0") if len(piece) > 1)
    tokenizer.add_tokens(list(dict.fromkeys(pieces)))
    return tokenizer


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
    """Return the tensors of a network with its adapters merged into their layers."""
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


class StageTask(Task[PageBatch]):
    """DeepOCR (in float32) with its pages, of which `held` are for validation.

    Parts that the stage does not train are frozen.

    Raises:
        DeviceError: The GPU has no bfloat16.
    """

    options: StageOptions
    model: Deepocr
    keeps_best = False

    def __init__(
        self,
        options: StageOptions,
        network: Deepocr,
        tokenizer: Tokenizer,
        samples: Sequence[PromptSample],
        held: Sequence[PromptSample],
        compute: Compute,
    ) -> None:
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
        self.options = dataclasses.replace(
            options,
            accumulation=accumulation,
            learning_rate=options.learning_rate or stage.rate,
            steps=min(limits, default=None),
            epochs=None,
        )
        self.tokenizer, self.held, self.compute = tokenizer, held, compute
        freeze(network, options)
        for parameter in network.parameters():  # frozen weights need no float32
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(compute.precision)
        self.model = network.to(compute.device)
        self.pages = PageBatches(
            samples,
            tokenizer,
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
                    raise InputError(reason, "correct it or leave out --strict")
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
        pairs = [(sample.read_text(), self.read(sample)) for sample in fitting]
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
        ends, written, past = end_ids(self.tokenizer), list[int](), None
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
        return str(self.tokenizer.decode(written, skip_special_tokens=False)).strip()

    def write_model(self, folder: Path, model: nn.Module, position: Position) -> None:
        """Write a checkpoint in the published layout, adapters merged."""
        assert isinstance(model, Deepocr)
        save_network(folder, model.config, merged(model))
        self.tokenizer.save(str(folder / LLM / TOKENIZER))
