"""Synthetic text lines with labels, for training a line reader.

``LineSource.draw(index)`` depends only on the seed and the index, so any worker may draw any line,
and a resumed training continues with exactly the lines it would have seen.

The steps follow those of real images: text is typeset on a sheet with its neighbours, the sheet is
warped and rotated, ink is printed on paper, and the image is degraded (``degradations``). The crop
is that of a detector: loose or tight, with slivers of the lines above and below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from ocrtool.synth import degradations, signage, warp
from ocrtool.synth.alphabet import ALPHABET
from ocrtool.synth.fonts import Font, bundled_fonts, index_fonts, load_font
from ocrtool.synth.text import TextSource, change_case
from ocrtool.synth.warp import PAGE, PHOTO, SIGN, InkMask, Pose

Random = np.random.Generator


@dataclass(frozen=True)
class DrawnLineImage:
    """A synthetic line: ``image`` uint8 (H, W) grey and its text."""

    image: np.ndarray
    text: str


@dataclass(frozen=True)
class LineStyle:
    """Weight and parameters of an image style; shares are probabilities."""

    weight: float
    mono: float = 0.08  # share of monospaced fonts
    typewriter: float = 0.3  # share of typewriter fonts among those
    plain: float = 0.85  # share of fonts similar to ordinary book and screen type
    neighbours: float = 0.5  # lines above and below reach into the crop
    dark: float = 0.04  # light ink on dark ground
    contrast: tuple[float, float] = (90, 250)  # grey levels between ink and ground
    cut: float = 0.0  # crops that cut into the letters
    pose: Pose = PAGE


PROOF = "proof"
"""Style of plain print, black on white, in one type size."""
PROOF_EM = 27
"""Type size in pixels of that style: monospaced letters are then 16 pixels wide, like a patch of
``tiny``."""
STYLES: dict[str, LineStyle] = {
    PROOF: LineStyle(0.0, neighbours=0.0),  # for first experiments, only on request
    "clean": LineStyle(0.12, dark=0.15, contrast=(60, 255)),
    "scan": LineStyle(0.18, neighbours=0.7),
    "bitonal": LineStyle(0.08, neighbours=0.7, contrast=(120, 250)),
    "photo": LineStyle(0.09, contrast=(50, 200), pose=PHOTO),
    "typewriter": LineStyle(
        0.10, mono=1.0, typewriter=0.8, plain=1.0, neighbours=0.6, contrast=(60, 220)
    ),
    "receipt": LineStyle(0.16, mono=0.5, neighbours=0.4, contrast=(50, 200), pose=PHOTO),
    "scene": LineStyle(  # three lines of five: words are quick to learn from, and need it most
        1.0,
        mono=0.02,
        plain=0.5,
        neighbours=0.15,
        dark=0.5,
        contrast=(25, 220),
        cut=0.2,
        pose=SIGN,
    ),
}


class LineSource:
    """An endless, seeded source of labelled line images."""

    def __init__(
        self,
        fonts: Sequence[Path] = (),
        texts: Sequence[Path] = (),
        alphabet: str = ALPHABET,
        seed: int = 0,
        styles: dict[str, LineStyle] | None = None,
        max_characters: int = 100,
        words_only: bool = False,
    ) -> None:
        """Index the fonts and read the texts (the bundled ones by default).

        Args:
            fonts: Font files.
            texts: UTF-8 text files, also ``.xz``.
            alphabet: Characters that may occur in labels.
            seed: Random seed.
            styles: Image styles and their weights; ``STYLES`` by default.
            max_characters: Maximum length of a text.
            words_only: Draw single words.

        Raises:
            InputError: No font is usable, or a text cannot be read.
        """
        self.alphabet = alphabet
        self.seed = seed
        self.max_characters = max_characters
        self.words_only = words_only
        self.styles = styles or STYLES
        self._texts = TextSource(texts, alphabet)
        self._fonts = _FontChooser(index_fonts(list(fonts) or bundled_fonts(), alphabet))
        weights = np.array([style.weight for style in self.styles.values()])
        self._edges = np.cumsum(weights / weights.sum() if weights.any() else weights + 1.0)
        self._names = list(self.styles)

    def draw(self, index: int) -> DrawnLineImage:
        """Return line number ``index``: always the same for the same seed."""
        attempt = 0
        while True:  # a text may be empty, or no font may have its characters
            rng = np.random.default_rng((self.seed, index, attempt))
            name = self._names[int(np.searchsorted(self._edges[:-1], rng.random()))]
            line = self._draw(rng, name)
            if line is not None:
                return line
            attempt += 1

    def _draw(self, rng: Random, name: str) -> DrawnLineImage | None:
        style = self.styles[name]
        text = self._text(rng, name)
        font = self._fonts.choose(rng, style, text)
        if font is None:
            return None
        if font.caps:
            text = "".join(c.upper() if len(c.upper()) == 1 else c for c in text)
            if not set(text) <= set(font.characters):
                return None
        label = self._texts.label(text)
        if not label:
            return None
        em = PROOF_EM if name == PROOF else int(np.exp(rng.uniform(np.log(17), np.log(52))))
        neighbours = None
        if rng.random() < style.neighbours:
            neighbours = [self._neighbour(rng, font, text) for _ in range(2)]
        try:
            sheet = _typeset(rng, text, font, em, neighbours, self._fonts, name)
        except OSError:  # an outline that FreeType cannot fill ("raster overflow")
            return None
        if sheet is None:
            return None
        if name == PROOF:
            return DrawnLineImage(_proof(sheet), label)
        sheet = warp.bend(rng, sheet, style.pose)
        if name != "clean" and rng.random() < 0.5:
            sheet = InkMask(degradations.spread_ink(sheet.mask, rng, em), sheet.box, sheet.em)
        image = _crop(rng, _print(rng, sheet, style, name), sheet, style)
        if image is None:
            return None
        image = _degrade(rng, image, sheet.em, name)
        return DrawnLineImage(np.clip(image + 0.5, 0, 255).astype(np.uint8), label)

    def _text(self, rng: Random, name: str) -> str:
        texts, high = self._texts, self.max_characters
        kind = rng.random()
        if self.words_only:
            return texts.drawable(texts.words(rng, 1)[:high]).strip()
        if name == "scene":
            if kind < 0.85:
                text = texts.words(rng, 1 if rng.random() < 0.85 else int(rng.integers(2, 5)))
                if rng.random() < 0.5:  # prefer content words to function words
                    text = max(text, texts.words(rng, 1), key=len)
            else:
                text = texts.form(rng)
            if rng.random() < 0.7:
                text = change_case(text, rng)
        elif name == "receipt":
            text = texts.form(rng) if kind < 0.75 else texts.prose(rng, 3, 36)
            if rng.random() < 0.6:
                text = text.upper() if len(text.upper()) == len(text) else text
        elif kind < 0.60:
            text = texts.prose(rng, min(24, high), min(92, high))
        elif kind < 0.75:
            text = texts.prose(rng, 1, 28)
        elif kind < 0.84:
            text = texts.form(rng)
        elif kind < 0.88:
            text = texts.words(rng, int(rng.integers(1, 4)))
        elif kind < 0.93:
            text = texts.code(rng, min(84, high))
        elif kind < 0.97:
            text = texts.rare(rng, 50)
        else:
            text = change_case(texts.prose(rng, 3, 40), rng)
        if name == "typewriter" and rng.random() < 0.06:
            text = " ".join(text[:20].replace(" ", ""))  # s p a c e d out for emphasis
        return texts.drawable(text[:high]).strip()

    def _neighbour(self, rng: Random, font: Font, text: str) -> str:
        length = max(4, len(text))
        line = self._texts.prose(rng, length, length + 12)
        if font.caps or text.isupper():
            line = line.upper()
        return "".join(c for c in line if c in font.characters)


def _proof(sheet: InkMask) -> np.ndarray:
    x0, y0, x1, y1 = (round(value) for value in sheet.box)
    margin = max(2, round(0.2 * sheet.em))
    ink = sheet.mask[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    return np.clip(255.5 - 255 * ink, 0, 255).astype(np.uint8)


def _letter_sizes(rng: Random, text: str, em: int) -> dict[int, int]:
    """Return type sizes of letters that differ from the line's: large initials, varying sizes."""
    kind = rng.random()
    if kind < 0.06:  # words start with a larger letter
        size = int(em * rng.uniform(1.15, 1.6))
        return {i: size for i in range(len(text)) if i == 0 or text[i - 1] == " "}
    if kind < 0.10:
        return {i: int(em * rng.uniform(0.85, 1.2)) for i in range(len(text))}
    return {}


