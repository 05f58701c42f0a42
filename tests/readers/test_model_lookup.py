"""Names of models are told apart: bundled, trained by the user, published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ocrtool.errors import ModelError, UsageError
from ocrtool.options import EngineName, ReadOptions
from ocrtool.readers.model_lookup import own_architecture, published_folder


def config(folder: Path, *architectures: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": architectures}))
    return folder


def test_bundled_and_trained_models_are_not_published(checkpoint: Path) -> None:
    for name in (None, "line", "formula", str(checkpoint)):
        assert published_folder(ReadOptions(model=name)) is None


def test_a_folder_in_the_layout_of_transformers_is_published(tmp_path: Path) -> None:
    folder = config(tmp_path / "model", "GotOcr2ForConditionalGeneration")
    assert published_folder(ReadOptions(model=str(folder))) == folder
    with pytest.raises(ModelError, match="no ONNX files"):
        published_folder(ReadOptions(model=str(folder), engine=EngineName.ONNX))
    with pytest.raises(UsageError, match="names no repository"):
        published_folder(ReadOptions(model="hf:nothing", offline=True))


def test_own_networks_are_known_by_architecture(tmp_path: Path) -> None:
    deepseek = config(tmp_path / "deepseek", "DeepseekOCRForCausalLM")
    assert own_architecture(deepseek) == "deepseek-ocr"
    llava = config(tmp_path / "llava", "LlavaLlamaModel")
    assert own_architecture(llava) == ""  # another model of the same architecture
    (llava / "llm").mkdir()
    assert own_architecture(llava) == "deepocr"
    assert own_architecture(config(tmp_path / "other", "TrOCR")) == ""
    assert own_architecture(tmp_path / "missing") == ""
    (deepseek / "config.json").write_text("[")
    assert own_architecture(deepseek) == ""
