from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from detector_pages import DrawnLine, DrawnRegion, TwoPages
from detector_pages import box as quad
from ocrtool.errors import ExitCode, ModelError, UsageError
from ocrtool.layout.detector import Detector
from ocrtool.layout.postprocess import REGION_KINDS
from ocrtool.models.detector import DetectorConfig, DetectorNet
from ocrtool.training.data import loaded
from ocrtool.training.detector import (
    DetectorOptions,
    DetectorTask,
    main,
    train_detector,
    with_areas,
)
from ocrtool.training.detector_data import CropDataset, SharedPages, draw_crop
from ocrtool.training.detector_scores import match_lines
from ocrtool.training.detector_targets import make_targets
from ocrtool.training.distributed import Compute
from ocrtool.training.report import MetricsWindow
from ocrtool.training.trainer import Trainer

SMALL = DetectorConfig(stem=8, widths=(16, 16, 24, 32), blocks=(0, 1, 0, 0), neck=16)


def options(out: Path, **changes: object) -> DetectorOptions:
    values = {
        "steps": 4, "batch_size": 2, "crop": 128, "workers": 0, "warmup": 5, "log_every": 2,
        "validate_every": 100, "validation_size": 2, "device": "cpu", "precision": "fp32",
        "threads": 1, **changes,
    }  # fmt: skip
    return DetectorOptions(out=out, **values)  # type: ignore[arg-type]


def test_kernels_keep_clear_of_each_other_where_lines_touch() -> None:
    lines = [DrawnLine(quad(10, 20 + 12 * i, 200, 12)) for i in range(5)]
    targets = make_targets((128, 256), lines, [])
    column = targets.kernel[:, 50]
    assert np.flatnonzero(np.diff(column)).size == 10  # five bands
    assert int(column.sum()) == 5 * 3  # each half as high as its line
    ground = targets.weight[(targets.kernel == 0)]
    assert set(np.unique(ground)) == {1.0, 2.0, 4.0}
    assert targets.weight[16, 50] == 4.0  # between the first and the second


def test_small_lines_weigh_more_and_tiny_ones_nothing() -> None:
    lines = [DrawnLine(quad(10, 10, 200, 10)), DrawnLine(quad(10, 40, 200, 60)),
             DrawnLine(quad(10, 110, 200, 4))]  # fmt: skip
    targets = make_targets((128, 256), lines, [])
    assert targets.weight[7, 50] > 2 * targets.weight[35, 50]
    assert not targets.kernel[55:57].any() and not targets.weight[55:57, 20:80].any()


def test_geometry_tells_direction_and_height() -> None:
    targets = make_targets((128, 128), [DrawnLine(np.roll(quad(50, 10, 32, 100), -1, 0))], [])
    x, y, level = targets.geometry[:, 15, 16]
    assert (x, y) == pytest.approx((0, 1)) and level == pytest.approx(1.0)
    assert targets.inside[15, 16] > 0 and targets.inside[15, 30] == 0


def test_curved_lines_are_drawn_along_their_curve() -> None:
    x = np.linspace(20, 230, 12)
    top = np.stack([x, 60 - 30 * np.sin((x - 20) / 210 * np.pi)], 1)
    outline = np.concatenate([top, (top + np.array((0, 20)))[::-1]]).astype(np.float32)
    targets = make_targets((128, 256), [DrawnLine(outline[:4], outline=outline)], [])
    rows, columns = np.nonzero(targets.kernel)
    middle = 70 - 30 * np.sin((columns * 2 + 1 - 20) / 210 * np.pi)
    assert np.abs(rows * 2 + 1 - middle).max() < 8 and columns.min() < 14 and columns.max() > 110


def test_regions_are_painted_even_where_they_are_thin() -> None:
    rule = DrawnRegion("rule", quad(8, 61, 100, 1))
    table = DrawnRegion("table", quad(8, 8, 64, 32))
    maps = make_targets((128, 128), [], [rule, table]).regions
    assert maps[REGION_KINDS.index("rule")].sum() >= 25
    assert 16 * 8 <= int(maps[REGION_KINDS.index("table")].sum()) <= 18 * 10
    assert not maps[REGION_KINDS.index("figure")].any()


