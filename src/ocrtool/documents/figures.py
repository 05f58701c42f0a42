"""Figures of a page as image files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrtool.document.tree import Block, Box, Page
from ocrtool.pdf.images import PlacedImage

LEAST = 24 / 200
"""Inches, either side; what is smaller is decoration."""
THINNEST = 30.0
"""Length, in widths, from which a picture is a rule."""
BACKGROUND = 0.9
"""Share of the page from which a picture is its ground."""
SHARPEST = 300.0
"""Dots an inch at which figures are cut out at most."""
DRAWN = 200.0
"""Dots an inch of those that are drawn."""
PHOTO_COLOURS = 4000
"""Colours from which a figure is a photo and kept as JPEG."""
QUALITY = 88

Pixels = NDArray[np.uint8]


def with_figures(
    page: Page,
    placed: Sequence[PlacedImage],
    cut: Callable[[Box, float], Pixels],
) -> tuple[Page, dict[str, bytes]]:
    """Cut the figures of a page out.

    Args:
        page: The page. Its figures that are decoration and say nothing are left out.
        placed: Raster images of the page.
        cut: Returns the pixels of a place, given in pixels of the page, at a resolution in dots
            an inch.

    Returns:
        The page with the names of the files, and their content by name.
    """
    files: dict[str, bytes] = {}
    blocks: list[Block] = []
    for block in page.blocks:
        if block.kind != "figure":
            blocks.append(block)
            continue
        box = block.box.clipped(page.width, page.height)
        if _is_decoration(box, page):
            if block.lines:
                blocks.append(block)
            continue
        content, suffix = _file_of(box, page, placed, cut)
        name = f"page-{page.number:03d}-figure-{len(files) + 1}.{suffix}"
        files[name] = content
        blocks.append(replace(block, image=name))
    return replace(page, blocks=tuple(blocks)), files


def _is_decoration(box: Box, page: Page) -> bool:
    wide, high = box.width, box.height
    least = LEAST * (page.dpi or 200.0)
    if min(wide, high) < least or max(wide, high) > THINNEST * min(wide, high):
        return True
    text = any(block.lines for block in page.blocks if block.kind != "figure")
    return text and wide * high > BACKGROUND * page.width * page.height


def _file_of(
    box: Box, page: Page, placed: Sequence[PlacedImage], cut: Callable[[Box, float], Pixels]
) -> tuple[bytes, str]:
    near = 0.03 * (page.dpi or 200.0)
    inside = [image for image in placed if image.box.share_in(box) > 0.5]
    if len(inside) == 1 and inside[0].jpeg is not None:
        own = inside[0].box
        if max(abs(own.x0 - box.x0), abs(own.y0 - box.y0),
               abs(own.x1 - box.x1), abs(own.y1 - box.y1)) <= near:  # fmt: skip
            return inside[0].jpeg, "jpg"
    sharp = max((image.dpi for image in inside), default=DRAWN)
    pixels = cut(box, min(SHARPEST, max(sharp, DRAWN / 2)))
    colours = len(np.unique(pixels[::2, ::2].reshape(-1, 3), axis=0)) if inside else 0
    buffer = io.BytesIO()
    if colours > PHOTO_COLOURS:
        Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue(), "jpg"
    grey = bool((pixels == pixels[..., :1]).all())
    Image.fromarray(pixels[..., 0] if grey else pixels).save(buffer, "PNG", optimize=False)
    return buffer.getvalue(), "png"
