"""DeepSeek-OCR as a page reader: prompts, the no-repeat rule, blocks, and a small checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from ocrtool.document.tree import Box
from ocrtool.errors import ModelError, UsageError
from ocrtool.models.deepencoder import ClipConfig, SamConfig
from ocrtool.models.deepseek import DeepseekConfig, DeepseekOcr
from ocrtool.models.moe import MoeConfig
from ocrtool.options import ReadOptions
from ocrtool.pages import open_pages
from ocrtool.readers.deepseek import (
    PROMPTS,
    DeepseekPages,
    forbidden,
    page_blocks,
    prompt_of,
)
from ocrtool.readers.deepseek_files import load_network
from ocrtool.readers.transformers import GeneratedText
from ocrtool.readers.views import mode_of, views_of

MARKS = ("<image>", "<td>", "</td>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with random weights, in two files, laid out as the published one."""
    place = tmp_path_factory.mktemp("deepseek")
    names = ["<s>", "</s>", "<pad>", *map(chr, range(33, 127)), "Ġ", "Ċ"]
    words = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.add_special_tokens([AddedToken(mark, special=True) for mark in MARKS])
    words.save(str(place / "tokenizer.json"))
    size = words.get_vocab_size()
    config = DeepseekConfig(
        SamConfig(32, 2, 2, 32, 16, 8, 4, (1,), 8, (16, 128)),
        ClipConfig(128, 1, 2, 32, 4, 14),
        MoeConfig(size, 32, 2, 2, 32, 1, 6, 2, 8, 2, max_length=500),
    )
    torch.manual_seed(0)
    model = DeepseekOcr(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
    state = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()}
    cut = sorted(state)[len(state) // 2]
    save_file(
        {n: t for n, t in state.items() if n < cut}, place / "model-00001-of-000002.safetensors"
    )
    save_file(
        {n: t for n, t in state.items() if n >= cut}, place / "model-00002-of-000002.safetensors"
    )
    language = {"num_attention_heads": 2, "num_experts_per_tok": 2, "max_position_embeddings": 500}
    facts = {"architectures": ["DeepseekOCRForCausalLM"], "language_config": language}
    (place / "config.json").write_text(json.dumps(facts))
    return place


def page(height: int = 90, width: int = 120) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


# --------------------------------------------------------------------------- the checkpoint


def test_a_checkpoint_tells_its_own_geometry(folder: Path) -> None:
    network = load_network(folder, "cpu", torch.float32)
    state = {}
    for path in folder.glob("*.safetensors"):
        state.update(load_file(path))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name].float())
    decoder = network.config.decoder
    assert (decoder.top_k, decoder.n_shared, decoder.n_expert, decoder.d_expert) == (2, 2, 6, 8)
    assert network.config.sam.global_blocks == (1,) and network.config.clip.n_head == 2


def test_what_does_not_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    state = {}
    for path in folder.glob("*.safetensors"):
        state.update(load_file(path))
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    cases: list[tuple[dict[str, torch.Tensor], str]] = [
        ({n: t for n, t in state.items() if n != "model.norm.weight"}, "norm.weight is missing"),
        ({**state, "model.extra": torch.zeros(1)}, "model.extra has no place"),
        ({**state, "model.norm.weight": torch.zeros(3)}, r"is \(3,\), not \(32,\)"),
        ({}, "no DeepSeek-OCR"),
    ]
    for wrong, message in cases:
        save_file(wrong, tmp_path / "model.safetensors")
        with pytest.raises(ModelError, match=message):
            load_network(tmp_path, "cpu", torch.float32)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no DeepSeek-OCR, or damaged"):
        load_network(tmp_path, "cpu", torch.float32)


def test_eight_bits_are_nearly_as_good(folder: Path) -> None:
    exact, small = (load_network(folder, "cpu", torch.float32, int8) for int8 in (False, True))
    tokens = torch.randint(0, 90, (1, 12))
    want, got = (model.read(model.embed(tokens))[0] for model in (exact, small))
    assert torch.nn.functional.cosine_similarity(want, got) > 0.99
    held = {name for name, tensor in small.named_buffers() if tensor.dtype == torch.int8}
    assert "lm_head.weight" in held and "model.layers.1.mlp.experts.3.up_proj.weight" in held
    assert not any(name.endswith("mlp.gate.weight") for name in held)


# --------------------------------------------------------------------------- reading