def test_some_crops_are_inverted_always_the_same() -> None:
    middles = [int(np.median(draw_crop(TwoPages(), i, 96, seed=3).image)) for i in range(60)]
    assert 1 <= sum(middle < 128 for middle in middles) <= 12
    again = [int(np.median(draw_crop(TwoPages(), i, 96, seed=3).image)) for i in range(60)]
    assert middles == again


def test_batches_do_not_depend_on_workers() -> None:
    dataset = CropDataset(SharedPages((), (), 0), 2, 96, 0)
    alone, helped = (loaded(dataset, count(3), workers) for workers in (0, 1))
    for _ in range(2):
        for a, b in zip(next(alone), next(helped), strict=True):
            assert np.array_equal(a, b)


def test_crops_of_real_pages_have_maps_on_their_ink() -> None:
    pages = SharedPages((), (), 5)
    kernels = 0
    for index in range(0, 40, 4):
        crop = draw_crop(pages, index, 256, 0)
        targets = make_targets(crop.image.shape, crop.lines, crop.regions)
        kernels += int(targets.kernel.any())
        assert targets.kernel.shape == (128, 128) and np.isfinite(targets.geometry).all()
        assert ((targets.inside > 0) >= (targets.kernel[::2, ::2] > 0)).mean() > 0.99
    assert kernels >= 5


def test_matching_wants_whole_lines_read_the_right_way() -> None:
    drawn = [quad(10, 10, 100, 20), quad(10, 40, 100, 20), quad(10, 70, 100, 4)]
    size = (200, 200)
    assert match_lines(drawn, [quad(12, 11, 97, 19)], size, 5).right == 1
    assert match_lines(drawn, [quad(10, 10, 48, 20), quad(62, 10, 48, 20)], size, 5).right == 0
    assert match_lines(drawn, [quad(10, 10, 100, 50)], size, 5).right == 0
    assert match_lines(drawn, [np.roll(quad(10, 10, 100, 20), 2, 0)], size, 5).right == 0
    tiny = match_lines(drawn, [quad(10, 70, 100, 4)], size, 5)
    assert (tiny.drawn, tiny.found, tiny.right) == (2, 0, 0)


def test_sixty_steps_find_the_lines_of_two_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocrtool.training.detector_data.INVERTED", 0.0)
    config = DetectorConfig(stem=16, widths=(24, 32, 48, 64), blocks=(0, 1, 0, 0), neck=24)
    result = train_detector(
        options(tmp_path / "run", steps=60, ema=0.8, crop=192, learning_rate=1e-2),
        TwoPages(), TwoPages(), config,
    )  # fmt: skip
    assert not result.interrupted
    records = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if record["kind"] == "train"]
    assert losses[-1] < 0.5 * losses[0]
    assert result.metrics["recall"] >= 0.8, result.metrics
    page = TwoPages().draw_crop(0, 192)
    found = Detector(tmp_path / "run/best", device="cpu").find(page.image)
    quads = [line.quad for line in found.lines]
    assert match_lines([line.quad for line in page.lines], quads, (192, 192), 5).recall >= 0.8


def test_a_resumed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    train_detector(options(tmp_path / "a", steps=4), TwoPages(), TwoPages(), SMALL)
    half = options(tmp_path / "b", steps=4)
    part = Trainer(DetectorTask(half, TwoPages(), TwoPages(), Compute(), SMALL))
    batches = part.task.batches(part.position)
    for _ in range(2):
        part._step(batches, part.learning_rate(part.progress(0.0)), MetricsWindow())
    part._save()
    again = options(half.out, steps=4, resume=True)
    assert Trainer(DetectorTask(again, TwoPages(), TwoPages(), Compute())).position.step == 2
    train_detector(again, TwoPages(), TwoPages())
    for file in ("trainer.safetensors", "model.safetensors"):
        whole, parts = (load_file(tmp_path / run / "last" / file) for run in ("a", "b"))
        assert whole.keys() == parts.keys()
        for name, value in parts.items():
            assert torch.equal(value, whole[name]), name


