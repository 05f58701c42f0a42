"""Is this formula what the picture shows? Found out by drawing it and laying one over the other.

The picture has another font, size, spacing and quality than the drawing, so pixels cannot be
compared. Both are cut into columns, each described by where its strokes lie and how they run
(histograms of oriented gradients; Dalal and Triggs, 2005), and the columns are aligned like the
letters of two words (Needleman and Wunsch, 1970): alike ones meet, ink that only one side has is
skipped at a price, white space costs next to nothing. What the cheapest alignment costs, on the
whole and where it is worst, tells how close the two are.

How much it costs depends on font and damage more than on one wrong letter. So whether a formula is
to be believed is told by something else: a place that is much worse than the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.latex.tokens import tokenize
from ocrtool.preprocess.formulas import even_ink, letter_height
from ocrtool.rendering.render import EM, Renderer

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]

ODD = 2.2
"""How many times worse than the usual place the worst may be in a formula of 20 tokens."""
ODDER = 0.15
"""How much more may be odd, as a share, in a formula e times as long: it has more places."""
USUAL_AT_LEAST = 0.1
"""Added to what the usual place costs: in a perfect picture trifles are not odd."""
FARTHEST = 0.25
"""Closeness below which nothing is believed."""
MARGIN = 0.01
"""By so much must another candidate be closer than the first, the reader's own choice."""

LETTER = 15.0
"""Height in pixels of small letters where columns are described."""
_DRAWN_LETTER = 0.43 * EM
STRIDE = 2
"""Pixels from column to column."""
CELL = 3
"""Pixels from one place of a column to the next."""
DIRECTIONS = 4
INK_WEIGHT = 0.6
"""Of ink itself beside its edges."""
SKIP = 0.7
"""Price of ink that only one side has, as a share of its energy; meeting nothing alike is 1."""
WHITE = 0.01
"""Price of a skipped column of paper."""
SHIFT_PRICE = 0.03
"""Share of its energy that a column costs which lies a cell higher or lower."""
WORST_WEIGHT = 0.3
"""Of the worst place beside the whole."""
STEEPEST = 0.035
"""Slope of lines that is straightened; twice what pages are usually turned by."""
SPECK = 0.02
"""Share of the third largest piece of ink below which a piece is dirt."""
SLIVER = 1.2
"""Height in letters up to which a row of ink at the edge may belong to the neighbouring line."""
SLIVER_PRICE = 0.03
"""Closeness that leaving such a row out costs: it may be a limit or an exponent after all."""
GRAIN = 0.06
"""Blur, as a share of the height of letters, that takes noise away and leaves strokes."""


@dataclass(frozen=True)
class Verdict:
    """Which candidate a picture shows.

    Attributes:
        index: Of the candidate that matches best.
        closeness: How well it does, 0 to 1.
        agrees: Whether that is well enough to believe it.
    """

    index: int
    closeness: float
    agrees: bool


def verify(picture: NDArray[np.uint8], candidates: Sequence[str], renderer: Renderer) -> Verdict:
    """Choose the candidate whose drawing is most like a picture.

    Args:
        picture: (H, W) grey or (H, W, 3) RGB, uint8.
        candidates: LaTeX, most likely first; at least one.
        renderer: Draws them, all in one run.

    Returns:
        The best one; the first, with closeness 0, where none can be drawn.

    Raises:
        ValueError: The array is not such an image, or there are no candidates.
    """
    return verify_all([picture], [candidates], renderer)[0]


def verify_all(
    pictures: Sequence[NDArray[np.uint8]],
    candidates: Sequence[Sequence[str]],
    renderer: Renderer,
) -> list[Verdict]:
    """Do what `verify` does for many pictures, with one run of the renderer for all of them.

    Raises:
        ValueError: An array is no image, or a picture has no candidates.
    """
    if not all(candidates):
        raise ValueError("nothing to verify")
    drawn = iter(renderer.looks([latex for group in candidates for latex in group]))
    verdicts: list[Verdict] = []
    for picture, group in zip(pictures, candidates, strict=True):
        shown = inks_of_picture(picture)
        matches = [best_match(shown, next(drawn)) for _ in group]
        best = max(range(len(group)), key=lambda i: matches[i].closeness)
        if matches[best].closeness <= matches[0].closeness + MARGIN:
            best = 0
        match = matches[best]
        tokens = len(tokenize(group[best])) if match.closeness else 0
        verdicts.append(Verdict(best, match.closeness, match.agrees(tokens)))
    return verdicts


