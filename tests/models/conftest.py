"""Small random models for the tests of the networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from ocrtool.models import ModelConfig
from ocrtool.models.ocr import OcrModel
from ocrtool.models.presets import LINE

VOCABULARY = 20
Build = Callable[..., OcrModel]


def small_line(**changes: Any) -> ModelConfig:
    """Return the line preset at a size for tests, with changes to its columns and its decoder."""
    vision = replace(
        LINE.vision,
        patch=changes.pop("patch", 8),
        d_model=24,
        n_layer=2,
        n_head=2,
        d_ff=48,
        stem=(4, 6, 8),
    )
    decoder = replace(LINE.decoder, d_model=32, n_head=4, n_kv_head=4, d_ff=40, max_length=24)
    flash = changes.pop("flash", True)
    decoder = replace(decoder, **changes)
    return replace(LINE, vision=vision, decoder=decoder, vocab_size=VOCABULARY, flash=flash)


@pytest.fixture
def build() -> Build:
    """Return a function that builds the small line model with lively random weights."""

    def build(**changes: Any) -> OcrModel:
        torch.manual_seed(0)
        model = OcrModel(small_line(**changes)).eval()
        for parameter in model.parameters():
            # The small first weights would hide faults: attention would be all but uniform.
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
            else:
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
        return model.requires_grad_(False)

    return build
