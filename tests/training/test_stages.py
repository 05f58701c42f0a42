"""Training DeepOCR in stages: what is learnt, what is frozen, and that runs can be stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pymupdf
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from ocrtool.errors import InputError, MissingDependencyError, UsageError
from ocrtool.models.deepocr import IMAGE
from ocrtool.options import ReadOptions
from ocrtool.pages import open_pages
from ocrtool.training import StageOptions, TrainOptions, make_options, run
from ocrtool.training.checkpoint import load_state
from ocrtool.training.distributed import Compute
from ocrtool.training.report import MetricsWindow
from ocrtool.training.stage_data import read_samples
from ocrtool.training.stages import StageTask, merged, start_of
from ocrtool.training.trainer import Position, Trainer

TEXTS = ("red fox", "old owl\nsat", "blue\nsky", "ten men", "six hens\nate", "a cat")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 128 pixels and the JSON lines that name them."""
    folder = tmp_path_factory.mktemp("pages")
    rows = []
    for number, text in enumerate(TEXTS):
        image = Image.new("L", (128, 128), 250)
        ImageDraw.Draw(image).text((4, 4), text, fill=0, font=ImageFont.load_default(20))
        image.save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "text": text})
    (folder / "pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "pages.jsonl"


def options(pages: Path, out: Path, **changed: Any) -> StageOptions:
    base: dict[str, Any] = {
        "stage": "pretrain", "data": (pages,), "preset": "deepocr-small", "out": out,
        "device": "cpu", "precision": "fp32", "workers": 0, "batch_size": 2, "accumulation": 1,
        "steps": 2, "validation_share": 0.2, "log_every": 1, "learning_rate": 1e-3,
    }  # fmt: skip
    return StageOptions(**{**base, **changed})


def trainer(chosen: StageOptions) -> Trainer:
    samples = read_samples(chosen.data, [])
    return Trainer(StageTask(chosen, *start_of(chosen), samples, samples[:1], Compute()))


def task(chosen: StageOptions) -> StageTask:
    made = trainer(chosen).task
    assert isinstance(made, StageTask)
    return made


def steps(made: Trainer, count: int) -> Trainer:
    batches = made.task.batches(made.position)
    for _ in range(count):
        made._step(batches, 1e-3, MetricsWindow())
    return made


# --------------------------------------------------------------------------- data


def test_loss_is_on_the_text_alone(pages: Path, tmp_path: Path) -> None:
    made = task(options(pages, tmp_path, batch_size=3))
    samples = read_samples([pages], [])[:3]
    samples[1] = dataclasses.replace(samples[1], prompt="What is this?")
    batch = made.pages.together(samples)
    ends = [TEXTS[i] + "<|im_end|>" for i in range(3)]
    words = made.tokenizer
    assert words.decode(batch.targets.tolist(), skip_special_tokens=False) == "".join(ends)
    for row, where, text in zip(batch.tokens, batch.where, TEXTS, strict=False):
        first = int(where.nonzero()[0][0])
        before = words.decode(
            [i for i in row[: first + 1] if i != IMAGE], skip_special_tokens=False
        )
        assert before.endswith("<|im_end|>\n<|im_start|>assistant\n")
        assert ("What is this?" in before) == (text == TEXTS[1])
        assert (row == IMAGE).sum() == 7 and not where[row == IMAGE].any()
        scored = row[first + 1 : first + int(where.sum())]
        assert words.decode(scored.tolist()) == text


def test_every_pass_has_every_sample_once(pages: Path, tmp_path: Path) -> None:
    batches = task(options(pages, tmp_path, batch_size=4)).pages
    for first in (0, 2):
        seen = [batches[number] for number in (first, first + 1)]
        assert [len(batch.views) for batch in seen] == [4, 2]
        sums = sorted(float(view.sum()) for batch in seen for view in batch.views)
        assert len({round(number, 2) for number in sums}) == len(TEXTS)
    parts = [list(zip(range(2), batches.numbers(3, rank, 2), strict=False)) for rank in (0, 1)]
    assert [n for part in parts for _, n in part] == [6, 8, 7, 9]


def test_folders_pair_pdfs_with_markdown(tmp_path: Path, pages: Path) -> None:
    for name, count in (("one", 1), ("two", 2), ("wrong", 2), ("alone", 1)):
        with pymupdf.open() as document:
            for number in range(count):
                page = document.new_page(width=80, height=80)
                page.insert_text((10, 40), f"{name} {number}")
            document.save(tmp_path / f"{name}.pdf")
    for name in ("one", "two.1", "two.2", "two.3", "wrong", "nothing", "nothing.1"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n")
    samples = read_samples([tmp_path], [])
    assert [(s.path.stem, s.page, s.read_text()) for s in samples] == [
        ("one", 0, "# one"),
        ("two", 1, "# two.1"),
        ("two", 2, "# two.2"),
        ("two", 3, "# two.3"),
        ("wrong", 0, "# wrong"),
    ]
    assert samples[0].pixels().shape == (160, 160, 3)
    made = task(options(pages, tmp_path))
    batch = made.pages.together(samples)
    assert batch.grids == [(2, 2)] * 3  # larger than a tile
    assert len(batch.misfits) == 2
    assert "no page 3" in batch.misfits[0] and "2 pages and one text" in batch.misfits[1]


def test_rows_that_cannot_be_used_are_told(tmp_path: Path, pages: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"image": "a.png"}\nnothing\n\n{"image": "a.png", "text": 3}\n')
    problems: list[str] = []
    assert read_samples([path], problems) == []
    assert [problem.partition(": ")[0].rpartition(":")[2] for problem in problems] == [
        "1",
        "2",
        "4",
    ]
    with pytest.raises(InputError, match="no usable sample"):
        run(options(path, tmp_path / "run"))
    made = task(options(pages, tmp_path))
    short = dataclasses.replace(made.pages, max_length=30)
    assert "positions, the network has 30" in short.together(read_samples([pages], [])).misfits[0]
    path.write_text('{"image": "gone.png", "text": "x"}\n' * 2)
    with pytest.raises(InputError, match="no such file"):
        run(options(path, tmp_path / "run", strict=True, validation_share=0.0))


# --------------------------------------------------------------------------- stages


@pytest.mark.parametrize(
    ("changed", "learning"),
    [
        ({"stage": "align"}, {"mm_projector"}),
        ({"stage": "pretrain"}, {"mm_projector", "llm"}),
        ({"stage": "pretrain", "tune_vision": True}, {"mm_projector", "llm", "vision_tower"}),
    ],
)
def test_what_is_frozen_does_not_change(
    pages: Path, tmp_path: Path, changed: dict[str, Any], learning: set[str]
) -> None:
    chosen = options(pages, tmp_path, weight_decay=0.1, **changed)
    before = start_of(chosen)[0].state_dict()
    made = trainer(chosen)
    scores, targets = made.task.scores(made.task.pages[0])
    torch.nn.functional.cross_entropy(scores, targets).backward()
    parts = {n.partition(".")[0] for n, p in made.model.named_parameters() if p.grad is not None}
    assert parts == learning
    made.optimizer.zero_grad()
    steps(made, 2)
    after = made.model.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert {name.partition(".")[0] for name in moved} == learning
    assert {name for name in after if name.startswith("mm_projector.")} <= moved


def test_batches_that_accumulate_equal_the_large_one(pages: Path, tmp_path: Path) -> None:
    whole = steps(trainer(options(pages, tmp_path, batch_size=6)), 1)
    parts = trainer(options(pages, tmp_path, batch_size=2, accumulation=3, recompute=True))
    steps(parts, 1)
    # Adam's first step is the sign of the gradient: compare what it was made of.
    for (name, one), (_, other) in zip(whole.trained, parts.trained, strict=True):
        first, second = (
            made.optimizer.state[p]["exp_avg"] for made, p in ((whole, one), (parts, other))
        )
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-6, msg=name)


def test_a_run_goes_on_where_it_stopped(pages: Path, tmp_path: Path) -> None:
    straight = steps(trainer(options(pages, tmp_path / "a")), 3)
    stopped = steps(trainer(options(pages, tmp_path / "b")), 2)
    (tmp_path / "b").mkdir()
    stopped._save()
    again = trainer(options(pages, tmp_path / "b", resume=True))
    assert (again.position.step, again.position.batches) == (2, 2)
    steps(again, 1)
    wanted = straight.model.state_dict()
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    tensors, _ = load_state(tmp_path / "b" / "last")
    assert not any("vision_tower" in name for name in tensors)


def test_two_stages_and_reading(pages: Path, tmp_path: Path) -> None:
    first = run(options(pages, tmp_path / "align", stage="align"))
    assert first.step == 2 and set(first.metrics) >= {"loss", "accuracy", "cer"}
    with pytest.raises(UsageError, match="holds a run"):
        run(options(pages, tmp_path / "align", stage="align"))
    second = run(options(pages, tmp_path / "pretrain", start_from=str(first.last), steps=1))
    lines = (tmp_path / "pretrain" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["train", "validation"]
    saved = make_options({"resume": True, "out": tmp_path / "pretrain"})
    assert saved.start_from == str(first.last) and saved.stage == "pretrain"
    reader = open_pages(ReadOptions(model=str(second.last), device="cpu"))
    made = task(dataclasses.replace(saved, resume=False, start_from=str(second.last)))
    sample = made.held[0]
    said = reader.write(sample.pixels(), "gundam").text  # type: ignore[attr-defined]
    read = made.read(sample)
    assert read and said.strip().startswith(read[:8])
    mixed = options(pages, tmp_path, vision_from=str(first.last), decoder_from=str(second.last))
    network = start_of(mixed)[0].state_dict()
    of_second = made.model.state_dict()
    for name, tensor in network.items():
        same = torch.equal(tensor, of_second[name])
        assert same != name.startswith("mm_projector."), name


def test_adapters_learn_instead_of_the_language_model(pages: Path, tmp_path: Path) -> None:
    chosen = options(pages, tmp_path, lora=2)
    try:
        made = trainer(chosen)
    except MissingDependencyError:
        pytest.skip("peft is not installed")
    before = {name: t.clone() for name, t in made.model.state_dict().items()}
    assert {name.partition(".")[0] for name, _ in made.trained} == {"mm_projector", "llm"}
    assert all(".lora_" in name for name, _ in made.trained if name.startswith("llm."))
    steps(made, 2)
    after = made.model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert all(".lora_" in name or name.startswith("mm_projector.") for name in changed)
    made.model.eval()
    wanted = made.task.scores(made.task.pages[0])[0]
    (tmp_path / "last").mkdir()
    made._save()
    plain, _ = start_of(options(pages, tmp_path, start_from=str(tmp_path / "last")))
    assert plain.state_dict().keys() == merged(made.model).keys()
    made.task.model = plain
    torch.testing.assert_close(
        made.task.scores(made.task.pages[0])[0], wanted, rtol=1e-3, atol=1e-4
    )


def test_the_rate_rises_and_falls(pages: Path, tmp_path: Path) -> None:
    made = trainer(options(pages, tmp_path, steps=200, learning_rate=None))
    rates = []
    for step in range(200):
        made.position.step = step
        rates.append(made.learning_rate(made.progress(0.0)))
    assert rates.index(max(rates)) == 5  # 3 % of the steps
    assert max(rates) == pytest.approx(5e-5, rel=0.01) and rates[0] == pytest.approx(
        5e-5 / 6, rel=0.01
    )
    assert rates[-1] < 1e-8 and sorted(rates[5:], reverse=True) == rates[5:]
    whole = {"stage": "align", "accumulation": None, "learning_rate": None, "steps": None}
    aligned = trainer(options(pages, tmp_path, **whole))
    assert lengths(aligned) == (3, 1)  # one pass is less than a batch
    aligned.position = Position()
    assert aligned.learning_rate(0.0) == 1e-3
    aligned = trainer(options(pages, tmp_path, **{**whole, "data": (pages,) * 200}))
    assert lengths(aligned) == (256, 3)


def lengths(made: Trainer) -> tuple[int | None, int]:
    """Batches of a step, and steps of the run."""
    accumulation = made.options.accumulation or 0
    while made.progress(0.0) < 1.0:
        made.position.step += 1
        made.position.batches += accumulation
    return accumulation, made.position.step


def test_parts_of_a_batch_equal_the_whole(pages: Path, tmp_path: Path) -> None:
    whole, cut = (trainer(options(pages, tmp_path, batch_size=6)) for _ in range(2))
    cut.position.split = 4
    steps(whole, 1)
    steps(cut, 1)
    for (name, one), (_, other) in zip(whole.trained, cut.trained, strict=True):
        first, second = (m.optimizer.state[p]["exp_avg"] for m, p in ((whole, one), (cut, other)))
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-6, msg=name)


def test_options_of_other_networks_are_refused(pages: Path, tmp_path: Path) -> None:
    flags = {"stage": "align", "data": (pages,), "preset": "deepocr-small"}
    assert isinstance(make_options({"data": (pages,)}), TrainOptions)
    assert make_options(flags).trained == ("mm_projector",)
    config = tmp_path / "config.json"
    config.write_text('{"stage": "pretrain", "lora": 4}')
    assert make_options({**flags, "stage": None}, config).lora == 4
    for wrong, message in (
        ({"synth": "lines"}, "--synth is not for training in stages"),
        ({"ema": 0.5}, "ema is not for training in stages"),
        ({"preset": "line"}, "deepocr, deepocr-small"),
        ({"stage": "sing"}, "align, pretrain"),
        ({"lora": 2}, "leaves as it is"),
        ({"batch_size": 0}, "above 0"),
    ):
        with pytest.raises(UsageError, match=message):
            make_options({**flags, **wrong})
    with pytest.raises(UsageError, match="guidance is not for training in stages"):
        make_options(flags, settings=["guidance=1"])
    assert make_options(flags, settings=["tune_vision=true"]).tune_vision
    with pytest.raises(UsageError, match="deepocr starts from trained parts"):
        start_of(options(pages, tmp_path, preset="deepocr"))
    with pytest.raises(UsageError, match="--lora is for training in stages"):
        make_options({"data": (pages,), "lora": 2})
    with pytest.raises(UsageError, match="deepocr is trained in stages"):
        from ocrtool.training.options import model_config

        model_config(make_options({"data": (pages,), "preset": "deepocr"}), 99)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(pages: Path, tmp_path: Path) -> None:
    alone = options(pages, tmp_path / "one", accumulation=2, validation_share=0.0)
    run(alone)
    program = (
        "import json, sys; from ocrtool.training import make_options, run;"
        "from pathlib import Path; run(make_options({'out': Path(sys.argv[1])},"
        " Path(sys.argv[2])))"
    )
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**alone.to_dict(), "accumulation": 1}))
    (tmp_path / "program.py").write_text(program)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    launch += [str(tmp_path / "program.py"), str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, str(config)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, two = (load_state(tmp_path / name / "last")[0] for name in ("one", "two"))
    for name, tensor in one.items():
        if name.startswith("exp_avg."):
            torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-5)
