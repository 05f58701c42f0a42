"""Image files to pixels: every format that Pillow reads, with the EXIF orientation applied."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from ocrtool.errors import InputError

BAND = 1024
"""Number of rows of an image that are converted at a time."""
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
"""Brands of HEIF files, bytes 8 to 12; AVIF is left to Pillow."""
ANIMATIONS = ("GIF", "PNG", "WEBP", "AVIF")
"""Pillow's names of formats whose further frames are an animation."""
BIG_TIFF = 43
"""Version of TIFF files with offsets of 8 bytes."""
MAX_PIXEL_ASPECT = 4.0
"""Maximum ratio of the two resolutions of an image; beyond it they are taken for wrong."""
HALF_OPAQUE = 127
"""Alpha (0 to 255) above which a pixel of a transparent image counts as ink."""
DARK_INK_PERCENTILE = 2
"""Percentile of the luminance of the ink that counts as its darkest value."""
LIGHT_INK = 150
"""Minimum luminance (0 to 255) of the darkest ink of an image that is laid over black."""
RANGE_PERCENTILES = (0.1, 99.9)
"""Percentiles of the values of an image of more than 8 bits that bound their range."""
MAX_NARROW_RANGE = 0.125
"""Maximum share of the bit depth that a range of values covers to be stretched to the full range.
Faint but usual scans cover more."""
MIN_RANGE = 16
"""Minimum range of values that is stretched; a smaller one is noise."""
_PILLOW_STATE = threading.Lock()  # held while the state of warnings and Pillow is changed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame of an image file.

    Attributes:
        pixels: (H, W, 3) RGB, uint8, origin at the top left.
        dpi: Resolution in pixels per inch; 0 where the file does not state one.
        warnings: What the pixels lack of the file.
    """

    pixels: NDArray[np.uint8]
    dpi: float
    warnings: tuple[str, ...] = ()


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
        self._content, self._name = content, name
        with _errors_of(name):
            self._image = _open(io.BytesIO(content))
        self.count = _tiff_frame_count(content) if self._image.format == "TIFF" else 1
        self._warnings: tuple[str, ...] = ()
        if self._image.format in ANIMATIONS:
            frames = 1
            with contextlib.suppress(Exception):  # decoding reports what is damaged
                frames = int(getattr(self._image, "n_frames", 1))
            if frames > 1:
                told = f"is an animation of {frames} frames, of which the first is read"
                self._warnings = (told,)

    def decode(self, index: int) -> Frame:
        """Decode a frame; a truncated one as far as it goes.

        Raises:
            InputError: It is damaged or too large.
        """
        start = time.perf_counter()
        try:
            frame = self._decode(index)
        except InputError:
            frame = self._decode_truncated(index)
        height, width = frame.pixels.shape[:2]
        seconds = time.perf_counter() - start
        logger.info("%d x %d decoded in %.0f ms", width, height, 1e3 * seconds)
        return frame

    def _decode(self, index: int) -> Frame:
        with _errors_of(self._name):
            if self.count > 1:
                self._image.seek(index)
            across, down = _resolution(self._image)
            pixels = _square(_to_rgb(_upright(self._image)), across, down)
            return Frame(pixels, max(across, down), self._warnings)

    def _decode_truncated(self, index: int) -> Frame:
        """Decode what there is of a truncated frame.

        Raises:
            InputError: There is nothing.
        """
        with _errors_of(self._name):
            self._image = _open(io.BytesIO(self._content))  # the state of the other is undefined
        with _PILLOW_STATE, _truncated_images_loaded():
            frame = self._decode(index)
        if not frame.pixels.any() or (frame.pixels == frame.pixels[0, 0]).all():
            raise InputError(f"{self._name}: truncated or damaged image")
        return replace(frame, warnings=(*self._warnings, "is truncated; read as far as it goes"))


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

    The EXIF orientation is applied; transparent images are laid over white, or over black where
    all they show is light; images of more than 8 bits are scaled to the bit depth that their values
    use, or by their range where it is narrow.

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
    head = file.read(len(HEIF_BRANDS[0]) + 8)
    file.seek(0)
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        import pillow_heif

        pillow_heif.register_heif_opener()
    with _PILLOW_STATE, warnings.catch_warnings():
        # Between Pillow's warning and its error lie honest scans of large sheets.
        warnings.simplefilter("ignore")
        return Image.open(file)


@contextlib.contextmanager
def _truncated_images_loaded() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


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


def _resolution(image: Image.Image) -> tuple[float, float]:
    """Return the pixels per inch across and down; zeros where they are unknown or implausible."""
    try:
        across, down = (float(value) for value in image.info.get("dpi", (0, 0)))
    except Exception:  # whatever a broken file says
        return 0.0, 0.0
    if min(across, down) <= 0 or max(across, down) / min(across, down) > MAX_PIXEL_ASPECT:
        return 0.0, 0.0
    square = across == down or image.format in ("TIFF", "PNG")
    return (across, down) if square else (0.0, 0.0)


def _tiff_frame_count(content: bytes) -> int:
    """Return the number of frames of a TIFF; unlike Pillow's count, whatever is damaged in them."""
    order: Literal["little", "big"] = "little" if content[:2] == b"II" else "big"
    big = int.from_bytes(content[2:4], order) == BIG_TIFF
    count_bytes, entry_bytes, offset_bytes = (8, 20, 8) if big else (2, 12, 4)

    def number(place: int, size: int) -> int:
        return int.from_bytes(content[place : place + size], order)

    place = number(offset_bytes, offset_bytes)
    seen: set[int] = set()
    while place and place not in seen and place + count_bytes <= len(content):
        seen.add(place)
        entries = number(place, count_bytes)
        place = number(place + count_bytes + entry_bytes * entries, offset_bytes)
    return max(1, len(seen))


