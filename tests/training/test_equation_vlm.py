"""The equation VLM: trained by the same command, from nothing and from published parts."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM, ViTConfig, ViTModel
from transformers.utils import logging

from drawn_formulas import draw, formula, write_csv
from interrupted import cut_short
from ocrtool.decoding.autoregressive import DecodeOptions
from ocrtool.engines import read_metadata
from ocrtool.errors import ModelError, UsageError
from ocrtool.export import ExportOptions, export_model
from ocrtool.models.published import llama_weights, vit_weights
from ocrtool.options import EngineName, ReadOptions
from ocrtool.readers.formulas import FormulaReader
from ocrtool.training import make_options, run
from ocrtool.training.options import TrainOptions
from ocrtool.training.published import fetched_parts
from ocrtool.weights.bpe import BpeVocabulary
from published_parts import byte_tokenizer, lively

Options = Callable[..., TrainOptions]
DRAWN = [formula(np.random.default_rng(seed)) for seed in range(40)]
FORMULAS = [tokens for tokens in DRAWN if 3 <= len(tokens) <= 9][:5]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("formulas"), FORMULAS)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A small ViT of a larger image, and a small Llama with its tokenizer."""
    logging.disable_progress_bar()
    vision, decoder = (tmp_path_factory.mktemp(name) for name in ("vit", "llama"))
    vit = ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=96,
        patch_size=16,
    )
    lively(ViTModel(vit)).save_pretrained(vision)
    tokenizer = byte_tokenizer(["".join(tokens) for tokens in FORMULAS], 268)
    tokenizer.save(str(decoder / "tokenizer.json"))
    llama = LlamaConfig(
        hidden_size=36,
        num_hidden_layers=2,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=48,
        vocab_size=tokenizer.get_vocab_size(),
        tie_word_embeddings=True,
    )
    lively(LlamaForCausalLM(llama)).save_pretrained(decoder)
    yield vision, decoder
    logging.enable_progress_bar()


def reader(
    folder: Path, engine: EngineName = EngineName.TORCH, **decoding: object
) -> FormulaReader:
    asked = ReadOptions(model=str(folder), engine=engine, device="cpu", threads=1)
    return FormulaReader(asked, DecodeOptions(**{"strategy": "greedy", **decoding}))


def test_a_few_formulas_are_learnt_by_heart(
    table: Path, tmp_path: Path, small_options: Options
) -> None:
    result = run(
        small_options(
            "equation-vlm-small",
            data=(table,),
            validation=table,
            out=tmp_path / "run",
            steps=90,
            batch_size=5,
            learning_rate=5e-3,
            ema=0.9,
            warmup=10,
            log_every=30,
        )
    )
    assert result.metrics["exact"] == 1.0
    metadata = read_metadata(result.best)
    assert metadata.config.prompt == "LaTeX: " and metadata.config.prompt_ids
    for open_reader in (reader(result.best), reader(result.best, strategy="beam", beam=2)):
        pictures = [(str(i), draw(tokens, 24)) for i, tokens in enumerate(FORMULAS)]
        read = [result.tokens for result in open_reader.read_stream(pictures)]
        assert read == FORMULAS
    blank = open_reader.read(np.full((40, 90), 250, np.uint8))
    assert (blank.latex, blank.confidence) == ("", 1.0)
    report = export_model(result.best, tmp_path / "exported", ExportOptions(table=table))
    assert report.parity is not None and report.parity.texts == report.parity.equal == len(FORMULAS)
    exported = reader(report.folder, EngineName.ONNX)
    read = [result.tokens for result in exported.read_stream(pictures)]
    assert read == FORMULAS


def test_an_interrupted_run_goes_on_bit_for_bit(
    table: Path, tmp_path: Path, small_options: Options
) -> None:
    base = small_options("equation-vlm-small", data=(table,), out=tmp_path / "whole", steps=6)
    run(base)
    out = tmp_path / "cut"
    cut_short(dataclasses.replace(base, out=out), 3)
    run(make_options({"resume": True, "out": out}))
    same(out / "last", tmp_path / "whole" / "last")


