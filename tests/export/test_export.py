from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ocrtool.bundled import DECODER, ENCODER
from ocrtool.engines.onnx import OnnxEngine
from ocrtool.engines.torch import TorchEngine
from ocrtool.errors import ModelError
from ocrtool.export import export_model, parity
from ocrtool.export.__main__ import main
from ocrtool.models.ocr import OcrModel
from ocrtool.models.presets import preset
from small_models import save, small_engine

FUSED = {"MultiHeadAttention", "RotaryEmbedding", "SimplifiedLayerNormalization"}


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def test_graphs_are_small_fused_and_without_branches(exported: Path) -> None:
    encoder, decoder = operators(exported / ENCODER), operators(exported / DECODER)
    assert not {"If", "Loop", "Scan"} & {*encoder, *decoder}
    assert {*encoder} >= FUSED | {"Gelu", "LogSoftmax"} and {*decoder} >= FUSED
    assert encoder.count("MultiHeadAttention") == 1 and decoder.count("MultiHeadAttention") == 4
    assert not {"Softmax", "ReduceMean", "Tanh"} & {*encoder, *decoder}
    assert len(encoder) < 180 and len(decoder) < 180


def test_graphs_hold_their_weights_and_nothing_of_the_machine(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {ENCODER, DECODER, "model.json"}
    for name in (ENCODER, DECODER):
        content = (exported / name).read_bytes()
        assert b".py" not in content and str(Path.cwd()).encode() not in content


def test_every_size_is_free(exported: Path) -> None:
    graph = onnx.load(exported / DECODER).graph
    shapes = {
        value.name: [dim.dim_param for dim in value.type.tensor_type.shape.dim]
        for value in graph.input
    }
    assert all(shapes["tokens"]) and shapes["past_keys"][3] and shapes["cross_keys"][3]
    engine = OnnxEngine(exported, "cpu")
    for batch, width in ((1, 8), (2, 36), (7, 500)):
        encoded = engine.encode(np.zeros((batch, 1, 32, width), np.float32), np.full(batch, width))
        assert encoded.cross_keys.shape[1::2] == (batch, -(-width // 8))


def test_parity_refuses_other_weights(exported: Path) -> None:
    other = small_engine(4, patch=8)
    with pytest.raises(ModelError, match="differ"):
        parity(other, OnnxEngine(exported, "cpu"))


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model for square images, with grouped queries, and calibrated."""
    line, tiny = small_engine(0), preset("tiny")
    config = dataclasses.replace(
        tiny,
        vision=dataclasses.replace(tiny.vision, height=32, width=32, d_model=16, n_layer=1),
        decoder=dataclasses.replace(tiny.decoder, d_model=16, n_layer=1, n_kv_head=2, d_ff=32),
        vocab_size=len(line.facts.vocabulary),
    )
    torch.manual_seed(0)
    engine = TorchEngine(dataclasses.replace(line.facts, config=config), OcrModel(config))
    folder = save(engine, tmp_path_factory.mktemp("models") / "square")
    facts = json.loads((folder / "model.json").read_text("utf-8"))
    facts["calibration"] = {"line": {"slope": 0.5, "offset": 0.1}}
    (folder / "model.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize("portable", [False, True])
def test_square_images_and_grouped_queries(square: Path, tmp_path: Path, portable: bool) -> None:
    report = export_model(square, tmp_path / "out", portable=portable)
    assert report.difference < 1e-4
    engine = OnnxEngine(tmp_path / "out", "cpu")
    pixels = np.zeros((2, 3, 32, 32), np.float32)
    assert engine.encode(pixels, np.array([32, 32])).ctc_log_probs is None
    found = {*operators(tmp_path / "out" / ENCODER), *operators(tmp_path / "out" / DECODER)}
    assert (found >= FUSED) is not portable
    assert portable is not bool(FUSED & found)
    facts = [
        json.loads((folder / "model.json").read_text("utf-8")) for folder in (square, report.folder)
    ]
    assert facts[0] == facts[1]


def test_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["export", str(tmp_path / "none"), "-o", str(tmp_path / "o")])
    assert main() == 6
    assert "no model there" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
