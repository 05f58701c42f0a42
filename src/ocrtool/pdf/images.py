"""Raster images placed on a PDF page."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pymupdf

from ocrtool.document.tree import Box
from ocrtool.pdf.file import POINTS_PER_INCH, PdfFile

_CLIP, _IMAGES = 64, 4  # flags of MuPDF's text extraction
JPEG_SIGNATURE = b"\xff\xd8\xff"
"""First bytes of a JPEG file."""
PLACEMENT_TOLERANCE = 0.02
"""Maximum distance, in inches, between an image's visible box and its full extent."""


@dataclass(frozen=True)
class PlacedImage:
    """A raster image placed on a page.

    Attributes:
        box: Bounding box in pixels of the page.
        dpi: Resolution of the image on the page in pixels per inch, the larger of both axes.
        jpeg: The embedded JPEG file, only where it looks exactly as on the page: upright,
            uncropped, unmasked, in grey or RGB.
    """

    box: Box
    dpi: float
    jpeg: bytes | None = None


def placed_images(file: PdfFile, index: int, dpi: float, content: bool = True) -> list[PlacedImage]:
    """Return the raster images of a page in painting order.

    Args:
        file: An open PDF.
        index: Page index from 0.
        dpi: Resolution of the returned geometry in pixels per inch.
        content: Whether to return embedded JPEG files.

    Raises:
        InputError: The page is damaged.
    """
    scale = dpi / POINTS_PER_INCH
    page = file.page(index)
    try:
        shown = pymupdf.TextPage(file.shown(index).get_textpage(_IMAGES | _CLIP))
        images = shown.extractIMGINFO()
        listed = page.get_images(full=True) if content and images else []
        return [_placed(file, image, listed, scale) for image in images]
    except Exception as error:
        raise file.damaged(index, error) from None


def _placed(
    file: PdfFile, image: dict[str, Any], listed: list[tuple[Any, ...]], scale: float
) -> PlacedImage:
    x0, y0, x1, y1 = image["bbox"]
    box = Box(x0, y0, x1, y1).scaled(scale)
    a, b, c, d, e, f = image["transform"]
    across, down = (a * a + b * b) ** 0.5, (c * c + d * d) ** 0.5
    dpi = POINTS_PER_INCH * max(
        image["width"] / max(across, 1e-3), image["height"] / max(down, 1e-3)
    )
    whole = (
        max(abs(x0 - e), abs(y0 - f), abs(x1 - e - a), abs(y1 - f - d))
        < PLACEMENT_TOLERANCE * POINTS_PER_INCH
    )
    if not (whole and a > 0 and d > 0 and abs(b) + abs(c) < 1e-3) or image.get("has-mask"):
        return PlacedImage(box, dpi)
    alike = [
        entry[0]
        for entry in listed
        if entry[2:4] == (image["width"], image["height"])
        and entry[1] == 0
        and entry[8] == "DCTDecode"
    ]
    if len(set(alike)) != 1 or image["colorspace"] not in (1, 3):
        return PlacedImage(box, dpi)
    if file.document.xref_get_key(alike[0], "Decode")[0] != "null":
        return PlacedImage(box, dpi)
    content = file.document.xref_stream_raw(alike[0])
    return PlacedImage(
        box, dpi, content if content and content.startswith(JPEG_SIGNATURE) else None
    )
