"""Synthetic images of formulas with labels, for training a formula reader.

Usage: python -m ocrtool.synth.formulas FILE... -o FOLDER --count N [--skip N] [--held] [--seed S]

FILE has one LaTeX formula per line (also ``.xz``). TeX renders them once, clean, into shards; a
``FormulaSource`` reads the shards and degrades each image anew: scale, margins, paper, light,
blur, noise, JPEG, dark mode.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import InputError, OcrToolError
from ocrtool.synth import degradations
from ocrtool.synth.display_formulas import write_displays
from ocrtool.synth.formula_shards import DrawnFormula, Shards, draw_shards
from ocrtool.synth.formula_texts import (
    COMPOSED_SHARE,
    composed,
    drawable_formulas,
    is_held_out,
    ordered,
)
from ocrtool.synth.formula_vocabulary import read_lines

Random = np.random.Generator

SHIPPED = Path(__file__).parent / "formulas.npz"
"""A few typeset formulas, for trying a reader where TeX is not installed."""
SHARDS_PER_GROUP = 8
"""Number of shards that consecutive draws come from; more would mix better and need more memory."""
MAX_IMAGE_PIXELS = 1_200_000
"""Maximum number of pixels of an image; larger ones are reduced."""


@dataclass(frozen=True)
class FormulaStyle:
    """Weight and parameters of an image style; shares are probabilities."""

    weight: float
    em: tuple[float, float] = (20, 60)  # type size in pixels; letters are 0.43 of it high
    dark: float = 0.0  # light ink on dark ground
    contrast: tuple[float, float] = (90, 250)  # grey levels between ink and ground
    ink: float = 0.3  # spread or thinned ink
    turned: float = 0.0  # share of slightly rotated images
    neighbours: float = 0.05  # share with print of adjacent lines at the edges


FORMULA_STYLES: dict[str, FormulaStyle] = {
    "clean": FormulaStyle(0.34, em=(17, 70), contrast=(255, 255), ink=0.0, neighbours=0.02),
    "screen": FormulaStyle(0.22, em=(17, 60), dark=0.4, contrast=(110, 255), ink=0.1),
    "scan": FormulaStyle(0.24, em=(20, 60), turned=0.4, ink=0.6, neighbours=0.08),
    "photo": FormulaStyle(0.12, em=(22, 70), contrast=(60, 200), turned=0.7, neighbours=0.08),
    "bitonal": FormulaStyle(0.08, em=(26, 70), contrast=(120, 250), turned=0.3, ink=0.5),
}


@dataclass(frozen=True)
class FormulaPicture:
    """A labelled image of a formula.

    Attributes:
        image: (H, W) uint8 grey.
        text: Tokens of the normal form, separated by spaces.
        places: (n, 3): index of a token, and x and y in pixels of the centre of its glyphs, origin
            top left; visible tokens only.
    """

    image: NDArray[np.uint8]
    text: str
    places: NDArray[np.float32]


class FormulaSource:
    """An endless, seeded source of labelled formula images.

    Each formula occurs once per round; consecutive draws come from a few shards, so that few are in
    memory.

    Args:
        shards: Files written by ``draw_shards``.
        seed: Seed of order and degradations.
        max_tokens: Maximum number of tokens of a label.
        min_tokens: Minimum number of tokens of a label.
        looks: Image styles and their weights; ``FORMULA_STYLES`` by default. An empty mapping gives
            clean images as rendered.

    Raises:
        InputError: No formula is left, or a shard cannot be read.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        seed: int = 0,
        max_tokens: int = 200,
        min_tokens: int = 1,
        looks: dict[str, FormulaStyle] | None = None,
    ) -> None:
        self.seed = seed
        self.looks = FORMULA_STYLES if looks is None else looks
        self._shards = Shards(sorted(shards))
        self._items = [
            np.flatnonzero((counts >= min_tokens) & (counts <= max_tokens))
            for counts in self._shards.tokens
        ]
        self._items = [items.astype(np.int32) for items in self._items]
        self.count = sum(map(len, self._items))
        """How many different formulas there are."""
        if not self.count:
            raise InputError("no formulas of this length in the shards")
        weights = np.array([look.weight for look in self.looks.values()])
        self._edges = np.cumsum(weights / weights.sum()) if len(weights) else weights
        self._round: tuple[int, list[tuple[int, NDArray[np.int32], NDArray[np.int32]]]] | None = (
            None
        )

    def __len__(self) -> int:
        """Return the number of different formulas."""
        return self.count

    def draw(self, index: int) -> FormulaPicture:
        """Return image number ``index``: always the same for the same seed."""
        drawn = self.clean(index)
        if not self.looks:
            return FormulaPicture(drawn.image, drawn.label, drawn.places)
        rng = np.random.default_rng((self.seed, 1, index))
        name = list(self.looks)[int(np.searchsorted(self._edges[:-1], rng.random()))]
        look = self.looks[name]
        neighbour = None
        if rng.random() < look.neighbours:
            neighbour = self.clean(index + 1)
        image, moved = _degrade(rng, drawn, look, name, neighbour)
        places = drawn.places.copy()
        places[:, 1:] = places[:, 1:] @ moved[:, :2].T + moved[:, 2]
        return FormulaPicture(image, drawn.label, places)

    def clean(self, index: int) -> DrawnFormula:
        """Return the formula of number ``index`` as rendered by TeX."""
        turn, position = divmod(index, self.count)
        if self._round is None or self._round[0] != turn:
            self._round = (turn, self._shuffled(turn))
        for size, shards, items in self._round[1]:
            if position < size:
                return self._shards.get(int(shards[position]), int(items[position]))
            position -= size
        raise IndexError(index)

    def _shuffled(self, turn: int) -> list[tuple[int, NDArray[np.int32], NDArray[np.int32]]]:
        """Return the order of one round: groups of shards, each with all its formulas mixed."""
        rng = np.random.default_rng((self.seed, 0, turn))
        order = rng.permutation([i for i, items in enumerate(self._items) if len(items)])
        groups = []
        for start in range(0, len(order), SHARDS_PER_GROUP):
            members = order[start : start + SHARDS_PER_GROUP]
            items = np.concatenate([self._items[i] for i in members])
            shards = np.repeat(members.astype(np.int32), [len(self._items[i]) for i in members])
            mixed = rng.permutation(len(items))
            groups.append((len(items), shards[mixed], items[mixed]))
        return groups


