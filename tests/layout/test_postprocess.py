from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from detector_pages import DrawnLine, DrawnRegion, box, draw_page, overlap
from ocrtool.layout.postprocess import REGION_KINDS, Maps, find_layout, find_lines, find_regions
from ocrtool.training.detector_targets import make_targets

SIZE = (512, 768)


def best_overlaps(lines: list[DrawnLine], maps: Maps) -> list[float]:
    found = [line.quad for line in find_lines(maps)]
    assert len(found) == len(lines)
    return [max(overlap(line.quad, quad) for quad in found) for line in lines]


@pytest.mark.parametrize(
    ("em", "leading", "degrees", "columns"),
    [
        (20, 1.3, 0, 1),
        (20, 1.3, 7, 2),
        (20, 1.3, -25, 1),
        (24, 1.0, 0, 1),  # lines touch
        (8, 1.0, 0, 2),  # and are tiny
        (8, 1.2, 30, 1),
        (60, 1.2, -15, 1),
        (20, 1.3, 90, 3),
        (20, 1.3, 180, 2),
        (20, 1.3, 268, 3),
    ],
)
def test_the_maps_of_a_page_give_its_lines_back(
    em: int, leading: float, degrees: float, columns: int
) -> None:
    page = draw_page(SIZE, em, leading, degrees, columns=columns)
    maps = make_targets(SIZE, page.lines, []).as_maps()
    overlaps = best_overlaps(list(page.lines), maps)
    assert len(overlaps) >= 3
    assert np.mean(np.array(overlaps) > 0.85) >= 0.95 and min(overlaps) > 0.7
    way = page.lines[0].quad[1] - page.lines[0].quad[0]
    way /= np.linalg.norm(way)
    for line in find_lines(maps):  # all read the same way: corners are in reading direction
        along = np.subtract(line.quad[1], line.quad[0])
        assert along @ way > 0.99 * np.linalg.norm(along)
        assert line.confidence > 0.99


def test_single_letters_keep_their_shape() -> None:
    lines = [DrawnLine(box(40, 40, 6, 24)), DrawnLine(box(80, 40, 16, 24)),
             DrawnLine(box(120, 40, 5, 9))]  # fmt: skip
    overlaps = best_overlaps(lines, make_targets((128, 192), lines, []).as_maps())
    assert min(overlaps) > 0.6


def test_columns_stay_apart_and_word_gaps_do_not_cut() -> None:
    lines = [DrawnLine(box(20, 30 * i + 10, 200, 20)) for i in range(5)]
    lines += [DrawnLine(box(240, 30 * i + 10, 200, 20)) for i in range(5)]
    maps = make_targets((192, 512), lines, []).as_maps()
    assert min(best_overlaps(lines, maps)) > 0.85


def test_bent_lines_lie_within_their_boxes() -> None:
    x = np.linspace(20, 480, 24)
    top = np.stack([x, 60 - 25 * np.sin((x - 20) / 460 * np.pi)], 1)
    outline = np.concatenate([top, (top + np.array((0, 24)))[::-1]]).astype(np.float32)
    line = DrawnLine(cv2.boxPoints(cv2.minAreaRect(outline)), outline=outline)
    maps = make_targets((128, 512), [line], []).as_maps()
    (found,) = find_lines(maps)
    quad = np.array(found.quad, np.float32)
    outside = [-cv2.pointPolygonTest(quad, tuple(map(float, p)), True) for p in outline]
    assert max(outside) < 3
    assert cv2.contourArea(quad) < 1.3 * cv2.contourArea(cv2.boxPoints(cv2.minAreaRect(outline)))


def test_lines_that_run_together_are_told_apart() -> None:
    lines = [DrawnLine(box(20, 20, 300, 20)), DrawnLine(box(20, 42, 300, 20))]
    maps = make_targets((96, 352), lines, []).as_maps()
    maps.kernel[:, 60:70] = np.maximum(maps.kernel[:, 60:70], 0.5)  # a weak bridge
    maps.kernel[:4] = maps.kernel[36:] = 0
    assert len(find_lines(maps)) == 2


def test_faint_and_tiny_blobs_are_no_lines() -> None:
    maps = make_targets((64, 64), [], []).as_maps()
    maps.kernel[10:14, 4:28] = 0.45
    assert find_lines(maps) == []


def test_specks_within_a_line_belong_to_it() -> None:
    lines = [DrawnLine(box(20, 20, 200, 40)), DrawnLine(box(60, 52, 10, 8))]
    maps = make_targets((96, 256), lines, []).as_maps()
    (found,) = find_lines(maps)
    assert overlap(found.quad, lines[0].quad) > 0.85


def test_coordinates_are_scaled_to_the_image() -> None:
    page = draw_page(SIZE, 20)
    maps = make_targets(SIZE, page.lines, []).as_maps()
    plain, scaled = find_lines(maps), find_lines(maps, (2.0, 3.0))
    for a, b in zip(plain, scaled, strict=True):
        assert np.allclose(np.array(a.quad) * (2, 3), b.quad, atol=1e-2)


def test_regions_come_as_boxes_of_their_kind() -> None:
    regions = [
        DrawnRegion("table", box(20, 20, 100, 60)),
        DrawnRegion("formula", box(200, 100, 80, 24)),
        DrawnRegion("rule", box(10, 150, 240, 1)),
        DrawnRegion("figure", box(300, 20, 8, 8)),  # too small
    ]
    maps = make_targets((192, 320), [], regions).as_maps()
    found = find_layout(maps).regions
    assert [region.kind for region in found] == [
        kind for kind in REGION_KINDS if kind in ("table", "formula", "rule")
    ]
    table = found[0].box
    assert (table.x0, table.y0, table.x1, table.y1) == pytest.approx((20, 20, 120, 80), abs=4)
    assert find_regions(make_targets((64, 64), [], []).as_maps()) == []


def test_a_page_of_a_hundred_lines_is_quick() -> None:
    lines = [DrawnLine(box(30 + 480 * (i % 2), 20 + 20 * (i // 2), 440, 16)) for i in range(100)]
    maps = make_targets((1024, 1024), lines, []).as_maps()
    spent = []
    for _ in range(5):
        start = time.process_time()
        assert len(find_lines(maps)) == 100
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05  # a hundredth of a second on a quiet machine
