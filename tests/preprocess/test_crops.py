from __future__ import annotations

import cv2
import numpy as np
import pytest

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
from ocrtool.preprocess.crops import HIGHEST, cut_line

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
