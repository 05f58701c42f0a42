from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import pytest

from ocrtool import doctor
from ocrtool.doctor import CacheFacts, Gpu, Provider, WeightFile
from ocrtool.errors import ExitCode

CPU = Provider("CPUExecutionProvider", True, "a session ran on it")
NO_CUDA = Provider("CUDAExecutionProvider", False, "a session takes CPUExecutionProvider instead")
CACHE = CacheFacts("/cache", True, 0)
WEIGHT = WeightFile("line/encoder.onnx", 3, "abc", "ok")


def problems(
    packages=None,
    runtimes=("onnxruntime",),
    gpus=(),
    providers=(CPU,),
    cache=CACHE,
    weights=(WEIGHT,),
) -> list[doctor.Problem]:
    packages = {"torch": "2.13.0"} if packages is None else packages
    return list(doctor.find_problems(packages, runtimes, gpus, providers, cache, weights))


def test_all_is_well() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("found", "message", "fatal"),
    [
        ({"providers": ()}, "ONNX Runtime does not run", True),
        ({"providers": (NO_CUDA,)}, "a session takes CPUExecutionProvider instead", True),
        ({"runtimes": ("onnxruntime", "onnxruntime-gpu")}, "overwrite each other", False),
        ({"gpus": (Gpu("cuda:0", "H200", 1, "580"),)}, "there is a GPU", False),
        ({"weights": ()}, "no bundled weights", True),
        (
            {"weights": (WeightFile("line/a.onnx", 1, "", "changed"),)},
            "line/a.onnx is changed",
            True,
        ),
        ({"weights": (WeightFile("line/a.onnx", 0, "", "missing"),)}, "is missing", True),
        ({"weights": (WeightFile("line/a.onnx", 0, "", "unlisted"),)}, "is unlisted", False),
        ({"cache": CacheFacts("/cache", False, 0)}, "/cache cannot be written", False),
        ({"packages": {"torch": None}}, "need PyTorch", False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_problems(found: dict, message: str, fatal: bool) -> None:
    (problem,) = problems(**found)
    assert message in problem.message
    assert problem.fatal is fatal
    assert problem.remedy


def test_a_provider_is_usable_when_a_session_ran_on_it() -> None:
    providers = {provider.name: provider for provider in doctor.try_providers()}
    assert providers["CPUExecutionProvider"] == CPU


def test_an_unknown_provider_is_not_usable() -> None:
    import onnxruntime

    tried = doctor._try_provider(onnxruntime, "NoSuchProvider")
    assert not tried.usable and tried.reason


def test_double_install_is_found(tmp_path: Path) -> None:
    for name in ("onnxruntime", "onnxruntime_gpu", "onnx"):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    names = (dist.metadata["Name"] for dist in metadata.distributions(path=[str(tmp_path)]))
    assert doctor.installed_runtimes(names) == ("onnxruntime", "onnxruntime-gpu")


def test_weights_are_held_against_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "line"
    folder.mkdir()
    for name in ("encoder.onnx", "decoder.onnx", "model.json"):
        (folder / name).write_text(name)
    (folder / "CARD.md").write_text("the card has no hash")
    digest = hashlib.sha256(b"encoder.onnx").hexdigest()
    table = (
        f"{digest}  line/encoder.onnx\n{'0' * 64}  line/decoder.onnx\n{'0' * 64} *line/gone.onnx\n"
    )
    (tmp_path / doctor.WEIGHTS_TABLE).write_text(table)
    found = {weight.file: weight for weight in doctor.check_weights(tmp_path)}
    assert {file: weight.status for file, weight in found.items()} == {
        "line/encoder.onnx": "ok",
        "line/decoder.onnx": "changed",
        "line/gone.onnx": "missing",
        "line/model.json": "unlisted",
    }
    assert found["line/encoder.onnx"] == WeightFile("line/encoder.onnx", 12, digest, "ok")


def test_bundled_weights_are_as_listed() -> None:
    assert {weight.status for weight in doctor.check_weights(doctor.BUNDLED)} == {"ok"}


def test_cache_that_does_not_exist_yet(tmp_path: Path) -> None:
    cache = doctor.check_cache(tmp_path / "a" / "b")
    assert (cache.writable, cache.size) == (True, 0)
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("12345")
    assert doctor.check_cache(tmp_path).size == 5
    assert not doctor.check_cache(tmp_path / "file").writable


def test_report(run_cli) -> None:
    done = run_cli("doctor", "--json")
    report = json.loads(done.out)
    assert report["cpu"]["threads"] >= 1
    assert report["packages"]["numpy"] == metadata.version("numpy")
    fatal = any(problem["fatal"] for problem in report["problems"])
    assert done.code == (ExitCode.MISSING if fatal else ExitCode.OK)
    text = run_cli("doctor").out
    assert "ONNX Runtime providers" in text
    assert text.endswith("reading cannot work\n" if fatal else "reading works\n")
