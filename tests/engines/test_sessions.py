"""Sessions of ONNX Runtime open on the requested device, or an error says why not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from ocrtool.engines.sessions import CPU, import_runtime, open_session, require_cuda
from ocrtool.errors import DeviceError, MissingDependencyError, ModelError
from ocrtool.weights.bundled import BUNDLED, DETECTOR


def test_a_bundled_graph_runs_on_the_cpu() -> None:
    session = open_session(import_runtime(), BUNDLED / "detector" / DETECTOR, "cpu", 1)
    assert session.get_providers() == [CPU]
    (given,) = session.get_inputs()
    shape = [side if isinstance(side, int) else 64 for side in given.shape]
    outputs = session.run(None, {given.name: np.zeros(shape, np.float32)})
    assert all(np.isfinite(output).all() for output in outputs)


def test_missing_and_damaged_graphs_are_refused(tmp_path: Path) -> None:
    runtime = import_runtime()
    with pytest.raises(ModelError, match="no such file"):
        open_session(runtime, tmp_path / "encoder.onnx", "cpu", 1)
    (tmp_path / "encoder.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_session(runtime, tmp_path / "encoder.onnx", "cpu", 1)


def test_a_gpu_needs_a_build_of_the_runtime_for_it() -> None:
    runtime = SimpleNamespace(get_available_providers=lambda: [CPU])
    with pytest.raises(DeviceError, match=r"cuda:0 cannot be used.*no CUDA provider"):
        require_cuda(runtime, "cuda:0")


def test_a_missing_or_damaged_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    with pytest.raises(MissingDependencyError, match="damaged"):
        import_runtime()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="cannot be loaded"):
        import_runtime()
