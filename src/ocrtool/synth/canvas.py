"""Text set on a page with the exact place of every line: HTML through PyMuPDF's `Story`.

A `Canvas` is a page in points (1/72 inch), origin top left, y down. `flow` pours HTML through a
row of boxes, `label` sets one line where it is told. Both note each line's words and its box, in
the order of the calls, which is the reading order; a `pictures.Mark` (rule, panel, picture) is
noted to be drawn under the text. Nothing is rasterised before `ink` is called, so a crop of a page
costs a crop.

A line's box is tight round its ink from left to right. From top to bottom it reaches from the
ascenders (or capitals, whichever are higher) to the descenders of its type, whether or not the
line has letters that do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pymupdf
from pymupdf import mupdf

from ocrtool.document.detected import RegionKind
from ocrtool.errors import InputError
from ocrtool.synth.fonts import load_font
from ocrtool.synth.pictures import Mark

_mu: Any = pymupdf  # whose functions have no types
_mu.TOOLS.mupdf_display_errors(False)  # broken fonts are told by the errors raised here
_mu.TOOLS.mupdf_display_warnings(False)

Rect = tuple[float, float, float, float]
"""x0, y0, x1, y1 in points."""

WIDEST_GAP = 1.6
"""Ems: print of one row that stands further apart is two lines."""
_PROBE = 256  # pixels of an em at which letters are measured
_REGION = re.compile(r"(table|formula|figure|rule)\d*$")


@dataclass(frozen=True)
class PlacedLine:
    """A line on the canvas.

    Attributes:
        box: Its place before it is turned, points.
        text: What it says.
        block: Number of its paragraph, label group or cell.
        size: Type size in points.
        quarter: Quarter turns counter-clockwise about the first point of its baseline.
        pivot: That point.
    """

    box: Rect
    text: str
    block: int
    size: float
    quarter: int = 0
    pivot: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Family:
    """Font files that are set together; a slope or weight that is missing falls to the regular."""

    regular: str
    italic: str = ""
    bold: str = ""


class Face:
    """An opened font file: its real ascent and descent in ems and its letters' extents."""

    def __init__(self, path: str) -> None:
        try:
            self.font = _mu.Font(fontfile=path)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error
        self.name: str = self.font.name
        self._shapes = load_font(path, _PROBE)  # MuPDF tells no glyph's own bounds
        self._boxes: dict[str, tuple[float, float, float]] = {}
        self.ascent = max(-self._bounds(c)[1] for c in "bdhklHET")
        self.descent = max(0.12, *(self._bounds(c)[3] for c in "gpqy"))

    def _bounds(self, character: str) -> tuple[float, float, float, float]:
        # Pillow's own bounding boxes reach to the end of the advance.
        mask, (x, y) = self._shapes.getmask2(character, "L", anchor="ls")
        x0, y0, x1, y1 = mask.getbbox() or (0, 0, 0, 0)
        return (x + x0) / _PROBE, (y + y0) / _PROBE, (x + x1) / _PROBE, (y + y1) / _PROBE

    def extent(self, character: str) -> tuple[float, float, float]:
        """Left and right end of a letter's ink and its advance, in ems from its origin."""
        box = self._boxes.get(character)
        if box is None:
            x0, _, x1, _ = self._bounds(character)
            advance = float(self.font.glyph_advance(ord(character)))
            box = (x0, x1, advance) if x1 > x0 else (0.0, advance, advance)
            self._boxes[character] = box
        return box

    def width(self, text: str, size: float, spacing: float = 0.0) -> float:
        """Advance of a text in points."""
        return sum(self.extent(c)[2] for c in text) * size + spacing * len(text)


@lru_cache(maxsize=256)
def open_face(path: str) -> Face:
    """The font file, opened once.

    Raises:
        InputError: It cannot be read.
    """
    return Face(path)


@lru_cache(maxsize=64)
def _wardrobe(family: Family) -> tuple[Any, str, dict[str, Face]]:
    """Archive, style sheet and faces by their inner names."""
    archive, rules, faces = _mu.Archive(), [], {}
    for name, path, style in (
        ("regular", family.regular, ""),
        ("italic", family.italic, "font-style:italic;"),
        ("bold", family.bold, "font-weight:bold;"),
    ):
        if path:
            archive.add((Path(path).read_bytes(), name))
            rules.append(f"@font-face{{font-family:f;{style}src:url({name})}}")
            face = open_face(path)
            faces[face.name] = face
    rules.append("body,pre,td,th,h1,h2,h3{font-family:f} body,h1,h2,h3,p,pre{margin:0}")
    return archive, "".join(rules), faces


@dataclass(frozen=True)
class _Letter:
    character: str
    x: float
    y: float
    size: float
    face: Face


