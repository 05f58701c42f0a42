"""``ocrtool models``: what is there, what can be fetched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_server import FakeHub, serving
from ocrtool.weights.registry import TABLE


@pytest.fixture
def cli(run_cli: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """The command line, with a cache of its own."""
    monkeypatch.setenv("OCRTOOL_CACHE", str(tmp_path / "cache"))
    return run_cli


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with one repository."""
    files = {"config.json": b'{"architectures": ["Other"]}', "model.safetensors": bytes(1000)}
    with serving(FakeHub(files)) as served:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.url)
        yield served


def test_a_model_comes_is_verified_and_goes(cli: Callable, hub: FakeHub) -> None:
    name = "hf:owner/name"
    done = cli("models", "path", name)
    assert done.code == 6 and f"ocrtool models download {name}" in done.err
    done = cli("models", "download", name)
    assert done.code == 0
    folder = Path(done.out.strip())
    assert (folder / "model.safetensors").read_bytes() == bytes(1000)
    assert "apache-2.0" in done.err
    assert cli("models", "path", name).out == done.out
    listed = json.loads(cli("models", "list", "--json").out)
    assert {"name": name, "kind": "fetched", "about": "of the hub", "size": 1028} in listed
    done = cli("models", "verify")
    assert done.code == 0 and done.out == "owner/name@111111111111  ok\n"
    (folder / "model.safetensors").write_bytes(bytes(999) + b"x")
    done = cli("models", "verify", name)
    assert done.code == 6 and "changed or missing: model.safetensors" in done.out
    done = cli("models", "remove", name)
    assert done.code == 0 and "removed" in done.err
    assert cli("models", "remove", name).code == 6


def test_published_models_are_listed(cli: Callable) -> None:
    out = cli("models", "list").out
    for spec in TABLE:
        assert f"{spec.name:<23} hub" in out


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [("nothing", 6, "no published model"), ("hf:x", 2, "names no repository")],
)
def test_wrong_names(cli: Callable, name: str, code: int, message: str) -> None:
    done = cli("models", "download", name)
    assert done.code == code and message in done.err and done.err.count("\n") == 1


def test_bundled_models_have_a_path(cli: Callable) -> None:
    done = cli("models", "path", "line")
    assert (Path(done.out.strip()) / "model.json").is_file()