def test_a_page_is_read(folder: Path) -> None:
    reader = open_pages(ReadOptions(model=str(folder), device="cpu", mode="tiny", prompt="ocr"))
    assert isinstance(reader, DeepseekPages)
    found = reader.read(page(), 4, 150.0)
    assert (found.number, found.width, found.height, found.dpi) == (4, 120, 90, 150.0)
    assert found == reader.read(page(), 4, 150.0)  # the same every time
    views = views_of(page(), mode_of("tiny"))
    ids = reader.prompt_ids(views)
    assert ids[0] == 0 and ids.count(reader.tokens.image) == 73
    assert reader.words.decode(ids[74:]) == "\nFree OCR."


@torch.no_grad()
def test_what_is_written_is_the_likeliest_that_the_guard_allows(folder: Path) -> None:
    """Without a cache: every token from the whole text before it."""
    reader = DeepseekPages(folder, ReadOptions(device="cpu", mode="tiny", prompt="ocr"))
    said = reader.write(page(), "tiny")
    views = views_of(page(), mode_of("tiny"))
    ids = reader.prompt_ids(views)
    seen = reader.network.see(torch.from_numpy(views.whole))
    written: list[int] = []
    for _ in range(40):
        x = reader.network.embed(torch.tensor([ids + written]), seen, reader.tokens.image)
        scores = reader.network.read(x)[0][0]
        scores[list(forbidden(written, reader.tokens.repeating))] = -torch.inf
        token = int(scores.argmax())
        if token == reader.tokens.end:
            break
        written.append(token)
    assert said.text.startswith(reader.words.decode(written, skip_special_tokens=False)[:30])
    assert len(said.probabilities) == len(said.text)


def test_wrong_modes_and_prompts(folder: Path) -> None:
    with pytest.raises(UsageError, match="--prompt is for DeepSeek-OCR"):
        open_pages(ReadOptions(prompt="ocr"))
    for options in ({"mode": "huge"}, {"prompt": "sing"}, {"prompt": "locate"}):
        with pytest.raises(UsageError):
            open_pages(ReadOptions(model=str(folder), **options))
    assert prompt_of("locate:the date") == "Locate <|ref|>the date<|/ref|> in the image."
    assert all(prompt_of(name) == text for name, text in PROMPTS.items() if name != "locate")


# --------------------------------------------------------------------------- what is written


def test_the_guard_forbids_what_came_shortly_before() -> None:
    assert forbidden([1, 2, 3, 4, 1, 2], ngram=3, window=10) == {3}
    assert forbidden([1, 2, 3, 4, 1, 2], {3}, ngram=3, window=10) == set()
    assert forbidden([1, 2, 3, 4, 5, 6, 7, 1, 2], ngram=3, window=5) == set()  # too long ago
    assert forbidden([1, 2], ngram=3) == set() and forbidden([], ngram=3) == set()
    assert forbidden([7, 7, 7], ngram=3, window=9) == {7}


def test_pieces_become_blocks_in_their_boxes() -> None:
    text = (
        "<|ref|>title<|/ref|><|det|>[[10, 10, 900, 60]]<|/det|>\nA title\n"
        "<|ref|>text<|/ref|><|det|>[[10, 100, 900, 200]]<|/det|>\nSome words.\n\nAnd more.\n"
        "<|ref|>equation<|/ref|><|det|>[[10, 210, 900, 250]]<|/det|>\n\\[ x^2 \\]\n"
        "<|ref|>table<|/ref|><|det|>[[10, 300, 900, 400]]<|/det|>\n"
        "<table><tr><td>1</td><td>2</td></tr></table>\n"
        "<|ref|>image<|/ref|><|det|>[[10, 500, 900, 900]]<|/det|>\n"
        "<|ref|>image_caption<|/ref|><|det|>[[10, 910, 900, 950]]<|/det|>\nFigure 1.\n"
    )
    found = list(page_blocks(GeneratedText(text, (0.9,) * len(text)), 999, 999))
    assert [(block.kind, block.text) for block in found] == [
        ("heading", "A title"),
        ("paragraph", "Some words."),
        ("paragraph", "And more."),
        ("formula", "x^2"),
        ("table", "1\t2"),
        ("figure", ""),
        ("caption", "Figure 1."),
    ]
    assert found[0].level == 1 and found[0].box == Box(10, 10, 900, 60)
    assert found[3].latex == "x^2" and found[5].box == Box(10, 500, 900, 900)