def closeness(picture: NDArray[np.uint8], rendered: NDArray[np.uint8]) -> float:
    """Tell how well a picture and a drawing of a formula agree.

    Args:
        picture: (H, W) grey or (H, W, 3) RGB, uint8, as bad as it may be.
        rendered: (H, W) grey, uint8, black on white and clean, as a `Renderer` makes it.

    Returns:
        0 to 1; 1 where they are the same, 0 where either is blank.

    Raises:
        ValueError: An array is no image.
    """
    return best_match(inks_of_picture(picture), [rendered]).closeness


@dataclass(frozen=True)
class Match:
    """What aligning a picture and a drawing cost, each as a share of the ink: 0 is nothing.

    Attributes:
        whole: Of the whole.
        worst: At the worst place, a letter wide.
        usual: At the middling place.
    """

    whole: float = 1.0
    worst: float = 1.0
    usual: float = 1.0

    @property
    def closeness(self) -> float:
        """From 0 to 1."""
        lost = (self.whole + WORST_WEIGHT * self.worst) / (1 + WORST_WEIGHT)
        return min(1.0, max(0.0, 1 - lost))

    @property
    def oddness(self) -> float:
        """How many times worse than usual the worst place is."""
        return self.worst / (self.usual + USUAL_AT_LEAST)

    def agrees(self, tokens: int) -> bool:
        """Tell whether picture and drawing may be one formula of so many tokens."""
        longer = float(np.clip(math.log(max(tokens, 1) / 20), -1, 2))
        return self.oddness <= ODD * (1 + ODDER * longer) and self.closeness >= FARTHEST


def best_match(shown: Sequence[Grey], looks: Sequence[Grey]) -> Match:
    """Match every cut of a picture with every look of a formula; return the closest."""
    best = Match()
    for look in looks:
        drawn = _ink_of_drawing(look)
        if drawn is None:
            continue
        height = float(np.clip(drawn.shape[0] * LETTER / _DRAWN_LETTER, 8, 700))
        columns = _columns(drawn, height)
        for number, ink in enumerate(shown):
            match = _match(_columns(ink, height), columns)
            if match.closeness - (SLIVER_PRICE if number else 0) > best.closeness:
                best = match
    return best


# --------------------------------------------------------------------------- ink


def _ink_of_drawing(rendered: Grey) -> Grey | None:
    cuts = _cuts(np.asarray(255 - rendered, np.uint8), slivers=False)
    return cuts[0] if cuts else None


def inks_of_picture(picture: NDArray[np.uint8]) -> list[Grey]:
    """The ink of a formula, straight, cut close; without what may be neighbours' ink, too."""
    ink = even_ink(picture)
    return [] if ink is None else _cuts(_straight(ink), slivers=True)


def _split(soft: NDArray[np.uint8]) -> tuple[float, Grey]:
    """Otsu's threshold, and where there is more than that, as 0 and 1."""
    threshold, mask = cv2.threshold(soft, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(threshold), np.asarray(mask, np.uint8)


def _straight(ink: Grey) -> Grey:
    """Shear a formula so that its lines are level: the sums of its rows then differ most."""
    height, width = ink.shape
    if width < height:
        return ink
    pad = int(STEEPEST * width / 2) + 1
    framed = cv2.copyMakeBorder(ink, pad, pad, 0, 0, cv2.BORDER_CONSTANT, value=0)
    step = min(1.0, 800 / width)
    small = cv2.resize(framed, None, fx=step, fy=step, interpolation=cv2.INTER_AREA)

    def sheared(image: NDArray[np.uint8], slope: float) -> NDArray[np.uint8]:
        matrix = np.array([[1, 0, 0], [slope, 1, -slope * image.shape[1] / 2]], np.float32)
        size = (image.shape[1], image.shape[0])
        return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)

    def contrast(slope: float) -> float:
        rows = sheared(np.asarray(small, np.uint8), slope).sum(axis=1, dtype=np.float64)
        return float((np.diff(rows) ** 2).sum())

    best, most = 0.0, 1.05 * contrast(0.0)
    for slope in np.linspace(-STEEPEST, STEEPEST, 15).tolist():
        if (found := contrast(slope)) > most:
            best, most = slope, found
    return sheared(np.asarray(framed, np.uint8), best) if best else ink