def same(folder: Path, other: Path) -> None:
    found, wanted = (load_file(f / "model.safetensors") for f in (folder, other))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_published_parts_are_where_training_starts(
    table: Path, parts: tuple[Path, Path], tmp_path: Path, small_options: Options
) -> None:
    vision, decoder = parts
    options = small_options(
        "equation-vlm-small",
        data=(table,),
        validation=table,
        out=tmp_path / "run",
        vision_from=str(vision),
        decoder_from=str(decoder),
        steps=1,
        learning_rate=1e-9,
    )
    result = run(options)
    metadata = read_metadata(result.best)
    assert isinstance(metadata.vocabulary, BpeVocabulary)
    assert metadata.vocabulary.source == (decoder / "tokenizer.json").read_text("utf-8")
    assert metadata.config.decoder.n_layer == 2
    assert metadata.config.prompt_ids == tuple(metadata.vocabulary.encode_prompt("LaTeX: "))
    weights = load_file(result.best / "model.safetensors")
    expected = {
        f"{part}.{name}": tensor
        for part, mapped in (
            (
                "vision",
                vit_weights(load_file(vision / "model.safetensors"), metadata.config.vision),
            ),
            (
                "decoder",
                llama_weights(load_file(decoder / "model.safetensors"), metadata.config.decoder),
            ),
        )
        for name, tensor in mapped.items()
    }
    assert expected.keys() == {name for name in weights if not name.startswith("projector.")}
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-5, atol=1e-6)
    assert weights["vision.positions"].shape == (1 + 4 * 4, 32)  # of 6 x 6

    shutil.copytree(tmp_path / "run", tmp_path / "more")
    run(make_options({"resume": True, "out": tmp_path / "more", "steps": 2}))
    tuned = make_options(
        {"data": (table,), "start_from": str(result.best), "tokens": "latex", "learning_rate": 1e-9,
         "out": tmp_path / "tuned", "steps": 1, "workers": 0, "device": "cpu"}
    )  # fmt: skip
    picture = draw(FORMULAS[0], 24)
    before = reader(result.best).read(picture)
    for folder in (tmp_path / "more" / "last", run(tuned).last):
        assert read_metadata(folder).vocabulary == metadata.vocabulary
        for name, tensor in load_file(folder / "model.safetensors").items():
            torch.testing.assert_close(tensor, weights[name], rtol=1e-5, atol=1e-6)
        after = reader(folder).read(picture)
        assert (after.latex, after.tokens) == (before.latex, before.tokens)
        assert after.confidence == pytest.approx(before.confidence, rel=1e-3)


def test_a_published_decoder_learns(
    table: Path, parts: tuple[Path, Path], tmp_path: Path, small_options: Options
) -> None:
    run(
        small_options(
            "equation-vlm-small",
            data=(table,),
            validation=table,
            out=tmp_path / "run",
            decoder_from=str(parts[1]),
            steps=30,
            batch_size=5,
            learning_rate=5e-3,
            log_every=10,
        )
    )
    lines = (tmp_path / "run" / "log.jsonl").read_text("utf-8").splitlines()
    losses = [r["decoder_loss"] for r in map(json.loads, lines) if r["kind"] == "train"]
    assert losses[-1] < 0.6 * losses[0]


def test_damaged_parts_are_told_in_one_line(
    table: Path, parts: tuple[Path, Path], tmp_path: Path, small_options: Options
) -> None:
    folder = tmp_path / "part"
    shutil.copytree(parts[1], folder)

    def start() -> None:
        run(
            small_options(
                "equation-vlm-small",
                data=(table,),
                out=tmp_path / "run",
                decoder_from=str(folder),
                overwrite=True,
            )
        )

    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "model.extra": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="part: 1 tensors are of another network, extra"):
        start()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="part: not a usable model"):
        start()
    described = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**described, "vocab_size": 9}))
    with pytest.raises(ModelError, match="part: 9 tokens, its tokenizer has 2"):
        start()
    (folder / "config.json").write_text(json.dumps({**described, "model_type": "gpt2"}))
    with pytest.raises(ModelError, match="part: model_type is 'gpt2'"):
        start()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json: no tokenizer"):
        start()


def test_a_name_on_the_hub_needs_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    base = {"preset": "equation-vlm", "data": (tmp_path / "a.csv",)}
    with pytest.raises(
        ModelError, match="some/model is not a folder and cannot be downloaded"
    ) as error:
        fetched_parts(make_options({**base, "vision_from": "some/model"}))
    assert "\n" not in str(error.value) and "name its folder" in str(error.value)
    with pytest.raises(ModelError, match=r"no folder \./nowhere/at/all"):
        fetched_parts(make_options({**base, "decoder_from": "./nowhere/at/all"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start_from": "line"}, "--from and --vision-from"),
        ({"resume": True}, "--resume and --vision-from"),
        ({"vision_layers": 3}, "vision_layers is fixed by --vision-from"),
        ({"decoder_from": "b", "alphabet": "abc", "tokens": "characters"}, "vocabulary of its own"),
        ({"decoder_from": "b", "rope_theta": 5.0}, "rope_theta is fixed by --decoder-from"),
    ],
    ids=str,
)
def test_options_that_contradict_each_other(changes: dict[str, object], message: str) -> None:
    good = {"preset": "equation-vlm", "data": (Path("a.csv"),), "vision_from": "a"}
    assert make_options(good).latex
    with pytest.raises(UsageError, match=message):
        make_options({**good, **changes})


def test_presets_without_a_place_for_parts_are_told(
    table: Path, parts: tuple[Path, Path], tmp_path: Path
) -> None:
    for flag, folder, message in (
        ("vision_from", parts[0], "formula has no ViT"),
        ("decoder_from", parts[1], "formula has no Llama"),
    ):
        asked = {"preset": "formula", "data": (table,), "out": tmp_path, flag: str(folder)}
        with pytest.raises(UsageError, match=message):
            run(make_options(asked))
