"""Text layout with exact line positions: HTML through PyMuPDF's ``Story``.

A ``Canvas`` is a page in points (1/72 inch), origin top left, y down. ``flow`` pours HTML through
a sequence of boxes, ``label`` sets one line at a given position. Both record each line's text and
box in the order of the calls, which is the reading order; a ``pictures.Mark`` (rule, panel,
picture) is recorded to be drawn under the text. Nothing is rasterised before ``ink`` is called, so
a crop of a page costs only the crop.

The left and right sides of a line's box are tight around its ink. Vertically the box reaches from
the ascenders (or capitals, whichever are higher) to the descenders of the font, whether or not the
line has such letters.
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

from ocrtool.document.lines import RegionKind
from ocrtool.errors import InputError
from ocrtool.synth.fonts import load_font
from ocrtool.synth.pictures import Mark

_mu: Any = pymupdf  # its functions are untyped
_mu.TOOLS.mupdf_display_errors(False)  # broken fonts are reported by the exceptions raised here
_mu.TOOLS.mupdf_display_warnings(False)

Rect = tuple[float, float, float, float]
"""x0, y0, x1, y1 in points."""

MAX_GAP = 1.6
"""Maximum gap in ems within a line; text further apart on one row is two lines."""
_PROBE = 256  # pixels of an em at which letters are measured
_REGION = re.compile(r"(table|formula|figure|rule)\d*$")


@dataclass(frozen=True)
class PlacedLine:
    """A line on the canvas.

    Attributes:
        box: Bounding box before rotation, in points.
        text: Its text.
        block: Number of its paragraph, label group or cell.
        size: Type size in points.
        quarter: Counter-clockwise quarter turns about the first point of its baseline.
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
    """Font files of a family; a missing italic or bold is replaced by the regular font."""

    regular: str
    italic: str = ""
    bold: str = ""


class Face:
    """An opened font file: its ascent and descent in ems and the extents of its glyphs."""

    def __init__(self, path: str) -> None:
        try:
            self.font = _mu.Font(fontfile=path)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error
        self.name: str = self.font.name
        self._shapes = load_font(path, _PROBE)  # MuPDF gives no bounds of single glyphs
        self._boxes: dict[str, tuple[float, float, float]] = {}
        self.ascent = max(-self._bounds(c)[1] for c in "bdhklHET")
        self.descent = max(0.12, *(self._bounds(c)[3] for c in "gpqy"))

    def _bounds(self, character: str) -> tuple[float, float, float, float]:
        # Pillow's own bounding boxes include the advance.
        mask, (x, y) = self._shapes.getmask2(character, "L", anchor="ls")
        x0, y0, x1, y1 = mask.getbbox() or (0, 0, 0, 0)
        return (x + x0) / _PROBE, (y + y0) / _PROBE, (x + x1) / _PROBE, (y + y1) / _PROBE

    def extent(self, character: str) -> tuple[float, float, float]:
        """Return the left and right end of a glyph's ink and its advance, in ems."""
        box = self._boxes.get(character)
        if box is None:
            x0, _, x1, _ = self._bounds(character)
            advance = float(self.font.glyph_advance(ord(character)))
            box = (x0, x1, advance) if x1 > x0 else (0.0, advance, advance)
            self._boxes[character] = box
        return box

    def width(self, text: str, size: float, spacing: float = 0.0) -> float:
        """Return the advance of a text in points."""
        return sum(self.extent(c)[2] for c in text) * size + spacing * len(text)


@lru_cache(maxsize=256)
def open_face(path: str) -> Face:
    """Open a font file; the result is cached.

    Raises:
        InputError: It cannot be read.
    """
    return Face(path)


