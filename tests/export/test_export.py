"""Exports: the same network in another form, or none."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from ocrtool.engines.onnx import OnnxEngine
from ocrtool.engines.torch import TorchEngine
from ocrtool.errors import UsageError
from ocrtool.export import ExportOptions, check, export_model, job
from ocrtool.export.check import Parity, ParityError, compare
from ocrtool.export.fused import fuse
from ocrtool.models.ocr import OcrModel
from ocrtool.models.presets import preset
from ocrtool.options import Precision
from ocrtool.training.data import Preparation
from ocrtool.weights import BUNDLED, DECODER, DETECTOR, ENCODER
from small_models import save, small_engine, small_formula_engine

ROOT = Path(__file__).parents[2]
FUSED = {"MultiHeadAttention", "RotaryEmbedding", "SimplifiedLayerNormalization"}


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def preparation(folder: Path) -> Preparation:
    metadata = OnnxEngine(folder, "cpu").metadata
    return Preparation(metadata.config, metadata.vocabulary)


def test_graphs_are_small_fused_and_without_branches(exported: Path) -> None:
    encoder, decoder = operators(exported / ENCODER), operators(exported / DECODER)
    assert not {"If", "Loop", "Scan"} & {*encoder, *decoder}
    assert {*encoder} >= FUSED | {"Gelu", "LogSoftmax"} and {*decoder} >= FUSED
    assert encoder.count("MultiHeadAttention") == 1 and decoder.count("MultiHeadAttention") == 4
    assert not {"Softmax", "ReduceMean", "Tanh"} & {*encoder, *decoder}
    assert len(encoder) < 180 and len(decoder) < 180


def test_graphs_hold_their_weights_and_nothing_of_the_machine(exported: Path) -> None:
    names = {path.name for path in exported.iterdir()}
    assert names == {ENCODER, DECODER, "model.json", "export-report.json"}
    for name in names:
        content = (exported / name).read_bytes()
        assert b".py" not in content.replace(b'"python"', b"")
        assert str(Path.cwd()).encode() not in content


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


def test_model_json_tells_how_to_run_it(exported: Path) -> None:
    metadata = json.loads((exported / "model.json").read_text("utf-8"))["onnx"]
    assert metadata["opset"] == 20 and metadata["precision"] == "fp32"
    assert metadata["operators"] == ["ai.onnx", "com.microsoft"]
    for name, graph in metadata["graphs"].items():
        content = (exported / name).read_bytes()
        assert graph["sha256"] == hashlib.sha256(content).hexdigest()
        assert graph["bytes"] == len(content)
    inputs = {value["name"]: value for value in metadata["graphs"][ENCODER]["inputs"]}
    assert inputs["images"] == {
        "name": "images",
        "type": "float32",
        "shape": ["batch", 1, 32, "width"],
    }
    assert metadata["special_tokens"]["ctc_blank"] == 0
    assert metadata["preprocessing"]["height"] == 32


# --------------------------------------------------------------------------- parity


def test_other_weights_are_told(exported: Path) -> None:
    parity = compare(small_engine(4, patch=8), OnnxEngine(exported, "cpu"), preparation(exported))
    with pytest.raises(ParityError, match="differ from PyTorch by"):
        parity.require(Precision.FP32)


@pytest.mark.parametrize("name", [ENCODER, DECODER])
def test_one_broken_weight_is_told(
    checkpoint: Path, exported: Path, tmp_path: Path, name: str
) -> None:
    """Of some matrices in turn, one great number changes its sign."""
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    reference = TorchEngine.open(checkpoint, "cpu", 0)
    whole = onnx.load(exported / name)
    matrices = [
        (index, numpy_helper.to_array(tensor))
        for index, tensor in enumerate(whole.graph.initializer)
        if len(tensor.dims) > 1 and tensor.data_type == onnx.TensorProto.FLOAT
    ]
    assert len(matrices) > 5
    for index, values in matrices[::3]:
        broken = onnx.load(exported / name)
        values = values.copy()
        last = values[-1].reshape(-1)  # a view; of the embedding it is a letter, as noise has them
        last[np.abs(last).argmax()] *= -1
        tensor = broken.graph.initializer[index]
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        onnx.save(broken, tmp_path / name)
        parity = compare(reference, OnnxEngine(tmp_path, "cpu"), preparation(exported))
        with pytest.raises(ParityError):
            parity.require(Precision.FP32)


def test_nothing_is_written_where_the_check_fails(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = small_engine(4, patch=8).model
    monkeypatch.setattr(job, "fuse", lambda _: fuse(other))
    with pytest.raises(ParityError):
        export_model(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_model(checkpoint, tmp_path / "out", ExportOptions(checked=False))
    assert json.loads((tmp_path / "out" / "export-report.json").read_text())["parity"] is None


@pytest.mark.parametrize(
    ("parity", "precision", "message"),
    [
        (Parity(float("inf")), Precision.FP32, "differ"),
        (Parity(1e-5, texts=9, equal=8), Precision.FP32, "1 of 9 pictures"),
        (Parity(float("inf")), Precision.FP16, "overflows"),
        (Parity(0.5, 9, 8, (0.02, 0.022)), Precision.INT8, "from 2.00 % to 2.20 %"),
        (Parity(0.5, other_pixels=0.01), Precision.INT8, "1.00 % of the pixels"),
    ],
)
def test_what_is_out_of_bounds(parity: Parity, precision: Precision, message: str) -> None:
    with pytest.raises(ParityError, match=message):
        parity.require(precision)


def test_what_is_within_bounds() -> None:
    Parity(1e-4, 9, 9, (0.5, 0.5)).require(Precision.FP32)
    Parity(0.5, 9, 5, (0.02, 0.0205)).require(Precision.INT8)


# --------------------------------------------------------------------------- kinds of networks


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model for square images, with grouped queries, and calibrated."""
    line, tiny = small_engine(0), preset("tiny")
    config = dataclasses.replace(
        tiny,
        vision=dataclasses.replace(tiny.vision, height=32, width=32, d_model=16, n_layer=1),
        decoder=dataclasses.replace(tiny.decoder, d_model=16, n_layer=1, n_kv_head=2, d_ff=32),
        vocab_size=len(line.metadata.vocabulary),
    )
    torch.manual_seed(0)
    engine = TorchEngine(dataclasses.replace(line.metadata, config=config), OcrModel(config))
    folder = save(engine, tmp_path_factory.mktemp("models") / "square")
    metadata = json.loads((folder / "model.json").read_text("utf-8"))
    metadata["calibration"] = {"line": {"slope": 0.5, "offset": 0.1}}
    (folder / "model.json").write_text(json.dumps(metadata))
    return folder


