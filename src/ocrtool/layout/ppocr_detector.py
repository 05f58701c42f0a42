"""PP-OCR's text detector, run by ONNX Runtime.

The network gives the probability of each pixel to belong to the shrunken kernel of a text line;
kernels are grown to lines. Source: Liao et al., "Real-time Scene Text Detection with Differentiable
Binarization", AAAI 2020.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import DetectedLayout, FoundLine
from ocrtool.document.tree import Quad
from ocrtool.engines.onnx import import_runtime, open_on
from ocrtool.layout.detector import FindsText
from ocrtool.weights.ppocr import DETECTOR, ppocr_file

MIN_SIDE, MAX_SIDE = 736, 2_000
"""Minimum shorter and maximum longer side, in pixels, of the image that is searched."""
STRIDE = 32
"""The sides of the network's input are multiples of this many pixels."""
MEAN = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)
"""Mean and standard deviation of each colour channel, 0 to 1, by which images are normalised."""
MIN_PIXEL_PROBABILITY = 0.3
"""Minimum probability of a pixel of a kernel."""
MIN_LINE_PROBABILITY = 0.5
"""Minimum mean probability of the pixels of a kernel."""
GROWTH = 1.6
"""Ratio of a kernel's area to its perimeter by which it is grown on each side."""
MIN_KERNEL_SIDE = 3
"""Minimum shorter side of a kernel in pixels."""
MIN_VERTICAL_ASPECT = 1.5
"""Minimum ratio of height to width of a line that runs from top to bottom."""


class PpocrDetector:
    """Detects lines by PP-OCR's network, and regions by the bundled one.

    Args:
        regions: Bundled detector, which finds tables, formulas, figures and rules.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; 0 leaves the choice to the engine.

    Raises:
        MissingDependencyError: The package with the model is not installed.
        ModelError: Its file is damaged.
        DeviceError: The device that is asked for cannot be used.
    """

    def __init__(self, regions: FindsText, device: str = "auto", threads: int = 0) -> None:
        self._regions = regions
        self._session, self.device = open_on(
            import_runtime(), ppocr_file(DETECTOR), device, threads
        )

    def find(self, image: NDArray[np.uint8], max_passes: int = 0) -> DetectedLayout:
        """Detect the text of an image.

        Args:
            image: (H, W) grey or (H, W, 3) RGB, uint8.
            max_passes: Not used: there is one pass.

        Returns:
            Lines and regions in pixels of the image, unordered.
        """
        pixels, scale = network_input(image)
        (maps,) = self._session.run(None, {"x": pixels})
        lines = lines_of(maps[0, 0], scale)
        return DetectedLayout(tuple(lines), self._regions.find(image, 1).regions)


def network_input(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Return an image as the network takes it, (1, 3, H, W) BGR, and its scale along x and y.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
    """
    colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)
    height, width = colour.shape[:2]
    scale = max(1.0, MIN_SIDE / min(height, width))
    scale = min(scale, MAX_SIDE / max(height, width))
    size = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (width, height)]
    scaled = cv2.resize(colour, size).astype(np.float32) / 255
    normal = (scaled - MEAN) / DEVIATION
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[None]), (
        size[0] / width,
        size[1] / height,
    )


def lines_of(probabilities: NDArray[np.float32], scale: tuple[float, float]) -> list[FoundLine]:
    """Return the lines of a map of kernels.

    Args:
        probabilities: (H, W) probability of each pixel to belong to a kernel.
        scale: Pixels of the map for each pixel of the image, along x and y.
    """
    kernels = (probabilities > MIN_PIXEL_PROBABILITY).astype(np.uint8)
    contours, _ = cv2.findContours(kernels, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        center, (wide, high), angle = cv2.minAreaRect(contour)
        if min(wide, high) < MIN_KERNEL_SIDE:
            continue
        x, y, w, h = cv2.boundingRect(contour)
        inside = np.zeros((h, w), np.uint8)
        cv2.fillPoly(inside, [contour.reshape(-1, 2) - (x, y)], 1)
        sure = float(probabilities[y : y + h, x : x + w][inside > 0].mean())
        if sure < MIN_LINE_PROBABILITY:
            continue
        growth = GROWTH * wide * high / (2 * (wide + high))
        corners = cv2.boxPoints((center, (wide + 2 * growth, high + 2 * growth), angle))
        found.append(FoundLine(_in_reading_direction(corners / np.array(scale)), sure))
    return found


def _in_reading_direction(corners: NDArray[np.float32]) -> Quad:
    """Return corners from the head of the first letter on; tall lines are read downwards."""
    points = [(float(x), float(y)) for x, y in corners]
    edges = [math.dist(points[i], points[(i + 1) % 4]) for i in range(4)]
    # Of the two long edges, the upper one is the head of a line from left to right.
    first = 0 if edges[0] >= edges[1] else 1
    long = [
        (points[first], points[(first + 1) % 4]),
        (points[(first + 2) % 4], points[(first + 3) % 4]),
    ]
    across, down = np.abs(np.subtract(*long[0]))
    axis = 1 if down > MIN_VERTICAL_ASPECT * across else 0
    # The head of letters is the upper edge of a level line, and the right one of an upright line.
    sign = -1 if axis else 1
    head, foot = (
        sorted(edge, key=lambda point: point[axis])
        for edge in sorted(long, key=lambda e: sign * (e[0][1 - axis] + e[1][1 - axis]))
    )
    return head[0], head[1], foot[1], foot[0]
