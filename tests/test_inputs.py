from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtool.errors import InputError
from ocrtool.inputs import load_image


def gradient() -> np.ndarray:
    return np.tile(np.linspace(0, 255, 64).astype(np.uint8), (16, 1))


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "I", "F"])
def test_every_mode_looks_the_same(mode: str) -> None:
    grey = gradient() if mode != "1" else np.where(gradient() > 127, 255, 0).astype(np.uint8)
    image = Image.fromarray(grey)
    if mode == "PA":
        image = image.convert("P").convert("PA")
    image = image.convert(mode)
    form = "TIFF" if mode in ("CMYK", "F", "PA", "I") else "PNG"
    if mode == "PA":
        form = "GIF"  # keeps the palette; TIFF has no such mode
        image = image.convert("P")
    loaded = load_image(encoded(image, form))
    assert loaded.shape == (16, 64, 3) and loaded.dtype == np.uint8
    assert np.abs(loaded.astype(int) - grey[..., None]).max() <= 1


def test_sixteen_bits_are_scaled_by_their_depth() -> None:
    full = gradient().astype(np.uint16) * 257
    assert np.array_equal(load_image(encoded(Image.fromarray(full)))[..., 0], gradient())
    twelve = gradient().astype(np.uint16) * 16
    close = load_image(encoded(Image.fromarray(twelve)))[..., 0].astype(int) - gradient()
    assert np.abs(close).max() <= 1


def test_float_images_of_unit_range_and_beyond() -> None:
    unit = (gradient() / 255).astype(np.float32)
    assert np.array_equal(load_image(encoded(Image.fromarray(unit), "TIFF"))[..., 0], gradient())
    signed = gradient().astype(np.float32) - 100
    signed[0, 0] = np.nan
    loaded = load_image(encoded(Image.fromarray(signed), "TIFF"))
    assert loaded[1, 0, 0] == 0 and loaded[1, -1, 0] == 255


def test_transparency_lies_over_white() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((1, 1), (0, 0, 0, 255))
    loaded = load_image(encoded(image))
    assert (loaded[1, 1] == 0).all() and (loaded[0, 0] == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert (load_image(encoded(palette, transparency=0)) == 255).all()


def test_exif_orientation_is_obeyed() -> None:
    image = Image.fromarray(gradient())
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to stand upright
    loaded = load_image(encoded(image, "PNG", exif=exif))
    assert loaded.shape == (64, 16, 3)
    assert loaded[0, 0, 0] == 0 and loaded[-1, 0, 0] == 255


def test_paths_files_and_bytes(tmp_path: Path) -> None:
    content = encoded(Image.fromarray(gradient()))
    path = tmp_path / "größe 図.png"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert np.array_equal(load_image(file), load_image(path))
    assert np.array_equal(load_image(content), load_image(path))


def test_first_frame_of_several() -> None:
    frames = [Image.new("L", (8, 8), level) for level in (0, 255)]
    stream = io.BytesIO()
    frames[0].save(stream, "TIFF", save_all=True, append_images=frames[1:])
    assert not load_image(stream.getvalue()).any()


def test_failures_say_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        load_image(tmp_path / "gone.png")
    with pytest.raises(InputError, match="folder"):
        load_image(tmp_path)
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(InputError, match=r"empty\.png: is empty"):
        load_image(empty)
    with pytest.raises(InputError, match="not an image"):
        load_image(b"this is a text, not an image")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_truncated_files_are_refused(form: str) -> None:
    rng = np.random.default_rng(0)
    content = encoded(Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)), form)
    with pytest.raises(InputError) as caught:
        load_image(content[: len(content) // 2])
    assert "\n" not in str(caught.value)


def test_decompression_bombs_are_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(Image.new("1", (100, 100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6_000)
    assert load_image(content).shape == (100, 100, 3)  # only Pillow's warning: an honest scan
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4_000)
    with pytest.raises(InputError, match="scale it down"):
        load_image(content)
