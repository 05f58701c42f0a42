"""Synthetic pages with the exact position of every line and region, for training a text detector.

``PageSource.draw(index)`` depends only on the seed and the index, like ``LineSource.draw``. Images
are grey. Coordinates are pixels of the image, origin top left, x to the right and y down; a pixel
covers the square from its own coordinates to the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ocrtool.document.lines import RegionKind
from ocrtool.synth import documents, forms, screens
from ocrtool.synth.camera import CAPTURE_STYLES, Projection, aim, expose, shifted
from ocrtool.synth.canvas import Canvas, PlacedLine
from ocrtool.synth.scenes import POINTS_PER_EDGE, draw_scene
from ocrtool.synth.typefaces import TypeLibrary

Random = np.random.Generator

CROPS_PER_PAGE = 4
"""Number of crops taken from one page."""
_MIN_CONTRAST = 12
"""Minimum range of grey levels within a line's box; fainter lines are not labelled."""
_MAX_SAG = 0.02
"""Maximum deviation from a quadrilateral, in line heights, of a straight line."""


@dataclass(frozen=True)
class DrawnLine:
    """A line of text.

    Attributes:
        quad: (4, 2) float32, corners in reading direction: top of the first letter, top of the last
            letter, bottom of the last letter, bottom of the first letter. Left and right sides are
            tight around the ink; vertically it reaches from the ascenders (or capitals) to the
            descenders of the font, whatever letters the line has.
        text: Text of the whole line, even where only a part of it is in the image.
        block: Number of its paragraph, cell group or sign.
        outline: (N, 2) float32 polygon: the upper edge in reading direction, then the lower edge
            back; equal to the quad for straight lines.
    """

    quad: np.ndarray
    text: str
    block: int
    outline: np.ndarray

    @property
    def height(self) -> float:
        """Height in pixels, the mean of both ends."""
        sides = self.quad[[0, 1]] - self.quad[[3, 2]]
        return float(np.linalg.norm(sides, axis=1).mean())


@dataclass(frozen=True)
class DrawnRegion:
    """A table, formula, figure or rule; ``polygon`` (N, 2) float32 in pixels."""

    kind: RegionKind
    polygon: np.ndarray


@dataclass(frozen=True)
class DrawnPage:
    """An image and its contents.

    Attributes:
        image: (H, W) uint8 grey.
        lines: Lines in reading order. In crops, lines cut by the edge keep their whole quads. Lines
            that degradations have erased are omitted.
        regions: Regions, unordered.
        upright: Counter-clockwise rotation in degrees that makes the image upright: 0, 90, 180 or
            270.
        kind: Key of ``KINDS``.
    """

    image: np.ndarray
    lines: tuple[DrawnLine, ...]
    regions: tuple[DrawnRegion, ...]
    upright: int
    kind: str


@dataclass(frozen=True)
class PageKind:
    """A kind of page.

    Attributes:
        weight: Relative frequency.
        make: Typesets the page; None for scenes, which are painted.
        exposures: Capture styles and their shares.
        sheet: Whether the size of whole pages is that of ``PageSource``, instead of their type.
    """

    weight: float
    make: Callable[[Random, TypeLibrary], Canvas] | None
    exposures: Mapping[str, float] = field(default_factory=dict)
    sheet: bool = True


_BOOK = {"scan": 0.35, "bitonal": 0.3, "photo": 0.25, "clean": 0.1}
_OFFICE = {"scan": 0.3, "bitonal": 0.25, "photo": 0.25, "clean": 0.2}
_SCREEN = {"screen": 0.85, "photo": 0.15}

