"""Text detection: choice of scale, tiling, inference, and merging of several passes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import DetectedLayout, FoundLine, Region
from ocrtool.document.tree import Box
from ocrtool.engines import find_model
from ocrtool.engines.onnx import import_runtime, open_on
from ocrtool.errors import (
    DeviceError,
    MissingDependencyError,
    ModelError,
    UsageError,
    install_command,
)
from ocrtool.layout.postprocess import (
    KERNEL_STRIDE,
    REGION_KINDS,
    STRIDE,
    Maps,
    find_lines,
    find_regions,
)
from ocrtool.options import EngineName
from ocrtool.preprocess.lines import to_grey
from ocrtool.weights import DETECTOR, METADATA, WEIGHTS

if TYPE_CHECKING:
    from ocrtool.models.detector import DetectorNet


SIDE_MULTIPLE = 32
"""The sides of the network's input are multiples of this number of pixels."""

MAX_PASSES = 3
"""Maximum number of scales at which an image is processed."""
FIRST_PASS_SIDE = 960
"""Longer side, in pixels, of the image in the first pass."""
GOOD_HEIGHT = (11.5, 40.0)
"""Minimum and maximum line height, in network pixels, at which no second pass is needed."""
GOOD_HEIGHT_IN_COLUMNS = 13.0
"""Minimum such height where lines stand so close side by side that they might be merged."""
COLUMN_GAP = 1.0
"""Maximum gap, in line heights, between lines that stand close side by side."""
MAX_BESIDE_SHARE = 0.1
"""Share of text close beside other text above which a page has columns."""
TARGET_HEIGHT = 22.0
"""Height, in network pixels, to which small type is scaled for the next pass."""
SMALL_TYPE_QUANTILE = 0.25
"""Quantile of line heights, weighted by text length, that is taken as the page's small type."""
DETECTABLE_HEIGHT = (9.0, 72.0)
"""Minimum and maximum line height, in network pixels, that the network detects; other lines are
taken from another pass."""
ENLARGED_HEIGHT = 12.0
"""Height, in network pixels, to which small type of large images is enlarged; enlarging further
adds no detail."""
HUGE_TYPE_SIDE = 420
"""Longer side, in pixels, of the image of an extra pass where few lines have been found."""
FEW_LINES = 3
"""Maximum number of lines beside which much larger letters are looked for."""
MAX_ENLARGING = 3.0
"""Maximum factor by which an image is enlarged."""
MAX_PIXELS = 8_000_000
"""Maximum number of pixels of the scaled image."""
MAX_TILE_PIXELS = 1_000_000
"""Maximum number of pixels of a tile; it bounds memory, not time."""
MARGIN = 64
"""Overlap, in pixels, at the inner edges of tiles, where the neighbouring tile's output is used."""
MIN_DEVIATION = 24.0
"""Minimum standard deviation, in grey levels, used for normalisation; flatter images keep a low
contrast."""
MIN_OVERLAP = 0.5
"""Minimum share of the smaller of two lines that overlaps where both are the same line."""

logger = logging.getLogger(__name__)

Network = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], ...]]
"""Maps (1, 1, H, W) to kernel probabilities, geometry and region probabilities, batch axis
first."""


class FindsText(Protocol):
    """Detector of text lines and regions."""

    device: str

    def find(self, image: NDArray[np.uint8], max_passes: int = ...) -> DetectedLayout:
        """Detect the text of an image; see `Detector.find`."""


