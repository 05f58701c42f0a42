"""Pages as a scanner sees them: grey or black and white, a little askew, noisy, compressed.

Every letter can still be read: what is lost in the picture cannot be held against a reader.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pymupdf

from ocrtool.synth import degradations

Random = np.random.Generator

DPI = 200


def scan_file(source: Path, target: Path, rng: Random) -> None:
    """Write a PDF of pictures of another's pages.

    One scanner makes all pages of a file: one in four is black and white, the others are JPEG.
    """
    one_bit = bool(rng.random() < 0.25)
    quality = int(rng.integers(35, 90))
    with pymupdf.open(source) as file, pymupdf.open() as made:
        for page in file:
            image = _scan(page, rng, one_bit)
            sheet = made.new_page(width=page.rect.width, height=page.rect.height)
            kind, options = (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])
            if one_bit:
                kind, options = ".png", [cv2.IMWRITE_PNG_BILEVEL, 1]
            code = cv2.imencode(kind, image, options)[1].tobytes()
            sheet.insert_image(sheet.rect, stream=code)
        made.save(target, deflate=True)


def _scan(page: pymupdf.Page, rng: Random, one_bit: bool) -> np.ndarray:
    pixels = page.get_pixmap(dpi=DPI, colorspace=pymupdf.csGRAY, alpha=False)
    image = np.frombuffer(pixels.samples_mv, np.uint8).reshape(pixels.h, pixels.w)
    em = DPI / 72 * 10
    paper = float(rng.uniform(225, 253))
    image = image.astype(np.float32) * np.float32(paper / 255)
    height, width = image.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 0.35)), 1.0)
    image = cv2.warpAffine(
        image, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=(paper,)
    )
    cover = np.clip((paper - image) / paper, 0, 1)
    if rng.random() < 0.3:
        cover = degradations.spread_ink(cover, rng, em)
    if rng.random() < 0.1:
        image = paper * (1 - cover)
        image = degradations.bleed_through(image, cover, rng)
    else:
        image = paper * (1 - cover * rng.uniform(0.75, 1.0))
    image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.35, 0.85)))
    image = degradations.noise(image, rng, 1.0, 9.0)
    if one_bit:
        level = 0.5 * paper * rng.uniform(0.85, 1.25)
        return np.where(image > level, 255, 0).astype(np.uint8)
    return np.clip(image, 0, 255).astype(np.uint8)
