"""Training DeepOCR in stages: first the projector alone, then the language model with it.

Losses are sums over the tokens of texts (what is asked is not learnt), divided by those of the
whole step: accumulation and several processes equal the one big batch. Nothing random has a state,
so a resumed run goes on as if it had not stopped; what is frozen then comes from the start again.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn

from ocrtool import console
from ocrtool.errors import (
    DeviceError,
    InputError,
    MissingDependencyError,
    ModelError,
    OcrToolError,
    UsageError,
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
from ocrtool.training import checkpoint
from ocrtool.training.checkpoint import STATE, STATE_FACTS
from ocrtool.training.data import loaded
from ocrtool.training.distributed import Group, choose_device, choose_precision, process_group
from ocrtool.training.metrics import rates
from ocrtool.training.optimizers import moments, optimizer_of, restore_moments
from ocrtool.training.prepare import LISTED
from ocrtool.training.published import fetched_part
from ocrtool.training.report import Log, TrainingProgress
from ocrtool.training.stage_data import PROMPT, PageBatch, PageBatches, PromptSample, read_samples
from ocrtool.training.stage_options import STAGES, WARMUP, StageOptions
from ocrtool.training.trainer import Interrupt, TrainResult, claim_folder, time_left
from ocrtool.weights.cache import fetched

LORA_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Maps of the language model that adapters stand beside."""
READ = 16
"""Samples of the validation set that are read freely."""


@dataclass
class Position:
    """Where a run stands: steps and batches done, seconds before this start, last scores."""

    step: int = 0
    batches: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)


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
        device = choose_device(options.device, group)
        if options.threads:
            torch.set_num_threads(options.threads)
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
        trainer = StageTrainer(options, network, words, samples, held, group, device)
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


