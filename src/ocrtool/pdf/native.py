"""The native content of a PDF page: text with styles, rules, fills, images and drawings."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray

from ocrtool.document.geometry import points_inside
from ocrtool.document.tree import Box, FormField, Line, Quad, Word
from ocrtool.errors import InputError
from ocrtool.pdf.blank_glyphs import remove_blank_glyphs
from ocrtool.pdf.bullets import add_bullets
from ocrtool.pdf.check_boxes import (
    button_boxes,
    drawn_boxes,
    form_fields,
    inside_boxes,
    sign_lines,
)
from ocrtool.pdf.content import Flags, Floats, Letters, Vectors, read_content
from ocrtool.pdf.file import POINTS_PER_INCH, PdfFile
from ocrtool.pdf.fonts import DRAWN
from ocrtool.pdf.formulas import find_formulas
from ocrtool.pdf.letter_repairs import with_accents, with_underscores, without_copies
from ocrtool.pdf.lines import ASCENT_EMS, DESCENT_EMS, assemble_lines
from ocrtool.pdf.overlays import list_without_notes, note_texts, watermarks
from ocrtool.pdf.strikethrough import with_strikes
from ocrtool.pdf.vector_graphics import Rule, classify_vectors

_CLIP, _IMAGES = 64, 4  # flags of MuPDF's text extraction
MAX_COVERING_IMAGES = 300
"""Maximum number of images, largest first, that are checked for hiding text."""
MIN_PALE_CHANNEL = 200
"""Minimum of the three colour channels, of 255, of text that may be white on white."""
MIN_TEXT_CONTRAST = 24
"""Minimum difference between visible text and its background, in grey levels."""
MAX_TYPE3_SHARE = 0.2
"""Share of Type 3 characters above which the text layer of a page is doubtful."""
MIN_BACKGROUND_SIDE = 4.0
"""Minimum side, in points, of a filled area that can be the background of text."""
PROBE_DPI = 72.0
"""Resolution, in pixels per inch, of the rendering that checks the visibility of text."""
MAX_PROBE_AREA = 4_000_000
"""Page area, in square points, above which the resolution of that rendering is reduced."""
MIN_READABLE_SIZE = 1.5
"""Minimum type size, in points, of text that a reader of the page can see."""
MAX_UNREADABLE_SHARE = 0.5
"""Maximum share of smaller characters on a page that is not drawn at a reduced scale."""
NOTE_SIZE = 9.0
"""Type size of annotation text, in points; annotations state none."""
MAX_NOTE_COLUMNS = 80
"""Maximum number of characters per line of annotation text."""
LINK_SCHEMES = re.compile(
    r"(?:https?|ftp|mailto|tel|file|doi|news|sip|geo):|www\.|#", re.IGNORECASE
)
"""Accepted beginnings of link targets; executable targets are excluded."""


@dataclass(frozen=True)
class NativePage:
    """Native content of a PDF page.

    Geometry is in pixels of the page rendered at ``dpi`` as displayed (rotated and cropped), origin
    at the top left.

    Attributes:
        width: Page width in pixels.
        height: Page height in pixels.
        dpi: Resolution in pixels per inch.
        lines: Visible text in file order. Pieces separated by wide gaps are lines of their own.
            Quads of right-to-left text, too, begin at the left.
        rules: Straight strokes and thin bars.
        fills: Shaded rectangles.
        pictures: Bounding boxes of raster images.
        drawings: Bounding boxes of vector drawings such as charts.
        formulas: Bounding boxes of displayed formulas, detected by their fonts.
        hidden: Invisible text: of an OCR layer, under an image, or white on white.
        notes: Texts of annotations, each a line with its kind before it.
        watermarks: Large text that crosses the lines of the page.
        fields: Fields of forms.
        drawn_letters: Whether many characters are in Type 3 fonts, whose Unicode mapping is often
            wrong.
    """

    width: int
    height: int
    dpi: float
    lines: tuple[Line, ...] = ()
    rules: tuple[Rule, ...] = ()
    fills: tuple[Box, ...] = ()
    pictures: tuple[Box, ...] = ()
    drawings: tuple[Box, ...] = ()
    formulas: tuple[Box, ...] = ()
    hidden: tuple[Line, ...] = ()
    notes: tuple[Line, ...] = ()
    watermarks: tuple[Line, ...] = ()
    fields: tuple[FormField, ...] = ()
    drawn_letters: bool = False


def native_page(file: PdfFile, index: int, dpi: float) -> NativePage:
    """Return the native content of a page.

    Args:
        file: An open PDF.
        index: Page index from 0.
        dpi: Resolution of the returned geometry in pixels per inch.

    Raises:
        InputError: The page is damaged.
    """
    try:
        return _native_page(file, index, dpi)
    except InputError:
        raise
    except Exception as error:  # a damaged page makes MuPDF raise nearly anything
        raise file.damaged(index, error) from None


def _native_page(file: PdfFile, index: int, dpi: float) -> NativePage:
    page, shown = file.page(index), file.shown(index)
    shown = list_without_notes(page) or shown
    scale = dpi / POINTS_PER_INCH
    width, height = (max(1, math.ceil(side * scale - 0.001)) for side in file.size(index))
    letters, vectors = read_content(shown, scale)
    letters = file.glyphs.resolve(page, letters, scale)
    letters = remove_blank_glyphs(file, index, letters, _boxes(letters) / scale)
    pictures, opaque = _pictures(shown, scale, (width, height))
    seen = letters.seen & ~_covered(page, letters, pictures[opaque], scale)
    seen &= ~_invisible_on_background(file, index, letters, vectors, seen, scale)
    seen &= ~_too_small(letters, scale)
    own, unseen = letters.of(np.flatnonzero(seen)), letters.of(np.flatnonzero(~seen))
    own, underscores = with_underscores(with_accents(without_copies(own)), vectors)
    vectors = vectors.of(np.flatnonzero(~underscores))
    fields = tuple(form_fields(page, scale))
    boxes = button_boxes(fields)
    boxes += drawn_boxes(own, vectors, scale)
    if boxes:
        own = own.of(np.flatnonzero(~inside_boxes(boxes, own.middles, 0.0)))
        middles = (vectors.boxes[:, :2] + vectors.boxes[:, 2:]) / 2
        small = (vectors.boxes[:, 2:] - vectors.boxes[:, :2]).max(axis=1) < 1.5 * max(
            check.box.height for check in boxes
        )
        marks = inside_boxes(boxes, middles, scale) & small
        vectors = vectors.of(np.flatnonzero(~marks))
    drawn = classify_vectors(vectors, _boxes(own), (width, height), dpi)
    upright = np.array(
        [(rule.x0, rule.y0, rule.y1) for rule in drawn.rules if not rule.level]
    ).reshape(-1, 3)
    links, targets = _links(page, own, scale)
    found = assemble_lines(own, links, targets, upright)
    lines, marks = add_bullets([line.line for line in found], vectors, drawn.drawings, scale)
    across = watermarks(lines)
    crossing = [lines[i] for i in sorted(across)]
    lines, rules = with_strikes(
        [line for i, line in enumerate(lines) if i not in across], drawn.rules
    )
    lines += sign_lines(boxes, lines)
    lines += _field_lines(page, lines, scale, (width, height))
    return NativePage(
        width,
        height,
        dpi,
        tuple(lines),
        tuple(rules),
        tuple(fill for fill in drawn.fills if fill not in marks),
        tuple(Box(*box) for box in pictures.tolist()),
        drawn.drawings,
        find_formulas(found),
        tuple(line.line for line in assemble_lines(unseen)),
        tuple(_notes(page, lines, scale)),
        tuple(crossing),
        fields,
        bool((own.style & DRAWN > 0).mean() > MAX_TYPE3_SHARE) if len(own.text) else False,
    )


def _boxes(letters: Letters) -> Floats:
    """Return (N, 4) axis-aligned bounding boxes of characters."""
    middles, half = letters.middles, letters.size / 2
    wide = np.maximum(letters.width / 2, 0.05 * letters.size)
    level = np.abs(letters.turn[:, 0]) > 0.7
    x, y = np.where(level, wide, half), np.where(level, half, wide)
    return np.stack(
        (middles[:, 0] - x, middles[:, 1] - y, middles[:, 0] + x, middles[:, 1] + y), axis=1
    )


def _pictures(
    shown: pymupdf.DisplayList, scale: float, size: tuple[int, int]
) -> tuple[Floats, Flags]:
    """Return (P, 4) bounding boxes of raster images, and (P,) whether each is opaque."""
    images = pymupdf.TextPage(shown.get_textpage(_IMAGES | _CLIP)).extractIMGINFO()
    boxes = np.array([image["bbox"] for image in images], np.float64).reshape(-1, 4) * scale
    boxes = np.clip(boxes, 0, [*size, *size])
    opaque = np.array([not image.get("has-mask") for image in images], bool)
    kept = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    return boxes[kept], opaque[kept]


def _covered(page: pymupdf.Page, letters: Letters, pictures: Floats, scale: float) -> Flags:
    """Return which characters lie under an image that was painted after them."""
    covered = np.zeros(len(letters.text), bool)
    if not len(pictures) or not len(covered):
        return covered
    areas = (pictures[:, 2] - pictures[:, 0]) * (pictures[:, 3] - pictures[:, 1])
    largest = pictures[np.argsort(-areas)[:MAX_COVERING_IMAGES]]
    points = letters.middles
    inside = [points_inside(points, Box(*box)) & letters.seen for box in largest.tolist()]
    if not any(some.any() for some in inside):
        return covered
    turn = page.rotation_matrix
    log = [
        (number, tuple(pymupdf.Rect(box) * turn * scale))
        for number, (kind, box) in enumerate(page.get_bboxlog())
        if kind == "fill-image"
    ]
    spans = [
        (span["seqno"], tuple(pymupdf.Rect(span["bbox"]) * turn * scale))
        for span in page.get_texttrace()
        if span["type"] != 3
    ]
    order = np.array([number for number, _ in spans])
    boxes = np.array([box for _, box in spans], np.float64).reshape(-1, 4)
    for box, within in zip(largest.tolist(), inside, strict=True):
        near = 2 * scale
        painted = [n for n, other in log if max(map(abs, np.subtract(box, other))) <= near]
        if not painted or not within.any():
            continue
        under = np.flatnonzero(within)
        spot = points[under]
        first, over = np.zeros(len(under), bool), np.zeros(len(under), bool)
        for number, span in zip(order.tolist(), boxes.tolist(), strict=True):
            hit = points_inside(spot, Box(*span))
            if number < max(painted):
                first |= hit
            else:
                over |= hit
        covered[under] |= first & ~over
    return covered


def _invisible_on_background(
    file: PdfFile, index: int, letters: Letters, vectors: Vectors, seen: Flags, scale: float
) -> Flags:
    """Return which characters have the colour of their background, by rendering the page."""
    pale = np.zeros(len(letters.text), bool)
    if not seen.any():
        return pale
    colors = np.stack((letters.color >> 16 & 255, letters.color >> 8 & 255, letters.color & 255))
    doubt = colors.min(axis=0) >= MIN_PALE_CHANNEL
    points = letters.middles
    dark = np.unique(letters.color[~doubt])
    areas = vectors.straight & ~vectors.stroked & np.isin(vectors.color, dark)
    areas &= (vectors.boxes[:, 2:] - vectors.boxes[:, :2]).min(axis=1) > MIN_BACKGROUND_SIDE * scale
    for box, color in zip(
        vectors.boxes[areas].tolist(), vectors.color[areas].tolist(), strict=True
    ):
        doubt |= (letters.color == color) & points_inside(points, Box(*box))
    doubt = (doubt | letters.covered) & seen
    if not doubt.any():
        return pale
    wide, high = file.size(index)
    dpi = min(PROBE_DPI, PROBE_DPI * math.sqrt(MAX_PROBE_AREA / max(wide * high, 1.0)))
    grey = cv2.cvtColor(file.rasterise(index, dpi), cv2.COLOR_RGB2GRAY)
    boxes = _boxes(letters) * (dpi / POINTS_PER_INCH / scale)
    chosen = np.flatnonzero(doubt)
    for some in np.split(chosen, np.flatnonzero(np.diff(letters.row[chosen])) + 1):
        x0, y0 = np.floor(boxes[some, :2].min(axis=0)).astype(int).tolist()
        x1, y1 = np.ceil(boxes[some, 2:].max(axis=0)).astype(int).tolist()
        crop = grey[max(y0, 0) : y1, max(x0, 0) : x1]
        pale[some] = crop.size == 0 or int(np.ptp(crop)) < MIN_TEXT_CONTRAST
    return pale


def _too_small(letters: Letters, scale: float) -> Flags:
    """Return which characters nobody can read, unless much of the page is as small."""
    small = letters.size < MIN_READABLE_SIZE * scale
    return small & (small.mean() < MAX_UNREADABLE_SHARE) if len(small) else small


def _links(
    page: pymupdf.Page, letters: Letters, scale: float
) -> tuple[NDArray[np.int64], list[str]]:
    """Return (N,) link index of each character, -1 for none, and the link targets."""
    leads = np.full(len(letters.text), -1)
    targets: list[str] = []
    known: dict[str, int] = {}
    points = letters.middles
    for link in page.get_links():
        target = _target(link)
        if not target:
            continue
        within = points_inside(points, Box(*link["from"]).scaled(scale))
        leads[within] = known.setdefault(target, len(targets))
        if len(known) > len(targets):
            targets.append(target)
    return leads, targets


def _target(link: dict[str, object]) -> str:
    if link.get("uri"):
        uri = str(link["uri"]).strip()
        return uri if LINK_SCHEMES.match(uri) and not re.search(r"[\s<>]", uri) else ""
    number = link.get("page", -1)
    inside = link["kind"] in (pymupdf.LINK_GOTO, pymupdf.LINK_NAMED)
    return f"#page={number + 1}" if inside and isinstance(number, int) and number >= 0 else ""


def _notes(page: pymupdf.Page, lines: Sequence[Line], scale: float) -> Iterator[Line]:
    """Yield the texts of annotations that the page does not show at their place."""
    kinds = {kind for _, kind, _ in page.annot_xrefs()}
    if not kinds - {pymupdf.PDF_ANNOT_LINK, pymupdf.PDF_ANNOT_WIDGET, pymupdf.PDF_ANNOT_POPUP}:
        return
    for kind, said, box in note_texts(page):
        if not _is_shown(said, box.scaled(scale), lines, scale):
            x0, y0 = box.x0 * scale, box.y0 * scale
            yield _fixed_width_line(f"[{kind}: {said}]", x0, y0, NOTE_SIZE * scale)


def _field_lines(
    page: pymupdf.Page, lines: Sequence[Line], scale: float, size: tuple[int, int]
) -> Iterator[Line]:
    """Yield the text of form fields that do not show their value, and of text typed into a page."""
    kinds = {kind for _, kind, _ in page.annot_xrefs()}
    if pymupdf.PDF_ANNOT_FREE_TEXT in kinds:
        for typed in page.annots(types=(pymupdf.PDF_ANNOT_FREE_TEXT,)):
            if not typed.flags & (pymupdf.PDF_ANNOT_IS_HIDDEN | pymupdf.PDF_ANNOT_IS_NO_VIEW):
                said = str(typed.info.get("content") or "")
                yield from _wrapped_note(
                    said, [side * scale for side in typed.rect], lines, scale, size
                )
    if pymupdf.PDF_ANNOT_WIDGET in kinds:
        held = (pymupdf.PDF_WIDGET_TYPE_TEXT, pymupdf.PDF_WIDGET_TYPE_COMBOBOX,
                pymupdf.PDF_WIDGET_TYPE_LISTBOX)  # fmt: skip
        for field in page.widgets(types=held):
            if field.field_value and field.field_display == 0:
                value = field.field_value
                said = value if isinstance(value, str) else "\n".join(map(str, value))
                yield from _wrapped_note(
                    said, [side * scale for side in field.rect], lines, scale, size
                )


def _wrapped_note(
    said: str, box: list[float], lines: Sequence[Line], scale: float, size: tuple[int, int]
) -> Iterator[Line]:
    """Yield the lines of an annotation at its position, unless the page shows them there."""
    rows = [row for part in said.splitlines() for row in textwrap.wrap(part, MAX_NOTE_COLUMNS)]
    if not rows or _is_shown("".join(rows), Box(*box), lines, scale):
        return
    type_size = NOTE_SIZE * scale
    for k, row in enumerate(rows):
        width = 0.5 * type_size * len(row)
        x0 = max(0.0, min(box[0], size[0] - width))
        y0 = max(0.0, min(box[1], size[1] - 1.2 * type_size * len(rows))) + 1.2 * k * type_size
        yield _fixed_width_line(row, x0, y0, type_size)


def _is_shown(said: str, box: Box, lines: Sequence[Line], slack: float) -> bool:
    """Tell whether the page shows a text in a box."""
    there = (
        word.text
        for line in lines
        for word in line.words
        if box.contains(word.box.center_x, word.box.center_y, slack)
    )
    return _letters_only(said) in _letters_only("".join(there))


def _letters_only(text: str) -> str:
    return re.sub(r"\W", "", text)


def _fixed_width_line(text: str, x0: float, y0: float, size: float) -> Line:
    def quad(start: int, end: int) -> Quad:
        left, right, foot = (
            x0 + start * size / 2,
            x0 + end * size / 2,
            y0 + (ASCENT_EMS + DESCENT_EMS) * size,
        )
        return (left, y0), (right, y0), (right, foot), (left, foot)

    words = tuple(
        Word(match.group(), 1.0, quad(match.start(), match.end()))
        for match in re.finditer(r"\S+", text)
    )
    return Line(" ".join(word.text for word in words), 1.0, quad(0, len(text)), words, size)
