from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image

from ocrtool.errors import InputError
from ocrtool.inputs.images import load_image
from ocrtool.inputs.page_source import open_pages
from ocrtool.inputs.paths import stream_chunks
from ocrtool.options import PageSelection


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


def test_a_narrow_range_of_sixteen_bits_is_stretched() -> None:
    narrow = (3000 + gradient().astype(int) // 4).astype(np.uint16)
    loaded = load_image(encoded(Image.fromarray(narrow)))[..., 0]
    assert loaded.min() < 10 and loaded.max() > 245
    noise = np.random.default_rng(1).integers(30000, 30008, (16, 64)).astype(np.uint16)
    assert np.ptp(load_image(encoded(Image.fromarray(noise)))) <= 1


def test_light_ink_on_transparent_ground_is_laid_over_black() -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((250, 250, 220, 255), (10, 10, 20, 20))
    loaded = load_image(encoded(image))
    assert not loaded[0, 0].any() and (loaded[15, 15] == (250, 250, 220)).all()
    image.paste((20, 20, 20, 255), (22, 22, 30, 30))  # dark ink, too
    assert (load_image(encoded(image))[0, 0] == 255).all()


def test_pixels_of_a_fax_become_square(tmp_path: Path) -> None:
    path = tmp_path / "fax.tif"
    Image.new("1", (204, 98), 1).save(path, dpi=(204, 98))
    (page,) = open_pages(path)
    assert page.pixels.shape == (204, 204, 3) and page.dpi == 204


def test_heic_photos_are_read(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photo.heic"
    image = Image.fromarray(np.repeat(gradient()[..., None], 3, axis=2))
    pillow_heif.from_pillow(image).save(path, quality=95)
    loaded = load_image(path)
    assert (
        loaded.shape == (16, 64, 3) and np.abs(loaded[..., 0].astype(int) - gradient()).max() < 12
    )


def test_a_truncated_photo_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    content = encoded(Image.fromarray(np.tile(gradient(), (20, 4))), "JPEG")
    path.write_bytes(content[: len(content) // 2])
    (page,) = open_pages(path)
    assert page.pixels.shape == (320, 256, 3) and "truncated" in page.warnings[0]
    path.write_bytes(content[:200])
    with pytest.raises(InputError):
        list(open_pages(path))


def test_an_animation_is_its_first_frame_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.new("L", (30, 20), level) for level in (9, 200, 30)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    (page,) = open_pages(path)
    assert "3 frames" in page.warnings[0]


def test_devices_and_endless_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="device"):
        list(open_pages(Path("/dev/zero")))
    monkeypatch.setattr("ocrtool.inputs.paths.MAX_STREAM_BYTES", 10**7)
    with Path("/dev/zero").open("rb") as zeros, pytest.raises(InputError, match="longer than"):
        list(stream_chunks(zeros, "standard input"))


def test_a_sparse_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(InputError, match="2000 MB"):
        list(open_pages(path))


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


def test_every_page_of_a_tiff_is_a_page(tmp_path: Path) -> None:
    pages = [Image.new("L", (30 + 10 * i, 20), 40 * i) for i in range(4)]
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:], dpi=(300, 300))
    found = list(open_pages(path))
    assert [page.number for page in found] == [1, 2, 3, 4]
    assert [page.pixels.shape for page in found] == [(20, 30 + 10 * i, 3) for i in range(4)]
    assert [int(page.pixels[0, 0, 0]) for page in found] == [0, 40, 80, 120]
    assert all(page.dpi == 300 and page.file is None for page in found)
    chosen = open_pages(path.read_bytes(), PageSelection.parse("2,4-end"))
    assert [page.number for page in chosen] == [2, 4]
    with pytest.raises(InputError, match="has 4 pages"):
        list(open_pages(path, PageSelection.parse("9")))


def test_an_image_keeps_its_file_and_a_moving_one_is_its_first_frame(tmp_path: Path) -> None:
    still, moving = tmp_path / "still.png", tmp_path / "moving.gif"
    Image.new("L", (30, 20), 9).save(still)
    Image.new("L", (30, 20), 9).save(
        moving, save_all=True, append_images=[Image.new("L", (30, 20), 200)]
    )
    for path in (still, moving):
        (page,) = open_pages(path)
        assert page.file == path.read_bytes()
        assert page.dpi == 0 and int(page.pixels.max()) == 9


def test_pages_of_a_pdf_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "two.pdf"
    with pymupdf.open() as document:
        for number in range(2):
            document.new_page(width=144, height=72).insert_text((20, 40), f"page {number}")
        document.set_metadata({"title": "Two"})
        document.save(path)
    for source in (path, path.read_bytes()):
        found = list(open_pages(source, dpi=144))
        assert [page.number for page in found] == [1, 2]
        assert all(page.pixels.shape == (144, 288, 3) for page in found)
        assert all(page.pixels.min() < 60 for page in found)
        assert found[0].dpi == 144 and found[0].metadata == {"title": "Two"}


def test_what_is_no_page_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    for name in ("text.png", "broken.pdf", "gone.png", "."):
        with pytest.raises(InputError):
            list(open_pages(tmp_path / name))
    with pytest.raises(InputError, match="is empty"):
        list(open_pages(b""))