def freeze(network: Deepocr, options: StageOptions) -> list[tuple[str, nn.Parameter]]:
    """Let only the parts of the stage learn, of the language model with ``lora`` only adapters.

    Returns:
        The parameters that learn, by name.

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
            raise MissingDependencyError(
                "--lora needs peft", "pip install 'ocrtool[lora]'"
            ) from None
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
    return [(name, p) for name, p in network.named_parameters() if p.requires_grad]


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


# --------------------------------------------------------------------------- the loop


class StageTrainer:
    """One run on one process.

    Args:
        options: What was asked for.
        network: To be trained.
        words: Its tokenizer.
        samples: Training set.
        held: Validation set.
        group: The processes that train together.
        device: Where this one computes.
    """

    def __init__(
        self,
        options: StageOptions,
        network: Deepocr,
        words: Tokenizer,
        samples: Sequence[PromptSample],
        held: Sequence[PromptSample],
        group: Group,
        device: torch.device,
    ) -> None:
        self.options, self.words, self.held = options, words, held
        self.group, self.device = group, device
        self.precision, reason = choose_precision(options.precision, device)
        if self.precision == torch.float16:
            raise DeviceError("the GPU has no bf16", "use --precision fp32")
        if group.leads:
            console.note(f"{device}, {str(self.precision).removeprefix('torch.')}: {reason}")
        self.learning = freeze(network, options)
        for parameter in network.parameters():  # what is frozen need not be finer
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(self.precision)
        self.network = network.to(device)
        self.optimizer = optimizer_of(
            network,
            options.optimizer,
            weight_decay=options.weight_decay,
            beta2=options.beta2,
        )
        # A step is the stage's batch, but no more than one pass.
        images = min(STAGES[options.stage].batch, len(samples))
        per_round = options.batch_size * group.size
        self.accumulation = options.accumulation or -(-images // per_round)
        self.batches = PageBatches(
            samples,
            words,
            mode_for(network.config, options.mode),
            network.config.decoder.max_length,
            options.batch_size,
            options.seed,
        )
        ends = (options.steps, options.epochs, options.max_minutes)
        epochs = options.epochs or (None if any(ends) else 1.0)
        limits = [options.steps] if options.steps else []
        if epochs:
            per_pass = -(-len(samples) // options.batch_size)
            limits.append(math.ceil(epochs * per_pass / (group.size * self.accumulation)))
        self.last_step = min(limits, default=0)
        self.position = Position()
        if options.resume:
            self._restore()
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of the whole run so far."""
        return self.position.seconds + time.monotonic() - self.started

    def progress(self, seconds: float) -> float:
        """Share of the run that is done, 0 to 1."""
        shares = [0.0]
        if self.last_step:
            shares.append(self.position.step / self.last_step)
        if self.options.max_minutes:
            shares.append(seconds / (60 * self.options.max_minutes))
        return min(1.0, max(shares))

    def learning_rate(self, progress: float) -> float:
        """Linear warm-up, then half a cosine to nothing."""
        options = self.options
        peak = options.learning_rate or STAGES[options.stage].rate
        if options.warmup is not None:
            ramp = (self.position.step + 1) / max(1, options.warmup)
        else:
            step = 1 / self.last_step if self.last_step else 1e-3
            ramp = (progress + step) / WARMUP
        return peak * min(1.0, ramp) * 0.5 * (1 + math.cos(math.pi * progress))

    def run(self, interrupt: Interrupt) -> TrainResult:
        """Train until the end or an interruption, and save."""
        options, position, group = self.options, self.position, self.group
        log = Log(options.out / "log.jsonl", position.step) if group.leads else None
        display = TrainingProgress(quiet=not group.leads)
        numbers = self.batches.numbers(position.batches, group.rank, group.size)
        batches = loaded(self.batches, numbers, options.workers)
        began = (time.monotonic(), self.progress(self.seconds))
        saved_at = time.monotonic()
        window = _Window()
        try:
            while True:
                seconds, stop = group.agreed(self.seconds, interrupt.asked)
                progress = self.progress(seconds)
                if stop or progress >= 1.0:
                    break
                rate = self.learning_rate(progress)
                self._step(batches, rate, window)
                if log is None:
                    continue
                if position.step % options.log_every == 0:
                    record = window.record(position.step, rate, self.seconds)
                    log.add(record)
                    display.training(record, progress, time_left(began, progress))
                if position.step % options.validate_every == 0:
                    self._validate(log, display, interrupt)
                if time.monotonic() - saved_at > 60 * options.save_minutes:
                    self._save()
                    saved_at = time.monotonic()
            if log is not None:
                if not stop and position.step % options.validate_every:
                    self._validate(log, display, interrupt)
                self._save()
        finally:
            display.close()
        last = options.out / "last"
        return TrainResult(last, last, position.step, self.seconds, dict(position.metrics), stop)

    def _step(self, batches: Iterator[PageBatch], rate: float, window: _Window) -> None:
        """One step of the optimiser over `accumulation` batches."""
        micro = [next(batches) for _ in range(self.accumulation)]
        misfits = [reason for batch in micro for reason in batch.misfits]
        window.misfits += len(misfits)
        for reason in misfits:
            if self.options.strict:
                raise InputError(reason, "mend it or leave out --strict")
            console.warn(f"left out: {reason}")
        (total,) = self.group.total([sum(len(batch.targets) for batch in micro)])
        position = self.position
        # Dropout of adapters is a function of the seed and the step.
        torch.manual_seed((self.options.seed * 1_000_003 + position.step) * 1009 + self.group.rank)
        self.network.train()
        for batch in micro:
            if len(batch.targets):
                scores, targets = self._scores(batch)
                loss = F.cross_entropy(scores, targets, reduction="sum") / total
                torch.autograd.backward(loss)
                window.add(loss, scores.argmax(-1) == targets, len(batch.tokens))
        for _, parameter in self.learning:
            if parameter.grad is None:  # all processes need the same ones
                parameter.grad = torch.zeros_like(parameter)
        self.group.add_gradients(parameter for _, parameter in self.learning)
        learning = [parameter for _, parameter in self.learning]
        norm = nn.utils.clip_grad_norm_(learning, self.options.clip or math.inf)
        if not torch.isfinite(norm):
            raise OcrToolError(
                f"the gradient of step {position.step + 1} is not a number",
                "lower the learning rate, or resume from last/",
            )
        for settings in self.optimizer.param_groups:
            settings["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        position.step += 1
        position.batches += self.accumulation
        window.steps += 1

    def _scores(self, batch: PageBatch) -> tuple[Tensor, Tensor]:
        """Return scores (N, V) in float32 and targets (N,) of a batch."""

        def here(array: Any) -> Tensor:
            return torch.from_numpy(array).to(self.device)

        half = self.precision != torch.float32
        with torch.autocast(self.device.type, self.precision, enabled=half):
            tiles = [None if part is None else here(part) for part in batch.tiles]
            tokens, where, views = here(batch.tokens), here(batch.where), here(batch.views)
            scores: Tensor = self.network(tokens, where, views, tiles, batch.grids)
        return scores.float(), here(batch.targets)

    # ------------------------------------------------------------------ validate and save

    @torch.no_grad()
    def _validate(self, log: Log, display: TrainingProgress, interrupt: Interrupt) -> None:
        """Score the validation set with the truth behind each token, and read some of it freely."""
        self.network.eval()
        loss, right, count = 0.0, 0, 0
        for start in range(0, len(self.held), self.options.batch_size):
            batch = self.batches.together(self.held[start : start + self.options.batch_size])
            if interrupt.asked:
                return
            if len(batch.targets):
                scores, targets = self._scores(batch)
                loss += float(F.cross_entropy(scores, targets, reduction="sum"))
                right += int((scores.argmax(-1) == targets).sum())
                count += len(targets)
        if not count:
            return
        pairs = [(sample.words(), self.read(sample)) for sample in self._readable(READ)]
        read = rates([reading for _, reading in pairs], [truth for truth, _ in pairs])
        record = {
            "kind": "validation",
            "step": self.position.step,
            "loss": loss / count,
            "accuracy": right / count,
            **dataclasses.asdict(read),
            "samples": pairs[:4],
            "seconds": round(self.seconds, 1),
        }
        log.add(record)
        self.position.metrics = {k: v for k, v in record.items() if isinstance(v, float)}
        display.validation(record, False)

    def _readable(self, most: int) -> Iterator[PromptSample]:
        for sample in self.held[:most]:
            if not self.batches.together([sample]).misfits:
                yield sample

    @torch.no_grad()
    def read(self, sample: PromptSample) -> str:
        """Return what the network writes of a sample that fits, greedily."""
        page = self.batches.page(sample)
        batch = self.batches.together([sample])
        half = self.precision != torch.float32
        ends, written, past = end_ids(self.words), list[int](), None
        tiles = None if batch.tiles[0] is None else torch.from_numpy(batch.tiles[0])
        with torch.autocast(self.device.type, self.precision, enabled=half):
            seen = self.network.see(
                torch.from_numpy(batch.views[0]).to(self.device),
                None if tiles is None else tiles.to(self.device),
                batch.grids[0],
            )
            x = self.network.embed(torch.tensor([page.ids[: page.start]]).to(self.device), seen)
            for _ in range(2 * (len(page.ids) - page.start)):
                scores, past = self.network.read(x, past)
                token = int(scores[0].argmax())
                if token in ends:
                    break
                written.append(token)
                x = self.network.embed(torch.tensor([[token]]).to(self.device))
        return str(self.words.decode(written, skip_special_tokens=False)).strip()

    def _save(self) -> None:
        position = dataclasses.replace(self.position, seconds=self.seconds)
        tensors = {f"weights.{name}": parameter.detach() for name, parameter in self.learning}
        tensors |= moments(self.optimizer, self.learning)
        facts = {"position": dataclasses.asdict(position), "processes": self.group.size}
        with checkpoint.replacing(self.options.out / "last") as fresh:
            save_network(fresh, self.network.config, merged(self.network))
            self.words.save(str(fresh / LLM / TOKENIZER))
            plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
            save_file(plain, fresh / STATE)
            (fresh / STATE_FACTS).write_text(checkpoint.to_json(facts), "utf-8")

    def _restore(self) -> None:
        """Take up what had been learnt, the optimiser and the position of a saved run."""
        state = checkpoint.load_state(self.options.out / "last")
        if state.facts["processes"] != self.group.size:
            raise UsageError(
                f"the run had {state.facts['processes']} processes, this has {self.group.size}",
                "resume with the same number",
            )
        self.position = Position(**state.facts["position"])
        with torch.no_grad():
            for name, parameter in self.learning:
                if f"weights.{name}" not in state.tensors:
                    raise ModelError(f"{self.options.out}: the run trained other parts")
                parameter.copy_(state.tensors[f"weights.{name}"])
        restore_moments(self.optimizer, self.learning, state.tensors)


class _Window:
    """Sums over the steps between two records."""

    def __init__(self) -> None:
        self.loss: Tensor | float = 0.0
        self.right: Tensor | int = 0
        self.tokens = self.samples = self.steps = self.misfits = 0
        self.since = time.monotonic()

    def add(self, loss: Tensor, right: Tensor, samples: int) -> None:
        """Add a batch: its part of the step's loss, and which tokens were right."""
        self.loss = self.loss + loss.detach()
        self.right = self.right + right.sum()
        self.tokens += len(right)
        self.samples += samples

    def record(self, step: int, rate: float, seconds: float) -> dict[str, Any]:
        """Return means over the window as a log record; start the next one."""
        spent = time.monotonic() - self.since
        record = {
            "kind": "train",
            "step": step,
            "loss": round(float(self.loss) / max(self.steps, 1), 6),
            "accuracy": round(float(self.right) / max(self.tokens, 1), 6),
            "learning_rate": rate,
            "samples_per_second": round(self.samples / max(spent, 1e-9), 2),
            "seconds": round(seconds, 1),
            "misfits": self.misfits,
        }
        self.__init__()  # type: ignore[misc]
        return record
