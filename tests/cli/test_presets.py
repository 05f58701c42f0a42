from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from ocrtool.models.presets import PRESETS, TINY, Preset
from ocrtool.training import make_options

TOY = replace(
    TINY,
    preset="toy",
    vision=replace(TINY.vision, height=32, width=32, patch=8, d_model=32, n_layer=1, d_ff=64),
    decoder=replace(TINY.decoder, d_model=32, n_layer=1, d_ff=64),
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Preset:
    """A preset as a contributor adds it: one entry of the table."""
    entry = Preset(TOY, 3e-3, "a toy")
    monkeypatch.setitem(PRESETS, "toy", entry)
    return entry


def test_a_new_preset_is_trained_and_read(toy, run_cli, tmp_path: Path) -> None:
    rows = ["image,text"]
    for number, word in enumerate(("stone", "river", "apple", "black", "sugar", "winter")):
        image = Image.new("L", (48, 16), 245)
        ImageDraw.Draw(image).text((4, 2), word, fill=10)
        image.save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{word}")
    (tmp_path / "words.csv").write_text("\n".join(rows))
    flags = "--preset toy --steps 2 --batch-size 4 --workers 0 --threads 1 --device cpu"
    flags += " --precision fp32 --set log_every=1 --set validation_share=0.2"
    run = tmp_path / "run"
    assert run_cli("train", tmp_path / "words.csv", *flags.split(), "-o", run).code == 0
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [(record["kind"], record["step"]) for record in log] == [
        ("train", 1),
        ("train", 2),
        ("validation", 2),
    ]
    assert 0 < log[0]["learning_rate"] <= toy.learning_rate
    done = run_cli("read", tmp_path / "0.png", "--model", run / "last", "--engine", "torch")
    assert done.code == 0


def test_a_new_preset_is_listed_and_described(toy, run_cli) -> None:
    listed = json.loads(run_cli("models", "list", "--json").out)
    assert {"name": "toy", "kind": "preset", "about": "a toy", "size": 0} in listed
    shown = json.loads(run_cli("models", "show", "toy", "--json").out)
    assert shown["config"]["vision"]["d_model"] == 32


def test_presets_are_valid_and_named_by_their_key() -> None:
    for name, entry in PRESETS.items():
        assert entry.config.preset == name and entry.description and entry.learning_rate > 0
        assert make_options({"data": ["a.csv"], "preset": name}).latex == entry.latex
    kinds = [entry.synth for entry in PRESETS.values() if entry.synth is not None]
    assert sorted(kinds) == ["formulas", "lines"]
