"""Post-processing of PP-OCR's detector; its network is tested with the recogniser."""

from __future__ import annotations

import cv2
import numpy as np

from ocrtool.layout.ppocr_detector import STRIDE, lines_of, network_input


def test_kernels_grow_to_lines_in_pixels_of_the_image() -> None:
    maps = np.zeros((320, 640), np.float32)
    cv2.rectangle(maps, (100, 100), (300, 110), 0.9, -1)
    cv2.rectangle(maps, (100, 200), (110, 210), 0.4, -1)  # too improbable
    (found,) = lines_of(maps, (2.0, 2.0))
    box = np.array(found.quad)
    assert found.confidence > 0.85
    assert np.allclose(box[0], (46, 46), atol=2.5) and np.allclose(box[2], (154, 59), atol=2.5)


def test_upright_lines_are_read_downwards() -> None:
    maps = np.zeros((320, 320), np.float32)
    cv2.rectangle(maps, (100, 50), (110, 250), 0.9, -1)
    (found,) = lines_of(maps, (1.0, 1.0))
    (ax, ay), (bx, by), (cx, cy), _ = found.quad
    assert by - ay > 190 and abs(ax - bx) < 1  # along the column
    assert cx < bx and abs(cy - by) < 1  # the foot of its letters is on the left


def test_sides_of_the_input_fit_the_network() -> None:
    pixels, (x, y) = network_input(np.zeros((300, 1000), np.uint8))
    assert pixels.shape[:2] == (1, 3) and not np.any(np.array(pixels.shape[2:]) % STRIDE)
    assert np.isclose(pixels.shape[3] / 1000, x) and np.isclose(pixels.shape[2] / 300, y)