@pytest.mark.parametrize("portable", [False, True])
def test_square_images_and_grouped_queries(square: Path, tmp_path: Path, portable: bool) -> None:
    report = export_model(square, tmp_path / "out", ExportOptions(portable=portable))
    assert report.difference < 1e-4
    engine = OnnxEngine(tmp_path / "out", "cpu")
    pixels = np.zeros((2, 3, 32, 32), np.float32)
    assert engine.encode(pixels, np.array([32, 32])).ctc_log_probs is None
    found = {*operators(tmp_path / "out" / ENCODER), *operators(tmp_path / "out" / DECODER)}
    assert (found >= FUSED) is not portable
    assert portable is not bool(FUSED & found)
    before, after = (
        json.loads((folder / "model.json").read_text("utf-8")) for folder in (square, report.folder)
    )
    assert after.pop("onnx")["operators"][1:] == ([] if portable else ["com.microsoft"])
    assert before == after


@pytest.fixture(scope="module")
def prefixed(square: Path) -> Path:
    """A reader whose decoder sees the image, and a prompt, before the text."""
    engine = TorchEngine.open(square, "cpu", 0)
    config = dataclasses.replace(
        engine.metadata.config,
        decoder=dataclasses.replace(engine.metadata.config.decoder, fusion="prefix"),
        prompt_ids=(5, 6),
    )
    torch.manual_seed(1)
    model = OcrModel(config)
    return save(
        TorchEngine(dataclasses.replace(engine.metadata, config=config), model),
        square.with_name("prefixed"),
    )


