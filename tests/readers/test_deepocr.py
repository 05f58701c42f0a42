"""DeepOCR as a reader: a small checkpoint in the published layout, read through the command."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from deepocr_parts import save_deepocr, save_deepseek
from ocrtool.errors import ModelError, UsageError
from ocrtool.models.deepocr import DEEPOCR, IMAGE
from ocrtool.options import ReadOptions
from ocrtool.pages import open_pages
from ocrtool.readers.deepocr import DeepocrPages
from ocrtool.readers.deepocr_files import load_network, parts_of, save_network
from ocrtool.readers.deepseek import forbidden
from ocrtool.readers.views import Views, views_of
from ocrtool.weights.cache import _write_record
from ocrtool.weights.records import StoredFile, StoredModel
from ocrtool.weights.registry import TABLE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with towers of its own: those of a DeepSeek-OCR that lies there."""
    place = save_deepocr(tmp_path_factory.mktemp("deepocr"))
    save_deepseek(place / "vision_tower")
    return place


def page(height: int = 90, width: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def nowhere() -> Path:
    raise ModelError("no towers")


def test_every_tensor_is_where_it_belongs(folder: Path) -> None:
    network = load_network(parts_of(folder, nowhere), DEEPOCR, "cpu", torch.float32)
    state = {}
    for part, prefix in (("llm", ""), ("mm_projector", ""), ("vision_tower", "model.")):
        for path in (folder / part).glob("*.safetensors"):
            for name, tensor in load_file(path).items():
                state[f"{part}.{name.removeprefix(prefix)}"] = tensor
    own = network.state_dict()
    for name, tensor in own.items():
        assert torch.equal(tensor, state[name])
    left = {name.partition(".")[0] for name in state.keys() - own.keys()}
    assert left == {"vision_tower"}  # what else DeepSeek-OCR is made of
    config = network.config
    assert (config.base, config.tile, config.sam.global_blocks) == (1024, 640, (1,))
    decoder = config.decoder
    assert (decoder.n_head, decoder.n_kv_head, decoder.max_length) == (6, 2, 420)
    assert decoder.rope_theta == 1e6


def test_what_was_saved_is_loaded(folder: Path, tmp_path: Path) -> None:
    network = load_network(parts_of(folder, nowhere), DEEPOCR, "cpu", torch.float32)
    save_network(tmp_path, network.config, network.state_dict())
    again = load_network(parts_of(tmp_path, nowhere), DEEPOCR, "cpu", torch.float32)
    assert again.config == network.config
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_what_does_not_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(folder, place)
    path = place / "mm_projector" / "model.safetensors"
    state = load_file(path)
    cases = [
        ({n: t for n, t in state.items() if n != "image_newline"}, "image_newline is missing"),
        ({**state, "extra": torch.zeros(1)}, "mm_projector.extra has no place"),
        ({**state, "layers.bias": torch.zeros(3)}, r"is \(3,\), not \(48,\)"),
    ]
    for wrong, message in cases:
        save_file(wrong, path)
        with pytest.raises(ModelError, match=message):
            load_network(parts_of(place, nowhere), DEEPOCR, "cpu", torch.float32)
    path.rename(path.with_name("pytorch_model.bin"))
    with pytest.raises(ModelError, match="only pickled weights"):
        load_network(parts_of(place, nowhere), DEEPOCR, "cpu", torch.float32)
    told = place / "llm" / "config.json"
    told.write_text(told.read_text().replace('"rope_type": "default"', '"rope_type": "yarn"'))
    with pytest.raises(ModelError, match=r"scaled rotary positions \(yarn\)"):
        load_network(parts_of(place, nowhere), DEEPOCR, "cpu", torch.float32)
    told.write_text("{}")
    with pytest.raises(ModelError, match="no llm of DeepOCR, or damaged"):
        load_network(parts_of(place, nowhere), DEEPOCR, "cpu", torch.float32)


def test_the_towers_come_from_deepseek_ocr(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCRTOOL_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "model"
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("vision_tower"))
    options = ReadOptions(model=str(place), device="cpu", offline=True)
    with pytest.raises(ModelError, match="deepseek-ocr is not in the cache"):
        open_pages(options)
    stored = tmp_path / "cache" / "hub" / "deepseek-ai--DeepSeek-OCR" / "0123abc"
    shutil.copytree(folder / "vision_tower", stored)
    files = tuple(
        StoredFile(path.name, path.stat().st_size, "sha256:", path.stat().st_mtime_ns)
        for path in stored.iterdir()
    )
    _write_record(StoredModel("deepseek-ai/DeepSeek-OCR", "main", stored, "MIT", files))
    reader = open_pages(options)
    assert isinstance(reader, DeepocrPages)
    other = DeepocrPages(folder, ReadOptions(device="cpu"))
    for name, tensor in other.network.state_dict().items():
        assert torch.equal(tensor, reader.network.state_dict()[name])


def test_its_licence_is_asked_about() -> None:
    (spec,) = (spec for spec in TABLE if spec.name == "deepocr")
    assert (spec.license, spec.commercial, spec.reads) == ("CC-BY-NC-SA-4.0", False, "pages")


@torch.no_grad()
def test_what_is_written_is_the_likeliest_that_the_guard_allows(folder: Path) -> None:
    """Without a cache: every token from the whole text before it."""
    reader = DeepocrPages(folder, ReadOptions(device="cpu", mode="base"))
    said = reader.write(page(), "base")
    views, ids = _shown(reader, "base")
    assert views.tiles is None and ids.count(IMAGE) == 273
    assert reader.words.decode(ids[ids.index(IMAGE) + 273 :], skip_special_tokens=False) == (
        "\nFree OCR.<|im_end|>\n<|im_start|>assistant\n"
    )
    seen = reader.network.see(torch.from_numpy(views.whole))
    written: list[int] = []
    for _ in range(24):
        x = reader.network.embed(torch.tensor([ids + written]), seen)
        scores = reader.network.read(x)[0][0]
        scores[list(forbidden(written))] = -torch.inf
        token = int(scores.argmax())
        if token in reader.tokens.end:
            break
        written.append(token)
    wanted = reader.words.decode(written, skip_special_tokens=False)
    assert said.text.startswith(wanted[:12])
    small = DeepocrPages(folder, ReadOptions(device="cpu", mode="base", int8=True)).network
    want, got = (network.read(network.embed(torch.tensor([ids]), seen))[0] for network in (
        reader.network, small,
    ))  # fmt: skip
    assert torch.nn.functional.cosine_similarity(want, got) > 0.99
    held = {name for name, tensor in small.named_buffers() if tensor.dtype == torch.int8}
    assert "llm.lm_head.weight" in held and "llm.model.layers.1.self_attn.q_proj.weight" in held


def _shown(reader: DeepocrPages, mode: str) -> tuple[Views, list[int]]:
    views = views_of(page(), reader._mode(mode))
    return views, reader.prompt_ids(views)


def test_pages_are_shown_in_two_to_six_tiles(folder: Path) -> None:
    reader = DeepocrPages(folder, ReadOptions(device="cpu"))
    mode = reader._mode("gundam")
    grids = {
        size: views_of(np.zeros((size[1], size[0]), np.uint8), mode).grid
        for size in ((640, 600), (641, 640), (1240, 1754), (3000, 3000), (6000, 600))
    }
    assert grids[640, 600] == (0, 0) and grids[6000, 600] == (6, 1)
    assert grids[1240, 1754] == (2, 3) and grids[3000, 3000] == (2, 2)
    with pytest.raises(UsageError, match="modes are gundam, base"):
        DeepocrPages(folder, ReadOptions(device="cpu", mode="tiny"))
