from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector_pages import box, draw_page
from ocrtool.document.lines import FoundLine
from ocrtool.document.tree import Quad
from ocrtool.layout.orientation import (
    OTHER_TURNS,
    likely_turns,
    page_turn,
    rotate_image,
    rotate_points,
    rotate_quad,
)
from ocrtool.preprocess.lines import (
    HIGHEST,
    collate_lines,
    cut_line,
    cut_long,
    line_pixels,
    square_pixels,
    tighten,
    to_grey,
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 300), st.booleans(), st.sampled_from([32, 48]))
def test_lines_of_any_size_are_prepared(rows: int, columns: int, colour: bool, height: int) -> None:
    image = noise(rows, columns, 3) if colour else noise(rows, columns)
    pixels = line_pixels(image, height)
    assert pixels.dtype == np.float32
    assert pixels.shape[:2] == (1, height)
    rows, columns = tighten(to_grey(image)).shape
    width = max(1, round(columns * height / rows))
    assert pixels.shape[2] % 4 == 0
    assert width <= pixels.shape[2] < max(width + 4, 9)
    assert np.isfinite(pixels).all()
    assert abs(float(pixels.mean())) < 1e-3
    assert float(pixels.std()) < 1.001


def test_contrast_and_brightness_do_not_matter() -> None:
    image = noise(32, 64) // 2
    assert np.allclose(line_pixels(image, 32), line_pixels(image + 90, 32), atol=1e-4)
    assert line_pixels(image, 32).std() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_images_stay_quiet(level: int) -> None:
    blank = np.full((20, 100), level, np.uint8)
    assert not line_pixels(blank, 32).any()
    blank[3, 5] ^= 1  # one flickering pixel is no ink
    assert np.abs(line_pixels(blank, 32)).max() < 1.0


def test_an_image_of_the_right_size_keeps_its_pixels() -> None:
    image = noise(32, 64)
    expected = (image - image.mean()) / image.std()
    assert np.allclose(line_pixels(image, 32)[0], expected, atol=1e-5)


def test_long_lines_are_not_cut() -> None:
    assert line_pixels(noise(20, 20_000), 32).shape == (1, 32, 32_000)


def test_missing_columns_repeat_the_last_one() -> None:
    pixels = line_pixels(noise(32, 61), 32)
    assert pixels.shape[2] == 64
    assert (pixels[:, :, 61:] == pixels[:, :, 60:61]).all()


def test_views_and_grey_or_rgb_agree() -> None:
    image = noise(40, 200)
    view = image[::-1, ::-2]
    assert np.array_equal(line_pixels(view, 32), line_pixels(view.copy(), 32))
    rgb = np.repeat(image[..., None], 3, axis=2)
    assert np.allclose(line_pixels(rgb, 32), line_pixels(image, 32), atol=0.02)


def test_squares() -> None:
    image = np.zeros((50, 200, 3), np.uint8)
    image[:, 100:, 0] = 255
    pixels = square_pixels(image, 224)
    assert pixels.shape == (3, 224, 224)
    assert pixels.dtype == np.float32
    assert (pixels[1:] == -1).all()
    assert pixels[0, :, :100].max() == -1 and pixels[0, :, -100:].min() == 1
    assert square_pixels(noise(500, 10), 224).shape == (3, 224, 224)


def test_collating_pads_with_zeros_on_the_right() -> None:
    lines = [line_pixels(noise(32, width, seed=width), 32) for width in (40, 8, 72)]
    pixels, widths = collate_lines(lines)
    assert pixels.shape == (3, 1, 32, 72)
    assert widths.dtype == np.int64 and widths.tolist() == [40, 8, 72]
    for row, line, width in zip(pixels, lines, widths, strict=True):
        assert np.array_equal(row[:, :, :width], line)
        assert not row[:, :, width:].any()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0, 3), (5, 5, 4), (5,)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        line_pixels(np.zeros(shape, np.uint8), 32)
    with pytest.raises(ValueError, match="uint8"):
        square_pixels(np.zeros((5, 5)), 32)  # type: ignore[arg-type]


