from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from ocrtool.errors import InputError, UsageError
from ocrtool.training import TrainOptions, make_options
from ocrtool.training.metrics import edit_distance, rates
from ocrtool.training.options import model_config

DATA = {"data": (Path("words.csv"),)}


def config_file(folder: Path, **content: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return path


def test_the_figures_of_the_network_come_from_the_file(tmp_path: Path) -> None:
    path = config_file(
        tmp_path,
        img_size=128,
        patch=8,
        vision_d_model=64,
        vision_layers=3,
        vision_heads=4,
        vision_d_ff=96,
        decoder_d_model=48,
        decoder_layers=2,
        decoder_heads=6,
        decoder_d_ff=80,
        dropout=0,
        use_gqa=True,
        use_swiglu=False,
        use_flash=False,
        rope_theta=5000,
        vocab_size=None,
    )
    config = model_config(make_options(DATA, path), 33)
    vision, decoder = config.vision, config.decoder
    assert (vision.height, vision.width, vision.patch) == (128, 128, 8)
    assert (vision.d_model, vision.n_layer, vision.n_head, vision.d_ff) == (64, 3, 4, 96)
    assert (decoder.d_model, decoder.n_layer, decoder.d_ff) == (48, 2, 80)
    assert (decoder.n_head, decoder.n_kv_head) == (6, 3)
    assert (vision.dropout, decoder.dropout) == (0.0, 0.0)
    assert (decoder.swiglu, config.flash, decoder.rope_theta) == (False, False, 5000.0)
    assert config.vocab_size == 33


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = config_file(tmp_path, batch_size=8, steps=100, data=["a.csv"], fonts=[])
    options = make_options({"batch_size": 16, "steps": None, "epochs": 2.0}, path)
    assert (options.batch_size, options.steps, options.epochs) == (16, 100, 2.0)
    assert options.data == (tmp_path / "a.csv",)  # relative to the file


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("vision_dmodel", 64, "vision_d_model"),
        ("batchsize", 8, "batch_size"),
        ("batch_size", "8", "whole number"),
        ("batch_size", 8.5, "whole number"),
        ("use_gqa", 1, "true or false"),
        ("dropout", True, "a number"),
        ("data", "a.csv", "list"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, key: str, value: object, named: str) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        make_options(DATA, config_file(tmp_path, **{key: value}))
    assert key in str(caught.value)


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        make_options(DATA, tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        make_options(DATA, tmp_path / "bad.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(UsageError, match="object"):
        make_options(DATA, tmp_path / "list.json")


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("warmup=7", "warmup", 7),
        ("ema=0.5", "ema", 0.5),
        ("optimizer=muon", "optimizer", "muon"),
        ("alphabet=0123", "alphabet", "0123"),
        ("use_gqa=true", "use_gqa", True),
        ("vision_stem=[4, 8, 16]", "vision_stem", (4, 8, 16)),
        ("curriculum=[[0, 24], [0.25, 60]]", "curriculum", ((0.0, 24.0), (0.25, 60.0))),
        ("validation=held.csv", "validation", Path("held.csv")),
        ("max_tokens=null", "max_tokens", None),
    ],
)
def test_settings_have_the_types_of_the_fields(
    setting: str, name: str, value: object, tmp_path: Path
) -> None:
    path = config_file(tmp_path, warmup=3, ema=0.1)
    assert getattr(make_options(DATA, path, [setting]), name) == value


def test_flags_may_be_texts() -> None:
    options = make_options({"data": ["a.csv"], "steps": "10", "mix": "0.25", "synth": "lines"})
    assert (options.data, options.steps, options.mix) == ((Path("a.csv"),), 10, 0.25)
    with pytest.raises(UsageError, match=r"--lr: must be a number, not \"high\""):
        make_options({**DATA, "learning_rate": "high"})


def test_flags_win_over_settings() -> None:
    assert make_options({**DATA, "seed": 3}, settings=["seed=4", "clip=2"]).seed == 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("warmpu=7", "--set warmpu is not an option; did you mean warmup"),
        ("decoder_head=7", "did you mean decoder_heads or decoder_kv_heads"),
        ("xyz=7", "docs/train-options.md lists all options"),
        ("warmup=7.5", "warmup: must be a whole number"),
        ("warmup=soon", 'must be a whole number, not "soon"'),
        ("use_gqa=1", "true or false"),
        ("warmup", "--set key=value"),
        ("lora=4", "lora is for training in stages"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_options(DATA, settings=[setting])
    assert message in f"{caught.value.message}; {caught.value.remedy}"


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"synth": "pages"},
        {**DATA, "synth": "formulas", "formulas": (Path("f"),)},
        {**DATA, "synth": "lines", "mix": 1.0},
        {**DATA, "fonts": (Path("f"),)},
        {"synth": "lines", "epochs": 3.0},
        {**DATA, "resume": True, "overwrite": True},
        {**DATA, "resume": True, "start_from": "line"},
        {**DATA, "batch_size": 0},
        {**DATA, "steps": -1},
        {**DATA, "dropout": 1.0},
        {**DATA, "workers": -1},
        {**DATA, "precision": "int8"},
    ],
)
def test_contradictions_are_refused(flags: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        make_options(flags)


def test_figures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="patch"):
        model_config(make_options({**DATA, "patch": 15}), 33)
    with pytest.raises(UsageError, match="tiny"):
        model_config(make_options({**DATA, "preset": "tinny"}), 33)


def test_options_survive_json(tmp_path: Path) -> None:
    options = make_options({**DATA, "vision_stem": (8, 16, 32), "out": Path("x"), "ema": 0.5})
    path = tmp_path / "options.json"
    path.write_text(json.dumps(options.to_dict()))
    again = make_options({"data": options.data, "out": options.out}, path)
    assert again == options


def test_the_preset_follows_the_data() -> None:
    assert TrainOptions(synth="lines").network == "line"
    assert make_options(DATA).network == "tiny"


def test_options_need_no_torch() -> None:
    code = (
        "import sys; import ocrtool.training; from ocrtool.training.options import model_config;"
        "assert not {'torch', 'numpy', 'PIL', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(st.text("abc ", max_size=12), st.text("abc ", max_size=12))
def test_edit_distance_equals_the_reference(first: str, second: str) -> None:
    assert edit_distance(first, second) == Levenshtein.distance(first, second)
    words = first.split(), second.split()
    assert edit_distance(*words) == Levenshtein.distance(*words)


def test_rates() -> None:
    found = rates(["the cat", "a dig", ""], ["the cat", "a dog", "x"])
    assert found.cer == pytest.approx(2 / 13)
    assert found.wer == pytest.approx(2 / 5)
    assert found.exact == pytest.approx(1 / 3)


def test_a_bundled_recipe_is_named_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("line").mkdir()  # a folder of that name, such as that of a run, does not hide it
    options = make_options({"steps": 5}, Path("line"))
    assert (options.network, options.synth, options.steps) == ("line", "lines", 5)
    with pytest.raises(InputError, match="no-such-recipe"):
        make_options({}, Path("no-such-recipe"))
