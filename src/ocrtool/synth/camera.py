"""From a typeset sheet to an image of it: geometry, light, and artefacts of the device.

A ``Projection`` maps points of the sheet to pixels of the image, and back: rotation, perspective,
and the curl of an open book. Line outlines are mapped by the same projection as the ink, so they
stay exact. ``CAPTURE_STYLES`` is a table of the ways to make an image: screens, scans, bitonal
scans, photographs, thermal paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ocrtool.synth import degradations
from ocrtool.synth.canvas import Canvas
from ocrtool.synth.pictures import draw_mark, photo

Random = np.random.Generator
Image = np.ndarray

_GRID = 16
"""Distance in pixels between the points where a projection is exact; between them it is
interpolated."""
_MAX_WARP_PIXELS = 6_000_000
"""Maximum number of pixels of a raster that is warped."""


@dataclass(frozen=True)
class CaptureStyle:
    """Parameters of image capture; shares are probabilities.

    Attributes:
        contrast: Range of the grey level difference between ink and paper; (255, 255) keeps both.
        degrees: Standard deviation of the rotation in degrees.
        steep: Share of images rotated further, up to 4 degrees.
        depth: Standard deviation of the perspective over the sheet.
        curled: Share of open books with curved pages.
        desk: Share of images that show more than the sheet.
        worn: Share with spread or faded ink.
        grain: Share with rough or dirty paper, bleed-through and pen marks.
        shade: Share with uneven light.
        blur: Share with defocus or motion blur.
        noise: Share with sensor noise.
        jpeg: Share of JPEG files.
        one_bit: Share of bitonal images.
        inverted: Share of inverted images.
        dots: Share of dot-matrix print.
        detail: Minimum and maximum rendered resolution relative to the final one; low values give
            coarse images that were enlarged, high values give fine ones that were reduced.
    """

    contrast: tuple[float, float] = (255, 255)
    degrees: float = 0.0
    steep: float = 0.0
    depth: float = 0.0
    curled: float = 0.0
    desk: float = 0.0
    worn: float = 0.0
    grain: float = 0.0
    shade: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0
    one_bit: float = 0.0
    inverted: float = 0.0
    dots: float = 0.0
    detail: tuple[float, float] = (1.0, 1.0)


CAPTURE_STYLES: dict[str, CaptureStyle] = {
    "clean": CaptureStyle(contrast=(130, 255), jpeg=0.2, inverted=0.06, blur=0.15, noise=0.05),
    "screen": CaptureStyle(jpeg=0.25, inverted=0.1, blur=0.05, detail=(0.75, 1.0)),
    "scan": CaptureStyle(
        contrast=(80, 250), degrees=0.6, steep=0.12, curled=0.1, desk=0.35, worn=0.6, grain=0.5,
        shade=0.3, blur=0.6, noise=0.6, jpeg=0.6, inverted=0.02,
    ),
    "bitonal": CaptureStyle(
        contrast=(110, 250), degrees=0.6, steep=0.1, curled=0.06, desk=0.3, worn=0.6, grain=0.3,
        shade=0.08, blur=0.5, noise=0.5, one_bit=1.0, inverted=0.03, detail=(1.0, 1.9),
    ),
    "photo": CaptureStyle(
        contrast=(50, 210), degrees=2.0, steep=0.2, depth=0.16, curled=0.3, desk=0.6, worn=0.2,
        grain=0.25, shade=0.85, blur=0.7, noise=0.6, jpeg=0.75, detail=(0.65, 1.1),
    ),
    "thermal": CaptureStyle(
        contrast=(50, 200), degrees=1.0, steep=0.15, depth=0.06, curled=0.12, desk=0.4, worn=0.7,
        grain=0.25, shade=0.5, blur=0.6, noise=0.6, jpeg=0.6, dots=0.2, one_bit=0.05,
        detail=(0.65, 1.1),
    ),
}  # fmt: skip
"""Capture styles by name."""


@dataclass(frozen=True)
class Projection:
    """Projection of a sheet to an image.

    Attributes:
        size: Width and height of the sheet in points.
        lens: (3, 3) homography from points of the curled sheet to pixels.
        sag: (65,) height profile of the curl, in sheet heights, from the left to the right edge;
            empty for a flat sheet.
        squeeze: Strength of the narrowing toward one side, -0.5 to 0.5.
        tilt: Difference of the curl between top and bottom.
    """

    size: tuple[float, float]
    lens: np.ndarray
    sag: np.ndarray
    squeeze: float = 0.0
    tilt: float = 0.0

    @property
    def flat(self) -> bool:
        """Whether straight lines stay straight and parallel."""
        return not self.sag.size and bool(np.allclose(self.lens[2, :2], 0))

    def scale(self, point: tuple[float, float]) -> float:
        """Return the scale in pixels per point at a point of the sheet."""
        ends = self.forward(np.array([point, (point[0] + 1, point[1]), (point[0], point[1] + 1)]))
        return float(np.sqrt(abs(np.linalg.det(ends[1:] - ends[0]))))

    def forward(self, points: np.ndarray) -> np.ndarray:
        """Map (N, 2) points of the sheet to pixels."""
        curled = np.asarray(points, np.float64)
        if self.sag.size:
            (width, height), (u, v) = self.size, curled.T / np.reshape(self.size, (2, 1))
            rise = self._curl_height(u)
            u = u + self.squeeze * u * (1 - u)
            v = v + rise * (1 + self.tilt * (v - 0.5))
            curled = np.stack([u * width, v * height], 1)
        seen = curled @ self.lens[:, :2].T + self.lens[:, 2]
        return np.asarray(seen[:, :2] / seen[:, 2:])

    def backward(self, pixels: np.ndarray) -> np.ndarray:
        """Map (N, 2) pixels to points of the sheet; the sheet continues beyond its edges."""
        lens = np.linalg.inv(self.lens)
        curled = pixels @ lens[:, :2].T + lens[:, 2]
        curled = curled[:, :2] / curled[:, 2:]
        if not self.sag.size:
            return np.asarray(curled)
        (width, height), (u, v) = self.size, curled.T / np.reshape(self.size, (2, 1))
        if self.squeeze:
            k = self.squeeze
            u = ((1 + k) - np.sqrt(np.maximum((1 + k) ** 2 - 4 * k * u, 0))) / (2 * k)
        rise = self._curl_height(u)
        v = (v - rise * (1 - 0.5 * self.tilt)) / (1 + rise * self.tilt)
        return np.stack([u * width, v * height], 1)

    def _curl_height(self, u: np.ndarray) -> np.ndarray:
        return np.asarray(np.interp(u, np.linspace(0, 1, len(self.sag)), self.sag))


def aim(
    rng: Random,
    exposure: CaptureStyle,
    size: tuple[float, float],
    scale: float,
    focus: tuple[float, float],
) -> Projection:
    """Choose a projection of a sheet that maps ``focus``, a point of it, to pixel (0, 0).

    Args:
        rng: Random generator.
        exposure: Capture style.
        size: Width and height of the sheet in points.
        scale: Pixels per point at the focus.
        focus: The point in points.
    """
    angle = rng.normal(0, exposure.degrees) if exposure.degrees else 0.0
    if rng.random() < exposure.steep:
        angle = rng.uniform(-4, 4)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    extent = float(np.hypot(*size)) * scale
    lens = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    if exposure.depth and rng.random() < 0.75:
        lens[2, :2] = np.clip(rng.normal(0, exposure.depth, 2), -0.45, 0.45) / extent
    stretch = np.exp(rng.normal(0, 0.03)) if exposure.depth else 1.0
    sag, squeeze, tilt = np.empty(0), 0.0, 0.0
    if rng.random() < exposure.curled:
        u = np.linspace(0, 1, 65)
        if rng.random() < 0.5:
            u = u[::-1]
        swing = rng.normal(0, 0.012) if rng.random() < 0.5 else rng.normal(0, 0.03)
        if rng.random() < 0.6:
            sag = swing * np.exp(-u / rng.uniform(0.08, 0.4))
        else:
            sag = swing * np.sin(u * rng.uniform(0.6, 1.4) * np.pi + rng.uniform(-0.5, 0.5))
        squeeze, tilt = rng.uniform(-0.2, 0.2), rng.uniform(-1.5, 1.5)
    scaling = np.diag([scale * stretch, scale / stretch, 1.0])
    view = Projection(size, lens @ scaling, sag, squeeze, tilt)
    return shifted(view, -view.forward(np.array([focus], np.float64))[0])


def shifted(view: Projection, by: np.ndarray, zoom: float = 1.0) -> Projection:
    """Return the projection with all pixels moved by (x, y), then scaled."""
    move = np.array([[zoom, 0, zoom * by[0]], [0, zoom, zoom * by[1]], [0, 0, 1.0]])
    return Projection(view.size, move @ view.lens, view.sag, view.squeeze, view.tilt)


def expose(
    rng: Random, canvas: Canvas, view: Projection, shape: tuple[int, int], name: str, em: float
) -> Image:
    """Make the image of a sheet.

    Args:
        rng: Random generator.
        canvas: The sheet.
        view: Its projection.
        shape: Height and width of the image in pixels.
        name: Key of ``CAPTURE_STYLES``.
        em: Type size of most of the text, in pixels of the image.

    Returns:
        (H, W) uint8 grey.
    """
    exposure = CAPTURE_STYLES[name]
    detail = float(rng.uniform(*exposure.detail))
    if em * detail < 9 and detail < 1:
        detail = 1.0
    finer = shifted(view, np.zeros(2), detail)
    fine = round(shape[0] * detail), round(shape[1] * detail)
    contrast = float(rng.uniform(*exposure.contrast))
    paper = 255.0 if contrast == 255 or rng.random() < 0.2 else rng.uniform(contrast, 255)
    image = develop(rng, canvas, finer, fine, exposure, em * detail)
    image = (paper - contrast) + image * np.float32(contrast / 255)
    if rng.random() < exposure.grain:
        image = _add_paper_defects(rng, image, paper, em * detail)
    seen = _add_background(rng, image, finer, canvas, exposure, em * detail)
    image = _degrade(rng, seen, exposure, em * detail)
    if fine != shape:
        way = cv2.INTER_AREA if detail > 1 else cv2.INTER_LINEAR
        image = cv2.resize(image, shape[::-1], interpolation=way)
    if exposure.one_bit < 1 and rng.random() < exposure.jpeg:
        image = degradations.jpeg(image, rng, 15 if exposure.degrees else 40, 95)
    if rng.random() < exposure.inverted:
        image = 255 - image
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def develop(
    rng: Random,
    canvas: Canvas,
    view: Projection,
    shape: tuple[int, int],
    exposure: CaptureStyle,
    em: float,
) -> Image:
    """Render graphics and text of the sheet in the projection: (H, W) float32, paper 255."""
    if view.flat:
        return _rasterise(rng, canvas, view.lens[:2], shape, exposure, em)
    rows, columns = (n // _GRID + 2 for n in shape)
    y, x = np.mgrid[:rows, :columns].astype(np.float64) * _GRID
    places = view.backward(np.stack([x.ravel(), y.ravel()], 1))
    limits = np.array([canvas.width, canvas.height])
    inside = np.clip(places, 0, limits)
    low, high = inside.min(0), inside.max(0)
    middle = (low + high) / 2
    scale = view.scale((float(middle[0]), float(middle[1])))
    area = float(np.prod((high - low) * scale))
    scale *= min(1.0, float(np.sqrt(_MAX_WARP_PIXELS / max(area, 1.0))))
    wide, tall = (int(n) + 3 for n in (high - low) * scale)
    matrix = np.array([[scale, 0, 1 - low[0] * scale], [0, scale, 1 - low[1] * scale]])
    sheet = _rasterise(rng, canvas, matrix, (tall, wide), exposure, em)
    # Pixel centres are at half-integers; OpenCV's maps use integer centres.
    y, x = np.mgrid[:rows, :columns].astype(np.float64) * _GRID + 0.5
    places = view.backward(np.stack([x.ravel(), y.ravel()], 1)) * scale + matrix[:, 2] - 0.5
    grid = places.reshape(rows, columns, 2).astype(np.float32)
    # Grid points are exactly _GRID pixels apart, the first one on pixel 0.
    zoom = np.array([[_GRID, 0, 0], [0, _GRID, 0]], np.float64)
    maps = cv2.warpAffine(grid, zoom, shape[::-1], flags=cv2.INTER_LINEAR)
    blank = 255.0 if canvas.ground is None else canvas.ground
    return np.asarray(
        cv2.remap(
            sheet, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=blank,
        )
    )  # fmt: skip


def _rasterise(
    rng: Random,
    canvas: Canvas,
    matrix: np.ndarray,
    shape: tuple[int, int],
    exposure: CaptureStyle,
    em: float,
) -> Image:
    """Rasterise graphics and text of the flat sheet."""
    ground = np.full(shape, 255 if canvas.ground is None else round(canvas.ground), np.uint8)
    for mark in canvas.marks:
        draw_mark(ground, mark, matrix)
    grey, cover = canvas.ink(matrix, shape)
    if rng.random() < exposure.worn:
        level = grey / np.maximum(cover, 1e-3)
        if rng.random() < 0.6:
            cover = degradations.spread_ink(cover, rng, em)
        if rng.random() < 0.5:
            cover = degradations.fade_ink(cover, rng, em)
        if rng.random() < exposure.dots:
            cover = degradations.dots(cover, rng, em)
        grey = level * cover
    return np.asarray(ground * (1 - cover) + grey, np.float32)


def _add_paper_defects(rng: Random, image: Image, paper: float, em: float) -> Image:
    """Add rough paper, stains, folds, bleed-through, pen strokes and punch holes."""
    height, width = image.shape
    image = image + rng.uniform(0.5, 6) * degradations.field(
        rng, image.shape, em * rng.uniform(0.2, 4)
    )
    if rng.random() < 0.3:
        image = degradations.bleed_through(
            image, np.clip((paper - image) / max(paper, 1), 0, 1), rng
        )
    if rng.random() < 0.2:
        image = degradations.scribble(image, rng, em)
    if rng.random() < 0.25:  # stains
        stain = np.clip(degradations.field(rng, image.shape, max(image.shape) / 3) - 0.8, 0, 1)
        image = image - rng.uniform(10, 70) * stain
    if rng.random() < 0.25:  # folds
        for _ in range(int(rng.integers(1, 4))):
            layer = np.zeros(image.shape, np.uint8)
            across = rng.random() < 0.5
            at = rng.uniform(0, height if across else width, 2)
            ends = ((0, at[0]), (width, at[1])) if across else ((at[0], 0), (at[1], height))
            (ax, ay), (bx, by) = ends
            thick = max(1, round(em * rng.uniform(0.03, 0.12)))
            cv2.line(layer, (int(ax), int(ay)), (int(bx), int(by)), 255, thick, cv2.LINE_AA)
            soft = cv2.GaussianBlur(layer, (0, 0), max(0.5, 0.04 * em)).astype(np.float32)
            image = image + rng.uniform(-60, 40) / 255 * soft
    if rng.random() < 0.15:  # specks, holes of a punch
        for _ in range(int(rng.integers(1, 12))):
            x, y = int(rng.integers(width)), int(rng.integers(height))
            radius = max(1, int(em * np.exp(rng.uniform(np.log(0.04), np.log(0.25)))))
            cv2.circle(image, (x, y), radius, rng.uniform(0, 120), -1)
    return np.asarray(image, np.float32)


def _add_background(
    rng: Random, image: Image, view: Projection, canvas: Canvas, exposure: CaptureStyle, em: float
) -> Image:
    """Fill the area beyond the sheet's edges: desk, scanner lid, or further pages."""
    t = np.linspace(0, 1, 17)
    edge = np.concatenate(
        [np.c_[t, 0 * t], np.c_[0 * t + 1, t], np.c_[1 - t, 0 * t + 1], np.c_[0 * t, 1 - t]]
    ) * (canvas.width, canvas.height)
    outline = view.forward(edge)
    height, width = image.shape
    sheet = np.zeros(image.shape, np.uint8)
    cv2.fillPoly(sheet, [np.round(np.clip(outline, -3e4, 3e4) * 16).astype(np.int32)], 255,
                 cv2.LINE_AA, 4)  # fmt: skip
    if sheet.min() == 255:
        return image
    if rng.random() >= exposure.desk:
        if not exposure.degrees:
            return image
        beyond = np.full(image.shape, float(np.median(image)), np.float32)
    else:
        kind = rng.random()
        if kind < 0.3:
            beyond = np.full(image.shape, rng.uniform(0, 60), np.float32)
        elif kind < 0.45:
            beyond = np.full(image.shape, rng.uniform(120, 255), np.float32)
        elif kind < 0.65:
            beyond = rng.uniform(30, 220) + rng.uniform(5, 40) * degradations.texture(
                rng, (height, width), max(em, 20)
            )
        elif kind < 0.8:  # wood
            across = degradations.field(rng, (height, 3), em * rng.uniform(0.1, 0.6))[:, :1]
            beyond = rng.uniform(60, 200) + rng.uniform(3, 25) * across + np.zeros(image.shape)
        else:
            beyond = photo(rng, (height, width))
        if rng.random() < 0.25:  # the edges of the leaves below
            step = np.array([rng.normal(0, 0.3), rng.normal(0, 0.15)]) * em
            for i in range(int(rng.integers(2, 7)), 0, -1):
                leaf = np.round((outline + i * step).clip(-3e4, 3e4) * 16).astype(np.int32)
                pile = np.ascontiguousarray(beyond, np.float32)
                cv2.fillPoly(pile, [leaf], rng.uniform(90, 250), shift=4)
                beyond = pile
        if exposure.depth or rng.random() < 0.4:  # a shadow of the sheet, or the pages below it
            depth = max(1, int(em * rng.uniform(0.1, 0.8)))
            under = np.roll(sheet, (int(rng.integers(-depth, depth + 1)), depth), (0, 1))
            shadow = cv2.GaussianBlur(under, (0, 0), max(0.6, depth * rng.uniform(0.2, 1)))
            beyond = beyond * (1 - rng.uniform(0.1, 0.6) / 255 * shadow.astype(np.float32))
    share = sheet.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(beyond + (image - beyond) * share, np.float32)


