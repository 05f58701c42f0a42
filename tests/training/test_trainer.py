from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ocrtool.errors import ExitCode, InputError, ModelError, OutputError, UsageError
from ocrtool.models.ocr import OcrModel
from ocrtool.training import checkpoint, make_options, recognition, run
from ocrtool.training.data import Batch
from ocrtool.training.distributed import Compute, Group
from ocrtool.training.options import TrainOptions
from ocrtool.training.prepare import choose_vocabulary, prepare
from ocrtool.training.recognition import RecognitionTask
from ocrtool.training.report import MetricsWindow
from ocrtool.training.rows import read_rows
from ocrtool.training.trainer import Trainer, claim_folder

Options = Callable[..., TrainOptions]
Writer = Callable[..., Path]


def records(out: Path, kind: str) -> list[dict[str, object]]:
    lines = (out / "log.jsonl").read_text("utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def make_trainer(options: TrainOptions) -> Trainer:
    data, config = prepare(options, None, Group())
    return Trainer(recognition.RecognitionTask(options, config, data, Compute(), None))


def pool(trainer: Trainer, number: int) -> Batch:
    """First batch of a pool of the training set."""
    assert isinstance(trainer.task, RecognitionTask)
    return trainer.task.dataset(0)[number].batches[0]


def take_step(
    trainer: Trainer, batches: list[Batch], rate: float = 0.0, window: MetricsWindow | None = None
) -> None:
    assert isinstance(trainer.task, RecognitionTask)
    loaded = map(trainer.task.on_device, batches)
    trainer._step(loaded, rate, window or MetricsWindow())


def gradients(trainer: Trainer, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """Gradients of one step, taken before the optimiser uses them."""
    seen = {}
    step = trainer.scaler.step

    def look(optimizer: torch.optim.Optimizer) -> None:
        for name, parameter in trainer.model.named_parameters():
            seen[name] = parameter.grad.clone()
        step(optimizer)

    trainer.scaler.step = look
    take_step(trainer, batches)
    return seen


def test_line_overfits_sixteen_lines(
    tmp_path: Path, small_options: Options, write_csv: Writer
) -> None:
    numbers = [f"{(2467 * i + 135) % 10_000:04d}" for i in range(16)]
    table = write_csv(tmp_path / "data", numbers)
    result = run(
        small_options(
            "line",
            data=(table,),
            validation=table,
            out=tmp_path / "run",
            steps=300,
            batch_size=16,
            learning_rate=6e-3,
            dropout=0.0,
            ema=0.9,
            warmup=20,
            log_every=50,
        )
    )
    assert result.metrics["cer"] == 0.0
    assert result.metrics["exact"] == 1.0
    assert result.metrics["accuracy"] > 0.95
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000


def test_tiny_learns_and_reads_with_its_decoder(
    tmp_path: Path, small_options: Options, write_csv: Writer
) -> None:
    table = write_csv(
        tmp_path / "data", ["stone", "river", "Apple", "1905", "black", "sugar", "winter", "42.50"]
    )
    result = run(
        small_options(
            "tiny",
            data=(table,),
            validation=table,
            out=tmp_path / "run",
            steps=200,
            batch_size=8,
            learning_rate=5e-3,
            dropout=0.0,
            token_noise=0.0,
            ema=0.9,
            warmup=10,
        )
    )
    assert result.metrics["exact"] == 1.0


@pytest.mark.parametrize("preset", ["line", "tiny"])
def test_accumulation_and_splitting_equal_the_big_batch(
    preset: str, words_csv: Path, tmp_path: Path, small_options: Options
) -> None:
    base = small_options(
        preset, data=(words_csv,), out=tmp_path / "run", batch_size=8, dropout=0.0, clip=0.0
    )
    big = make_trainer(base)
    batch = pool(big, 0)
    half = len(batch.sizes) // 2
    parts = [type(batch)(*(array[s] for array in batch)) for s in (slice(half), slice(half, None))]
    expected = gradients(big, [batch])
    accumulated = gradients(make_trainer(dataclasses.replace(base, accumulation=2)), parts)
    cut = make_trainer(base)
    cut.position.split = 3
    split = gradients(cut, [batch])
    for name, gradient in expected.items():
        torch.testing.assert_close(accumulated[name], gradient, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(split[name], gradient, rtol=1e-4, atol=1e-6)


def test_out_of_memory_halves_the_batch_once(
    words_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
    small_options: Options,
) -> None:
    whole = recognition.sums_of

    def bounded(output, batch, smoothing):
        if batch.pixels.shape[0] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(output, batch, smoothing)

    options = small_options("tiny", data=(words_csv,), out=tmp_path / "run", batch_size=8)
    plain = make_trainer(options)
    batches = [pool(plain, number) for number in range(2)]
    expected = gradients(plain, batches[:1])
    short = make_trainer(options)
    monkeypatch.setattr(recognition, "sums_of", bounded)
    found = gradients(short, batches[:1])
    take_step(short, batches[1:])
    assert short.position.split == 2
    assert capfd.readouterr().err.count("out of memory") == 1
    assert found.keys() == expected.keys()


class StopAt:
    """An interruption at a step."""

    def __init__(self, trainer: Trainer, step: int) -> None:
        self.trainer, self.step = trainer, step

    @property
    def asked(self) -> bool:
        return self.trainer.position.step >= self.step


@pytest.mark.parametrize(
    ("preset", "workers", "optimizer"),
    [("line", 0, "adamw"), ("line", 2, "adamw"), ("tiny", 0, "muon")],
)
def test_resume_is_exact(
    preset: str,
    workers: int,
    optimizer: str,
    words_csv: Path,
    tmp_path: Path,
    small_options: Options,
) -> None:
    def options(out: str, workers: int) -> TrainOptions:
        changes = {"steps": 10, "workers": workers, "accumulation": 2, "optimizer": optimizer}
        return small_options(preset, data=(words_csv,), out=tmp_path / out, **changes)

    run(options("whole", 0))  # any number of workers deals the same batches
    (tmp_path / "parts").mkdir()
    interrupted = make_trainer(options("parts", workers))
    result = interrupted.run(StopAt(interrupted, 5))
    assert (result.step, result.interrupted) == (5, True)
    claim_folder(dataclasses.replace(options("parts", workers), overwrite=True), Group())
    assert not run(make_options({"out": tmp_path / "parts", "resume": True})).interrupted
    for file in ("trainer.safetensors", "model.safetensors"):
        whole = load_file(tmp_path / "whole" / "last" / file)
        parts = load_file(tmp_path / "parts" / "last" / file)
        assert whole.keys() == parts.keys()
        assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())
    for kind in ("train", "validation"):
        whole, parts = (records(tmp_path / out, kind) for out in ("whole", "parts"))
        steps = [record["step"] for record in parts]
        assert steps == [record["step"] for record in whole]
        # A window of the log that the interruption cut holds fewer steps.
        assert parts[-1]["loss"] == whole[-1]["loss"]


def test_average_follows_the_weights(
    words_csv: Path, tmp_path: Path, small_options: Options
) -> None:
    trainer = make_trainer(small_options("tiny", data=(words_csv,), out=tmp_path, ema=0.5))
    before = [p.clone() for p in trainer.average.parameters()]
    batch = pool(trainer, 0)
    take_step(trainer, [batch], 1e-2)
    decay = min(0.5, 2 / 11)
    for old, average, now in zip(
        before, trainer.average.parameters(), trainer.model.parameters(), strict=True
    ):
        torch.testing.assert_close(average, decay * old + (1 - decay) * now)


def test_a_gradient_that_is_no_number_is_skipped(
    words_csv: Path, tmp_path: Path, small_options: Options
) -> None:
    trainer = make_trainer(small_options("tiny", data=(words_csv,), out=tmp_path))
    batch = pool(trainer, 0)
    before = {name: p.clone() for name, p in trainer.model.named_parameters()}
    batch.pixels[0, 0, 0, 0] = float("nan")
    window = MetricsWindow()
    take_step(trainer, [batch], 1e-2, window)
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())
    with pytest.raises(Exception, match="lower the learning rate"):
        window.record(1, 1e-2, 1.0, 1)


def test_fine_tuning_maps_the_alphabet(
    words_csv: Path, tmp_path: Path, small_options: Options, write_csv: Writer
) -> None:
    first = run(small_options("line", data=(words_csv,), out=tmp_path / "first"))
    table = write_csv(tmp_path / "new", ["ßtone", "Ärger", "ZZ top", "river", "4.50"])
    start = checkpoint.load(first.last)
    options = TrainOptions(
        data=(table,), start_from=str(first.last), out=tmp_path / "second", workers=0, device="cpu"
    )
    vocabulary = choose_vocabulary(options, start, read_rows(options.data, []))
    assert set("ßÄZ") <= set(vocabulary.entries)
    assert set(start.vocabulary.entries) <= set(vocabulary.entries)
    config = checkpoint.tuned_config(options, start, vocabulary)
    model = OcrModel(config)
    fresh = model.state_dict()["decoder.embed.weight"].clone()
    known = checkpoint.transfer(start, model, vocabulary)
    assert known == len(start.vocabulary.entries)
    now = model.state_dict()
    for name in ("decoder.embed.weight", "decoder.head.weight", "ctc.weight", "ctc.bias"):
        for character in "stone1905":
            new = vocabulary.encode(character)[0]
            old = start.vocabulary.encode(character)[0]
            assert torch.equal(now[name][new], start.weights[name][old])
    sharp_s = vocabulary.encode("ß")[0]
    assert torch.equal(now["decoder.embed.weight"][sharp_s], fresh[sharp_s])
    second = run(dataclasses.replace(options, steps=2, precision="fp32", batch_size=2))
    assert checkpoint.load(second.last).vocabulary == vocabulary
    with pytest.raises(UsageError, match="decoder_layers"):
        run(dataclasses.replace(options, overwrite=True, decoder_layers=3))
    with pytest.raises(ModelError, match="no model"):
        run(dataclasses.replace(options, start_from="nowhere", overwrite=True))


def test_a_run_is_not_overwritten_unasked(
    words_csv: Path, tmp_path: Path, small_options: Options
) -> None:
    options = small_options("tiny", data=(words_csv,), out=tmp_path / "run", steps=1)
    run(options)
    with pytest.raises(UsageError, match="--resume"):
        run(options)
    run(dataclasses.replace(options, overwrite=True))
    with pytest.raises(ModelError, match="no model"):
        run(dataclasses.replace(options, out=tmp_path / "new", resume=True))


def test_an_unwritable_folder_is_an_output_error(
    words_csv: Path, tmp_path: Path, small_options: Options
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError) as caught:
        run(small_options("tiny", data=(words_csv,), out=tmp_path / "file" / "run"))
    assert caught.value.exit_code == ExitCode.OUTPUT


def test_a_full_disk_leaves_the_old_checkpoint(
    words_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_options: Options
) -> None:
    options = small_options("tiny", data=(words_csv,), out=tmp_path / "run", steps=2)
    run(options)
    before = {p: p.read_bytes() for p in (tmp_path / "run" / "last").iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            checkpoint.write_folder(tmp_path / "run" / "last", {"model.json": b"{}"})
    assert {p: p.read_bytes() for p in (tmp_path / "run" / "last").iterdir()} == before
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith(".")]
    # A power cut between the two renames leaves the old folder under its other name.
    (tmp_path / "run" / "last").rename(tmp_path / "run" / ".last.old")
    assert checkpoint.load(tmp_path / "run" / "last").step == 2


def test_damaged_checkpoints_are_model_errors(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="damaged"):
        checkpoint.load(tmp_path)


def test_nothing_usable_is_an_input_error(tmp_path: Path, small_options: Options) -> None:
    (tmp_path / "words.csv").write_text("image,text\nmissing.png,a\n")
    with pytest.raises(InputError, match="no usable row"):
        run(small_options("tiny", data=(tmp_path / "words.csv",), out=tmp_path / "run"))


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import small_options
from ocrtool.training import run
if __name__ == "__main__":
    result = run(small_options({preset!r}, data=(Path({data!r}),), out=Path({out!r}), {more}))
    sys.exit(130 if result.interrupted else 0)
"""


def script(tmp_path: Path, **values: object) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(tests=str(Path(__file__).parent), **values))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_saves_and_stops(words_csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = script(
        tmp_path,
        preset="tiny",
        data=str(words_csv),
        out=str(out),
        more="steps=100000, log_every=1, workers=1",
    )
    process = subprocess.Popen([sys.executable, str(path)], start_new_session=True)
    deadline = time.monotonic() + 60
    while not (out / "log.jsonl").exists() or len(records(out, "train")) < 3:
        assert process.poll() is None and time.monotonic() < deadline, "three steps were not logged"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it, too
    assert process.wait(30) == 130
    saved = checkpoint.load(out / "last")
    assert saved.step >= 3
    assert checkpoint.load_state(out / "last")[1]["position"]["step"] == saved.step


@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without distributed")
def test_two_processes_train_together(
    words_csv: Path, tmp_path: Path, small_options: Options
) -> None:
    out = tmp_path / "run"
    path = script(
        tmp_path,
        preset="line",
        data=str(words_csv),
        out=str(out),
        more="steps=6, validate_every=3",
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(path)], check=True, timeout=120, env=environment)
    assert [record["step"] for record in records(out, "train")] == [2, 4, 6]
    _, facts = checkpoint.load_state(out / "last")
    assert facts["processes"] == 2
    # Pools 0, 2, 4... and 1, 3, 5...: two processes of one batch equal one process of both.
    options = small_options("line", data=(words_csv,), out=tmp_path, dropout=0.0)
    trainer = make_trainer(options)
    pools = [pool(trainer, number) for number in (0, 1)]
    assert not (
        pools[0].pixels.shape == pools[1].pixels.shape
        and (pools[0].pixels == pools[1].pixels).all()
    )