@pytest.mark.parametrize("options", [ExportOptions(), ExportOptions(portable=True)])
def test_an_image_that_is_a_prefix(prefixed: Path, tmp_path: Path, options: ExportOptions) -> None:
    report = export_model(prefixed, tmp_path / "out", options)
    assert report.difference < 1e-4
    encoded = OnnxEngine(report.folder, "cpu").encode(
        np.zeros((3, 3, 32, 32), np.float32), np.array([32, 32, 32])
    )
    assert encoded.lengths.tolist() == [6, 6, 6]  # four patches and the prompt


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_less_than_float32(
    checkpoint: Path, exported: Path, tmp_path: Path, precision: Precision
) -> None:
    report = export_model(checkpoint, tmp_path / "out", ExportOptions(precision))
    assert report.bytes[DECODER] != (exported / DECODER).stat().st_size
    metadata = json.loads((report.folder / "model.json").read_text("utf-8"))["onnx"]
    assert metadata["precision"] == precision
    kinds = {value["type"] for graph in metadata["graphs"].values() for value in graph["inputs"]}
    assert kinds == {"float32", "int64"}
    found = {*operators(report.folder / ENCODER)}
    if precision is Precision.INT8:
        assert {"MatMulInteger", "DynamicQuantizeLinear"} <= found


def test_the_formula_reader_in_any_opset(tmp_path: Path) -> None:
    folder = save(small_formula_engine(3), tmp_path / "model")
    for opset in (18,):
        report = export_model(folder, tmp_path / f"{opset}", ExportOptions(opset=opset))
        graph = onnx.load(report.folder / ENCODER)
        assert {entry.version for entry in graph.opset_import if not entry.domain} == {opset}


@pytest.mark.slow
def test_the_formula_reader_reads_the_same(tmp_path: Path) -> None:
    """Its own graphs are those that the command writes, and both read drawn lines alike."""
    report = export_model("line", tmp_path / "line", ExportOptions(share=True))
    parity = report.parity
    assert parity is not None and parity.texts == parity.equal > 100
    assert parity.difference < check.MAX_DIFFERENCE
    ours = operators(BUNDLED / "line" / ENCODER)
    assert sorted(ours) == sorted(operators(report.folder / ENCODER))


@pytest.mark.slow
def test_the_bundled_detector_in_int8(tmp_path: Path) -> None:
    report = export_model("detector", tmp_path / "whole")
    small = export_model(
        "detector", tmp_path / "small", ExportOptions(Precision.INT8, checked=False)
    )
    assert small.bytes[DETECTOR] < 0.4 * report.bytes[DETECTOR]


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="opset is 16"):
        ExportOptions(opset=16)
    with pytest.raises(UsageError, match="portable"):
        ExportOptions(portable=True, optimize=True)
    with pytest.raises(UsageError, match="check-on"):
        ExportOptions(checked=False, table=Path("a.csv"))


def test_the_documented_reader_reads(tmp_path: Path) -> None:
    """The code in docs/export.md, with a folder that the command wrote."""
    documented = (ROOT / "docs" / "export.md").read_text("utf-8")
    code = documented.split("<!-- run: reader -->\n```python\n")[1].split("```")[0]
    assert code.count("\n") < 80
    (tmp_path / "reader.py").write_text(code, "utf-8")
    export_model("line", tmp_path / "model", ExportOptions(checked=False))
    sample = ROOT / "docs" / "images" / "sample-line.png"
    done = subprocess.run(
        [sys.executable, "reader.py", "model", str(sample)],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert done.stdout == "Printed in Zürich, 1912: 24 copies at £3.50 each.\n"