class _FontChooser:
    """Chooses a family first, so that families with many weights are not overrepresented."""

    def __init__(self, fonts: Sequence[Font]) -> None:
        self.all = _families(fonts)
        self.plain = _families([f for f in fonts if f.likeness >= 0.62 and not f.caps]) or self.all
        self.mono = _families([f for f in fonts if f.mono and f.likeness >= 0.5]) or self.all
        self.typewriter = _families([f for f in fonts if f.typewriter]) or self.mono
        widest = sorted(fonts, key=lambda f: (-len(f.characters), f.path))
        self.wide = _families(
            [f for f in widest if len(f.characters) >= 0.9 * len(widest[0].characters)]
        )
        self._sets = {font.path: frozenset(font.characters) for font in fonts}

    def choose(self, rng: Random, style: LineStyle, text: str) -> Font | None:
        """Return a font of the style with every character of the text, or None."""
        if rng.random() < style.mono:
            pool = self.typewriter if rng.random() < style.typewriter else self.mono
        else:
            pool = self.plain if rng.random() < style.plain else self.all
        need = frozenset(text)
        for attempt in range(12):
            family = pool if attempt < 6 else self.wide
            members = family[int(rng.integers(len(family)))]
            font = members[int(rng.integers(len(members)))]
            if need <= self._sets[font.path]:
                return font
        return None

    def sibling(self, rng: Random, font: Font, text: str) -> Font:
        """Return another font of the family that can draw the text, else the font itself."""
        for members in self.all:
            if members[0].family == font.family:
                other = members[int(rng.integers(len(members)))]
                if frozenset(text) <= self._sets[other.path] and other.caps == font.caps:
                    return other
        return font


