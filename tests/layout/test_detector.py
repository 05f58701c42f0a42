from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from detector_pages import box, draw_page, overlap
from ocrtool.document.lines import FoundLine
from ocrtool.errors import ModelError
from ocrtool.export import export_model
from ocrtool.export.check import MAX_DIFFERENCE, ParityError, compare_detectors
from ocrtool.layout import detector as module
from ocrtool.layout.detector import (
    SIDE_MULTIPLE,
    Detector,
    merge_passes,
    share_beside,
    standardize,
    working_scale,
)
from ocrtool.models.detector import DetectorConfig, DetectorNet
from ocrtool.options import EngineName, Precision
from ocrtool.training.detector_targets import make_targets

SMALL = DetectorConfig(stem=8, widths=(8, 16, 16, 24), blocks=(0, 1, 0, 0), neck=16)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random detector, as training leaves it."""
    torch.manual_seed(0)
    net = DetectorNet(SMALL).train()
    for _ in range(5):
        net(2 * torch.randn(2, 1, 96, 96))
    for head in (net.text, net.regions):
        torch.nn.init.normal_(head.weight, std=0.2)
    folder = tmp_path_factory.mktemp("detector")
    save_file(net.state_dict(), folder / "model.safetensors")
    facts = {"schema": 1, "kind": "detector", "config": SMALL.to_dict()}
    (folder / "model.json").write_text(json.dumps(facts), "utf-8")
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    """Its graph, and what it was made of beside it."""
    folder = export_model(checkpoint, checkpoint.with_name("exported")).folder
    shutil.copy(checkpoint / "model.safetensors", folder)
    return folder


def found(quad: np.ndarray) -> FoundLine:
    return FoundLine(tuple(map(tuple, quad.tolist())), 0.9)  # type: ignore[arg-type]


def perfect(monkeypatch: pytest.MonkeyPatch, detector: Detector, lines: list, size: tuple) -> list:
    """Let the detector see the lines without a mistake, at any scale; return the scales seen."""
    scales = []

    def maps(grey: np.ndarray) -> object:
        rows, columns = (-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE for side in grey.shape)
        scale = np.array([grey.shape[1] / size[1], grey.shape[0] / size[0]], np.float32)
        scales.append(float(scale[0]))
        seen = [type(line)(line.quad * scale, line.text) for line in lines]
        return make_targets((rows, columns), seen, []).as_maps()

    monkeypatch.setattr(detector, "maps", maps)
    return scales


def test_onnx_runtime_sees_what_pytorch_sees(checkpoint: Path, exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {
        "detector.onnx", "model.json", "model.safetensors", "export-report.json"
    }  # fmt: skip
    graph = (exported / "detector.onnx").read_bytes()
    assert b".py" not in graph and b"BatchNormalization" not in graph
    engines = [Detector(exported, engine, "cpu") for engine in (EngineName.TORCH, EngineName.ONNX)]
    image = draw_page((300, 410), 20).image
    a, b = (engine.maps(image) for engine in engines)
    assert a.kernel.shape == b.kernel.shape == (160, 208)
    assert np.abs(a.kernel - b.kernel).max() < 1e-3
    assert a.kernel.max() > a.kernel.min() + 0.01


def test_another_detector_is_told(exported: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_file(DetectorNet(SMALL).state_dict(), tmp_path / "model.safetensors")
    shutil.copy(exported / "model.json", tmp_path)
    other = Detector(tmp_path, EngineName.TORCH, "cpu")
    parity = compare_detectors(other, Detector(exported, EngineName.ONNX, "cpu"), [])
    assert parity.difference > MAX_DIFFERENCE
    with pytest.raises(ParityError, match="differ from PyTorch"):
        parity.require(Precision.FP32)


def test_tiles_see_what_the_whole_image_shows(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector(exported, device="cpu")
    image = draw_page((500, 700), 20, degrees=3).image
    whole = detector.maps(image)
    monkeypatch.setattr(module, "MAX_TILE_PIXELS", 320 * 320)
    parts = module._tiles(512, 704)
    assert len(parts) >= 6
    covered = np.zeros((512, 704), int)
    for y0, y1, x0, x1 in parts:
        covered[y0:y1, x0:x1] += 1
    assert (covered == 1).all()
    for margin, tolerance in ((module.MARGIN, 5e-2), (192, 1e-4)):
        monkeypatch.setattr(module, "MARGIN", margin)
        monkeypatch.setattr(module, "MAX_TILE_PIXELS", (192 + 2 * margin) ** 2)
        assert len(module._tiles(512, 704)) >= 3
        tiled = detector.maps(image)
        for name in ("kernel", "geometry", "regions"):
            difference = np.abs(getattr(whole, name) - getattr(tiled, name))
            assert np.percentile(difference, 99) < tolerance, name


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (200, 7), (33, 64)])
def test_any_size_is_looked_at(exported: Path, size: tuple[int, int]) -> None:
    detector = Detector(exported, device="cpu")
    detector.find(np.zeros((*size, 3), np.uint8))


def test_flat_images_are_not_blown_up() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(128, 2, (64, 64)).astype(np.uint8)
    assert np.abs(standardize(noise)).max() < 0.6
    page = standardize(draw_page((200, 300), 20).image)
    assert page.mean() == pytest.approx(0, abs=1e-4) and page.std() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("em", "expected"), [(20, 1), (7, 2), (48, 2)])
def test_small_images_are_seen_at_a_good_size(
    exported: Path, monkeypatch: pytest.MonkeyPatch, em: int, expected: int
) -> None:
    detector = Detector(exported, device="cpu")
    page = draw_page((400, 600), em, 1.4)
    scales = perfect(monkeypatch, detector, list(page.lines), (400, 600))
    lines = detector.find(page.image).lines
    assert len(scales) == expected
    assert 12 <= em * scales[-1] <= 40
    assert len(lines) == len(page.lines)
    for line in page.lines:
        assert max(overlap(line.quad, other.quad) for other in lines) > 0.8


def test_large_scans_are_seen_again_where_their_type_is_small(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector(exported, device="cpu")
    page = draw_page((2400, 1800), 40, 1.5)
    scales = perfect(monkeypatch, detector, list(page.lines), (2400, 1800))
    assert len(detector.find(page.image).lines) == len(page.lines)
    assert scales[0] == 960 / 2400 or 13 <= 40 * scales[-1] <= 40


def test_working_scale_keeps_its_bounds() -> None:
    small = [found(box(0, 10 * i, 100, 3)) for i in range(5)]
    assert working_scale(small, 1.0, (200, 200)) == module.MAX_ENLARGING
    assert working_scale(small, 0.2, (4000, 5000)) <= (module.MAX_PIXELS / 2e7) ** 0.5
    fine = [found(box(0, 30 * i, 100, 24)) for i in range(5)]
    assert working_scale(fine, 1.0, (500, 500)) == 1.0
    assert working_scale([], 1.0, (500, 500)) == 1.0
    assert working_scale([], 0.25, (4000, 3000)) > 0.25


def test_headings_do_not_set_the_scale() -> None:
    lines = [found(box(0, 0, 800, 160))] + [found(box(0, 200 + 12 * i, 900, 9)) for i in range(40)]
    assert working_scale(lines, 1.0, (800, 1000)) * 9 == pytest.approx(module.ENLARGED_HEIGHT)


def test_what_was_enlarged_is_not_enlarged_again() -> None:
    lines = [found(box(0, 12 * i, 100, 4)) for i in range(40)]
    assert working_scale(lines, 2.0, (480, 200)) == 2.0
    assert working_scale(lines, 1.0, (480, 200)) == module.MAX_ENLARGING


def test_columns_that_nearly_touch_are_looked_at_more_closely() -> None:
    def columns(gutter: float) -> list:
        lefts = (0, 800 + gutter)
        return [found(box(left, 32 * i, 800, 24)) for i in range(20) for left in lefts]

    assert share_beside(columns(12)) == 1.0 and share_beside(columns(60)) == 0.0
    assert working_scale(columns(60), 0.5, (2000, 2000)) == 0.5
    assert working_scale(columns(12), 0.5, (2000, 2000)) > 0.8


def test_what_one_look_cannot_see_comes_from_the_other() -> None:
    heading, small = box(0, 0, 900, 200), box(0, 300, 900, 12)
    fragment = box(100, 40, 300, 120)
    first = [found(heading), found(small)]
    second = [found(fragment), found(small)]
    lines = merge_passes([(0.3, first), (1.8, second)])
    assert [line.quad[2] for line in lines] == [(900, 200), (900, 312)]


def test_models_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        Detector(tmp_path / "none", device="cpu")
    (tmp_path / "model.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="damaged"):
        Detector(tmp_path, device="cpu")
