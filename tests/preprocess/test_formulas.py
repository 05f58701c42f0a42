from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_formulas import draw, formula
from ocrtool.preprocess import formulas as module
from ocrtool.preprocess.formulas import (
    LETTER,
    PAPER_VALUE,
    STEP,
    canonical,
    collate_formulas,
    formula_pixels,
    letter_height,
    like_sizes,
)

FORMULAS = [formula(np.random.default_rng(seed)) for seed in range(40)]


def prepared(image: np.ndarray) -> np.ndarray:
    return formula_pixels(image, 160, 1024)


def ink_size(pixels: np.ndarray) -> np.ndarray:
    """Height and width of the ink, in pixels."""
    rows, columns = np.nonzero(pixels[0] > 0.5)
    return np.array([np.ptp(rows) + 1, np.ptp(columns) + 1])


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5, 2.0])
def test_the_size_of_a_picture_hardly_matters(scale: float) -> None:
    changes = []
    for tokens in FORMULAS:
        usual, other = (prepared(draw(tokens, 48 * s)) for s in (1.0, scale))
        changes.append(np.abs(np.log(ink_size(other) / ink_size(usual))).max())
    assert np.median(changes) < 0.06
    assert np.percentile(changes, 95) < 0.2


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5, 2.0])
def test_most_sizes_of_a_picture_come_to_the_same_to_the_hair(scale: float) -> None:
    rng = np.random.default_rng(7)
    same = 0
    for _ in range(40):
        image = draw(formula(rng), 56, margin=9)
        other = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        usual, result = canonical(image, 160, 1024), canonical(other, 160, 1024)
        same += abs(np.log(result.scale[0] * scale / usual.scale[0])) < 0.02
    assert same >= 26


def test_letters_come_to_one_height() -> None:
    pixels = [prepared(draw(tokens, 48))[0] for tokens in FORMULAS]
    grey = [np.clip(255 * (p - PAPER_VALUE) / 3, 0, 255).astype(np.uint8) for p in pixels]
    heights = [letter_height((ink > 85).astype(np.uint8), ink) for ink in grey]
    assert abs(np.log(np.median(heights) / LETTER)) < 0.1
    assert np.std(np.log(heights)) < 0.12


@pytest.mark.parametrize(
    ("changed", "bound"),
    [
        pytest.param(lambda image: 255 - image, 0.1, id="dark mode"),
        pytest.param(
            lambda image: np.pad(image, ((90, 5), (4, 200)), constant_values=255), 0.1, id="loose"
        ),
        pytest.param(lambda image: image[8:-8, 8:-8], 0.14, id="tight"),
        pytest.param(lambda image: (120 + image * 0.4).astype(np.uint8), 0.1, id="grey page"),
        pytest.param(
            lambda image: (image * np.linspace(0.6, 1, image.shape[1])).astype(np.uint8),
            0.1,
            id="shade",
        ),
        pytest.param(lambda image: np.repeat(image[..., None], 3, 2), 0.1, id="colour"),
    ],
)  # fmt: skip
def test_ground_and_crop_do_not_matter(changed, bound: float) -> None:
    for tokens in FORMULAS[:12]:
        image = draw(tokens, 40)
        usual, other = prepared(image), prepared(changed(image))
        assert np.abs(np.log(ink_size(other) / ink_size(usual))).max() < STEP + 0.06
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "STEP", 1e-6)  # what was measured, not the step that it fell on
            usual, other = prepared(image), prepared(changed(image))
        assert np.abs(np.log(ink_size(other) / ink_size(usual))).max() < bound
        assert other.min() == PAPER_VALUE and other.max() > 1.5


def test_sides_are_whole_cells_and_stay_within_the_greatest() -> None:
    for tokens in (FORMULAS[0], ("a", "+") * 60, ("-",), (".",)):
        pixels = prepared(draw(tokens, 40))
        assert pixels.dtype == np.float32 and pixels.flags.c_contiguous
        assert pixels.shape[1] % 16 == 0 and pixels.shape[2] % 8 == 0
        assert pixels.shape[1] <= 160 and pixels.shape[2] <= 1024
    small = formula_pixels(draw(("a", "+") * 60, 40), 32, 128)
    assert small.shape == (1, 16, 128)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_picture_is_a_cell_of_paper(grey: int) -> None:
    noise = np.random.default_rng(0).integers(-2, 3, (50, 70))
    for image in (
        np.full((50, 70), grey, np.uint8),
        np.clip(grey + noise, 0, 255).astype(np.uint8),
    ):
        pixels = prepared(image)
        assert pixels.shape == (1, 16, 8) and (pixels == PAPER_VALUE).all()


def test_specks_do_not_widen_the_crop() -> None:
    image = draw(FORMULAS[3], 48, margin=120)
    dirty = image.copy()
    for y, x in ((5, 5), (200, 11), (30, 60)):
        dirty[y, x] = 0
    assert prepared(dirty).shape == prepared(image).shape


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (300, 2), (6000, 40)])
def test_odd_pictures_are_prepared(size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    assert np.isfinite(prepared(image)).all()


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="an image is uint8"):
        prepared(np.zeros((4, 4), np.float32))  # type: ignore[arg-type]


def test_a_batch_is_padded_with_zeros() -> None:
    pictures = [np.ones((1, 16, 24), np.float32), np.ones((1, 48, 8), np.float32)]
    pixels, sizes = collate_formulas(pictures)
    assert pixels.shape == (2, 1, 48, 24) and sizes.tolist() == [[16, 24], [48, 8]]
    assert pixels.sum() == 16 * 24 + 48 * 8


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10), st.integers(1, 100)), min_size=1, max_size=60),
    st.data(),
)
def test_groups_hold_every_picture_once(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    groups = data.draw(st.integers(1, len(sizes)))
    found = like_sizes(sizes, [h * w for h, w in sizes], groups)
    assert len(found) == groups and all(found)
    assert sorted(i for group in found for i in group) == list(range(len(sizes)))


def test_groups_have_little_padding() -> None:
    rng = np.random.default_rng(0)
    sizes = [(16 * int(h), 8 * int(w)) for h, w in rng.integers((2, 6), (7, 90), (256, 2))]
    areas = [h * w for h, w in sizes]
    padded = sum(
        len(group) * max(sizes[i][0] for i in group) * max(sizes[i][1] for i in group)
        for group in like_sizes(sizes, areas, 32)
    )
    assert padded < 1.4 * sum(areas)


def test_large_pictures_are_read_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    image = cv2.resize(draw(FORMULAS[5], 64), None, fx=12, fy=12)
    usual = prepared(draw(FORMULAS[5], 64))
    assert np.abs(np.log(ink_size(prepared(image)) / ink_size(usual))).max() < STEP + 0.06
    monkeypatch.setattr(module, "STEP", 1e-6)
    usual = prepared(draw(FORMULAS[5], 64))
    assert np.abs(np.log(ink_size(prepared(image)) / ink_size(usual))).max() < 0.1
