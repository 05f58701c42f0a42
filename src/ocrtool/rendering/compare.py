"""Verification of recognised formulas: render them and compare the result with the image.

Font, size, spacing and quality of image and rendering differ, so pixels cannot be compared. Both
are split into columns, described by the position and direction of their strokes (histograms of
oriented gradients; Dalal and Triggs, 2005), and the columns are aligned by dynamic programming
(Needleman and Wunsch, 1970): similar columns match, ink without a counterpart has a gap cost, and
white space costs almost nothing. The total cost and the cost at the worst place measure the
similarity.

The total cost depends more on font and image quality than on one wrong letter. A formula is
therefore accepted by another criterion: no place may be much worse than the median.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.latex_syntax.tokens import tokenize
from ocrtool.preprocess.formulas import even_ink, letter_height
from ocrtool.rendering.render import EM, Renderer

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]

MAX_ODDNESS = 2.2
"""Maximum ratio of worst to median local cost of an accepted formula of 20 tokens."""
ODDNESS_PER_LOG_LENGTH = 0.15
"""Relative increase of this limit for a formula e times as long, which has more places."""
MEDIAN_COST_OFFSET = 0.1
"""Offset added to the median cost, so that small differences in clean images do not count."""
MIN_CLOSENESS = 0.25
"""Minimum closeness of an accepted formula."""
MARGIN = 0.01
"""Minimum lead in closeness of another candidate over the recogniser's first choice."""

LETTER_HEIGHT = 15.0
"""Height in pixels of small letters in the images that are described."""
_DRAWN_LETTER = 0.43 * EM
COLUMN_STRIDE = 2
"""Distance in pixels between columns."""
CELL_STRIDE = 3
"""Distance in pixels between the cells of a column."""
DIRECTIONS = 4
"""Number of gradient directions of a descriptor."""
INK_WEIGHT = 0.6
"""Weight of the ink itself in a descriptor, relative to its gradients."""
GAP_COST = 0.7
"""Cost of unmatched ink, as a share of its energy; matching dissimilar ink costs 1."""
WHITE_GAP_COST = 0.01
"""Cost of an unmatched column of white space."""
SHIFT_COST = 0.03
"""Cost, as a share of a column's energy, of a vertical shift by one cell."""
WORST_WEIGHT = 0.3
"""Weight of the worst local cost relative to the total cost."""
MAX_SLOPE = 0.035
"""Maximum slope that is corrected; twice the usual skew of pages."""
MIN_COMPONENT_SHARE = 0.02
"""Minimum area of a component, relative to the third largest; smaller ones are noise."""
MAX_SLIVER_HEIGHT = 1.2
"""Maximum height, in letters, of ink at the edge that may belong to an adjacent line."""
SLIVER_COST = 0.03
"""Closeness subtracted when such ink is removed, since it may be a limit or exponent."""
DENOISE_SIGMA = 0.06
"""Sigma of the denoising blur, in letter heights."""


@dataclass(frozen=True)
class Verdict:
    """The candidate that an image shows.

    Attributes:
        index: Index of the best matching candidate.
        closeness: Similarity of its rendering to the image, 0 to 1.
        agrees: Whether the match is good enough to be accepted.
    """

    index: int
    closeness: float
    agrees: bool


def verify(picture: NDArray[np.uint8], candidates: Sequence[str], renderer: Renderer) -> Verdict:
    """Choose the candidate whose rendering is most similar to an image.

    Args:
        picture: (H, W) grey or (H, W, 3) RGB, uint8.
        candidates: LaTeX, most likely first; at least one.
        renderer: Renders all candidates in one run.

    Returns:
        The best one; the first, with closeness 0, where none can be rendered.

    Raises:
        ValueError: The array is not such an image, or there are no candidates.
    """
    return verify_all([picture], [candidates], renderer)[0]


