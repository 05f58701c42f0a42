"""Image files to pixels: every format that Pillow reads, with the EXIF orientation applied."""

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

BAND = 1024
"""Rows of an image that are converted at a time."""
_WARNINGS_LOCK = threading.Lock()  # catch_warnings changes state of the whole process

logger = logging.getLogger(__name__)


class FrameReader:
    """Decodes the frames of an image file, in any order.

    Args:
        content: Content of the file.
        name: Its name in messages.

    Attributes:
        count: Number of frames that are pages: those of a TIFF; of animations, only the first.

    Raises:
        InputError: It is no image.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._name = name
        with _errors_of(name):
            self._image = _open(io.BytesIO(content))
            self.count = 1
            if self._image.format == "TIFF":
                with contextlib.suppress(Exception):  # decoding reports what is damaged
                    self.count = int(getattr(self._image, "n_frames", 1))

    def decode(self, index: int) -> tuple[NDArray[np.uint8], float]:
        """Return (H, W, 3) RGB pixels of a frame, and its resolution (pixels per inch, or 0).

        Raises:
            InputError: It is damaged or too large.
        """
        start = time.perf_counter()
        with _errors_of(self._name):
            if self.count > 1:
                self._image.seek(index)
            pixels = _to_rgb(_upright(self._image))
            dpi = _dpi(self._image)
        height, width = pixels.shape[:2]
        seconds = time.perf_counter() - start
        logger.info("%d x %d decoded in %.0f ms", width, height, 1e3 * seconds)
        return pixels, dpi


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


def _decode(file: BinaryIO, name: str) -> NDArray[np.uint8]:
    if not file.read(1):
        raise InputError(f"{name}: is empty")
    file.seek(0)
    with _errors_of(name), _open(file) as image:
        return _to_rgb(_upright(image))


def _open(file: BinaryIO) -> Image.Image:
    with _WARNINGS_LOCK, warnings.catch_warnings():
        # Between Pillow's warning and its error lie honest scans of large sheets.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file)


@contextlib.contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Turn what Pillow raises into an :class:`InputError`."""
    try:
        yield
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