def _families(fonts: Sequence[Font]) -> list[list[Font]]:
    families: dict[str, list[Font]] = {}
    for font in fonts:
        families.setdefault(font.family, []).append(font)
    return list(families.values())


def _typeset(
    rng: Random,
    text: str,
    font: Font,
    em: int,
    neighbours: list[str] | None,
    fonts: _FontChooser,
    name: str,
) -> InkMask | None:
    """Typeset a line, and optionally the lines above and below it."""
    face = load_font(font.path, em)
    typewriter = name == "typewriter"
    spacing = 0.0
    if not typewriter and rng.random() < 0.18:
        spacing = em * float(rng.choice([rng.uniform(-0.03, 0.06), rng.uniform(0.05, 0.35)]))
    runs: list[tuple[str, Font]] = [(text, font)]
    if " " in text and rng.random() < 0.1:  # a bold or slanted run within the line
        words = text.split(" ")
        i = int(rng.integers(len(words)))
        j = i + 1 + int(rng.integers(min(3, len(words) - i)))
        other = fonts.sibling(rng, font, text)
        pieces = [
            (" ".join(words[:i]), font),
            (" ".join(words[i:j]), other),
            (" ".join(words[j:]), font),
        ]
        pieces = [(piece, f) for piece, f in pieces if piece]
        runs = [
            (piece + (" " if k + 1 < len(pieces) else ""), f) for k, (piece, f) in enumerate(pieces)
        ]
    sizes = _letter_sizes(rng, text, em) if name == "scene" else {}
    width = sum(load_font(f.path, em).getlength(run) + spacing * len(run) for run, f in runs)
    width += sum(1.2 * (size - em) for size in sizes.values())
    if width > 60 * em or width < 1:
        return None
    ascent, descent = face.getmetrics()
    ascent, descent = min(ascent, int(1.4 * em)), min(descent, int(0.7 * em))
    if sizes:
        ascent = ascent * max(*sizes.values(), em) // em
    pad = int(0.7 * em)
    leading = em * rng.uniform(1.0, 1.45)
    height = int(ascent + descent + 2 * pad + (2 * leading if neighbours else 0))
    baseline = pad + ascent + (leading if neighbours else 0)
    sheet = Image.new("L", (int(width) + 2 * pad + em // 2, height))
    pen = ImageDraw.Draw(sheet)
    x = pad + rng.random()
    if sizes:
        for i, character in enumerate(text):
            part = load_font(font.path, sizes.get(i, em))
            pen.text((x, baseline), character, fill=255, font=part, anchor="ls")
            x += part.getlength(character) + spacing
    elif spacing or typewriter:
        jitter = (
            em * rng.choice([0, rng.uniform(0, 0.02), rng.uniform(0.01, 0.05)])
            if typewriter
            else 0.0
        )
        uneven = rng.uniform(0, 0.5) if typewriter else 0.0
        for run, f in runs:
            part = load_font(f.path, em)
            advance = part.getlength("0")
            for character in run:
                if character != " ":
                    dx, dy = rng.normal(0, jitter, 2) if jitter else (0.0, 0.0)
                    fill = int(255 * (1 - uneven * rng.random() ** 2))
                    pen.text((x + dx, baseline + dy), character, fill=fill, font=part, anchor="ls")
                x += (advance if typewriter and f.mono else part.getlength(character)) + spacing
    else:
        for run, f in runs:
            part = load_font(f.path, em)
            pen.text((x, baseline), run, fill=255, font=part, anchor="ls")
            x += part.getlength(run)
    ink = sheet.getbbox()
    if ink is None:
        return None
    x0, y0, x1, y1 = map(float, ink)
    if rng.random() < 0.6:  # a box of the font's metrics instead of the line's ink
        y0, y1 = min(y0, baseline - 0.72 * em), max(y1, baseline + 0.22 * em)
    if neighbours:
        for line, offset in zip(neighbours, (-leading, leading), strict=True):
            if line and rng.random() < 0.85:
                shift = rng.uniform(-2, 2) * em if rng.random() < 0.4 else 0
                pen.text((pad + shift, baseline + offset), line, fill=255, font=face, anchor="ls")
    if name == "scene" and rng.random() < 0.15:  # the preceding and following words
        beside = load_font(
            font.path, em if rng.random() < 0.5 else max(8, int(em * rng.uniform(0.5, 1.5)))
        )
        for place, anchor in (
            (x0 - em * rng.uniform(0.15, 0.5), "rs"),
            (x1 + em * rng.uniform(0.15, 0.5), "ls"),
        ):
            if neighbours and rng.random() < 0.7:
                pen.text((place, baseline), neighbours[0], fill=255, font=beside, anchor=anchor)
    if rng.random() < 0.05:  # underlined
        y = baseline + em * rng.uniform(0.08, 0.2)
        part_x0 = x0 if rng.random() < 0.6 else rng.uniform(x0, x1)
        pen.line((part_x0, y, x1, y), fill=255, width=max(1, round(em * rng.uniform(0.02, 0.08))))
    if name in ("clean", "scan", "bitonal", "receipt") and rng.random() < 0.07:  # a table's rules
        thick = max(1, round(em * rng.uniform(0.02, 0.08)))
        top, bottom = baseline - em * rng.uniform(0.85, 1.1), baseline + em * rng.uniform(0.28, 0.5)
        left, right = x0 - em * rng.uniform(0.15, 0.5), x1 + em * rng.uniform(0.15, 0.5)
        for rule in ((left, top, right, top), (left, bottom, right, bottom),
                     (left, top, left, bottom), (right, top, right, bottom)):  # fmt: skip
            if rng.random() < 0.5:
                pen.line(rule, fill=255, width=thick)
    if name == "receipt" and rng.random() < 0.2:  # an adjacent row of dots or dashes
        mark = str(rng.choice(["-", "-", ".", "=", "*", "_", "- "]))
        row = mark * int(3 + (x1 - x0) / max(1.0, face.getlength(mark)))
        above = rng.random() < 0.5
        offset = em * rng.uniform(0.75, 1.2) * (-1 if above else 1)
        pen.text((x0 - em, baseline + offset), row, fill=255, font=face, anchor="ls")
    mask = np.asarray(sheet, np.float32) * np.float32(1 / 255)
    if typewriter and rng.random() < 0.5:
        mask = degradations.fade_ink(mask, rng, em)
    return InkMask(mask, (x0, y0, x1, y1), em)


def _print(rng: Random, sheet: InkMask, style: LineStyle, name: str) -> np.ndarray:
    """Convert coverage to grey levels 0-255: ink on paper, or paint on a wall."""
    mask, em = sheet.mask, sheet.em
    contrast = rng.uniform(*style.contrast)
    if name == "clean" and rng.random() < 0.5:
        paper, ink = 255.0, 0.0
    else:
        paper = rng.uniform(contrast, 255)
        ink = paper - contrast
    if name in ("scan", "photo", "receipt") and rng.random() < 0.4:
        mask = degradations.fade_ink(mask, rng, em)
    if name == "receipt" and rng.random() < 0.25:
        mask = degradations.dots(mask, rng, em)
    ground: np.ndarray | float = paper
    if name == "scene":
        image = signage.paint(rng, sheet, paper, ink)
        return 255 - image if rng.random() < style.dark else image
    if name in ("scan", "typewriter") and rng.random() < 0.5:
        ground = paper + rng.uniform(1, 7) * degradations.field(
            rng, mask.shape, em * rng.uniform(0.3, 4)
        )
    image = ground + (ink - ground) * mask
    if name in ("scan", "typewriter", "photo") and rng.random() < 0.2:
        image = degradations.bleed_through(image, mask, rng)
    if rng.random() < style.dark:
        image = 255 - image
    return np.asarray(image, np.float32)


def _crop(rng: Random, image: np.ndarray, sheet: InkMask, style: LineStyle) -> np.ndarray | None:
    """Crop the line as detectors and annotators do: rarely exactly."""
    x0, y0, x1, y1 = sheet.box
    em = sheet.em
    loose = rng.random()
    if loose < 0.3:
        margins = rng.uniform(-0.04, 0.1, 4) * em
    elif loose < 0.8:
        margins = rng.uniform(0.0, 0.3, 4) * em
    else:
        margins = rng.uniform(0.1, 0.65, 4) * em
    if rng.random() < style.cut:
        margins = np.minimum(margins, rng.uniform(-0.12, 0.1, 4) * em)
    top, bottom = y0 - margins[0], y1 + margins[1]
    least = -0.06 * em if style.cut else -0.02 * em
    left, right = x0 - max(margins[2], least), x1 + max(margins[3], least)
    if rng.random() < 0.15:
        right += rng.uniform(0, 3) * em
    if rng.random() < 0.08:
        left -= rng.uniform(0, 2) * em
    h, w = image.shape
    ix0, iy0, ix1, iy1 = (int(np.floor(v)) for v in (left, top, right + 1, bottom + 1))
    before = (max(0, -iy0), max(0, iy1 - h), max(0, -ix0), max(0, ix1 - w))
    image = image[max(0, iy0) : min(h, iy1), max(0, ix0) : min(w, ix1)]
    if image.shape[0] < 6 or image.shape[1] < 3:
        return None
    if any(before):
        image = cv2.copyMakeBorder(image, *before, cv2.BORDER_REPLICATE)
    return image


def _degrade(rng: Random, image: np.ndarray, em: float, name: str) -> np.ndarray:
    """Degrade the image, from paper to file."""
    if name == "clean":
        if rng.random() < 0.35:
            image = _reduce_resolution(rng, image, em, 10, 22)
        if rng.random() < 0.3:
            image = degradations.jpeg(image, rng, 30, 95)
        if rng.random() < 0.1:
            image = degradations.noise(image, rng, 1, 4)
        return image
    if name != "scene" and rng.random() < 0.06:
        image = degradations.scribble(image, rng, em)
    if rng.random() < (0.5 if name in ("photo", "receipt", "typewriter") else 0.25):
        image = degradations.shade(image, rng)
    if rng.random() < 0.6:
        image = degradations.blur(image, rng, em)
    height = image.shape[0]
    if name in ("scene", "receipt", "photo") and rng.random() < 0.5:
        image = _reduce_resolution(rng, image, em, 9, 20)
    elif rng.random() < 0.2:
        image = _reduce_resolution(rng, image, em, 11, 26)
    em = em * image.shape[0] / height
    if rng.random() < 0.6:
        image = degradations.noise(image, rng, 1.5, 12 if name == "scan" else 20)
    if name == "photo" and rng.random() < 0.1:
        image = degradations.moire(image, rng)
    if name != "bitonal" and rng.random() < 0.25:
        image = degradations.sharpen(image, rng, em)
    if name == "bitonal":
        image = degradations.binarise(image, rng, em)
        if rng.random() < 0.25:  # one-bit pages are often scaled down with greys
            image = degradations.shrink(
                image, rng, max(12, int(image.shape[0] * rng.uniform(0.5, 0.9)))
            )
    elif rng.random() < (0.65 if name in ("photo", "scene", "receipt") else 0.35):
        image = degradations.jpeg(image, rng)
    return image


def _reduce_resolution(
    rng: Random, image: np.ndarray, em: float, low: int, high: int
) -> np.ndarray:
    """Reduce the resolution: an em becomes ``low`` to ``high`` pixels."""
    height = round(image.shape[0] * rng.uniform(low, high) / em)
    return degradations.shrink(image, rng, max(6, height)) if height < image.shape[0] else image
