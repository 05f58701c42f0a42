"""Named model geometries. Torch-free; ``vocab_size`` is 0 until it is filled from the data."""

from __future__ import annotations

import difflib

from ocrtool.errors import UsageError
from ocrtool.models.config import DecoderConfig, ModelConfig, VisionConfig

TINY = ModelConfig(
    preset="tiny",
    vision=VisionConfig(
        kind="vit",
        channels=3,
        height=224,
        width=224,
        patch=16,
        d_model=128,
        n_layer=4,
        n_head=2,
        d_ff=512,
        dropout=0.1,
    ),
    decoder=DecoderConfig(
        d_model=256,
        n_layer=4,
        n_head=4,
        n_kv_head=4,
        d_ff=1024,
        dropout=0.1,
        swiglu=True,
        rope_theta=10_000.0,
        max_length=64,
    ),
    vocab_size=0,
    ctc=False,
    flash=True,
)
"""Square images cut into 196 patches, read by an autoregressive decoder."""

LINE = ModelConfig(
    preset="line",
    vision=VisionConfig(
        kind="line",
        channels=1,
        height=32,
        width=0,
        patch=8,
        d_model=192,
        n_layer=6,
        n_head=4,
        d_ff=768,
        dropout=0.1,
        stem=(24, 64, 128),
    ),
    decoder=DecoderConfig(
        d_model=192,
        n_layer=2,
        n_head=4,
        n_kv_head=4,
        d_ff=512,
        dropout=0.1,
        swiglu=True,
        rope_theta=10_000.0,
        max_length=256,
    ),
    vocab_size=0,
    ctc=True,
    flash=True,
)
"""Text lines of any width: CTC proposes, the decoder verifies."""

FORMULA = ModelConfig(
    preset="formula",
    vision=VisionConfig(
        kind="formula",
        channels=1,
        height=160,
        width=1024,
        patch=8,
        d_model=256,
        n_layer=4,
        n_head=8,
        d_ff=768,
        dropout=0.1,
        stem=(24, 48, 96, 192),
    ),
    decoder=DecoderConfig(
        d_model=256,
        n_layer=4,
        n_head=8,
        n_kv_head=8,
        d_ff=1536,
        dropout=0.1,
        swiglu=True,
        rope_theta=10_000.0,
        max_length=256,
    ),
    vocab_size=0,
    ctc=False,
    flash=True,
)
"""Formulas of any size, read as LaTeX tokens by an autoregressive decoder."""

PRESETS: dict[str, ModelConfig] = {config.preset: config for config in (FORMULA, LINE, TINY)}


def preset(name: str) -> ModelConfig:
    """Return the preset called ``name``.

    Raises:
        UsageError: when there is none; the nearest name is suggested.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.4)
    remedy = f"did you mean {near[0]}?" if near else f"presets: {', '.join(sorted(PRESETS))}"
    raise UsageError(f"unknown preset {name!r}", remedy)