KINDS: dict[str, PageKind] = {
    "book": PageKind(1.2, documents.book, _BOOK),
    "old_book": PageKind(0.8, documents.old_book, {"scan": 0.5, "bitonal": 0.3, "photo": 0.2}),
    "paper": PageKind(1.0, documents.paper, _OFFICE),
    "newspaper": PageKind(1.0, documents.newspaper, {"scan": 0.45, "bitonal": 0.35, "photo": 0.2}),
    "letter": PageKind(0.6, documents.letter, _OFFICE),
    "typescript": PageKind(
        0.9, documents.typescript, {"scan": 0.5, "bitonal": 0.35, "photo": 0.15}
    ),
    "form": PageKind(0.7, forms.form, _OFFICE),
    "invoice": PageKind(0.5, forms.invoice, _OFFICE),
    "tables": PageKind(0.8, forms.tables, _OFFICE),
    "receipt": PageKind(0.9, forms.receipt, {"thermal": 1.0}),
    "title": PageKind(0.4, forms.title_page, _BOOK),
    "index": PageKind(0.5, forms.index, _OFFICE),
    "code": PageKind(0.4, screens.code, {"screen": 0.7, "photo": 0.2, "clean": 0.1}, sheet=False),
    "terminal": PageKind(0.35, screens.terminal, _SCREEN, sheet=False),
    "slide": PageKind(
        0.4, screens.slide, {"screen": 0.6, "clean": 0.15, "photo": 0.25}, sheet=False
    ),
    "window": PageKind(0.8, screens.window, _SCREEN, sheet=False),
    "poster": PageKind(0.5, forms.poster, {"photo": 0.5, "clean": 0.3, "scan": 0.2}),
    "snippet": PageKind(
        0.7, forms.snippet, {"screen": 0.4, "clean": 0.3, "scan": 0.2, "bitonal": 0.1}, sheet=False
    ),
    "blank": PageKind(0.5, forms.blank, {"scan": 0.4, "photo": 0.4, "bitonal": 0.2}),
    "scene": PageKind(2.0, None),
}
"""Kinds of pages and their weights; the keys of their capture styles are those of
``CAPTURE_STYLES``."""
MATHEMATICS_WEIGHT = 1.5
"""Weight of pages of mathematics where typeset formulas are given."""


