from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import typer

import ocrtool
from ocrtool.cli import make_app
from ocrtool.commands.train import FLAGS
from ocrtool.training import StageOptions, TrainOptions


@pytest.fixture
def read(run_cli, model_that_reads_a: Path):
    return lambda *arguments, **options: run_cli(
        "read",
        "--layout",
        "line",
        "--model",
        model_that_reads_a,
        "--engine",
        "torch",
        *arguments,
        **options,
    )


def test_version(run_cli) -> None:
    assert run_cli("--version").out == f"ocrtool {ocrtool.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["read"], ["train"], ["models"], ["completions"]])
def test_without_arguments_the_help_is_shown(arguments: list[str], run_cli) -> None:
    done = run_cli(*arguments)
    assert done.code == 2
    assert "Examples:" in done.out + done.err or "Commands:" in done.out + done.err


def commands(group: object, path: tuple[str, ...] = ()):
    for name, command in group.commands.items():
        yield pytest.param([*path, name], id=" ".join((*path, name)))
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(make_app()))))
def test_help_has_examples_before_options(path: list[str], run_cli) -> None:
    done = run_cli(*path, "--help")
    assert done.code == 0
    assert 0 < done.out.index("Examples:") < done.out.index("Options:")
    assert f"    ocrtool {' '.join(path)}" in done.out


def test_text_is_a_line_an_image(read, pictures: Path) -> None:
    done = read(pictures / "2.png", pictures)
    assert (done.code, done.out, done.err) == (0, "a\na\na\n", "")


def test_json_lines(read, pictures: Path) -> None:
    done = read(pictures / "2.png", pictures / "1.png", "-f", "jsonl")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["source"] for record in records] == [
        str(pictures / "2.png"),
        str(pictures / "1.png"),
    ]
    for record in records:
        assert list(record) == ["source", "text", "confidence", "words"]
        assert record["text"] == "a"
        assert 0.5 < record["confidence"] <= 1.0
        assert [word["text"] for word in record["words"]] == ["a"]
        assert 0.5 < record["words"][0]["confidence"] <= 1.0


def test_json_is_one_array(read, pictures: Path) -> None:
    done = read(pictures, "--recursive", "-f", "json")
    assert [Path(record["source"]).name for record in json.loads(done.out)] == [
        "1.png",
        "2.png",
        "3.png",
    ]


def test_standard_input(read, pictures: Path) -> None:
    done = read("-", "-f", "jsonl", stdin=(pictures / "1.png").read_bytes())
    assert json.loads(done.out)["source"] == "-"
    done = read("-", stdin=b"")
    assert (done.code, done.out) == (4, "")


def test_one_bad_input_never_stops_the_others(read, pictures: Path) -> None:
    done = read(pictures / "1.png", pictures / "notes.txt", pictures / "missing.png", pictures)
    assert (done.code, done.out) == (1, "a\na\na\n")
    told = done.err.splitlines()
    assert told[0].startswith(f"error: {pictures / 'notes.txt'}: ")
    assert told[1] == f"error: {pictures / 'missing.png'}: no such file"
    assert told[2] == "3 read, 2 failed"


def test_json_of_failures_alone_is_an_empty_array(read, pictures: Path) -> None:
    done = read(pictures / "x.png", pictures / "y.png", "-f", "json")
    assert (done.code, json.loads(done.out)) == (1, [])


def test_the_only_input_being_bad_is_exit_4(read, pictures: Path) -> None:
    out = pictures / "out.txt"
    done = read(pictures / "missing.png", "-o", out)
    assert done.code == 4
    assert done.err == f"error: {pictures / 'missing.png'}: no such file\n"
    assert not out.exists()


def test_output_file_and_its_suffix(read, pictures: Path) -> None:
    for suffix, start in (("txt", "a\n"), ("json", "[\n{"), ("jsonl", "{"), ("text", "a\n")):
        out = pictures / f"out.{suffix}"
        done = read(pictures / "1.png", "-o", out)
        assert (done.code, done.out) == (0, "")
        assert out.read_text().startswith(start)


def test_existing_output_is_kept(read, pictures: Path) -> None:
    out = pictures / "out.txt"
    out.write_text("old")
    assert read(pictures / "1.png", "-o", out).code == 5
    assert out.read_text() == "old"
    assert read(pictures / "1.png", "-o", out, "--overwrite").code == 0
    assert out.read_text() == "a\n"


