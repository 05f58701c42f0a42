from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from drawn_formulas import draw, formula, write_csv
from interrupted import cut_short
from ocrtool.engines import read_metadata
from ocrtool.errors import InputError, UsageError
from ocrtool.latex_syntax import normal
from ocrtool.models.ocr import OcrModel
from ocrtool.models.presets import FORMULA
from ocrtool.synth.formula_shards import DrawnFormula, write_shard
from ocrtool.synth.formulas import SHIPPED
from ocrtool.training import checkpoint, make_options, run
from ocrtool.training.data import (
    PoolDataset,
    Preparation,
    validation_batches,
)
from ocrtool.training.distributed import Group
from ocrtool.training.evaluation import guidance_of, to_device
from ocrtool.training.metrics import rates
from ocrtool.training.options import TrainOptions
from ocrtool.training.prepare import prepare
from ocrtool.weights import Vocabulary

Options = Callable[..., TrainOptions]


def formulas(count: int, seed: int = 0) -> list[tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(formula(rng) for _ in range(3 * count)))[:count]


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("formulas"), formulas(40))


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of typeset formulas."""
    folder = tmp_path_factory.mktemp("shards")
    for number in range(3):
        drawn = [DrawnFormula(draw(f, 32, 0), " ".join(f), 32.0) for f in formulas(12, number + 1)]
        write_shard(folder / f"{number:04d}.npz", drawn)
    return folder


def records(out: Path, kind: str) -> list[dict[str, object]]:
    lines = (out / "log.jsonl").read_text("utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


@pytest.mark.slow
def test_a_formula_reader_learns(tmp_path: Path, small_options: Options) -> None:
    table = write_csv(tmp_path / "data", [f for f in formulas(60, 5) if len(f) <= 9][:24])
    result = run(
        small_options(
            "formula",
            data=(table,),
            validation=table,
            out=tmp_path / "run",
            steps=260,
            batch_size=8,
            learning_rate=5e-3,
            dropout=0.0,
            token_noise=0.4,  # or so few formulas are learnt by heart, without a look
            ema=0.9,
            warmup=20,
            log_every=20,
        )
    )
    losses = [record["decoder_loss"] for record in records(tmp_path / "run", "train")]
    assert losses[-1] < 0.5 * losses[0]
    assert result.metrics["similarity"] > 0.6
    metadata = read_metadata(result.best)
    assert metadata.vocabulary.separator == " " and r"\frac" in metadata.vocabulary.entries
    assert metadata.config.vision.kind == "formula" and "characters" not in metadata.raw


def test_an_interrupted_curriculum_goes_on_bit_for_bit(
    shards: Path, tmp_path: Path, small_options: Options
) -> None:
    """The step to longer texts falls in the resumed part once, and before it once."""
    base = small_options(
        "formula",
        synth="formulas",
        formulas=(shards,),
        out=tmp_path / "whole",
        validation_size=6,
        curriculum=((0.0, 6), (0.3, 14), (0.6, 60)),
        steps=10,
    )
    run(base)
    wanted = load_file(tmp_path / "whole" / "last" / "model.safetensors")
    for stop in (2, 5):
        out = tmp_path / f"cut{stop}"
        options = dataclasses.replace(base, out=out)
        cut_short(options, stop)
        run(make_options({"resume": True, "out": out}))
        found = load_file(out / "last" / "model.safetensors")
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_the_curriculum_limits_texts(shards: Path, tmp_path: Path, small_options: Options) -> None:
    options = small_options(
        "formula",
        synth="formulas",
        formulas=(shards,),
        out=tmp_path,
        validation_size=4,
        curriculum=((0.0, 6), (0.5, 14)),
    )
    assert [options.longest(share) for share in (0.0, 0.49, 0.5, 1.0)] == [6, 6, 14, 14]
    limited = dataclasses.replace(options, max_tokens=10)
    assert [limited.longest(share) for share in (0.0, 0.5)] == [6, 10]
    assert dataclasses.replace(options, curriculum=()).longest(0.5) == 0
    data, _ = prepare(options, None, Group())
    for longest in (6, 14):
        source, size = data.upto(longest)
        lengths = [len(source.draw(i).text.split()) for i in range(30)]
        assert size == 0 and max(lengths) <= longest
    drawn = {data.validation.draw(i).text for i in range(data.validation_size)}
    assert not drawn & {source.draw(i).text for i in range(40)}  # files of their own


def test_guidance_teaches_where_to_look(tmp_path: Path, small_options: Options) -> None:
    """The decoder's first heads look at the sign that comes next, and nearly nowhere else."""
    folders = [tmp_path / "train", tmp_path / "held"]
    for folder in folders:
        folder.mkdir()
        shutil.copy(SHIPPED, folder)
    surprise = {}
    for guidance in (0.0, 1.0):
        options = small_options(
            "formula",
            synth="formulas",
            formulas=(folders[0],),
            validation=folders[1],
            validation_size=2,
            out=tmp_path / f"{guidance}",
            steps=60,
            learning_rate=5e-3,
            dropout=0.0,
            token_noise=0.0,
            ema=0.0,
            guidance=guidance,
        )
        trained = checkpoint.load(run(options).last)
        model = OcrModel(trained.config)
        model.load_state_dict(trained.weights)
        data, _ = prepare(options, None, Group())
        source, size = data.upto(0)
        (batch, _), *_ = validation_batches(source, size or 4, data.preparation, 4)
        tensors = to_device(batch, torch.device("cpu"))
        assert (tensors.places >= 0).sum() > 20
        with torch.no_grad():
            output = model(tensors.pixels, tensors.tokens, tensors.sizes, return_attention=True)
            total = guidance_of(output, tensors, model.decoder.embed.weight)
        assert output.attention.exp().sum(-1).allclose(torch.ones(()))
        surprise[guidance] = float(total / (tensors.places >= 0).sum())
    assert surprise[1.0] < 0.6 * surprise[0.0]


