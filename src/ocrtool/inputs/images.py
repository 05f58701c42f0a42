"""Files to pixels: every image that Pillow reads, turned as the camera meant, and pages of PDFs."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ocrtool.errors import InputError
from ocrtool.inputs.page_ranges import PageSelection
from ocrtool.inputs.page_source import PDF_DPI, ImagePage, PageSource, PdfPage

PDF_START = b"%PDF-"
PDF_HEAD = 1024
"""Bytes at the start of a file within which a PDF says that it is one."""
BAND = 1024
"""Rows of an image that are converted at a time."""
_WARNINGS_LOCK = threading.Lock()  # catch_warnings changes state of the whole process

logger = logging.getLogger(__name__)


def open_pages(
    source: Path | bytes,
    selection: PageSelection | None = None,
    dpi: float = PDF_DPI,
    password: str | None = None,
) -> Iterator[PageSource]:
    """Open an image, a TIFF of several pages, or a PDF, one page at a time.

    Of images that move, the first frame is the page.

    Args:
        source: A path, or the content of a file.
        selection: Pages that are wanted.
        dpi: Pixels an inch at which pages of a PDF are drawn.
        password: Of an encrypted PDF.

    Yields:
        The wanted pages in order. A PDF is open as long as one of its pages is kept.

    Raises:
        InputError: It is missing, empty, damaged, too large, or has none of the wanted pages.
        EncryptedError: It is a PDF that needs a password, or another one.
    """
    selection = selection or PageSelection()
    name, content = str(source) if isinstance(source, Path) else "input", _content(source)
    if PDF_START in content[:PDF_HEAD]:
        # PyMuPDF reads a path piece by piece: the content of a large file is let go.
        del content
        yield from _pdf_pages(source, name, selection, dpi, password)
        return
    count = _frame_count(content, name)
    wanted = _wanted(selection, count, name)
    for number in wanted:
        start = time.perf_counter()
        pixels, found = _decode_frame(io.BytesIO(content), name, number - 1)
        _tell(pixels, start)
        yield ImagePage(pixels, content if count == 1 else None, number, found)


def _content(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{source}: is a folder, not an image") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be opened ({error.strerror or error})") from None


def _wanted(selection: PageSelection, count: int, name: str) -> list[int]:
    wanted = selection.of(count)
    if not wanted:
        pages = "1 page" if count == 1 else f"{count} pages"
        raise InputError(f"{name}: has {pages}, none of them asked for", "see --pages")
    return wanted


def _pdf_pages(
    source: Path | bytes,
    name: str,
    selection: PageSelection,
    dpi: float,
    password: str | None,
) -> Iterator[PageSource]:
    from ocrtool.pdf import PdfFile

    file = PdfFile(source, password)
    for number in _wanted(selection, len(file), name):
        yield PdfPage(file, number, dpi)


def _tell(pixels: NDArray[np.uint8], start: float) -> None:
    """Log how long a page took to decode since ``start``."""
    height, width = pixels.shape[:2]
    logger.info("%d x %d decoded in %.0f ms", width, height, 1e3 * (time.perf_counter() - start))


def pixels_of(image: NDArray[np.uint8] | Path | str | bytes) -> tuple[str, NDArray[np.uint8]]:
    """Return what an image is called, and its pixels.

    Args:
        image: A path, the content of an image file, or pixels, which are returned as they are.

    Raises:
        InputError: It is no image that can be read.
    """
    name = str(image) if isinstance(image, Path | str) else ""
    if isinstance(image, np.ndarray):
        return name, image
    return name, load_image(image if isinstance(image, bytes) else Path(image))


def load_image(source: Path | BinaryIO | bytes) -> NDArray[np.uint8]:
    """Load one image; of several frames, the first.

    The EXIF orientation is obeyed, transparency lies over white, and images of more than 8 bits
    are scaled to the bit depth that their values use.

    Args:
        source: A path, an open binary file, or the content of one.

    Returns:
        (H, W, 3) RGB, uint8, origin at the top left.

    Raises:
        InputError: It is missing, empty, no image, truncated, damaged or too large.
    """
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                return _decode(file, str(source))
        except FileNotFoundError:
            raise InputError(f"{source}: no such file") from None
        except IsADirectoryError:
            raise InputError(f"{source}: is a folder, not an image") from None
        except OSError as error:
            raise InputError(f"{source}: cannot be opened ({error.strerror or error})") from None
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "image data")
    name = str(getattr(source, "name", "image data"))
    return _decode(io.BytesIO(source.read()), name)


def _frame_count(content: bytes, name: str) -> int:
    """Return how many pages an image file has; 1 where it is broken, which decoding finds out."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    except Exception:
        return 1


def _decode(file: BinaryIO, name: str) -> NDArray[np.uint8]:
    return _decode_frame(file, name, 0)[0]


def _decode_frame(file: BinaryIO, name: str, frame: int) -> tuple[NDArray[np.uint8], float]:
    """Return the pixels of a frame, and its dots an inch where they are known."""
    if not file.read(1):
        raise InputError(f"{name}: is empty")
    file.seek(0)
    try:
        with _WARNINGS_LOCK, warnings.catch_warnings():
            # Between Pillow's warning and its error lie honest scans of large sheets.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
        with image:
            if frame:
                image.seek(frame)
            return _to_rgb(_upright(image)), _dpi(image)
    except UnidentifiedImageError:
        raise InputError(f"{name}: not an image in a known format") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise InputError(
            f"{name}: has more than {limit} million pixels", "scale it down or cut it into parts"
        ) from None
    except MemoryError:
        raise InputError(
            f"{name}: does not fit in memory", "scale it down or cut it into parts"
        ) from None
    except Exception as error:  # a damaged file makes Pillow's readers raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: truncated or damaged image ({reason})") from None


def _dpi(image: Image.Image) -> float:
    try:
        across, down = image.info.get("dpi", (0, 0))
        return float(across) if 0 < across == down else 0.0
    except Exception:  # whatever a broken file says
        return 0.0


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    with contextlib.suppress(Exception):  # broken EXIF beside sound pixels
        ImageOps.exif_transpose(image, in_place=True)  # else it copies even what is upright
    return image


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_to_eight_bits(np.asarray(image)))
    elif image.mode == "LAB":
        image = image.getchannel(0)  # Pillow cannot convert LAB; its first channel is the lightness
    clear = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, BAND):  # a huge image is not held more often than twice
        band = image.crop((0, top, image.width, min(top + BAND, image.height)))
        if clear:
            band = _over_white(band.convert("RGBA"))
        pixels[top : top + BAND] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels


def _over_white(image: Image.Image) -> Image.Image:
    """Lay an RGBA image over white paper."""
    if image.getchannel("A").getextrema() == (255, 255):
        return image
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image)


def _to_eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale grey values of any type by the bit depth that holds them all."""
    wide = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(wide.min()), float(wide.max())
    depths = [255.0, 1023.0, 4095.0, 65535.0]
    if values.dtype.kind == "f":
        depths.insert(0, 1.0)
    fitting = [depth for depth in depths if high <= depth]
    if low >= 0 and fitting:
        low, high = 0.0, fitting[0]
    scaled = (wide - low) * (255 / max(high - low, 1e-12))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
