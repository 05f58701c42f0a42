"""Check boxes and radio buttons: fields of forms, and squares that a page draws.

Each becomes a sign of its own, ☐ or ☒, in the place of its box; ticks in it are no text.
"""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pymupdf

from ocrtool.document.geometry import points_inside
from ocrtool.document.tree import Box, FormField, Line, Word
from ocrtool.pdf.content import Flags, Letters, Vectors
from ocrtool.pdf.lines import ASCENT_EMS, DESCENT_EMS

EMPTY, TICKED = "☐", "☒"
"""Signs of check boxes and radio buttons."""
SIDE_POINTS = (5.0, 18.0)
"""Minimum and maximum side of a drawn check box, in points."""
MIN_SIDE_EMS = 0.55
"""Minimum side of a drawn check box, in ems of the text beside it; smaller squares are bullets."""
MAX_SIDE_EMS = 1.7
"""Maximum side of a drawn check box, in ems of the text beside it."""
MAX_LABEL_GAP_EMS = 1.8
"""Maximum gap between a drawn check box and the text to its right, in ems."""
MAX_SQUARES = 400
"""Maximum number of squares on a page; with more, the page is a grid or a drawing."""
TICKS = frozenset("xX\u00d7✓✔✕✖✗✘●•■")
"""Characters that tick a box."""
_KINDS = {
    pymupdf.PDF_WIDGET_TYPE_TEXT: "text",
    pymupdf.PDF_WIDGET_TYPE_CHECKBOX: "check box",
    pymupdf.PDF_WIDGET_TYPE_RADIOBUTTON: "radio button",
    pymupdf.PDF_WIDGET_TYPE_COMBOBOX: "choice",
    pymupdf.PDF_WIDGET_TYPE_LISTBOX: "choice",
}
_BUTTONS = ("check box", "radio button")


@dataclass(frozen=True)
class CheckBox:
    """A check box or radio button.

    Attributes:
        box: In pixels.
        ticked: Whether it is ticked.
    """

    box: Box
    ticked: bool


def form_fields(page: pymupdf.Page, scale: float) -> Iterator[FormField]:
    """Yield the fields of forms on a page, in pixels of ``scale`` to the point."""
    if pymupdf.PDF_ANNOT_WIDGET not in {kind for _, kind, _ in page.annot_xrefs()}:
        return
    for widget in page.widgets(types=tuple(_KINDS)):
        kind = _KINDS[widget.field_type]
        value = widget.field_value
        if isinstance(value, (list, tuple)):
            value = "\n".join(map(str, value))
        said = "" if value is None else str(value)
        if kind in _BUTTONS:
            said = "" if value in (None, False, "Off", "") else said
            if kind == "radio button" and said and said != str(widget.on_state()):
                said = ""  # another button of the group is chosen
        box = Box(*widget.rect).scaled(scale)
        yield FormField(str(widget.field_name or ""), kind, said, box, widget.field_display == 0)


def button_boxes(fields: Sequence[FormField]) -> list[CheckBox]:
    """Return the check boxes and radio buttons among fields that are shown."""
    return [
        CheckBox(field.box, bool(field.value))
        for field in fields
        if field.kind in _BUTTONS and field.shown
    ]


def drawn_boxes(letters: Letters, vectors: Vectors, scale: float) -> list[CheckBox]:
    """Return the squares right before text that touch no other: drawn check boxes.

    Args:
        letters: Characters of the page.
        vectors: Its vector graphics.
        scale: Pixels per point.
    """
    wide = vectors.boxes[:, 2] - vectors.boxes[:, 0]
    high = vectors.boxes[:, 3] - vectors.boxes[:, 1]
    least, most = (side * scale for side in SIDE_POINTS)
    square = vectors.straight & vectors.stroked & (np.abs(wide - high) < 0.15 * high)
    square &= (high > least) & (high < most)
    chosen = np.flatnonzero(square)
    if not len(chosen) or len(chosen) > MAX_SQUARES or not len(letters.text):
        return []
    level = letters.turn[:, 0] > 0.999
    tick = np.array([text in TICKS for text in letters.text], bool)
    found: list[CheckBox] = []
    for i in chosen.tolist():
        box = Box(*vectors.boxes[i].tolist())
        middle_y = box.center_y
        rise = (letters.v - middle_y) / letters.size
        gap = (letters.u - box.x1) / letters.size
        beside = level & (rise > -0.1) & (rise < 0.8) & (gap > 0) & (gap < MAX_LABEL_GAP_EMS)
        beside &= (box.height > MIN_SIDE_EMS * letters.size) & (
            box.height < MAX_SIDE_EMS * letters.size
        )
        inside = points_inside(letters.middles, box)
        if not beside.any() or (inside & ~tick).any() or _touches_others(vectors, i, box, scale):
            continue
        points = (vectors.boxes[:, :2] + vectors.boxes[:, 2:]) / 2
        strokes = points_inside(points, box) & (np.maximum(wide, high) < 1.3 * box.height)
        strokes &= np.maximum(wide, high) > 0.3 * box.height
        strokes &= ~(vectors.straight & (np.minimum(wide, high) > 0.8 * box.height))
        found.append(CheckBox(box, bool(inside.any() or strokes.any())))
    return found


def _touches_others(vectors: Vectors, i: int, box: Box, scale: float) -> bool:
    """Tell whether a square meets other straight lines or squares, as in a grid."""
    slack = 0.5 * scale
    boxes = vectors.boxes
    meets = (boxes[:, 0] < box.x1 + slack) & (boxes[:, 2] > box.x0 - slack)
    meets &= (boxes[:, 1] < box.y1 + slack) & (boxes[:, 3] > box.y0 - slack)
    beyond = (boxes[:, 0] < box.x0 - slack) | (boxes[:, 2] > box.x1 + slack)
    beyond |= (boxes[:, 1] < box.y0 - slack) | (boxes[:, 3] > box.y1 + slack)
    around = (boxes[:, 0] < box.x0 - slack) & (boxes[:, 2] > box.x1 + slack)
    around &= (boxes[:, 1] < box.y0 - slack) & (boxes[:, 3] > box.y1 + slack)
    meets &= beyond & ~around & vectors.straight
    meets[i] = False
    return bool(meets.any())


def inside_boxes(boxes: Sequence[CheckBox], points: np.ndarray, margin: float) -> Flags:
    """Return which of (N, 2) points lie in a check box, or less than a margin beside it."""
    inside = np.zeros(len(points), bool)
    for check in boxes:
        inside |= points_inside(points, check.box, margin)
    return inside


def sign_lines(boxes: Sequence[CheckBox], lines: Sequence[Line]) -> list[Line]:
    """Return a line with a sign for each box, on the baseline of the text beside it."""
    level = [line for line in lines if line.quad[0][1] == line.quad[1][1] and line.size > 0]
    result = []
    for check in boxes:
        box = check.box
        row = [line for line in level if line.box.y0 < box.center_y < line.box.y1]
        near = min(row, key=lambda line: abs(line.box.x0 - box.x1), default=None)
        if near is not None:
            top, foot, size = near.quad[0][1], near.quad[3][1], near.size
        else:
            size = box.height
            top = box.center_y - (ASCENT_EMS + DESCENT_EMS) / 2 * size
            foot = top + (ASCENT_EMS + DESCENT_EMS) * size
        quad = ((box.x0, top), (box.x1, top), (box.x1, foot), (box.x0, foot))
        sign = TICKED if check.ticked else EMPTY
        result.append(Line(sign, 1.0, quad, (Word(sign, 1.0, quad),), size))
    return result
