"""What a page is read from: its pixels, and the file that they came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ocrtool.pdf import PdfFile


@dataclass(frozen=True, eq=False)
class Picture:
    """What a page was read from.

    Attributes:
        pixels: (H, W, 3) RGB, uint8, upright as the camera meant; H and W are the page's.
        file: Content of the image file, where the pixels are its only frame. A PDF and an HTML
            page then carry it untouched.
        pdf: The document, still open, where the pixels are its page ``Page.number``.
    """

    pixels: NDArray[np.uint8]
    file: bytes | None = None
    pdf: PdfFile | None = None