def _cuts(ink: Grey, slivers: bool) -> list[Grey]:
    """Cut to the pieces of ink, dirt left out; if asked, also without rows at the edges."""
    grain = float(np.clip(min(ink.shape) / 64, 0.5, 1.5))
    _, mask = _split(np.asarray(cv2.GaussianBlur(ink, (0, 0), grain), np.uint8))
    count, labels, found, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return []
    letter = letter_height(mask, ink)
    stats = np.asarray(found[1:], np.int32)
    areas = stats[:, cv2.CC_STAT_AREA]
    third = np.sort(areas)[-min(3, len(areas))]
    kept = (areas >= SPECK * third) & (areas >= 0.008 * letter**2)
    if not kept.any():
        kept[:] = True
    choices = [kept, *(_without_slivers(stats, kept, SLIVER * letter) if slivers else [])]
    cuts: list[Grey] = []
    for chosen in choices:
        left, top = stats[chosen][:, :2].min(0).tolist()
        right, bottom = (stats[chosen][:, :2] + stats[chosen][:, 2:4]).max(0).tolist()
        near = cv2.dilate(np.r_[False, chosen].astype(np.uint8)[labels], np.ones((5, 5), np.uint8))
        cuts.append(np.asarray((ink * near)[top:bottom, left:right], np.uint8))
    return cuts


def _without_slivers(
    stats: NDArray[np.int32], kept: NDArray[np.bool_], most: float
) -> list[NDArray[np.bool_]]:
    """Choices of pieces without low rows at the top, at the bottom, at both."""
    top = stats[:, cv2.CC_STAT_TOP]
    bottom = top + stats[:, cv2.CC_STAT_HEIGHT]
    filled = np.zeros(int(bottom.max()), bool)
    for start, end in zip(top[kept], bottom[kept], strict=True):
        filled[start:end] = True
    rows = np.flatnonzero(filled)
    bands = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    tallest = int(np.argmax([len(band) for band in bands]))
    choices = []
    if tallest > 0 and len(bands[0]) < most:
        choices.append(kept & (top >= bands[1][0]))
    if tallest < len(bands) - 1 and len(bands[-1]) < most:
        choices.append(kept & (bottom <= bands[-2][-1] + 1))
    if len(choices) == 2:
        choices.append(choices[0] & choices[1])
    return [chosen for chosen in choices if chosen.any()]


# --------------------------------------------------------------------------- columns