def verify_all(
    pictures: Sequence[NDArray[np.uint8]],
    candidates: Sequence[Sequence[str]],
    renderer: Renderer,
) -> list[Verdict]:
    """Apply ``verify`` to many images with a single run of the renderer.

    Raises:
        ValueError: An array is no image, or an image has no candidates.
    """
    if not all(candidates):
        raise ValueError("nothing to verify")
    drawn = iter(renderer.looks([latex for group in candidates for latex in group]))
    verdicts: list[Verdict] = []
    for picture, group in zip(pictures, candidates, strict=True):
        shown = formula_inks(picture)
        matches = [best_match(shown, next(drawn)) for _ in group]
        best = max(range(len(group)), key=lambda i: matches[i].closeness)
        if matches[best].closeness <= matches[0].closeness + MARGIN:
            best = 0
        match = matches[best]
        tokens = len(tokenize(group[best])) if match.closeness else 0
        verdicts.append(Verdict(best, match.closeness, match.agrees(tokens)))
    return verdicts


def closeness(picture: NDArray[np.uint8], rendered: NDArray[np.uint8]) -> float:
    """Return the similarity of an image and a rendering of a formula.

    Args:
        picture: (H, W) grey or (H, W, 3) RGB, uint8, of any quality.
        rendered: (H, W) grey, uint8, clean black on white, as made by a ``Renderer``.

    Returns:
        0 to 1; 1 where they are equal, 0 where either is blank.

    Raises:
        ValueError: An array is no image.
    """
    return best_match(formula_inks(picture), [rendered]).closeness


@dataclass(frozen=True)
class Match:
    """Alignment costs of an image and a rendering, as shares of the ink; 0 is a perfect match.

    Attributes:
        whole: Total cost.
        worst: Maximum local cost in a window one letter wide.
        usual: Median local cost.
    """

    whole: float = 1.0
    worst: float = 1.0
    usual: float = 1.0

    @property
    def closeness(self) -> float:
        """Similarity from 0 to 1."""
        lost = (self.whole + WORST_WEIGHT * self.worst) / (1 + WORST_WEIGHT)
        return min(1.0, max(0.0, 1 - lost))

    @property
    def oddness(self) -> float:
        """Ratio of the worst to the median local cost."""
        return self.worst / (self.usual + MEDIAN_COST_OFFSET)

    def agrees(self, tokens: int) -> bool:
        """Tell whether image and rendering may show the same formula of so many tokens."""
        longer = float(np.clip(math.log(max(tokens, 1) / 20), -1, 2))
        return (
            self.oddness <= MAX_ODDNESS * (1 + ODDNESS_PER_LOG_LENGTH * longer)
            and self.closeness >= MIN_CLOSENESS
        )


def best_match(shown: Sequence[Grey], looks: Sequence[Grey]) -> Match:
    """Match every variant of an image with every rendering of a formula; return the best match."""
    best = Match()
    for look in looks:
        drawn = _ink_of_drawing(look)
        if drawn is None:
            continue
        height = float(np.clip(drawn.shape[0] * LETTER_HEIGHT / _DRAWN_LETTER, 8, 700))
        columns = _columns(drawn, height)
        for number, ink in enumerate(shown):
            match = _align_and_score(_columns(ink, height), columns)
            if match.closeness - (SLIVER_COST if number else 0) > best.closeness:
                best = match
    return best


# --------------------------------------------------------------------------- ink


def _ink_of_drawing(rendered: Grey) -> Grey | None:
    cuts = _crops(np.asarray(255 - rendered, np.uint8), slivers=False)
    return cuts[0] if cuts else None


def formula_inks(picture: NDArray[np.uint8]) -> list[Grey]:
    """Return the deskewed, cropped ink of a formula, also without ink of adjacent lines."""
    ink = even_ink(picture)
    return [] if ink is None else _crops(_deskew(ink), slivers=True)


