"""Synthetic paragraphs on square images, the simplest pages, for experiments with page readers.

A paragraph is prose, set flush left in one size, black on white, without degradations. With
monospaced fonts and a single size, all letters are on one grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ocrtool.errors import UsageError
from ocrtool.synth.alphabet import ALPHABET
from ocrtool.synth.fonts import bundled_fonts, load_font
from ocrtool.synth.text import TextSource

LEADING = 1.2
"""Line spacing in ems."""


@dataclass(frozen=True)
class Paragraph:
    """A grey image (side, side) and its text, one text line per image line."""

    image: NDArray[np.uint8]
    text: str


class ParagraphSource:
    """An endless, seeded source of paragraphs.

    Args:
        fonts: Font files; the bundled ones by default.
        texts: UTF-8 text files, also ``.xz``; a bundled sample by default.
        side: Side of the square in pixels.
        sizes: Minimum and maximum em in pixels.
        lines: Maximum number of lines; 0 fills the square.
        seed: Random seed.

    Raises:
        InputError: A text cannot be read.
        UsageError: The square has no room for a line.
    """

    def __init__(
        self,
        fonts: Sequence[Path] = (),
        texts: Sequence[Path] = (),
        side: int = 128,
        sizes: tuple[int, int] = (16, 26),
        lines: int = 0,
        seed: int = 0,
    ) -> None:
        if not 0 < sizes[0] <= sizes[1] <= side / LEADING:
            raise UsageError(f"type of {sizes} pixels does not fit a square of {side}")
        self.fonts = [str(path) for path in fonts or bundled_fonts()]
        self.side, self.sizes, self.lines, self.seed = side, sizes, lines, seed
        self._texts = TextSource(texts, ALPHABET)

    def draw(self, index: int) -> Paragraph:
        """Return paragraph number ``index``: always the same for the same seed."""
        rng = np.random.default_rng((self.seed, index))
        size = int(rng.integers(self.sizes[0], self.sizes[1] + 1))
        font = load_font(self.fonts[int(rng.integers(len(self.fonts)))], size)
        step = round(size * LEADING)
        most = self.side // step
        wanted = int(rng.integers(1, min(self.lines or most, most) + 1))
        rows: list[str] = []
        words: list[str] = []
        while len(rows) < wanted:
            while len(words) < 40:  # more than a row holds, as a rule
                words += self._texts.words(rng, 40).split()
            row = words.pop(0)
            while font.getlength(row) > self.side:  # a longer word is cut
                row = row[:-1]
            while words and font.getlength(f"{row} {words[0]}") <= self.side:
                row += f" {words.pop(0)}"
            rows.append(row)
        image = Image.new("L", (self.side, self.side), 255)
        canvas = ImageDraw.Draw(image)
        for number, row in enumerate(rows):
            canvas.text((0, number * step), row, fill=0, font=font)
        return Paragraph(np.asarray(image), "\n".join(rows))