def _columns(ink: Grey, height: float) -> Floats:
    """Describe columns of ink that is brought to a height: (columns, places, strengths)."""
    scale = height / ink.shape[0]
    size = (max(2, round(ink.shape[1] * scale)), max(2, round(height)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    drawn = cv2.resize(ink, size, interpolation=method)
    drawn = cv2.copyMakeBorder(drawn, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=0)
    soft = np.asarray(cv2.GaussianBlur(drawn, (0, 0), GRAIN * LETTER), np.uint8)
    threshold, _ = _split(soft)
    ramp = (soft - np.float32(threshold)) / (0.6 * max(threshold, 40)) + 0.5
    drawn = cv2.GaussianBlur(np.clip(ramp, 0, 1).astype(np.float32), (0, 0), 0.7)
    across = cv2.Sobel(drawn, cv2.CV_32F, 1, 0) / 4
    down = cv2.Sobel(drawn, cv2.CV_32F, 0, 1) / 4
    steepness = np.sqrt(across**2 + down**2) + 1e-2
    strengths = [drawn * INK_WEIGHT]
    for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
        along = across * np.float32(np.cos(angle)) + down * np.float32(np.sin(angle))
        strengths.append(along**2 / steepness)
    spread = [cv2.GaussianBlur(one, (0, 0), sigmaX=1.2, sigmaY=1.6) for one in strengths]
    return np.ascontiguousarray(np.stack(spread, -1)[::CELL, ::STRIDE].transpose(1, 0, 2))


def _match(shown: Floats, drawn: Floats) -> Match:
    """Align two formulas' columns and sum up what it costs."""
    longer, shorter = max(len(shown), len(drawn)), min(len(shown), len(drawn))
    if longer > 3 * shorter + 30:
        return Match()
    costs, energies = _aligned(shown, drawn)
    whole = float(costs.sum() / energies.sum())
    window = np.ones(max(3, round(LETTER / STRIDE)), np.float32)
    if len(costs) <= len(window):
        return Match(whole, whole, whole)
    spent, there = np.convolve(costs, window, "same"), np.convolve(energies, window, "same")
    # Where there is little ink, little can be wrong.
    local = 1.5 * spent / (there + 0.5 * np.median(there))
    return Match(whole, float(local.max()), float(np.median(local)))


def _aligned(shown: Floats, drawn: Floats) -> tuple[Floats, Floats]:
    """Align columns; return the cost of each step, and the energy that it accounts for."""
    price, here, there = _prices(shown, drawn)
    skip_here, skip_there = SKIP * here + WHITE, SKIP * there + WHITE
    total = _totals(price, skip_here, skip_there)
    i, j = len(shown), len(drawn)
    steps: list[tuple[float, float]] = []
    while i or j:
        reached = total[i, j] + 1e-4 * (1 + total[i, j])
        if i and j and total[i - 1, j - 1] + price[i - 1, j - 1] <= reached:
            i, j = i - 1, j - 1
            steps.append((price[i, j], here[i] + there[j]))
        elif i and (not j or total[i - 1, j] + skip_here[i - 1] <= reached):
            i -= 1
            steps.append((skip_here[i], here[i]))
        else:
            j -= 1
            steps.append((skip_there[j], there[j]))
    found = np.array(steps, np.float32)
    return found[:, 0], found[:, 1]


def _prices(shown: Floats, drawn: Floats) -> tuple[Floats, Floats, Floats]:
    """What it costs that two columns meet, and the energies of the columns of both sides."""
    flat = shown.reshape(len(shown), -1)
    here = (flat**2).sum(axis=1)
    there = (drawn**2).sum(axis=(1, 2))
    best: Floats | None = None
    for shift in (-1, 0, 1):
        moved = np.zeros_like(drawn)
        places = drawn.shape[1]
        moved[:, max(0, shift) : places + min(0, shift)] = drawn[
            :, max(0, -shift) : places - max(0, shift)
        ]
        other = moved.reshape(len(drawn), -1)
        both = here[:, None] + (other**2).sum(axis=1)[None]
        price = np.maximum(both - 2 * flat @ other.T, 0) + SHIFT_PRICE * abs(shift) * both
        best = price if best is None else np.minimum(best, price)
    assert best is not None
    return np.ascontiguousarray(best, np.float32), here, there


def _totals(price: Floats, skip_here: Floats, skip_there: Floats) -> Floats:
    """The cheapest way from the start to each pair of columns, (n + 1, m + 1).

    A diagonal at a time, as its cells depend on those before it only; in the flat array they lie
    a row less one apart.
    """
    n, m = price.shape
    total = np.full((n + 1, m + 1), np.inf, np.float32)
    total[0, 0] = 0
    total[1:, 0], total[0, 1:] = np.cumsum(skip_here), np.cumsum(skip_there)
    flat, prices = total.reshape(-1), price.reshape(-1)
    step, stride = max(1, m), max(1, m - 1)
    for diagonal in range(n + m - 1):
        first, last = max(0, diagonal - m + 1), min(n, diagonal + 1)
        count = last - first
        at = first * (m + 1) + diagonal - first
        end = at + step * (count - 1) + 1
        begin = first * m + diagonal - first
        meet = flat[at:end:step] + prices[begin : begin + stride * (count - 1) + 1 : stride]
        without = flat[at + 1 : end + 1 : step] + skip_here[first:last]
        across = flat[at + m + 1 : end + m + 1 : step]
        lacking = across + skip_there[diagonal - last + 1 : diagonal - first + 1][::-1]
        flat[at + m + 2 : end + m + 2 : step] = np.minimum(np.minimum(meet, without), lacking)
    return total
