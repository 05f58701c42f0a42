"""Rasterisation of SVG drawings."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import cv2
import numpy as np
import pymupdf
from numpy.typing import NDArray


def draw_svg(svg: str, scale: float = 1.0) -> NDArray[np.uint8] | None:
    """Rasterise an SVG.

    Args:
        svg: Text of the SVG file.
        scale: Pixels per unit of the drawing.

    Returns:
        (H, W) grey image, uint8, on white, cropped to its ink with a margin of one pixel; None
        where there is no ink or the text is no valid SVG.
    """
    try:
        with pymupdf.open(stream=svg.encode(), filetype="svg") as file:
            drawn = file[0].get_pixmap(
                matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csGRAY, alpha=False
            )
    except Exception:  # MuPDF raises nearly anything
        return None
    grey = np.frombuffer(drawn.samples, np.uint8).reshape(drawn.height, drawn.stride)
    grey = np.pad(grey[:, : drawn.width], 1, constant_values=255)
    x, y, width, height = cv2.boundingRect((grey < 250).astype(np.uint8))
    if width < 1 or height < 1:
        return None
    return np.ascontiguousarray(grey[max(0, y - 1) : y + height + 1, max(0, x - 1) : x + width + 1])