def page_line(text: str, size: int = 40, above: int = 60, below: int = 60) -> np.ndarray:
    """Black text of OpenCV's built-in stroke font on white, with loose space around it."""
    (width, height), descent = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size / 30, 2)
    image = np.full((above + height + descent + below, width + 20), 255, np.uint8)
    place = (10, above + height)
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size / 30, 0, 2, cv2.LINE_AA)
    return image


@pytest.mark.parametrize("text", ["Typography jumps", "nananana", "HEADLINE", "fjgqpy(]"])
@pytest.mark.parametrize("inverted", [False, True])
def test_tightening_removes_space_and_no_ink(text: str, inverted: bool) -> None:
    image = page_line(text)
    ink = np.count_nonzero(image < 128)
    tight = tighten(255 - image if inverted else image)
    assert tight.shape[0] < 0.8 * image.shape[0] and tight.shape[1] == image.shape[1]
    assert np.count_nonzero(tight > 127 if inverted else tight < 128) == ink


def test_tightening_drops_far_neighbours_and_keeps_accents() -> None:
    image = page_line("nananana", above=80, below=80)
    rows = np.flatnonzero((image < 128).any(axis=1))
    core = rows[-1] - rows[0]
    image[:6, ::12] = 0  # feet of the line above
    accent = rows[0] - core // 2
    image[accent : accent + 3, 30:40] = 0
    tight = tighten(image)
    assert tight.shape[0] <= 2.9 * core
    assert (tight[:, 33] < 128).any() and np.count_nonzero(tight[:2] < 128) == 0
    top = int(np.flatnonzero((tight[:, 30:40] < 128).all(axis=1))[0])
    assert top > 0


def test_tightening_leaves_what_it_does_not_understand() -> None:
    rule = np.full((60, 300), 255, np.uint8)
    rule[30:32] = 0
    faint = np.full((60, 300), 250, np.uint8)
    faint[20:30, ::7] = 245
    tight_already = page_line("Typography", above=2, below=2)
    for image in (rule, faint, tight_already, noise(40, 200), np.zeros((30, 30), np.uint8)):
        assert tighten(image) is image


def test_extremely_long_lines_are_cut_in_gaps() -> None:
    image = np.full((10, 3_000, 3), 255, np.uint8)
    for x in range(0, 3_000, 10):
        image[2:8, x : x + 6] = 0
    image[:, 1_494:1_506] = 255
    pieces, joints = cut_long(image, 200)
    assert len(pieces) == 2 and joints == [" "]
    assert abs(pieces[0].shape[1] - 1_500) < 5
    assert np.array_equal(np.concatenate(pieces, axis=1), image)
    solid = np.zeros((10, 4_100), np.uint8)
    pieces, joints = cut_long(solid, 200)
    assert np.array_equal(np.concatenate(pieces, axis=1), solid) and len(pieces) == 3
    (whole,), none = cut_long(image, 300)
    assert whole is image and none == []


