"""Sessions of ONNX Runtime open on the requested device, or an error says why not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtool.decoding.autoregressive import DecodeOptions, decode, generate
from ocrtool.engines import HOST, CacheStore, EngineCache
from ocrtool.engines.cuda_graphs import AFTER, FixedStep, StepGraphs
from ocrtool.engines.onnx import (
    CPU,
    BoundStore,
    OnnxEngine,
    import_runtime,
    open_session,
    require_cuda,
)
from ocrtool.engines.onnx import __file__ as engine_file
from ocrtool.engines.torch import TorchEngine, TorchStore
from ocrtool.errors import DeviceError, MissingDependencyError, ModelError
from ocrtool.export.key_values import key_value_graphs
from ocrtool.models.ocr import CrossCache
from ocrtool.weights import BUNDLED, DETECTOR
from small_models import cache_actions, small_engine


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


STORES: dict[str, CacheStore] = {
    "bound": BoundStore(onnxruntime, "cpu", 1),
    "torch": TorchStore("cpu", torch.float32),
}


def kept(cache: EngineCache, row: int) -> tuple[np.ndarray, np.ndarray]:
    """What a row holds."""
    end = int(cache.lengths[row])
    keys, values = cache.keys, cache.values
    if isinstance(cache.store, BoundStore):
        keys, values = keys.numpy(), values.numpy()
    return np.asarray(keys)[:, row, :, :end], np.asarray(values)[:, row, :, :end]


def given_to(store: CacheStore, array: np.ndarray) -> object:
    if isinstance(store, BoundStore):
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    return torch.from_numpy(array)


@pytest.mark.parametrize("name", STORES)
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_store_keeps_what_numpy_keeps(name: str, seed: int) -> None:
    config = small_engine(0).metadata.config.decoder
    ours, theirs = (
        EngineCache.allocate(config, 3, STORES[name]),
        EngineCache.allocate(config, 3, HOST),
    )
    for action, arrays in cache_actions(config, seed):
        if action == "append":
            steps = arrays[0].shape[3]
            ours.append(*(given_to(ours.store, array) for array in arrays), steps)
            theirs.append(*arrays, steps)
        else:
            getattr(ours, action)(*arrays)
            getattr(theirs, action)(*arrays)
        assert ours.lengths.tolist() == theirs.lengths.tolist()
        for row in range(len(ours.lengths)):
            for mine, other in zip(kept(ours, row), kept(theirs, row), strict=True):
                assert np.array_equal(mine, other)


@pytest.mark.parametrize("strategy", ["greedy", "beam", "verify"])
def test_bound_and_unbound_sessions_read_the_same(exported: Path, strategy: str) -> None:
    plain, tied = (OnnxEngine(exported, "cpu", 1, bound=bound) for bound in (False, True))
    pixels = np.random.default_rng(0).standard_normal((5, 1, 32, 120)).astype(np.float32)
    options = DecodeOptions(strategy=strategy, verify="all", beam=3)  # type: ignore[arg-type]
    texts = [
        decode(engine, engine.encode(pixels, np.array([120, 8, 64, 100, 4])), options)
        for engine in (plain, tied)
    ]
    assert [reading.ids for reading in texts[0]] == [reading.ids for reading in texts[1]]
    for a, b in zip(*texts, strict=True):
        assert np.allclose(a.probabilities, b.probabilities, atol=1e-5)


def test_the_shipped_graphs_are_those_that_are_made() -> None:
    for name, model in key_value_graphs().items():
        shipped = onnx.load(Path(engine_file).with_name(name))
        assert shipped.graph == model.graph, name


def test_steps_of_fixed_room_are_the_steps_of_the_engine(checkpoint: Path) -> None:
    """What a CUDA graph records, taken without one: nothing can be recorded on a CPU."""
    engine = TorchEngine.open(checkpoint, "cpu", 0)
    graphs = StepGraphs(engine.model)
    rng = np.random.default_rng(2)
    pixels = rng.standard_normal((3, 1, 32, 80)).astype(np.float32)
    encoded = engine.encode(pixels, np.array([80, 40, 12]))
    config = engine.metadata.config.decoder
    caches = [EngineCache.allocate(config, 3, engine.store) for _ in range(2)]
    image = CrossCache(encoded.cross_keys, encoded.cross_values, torch.from_numpy(encoded.lengths))
    for _ in range(AFTER + 3):
        tokens = rng.integers(4, 15, (3, 1))
        wanted = engine.step(tokens, encoded, caches[0])
        behind = torch.from_numpy(caches[1].lengths)
        arrays = caches[1].keys, caches[1].values
        with torch.inference_mode():
            seen = graphs.step(FixedStep(torch.from_numpy(tokens), image, *arrays, behind))
        caches[1].advance(1)
        assert np.allclose(seen.numpy(), wanted, atol=1e-5)
        lengths = rng.integers(0, 4, 3)  # rows are taken back to lengths of their own
        for cache in caches:
            cache.truncate(lengths)
    assert torch.cuda.is_available() or not graphs._usable


def test_half_precision_reads_nearly_the_same(checkpoint: Path) -> None:
    whole = TorchEngine.open(checkpoint, "cpu", 0)
    half = TorchEngine(
        whole.metadata, TorchEngine.open(checkpoint, "cpu", 0).model, "cpu", torch.bfloat16
    )
    pixels = np.random.default_rng(0).standard_normal((2, 1, 32, 120)).astype(np.float32)
    widths = np.array([120, 64])
    encoded = [engine.encode(pixels, widths) for engine in (whole, half)]
    assert encoded[1].cross_keys.dtype == torch.bfloat16
    assert np.allclose(encoded[0].ctc_log_probs, encoded[1].ctc_log_probs, atol=0.2)  # type: ignore[arg-type]
    rows = generate(half, encoded[1], [6, 6])
    assert all(row.done for row in rows)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cuda_graphs_read_what_plain_steps_read(checkpoint: Path) -> None:
    engines = [TorchEngine.open(checkpoint, "cuda", 0) for _ in range(2)]
    engines[1]._graphs = None
    pixels = np.random.default_rng(0).standard_normal((4, 1, 32, 200)).astype(np.float32)
    options = DecodeOptions(strategy="greedy")
    texts = [
        [r.ids for r in decode(engine, engine.encode(pixels, np.full(4, 200)), options)]
        for engine in engines
    ]
    assert texts[0] == texts[1]
