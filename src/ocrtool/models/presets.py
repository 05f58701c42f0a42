"""Network presets: one entry of `PRESETS` each. Nothing here imports torch.

``vocab_size`` is 0 where it is the size of the data's vocabulary.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from ocrtool.errors import UsageError
from ocrtool.models import DecoderConfig, ModelConfig, VisionConfig


@dataclass(frozen=True)
class Preset:
    """A network that ``ocrtool train --preset NAME`` builds.

    Attributes:
        config: Geometry; ``config.preset`` is the name.
        learning_rate: Peak learning rate where none is given.
        description: One line for ``ocrtool models list``.
        latex: Whether its texts consist of LaTeX tokens rather than characters.
        synth: Kind of drawn data (``--synth``) for which it is the default network.
    """

    config: ModelConfig
    learning_rate: float
    description: str
    latex: bool = False
    synth: str | None = None


TINY = ModelConfig(
    preset="tiny", vocab_size=0, ctc=False, flash=True,
    vision=VisionConfig(
        kind="vit", channels=3, height=224, width=224, patch=16,
        d_model=128, n_layer=4, n_head=2, d_ff=512, dropout=0.1,
    ),
    decoder=DecoderConfig(
        d_model=256, n_layer=4, n_head=4, n_kv_head=4, d_ff=1024, dropout=0.1,
        swiglu=True, rope_theta=10_000.0, max_length=64,
    ),
)  # fmt: skip
LINE = ModelConfig(
    preset="line", vocab_size=0, ctc=True, flash=True,
    vision=VisionConfig(
        kind="line", channels=1, height=32, width=0, patch=8, stem=(24, 64, 128),
        d_model=192, n_layer=6, n_head=4, d_ff=768, dropout=0.1,
    ),
    decoder=DecoderConfig(
        d_model=192, n_layer=2, n_head=4, n_kv_head=4, d_ff=512, dropout=0.1,
        swiglu=True, rope_theta=10_000.0, max_length=256,
    ),
)  # fmt: skip
FORMULA = ModelConfig(
    preset="formula", vocab_size=0, ctc=False, flash=True,
    vision=VisionConfig(
        kind="formula", channels=1, height=160, width=1024, patch=8, stem=(24, 48, 96, 192),
        d_model=256, n_layer=4, n_head=8, d_ff=768, dropout=0.1,
    ),
    decoder=DecoderConfig(
        d_model=256, n_layer=4, n_head=8, n_kv_head=8, d_ff=1536, dropout=0.1,
        swiglu=True, rope_theta=10_000.0, max_length=256, tied=True,
    ),
)  # fmt: skip
EQUATION_VLM = ModelConfig(
    preset="equation-vlm", vocab_size=49_152, ctc=False, flash=True, prompt="LaTeX: ",
    vision=VisionConfig(
        kind="vit", channels=3, height=224, width=224, patch=16, class_token=True,
        d_model=768, n_layer=12, n_head=12, d_ff=3072, dropout=0.0,
        norm="layer", norm_eps=1e-12, bias=True,
    ),
    decoder=DecoderConfig(
        d_model=576, n_layer=30, n_head=9, n_kv_head=3, d_ff=1536, dropout=0.0,
        swiglu=True, rope_theta=10_000.0, max_length=256, fusion="prefix", tied=True, norm_eps=1e-5,
    ),
)  # fmt: skip
EQUATION_VLM_SMALL = replace(
    EQUATION_VLM, preset="equation-vlm-small", vocab_size=0,
    vision=replace(
        EQUATION_VLM.vision, height=64, width=64, patch=8, d_model=64, n_layer=2, n_head=4, d_ff=128
    ),
    decoder=replace(
        EQUATION_VLM.decoder,
        d_model=96, n_layer=2, n_head=3, n_kv_head=1, d_ff=192, max_length=64,
    ),
)  # fmt: skip

PRESETS: dict[str, Preset] = {
    entry.config.preset: entry
    for entry in (
        Preset(TINY, 5e-4, "square images, read by a small autoregressive decoder"),
        Preset(
            LINE, 1e-3, "text lines of any width: CTC proposes, the decoder verifies", synth="lines"
        ),
        Preset(
            FORMULA,
            5e-4,
            "formulas of any size, read as LaTeX by an autoregressive decoder",
            latex=True,
            synth="formulas",
        ),
        Preset(
            EQUATION_VLM,
            1e-4,
            "formulas: ViT-B/16 as the prefix of SmolLM-135M, from published weights or none",
            latex=True,
        ),
        Preset(
            EQUATION_VLM_SMALL, 1e-3, "equation-vlm with 0.3 M parameters, for trials", latex=True
        ),
    )
}
"""Networks that ``ocrtool train`` builds, by name; see docs/contributing.md to add one."""
STAGED = {
    "deepocr": "pages of any kind: DeepEncoder and Qwen2-7B, trained in two stages",
    "deepocr-small": "deepocr with 3.7 M parameters, for trials",
}
"""Descriptions of the networks of `ocrtool.models.deepocr`, which are trained in stages."""


def preset(name: str) -> ModelConfig:
    """Return the geometry of a preset.

    Raises:
        UsageError: There is no such preset; the nearest name is suggested.
    """
    if name in PRESETS:
        return PRESETS[name].config
    if name in STAGED:
        raise UsageError(f"{name} is trained in stages", "give --stage align, then pretrain")
    near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.4)
    remedy = f"did you mean {near[0]}?" if near else f"presets: {', '.join(sorted(PRESETS))}"
    raise UsageError(f"unknown preset {name!r}", remedy)