def _degrade(
    rng: Random, drawn: DrawnFormula, look: FormulaStyle, name: str, neighbour: DrawnFormula | None
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Degrade a clean image: size, ink, margins, paper, camera.

    Also returns the affine map (2, 3) from its pixels to those of the result.
    """
    em = float(np.exp(rng.uniform(np.log(look.em[0]), np.log(look.em[1]))))
    if rng.random() < 0.04:
        em *= 2
    mask = (255 - drawn.image).astype(np.float32) * np.float32(1 / 255)
    mask, em = _sized(rng, mask, em / drawn.em, drawn.em)
    moved = np.eye(2, 3) * em / drawn.em
    if rng.random() < look.ink:
        mask, pad = _inked(rng, mask, em)
        moved[:, 2] += pad
    mask, corner = _margins(rng, mask, em, name)
    moved[:, 2] += corner
    if neighbour is not None:
        _add_neighbour_slivers(rng, mask, em, neighbour)
    if rng.random() < look.turned:
        mask, turn = _rotated(rng, mask)
        moved = turn @ np.vstack((moved, (0, 0, 1)))
    image = _printed(rng, mask, em, look, name)
    image = _photographed(rng, image, em, name)
    return np.asarray(np.clip(image + 0.5, 0, 255), np.uint8), moved


def _sized(
    rng: Random, mask: degradations.Grey, scale: float, em: float
) -> tuple[degradations.Grey, float]:
    height, width = mask.shape
    scale = min(scale, (MAX_IMAGE_PIXELS / (height * width)) ** 0.5)
    size = (max(3, round(width * scale)), max(3, round(height * scale)))
    if scale < 1:
        method = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
        if method == cv2.INTER_LINEAR and scale < 0.6:  # low-quality scaling without aliasing
            mask = cv2.GaussianBlur(mask, (0, 0), 0.35 / scale)
    else:
        method = cv2.INTER_CUBIC
    return np.clip(cv2.resize(mask, size, interpolation=method), 0, 1), em * scale


def _inked(rng: Random, mask: degradations.Grey, em: float) -> tuple[degradations.Grey, int]:
    """Spread, thin or fade ink without losing thin strokes. Also returns the added white border."""
    pad = max(2, round(0.05 * em))
    mask = cv2.copyMakeBorder(mask, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0.0)
    kind = rng.random()
    if kind < 0.5:
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.3, em * rng.uniform(0.008, 0.025)))
        mask = np.clip((soft - rng.uniform(0.25, 0.45)) * rng.uniform(1.5, 4.0) + 0.5, 0, 1)
    elif kind < 0.75:
        mask = degradations.fade_ink(mask, rng, em)
    else:
        mask = mask ** np.float32(rng.uniform(0.6, 1.5))
    return mask, pad


def _margins(
    rng: Random, mask: degradations.Grey, em: float, name: str
) -> tuple[degradations.Grey, tuple[int, int]]:
    """Add white margins: tight, usual or wide, and sometimes more on one side.

    Also returns the widths added at the left and at the top.
    """
    kind = rng.random()
    low, high = (0.0, 0.12) if kind < 0.25 else (0.1, 1.0) if kind < 0.8 else (0.5, 4.0)
    top, bottom, left, right = (rng.uniform(low, high, 4) * em).astype(int)
    if rng.random() < 0.1:
        left += int(rng.uniform(0, 8) * em)
    if rng.random() < 0.1:
        right += int(rng.uniform(0, 8) * em)
    mask = cv2.copyMakeBorder(
        mask, int(top), int(bottom), int(left), int(right), cv2.BORDER_CONSTANT, value=0.0
    )
    return mask, (int(left), int(top))


def _add_neighbour_slivers(
    rng: Random, mask: degradations.Grey, em: float, neighbour: DrawnFormula
) -> None:
    """Add slivers of other print at the upper or lower edge, clear of the formula."""
    rows = np.flatnonzero(mask.max(axis=1) > 0.2)
    if not len(rows):
        return
    other: degradations.Grey = (255 - neighbour.image).astype(np.float32) * np.float32(1 / 255)
    scale = em / neighbour.em
    other = cv2.resize(other, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for above in (True, False):
        room = int(rows[0] if above else mask.shape[0] - 1 - rows[-1]) - int(0.3 * em)
        if room < 2 or rng.random() < 0.3:
            continue
        tall = min(room, int(rng.uniform(0.05, 0.3) * em) + 1, other.shape[0])
        wide = min(mask.shape[1], other.shape[1])
        at = int(rng.integers(mask.shape[1] - wide + 1))
        if above:
            mask[:tall, at : at + wide] = other[-tall:, :wide]
        else:
            mask[-tall:, at : at + wide] = other[:tall, :wide]


def _rotated(rng: Random, mask: degradations.Grey) -> tuple[degradations.Grey, NDArray[np.float64]]:
    """Rotate by up to two degrees, long formulas by less, without cropping.

    Also returns the affine map (2, 3).
    """
    height, width = mask.shape
    angle = float(rng.uniform(-2, 2)) * min(1.0, 12 * height / width + 0.25)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (int(width * cosine + height * sine + 1), int(height * cosine + width * sine + 1))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    if rng.random() < 0.3:  # slight shear and perspective of a hand-held camera
        matrix[0, 1] += rng.uniform(-0.02, 0.02)
    turned = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0.0)
    return np.asarray(turned, np.float32), np.asarray(matrix, np.float64)


def _printed(
    rng: Random, mask: degradations.Grey, em: float, look: FormulaStyle, name: str
) -> degradations.Grey:
    """Convert coverage to grey levels: ink on paper, or light on a screen."""
    contrast = rng.uniform(*look.contrast)
    paper = rng.uniform(contrast, 255) if contrast < 255 else 255.0
    ink = paper - contrast
    ground: degradations.Grey = paper
    if name == "scan" and rng.random() < 0.4:
        ground = paper + rng.uniform(1, 6) * degradations.field(
            rng, mask.shape, em * rng.uniform(0.3, 4)
        )
    image = ground + (ink - ground) * mask
    if name in ("scan", "photo") and rng.random() < 0.12 and min(mask.shape) > 16:
        image = degradations.bleed_through(image, mask, rng)
    if name == "photo" or (name == "scan" and rng.random() < 0.2):
        image = degradations.shade(image, rng)
    if rng.random() < look.dark:
        image = 255 - image
    return np.asarray(image, np.float32)


def _photographed(rng: Random, image: degradations.Grey, em: float, name: str) -> degradations.Grey:
    """Apply the artefacts of capture, from paper or screen to the file."""
    if name == "clean":
        if rng.random() < 0.2:
            image = degradations.jpeg(image, rng, 40, 95)
        return image
    if name == "screen":
        if rng.random() < 0.4:
            image = degradations.jpeg(image, rng, 30, 95)
        if rng.random() < 0.15:
            image = degradations.blur(image, rng, 0.5 * em)
        return image
    if rng.random() < 0.6:
        image = degradations.blur(image, rng, (0.9 if name == "photo" else 0.6) * em)
    if rng.random() < 0.5:
        image = degradations.noise(image, rng, 1.5, 14)
    if name == "photo" and rng.random() < 0.08:
        image = degradations.moire(image, rng)
    if rng.random() < 0.2:
        image = degradations.sharpen(image, rng, em)
    if name == "bitonal":
        return degradations.binarise(image, rng, em)
    if rng.random() < 0.4:
        image = degradations.jpeg(image, rng, 25, 95)
    return image


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and render shards."""
    parser = argparse.ArgumentParser(prog="python -m ocrtool.synth.formulas", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", type=Path, nargs="+", help="text files, one formula a line")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, required=True, help="how many to draw")
    parser.add_argument("--skip", type=int, default=0, help="how many an earlier call drew")
    parser.add_argument("--seed", type=int, default=0, help="of choice, fonts and sizes")
    parser.add_argument("--max-tokens", type=int, default=200, help="longest label (200)")
    parser.add_argument("--held", action="store_true", help="draw those held back from training")
    parser.add_argument("--pdf", action="store_true", help="write PDFs for drawn pages instead")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    options = parser.parse_args(arguments)
    lines = (line for path in options.files for line in read_lines(path))
    try:
        found = list(drawable_formulas(lines, options.max_tokens))
        rng = np.random.default_rng(options.seed)
        found += composed(found, int(COMPOSED_SHARE * len(found)), rng, options.max_tokens)
        unique = {formula.label: formula for formula in found}.values()
        chosen = ordered([f for f in unique if is_held_out(f) == options.held], rng)
        chosen = chosen[options.skip : options.skip + options.count]
        if options.pdf:
            seed = options.seed + options.skip
            print(*write_displays(chosen, options.output, seed, options.jobs), sep="\n")
            return
        # Short ones come first, so that training can start with the first shards.
        chosen.sort(key=lambda formula: (formula.tokens > 20, formula.tokens > 60))
        paths = draw_shards(chosen, options.output, options.seed + options.skip, options.jobs)
    except OcrToolError as error:
        sys.exit(f"{parser.prog}: {error}")
    print(*paths, sep="\n")


if __name__ == "__main__":
    main()