def test_half_precision_is_guided_too(shards: Path, tmp_path: Path, small_options: Options) -> None:
    options = small_options(
        "formula",
        synth="formulas",
        formulas=(shards,),
        validation_size=2,
        out=tmp_path,
        steps=2,
        precision="bf16",
        guidance=0.4,
    )
    assert run(options).step == 2


def test_batches_hold_pictures_of_like_size(
    shards: Path, tmp_path: Path, small_options: Options
) -> None:
    options = small_options(
        "formula", synth="formulas", formulas=(shards,), out=tmp_path, validation_size=4
    )
    data, _ = prepare(options, None, Group())
    source, size = data.upto(0)
    dataset = PoolDataset(source, size, data.preparation, 4, 0.0, 0)
    pool = dataset[3]
    assert len(pool.batches) == -(-len(source) // 4)
    own = padded = 0
    for batch in pool.batches:
        own += int(batch.sizes.prod(1).sum())
        padded += len(batch.sizes) * batch.pixels.shape[2] * batch.pixels.shape[3]
        assert (batch.sizes.max(0) == batch.pixels.shape[2:]).all()
    assert padded < 1.6 * own
    again = PoolDataset(data.upto(0)[0], size, data.preparation, 4, 0.0, 0)[3]
    for one, other in zip(pool.batches, again.batches, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_latex_of_tables_is_brought_to_its_normal_form(
    tmp_path: Path, small_options: Options, capfd: pytest.CaptureFixture
) -> None:
    table = write_csv(tmp_path / "data", [("x",)] * 6)
    latex = [r"$x^2$", r"{a \over b}", r"\left( y \right)", r"\frac{1", r"x_1", r"\nosuch{x}"]
    rows = [f'{n}.png,"{text}"' for n, text in enumerate(latex)]
    table.write_text("\n".join(["image,text", *rows]), "utf-8")
    options = small_options("formula", data=(table,), validation=table, out=tmp_path)
    data, _ = prepare(options, None, Group())
    texts = {data.validation.draw(i).text for i in range(data.validation_size)}
    assert {" ".join(normal(text)) for text in (r"x^2", r"\frac{a}{b}", "x_1")} <= texts
    assert data.validation_size == 4
    assert "formulas.csv:5" in capfd.readouterr().err


def test_what_does_not_fit_is_told_in_tokens() -> None:
    vocabulary = Vocabulary((r"\frac", "a", "{", "}"), " ")
    config = dataclasses.replace(FORMULA, vocab_size=len(vocabulary))
    fit = Preparation(config, vocabulary)
    assert fit.misfit(64, r"\frac { a } { a }") is None
    assert "256 tokens, the decoder takes 255" in (fit.misfit(64, " ".join("a" * 256)) or "")
    assert r"tokens outside the alphabet: \beta" in (fit.misfit(64, r"\beta a") or "")


def test_rates_of_tokens() -> None:
    found = rates([r"\frac { a } { b }", "x y"], [r"\frac { a } { c }", "x y"], " ")
    assert found.cer == pytest.approx(1 / 9)
    assert found.similarity == pytest.approx((6 / 7 + 1) / 2)
    assert found.exact == 0.5
    assert rates([""], [""], " ").similarity == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formulas": ()}, "typeset formulas"),
        ({"synth": None, "data": (Path("a.csv"),)}, "belongs to --synth formulas"),
        ({"tokens": "characters"}, "does not fit this network"),
        ({"tokens": "words"}, "tokens is one of"),
        ({"alphabet": "abc"}, "alphabet lists characters"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"curriculum": ((0.1, 5),)}, "rise from 0"),
        ({"curriculum": ((0.0, 5), (0.5, 6), (0.5, 7))}, "rise from 0"),
        ({"curriculum": ((0.0,),)}, "share of the run"),
        ({"curriculum": ((0.0, 2.5),)}, "whole numbers"),
    ],
)
def test_options_that_contradict_each_other(changes: dict[str, object], message: str) -> None:
    good = {"preset": "formula", "synth": "formulas", "formulas": (Path("shards"),)}
    make_options(good)
    with pytest.raises(UsageError, match=message):
        make_options({**good, **changes})


def test_a_folder_without_formulas_is_told(tmp_path: Path, small_options: Options) -> None:
    options = small_options("formula", synth="formulas", formulas=(tmp_path,), out=tmp_path)
    with pytest.raises(InputError, match="no typeset formulas"):
        prepare(options, None, Group())


def test_the_recipe_is_complete(tmp_path: Path) -> None:
    options = make_options({"formulas": (tmp_path,)}, Path("formula"))
    assert options.network == "formula" and options.latex
    assert options.longest(0.0) < options.longest(0.99) < FORMULA.decoder.max_length
    saved = options.to_dict()
    (tmp_path / "options.json").write_text(json.dumps(saved))
    assert make_options({"resume": True, "out": tmp_path}).curriculum == options.curriculum
