"""Remedies name a command that works for the installation at hand."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocrtool.errors import DISTRIBUTION, install_command

ROOT = Path(__file__).parent.parent


@pytest.fixture
def installed_from(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, object] | None], None]:
    """Set the content of the distribution's ``direct_url.json``."""

    def install(origin: dict[str, object] | None) -> None:
        record = None if origin is None else json.dumps(origin)
        found = SimpleNamespace(read_text=lambda name: record)
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: found)

    return install


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        ({"url": "file:///my%20code", "dir_info": {"editable": True}}, "-e '/my code[torch]'"),
        ({"url": "file:///code", "dir_info": {}}, "'/code[torch]'"),
        ({"url": "file:///x-1.whl", "archive_info": {}}, "'/x-1.whl[torch]'"),
        (
            {"url": "https://x.org/y", "vcs_info": {"vcs": "git", "commit_id": "0ab"}},
            f"'{DISTRIBUTION}[torch] @ git+https://x.org/y@0ab'",
        ),
        (
            {"url": "https://x.org/x-1.whl", "archive_info": {}},
            f"'{DISTRIBUTION}[torch] @ https://x.org/x-1.whl'",
        ),
        (None, f"'{DISTRIBUTION}[torch]'"),
    ],
)
def test_the_command_adds_an_extra_to_what_is_installed(
    installed_from: Callable[..., None], origin: dict[str, object] | None, command: str
) -> None:
    installed_from(origin)
    assert install_command("torch") == f"pip install {command}"


def test_a_checkout_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert install_command("hub") == f"pip install -e '{ROOT}[hub]'"


def test_no_text_recommends_the_package_of_another_author() -> None:
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.py")]
    assert len(files) > 100
    for path in [*files, ROOT / "pyproject.toml"]:
        text = path.read_text("utf-8")
        assert not re.search(r"ocrtool\[|pip install ['\"]?ocrtool\b(?!-)", text), path
