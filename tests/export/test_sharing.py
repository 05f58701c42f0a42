"""Graphs that take their weights from the checkpoint beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from ocrtool.engines.onnx import OnnxEngine
from ocrtool.engines.torch import TorchEngine
from ocrtool.errors import ModelError, UsageError
from ocrtool.export import ExportOptions, export_model
from ocrtool.layout.detector import Detector
from ocrtool.options import Precision
from ocrtool.weights import DETECTOR


@pytest.fixture(scope="module")
def halved(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small reader as it would ship: in half precision."""
    folder = shutil.copytree(checkpoint, tmp_path_factory.mktemp("half") / "small")
    state = load_file(folder / "model.safetensors")
    halves = {name: array.astype(np.float16) for name, array in state.items()}
    save_file(halves, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def shared(halved: Path) -> Path:
    """The same as graphs without weights."""
    options = ExportOptions(share=True, checked=False)
    return export_model(halved, halved.with_name("shared"), options).folder


def test_every_large_weight_stays_where_it_is(halved: Path, shared: Path) -> None:
    weights = "model.safetensors"
    assert (shared / weights).read_bytes() == (halved / weights).read_bytes()
    for name in ("encoder.onnx", "decoder.onnx"):
        graph = onnx.load(shared / name, load_external_data=False)
        inside = [
            tensor for tensor in graph.graph.initializer
            if tensor.data_location != onnx.TensorProto.EXTERNAL
        ]  # fmt: skip
        assert sum(tensor.ByteSize() for tensor in inside) < 20_000
    pixels = np.random.default_rng(0).normal(size=(2, 1, 32, 64)).astype(np.float32)
    widths = np.array([64, 40])
    one = OnnxEngine(shared, "cpu").encode(pixels, widths)
    other = TorchEngine.open(halved, "cpu", 0).encode(pixels, widths)
    for a, b in zip(one[:4], other[:4], strict=True):
        assert a is not None and b is not None
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_a_missing_checkpoint_is_told(shared: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(shared, tmp_path / "alone")
    (alone / "model.safetensors").unlink()
    with pytest.raises(ModelError):
        OnnxEngine(alone, "cpu")


def test_what_changes_weights_cannot_leave_them() -> None:
    for options in ({"optimize": True}, {"precision": Precision.INT8}):
        with pytest.raises(UsageError, match="--share-weights"):
            ExportOptions(share=True, **options)


def test_a_detector_folds_its_norms_when_it_is_loaded(tmp_path: Path) -> None:
    shared = export_model("detector", tmp_path / "shared", ExportOptions(share=True)).folder
    folded = export_model("detector", tmp_path / "folded", ExportOptions(checked=False)).folder
    sizes = [(folder / DETECTOR).stat().st_size for folder in (shared, folded)]
    assert sizes[0] < 100_000 < sizes[1]
    image = np.random.default_rng(0).integers(0, 256, (160, 224), dtype=np.uint8)
    one, other = (Detector(folder, device="cpu").maps(image) for folder in (shared, folded))
    for name in ("kernel", "geometry", "regions"):
        assert np.allclose(getattr(one, name), getattr(other, name), atol=1e-5)