class Detector:
    """Detects text lines and regions; keeps its model loaded.

    Args:
        model: Name of a bundled model or path of a model folder.
        engine: ``onnx`` or ``torch``; any other takes ONNX Runtime where the folder holds a graph,
            else PyTorch.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; 0 leaves the choice to the engine.

    Raises:
        ModelError: The model is missing or damaged.
        MissingDependencyError: The engine is not installed.
        DeviceError: The requested device cannot be used.
    """

    def __init__(
        self,
        model: str | Path = "detector",
        engine: str = EngineName.AUTO,
        device: str = "auto",
        threads: int = 0,
    ) -> None:
        folder = find_model(model)
        if engine not in (EngineName.ONNX, EngineName.TORCH):
            has_graph = (folder / DETECTOR).is_file()
            engine = EngineName.ONNX if has_graph else EngineName.TORCH
        if engine == EngineName.ONNX:
            self._network, self.device = _open_onnx(folder, device, threads)
        else:
            self._network, self.device = _open_torch(folder, device, threads)

    def find(self, image: NDArray[np.uint8], max_passes: int = MAX_PASSES) -> DetectedLayout:
        """Detect the text of an image of any size.

        A first pass on a reduced image measures the type size; unless that is in the good range
        already, a second pass uses a better scale. Lines that are too large or too small for that
        scale are kept from the first pass.

        Args:
            image: (H, W) grey or (H, W, 3) RGB, uint8.
            max_passes: Maximum number of passes; a single pass is fast and rough.

        Returns:
            Lines and regions in pixels of the image, unordered. Corners of lines at the edge may
            lie slightly outside.

        Raises:
            ValueError: The array is not such an image, or has no pixels.
        """
        grey = to_grey(image)
        scale = min(1.0, FIRST_PASS_SIDE / max(grey.shape))
        seen: list[tuple[float, list[FoundLine]]] = []
        while True:
            small = _scaled(grey, scale)
            maps = self.maps(small)
            ratio = (grey.shape[1] / small.shape[1], grey.shape[0] / small.shape[0])
            lines = find_lines(maps, ratio)
            seen.append((scale, lines))
            better = working_scale(lines, scale, grey.shape)
            logger.debug("%d lines at scale %.2f, next scale %.2f", len(lines), scale, better)
            blank = len(seen) > 1 and not any(found for _, found in seen)
            if blank or len(seen) >= max_passes or abs(np.log2(better / scale)) < 0.25:
                break
            scale = better
        if max_passes > 1 and len(seen[-1][1]) <= FEW_LINES:
            # Letters may be too large, and what has been found their parts.
            scale = HUGE_TYPE_SIDE / max(grey.shape)
            if scale < seen[0][0]:
                small = _scaled(grey, scale)
                maps = self.maps(small)
                ratio = (grey.shape[1] / small.shape[1], grey.shape[0] / small.shape[0])
                seen.append((scale, find_lines(maps, ratio)))
        regions = (_clipped(region, grey.shape) for region in find_regions(maps, ratio))
        return DetectedLayout(tuple(merge_passes(seen)), tuple(regions))

    def maps(self, grey: NDArray[np.uint8]) -> Maps:
        """Run the network over an image (H, W), in tiles where it is large.

        Returns:
            Output maps of the image, its sides rounded up to multiples of 32.
        """
        pixels = padded(standardize(grey))
        height, width = pixels.shape
        kernel = np.empty((height // KERNEL_STRIDE, width // KERNEL_STRIDE), np.float32)
        geometry = np.empty((3, height // STRIDE, width // STRIDE), np.float32)
        regions = np.empty((len(REGION_KINDS), height // STRIDE, width // STRIDE), np.float32)
        for y0, y1, x0, x1 in _tiles(height, width):
            top, left = max(0, y0 - MARGIN), max(0, x0 - MARGIN)
            tile = pixels[top : y1 + MARGIN, left : x1 + MARGIN]
            seen = self._network(np.ascontiguousarray(tile)[None, None])
            for whole, part, stride in (
                (kernel, seen[0][0, 0], KERNEL_STRIDE),
                (geometry, seen[1][0], STRIDE),
                (regions, seen[2][0], STRIDE),
            ):
                to = (slice(y0 // stride, y1 // stride), slice(x0 // stride, x1 // stride))
                a, b = (y0 - top) // stride, (x0 - left) // stride
                rows, columns = whole[(..., *to)].shape[-2:]
                whole[(..., *to)] = part[..., a : a + rows, b : b + columns]
        return Maps(kernel, geometry, regions)


def standardize(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Normalise grey values (H, W) to mean 0 and a standard deviation of about 1, float32."""
    mean, deviation = cv2.meanStdDev(grey)
    pixels = grey.astype(np.float32)
    pixels -= np.float32(mean[0, 0])
    pixels *= np.float32(1.0 / max(float(deviation[0, 0]), MIN_DEVIATION))
    return pixels


def working_scale(lines: list[FoundLine], scale: float, shape: tuple[int, ...]) -> float:
    """Choose the scale of the next detection pass.

    Args:
        lines: Lines detected at ``scale``, in pixels of the image.
        scale: Scale of the pass that detected them.
        shape: Height and width of the image.

    Returns:
        A scale; ``scale`` itself where no better pass is needed.
    """
    most = min(MAX_ENLARGING, float(np.sqrt(MAX_PIXELS / (shape[0] * shape[1]))))
    if not lines:
        # The type may be too small to be detected; in small images that is not possible.
        return max(scale, min(most, 1.0, 2.5 * scale))
    heights = np.array([line.height for line in lines])
    lengths = np.array([line.length for line in lines])
    letters = lengths / heights
    order = np.argsort(heights)
    share = np.cumsum(letters[order]) / letters.sum()
    small = float(heights[order][np.searchsorted(share, SMALL_TYPE_QUANTILE)])
    seen = small * scale
    if GOOD_HEIGHT[0] <= seen <= GOOD_HEIGHT[1] and (
        seen >= GOOD_HEIGHT_IN_COLUMNS or share_beside(lines) <= MAX_BESIDE_SHARE
    ):
        return scale
    better = TARGET_HEIGHT / small
    if better > 1.0:
        cheap = float(np.sqrt(MAX_TILE_PIXELS / (shape[0] * shape[1])))
        better = max(1.0, min(better, cheap), ENLARGED_HEIGHT / small)
    # Lines that are still smaller after enlarging are texture.
    return min(most if scale <= 1.0 else scale, better)


def share_beside(lines: Sequence[FoundLine]) -> float:
    """Return the share of text, by length, with other text close to its left or right."""
    quads = np.array([line.quad for line in lines])
    (x0, y0), (x1, y1) = quads.min(axis=1).T, quads.max(axis=1).T
    height = np.array([line.height for line in lines])
    length = np.array([line.length for line in lines])
    gap = np.maximum(x0[:, None] - x1, x0 - x1[:, None]) / height
    common = np.minimum(y1[:, None], y1) - np.maximum(y0[:, None], y0)
    level = common > MIN_OVERLAP * np.minimum(height[:, None], height)
    np.fill_diagonal(level, False)
    beside = (level & (np.abs(gap) < COLUMN_GAP)).any(axis=1)
    return float(length[beside].sum() / length.sum())


def merge_passes(max_passes: list[tuple[float, list[FoundLine]]]) -> list[FoundLine]:
    """Merge the lines of several passes; the last pass has priority where it can detect a line."""
    scale, lines = max_passes[-1]
    for other, found in max_passes[-2::-1]:
        kept = []
        for line in found:
            seen_here = DETECTABLE_HEIGHT[0] <= line.height * scale <= DETECTABLE_HEIGHT[1]
            seen_there = DETECTABLE_HEIGHT[0] <= line.height * other <= DETECTABLE_HEIGHT[1]
            if seen_there and not seen_here:
                kept.append(line)
        lines = kept + [line for line in lines if not any(_covered(line, k) for k in kept)]
    return lines


def _covered(line: FoundLine, by: FoundLine) -> bool:
    a, b = np.array(line.quad, np.float32), np.array(by.quad, np.float32)
    if (a.min(axis=0) > b.max(axis=0)).any() or (b.min(axis=0) > a.max(axis=0)).any():
        return False
    common = float(cv2.intersectConvexConvex(a, b)[0])
    return common > MIN_OVERLAP * min(cv2.contourArea(a), cv2.contourArea(b))


def _scaled(grey: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1.0:
        return grey
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, size, interpolation=method), np.uint8)


def padded(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replicate the last row and column of (H, W) until both sides are multiples of 32."""
    height, width = pixels.shape
    return np.pad(pixels, ((0, -height % SIDE_MULTIPLE), (0, -width % SIDE_MULTIPLE)), mode="edge")


def _tiles(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Split an image into tiles y0, y1, x0, x1 that the network sees with a margin around them.

    The number of tiles is the smallest that fits the pixel limit; tiles start at multiples of 32,
    on the network's own grid, so that a tile gives the output of the whole image.
    """
    most = max(height, width) // SIDE_MULTIPLE
    rows, columns = min(
        ((r, c) for r in range(1, most + 1) for c in range(1, most + 1)
         if _padded_length(height, r) * _padded_length(width, c) <= MAX_TILE_PIXELS),
        key=lambda grid: (grid[0] * grid[1], max(height / grid[0], width / grid[1])),
    )  # fmt: skip
    return [
        (y0, y1, x0, x1) for y0, y1 in _parts(height, rows) for x0, x1 in _parts(width, columns)
    ]


def _padded_length(length: int, count: int) -> int:
    """Return the input length of the largest of ``count`` parts, margins included."""
    return (
        length if count == 1 else -(-length // (count * SIDE_MULTIPLE)) * SIDE_MULTIPLE + 2 * MARGIN
    )


def _parts(length: int, count: int) -> list[tuple[int, int]]:
    size = -(-length // (count * SIDE_MULTIPLE)) * SIDE_MULTIPLE
    return [(start, min(start + size, length)) for start in range(0, length, size)]


def _clipped(region: Region, shape: tuple[int, ...]) -> Region:
    """Return the region clipped to the image without its padding."""
    box = region.box
    box = Box(box.x0, box.y0, min(box.x1, shape[1]), min(box.y1, shape[0]))
    return Region(region.kind, box, region.confidence)


def _open_onnx(folder: Path, device: str, threads: int) -> tuple[Network, str]:
    session, used = open_on(import_runtime(), folder / DETECTOR, device, threads)
    return (lambda pixels: tuple(session.run(None, {"images": pixels}))), used


def _open_torch(folder: Path, device: str, threads: int) -> tuple[Network, str]:
    net = load_network(folder)
    import torch

    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and not torch.cuda.is_available():
        raise DeviceError(f"no device {device}: PyTorch sees no GPU", "use --device cpu")
    if threads:
        torch.set_num_threads(threads)
    return torch_network(net.fold().to(device)), device


def load_network(folder: Path) -> DetectorNet:
    """Load the PyTorch detector of a model folder, in evaluation mode.

    Raises:
        ModelError: It is missing or damaged.
        MissingDependencyError: PyTorch is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load

        from ocrtool.models.detector import DetectorConfig, DetectorNet
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the PyTorch engine needs {error.name}", install_command("torch")
        ) from None
    try:
        metadata = json.loads((folder / METADATA).read_text("utf-8"))
        net = DetectorNet(DetectorConfig.from_dict(metadata["config"]))
        net.load_state_dict(load((folder / WEIGHTS).read_bytes()))
    except OSError as error:
        raise ModelError(f"{folder}: no detector there ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError, UsageError) as error:
        raise ModelError(f"{folder}: damaged detector: {error}") from None
    return net.eval()


def torch_network(net: DetectorNet) -> Network:
    """Wrap a PyTorch detector, on its current device, as a ``Network``."""
    import torch

    place = next(net.parameters()).device

    @torch.inference_mode()
    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        seen = net(torch.from_numpy(pixels).to(place))
        maps = (seen.kernel.sigmoid(), seen.geometry, seen.regions.sigmoid())
        return tuple(part.float().cpu().numpy() for part in maps)

    return run
