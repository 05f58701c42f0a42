"""Files of a repository that belong to a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from ocrtool.weights.records import Listing, StoredFile, StoredModel, is_wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("config.json", True),
        ("llm/model-00001-of-00002.safetensors", True),
        ("LICENSE", True),
        ("LICENSE.md", True),
        ("README.md", False),
        ("pytorch_model.bin", False),
        ("weights.pth", False),
        ("modeling.py", False),
        (".gitattributes", False),
        (".hidden.json", False),
    ],
)
def test_only_data_files_are_downloaded(path: str, wanted: bool) -> None:
    assert is_wanted(path) is wanted


def test_sizes_are_summed() -> None:
    files = (StoredFile("a.json", 10, "git:0"), StoredFile("b.safetensors", 32, "sha256:0"))
    assert Listing("commit", "MIT", files).size == 42
    model = StoredModel("owner/name", "main", Path("models") / "0123abc", "MIT", files)
    assert (model.size, model.commit) == (42, "0123abc")
