"""Image files to arrays: every format and mode that Pillow reads, turned as the camera meant."""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ocrtool.errors import InputError

_WARNINGS_LOCK = threading.Lock()  # catch_warnings changes state of the whole process


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
    try:
        with _WARNINGS_LOCK, warnings.catch_warnings():
            # Between Pillow's warning and its error lie honest scans of large sheets.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file)
        with image:
            return _to_rgb(_upright(image))
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


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF beside sound pixels
        return image


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_to_eight_bits(np.asarray(image)))
    elif image.mode == "LAB":
        image = image.getchannel(0)  # Pillow cannot convert LAB; its first channel is the lightness
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


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