class PageSource:
    """An endless, seeded source of pages."""

    def __init__(
        self,
        fonts: Sequence[Path] = (),
        texts: Sequence[Path] = (),
        seed: int = 0,
        kinds: Mapping[str, PageKind] | None = None,
        size: tuple[int, int] = (900, 1700),
        turned: float = 0.0,
        formulas: Sequence[Path] = (),
        mathematics: float = MATHEMATICS_WEIGHT,
    ) -> None:
        """Index the fonts and read the texts (the bundled ones by default).

        Args:
            fonts: Font files.
            texts: UTF-8 text files, also ``.xz``.
            seed: Random seed.
            kinds: Kinds of pages and their weights; ``KINDS`` by default, and with formulas also
                pages of mathematics.
            size: Minimum and maximum long side of whole pages in pixels.
            turned: Share of images rotated by 90, 180 or 270 degrees.
            formulas: PDFs of display formulas, see ``ocrtool.synth.display_formulas``.
            mathematics: Weight of pages of mathematics.

        Raises:
            InputError: No font is usable, or a text cannot be read.
        """
        self.seed = seed
        self.kinds = dict(kinds or KINDS)
        if formulas and not kinds:
            self.kinds["mathematics"] = PageKind(mathematics, documents.mathematics, _OFFICE)
        self.size = size
        self.turned = turned
        self._press = TypeLibrary(fonts, texts, formulas)
        self._canvas = lru_cache(maxsize=2)(self._make)

    def draw(self, index: int) -> DrawnPage:
        """Return the whole page number ``index``: always the same for the same seed."""
        rng = np.random.default_rng((self.seed, index, 1))
        name, canvas = self._make(index)
        side = float(np.exp(rng.uniform(*np.log(self.size))))
        if canvas is None:
            wide = rng.random() < 0.6
            shape = (round(0.7 * side), round(side)) if wide else (round(side), round(0.75 * side))
            return self._turn(rng, self._scene(rng, shape))
        kind, em = self.kinds[name], _main_type_size(canvas)
        style = _exposure(rng, kind)
        scale = side / max(canvas.width, canvas.height)
        if not kind.sheet:
            scale = float(np.exp(rng.uniform(np.log(11), np.log(30)))) / em
            scale = min(scale, self.size[1] / max(canvas.width, canvas.height))
        middle = (canvas.width / 2, canvas.height / 2)
        view = aim(rng, CAPTURE_STYLES[style], (canvas.width, canvas.height), scale, middle)
        low, high = _bounds(view)
        room = np.zeros(4)
        if rng.random() < CAPTURE_STYLES[style].desk:
            room = rng.uniform(0, 0.12, 4) * float((high - low).max())
        elif (
            CAPTURE_STYLES[style].degrees and kind.sheet
        ):  # the edges of a turned sheet are cut off
            room = rng.uniform(-0.015, 0, 4) * float((high - low).min())
        view = shifted(view, room[:2] - low)
        width, height = np.ceil(high - low + room[:2] + room[2:])
        shape = max(16, int(height)), max(16, int(width))
        return self._turn(rng, self._expose(rng, name, canvas, view, shape, style, em * scale))

    def draw_crop(self, index: int, size: int = 640) -> DrawnPage:
        """Return a square part of a page, ``size`` pixels a side, at a scale suited to its type.

        ``CROPS_PER_PAGE`` consecutive indices are parts of the same page; each depends only on the
        seed, its index and the size.
        """
        rng = np.random.default_rng((self.seed, index, 2))
        shape = (size, size)
        name, canvas = self._canvas(index // CROPS_PER_PAGE)
        if canvas is None:
            return self._turn(rng, self._scene(rng, shape))
        em = _main_type_size(canvas)
        style = _exposure(rng, self.kinds[name])
        low, high = (9, 44) if rng.random() < 0.9 else (44, 100)
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high)))) / em
        focus = (rng.uniform(0, canvas.width), rng.uniform(0, canvas.height))
        if canvas.lines and rng.random() < 0.75:
            corners = _corners(canvas.lines[int(rng.integers(len(canvas.lines)))])
            focus = tuple(corners.mean(0))
        elif canvas.regions and rng.random() < 0.6:
            x0, y0, x1, y1 = canvas.regions[int(rng.integers(len(canvas.regions)))][1]
            focus = ((x0 + x1) / 2, (y0 + y1) / 2)
        view = aim(rng, CAPTURE_STYLES[style], (canvas.width, canvas.height), scale, focus)
        place = rng.uniform(0.15, 0.85, 2) * size
        first, last = (corner + place for corner in _bounds(view))
        margin = rng.uniform(0, 0.12) * size if rng.random() < 0.5 else 0.0
        for axis in range(2):  # stay on the sheet where it is larger than the image
            if last[axis] - first[axis] > size - 2 * margin:
                place[axis] -= max(0.0, first[axis] - margin)
                place[axis] += max(0.0, size - margin - last[axis])
            else:
                room = size - (last[axis] - first[axis])
                place[axis] += rng.uniform(0, 1) * room - first[axis]
        view = shifted(view, place)
        return self._turn(rng, self._expose(rng, name, canvas, view, shape, style, em * scale))

    def _make(self, number: int) -> tuple[str, Canvas | None]:
        """Typeset page number ``number``; None for a scene."""
        weights = np.array([kind.weight for kind in self.kinds.values()])
        for attempt in itertools.count():
            rng = np.random.default_rng((self.seed, number, attempt))
            name = list(self.kinds)[int(rng.choice(len(weights), p=weights / weights.sum()))]
            make = self.kinds[name].make
            try:
                return name, make(rng, self._press) if make else None
            except OSError:  # an outline that FreeType cannot fill: another page
                continue
        raise AssertionError("some page can be set")

    def _scene(self, rng: Random, shape: tuple[int, int]) -> DrawnPage:
        while True:
            try:
                image, found = draw_scene(rng, self._press, shape)
                break
            except OSError:  # an outline that FreeType cannot fill: another scene
                continue
        lines = (_line(line.outline, line.text, line.board) for line in found)
        return DrawnPage(image, tuple(lines), (), 0, "scene")

    def _expose(
        self,
        rng: Random,
        name: str,
        canvas: Canvas,
        view: Projection,
        shape: tuple[int, int],
        style: str,
        em: float,
    ) -> DrawnPage:
        places = [_corners(line) for line in canvas.lines] + [
            np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
            for _, (x0, y0, x1, y1) in canvas.regions
        ]
        samples = POINTS_PER_EDGE if view.sag.size else 2
        flat = [_edges(corners, samples) for corners in places] or [np.empty((0, 2))]
        outlines = view.forward(np.concatenate(flat)).reshape(-1, 2 * samples, 2)
        count = len(canvas.lines)
        lines = [
            _line(outline, line.text, line.block)
            for line, outline in zip(canvas.lines, outlines[:count], strict=True)
            if _overlaps_image(outline, shape)
        ]
        regions = [
            DrawnRegion(kind, polygon.astype(np.float32))
            for (kind, _), polygon in zip(canvas.regions, outlines[count:], strict=True)
            if _overlaps_image(polygon, shape)
        ]
        image = expose(rng, canvas, view, shape, style, em)
        lines = [line for line in lines if _is_visible(image, line.outline)]
        return DrawnPage(image, tuple(lines), tuple(regions), 0, name)

    def _turn(self, rng: Random, page: DrawnPage) -> DrawnPage:
        """Rotate some of the pages by quarter turns."""
        if rng.random() >= self.turned:
            return page
        quarters = int(rng.integers(1, 4))

        def move(points: np.ndarray) -> np.ndarray:
            height, width = page.image.shape
            for _ in range(quarters):
                points = np.stack([points[:, 1], width - points[:, 0]], 1)
                height, width = width, height
            return points

        return replace(
            page,
            image=np.ascontiguousarray(np.rot90(page.image, quarters)),
            lines=tuple(
                replace(line, quad=move(line.quad), outline=move(line.outline))
                for line in page.lines
            ),
            regions=tuple(replace(r, polygon=move(r.polygon)) for r in page.regions),
            upright=360 - 90 * quarters,
        )


