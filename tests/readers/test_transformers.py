"""Published models: small ones of each architecture, saved as their publishers save them.

What our command reads is what `generate` of `transformers` writes when it is called directly.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from ocrtool.errors import ModelError, UsageError
from ocrtool.options import EngineName, ReadOptions
from ocrtool.pages import open_pages
from ocrtool.readers import open_formulas, open_lines
from ocrtool.readers.transformers import Published, PublishedLines, kind_of
from published_models import MAKERS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def pictures(count: int = 3, shape: tuple[int, ...] = (40, 90)) -> list[np.ndarray]:
    """Pictures that no model has seen."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape).astype(np.uint8) for _ in range(count)]


SAID: dict[str, list[str]] = {"lighton": [], "paddle": ["OCR:"], "deepseek2": ["Free OCR."]}
"""What readers that chat are told, beside the picture."""


def directly(folder: Path, picture: np.ndarray) -> str:
    """What the model writes, by `transformers` alone."""
    processor: Any = transformers.AutoProcessor.from_pretrained(folder)
    model: Any = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    image = Image.fromarray(picture).convert("RGB")
    if folder.name in SAID:
        said = [{"type": "text", "text": text} for text in SAID[folder.name]]
        chat = [{"role": "user", "content": [{"type": "image", "image": image}, *said]}]
        inputs = processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
    else:
        more = {"format": True} if "got" in folder.name else {}
        inputs = processor(images=[image], return_tensors="pt", **more)
    room = getattr(getattr(model.config, "decoder", None), "max_position_embeddings", None)
    most = model.generation_config.max_new_tokens or room - 1
    words = getattr(processor, "tokenizer", processor)
    never = [[words.unk_token_id]] if "nougat" in folder.name else None
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=most, do_sample=False, bad_words_ids=never)
    start = inputs["input_ids"].shape[1] if "input_ids" in inputs else 1
    return str(words.decode(ids[0, start:], skip_special_tokens=True))


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_written_is_what_the_library_writes(name: str, published: dict[str, Path]) -> None:
    folder = published[name]
    network = Published(folder, kind_of(folder), ReadOptions(device="cpu"))
    for picture in (*pictures(2), *pictures(1, (60, 60, 3))):
        (written,) = network.write([picture])
        assert written.text == directly(folder, picture)
        assert written.text and len(written.probabilities) == len(written.text)
        assert all(0 < letter <= 1 for letter in written.probabilities)


def test_lines_read_alike_alone_and_together(published: dict[str, Path]) -> None:
    reader = open_lines(ReadOptions(model=str(published["trocr"]), device="cpu"))
    assert isinstance(reader, PublishedLines)
    named = [(str(i), picture) for i, picture in enumerate(pictures(11))]
    together = list(reader.read_stream(named))
    assert [result.source for result in together] == [name for name, _ in named]
    for one, result in zip(named, together, strict=True):
        (alone,) = reader.read_stream([one])
        assert alone.text == result.text and alone.confidence == pytest.approx(result.confidence)
        assert " ".join(word.text for word in result.words) == " ".join(result.text.split())
        starts = [word.start for word in result.words]
        assert starts == sorted(starts) and all(0 <= start < 1 for start in starts)
    withheld = open_lines(
        ReadOptions(model=str(published["trocr"]), device="cpu", min_confidence=0.999)
    )
    assert [result.text for result in withheld.read_stream(named)] == [""] * len(named)


def test_pages_and_formulas(published: dict[str, Path]) -> None:
    for name in ("nougat", "got"):
        page = open_pages(ReadOptions(model=str(published[name]), device="cpu")).read(
            pictures(1, (120, 90))[0], 3, 200.0
        )
        assert (page.number, page.width, page.height, page.dpi) == (3, 90, 120, 200.0)
        assert page.blocks and page.text.strip()
    if "formulanet" not in published:
        return
    reader = open_formulas(ReadOptions(model=str(published["formulanet"]), device="cpu"))
    (result,) = reader.read_stream([("x.png", pictures(1)[0])])
    assert result.source == "x.png" and result.latex


def test_a_model_is_not_taken_for_what_it_is_not(published: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="reads pages, not lines"):
        open_lines(ReadOptions(model=str(published["nougat"])))
    with pytest.raises(ModelError, match="reads lines, not formulas"):
        open_formulas(ReadOptions(model=str(published["trocr"])))
    with pytest.raises(ModelError, match="no ONNX files"):
        open_lines(ReadOptions(model=str(published["trocr"]), engine=EngineName.ONNX))
    with pytest.raises(UsageError, match="--escalate"):
        open_pages(ReadOptions(model=str(published["nougat"]), escalate="line"))


def test_other_architectures_are_refused(published: dict[str, Path], tmp_path: Path) -> None:
    config = json.loads((published["nougat"] / "config.json").read_text())
    for architecture in ("BertModel", "VisionEncoderDecoderModel"):  # a Donut, without Nougat's
        (tmp_path / "config.json").write_text(
            json.dumps({**config, "architectures": [architecture]})
        )
        with pytest.raises(ModelError, match=f"{architecture}.* is not supported"):
            open_pages(ReadOptions(model=str(tmp_path)))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="is damaged"):
        open_pages(ReadOptions(model=str(tmp_path)))


def test_only_safetensors_are_loaded(published: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(published["trocr"], tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_lines(ReadOptions(model=str(folder)))
