"""The picture with what was found drawn on it: blocks, lines, and words by confidence."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtool.document.geometry import words_of
from ocrtool.document.tree import BlockKind, Page, Quad
from ocrtool.writers.formats import PageInput

Color = tuple[int, int, int]

KIND_COLORS: dict[BlockKind, Color] = {
    "heading": (160, 60, 200),
    "paragraph": (60, 110, 220),
    "quote": (60, 170, 220),
    "list": (30, 150, 190),
    "table": (200, 120, 0),
    "formula": (200, 0, 120),
    "figure": (110, 110, 110),
    "caption": (120, 90, 60),
    "footnote": (90, 120, 60),
    "header": (140, 140, 60),
    "footer": (140, 140, 60),
    "code": (0, 130, 100),
}
LINE_COLOR: Color = (90, 160, 255)
SURE: Color = (20, 160, 60)
UNSURE: Color = (220, 40, 30)
HALF = 0.5
"""Confidence that has the colour of the least."""
SUBPIXEL_BITS = 4


def draw_overlay(pixels: NDArray[np.uint8], page: Page) -> NDArray[np.uint8]:
    """Draw a page's boxes on a copy of its picture.

    Blocks are framed and named in the colour of their kind, lines in blue, words from red (in
    doubt) to green (sure).

    Args:
        pixels: (H, W, 3) RGB, uint8; H and W are the page's.
        page: What was read.

    Returns:
        (H, W, 3) RGB, uint8.
    """
    canvas = pixels.copy()
    thick = max(1, round(max(page.width, page.height) / 1200))
    for block in page.blocks:
        for line in block.lines:
            _frame(canvas, line.quad, LINE_COLOR, thick)
            for word in words_of(line):
                share = min(1.0, max(0.0, (word.confidence - HALF) / (1 - HALF)))
                _frame(canvas, word.quad, _between(UNSURE, SURE, share), thick)
    for block in page.blocks:
        color, box = KIND_COLORS[block.kind], block.box
        x0, y0, x1, y1 = box.x0 - thick, box.y0 - thick, box.x1 + thick, box.y1 + thick
        _frame(canvas, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), color, 2 * thick)
        _label(canvas, block.kind, (round(x0), round(y0)), color, thick)
    return canvas


def overlay_png(sheet: PageInput) -> bytes:
    """Return :func:`draw_overlay` of a sheet as the content of a PNG file.

    Raises:
        ValueError: The sheet has no picture.
    """
    if sheet.picture is None:
        raise ValueError("an overlay is drawn on the picture of its page")
    buffer = io.BytesIO()
    image = Image.fromarray(draw_overlay(sheet.picture.pixels, sheet.page))
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _frame(canvas: NDArray[np.uint8], quad: Quad, color: Color, thick: int) -> None:
    points = np.rint(np.array(quad, np.float64) * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.polylines(canvas, [points], True, color, thick, cv2.LINE_AA, SUBPIXEL_BITS)


def _label(
    canvas: NDArray[np.uint8], text: str, place: tuple[int, int], color: Color, thick: int
) -> None:
    """Write a block's kind in a filled tab on its upper edge, or below it at the page's top."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * thick
    (width, height), base = cv2.getTextSize(text, font, scale, thick)
    x, y = place
    bottom = y if y > height + base else y + height + base
    cv2.rectangle(canvas, (x, bottom - height - base), (x + width, bottom), color, cv2.FILLED)
    cv2.putText(
        canvas, text, (x, bottom - base // 2 - 1), font, scale, (255, 255, 255), thick, cv2.LINE_AA
    )


def _between(start: Color, end: Color, share: float) -> Color:
    r, g, b = (round(a + share * (z - a)) for a, z in zip(start, end, strict=True))
    return r, g, b