def _square(pixels: NDArray[np.uint8], across: float, down: float) -> NDArray[np.uint8]:
    """Enlarge an image whose pixels are not square, such as a fax, so that they are."""
    if across == down:
        return pixels
    height, width = pixels.shape[:2]
    size = (width, round(height * across / down))
    if across < down:
        size = (round(width * down / across), height)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)


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
    if clear:
        image = image.convert("RGBA")
        ground = _ground(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, BAND):  # a huge image is not held more often than twice
        band = image.crop((0, top, image.width, min(top + BAND, image.height)))
        if clear:
            band = Image.alpha_composite(Image.new("RGBA", band.size, ground), band)
        pixels[top : top + BAND] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels


def _ground(image: Image.Image) -> tuple[int, int, int, int]:
    """Return the background for an RGBA image: white, or black where all its ink is light."""
    darkest: list[float] = []
    for top in range(0, image.height, BAND):
        band = image.crop((0, top, image.width, min(top + BAND, image.height)))
        ink = np.asarray(band.convert("L"))[np.asarray(band.getchannel("A")) > HALF_OPAQUE]
        if ink.size:
            darkest.append(float(np.percentile(ink, DARK_INK_PERCENTILE)))
    light = bool(darkest) and min(darkest) >= LIGHT_INK
    return (0, 0, 0, 255) if light else (255, 255, 255, 255)


def _to_eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale grey values of any type: by their bit depth, or by their range where it is narrow."""
    wide = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(wide.min()), float(wide.max())
    depths = [255.0, 1023.0, 4095.0, 65535.0]
    if values.dtype.kind == "f":
        depths.insert(0, 1.0)
    fitting = [depth for depth in depths if high <= depth]
    if low >= 0 and fitting:
        low, high = 0.0, fitting[0]
        first, last = np.percentile(wide, RANGE_PERCENTILES)
        if high > 255 and MIN_RANGE <= last - first < MAX_NARROW_RANGE * high:
            low, high = float(first), float(last)
    scaled = (wide - low) * (255 / max(high - low, 1e-12))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