def _otsu(soft: NDArray[np.uint8]) -> tuple[float, Grey]:
    """Return Otsu's threshold and the thresholded mask (0 or 1)."""
    threshold, mask = cv2.threshold(soft, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(threshold), np.asarray(mask, np.uint8)


def _deskew(ink: Grey) -> Grey:
    """Deskew a formula by the shear that maximises the differences of row sums."""
    height, width = ink.shape
    if width < height:
        return ink
    pad = int(MAX_SLOPE * width / 2) + 1
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
    for slope in np.linspace(-MAX_SLOPE, MAX_SLOPE, 15).tolist():
        if (found := contrast(slope)) > most:
            best, most = slope, found
    return sheared(np.asarray(framed, np.uint8), best) if best else ink


def _crops(ink: Grey, slivers: bool) -> list[Grey]:
    """Crop to the components without noise; if asked, also without slivers at the edges."""
    grain = float(np.clip(min(ink.shape) / 64, 0.5, 1.5))
    _, mask = _otsu(np.asarray(cv2.GaussianBlur(ink, (0, 0), grain), np.uint8))
    count, labels, found, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return []
    letter = letter_height(mask, ink)
    stats = np.asarray(found[1:], np.int32)
    areas = stats[:, cv2.CC_STAT_AREA]
    third = np.sort(areas)[-min(3, len(areas))]
    kept = (areas >= MIN_COMPONENT_SHARE * third) & (areas >= 0.008 * letter**2)
    if not kept.any():
        kept[:] = True
    choices = [
        kept,
        *(_without_slivers(stats, kept, MAX_SLIVER_HEIGHT * letter) if slivers else []),
    ]
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
    """Return component selections without low rows at the top, at the bottom, and at both."""
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
    """Describe the columns of ink scaled to a height: (columns, cells, features)."""
    scale = height / ink.shape[0]
    size = (max(2, round(ink.shape[1] * scale)), max(2, round(height)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    drawn = cv2.resize(ink, size, interpolation=method)
    drawn = cv2.copyMakeBorder(drawn, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=0)
    soft = np.asarray(cv2.GaussianBlur(drawn, (0, 0), DENOISE_SIGMA * LETTER_HEIGHT), np.uint8)
    threshold, _ = _otsu(soft)
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
    return np.ascontiguousarray(
        np.stack(spread, -1)[::CELL_STRIDE, ::COLUMN_STRIDE].transpose(1, 0, 2)
    )


def _align_and_score(shown: Floats, drawn: Floats) -> Match:
    """Align the columns of two formulas and sum up the costs."""
    longer, shorter = max(len(shown), len(drawn)), min(len(shown), len(drawn))
    if longer > 3 * shorter + 30:
        return Match()
    costs, energies = _align(shown, drawn)
    whole = float(costs.sum() / energies.sum())
    window = np.ones(max(3, round(LETTER_HEIGHT / COLUMN_STRIDE)), np.float32)
    if len(costs) <= len(window):
        return Match(whole, whole, whole)
    spent, there = np.convolve(costs, window, "same"), np.convolve(energies, window, "same")
    # Differences in places with little ink are weighted less.
    local = 1.5 * spent / (there + 0.5 * np.median(there))
    return Match(whole, float(local.max()), float(np.median(local)))


def _align(shown: Floats, drawn: Floats) -> tuple[Floats, Floats]:
    """Align columns; return the cost of each step and the energy of its columns."""
    price, here, there = _match_costs(shown, drawn)
    skip_here, skip_there = GAP_COST * here + WHITE_GAP_COST, GAP_COST * there + WHITE_GAP_COST
    total = _alignment_costs(price, skip_here, skip_there)
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


def _match_costs(shown: Floats, drawn: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the cost of matching each pair of columns, and the energies of both sides."""
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
        price = np.maximum(both - 2 * flat @ other.T, 0) + SHIFT_COST * abs(shift) * both
        best = price if best is None else np.minimum(best, price)
    assert best is not None
    return np.ascontiguousarray(best, np.float32), here, there


def _alignment_costs(price: Floats, skip_here: Floats, skip_there: Floats) -> Floats:
    """Return the minimum alignment cost of each pair of prefixes, (n + 1, m + 1).

    One diagonal is computed at a time, since its cells depend only on earlier ones; in the flat
    array they are a row length minus one apart.
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
