"""Formula images normalised in scale and background for the formula reader.

A formula reads the same at whatever size it was rendered, so its picture is brought to the size
that the network knows. The size is told by the heights of its letters, measured on a picture that
has nearly the same size whatever was given, and in parts of a pixel, so that small and large
renderings are judged alike; the sides of the ink then come in steps, and its edges lie at the same
parts of a pixel. Dark mode is inverted, uneven paper made even, and loose space cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.models import FORMULA_CELL
from ocrtool.preprocess.lines import to_grey

LETTER = 11.75
"""Height in pixels that letters are brought to: small ones are then some 9 high, capitals 14."""
STEP = 0.12
"""Natural logarithms between the lengths that the longer side of the ink may have: renderings of
one formula, measured not quite alike, then mostly have one size to the hair."""
FINE = 2.0
"""Times the size that the network knows at which letters are measured."""
MARGIN = 4
"""Pixels of paper around the ink."""
LONGEST = 2400
"""Longest side of a picture that is looked at in full; a larger one is shrunk first."""
GREATEST_SCALE = 8.0
"""Most that a picture is enlarged: what is still smaller is a speck."""
ROUNDS = 3
"""Times that the size of letters is measured, each on the picture that the last one gave."""
CLOSE = 0.05
"""Change of scale, as a share, that ends the rounds."""
AROUND = 2
"""Pixels around the ink whose grey belongs to it."""
SOFT = 0.3
"""Pixels of the result by which a picture is blurred before it is made smaller, as a mean does."""
MIN_CONTRAST = 10.0
"""Grey levels between ink and paper below which a picture is blank."""
SPECK = 0.015
"""Share of the area of large pieces of ink below which a piece is dirt."""
SMALL_GRAIN = 0.4
"""Pixels by which noise is blurred where letters have nearly the size that the network knows."""
PAPER_VALUE = -0.5
INK_VALUE = 2.5
"""What paper and full ink are to the network: about mean 0 and deviation 1."""
SPREAD = 0.45
"""Natural logarithms by which heights of letters differ: x from X, and a from its subscript."""

Grey = NDArray[np.uint8]
Pixels = NDArray[np.float32]


class Canonical(NamedTuple):
    """A prepared picture, and how it came from the one that was given.

    Attributes:
        pixels: (1, H', W'), as of `formula_pixels`.
        scale: Of its width and height, as shares.
        offset: Where the given picture's top left corner came to lie, x and y in its pixels.
    """

    pixels: Pixels
    scale: tuple[float, float]
    offset: tuple[float, float]


def formula_pixels(image: NDArray[np.uint8], height: int, width: int) -> Pixels:
    """Prepare the picture of one formula.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.
        height: Greatest height in pixels that the network takes, a multiple of 16.
        width: Greatest width, a multiple of 8.

    Returns:
        (1, H', W'), paper about -0.5 and ink up to 2.5; the sides are multiples of 16 and 8. A
        formula too large for the network is shrunk to fit, its aspect kept. A blank picture is
        one cell of paper.

    Raises:
        ValueError: The array is not such an image, or has no pixels.
    """
    return canonical(image, height, width).pixels


def canonical(image: NDArray[np.uint8], height: int, width: int) -> Canonical:
    """Prepare the picture of one formula, as `formula_pixels` does, and say what was done to it."""
    ink = even_ink(image)
    box = None if ink is None else _Box.around(_dark(ink, _grain(ink)))
    if ink is None or box is None:
        blank = np.full((1, *FORMULA_CELL), PAPER_VALUE, np.float32)
        return Canonical(blank, (1.0, 1.0), (0.0, 0.0))
    rows, columns = box.rows(AROUND), box.columns(AROUND)
    drawn = ink[rows, columns]
    most = min(GREATEST_SCALE, (height - 2 * MARGIN) / box.height, (width - 2 * MARGIN) / box.width)
    scale = min(most, LETTER / letter_height(_dark(drawn, _grain(ink)), drawn))
    for _ in range(ROUNDS):
        finer = FINE * scale
        fine = _scaled(drawn, finer)
        mask = _dark(fine, FINE * SMALL_GRAIN)
        letter = letter_height(mask, fine) / finer
        change, scale = abs(LETTER / letter / scale - 1), min(most, LETTER / letter)
        if change < CLOSE:
            break
    found = _Box.around(mask)
    box = found.scaled(1 / finer) if found else _Box(0.0, 0.0, *drawn.shape)
    side = max(box.height, box.width)
    scale = min(most, math.exp(STEP * round(math.log(side * scale) / STEP)) / side)
    pixels, (x, y) = _framed(drawn, box, scale, height, width)
    shrunk = ink.shape[1] / image.shape[1]
    offset = x - scale * columns.start, y - scale * rows.start
    return Canonical(pixels, (scale * shrunk, scale * shrunk), offset)


def rescaled(pixels: Pixels, scale: float, height: int, width: int) -> Pixels:
    """Return a prepared picture in another size.

    Args:
        pixels: (1, H, W), from ``formula_pixels``.
        scale: How much larger it shall be, its aspect kept.
        height: Greatest height, as of ``formula_pixels``.
        width: Greatest width.

    Returns:
        (1, H', W'); the sides are multiples of 16 and 8.
    """
    tall, wide = pixels.shape[1:]
    scale = min(scale, height / tall, width / wide)
    size = (max(1, round(wide * scale)), max(1, round(tall * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    drawn = cv2.resize(pixels[0], size, interpolation=method)
    down, across = (-side % cell for side, cell in zip(drawn.shape, FORMULA_CELL, strict=True))
    framed = np.pad(drawn, ((0, down), (0, across)), constant_values=PAPER_VALUE)
    return np.asarray(framed[None], np.float32)


def collate_formulas(pictures: Sequence[Pixels]) -> tuple[Pixels, NDArray[np.int64]]:
    """Stack prepared formulas of different sizes into one batch.

    Args:
        pictures: Each (1, H_i, W_i).

    Returns:
        Pixels (B, 1, max H_i, max W_i), zero below and right of each picture, and heights and
        widths (B, 2).
    """
    sizes = np.array([picture.shape[1:] for picture in pictures], np.int64)
    height, width = sizes.max(0).tolist()
    pixels = np.zeros((len(pictures), 1, height, width), np.float32)
    for row, picture in zip(pixels, pictures, strict=True):
        row[:, : picture.shape[1], : picture.shape[2]] = picture
    return pixels, sizes


def like_sizes(
    sizes: Sequence[tuple[int, ...]], costs: Sequence[float], groups: int
) -> list[list[int]]:
    """Cut things of several sizes into groups of like sizes and about equal costs.

    They are halved along the size in which they differ more, and so on.

    Args:
        sizes: Of each, all above 0: height and width of a picture, length of its text.
        costs: Of each.
        groups: How many groups; no more than things.

    Returns:
        Indices of each group, none empty.
    """
    logs = np.log(np.array(sizes, np.float64))

    def halve(indices: list[int], groups: int) -> Iterator[list[int]]:
        if groups == 1:
            yield indices
            return
        widest = int(logs[indices].std(0).argmax())
        indices = sorted(indices, key=lambda i: (sizes[i][widest], sizes[i], i))
        sums = np.cumsum([costs[i] for i in indices])
        first = groups // 2
        cut = 1 + int(np.searchsorted(sums, sums[-1] * first / groups))
        cut = min(max(cut, first), len(indices) - (groups - first))
        yield from halve(indices[:cut], first)
        yield from halve(indices[cut:], groups - first)

    return list(halve(list(range(len(sizes))), groups))


# --------------------------------------------------------------------------- ground and ink


def even_ink(image: NDArray[np.uint8]) -> Grey | None:
    """Return how much ink there is in a picture, whatever its ground, light and contrast.

    Args:
        image: (H, W) grey or (H, W, 3) RGB, uint8.

    Returns:
        (H, W), 0 on paper to 255; smaller than the picture where that is huge; None without ink.

    Raises:
        ValueError: The array is not such an image, or has no pixels.
    """
    return _even_ink(_bounded(to_grey(image)))


def _bounded(grey: Grey) -> Grey:
    """Shrink a huge picture: its letters are far larger than the network wants them."""
    longest = max(grey.shape)
    if longest <= LONGEST:
        return grey
    size = tuple(max(1, round(side * LONGEST / longest)) for side in (grey.shape[1], grey.shape[0]))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _even_ink(grey: Grey) -> Grey | None:
    """Return how much ink there is, 0 on paper to 255, whatever the light; None without any.

    Ink is what is rarer on either side of the local mean, which tells dark mode; paper is what is
    left where everything thinner than a quarter of the picture's shorter side is wiped away.
    """
    side = max(7, min(grey.shape) // 4) | 1
    soft = cv2.GaussianBlur(grey, (0, 0), 1.0).astype(np.float32)
    apart = soft - cv2.blur(soft, (2 * side + 1, 2 * side + 1))
    if (apart * apart * apart).mean() > 0:  # a power of floats takes a hundred times as long
        grey = 255 - grey
    kernel = np.ones((side, side), np.uint8)
    framed = cv2.copyMakeBorder(grey, side, side, side, side, cv2.BORDER_REPLICATE)
    paper = cv2.blur(cv2.morphologyEx(framed, cv2.MORPH_CLOSE, kernel), (side, side))
    ink = np.asarray(cv2.subtract(paper[side:-side, side:-side], grey), np.uint8)
    dark = _dark(ink, _grain(ink)) > 0
    full = float(np.percentile(ink[dark], 60)) if dark.any() else 0.0
    if full < MIN_CONTRAST:
        return None
    return np.asarray(cv2.convertScaleAbs(ink, alpha=255 / full), np.uint8)


def _grain(ink: Grey) -> float:
    """Return how far noise may be blurred in a picture whose letters are not yet known."""
    return float(np.clip(min(ink.shape) / 64, 0.5, 1.5))


def _dark(ink: Grey, blur: float) -> Grey:
    """Return where there is ink, as 0 and 1, once noise is blurred by a deviation in pixels."""
    soft = cv2.GaussianBlur(ink, (0, 0), blur)
    _, mask = cv2.threshold(soft, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return np.asarray(mask, np.uint8)


def _pieces(mask: Grey) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.intp]]:
    """Return the connected pieces of ink, and which of them are no specks.

    Dots belong to letters; what is far smaller than the third largest piece is dirt.

    Returns:
        (H, W) number of the piece that each pixel belongs to, 0 for paper; left, top, width, height
        and area of the pieces and of paper (N + 1, 5); numbers of the pieces to be kept.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    least = SPECK * np.sort(areas)[-min(3, len(areas))] if len(areas) else 0
    kept = 1 + np.flatnonzero(areas >= least)
    return np.asarray(labels, np.int32), np.asarray(stats, np.int32), kept