@lru_cache(maxsize=1)
def _noise_pool() -> Image:
    """Return cached noise to crop from: random numbers are the slowest step."""
    return np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32)


def grain(rng: Random, image: Image) -> Image:
    """Add sensor or paper noise, finer or coarser, limited so that faint ink stays legible."""
    limit = 0.16 * float(np.ptp(image))
    strength = min(limit, float(np.exp(rng.uniform(0, np.log(14)))))
    if rng.random() < 0.33:
        return np.asarray(
            image + strength * degradations.field(rng, image.shape, rng.uniform(1.2, 3.5))
        )
    height, width = image.shape
    pool = _noise_pool()
    if height > pool.shape[0] or width > pool.shape[1]:
        fresh = rng.standard_normal(image.shape, dtype=np.float32)
        return np.asarray(image + np.float32(strength) * fresh)
    y = int(rng.integers(pool.shape[0] - height + 1))
    x = int(rng.integers(pool.shape[1] - width + 1))
    return np.asarray(image + np.float32(strength) * pool[y : y + height, x : x + width])


def _degrade(rng: Random, image: Image, exposure: CaptureStyle, em: float) -> Image:
    """Degrade the image: light, lens and device."""
    if rng.random() < exposure.shade:
        shaded = degradations.shade(image, rng)
        if rng.random() < 0.6:  # cameras and scanners compensate dim light
            shaded = shaded * (float(image.mean()) / max(1.0, float(shaded.mean())))
        image = shaded
        if exposure.depth and rng.random() < 0.3:  # the shadow of a hand or telephone
            height, width = image.shape
            corners = rng.uniform(-0.3, 1.3, (4, 2)) * (width, height)
            layer = np.zeros(image.shape, np.uint8)
            cv2.fillPoly(layer, [cv2.convexHull(corners.astype(np.int32))], 255)
            small = cv2.resize(layer, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.8, 6))
            soft = cv2.resize(small, (width, height)).astype(np.float32)
            image = image * (1 - rng.uniform(0.1, 0.55) / 255 * soft)
    if rng.random() < exposure.blur:
        image = degradations.blur(image, rng, em)
    if rng.random() < exposure.noise:
        image = grain(rng, image)
    if exposure.depth and rng.random() < 0.06:
        image = degradations.moire(image, rng)
    if exposure.degrees and rng.random() < 0.15:
        image = degradations.sharpen(image, rng, em)
    if rng.random() < exposure.one_bit:
        image = degradations.binarise(image, rng, em)
    return np.asarray(image, np.float32)