class Canvas:
    """A page that is being set.

    Args:
        width: Points.
        height: Points.
        ground: Grey level of the paper or screen, 0 to 255; None leaves it to the exposure.
    """

    def __init__(self, width: float, height: float, ground: float | None = None) -> None:
        self.width, self.height, self.ground = width, height, ground
        self.lines: list[PlacedLine] = []
        self.regions: list[tuple[RegionKind, Rect]] = []
        self.marks: list[Mark] = []
        self._bounds = mupdf.FzRect(0, 0, width, height)
        self._list = mupdf.FzDisplayList(self._bounds)
        self._device: Any = mupdf.fz_new_list_device(self._list)
        self._block = 0

    def new_block(self) -> int:
        """A number for the next paragraph."""
        self._block += 1
        return self._block

    def region(self, kind: RegionKind, box: Rect) -> None:
        """Note a table, formula, figure or rule."""
        self.regions.append((kind, box))

    def flow(
        self, html: str, boxes: Iterable[Rect], family: Family, css: str = ""
    ) -> tuple[float, bool]:
        """Pour HTML through boxes; elements that have an ``id`` are blocks.

        An ``id`` of ``table``, ``formula``, ``figure`` or ``rule``, perhaps with a number, makes
        the element a region, too.

        Args:
            html: What to set.
            boxes: Where, in order.
            family: Fonts.
            css: Further rules.

        Returns:
            The bottom of what was set in the last box used, and whether some did not fit.
        """
        archive, rules, faces = _wardrobe(family)
        story = _mu.Story(html, user_css=rules + css, archive=archive)
        fallback = next(iter(faces.values()))
        bottom, more, name = 0.0, True, ""
        seen: dict[str, int] = {}
        for box in boxes:
            more, _ = story.place(_mu.Rect(box))
            elements = _elements(story)
            # A story that is done can be drawn only once.
            drawn = mupdf.FzDisplayList(self._bounds)
            pen = mupdf.fz_new_list_device(drawn)
            mupdf.fz_draw_story(story.this, pen, mupdf.FzMatrix())
            mupdf.fz_close_device(pen)
            page = mupdf.FzStextPage(self._bounds)
            reader = mupdf.fz_new_stext_device(page, mupdf.FzStextOptions(0))
            for device in (self._device, reader):
                _run(drawn, device, mupdf.FzMatrix(), self._bounds)
            mupdf.fz_close_device(reader)
            bottom = box[1]
            for row in _rows(_letters(_mu.TextPage(page), faces, fallback)):
                line = _measure(row, 0)
                if line is None:
                    continue
                y = row[0].y - 0.2 * line.size
                # What goes on from the box before stands in none of this box's elements.
                name = next((n for n, r in reversed(elements) if r[1] <= y <= r[3]), name)
                block = seen.get(name) or seen.setdefault(name, self.new_block())
                self.lines.append(PlacedLine(line.box, line.text, block, line.size))
                bottom = max(bottom, line.box[3])
            for element, place in elements:
                if match := _REGION.match(element):
                    self.region(cast(RegionKind, match[1]), place)
                    bottom = max(bottom, place[3])
            if not more:
                break
        return bottom, bool(more)

    def label(
        self,
        x: float,
        y: float,
        text: str,
        path: str,
        size: float,
        *,
        anchor: str = "left",
        level: float = 0.0,
        spacing: float = 0.0,
        block: int | None = None,
        quarter: int = 0,
        silent: bool = False,
    ) -> float:
        """Set one line; where it has gaps wider than `WIDEST_GAP` ems, it counts as several.

        Args:
            x: Left end, middle or right end of the baseline.
            y: Baseline.
            text: What to set; spaces count.
            path: Font file.
            size: Type size.
            anchor: ``left``, ``middle`` or ``right``.
            level: Grey of the ink, 0 to 255.
            spacing: Points between letters.
            block: Its paragraph; one of its own where it is None.
            quarter: Quarter turns counter-clockwise about (x, y); only with ``left``.
            silent: Draw it but do not note it: ink that is no text.

        Returns:
            The end of the line.
        """
        face = open_face(path)
        width = face.width(text, size, spacing) - spacing
        x -= {"left": 0.0, "middle": width / 2, "right": width}[anchor]
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter % 4]
        run = mupdf.FzText()
        letters: list[_Letter] = []
        advance = 0.0
        for c in text:
            place = mupdf.FzMatrix(
                size * cos, -size * sin, -size * sin, -size * cos,
                x + advance * cos, y - advance * sin,
            )  # fmt: skip
            glyph = mupdf.fz_encode_character(face.font.this, ord(c))
            mupdf.fz_show_glyph(
                run, face.font.this, place, glyph, ord(c), 0, 0, mupdf.FZ_BIDI_NEUTRAL, 0
            )
            letters.append(_Letter(c, x + advance, y, size, face))
            advance += face.extent(c)[2] * size + spacing
        mupdf.fz_fill_text(
            self._device, run, mupdf.FzMatrix(), mupdf.fz_device_gray(), [level / 255], 1.0,
            mupdf.FzColorParams(),
        )  # fmt: skip
        if not silent:
            number = self.new_block() if block is None else block
            for part in _parts(letters, max(0.0, spacing)):
                line = _measure(part, number, quarter, (x, y))
                if line is not None:
                    self.lines.append(line)
        return x + width

    def place(self, drawing: Any, x: float, y: float, scale: float) -> None:
        """Draw one of MuPDF's display lists, its origin at (x, y) and so many times as large."""
        _run(drawing, self._device, mupdf.FzMatrix(scale, 0, 0, scale, x, y), self._bounds)

    def ink(self, matrix: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Rasterise the text.

        Args:
            matrix: (2, 3), points to pixels.
            shape: Height and width of the picture in pixels.

        Returns:
            The grey level 0-255 times the coverage, and the coverage 0-1, both (H, W) float32.
        """
        if self._device is not None:
            mupdf.fz_close_device(self._device)
            self._device = None
        height, width = int(shape[0]), int(shape[1])
        pixels = _mu.Pixmap(_mu.csGRAY, _mu.IRect(0, 0, width, height), 1)
        pixels.clear_with()
        (a, c, e), (b, d, f) = matrix.tolist()
        pen = mupdf.fz_new_draw_device(mupdf.FzMatrix(), pixels.this)
        picture = mupdf.FzRect(0, 0, width, height)
        _run(self._list, pen, mupdf.FzMatrix(a, b, c, d, e, f), picture)
        mupdf.fz_close_device(pen)
        values = np.frombuffer(pixels.samples_mv, np.uint8).reshape(height, width, 2)
        return values[..., 0].astype(np.float32), values[..., 1] * np.float32(1 / 255)


def _run(drawn: Any, device: Any, matrix: Any, area: Any) -> None:
    """Send what was drawn to a device; what lies outside the area is passed over."""
    mupdf.fz_run_display_list(drawn, device, matrix, area, mupdf.FzCookie())


def _elements(story: Any) -> list[tuple[str, Rect]]:
    """Ids and places of the elements that the last `place` call set."""
    places: list[Any] = []
    story.element_positions(lambda place: places.append(place))
    return [(place.id, tuple(place.rect)) for place in places if place.id]


def _letters(page: Any, faces: dict[str, Face], fallback: Face) -> Iterable[_Letter]:
    """Every letter of a text page in drawing order."""
    for block in page.extractRAWDICT()["blocks"]:
        for line in block.get("lines", ()):
            for span in line["spans"]:
                face = faces.get(span["font"], fallback)
                for char in span["chars"]:
                    x, y = char["origin"]
                    # A soft hyphen is set only where a line breaks at it.
                    shown = "-" if char["c"] == "\xad" else char["c"]
                    yield _Letter(shown, x, y, span["size"], face)


def _rows(letters: Iterable[_Letter]) -> Iterable[list[_Letter]]:
    """Cut letters into lines where the baseline changes or the pen goes back."""
    row: list[_Letter] = []
    for letter in letters:
        if row:
            last = row[-1]
            size = max(last.size, letter.size)
            # Indices and exponents keep to their line.
            leap = abs(letter.y - last.y) > 0.62 * size or letter.x < last.x - 0.6 * size
            if leap:
                yield row
                row = []
        row.append(letter)
    if row:
        yield row


def _parts(letters: Sequence[_Letter], spacing: float) -> Iterable[list[_Letter]]:
    """Cut a label at its wide gaps."""
    part: list[_Letter] = []
    end = 0.0
    for letter in letters:
        if letter.character.isspace():
            continue
        if part and letter.x - end > WIDEST_GAP * letter.size + spacing:
            yield part
            part = []
        # The spaces between two letters of a part go back in, one of them.
        if part and letter.x - end > 0.12 * letter.size + 1.5 * spacing:
            part.append(_Letter(" ", end, letter.y, letter.size, letter.face))
        part.append(letter)
        end = letter.x + letter.face.extent(letter.character)[2] * letter.size
    if part:
        yield part


def _measure(
    row: Sequence[_Letter], block: int, quarter: int = 0, pivot: tuple[float, float] = (0.0, 0.0)
) -> PlacedLine | None:
    """The box and text of a row of letters; None where there is no ink."""
    seen = [letter for letter in row if not letter.character.isspace()]
    if not seen:
        return None
    size = max(letter.size for letter in seen)
    full = [letter for letter in seen if letter.size > 0.85 * size]  # indices do not count
    spans = [(letter.x, letter.size, letter.face.extent(letter.character)) for letter in seen]
    box = (
        min(x + size * ink[0] for x, size, ink in spans),
        min(letter.y - letter.size * letter.face.ascent for letter in full),
        max(x + size * ink[1] for x, size, ink in spans),
        max(letter.y + letter.size * letter.face.descent for letter in full),
    )
    text = " ".join("".join(letter.character for letter in row).split())
    return PlacedLine(box, text, block, size, quarter, pivot)
