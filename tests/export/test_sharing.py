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
from ocrtool.options import Precision


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
    for a, b in zip(one, other, strict=True):
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
