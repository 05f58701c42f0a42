"""Models of the hub in the cache: fetched once, checked, resumed; and nothing without being asked.

The hub is a real server on this machine that breaks connections and spoils files.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hub_server import COMMIT, FakeHub
from ocrtool.errors import ModelError, UsageError
from ocrtool.weights.cache import Consenting, ModelCache
from ocrtool.weights.registry import TABLE, Reference, WeightSpec, refer

REFERENCE = Reference("hf:owner/name", "owner/name")


@pytest.fixture
def store(hub: FakeHub, tmp_path: Path) -> ModelCache:
    """The store of the hub's cache."""
    return ModelCache(tmp_path / "cache")


def test_what_a_model_is_made_of_is_fetched(hub: FakeHub, store: ModelCache) -> None:
    model = store.get(REFERENCE)
    assert model.commit == COMMIT and model.license == "apache-2.0"
    assert {file.path for file in model.files} == {"config.json", "model.safetensors"}
    for file in model.files:
        assert (model.folder / file.path).read_bytes() == hub.files[file.path]
    assert not list(store.root.rglob("*.partial"))
    assert [one.repository for one in store.models()] == ["owner/name"]


def test_what_is_there_needs_no_hub(
    hub: FakeHub, store: ModelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.get(REFERENCE).folder
    hub.requests.clear()
    assert store.get(REFERENCE).folder == folder and not hub.requests

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    assert ModelCache(store.root.parent, offline=True).get(REFERENCE).folder == folder
    by_commit = Reference("x", "owner/name", COMMIT)
    assert ModelCache(store.root.parent, offline=True).get(by_commit).folder == folder
    with pytest.raises(ModelError, match="offline"):
        ModelCache(store.root.parent, offline=True).get(Reference("x", "owner/other"))


def test_the_environment_forbids_connections(
    hub: FakeHub, store: ModelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCRTOOL_OFFLINE", "1")
    with pytest.raises(ModelError, match="offline"):
        ModelCache(store.root.parent).get(REFERENCE)
    assert not hub.requests


def test_a_broken_connection_goes_on_where_it_broke(hub: FakeHub, store: ModelCache) -> None:
    hub.cut = [30_000, 20_000]
    model = store.get(REFERENCE)
    assert (model.folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    ranges = [wanted for _, path, wanted in hub.requests if path.endswith(".safetensors")]
    assert ranges == ["bytes=0-", "bytes=30000-", "bytes=50000-"]


def test_a_later_try_goes_on_where_the_last_one_ended(hub: FakeHub, store: ModelCache) -> None:
    hub.cut = [10_000, 10_000, 10_000]
    with pytest.raises(ModelError, match="cannot be reached"):
        store.get(REFERENCE)
    assert store.find(REFERENCE) is None
    hub.requests.clear()
    store.get(REFERENCE)
    ranges = [wanted for _, path, wanted in hub.requests if path.endswith(".safetensors")]
    assert ranges == ["bytes=30000-"]
    assert not any(path.endswith("config.json") for _, path, _ in hub.requests)


def test_what_arrives_changed_is_thrown_away(hub: FakeHub, store: ModelCache) -> None:
    hub.spoilt = {"model.safetensors"}
    with pytest.raises(ModelError, match=r"model\.safetensors did not arrive"):
        store.get(REFERENCE)
    assert not list(store.root.rglob("model.safetensors*"))
    hub.spoilt = set()
    store.get(REFERENCE)


def test_a_known_hash_counts_more_than_the_hubs(hub: FakeHub, store: ModelCache) -> None:
    spec = WeightSpec(
        "x", "owner/name", "lines", "", 1, "MIT", "", hashes={"model.safetensors": "0" * 64}
    )
    with pytest.raises(ModelError, match="did not arrive"):
        store.get(Reference("x", "owner/name", spec=spec))


def test_what_is_changed_later_is_found_out(store: ModelCache) -> None:
    model = store.get(REFERENCE)
    weights = model.folder / "model.safetensors"
    content = weights.read_bytes()
    weights.touch()  # the same content is no matter
    assert store.find(REFERENCE) == model and store.verify(model) == []
    weights.write_bytes(content[:-1] + b"!")
    assert store.verify(model) == ["model.safetensors"]
    with pytest.raises(ModelError, match="was changed or is missing"):
        store.find(REFERENCE)
    weights.unlink()
    with pytest.raises(ModelError, match="was changed or is missing"):
        store.find(REFERENCE)
    assert store.remove(REFERENCE) > 0
    assert store.find(REFERENCE) is None
    with pytest.raises(ModelError, match="not in the cache"):
        store.remove(REFERENCE)


def test_pickles_are_refused(hub: FakeHub, store: ModelCache) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(ModelError, match="pickled"):
        store.get(REFERENCE)
    assert not any("resolve" in path for _, path, _ in hub.requests)


def test_paths_out_of_the_folder_are_not_fetched(hub: FakeHub, store: ModelCache) -> None:
    hub.files["../evil.json"] = b"{}"
    hub.files["/evil.json"] = b"{}"
    files = {file.path for file in store.get(REFERENCE).files}
    assert files == {"config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("repository", "revision", "message"),
    [("owner/other", "main", "no repository"), ("owner/name", "v9", "no revision 'v9'")],
)
def test_what_the_hub_has_not(
    store: ModelCache, hub: FakeHub, repository: str, revision: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        store.get(Reference("x", repository, revision))


def test_gated_repositories_ask_for_permission(hub: FakeHub, store: ModelCache) -> None:
    hub.gated = True
    with pytest.raises(ModelError, match="permission"):
        store.get(REFERENCE)


def test_no_hub(hub: FakeHub, store: ModelCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="cannot be reached"):
        store.get(REFERENCE)


def test_no_room(hub: FakeHub, store: ModelCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(ModelError, match="are free"):
        store.get(REFERENCE)
    assert not any("resolve" in path for _, path, _ in hub.requests)


def test_tokens_are_sent_and_never_logged(
    hub: FakeHub,
    store: ModelCache,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with caplog.at_level(logging.DEBUG):
        store.get(REFERENCE)
    assert "Bearer hf_secret" in hub.tokens
    assert "hf_secret" not in caplog.text


FETCH = """
from ocrtool.weights.cache import ModelCache
from ocrtool.weights.registry import Reference
print(ModelCache().get(Reference("hf:owner/name", "owner/name")).folder)
"""


def test_processes_do_not_disturb_each_other(hub: FakeHub, store: ModelCache) -> None:
    environment = {**os.environ, "HF_ENDPOINT": hub.url}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FETCH], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    folders = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert all(process.returncode == 0 for process in processes)
    assert folders == {str(store.get(REFERENCE).folder)}
    fetched = [path for _, path, _ in hub.requests if path.endswith(".safetensors")]
    assert len(fetched) == 1


# --------------------------------------------------------------------------- consent


def agreement(
    root: Path, answer: bool | None, yes: bool = False, accept: bool = False
) -> tuple[Consenting, list[str]]:
    """What asks, and what it asked."""
    asked: list[str] = []

    def ask(question: str) -> bool | None:
        asked.append(question)
        return answer

    return Consenting(ask, yes, accept, root), asked


@pytest.mark.parametrize("answer", [False, None])
def test_licences_that_forbid_commerce_are_to_be_accepted(
    hub: FakeHub, store: ModelCache, tmp_path: Path, answer: bool | None
) -> None:
    spec = WeightSpec("x", "owner/name", "pages", "", 1, "CC-BY-NC-4.0", "", commercial=False)
    reference = Reference("x", "owner/name", spec=spec)
    refusing, asked = agreement(tmp_path, answer)
    with pytest.raises(UsageError, match=r"--accept-license"):
        store.get(reference, refusing)
    assert asked == ["CC-BY-NC-4.0 forbids commercial use. Accept it?"]
    assert store.find(reference) is None
    accepting, _ = agreement(tmp_path, None, accept=True)
    store.get(reference, accepting)
    store.remove(reference)
    again, asked = agreement(tmp_path, None)
    store.get(reference, again)
    assert asked == []  # once and for all


def test_large_downloads_are_asked_about(
    hub: FakeHub, store: ModelCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocrtool.weights.cache.LARGE", 1000)
    refusing, asked = agreement(tmp_path, False)
    with pytest.raises(UsageError, match="not downloaded"):
        store.get(REFERENCE, refusing)
    assert "0.0 GB. Download it?" in asked[0]
    willing, asked = agreement(tmp_path, False, yes=True)
    store.get(REFERENCE, willing)
    assert asked == []


# --------------------------------------------------------------------------- names


def test_names() -> None:
    assert refer("line") is None and refer("run/best") is None
    found = refer("trocr-base-printed")
    assert found is not None and found.repository == "microsoft/trocr-base-printed"
    named = refer("hf:owner/name@v1.2")
    assert named == Reference("hf:owner/name@v1.2", "owner/name", "v1.2", None)
    known = refer("hf:facebook/nougat-base")
    assert known is not None and known.spec is not None and not known.spec.commercial
    for wrong in ("hf:name", "hf:a/b/c", "hf:", "hf:../x", "hf:a/..", "hf:a/b@"):
        with pytest.raises(UsageError, match="names no repository"):
            refer(wrong)


def test_the_table_is_whole() -> None:
    assert len({spec.name for spec in TABLE}) == len(TABLE)
    for spec in TABLE:
        assert spec.repository.count("/") == 1 and spec.license and spec.paper and spec.about
        assert spec.commercial != ("NC" in spec.license)