def test_runs_are_not_overwritten_and_damage_is_told(tmp_path: Path) -> None:
    train_detector(options(tmp_path, steps=1), TwoPages(), TwoPages(), SMALL)
    with pytest.raises(UsageError, match="holds a run"):
        train_detector(options(tmp_path), TwoPages(), TwoPages())
    (tmp_path / "last/trainer.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="damaged"):
        train_detector(options(tmp_path, resume=True), TwoPages(), TwoPages())
    with pytest.raises(UsageError, match="no end"):
        DetectorOptions(out=tmp_path)


def test_a_run_of_an_older_format_is_resumed(tmp_path: Path) -> None:
    train_detector(options(tmp_path, steps=2), TwoPages(), TwoPages(), SMALL)
    path = tmp_path / "last" / "trainer.json"
    facts = json.loads(path.read_text("utf-8"))["position"]
    old = {"step": 2, "seconds": 1.0, "best": 1.0 - facts["best"], "metrics": facts["metrics"]}
    path.write_text(json.dumps({"position": old, "scaler": {}}), "utf-8")
    again = options(tmp_path, steps=4, resume=True)
    position = Trainer(DetectorTask(again, TwoPages(), TwoPages(), Compute())).position
    assert (position.step, position.batches, position.metrics) == (2, 2, facts["metrics"])
    assert position.best == pytest.approx(facts["best"])


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    given = ["-o", str(tmp_path), "--steps", "1", "--crop", "50"]
    assert main(given) == ExitCode.USAGE
    assert "multiple of 32" in capsys.readouterr().err


def test_the_command_trains_on_the_bundled_fonts(tmp_path: Path) -> None:
    given = "--steps 2 --batch-size 2 --crop 64 --workers 0 --validation-pages 2 --device cpu"
    assert main(["-o", str(tmp_path / "run"), *given.split(), "--threads", "1"]) == ExitCode.OK
    metadata = json.loads((tmp_path / "run/last/model.json").read_text("utf-8"))
    assert metadata["kind"] == "detector" and metadata["step"] == 2
    assert (tmp_path / "run/best/model.safetensors").is_file()


def test_one_kind_is_learned_without_a_change_of_anything_else(tmp_path: Path) -> None:
    train_detector(options(tmp_path / "a", steps=2), TwoPages(), TwoPages(), SMALL)
    start = tmp_path / "a" / "last"
    changes = {"start_from": start, "areas": 8, "only": ("table",), "learning_rate": 1e-2}
    with pytest.raises(UsageError, match="separate pyramid"):
        train_detector(options(tmp_path / "c", **{**changes, "areas": 0}), TwoPages(), TwoPages())
    run = options(tmp_path / "b", steps=6, crop=192, **changes)
    assert not train_detector(run, TwoPages(), TwoPages()).interrupted
    facts = json.loads((run.out / "last/model.json").read_text("utf-8"))
    assert facts["config"]["areas"] == 8
    image = TwoPages().draw_crop(0, 192).image
    old, new = (Detector(path, device="cpu").maps(image) for path in (start, run.out / "last"))
    assert np.array_equal(old.kernel, new.kernel) and np.array_equal(old.geometry, new.geometry)
    changed = np.abs(old.regions - new.regions).max(axis=(1, 2))
    assert {kind for kind, most in zip(REGION_KINDS, changed, strict=True) if most} == {"table"}
    again = options(run.out, steps=8, resume=True, **changes)
    assert train_detector(again, TwoPages(), TwoPages()).step == 8
    records = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    assert all("regions" in record for record in records)


def test_a_new_pyramid_sees_what_was_seen_before() -> None:
    torch.manual_seed(0)
    net = DetectorNet(SMALL).eval()
    larger = with_areas(net, 8).eval()
    pixels = torch.randn(1, 1, 64, 96)
    for old, new in zip(net(pixels), larger(pixels), strict=True):
        assert torch.equal(old, new)
    assert with_areas(larger, 16) is larger and with_areas(net, 0) is net
