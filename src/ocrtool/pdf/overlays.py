"""What lies over or under the text of a page: watermarks and the notes of annotations.

Both are no part of the sentences that they cover, and stand apart from the lines of the page.
"""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pymupdf

from ocrtool.document.tree import Box, Line

NOTE_KINDS = frozenset(
    {
        pymupdf.PDF_ANNOT_TEXT,
        pymupdf.PDF_ANNOT_STAMP,
        pymupdf.PDF_ANNOT_FILE_ATTACHMENT,
        pymupdf.PDF_ANNOT_CARET,
    }
)
"""Kinds of annotations whose appearance is no part of the text; others draw boxes and strokes, or
are typed into the page."""
OBLIQUE_DEGREES = 8.0
"""Minimum angle between the direction of a watermark and both axes of the page, in degrees."""
MIN_OBLIQUE_RATIO = 1.6
"""Minimum type size of an oblique watermark, as a multiple of that of the text."""
MIN_WATERMARK_RATIO = 2.5
"""Minimum type size of a level or upright watermark, as a multiple of that of the text."""
MIN_WATERMARK_LETTERS = 3
"""Minimum number of characters of a watermark; shorter texts are initials or signs of formulas."""
MIN_CROSSED_LINES = 2
"""Minimum number of lines of text that a watermark crosses."""


def watermarks(lines: Sequence[Line]) -> set[int]:
    """Return the indices of lines of large type that cross several lines of the text.

    Args:
        lines: Lines of a page, with the sizes of their type.
    """
    if len(lines) <= MIN_CROSSED_LINES:
        return set()
    letters = np.array([len(line.text) for line in lines])
    sizes = np.array([line.size for line in lines])
    order = np.argsort(sizes)
    half = np.searchsorted(np.cumsum(letters[order]), letters.sum() / 2)
    usual = float(sizes[order][min(half, len(order) - 1)])
    found: set[int] = set()
    boxes = [line.box for line in lines]
    for i in np.flatnonzero(sizes > MIN_OBLIQUE_RATIO * usual).tolist():
        line = lines[i]
        least = MIN_OBLIQUE_RATIO if _is_oblique(line) else MIN_WATERMARK_RATIO
        if line.size < least * usual or len(line.text) < MIN_WATERMARK_LETTERS:
            continue
        points = _middle_points(line)
        crossed = sum(
            any(box.contains(x, y) for x, y in points)
            for k, box in enumerate(boxes)
            if k != i and lines[k].size < line.size / MIN_OBLIQUE_RATIO
        )
        if crossed >= MIN_CROSSED_LINES:
            found.add(i)
    return found


def _is_oblique(line: Line) -> bool:
    (x0, y0), (x1, y1) = line.quad[0], line.quad[1]
    angle = math.degrees(math.atan2(y1 - y0, x1 - x0)) % 90
    return min(angle, 90 - angle) > OBLIQUE_DEGREES


def _middle_points(line: Line) -> list[tuple[float, float]]:
    """Return points in and across the letters of a line, half its type size apart."""
    corners = np.array(line.quad)
    along, across = corners[1] - corners[0], corners[3] - corners[0]
    count = max(2, math.ceil(2 * float(np.hypot(*along)) / max(line.size, 1e-6)))
    return [
        tuple((corners[0] + s * along + t * across).tolist())
        for s in np.linspace(0.02, 0.98, count)
        for t in (0.25, 0.45, 0.65, 0.8)
    ]


def list_without_notes(page: pymupdf.Page) -> pymupdf.DisplayList | None:
    """Return the display list of a page without its notes, None where it has none.

    Fields of forms, text that is typed into the page and the strokes of highlights stay.
    """
    if not {kind for _, kind, _ in page.annot_xrefs()} & NOTE_KINDS:
        return None
    notes = [note for note in page.annots() if note.type[0] in NOTE_KINDS]
    hidden = [(note, note.flags) for note in notes]
    try:
        for note, flags in hidden:
            note.set_flags(flags | pymupdf.PDF_ANNOT_IS_HIDDEN)
        shown: pymupdf.DisplayList = page.get_displaylist()
        return shown
    finally:
        for note, flags in hidden:
            note.set_flags(flags)


def note_texts(page: pymupdf.Page) -> Iterator[tuple[str, str, Box]]:
    """Yield the kind of each annotation, what it says, and its box in points.

    What a stamp shows counts where it states nothing else.
    """
    hidden = pymupdf.PDF_ANNOT_IS_HIDDEN | pymupdf.PDF_ANNOT_IS_NO_VIEW
    for note in page.annots():
        if note.flags & hidden or note.type[0] == pymupdf.PDF_ANNOT_FREE_TEXT:
            continue
        said = str(note.info.get("content") or "").strip()
        if not said and note.type[0] == pymupdf.PDF_ANNOT_STAMP:
            said = str(note.get_text("text")).strip()
        if said:
            kind = "stamp" if note.type[0] == pymupdf.PDF_ANNOT_STAMP else "note"
            yield kind, " ".join(said.split()), Box(*note.rect)
