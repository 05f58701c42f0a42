from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ocrtool.decoding.autoregressive import DecodeOptions, decode
from ocrtool.engines import (
    EngineCache,
    find_model,
    lacks_memory,
    open_engine,
    read_metadata,
    split_on_oom,
)
from ocrtool.engines.onnx import CUDA, OnnxEngine
from ocrtool.engines.torch import TorchEngine
from ocrtool.errors import (
    DeviceError,
    ExitCode,
    MissingDependencyError,
    ModelError,
    UsageError,
)
from ocrtool.models.cache import KVCache
from ocrtool.options import ENGINES, EngineEntry, EngineName, ReadOptions, register_engine
from ocrtool.readers.lines import LineReader
from ocrtool.weights import BOS
from small_models import cache_actions, small_engine

NO_GPU = not torch.cuda.is_available()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_cache_is_the_twin_of_the_networks_own(seed: int) -> None:
    config = small_engine(0).metadata.config.decoder
    ours, theirs = EngineCache.allocate(config, 3), KVCache.allocate(config, 3)
    for action, arrays in cache_actions(config, seed):
        steps = (arrays[0].shape[3],) if action == "append" else ()
        getattr(ours, action)(*arrays, *steps)
        getattr(theirs, action)(*map(torch.from_numpy, arrays))
        (keys, values), lengths = ours.past(), ours.lengths
        assert lengths.tolist() == theirs.lengths.tolist() and ours.longest == theirs.longest
        for row, length in enumerate(lengths):
            assert np.array_equal(keys[:, row, :, :length], theirs.keys[:, row, :, :length])
            assert np.array_equal(values[:, row, :, :length], theirs.values[:, row, :, :length])


def test_a_full_cache_says_so() -> None:
    config = small_engine(0).metadata.config.decoder
    cache = EngineCache.allocate(config, 1)
    new = np.zeros((config.n_layer, 1, config.n_kv_head, config.max_length + 1, config.d_head))
    with pytest.raises(ValueError, match="do not fit"):
        cache.append(new.astype(np.float32), new.astype(np.float32), new.shape[3])


def test_engines_agree_in_numbers_and_in_text(checkpoint: Path, exported: Path) -> None:
    onnx, torch_engine = OnnxEngine(exported, "cpu"), TorchEngine.open(checkpoint, "cpu", 0)
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((5, 1, 32, 120)).astype(np.float32)
    widths = np.array([120, 8, 64, 100, 4])
    encoded = [engine.encode(pixels, widths) for engine in (onnx, torch_engine)]
    assert encoded[0].lengths.tolist() == encoded[1].lengths.tolist() == [15, 1, 8, 13, 1]
    for row, length in enumerate(encoded[0].lengths):
        ctc = [images.ctc_log_probs[row, : 2 * length] for images in encoded]  # type: ignore[index]
        assert np.allclose(*ctc, atol=1e-4)
        keys = [images.cross_keys[:, row, :, :length] for images in encoded]
        assert np.allclose(*keys, atol=1e-4)
    for strategy in ("ctc", "greedy", "beam", "verify"):
        options = DecodeOptions(strategy=strategy, beam=3)  # type: ignore[arg-type]
        a = decode(onnx, encoded[0], options)
        b = decode(torch_engine, encoded[1], options)
        assert [r.ids for r in a] == [r.ids for r in b]


def test_steps_on_ragged_rows_equal_each_row_alone(exported: Path) -> None:
    engine = OnnxEngine(exported, "cpu", threads=1)
    rng = np.random.default_rng(1)
    pixels = rng.standard_normal((3, 1, 32, 80)).astype(np.float32)
    encoded = engine.encode(pixels, np.array([80, 40, 12]))
    tokens = rng.integers(4, 15, (3, 6))
    tokens[:, 0] = BOS
    cache = EngineCache.allocate(engine.metadata.config.decoder, 3, engine.store)
    engine.step(tokens, encoded, cache)
    kept = np.array([6, 1, 3])
    cache.truncate(kept)
    together = engine.step(tokens[:, :2], encoded, cache)
    for row in range(3):
        alone = EngineCache.allocate(engine.metadata.config.decoder, 1, engine.store)
        sequence = np.concatenate((tokens[row, : kept[row]], tokens[row, :2]))[None]
        scores = engine.step(sequence, encoded.select(np.array([row])), alone)
        assert np.allclose(together[row], scores[0, -2:], atol=1e-4)


