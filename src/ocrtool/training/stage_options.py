"""What training DeepOCR in stages can be told. Torch-free.

The stages, their batches and rates are those of github.com/pkulium/DeepOCR.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ocrtool.errors import UsageError
from ocrtool.models.presets import STAGED
from ocrtool.training.config import (
    OPTIMIZERS,
    OPTIONS,
    PRECISIONS,
    chosen,
    read_config,
    saved_options,
)


@dataclass(frozen=True)
class StageName:
    """One of the stages.

    Attributes:
        trained: The parts of the network that learn; all others are frozen.
        batch: Images of a step.
        rate: Peak learning rate.
    """

    trained: tuple[str, ...]
    batch: int
    rate: float


STAGES = {
    "align": StageName(("mm_projector",), 512, 1e-3),
    "pretrain": StageName(("mm_projector", "llm"), 32, 5e-5),
}
WARMUP = 0.03
"""Share of the run in which the rate rises."""


@dataclass(frozen=True)
class StageOptions:
    """Everything that ``ocrtool train --stage`` can be told.

    Args:
        stage: ``align`` trains the projector, ``pretrain`` the language model, too.
        data: JSON lines with ``image``, ``prompt`` and ``text`` (paths are relative to the file),
            or folders of PDFs with Markdown beside them.
        validation: The same, to validate on; without it a share of the data is held out.
        validation_share: Share of `data` (0 to 1) that is held out, drawn by `seed`.
        validation_size: Most samples that are held out.
        strict: Refuse unusable samples instead of leaving them out.
        out: Folder of the run: ``last/``, ``log.jsonl``.
        resume: Go on with the run in `out`, exactly where it stopped.
        overwrite: Start anew in a folder that holds a run.
        preset: ``deepocr``, or ``deepocr-small`` for trials.
        start_from: Checkpoint to go on from: a folder, or a published model.
        vision_from: Where the vision towers come from: a checkpoint of DeepSeek-OCR or DeepOCR.
        decoder_from: Where the language model comes from: Qwen2, or a checkpoint of DeepOCR.
        tune_vision: Train the vision towers, too.
        lora: Rank of adapters that learn instead of the language model itself; 0 for none.
        recompute: Compute activations again in the backward pass instead of keeping them.
        mode: How a page is shown: ``gundam``, in tiles, or ``base``.
        batch_size: Images that a process has in memory at once.
        accumulation: Such batches that make one step; without it as many as the stage's batch has.
        learning_rate: Peak; without it the stage's.
        warmup: Steps in which the rate rises; without it 3 % of the run.
        weight_decay: Decoupled decay; norms, biases and embeddings have none.
        optimizer: ``adamw``, or ``muon``: Muon for matrices, AdamW for everything else.
        beta2: AdamW's second-moment decay.
        clip: Largest norm of the gradient.
        steps: Steps of the whole run.
        epochs: Passes over the data of the whole run; 1 where no end is given.
        max_minutes: Minutes of the whole run, resumed parts included.
        precision: ``auto``, ``fp32`` or ``bf16``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; 0 leaves the choice to PyTorch.
        workers: Processes that load images; 0 does it in the main process.
        seed: Of everything random.
        log_every: Steps between two records of the log.
        validate_every: Steps between two validations; there is one at the end anyhow.
        save_minutes: Minutes between two saves.

    Raises:
        UsageError: A value is out of its range, or two options contradict each other.
    """

    stage: str = ""
    data: tuple[Path, ...] = ()
    validation: Path | None = None
    validation_share: float = 0.02
    validation_size: int = 256
    strict: bool = False
    out: Path = Path("run")
    resume: bool = False
    overwrite: bool = False
    preset: str = "deepocr"
    start_from: str | None = None
    vision_from: str | None = None
    decoder_from: str | None = None
    tune_vision: bool = False
    lora: int = 0
    recompute: bool = False
    mode: str = "gundam"
    batch_size: int = 4
    accumulation: int | None = None
    learning_rate: float | None = None
    warmup: int | None = None
    weight_decay: float = 0.0
    optimizer: str = "adamw"
    beta2: float = 0.999
    clip: float = 1.0
    steps: int | None = None
    epochs: float | None = None
    max_minutes: float | None = None
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    workers: int = 1
    seed: int = 42
    log_every: int = 10
    validate_every: int = 1000
    save_minutes: float = 15.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, known in (
            ("stage", tuple(STAGES)),
            ("preset", STAGED),
            ("precision", tuple(p for p in PRECISIONS if p != "fp16")),
            ("mode", ("gundam", "base")),
            ("optimizer", OPTIMIZERS),
        ):
            if getattr(self, name) not in known:
                raise UsageError(
                    f"--{name} {getattr(self, name)!r} is not for training in stages",
                    f"use one of {', '.join(known)}",
                )
        if not self.data:
            raise UsageError("nothing to train on", "give JSON lines, or folders of PDFs")
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite contradict each other")
        if self.lora and "llm" not in STAGES[self.stage].trained:
            raise UsageError(
                f"--lora is for the language model, which --stage {self.stage} leaves as it is",
                "leave it out, or use --stage pretrain",
            )
        above = ("batch_size", "accumulation", "learning_rate", "steps", "epochs", "max_minutes")
        for name in (*above, "validation_size", "log_every", "validate_every"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above 0, not {value}")
        for name in ("warmup", "weight_decay", "clip", "threads", "workers", "lora"):
            if (getattr(self, name) or 0) < 0:
                raise UsageError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("validation_share", "beta2"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UsageError(f"{name} must lie in 0 to below 1, not {getattr(self, name)}")

    @property
    def trained(self) -> tuple[str, ...]:
        """The parts of the network that learn."""
        return STAGES[self.stage].trained + (("vision_tower",) if self.tune_vision else ())

    def to_dict(self) -> dict[str, Any]:
        """As JSON: what was chosen, defaults left out, paths absolute."""
        return chosen(self)


def is_staged(flags: Mapping[str, Any], config: Path | None) -> bool:
    """Tell whether flags, a configuration or the run that is resumed are of training in stages."""
    if flags.get("stage") is not None:
        return True
    paths = [config] if config is not None else []
    if flags.get("resume"):
        paths.append(Path(flags.get("out") or StageOptions.out) / OPTIONS)
    return any("stage" in _content(path) for path in paths)


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return ()  # what is wrong with it, others tell


def make_stage_options(flags: Mapping[str, Any], config: Path | None = None) -> StageOptions:
    """Options from flags over a configuration file over the defaults.

    A run that is resumed has its options from its folder.

    Args:
        flags: Fields by name; ``None`` means that a flag was not given.
        config: JSON file; its relative paths are relative to itself.

    Raises:
        InputError: The file cannot be read.
        UsageError: An option that is not for training in stages, or a value of a wrong kind.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    known = {field.name for field in fields(StageOptions)}
    strange = next((name for name in given if name not in known), None)
    if strange is not None:
        raise UsageError(
            f"--{strange.replace('_', '-')} is not for training in stages", "leave it out"
        )
    values = saved_options(given, StageOptions)
    if config is not None:
        values.update(read_config(config, StageOptions))
    return StageOptions(**{**values, **given})
