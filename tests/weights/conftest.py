"""A hub on this machine, and a cache of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_server import FakeHub, serving

FILES = {
    "config.json": b'{"model_type": "trocr"}\n',
    "model.safetensors": bytes(range(256)) * 400,
    "pytorch_model.bin": b"pickled",
    "README.md": b"words",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """A hub with one repository; the environment names it and an empty cache."""
    with serving(FakeHub(dict(FILES))) as served:
        monkeypatch.setenv("OCRTOOL_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.url)
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "OCRTOOL_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        yield served
