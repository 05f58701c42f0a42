"""The model's configuration: contradictions refused, JSON round trip, presets."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest

from ocrtool.errors import ExitCode, UsageError
from ocrtool.models import ModelConfig
from ocrtool.models.presets import EQUATION_VLM, FORMULA, LINE, PRESETS, TINY, preset


@pytest.mark.parametrize("config", [p.config for p in PRESETS.values()], ids=lambda c: c.preset)
def test_a_config_survives_json(config: ModelConfig) -> None:
    filled = dataclasses.replace(config, vocab_size=104)
    assert ModelConfig.from_dict(json.loads(json.dumps(filled.to_dict()))) == filled


def test_an_unknown_key_names_the_nearest() -> None:
    values = LINE.to_dict()
    values["decoder"]["n_kv_heads"] = values["decoder"].pop("n_kv_head")
    with pytest.raises(UsageError, match=r"decoder\.n_kv_heads.*did you mean decoder\.n_kv_head"):
        ModelConfig.from_dict(values)
    with pytest.raises(UsageError, match=r"vocabulary.*did you mean vocab_size"):
        ModelConfig.from_dict({**LINE.to_dict(), "vocabulary": 9})


def test_a_missing_key_is_named() -> None:
    values = TINY.to_dict()
    del values["vision"]["d_ff"]
    with pytest.raises(UsageError, match=r"vision\.d_ff is missing"):
        ModelConfig.from_dict(values)
    with pytest.raises(UsageError, match="decoder is not a JSON object"):
        ModelConfig.from_dict({**TINY.to_dict(), "decoder": 3})


@pytest.mark.parametrize(
    ("base", "part", "changes"),
    [
        (TINY, "vision", {"n_head": 3}),
        (TINY, "vision", {"patch": 15}),
        (TINY, "vision", {"kind": "square"}),
        (TINY, "vision", {"width": 0}),
        (TINY, "vision", {"stem": (8, 8, 8)}),
        (TINY, "vision", {"dropout": 1.0}),
        (TINY, "vision", {"n_layer": 0}),
        (TINY, "decoder", {"n_kv_head": 3}),
        (TINY, "decoder", {"n_head": 256, "n_kv_head": 256}),
        (TINY, "decoder", {"d_ff": -1}),
        (TINY, "decoder", {"max_length": 0}),
        (LINE, "vision", {"height": 36}),
        (LINE, "vision", {"width": 320}),
        (LINE, "vision", {"patch": 6}),
        (LINE, "vision", {"stem": (24, 64)}),
        (LINE, "vision", {"n_head": 192}),
        (LINE, "vision", {"class_token": True}),
        (FORMULA, "vision", {"norm": "layer"}),
        (EQUATION_VLM, "vision", {"norm": "batch"}),
        (EQUATION_VLM, "decoder", {"fusion": "middle"}),
        (EQUATION_VLM, "decoder", {"norm_eps": 0.0}),
    ],
)
def test_a_contradiction_is_a_usage_error(
    base: ModelConfig, part: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(UsageError) as caught:
        dataclasses.replace(getattr(base, part), **changes)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.remedy


def test_what_a_prefix_needs_is_additive() -> None:
    """Configurations that were saved before there were prefixes say nothing of them."""
    values = LINE.to_dict()
    for name in ("norm", "norm_eps", "bias", "class_token"):
        del values["vision"][name]
    for name in ("fusion", "tied", "norm_eps"):
        del values["decoder"][name]
    del values["prompt"], values["prompt_ids"]
    assert ModelConfig.from_dict(values) == LINE


def test_a_prompt_needs_a_prefix() -> None:
    assert EQUATION_VLM.prompt == "LaTeX: "
    with pytest.raises(UsageError, match="prefix"):
        dataclasses.replace(TINY, prompt="LaTeX: ")
    with pytest.raises(UsageError, match="prompt_ids"):
        dataclasses.replace(EQUATION_VLM, prompt_ids=(49_152,))


def test_a_ctc_head_needs_columns() -> None:
    with pytest.raises(UsageError, match="columns"):
        dataclasses.replace(TINY, ctc=True)


@pytest.mark.parametrize("height", [32, 40, 48])
def test_a_line_may_be_32_to_48_high(height: int) -> None:
    assert dataclasses.replace(LINE.vision, height=height).height == height


def test_presets_by_name() -> None:
    assert preset("line") is LINE
    with pytest.raises(UsageError, match="did you mean line"):
        preset("lines")
    with pytest.raises(UsageError, match=r"presets: equation-vlm, .*formula, line, tiny"):
        preset("xyzzy")


def test_configs_need_no_torch() -> None:
    code = "import sys, ocrtool.models.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
