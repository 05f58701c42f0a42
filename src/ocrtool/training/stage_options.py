"""Options of training DeepOCR in stages. Nothing here imports torch.

The stages, their batch sizes and learning rates are those of github.com/pkulium/DeepOCR.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ocrtool.errors import UsageError
from ocrtool.models.presets import STAGED
from ocrtool.training.options import RunOptions


class Stage(NamedTuple):
    """Trained parts of the network, images of an optimizer step, and peak learning rate."""

    trained: tuple[str, ...]
    batch: int
    rate: float


STAGES = {
    "align": Stage(("mm_projector",), 512, 1e-3),
    "pretrain": Stage(("mm_projector", "llm"), 32, 5e-5),
}


@dataclass(frozen=True, kw_only=True)
class StageOptions(RunOptions):
    """Options of ``ocrtool train --stage``; where no end is given it trains for one epoch.

    Attributes:
        stage: ``align`` trains the projector, ``pretrain`` the language model too.
        data: JSON lines with ``image``, ``prompt`` and ``text`` (paths are relative to the file),
            or folders of PDFs with Markdown beside them.
        validation: Validation set in one of these forms; without it a share of the data is held
            out.
        validation_share: Share of `data` that is held out, drawn by `seed`.
        strict: Refuse unusable samples instead of leaving them out.
        preset: ``deepocr``, or ``deepocr-small`` for trials.
        vision_from: Source of the vision towers: a checkpoint of DeepSeek-OCR or DeepOCR.
        decoder_from: Source of the language model: Qwen2, or a checkpoint of DeepOCR.
        tune_vision: Train the vision towers too.
        lora: Rank of adapters that are trained instead of the language model itself; 0 for none.
        recompute: Recompute activations in the backward pass instead of keeping them.
        mode: Page resolution: ``gundam`` (tiles) or ``base``.
    """

    validation_size: int = 256
    batch_size: int = 4
    accumulation: int | None = None
    final_learning_rate: float = 0.0
    warmup: int | None = None
    weight_decay: float = 0.0
    beta2: float = 0.999
    ema: float = 0.0
    log_every: int = 10
    save_minutes: float = 15.0
    stage: str = ""
    data: tuple[Path, ...] = ()
    validation: Path | None = None
    validation_share: float = 0.02
    strict: bool = False
    preset: str = "deepocr"
    vision_from: str | None = None
    decoder_from: str | None = None
    tune_vision: bool = False
    lora: int = 0
    recompute: bool = False
    mode: str = "gundam"

    def __post_init__(self) -> None:
        """Check ranges and contradictions."""
        super().__post_init__()
        self._require("stage", tuple(STAGES))
        self._require("preset", tuple(STAGED))
        self._require("precision", ("auto", "fp32", "bf16"))
        self._require("mode", ("gundam", "base"))
        if not self.data:
            raise UsageError("nothing to train on", "give JSON lines, or folders of PDFs")
        if self.ema:
            raise UsageError("ema is not for training in stages", "leave it out")
        if self.lora and "llm" not in STAGES[self.stage].trained:
            raise UsageError(
                f"--lora is for the language model, which --stage {self.stage} leaves as it is",
                "leave it out, or use --stage pretrain",
            )

    @property
    def trained(self) -> tuple[str, ...]:
        """Parts of the network that are trained."""
        return STAGES[self.stage].trained + (("vision_tower",) if self.tune_vision else ())