def test_uncertain_text_is_withheld(read, pictures: Path) -> None:
    done = read(pictures, "--min-confidence", "1.0", "-f", "jsonl")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert len(records) == 2
    for record in records:
        assert record["confidence"] < 1.0
        assert (record["text"], record["words"]) == ("", [])
    assert (done.code, done.err) == (0, "2 withheld, their confidence being below 1\n")


def test_quiet_says_nothing_but_errors(read, pictures: Path) -> None:
    done = read(pictures / "1.png", pictures / "missing.png", "-q")
    assert (done.code, done.out) == (1, "a\n")
    assert done.err == f"error: {pictures / 'missing.png'}: no such file\n"


def test_verbose_says_what_was_chosen(read, pictures: Path) -> None:
    assert "torch" in read(pictures / "1.png", "-v").err


def test_python_reads_the_same(model_that_reads_a: Path, pictures: Path) -> None:
    page = ocrtool.read(
        pictures / "1.png", model=str(model_that_reads_a), engine="torch", layout="line"
    )
    assert page.text == "a"


def train_options() -> dict[str, typer.models.OptionInfo]:
    command = typer.main.get_command(make_app()).commands["train"]
    return {parameter.name: parameter for parameter in command.params}


def test_help_of_train_states_the_true_defaults() -> None:
    fields = {field.name: field for field in dataclasses.fields(TrainOptions)}
    stated = 0
    for name, parameter in train_options().items():
        match = re.search(r"; default ([\w.]+)(, |\.$)", parameter.help or "")
        field = fields.get(name)
        if match and field is not None and isinstance(field.default, int | float):
            assert match[1] == str(field.default), name
            stated += 1
    assert stated >= 5


def test_every_flag_of_train_is_an_option() -> None:
    options = {f.name for kind in (TrainOptions, StageOptions) for f in dataclasses.fields(kind)}
    assert FLAGS.keys() - options == {"config", "settings"}


def test_train_passes_its_flags_on(run_cli, monkeypatch, tmp_path: Path) -> None:
    seen: list[TrainOptions] = []

    def run(options: TrainOptions):
        seen.append(options)
        return type("Result", (), {"interrupted": len(seen) == 2})

    monkeypatch.setattr("ocrtool.training.run", run)
    config = tmp_path / "config.json"
    config.write_text('{"batch_size": 8, "seed": 1, "use_gqa": true}')
    arguments = ["train", "a.csv", "b.csv", "-o", "out", "--config", config, "--seed", "2", "--lr"]
    arguments += ["0.1", "--set", "accumulation=3", "--compile", "--strict"]
    assert run_cli(*arguments).code == 0
    assert run_cli(*arguments).code == 130
    assert seen[0] == TrainOptions(
        data=(Path("a.csv"), Path("b.csv")),
        out=Path("out"),
        batch_size=8,
        seed=2,
        use_gqa=True,
        learning_rate=0.1,
        accumulation=3,
        compile=True,
        strict=True,
    )


def test_models_list(run_cli) -> None:
    lines = run_cli("models", "list").out.splitlines()
    assert {"line", "tiny"} <= {line.split()[0] for line in lines}
    listed = json.loads(run_cli("models", "list", "--json").out)
    assert [entry["name"] for entry in listed] == [line.split()[0] for line in lines]


def test_models_show_counts_the_parameters(run_cli, model_that_reads_a: Path) -> None:
    from dataclasses import replace

    from ocrtool.models.ocr import OcrModel
    from ocrtool.models.presets import preset

    network = OcrModel(replace(preset("tiny"), vocab_size=99))
    shown = run_cli("models", "show", "tiny").out
    assert f"{network.num_parameters():,} with 95 characters" in shown
    assert "3 x 224 x 224" in shown
    more = json.loads(run_cli("models", "show", "tiny", "--characters", "100", "--json").out)
    # Five characters more, each with an embedding and a row of the head.
    assert more["parameters"] - network.num_parameters() in (
        5 * 256,
        5 * 2 * 256,
        5 * (2 * 256 + 1),
    )

    from ocrtool.training.checkpoint import load

    described = json.loads(run_cli("models", "show", model_that_reads_a, "--json").out)
    weights = load(model_that_reads_a).weights
    assert described["parameters"] == sum(tensor.numel() for tensor in weights.values())
    assert (described["kind"], described["characters"]) == ("folder", 4)


def test_models_show_a_network_that_is_trained_in_stages(run_cli) -> None:
    shown = run_cli("models", "show", "deepocr").out
    assert "8,021,714,176" in shown and "28 heads (4 for keys and values)" in shown
    small = json.loads(run_cli("models", "show", "deepocr-small", "--json").out)
    assert small["config"]["base"] == 128 and 2e6 < small["parameters"] < 8e6