def test_auto_takes_onnx_where_there_is_onnx(
    checkpoint: Path, exported: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ocrtool")
    assert open_engine(exported, device="cpu").name == "onnx"
    assert open_engine(checkpoint, device="cpu").name == "torch"
    both = tmp_path / "both"
    shutil.copytree(checkpoint, both)
    shutil.copytree(exported, both, dirs_exist_ok=True)
    assert open_engine(both, device="cpu").name == "onnx"
    assert open_engine(both, EngineName.TORCH, "cpu").name == "torch"
    assert "the model has model.safetensors" in caplog.text
    assert "the model has ONNX files" in caplog.text


def test_missing_and_damaged_models_are_model_errors(
    checkpoint: Path, exported: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        find_model("nowhere")
    with pytest.raises(ModelError, match="ocrtool export"):
        open_engine(checkpoint, EngineName.ONNX)
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        open_engine(exported, EngineName.TORCH)
    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    (broken / "decoder.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="cannot be loaded"):
        OnnxEngine(broken, "cpu")
    metadata = json.loads((broken / "model.json").read_text("utf-8"))
    for change in ({"schema": 99}, {"characters": "aa"}, {"characters": "a"}, {"config": {}}):
        (broken / "model.json").write_text(json.dumps(metadata | change))
        with pytest.raises(ModelError):
            read_metadata(broken)
    shutil.copytree(checkpoint, broken, dirs_exist_ok=True)
    (broken / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError, match="does not fit"):
        TorchEngine.open(broken, "cpu", 0)


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused(checkpoint: Path, exported: Path) -> None:
    for model in (checkpoint, exported):
        with pytest.raises(DeviceError, match="cannot be used") as caught:
            open_engine(model, device="cuda")
        assert caught.value.exit_code is ExitCode.MISSING
        assert "--device cpu" in str(caught.value)
        assert open_engine(model, device="auto").device == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(NO_GPU, reason="no GPU")
def test_the_gpu_computes_what_the_cpu_does(exported: Path) -> None:
    gpu, cpu = OnnxEngine(exported, "cuda"), OnnxEngine(exported, "cpu")
    assert CUDA in gpu._encoder.get_providers()
    pixels = np.random.default_rng(0).standard_normal((2, 1, 32, 80)).astype(np.float32)
    found = [engine.encode(pixels, np.array([80, 40])).cross_keys for engine in (gpu, cpu)]
    assert np.allclose(*found, atol=1e-2)


def test_without_onnx_runtime_the_remedy_is_named(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="ONNX Runtime cannot be loaded"):
        OnnxEngine(exported, "cpu")


STARVED = """
import logging
import resource
import numpy as np
from ocrtool.options import ReadOptions
from ocrtool.readers.lines import LineReader

reader = LineReader(ReadOptions(device="cpu", threads=1))
rng = np.random.default_rng(0)
images = [("", rng.integers(0, 255, (32, 1500), dtype=np.uint8)) for _ in range(64)]
wanted = [result.text for result in reader.read_stream(images)]
logging.basicConfig(level="INFO")
reader._batch_width = 10_000_000
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 100_000_000,) * 2)
assert [result.text for result in reader.read_stream(images)] == wanted
"""


def test_halves_keep_the_order_and_only_memory_is_worth_another_try() -> None:
    sizes: list[int] = []

    def read(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return [10 * i for i in batch]

    assert split_on_oom(read, list(range(11))) == [10 * i for i in range(11)]
    assert sizes == [11, 5, 2, 3, 6, 3, 3]
    with pytest.raises(ValueError, match="other"):
        split_on_oom(lambda _: (_ for _ in ()).throw(ValueError("other")), [1, 2])
    with pytest.raises(MemoryError):
        split_on_oom(lambda _: (_ for _ in ()).throw(MemoryError()), [1, 2])


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 20.00 MiB",
        "Non-zero status code returned while running Conv node. Status Message: std::bad_alloc",
        "BFCArena: Failed to allocate memory for requested buffer of size 1024",
        "Available memory of 1 is smaller than requested bytes of 2",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
    ],
)
def test_engines_say_it_in_many_ways(message: str) -> None:
    assert lacks_memory(RuntimeError(message))
    assert not lacks_memory(RuntimeError("shapes do not match"))


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
def test_lines_are_read_where_a_batch_does_not_fit() -> None:
    done = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "out of memory with 64 in a batch: halved" in done.stderr


TOY_ENGINE = """
from ocrtool.engines.onnx import OnnxEngine


class ToyEngine(OnnxEngine):
    name = "toy"
"""


def test_an_engine_needs_one_module_and_one_entry(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no engine 'toy'"):
        ReadOptions(engine="toy")
    (tmp_path / "toy_engine.py").write_text(TOY_ENGINE)
    monkeypatch.syspath_prepend(tmp_path)
    entry = EngineEntry("toy", "toy_engine:ToyEngine", ("toy.bin",), "toy files", "make some")
    monkeypatch.setitem(ENGINES, "toy", entry)  # register_engine would leave it to other tests
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    with pytest.raises(ModelError, match="no toy files"):
        open_engine(folder, "toy")
    (folder / "toy.bin").touch()
    reader = LineReader(ReadOptions(model=str(folder), engine="toy", device="cpu"))
    assert reader.engine.name == "toy"
    image = np.full((32, 200), 255, np.uint8)
    twin = LineReader(ReadOptions(model=str(folder), device="cpu"))
    assert twin.engine.name == "onnx" and reader.read(image) == twin.read(image)
    with pytest.raises(ValueError, match="another engine"):
        register_engine(entry)
