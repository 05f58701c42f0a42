"""Drawn pages: boxes fit the ink, whatever happens to the sheet; order and seeds are obeyed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ocrtool.synth import documents, forms
from ocrtool.synth.camera import CAPTURE_STYLES, CaptureStyle, Projection, aim, develop, shifted
from ocrtool.synth.canvas import Canvas
from ocrtool.synth.pages import KINDS, DrawnLine, PageSource, _corners, _edges, _line
from ocrtool.synth.scenes import _set_sign
from ocrtool.synth.typefaces import TypeLibrary

CROOKED = CaptureStyle(degrees=2.0, steep=0.5, depth=0.3, curled=1.0)


@pytest.fixture(scope="module")
def press() -> TypeLibrary:
    return TypeLibrary([], [])


def look(
    canvas: Canvas, exposure: CaptureStyle, seed: int
) -> tuple[np.ndarray, list[DrawnLine], Projection]:
    """A picture of a sheet without damage, its lines and the view."""
    rng = np.random.default_rng(seed)
    size = (canvas.width, canvas.height)
    view = aim(rng, exposure, size, 2.0, (size[0] / 2, size[1] / 2))
    edge = view.forward(_edges(np.array([(0, 0), (size[0], 0), size, (0, size[1])]), 9))
    view = shifted(view, 4 - edge.min(0))
    width, height = (edge.max(0) - edge.min(0) + 8).astype(int)
    image = develop(rng, canvas, view, (height, width), CaptureStyle(), 20.0)
    lines = [
        _line(view.forward(_edges(_corners(line), 9)), line.text, line.block)
        for line in canvas.lines
    ]
    return image, lines, view


def covered(shape: tuple[int, int], polygons: list[np.ndarray], room: int = 0) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 255)
    return cv2.dilate(mask, np.ones((2 * room + 1, 2 * room + 1), np.uint8)) > 0


def upright(image: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """The pixels of a quadrilateral, straightened."""
    width = int(np.linalg.norm(quad[1] - quad[0])) + 1
    height = int(np.linalg.norm(quad[3] - quad[0])) + 1
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(quad, target)
    return cv2.warpPerspective(image, matrix, (width, height), borderValue=255.0)


def assert_fit(image: np.ndarray, lines: list[DrawnLine], others: list[np.ndarray]) -> None:
    ink = image < 128
    outlines = [line.outline for line in lines]
    strayed = ink & ~covered(image.shape, outlines + others, room=2)
    assert strayed.sum() < 0.005 * ink.sum()
    for line in lines:
        patch = upright(image, line.quad)
        columns = np.flatnonzero((patch < 230).any(0))
        assert columns.size, line.text
        slack = 2 + 0.15 * line.height  # slanted capitals lean away from their origin
        assert columns[0] <= slack and columns[-1] >= patch.shape[1] - 1 - slack, line.text


@pytest.mark.parametrize("make", [documents.book, documents.paper, forms.index, forms.tables])
@pytest.mark.parametrize("exposure", [CaptureStyle(), CROOKED], ids=["flat", "crooked"])
def test_boxes_fit_the_ink(press: TypeLibrary, make: object, exposure: CaptureStyle) -> None:
    for seed in range(2):
        canvas = make(np.random.default_rng(seed), press)  # type: ignore[operator]
        canvas.marks.clear()
        image, lines, view = look(canvas, exposure, seed)
        formulas = [
            view.forward(_edges(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), 9))
            for kind, (x0, y0, x1, y1) in canvas.regions
            if kind == "formula"
        ]
        assert len(lines) > 8
        assert_fit(image, lines, formulas)


def test_height_comes_from_the_type_not_from_the_letters(press: TypeLibrary) -> None:
    canvas = Canvas(300, 100)
    kind = press.bundled()
    canvas.label(10, 30, "nose", kind.family.regular, 20)
    canvas.label(10, 70, "Édgpy", kind.family.regular, 20)
    canvas.flow("<p>x<sup>2</sup></p><p>gd</p>", [(150, 0, 290, 90)], kind.family)
    heights = [line.box[3] - line.box[1] for line in canvas.lines]
    assert heights[0] == pytest.approx(heights[1])
    assert heights[2] == pytest.approx(heights[3], rel=0.01)
    image, lines, _ = look(canvas, CaptureStyle(), 0)
    patch = upright(image, lines[1].quad) < 128
    rows = np.flatnonzero(patch.any(1))
    assert rows[-1] >= patch.shape[0] - 3


def test_lines_come_in_the_order_of_the_source(press: TypeLibrary) -> None:
    canvas = Canvas(400, 300)
    words = [f"word{i}" for i in range(140)]
    html = f"<p id='a'>{' '.join(words[:70])}</p><p id='b'>{' '.join(words[70:])}</p>"
    family = press.bundled().family
    canvas.label(10, 20, "head", family.regular, 14)
    canvas.flow(html, [(10, 30, 190, 290), (210, 30, 390, 290)], family, "body{font-size:10px}")
    canvas.label(10, 296, "foot", family.regular, 10)
    assert " ".join(line.text for line in canvas.lines).split() == ["head", *words, "foot"]
    blocks = [line.block for line in canvas.lines]
    assert len(set(blocks)) == 4 and blocks == sorted(blocks)


def test_rows_with_wide_gaps_are_several_lines(press: TypeLibrary) -> None:
    canvas = Canvas(400, 100)
    canvas.label(10, 30, "total          12.50", press.bundled().family.regular, 10)
    canvas.label(10, 60, "one  line", press.bundled().family.regular, 10)
    assert [line.text for line in canvas.lines] == ["total", "12.50", "one line"]


def test_soft_hyphens_show_only_at_line_ends(press: TypeLibrary) -> None:
    canvas = Canvas(200, 200)
    html = "<p>" + "hy&shy;phen&shy;ation " * 12 + "</p>"
    canvas.flow(html, [(10, 10, 130, 190)], press.bundled().family)
    text = "\n".join(line.text for line in canvas.lines)
    assert "-\n" in text and "\xad" not in text
    assert "".join(text.replace("-\n", "").split()) == "hyphenation" * 12


def test_view_maps_back_what_it_maps_forth() -> None:
    for seed in range(20):
        view = aim(
            np.random.default_rng(seed), CAPTURE_STYLES["photo"], (600, 800), 2.0, (300, 400)
        )
        points = np.random.default_rng(seed).uniform((0, 0), (600, 800), (50, 2))
        assert np.allclose(view.backward(view.forward(points)), points, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_draws(name: str) -> None:
    for seed in range(3):
        source = PageSource(seed=seed, kinds={name: KINDS[name]})
        page = source.draw_crop(0, 256)
        assert page.image.shape == (256, 256) and page.image.dtype == np.uint8
        for line in page.lines:
            assert line.text == " ".join(line.text.split()) != ""
            assert line.quad.shape == (4, 2) and line.outline.shape[1] == 2
            assert cv2.contourArea(line.quad, oriented=True) > 0  # clockwise: not mirrored
        if name == "blank":
            assert not page.lines
    assert source.draw(1).image.ndim == 2


def test_a_page_depends_on_seed_and_index_only() -> None:
    forward = [PageSource(seed=4).draw_crop(i, 320) for i in range(12)]
    source = PageSource(seed=4)
    backward = [source.draw_crop(i, 320) for i in reversed(range(12))][::-1]
    for page, twin in zip(forward, backward, strict=True):
        assert np.array_equal(page.image, twin.image)
        assert [line.text for line in page.lines] == [line.text for line in twin.lines]
        for line, other in zip(page.lines, twin.lines, strict=True):
            assert np.array_equal(line.quad, other.quad)
    assert np.array_equal(source.draw(3).image, PageSource(seed=4).draw(3).image)
    assert not np.array_equal(PageSource(seed=5).draw_crop(0, 320).image, forward[0].image)


def test_turned_pages_tell_how_they_become_upright() -> None:
    kinds = {"book": KINDS["book"]}
    plain = PageSource(seed=2, kinds=kinds)
    turned = PageSource(seed=2, kinds=kinds, turned=1.0)
    seen = set()
    for index in range(8):
        page, twin = plain.draw_crop(index, 200), turned.draw_crop(index, 200)
        seen.add(twin.upright)
        again = np.rot90(twin.image, twin.upright // 90)
        assert np.array_equal(again, page.image)
        angle = np.radians(twin.upright)
        for line in twin.lines:
            x, y = line.quad[1] - line.quad[0]
            assert x * np.cos(angle) + y * np.sin(angle) > 0  # to the right once upright
    assert seen <= {90, 180, 270} and len(seen) > 1


def test_outlines_of_bent_signs_fit_their_letters(press: TypeLibrary) -> None:
    boards = [_set_sign(np.random.default_rng(seed), press, 500) for seed in range(40)]
    drawn = [board for board in boards if board is not None]
    assert len(drawn) > 25
    for board in drawn:
        outlines = [outline for outline, _ in board.lines]
        ink = board.mask > 0.5
        strayed = ink & ~covered(ink.shape, outlines, room=2)
        assert strayed.sum() < 0.06 * ink.sum()  # accents on capitals stand out