UPRIGHT = draw_page((300, 400), 24)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two crops, that may lie a few pixels off each other."""
    return float(cv2.matchTemplate(a, b[3:-3, 3:-3].copy(), cv2.TM_CCOEFF_NORMED).max())


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_quarter_turns_are_undone_without_resampling(degrees: int) -> None:
    turn = (360 - degrees) % 360  # the image is turned clockwise, as a camera would
    image = rotate_image(UPRIGHT.image, turn)  # type: ignore[arg-type]
    for line in UPRIGHT.lines:
        quad = rotate_points(line.quad, turn, 400, 300)  # type: ignore[arg-type]
        assert np.array_equal(cut_line(image, quad), cut_line(UPRIGHT.image, line.quad))


@pytest.mark.parametrize("degrees", [3, -12, 40, 100, 183])
def test_tilted_lines_come_out_upright(degrees: float) -> None:
    page = draw_page((600, 600), 24, degrees=degrees)
    plain = draw_page((600, 600), 24)
    texts = [line.text for line in plain.lines]
    straight = {line.text: line.quad for line in plain.lines if texts.count(line.text) == 1}
    tilted = [line for line in page.lines if line.text in straight]
    assert len(tilted) >= 3
    for line in tilted:
        wanted = cut_line(plain.image, straight[line.text])
        assert likeness(cut_line(page.image, line.quad), wanted) > 0.8


def test_crops_hold_all_the_ink_and_nothing_of_the_neighbours() -> None:
    for degrees in (0.0, 5.0):
        page = draw_page((400, 400), 24, leading=1.5, degrees=degrees)
        for line in page.lines:
            crop = cut_line(page.image, line.quad)
            ink = crop < 128
            assert not ink[[0, -1]].any() and not ink[:, [0, -1]].any()
            height = np.linalg.norm(line.quad[3] - line.quad[0])
            assert np.ptp(np.flatnonzero(ink.any(axis=1))) >= 0.85 * height - 2


def test_margin_and_colour() -> None:
    image = np.stack([UPRIGHT.image] * 3, axis=2)
    quad = box(50, 50, 100, 20)
    assert cut_line(image, quad, 0.0).shape == (20, 100, 3)
    assert cut_line(image, quad, 0.25).shape == (30, 110, 3)


def test_edges_and_nonsense_give_a_picture_nevertheless() -> None:
    for quad in (box(-20, -10, 100, 30), box(380, 290, 60, 40), box(10, 10, 0, 0),
                 box(500, 500, 50, 20)):  # fmt: skip
        crop = cut_line(UPRIGHT.image, quad)
        assert crop.size and crop.dtype == np.uint8


def test_huge_lines_are_scaled_down_without_losing_strokes() -> None:
    page = draw_page((1400, 3000), 300)
    crop = cut_line(page.image, page.lines[0].quad)
    assert HIGHEST - 1 <= crop.shape[0] <= HIGHEST + 1
    width, high = np.ptp(page.lines[0].quad, axis=0)
    assert crop.shape[1] == pytest.approx((width / high + 0.24) / 1.24 * HIGHEST, rel=0.02)
    assert crop.min() < 40 and (crop < 128).mean() > 0.1


def found(quad: np.ndarray, confidence: float = 1.0) -> FoundLine:
    corners: Quad = tuple(map(tuple, quad.tolist()))  # type: ignore[assignment]
    return FoundLine(corners, confidence)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_the_page_is_turned_as_most_of_its_text(turn: int) -> None:
    # An image that was turned clockwise has to be turned back counter-clockwise.
    spoilt = (360 - turn) % 360
    quads = [rotate_points(line.quad, spoilt, 400, 300) for line in UPRIGHT.lines]  # type: ignore
    lines = [found(quad) for quad in quads]
    lines += [found(np.roll(box(0, 0, 12, 20), 2, 0), 0.6)] * 3  # a few single letters disagree
    assert page_turn(lines) == turn


def test_a_page_without_lines_stays() -> None:
    assert page_turn([]) == 0


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_quads_turn_with_their_image(turn: int) -> None:
    image = rotate_image(UPRIGHT.image, turn)  # type: ignore[arg-type]
    assert image.shape == ((300, 400) if turn % 180 == 0 else (400, 300))
    line = found(UPRIGHT.lines[0].quad)
    quad = np.array(rotate_quad(line.quad, turn, 400, 300))  # type: ignore[arg-type]
    (x0, y0), (x1, y1) = quad.min(axis=0).astype(int), quad.max(axis=0).astype(int)
    assert (image[y0:y1, x0:x1] < 128).mean() > 0.1
    back = rotate_quad(tuple(map(tuple, quad)), (360 - turn) % 360, *image.shape[::-1])  # type: ignore
    assert np.allclose(back, line.quad)


def test_the_shapes_of_lines_tell_on_which_side_an_image_may_lie() -> None:
    def line(width: float, height: float) -> FoundLine:
        return FoundLine(((0, 0), (width, 0), (width, height), (0, height)), 0.9)

    word, stain = line(100, 20), line(12, 30)
    down = FoundLine(((20, 0), (20, 100), (0, 100), (0, 0)), 0.9)
    reversed_ = FoundLine(((100, 20), (0, 20), (0, 0), (100, 0)), 0.9)
    assert likely_turns([word, reversed_, stain, stain]) == (180,)
    assert likely_turns([word, stain, stain, down]) == (90, 270)
    assert likely_turns([word, stain]) == likely_turns([]) == OTHER_TURNS