@dataclass(frozen=True)
class _Box:
    """Where the ink of a picture lies, in its pixels."""

    top: float
    left: float
    height: float
    width: float

    @classmethod
    def around(cls, mask: Grey) -> _Box | None:
        """Find the box; specks beyond it are no ink. None where there is nothing."""
        _, stats, kept = _pieces(mask)
        if not len(kept):
            return None
        left, top = stats[kept, :2].min(0).tolist()
        right, bottom = (stats[kept, :2] + stats[kept, 2:4]).max(0).tolist()
        return cls(top, left, bottom - top, right - left)

    def scaled(self, scale: float) -> _Box:
        """The same in a picture of another scale."""
        return _Box(self.top * scale, self.left * scale, self.height * scale, self.width * scale)

    def rows(self, more: int) -> slice:
        """Its rows, and some more on either side."""
        return slice(max(0, round(self.top) - more), round(self.top + self.height) + more)

    def columns(self, more: int) -> slice:
        """Its columns, and some more on either side."""
        return slice(max(0, round(self.left) - more), round(self.left + self.width) + more)


def _scaled(ink: Grey, scale: float) -> Grey:
    """Return ink at another scale."""
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(ink, size, interpolation=method), np.uint8)


def _framed(
    ink: Grey, box: _Box, scale: float, height: int, width: int
) -> tuple[Pixels, tuple[float, float]]:
    """Put ink at a scale on paper whose sides are whole cells.

    The box begins `MARGIN` from the left and lies in the middle of the height.

    Returns:
        The picture, and the x and y in it of the top left corner of ``ink``.
    """
    down, across = FORMULA_CELL
    tall = min(height, -(-math.ceil(box.height * scale + 2 * MARGIN) // down) * down)
    wide = min(width, -(-math.ceil(box.width * scale + 2 * MARGIN) // across) * across)
    x = MARGIN - scale * box.left
    y = (tall - scale * box.height) / 2 - scale * box.top
    soft = cv2.GaussianBlur(ink, (0, 0), SOFT / scale) if scale < 1 else ink
    # Coordinates are of corners of pixels, those of the matrix of their middles.
    matrix = np.array([[scale, 0, x + scale / 2 - 0.5], [0, scale, y + scale / 2 - 0.5]])
    drawn = cv2.warpAffine(soft, matrix, (wide, tall), flags=cv2.INTER_CUBIC)
    values = drawn.astype(np.float32) * np.float32((INK_VALUE - PAPER_VALUE) / 255)
    return np.asarray(values[None] + np.float32(PAPER_VALUE)), (x, y)


# --------------------------------------------------------------------------- the size of letters


def letter_height(mask: Grey, ink: Grey) -> float:
    """Return how high the letters of a formula are, in pixels and parts of them.

    Sought is the most common height of its connected pieces, of which large square ones count more
    than dots, rules and scripts do: from their median, means over ever the pieces of like height
    (mean shift; Cheng, 1995), so that a large sum or brace does not matter. A piece is as high as a
    bar whose ink is spread as far about its middle, which blur and whole pixels hardly alter. A
    formula of rules alone, such as a minus, is judged by their length.

    Args:
        mask: (H, W), 1 where there is ink.
        ink: (H, W), how much of it.
    """
    labels, stats, kept = _pieces(mask)
    heights, widths = _spreads(labels, ink, len(stats))
    heights, widths = heights[kept], widths[kept]
    letters = heights > 0.3 * widths
    if not letters.any():
        return max(1.0, 0.7 * float(np.median(widths))) if len(widths) else 1.0
    logs = np.log(heights[letters])
    weights = np.minimum(heights, widths)[letters]
    order = np.argsort(logs)
    below = np.cumsum(weights[order])
    mode = logs[order[np.searchsorted(below, 0.5 * below[-1])]]
    for _ in range(20):
        share = weights * np.exp(-0.5 * ((logs - mode) / SPREAD) ** 2)
        mode = float(share @ logs / share.sum())
    return float(np.exp(mode))


def _spreads(
    labels: NDArray[np.int32], ink: Grey, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return heights and widths of bars whose ink is spread as each piece's is.

    A bar of height h has the variance h² / 12; the pixels themselves are 1 high.
    """
    places = np.nonzero(labels)
    pieces = labels[places]
    weights = 1e-3 + ink[places]
    total = np.maximum(np.bincount(pieces, weights, count), 1e-9)
    spreads = []
    for place in places:
        middle = np.bincount(pieces, weights * place, count) / total
        apart = place - middle[pieces]
        variance = np.bincount(pieces, weights * apart * apart, count) / total
        spreads.append(np.sqrt(12 * variance + 1))
    return spreads[0], spreads[1]