@lru_cache(maxsize=64)
def _open_family(family: Family) -> tuple[Any, str, dict[str, Face]]:
    """Return archive, style sheet, and faces by their internal names."""
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
    """A page being typeset.

    Args:
        width: Width in points.
        height: Height in points.
        ground: Grey level of the background, 0 to 255; None leaves it to the capture style.
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
        """Return a number for the next paragraph."""
        self._block += 1
        return self._block

    def region(self, kind: RegionKind, box: Rect) -> None:
        """Record a table, formula, figure or rule."""
        self.regions.append((kind, box))

    def flow(
        self, html: str, boxes: Iterable[Rect], family: Family, css: str = ""
    ) -> tuple[float, bool]:
        """Pour HTML through boxes; elements with an ``id`` are blocks.

        An ``id`` of ``table``, ``formula``, ``figure`` or ``rule``, optionally with a number, makes
        the element a region, too.

        Args:
            html: Content.
            boxes: Boxes in points, in order.
            family: Fonts.
            css: Additional rules.

        Returns:
            The bottom of the content in the last box used, and whether some content did not fit.
        """
        archive, rules, faces = _open_family(family)
        story = _mu.Story(html, user_css=rules + css, archive=archive)
        fallback = next(iter(faces.values()))
        bottom, more, name = 0.0, True, ""
        seen: dict[str, int] = {}
        for box in boxes:
            more, _ = story.place(_mu.Rect(box))
            elements = _elements(story)
            # A finished story can be drawn only once.
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
                # Text continued from the previous box is in none of this box's elements.
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
        """Set one line; gaps wider than ``MAX_GAP`` ems split it into several.

        Args:
            x: Left end, centre or right end of the baseline.
            y: Baseline.
            text: The text; spaces are significant.
            path: Font file.
            size: Type size in points.
            anchor: ``left``, ``middle`` or ``right``.
            level: Grey level of the ink, 0 to 255.
            spacing: Letter spacing in points.
            block: Number of its paragraph; None for a new one.
            quarter: Counter-clockwise quarter turns about (x, y); only with ``left``.
            silent: Draw without recording, for ink that is no text.

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
        """Draw a MuPDF display list, scaled, with its origin at (x, y)."""
        _run(drawing, self._device, mupdf.FzMatrix(scale, 0, 0, scale, x, y), self._bounds)

    def ink(self, matrix: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Rasterise the text.

        Args:
            matrix: (2, 3) affine map from points to pixels.
            shape: Height and width of the image in pixels.

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
    """Replay a display list on a device, except outside the area."""
    mupdf.fz_run_display_list(drawn, device, matrix, area, mupdf.FzCookie())


def _elements(story: Any) -> list[tuple[str, Rect]]:
    """Return ids and boxes of the elements set by the last ``place`` call."""
    places: list[Any] = []
    story.element_positions(lambda place: places.append(place))
    return [(place.id, tuple(place.rect)) for place in places if place.id]


def _letters(page: Any, faces: dict[str, Face], fallback: Face) -> Iterable[_Letter]:
    """Yield every glyph of a text page in drawing order."""
    for block in page.extractRAWDICT()["blocks"]:
        for line in block.get("lines", ()):
            for span in line["spans"]:
                face = faces.get(span["font"], fallback)
                for char in span["chars"]:
                    x, y = char["origin"]
                    # A soft hyphen is visible only at a line break.
                    shown = "-" if char["c"] == "\xad" else char["c"]
                    yield _Letter(shown, x, y, span["size"], face)


def _rows(letters: Iterable[_Letter]) -> Iterable[list[_Letter]]:
    """Split glyphs into lines where the baseline changes or the position moves back."""
    row: list[_Letter] = []
    for letter in letters:
        if row:
            last = row[-1]
            size = max(last.size, letter.size)
            # Subscripts and superscripts belong to their line.
            leap = abs(letter.y - last.y) > 0.62 * size or letter.x < last.x - 0.6 * size
            if leap:
                yield row
                row = []
        row.append(letter)
    if row:
        yield row


def _parts(letters: Sequence[_Letter], spacing: float) -> Iterable[list[_Letter]]:
    """Split a label at its wide gaps."""
    part: list[_Letter] = []
    end = 0.0
    for letter in letters:
        if letter.character.isspace():
            continue
        if part and letter.x - end > MAX_GAP * letter.size + spacing:
            yield part
            part = []
        # Spaces between two glyphs of a part are restored as a single one.
        if part and letter.x - end > 0.12 * letter.size + 1.5 * spacing:
            part.append(_Letter(" ", end, letter.y, letter.size, letter.face))
        part.append(letter)
        end = letter.x + letter.face.extent(letter.character)[2] * letter.size
    if part:
        yield part


def _measure(
    row: Sequence[_Letter], block: int, quarter: int = 0, pivot: tuple[float, float] = (0.0, 0.0)
) -> PlacedLine | None:
    """Return the box and text of a row of glyphs; None where there is no ink."""
    seen = [letter for letter in row if not letter.character.isspace()]
    if not seen:
        return None
    size = max(letter.size for letter in seen)
    full = [letter for letter in seen if letter.size > 0.85 * size]  # without subscripts
    spans = [(letter.x, letter.size, letter.face.extent(letter.character)) for letter in seen]
    box = (
        min(x + size * ink[0] for x, size, ink in spans),
        min(letter.y - letter.size * letter.face.ascent for letter in full),
        max(x + size * ink[1] for x, size, ink in spans),
        max(letter.y + letter.size * letter.face.descent for letter in full),
    )
    text = " ".join("".join(letter.character for letter in row).split())
    return PlacedLine(box, text, block, size, quarter, pivot)
