"""Small drawn pages with their lines, for the tests of the detector."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = ("The", "quick", "brown", "fox", "jumps", "over", "42", "lazy", "typewriters", "Glory")


@dataclass(frozen=True)
class DrawnLine:
    quad: np.ndarray
    text: str = ""
    block: int = 0
    outline: np.ndarray | None = None


@dataclass(frozen=True)
class DrawnRegion:
    kind: str
    polygon: np.ndarray


@dataclass(frozen=True)
class DrawnPage:
    image: np.ndarray
    lines: tuple[DrawnLine, ...]
    regions: tuple[DrawnRegion, ...] = ()


def box(x: float, y: float, width: float, height: float) -> np.ndarray:
    """The upright quad (4, 2) of a line."""
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float32)


def draw_page(
    size: tuple[int, int],
    em: int = 20,
    leading: float = 1.3,
    degrees: float = 0.0,
    seed: int = 0,
    columns: int = 1,
    dark: bool = False,
) -> DrawnPage:
    """Set columns of lines on a page (height, width) and turn it clockwise about its middle."""
    rng = np.random.default_rng(seed)
    height, width = size
    paper, ink = (20, 230) if dark else (240, 25)
    canvas = Image.new("L", (width, height), paper)
    pen = ImageDraw.Draw(canvas)
    face = ImageFont.truetype(str(files("ocrtool.synth") / "fonts" / "Serif.ttf"), em)
    lines = []
    margin, gap = 1.2 * em, 2.5 * em
    column = (width - 2 * margin - (columns - 1) * gap) / columns
    for i in range(columns):
        x, y = margin + i * (column + gap), margin
        while y + 1.2 * em < height - margin:
            text = str(rng.choice(WORDS))
            wanted = column * rng.uniform(0.4, 1.0)
            while face.getlength(more := f"{text} {rng.choice(WORDS)}") < wanted:
                text = more
            if face.getlength(text) <= column:
                pen.text((x, y), text, fill=ink, font=face)
                x0, y0, x1, y1 = pen.textbbox((x, y), text, font=face)
                lines.append((box(x0, y0, x1 - x0, y1 - y0), text))
            y += leading * em
    image = np.asarray(canvas)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    if degrees:
        # OpenCV places pixel centres at whole numbers, the quads pixel edges.
        shifted = matrix.copy()
        shifted[:, 2] += 0.5 * (matrix[:, :2].sum(axis=1) - 1)
        image = cv2.warpAffine(image, shifted, (width, height), borderValue=paper)
    drawn = [
        DrawnLine((quad @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32), text)
        for quad, text in lines
    ]
    inside = [
        line for line in drawn
        if line.quad.min() >= 0 and (line.quad.max(axis=0) <= (width, height)).all()
    ]  # fmt: skip
    return DrawnPage(image, tuple(inside))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two quads."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    common = cv2.intersectConvexConvex(a, b)[0]
    return float(common / (cv2.contourArea(a) + cv2.contourArea(b) - common))


class TwoPages:
    """A source of two pages, over and over."""

    def draw_crop(self, index: int, size: int) -> DrawnPage:
        return draw_page((size, size), em=16 + 4 * (index % 2), seed=index % 2)