def _exposure(rng: Random, kind: PageKind) -> str:
    shares = np.array(list(kind.exposures.values()))
    return list(kind.exposures)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def _main_type_size(canvas: Canvas) -> float:
    """Return the type size of most of the text, in points."""
    sizes = [line.size for line in canvas.lines for _ in range(min(60, len(line.text)))]
    return float(np.median(sizes)) if sizes else 10.0


def _bounds(view: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Return the axis-aligned bounding box of the sheet in pixels: its first and last corner."""
    width, height = view.size
    sheet = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    points = view.forward(_edges(sheet, POINTS_PER_EDGE))
    return points.min(0), points.max(0)


def _corners(line: PlacedLine) -> np.ndarray:
    """Return the (4, 2) corners of a typeset line in reading direction, in points."""
    x0, y0, x1, y1 = line.box
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    for _ in range(line.quarter % 4):  # counter-clockwise, with y down
        away = corners - line.pivot
        corners = np.stack([away[:, 1], -away[:, 0]], 1) + line.pivot
    return corners


def _edges(corners: np.ndarray, samples: int) -> np.ndarray:
    """Return points along the upper edge of a quad and back along the lower: (2 * samples, 2)."""
    t = np.linspace(0, 1, samples)[:, None]
    upper = corners[0] + t * (corners[1] - corners[0])
    lower = corners[2] + t * (corners[3] - corners[2])
    return np.concatenate([upper, lower])


def _line(outline: np.ndarray, text: str, block: int) -> DrawnLine:
    """Return the line of an outline: its corners where it is straight, else its bounding box."""
    half = len(outline) // 2
    corners = outline[[0, half - 1, half, 2 * half - 1]]
    straight = _edges(corners, half)
    height = float(np.linalg.norm(corners[[0, 1]] - corners[[3, 2]], axis=1).mean())
    if np.abs(straight - outline).max() <= max(0.75, _MAX_SAG * height):
        quad = corners.astype(np.float32)
        return DrawnLine(quad, text, block, quad)
    along = corners[1] - corners[0] + corners[2] - corners[3]
    u = along / max(1e-6, float(np.linalg.norm(along)))
    turn = np.array([u, (-u[1], u[0])])  # rows: along the line, down the letters
    flat = outline @ turn.T
    (x0, y0), (x1, y1) = flat.min(0), flat.max(0)
    quad = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) @ turn
    return DrawnLine(quad.astype(np.float32), text, block, outline.astype(np.float32))


def _overlaps_image(polygon: np.ndarray, shape: tuple[int, int]) -> bool:
    """Tell whether an outline's bounding box overlaps the image by more than a pixel."""
    (x0, y0), (x1, y1) = polygon.min(0), polygon.max(0)
    return bool(x1 > 1 and y1 > 1 and x0 < shape[1] - 1 and y0 < shape[0] - 1)


def _is_visible(image: np.ndarray, outline: np.ndarray) -> bool:
    """Tell whether a line is still visible after thresholding and fading."""
    (x0, y0), (x1, y1) = outline.min(0), outline.max(0)
    patch = image[max(0, int(y0)) : int(y1) + 1, max(0, int(x0)) : int(x1) + 1]
    if not patch.size:
        return False
    dark, light = np.percentile(patch, (3, 97))
    return bool(light - dark >= _MIN_CONTRAST)


def overlay(page: DrawnPage) -> np.ndarray:
    """Draw lines (red, first edge green) and regions (blue) on a page: RGB uint8."""
    image = cv2.cvtColor(page.image, cv2.COLOR_GRAY2RGB)
    shapes: Iterable[tuple[np.ndarray, tuple[int, int, int]]] = [
        *((region.polygon, (40, 90, 255)) for region in page.regions),
        *((line.outline, (230, 30, 30)) for line in page.lines),
        *((line.quad[[0, 3]], (0, 200, 0)) for line in page.lines),
    ]
    for points, colour in shapes:
        fixed = np.round((points - 0.5) * 16).astype(np.int32)
        cv2.polylines(image, [fixed], True, colour, 1, cv2.LINE_AA, 4)
    return image
