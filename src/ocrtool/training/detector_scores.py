"""How well lines are found: precision and recall over whole lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

COVERAGE = 0.7
"""Share of both the drawn and the found line that the other has to cover."""
LEAST_VISIBLE = 0.6
"""Share of a drawn line that must lie within the image for it to count."""


@dataclass(frozen=True)
class LineScores:
    """Counts over some pages.

    Attributes:
        drawn: Lines that should be found.
        found: Lines that were found, but for those of which it does not matter.
        right: Lines that were found whole, alone, and in the right reading direction.
    """

    drawn: int = 0
    found: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        """Share of found lines that are right; 1 where none were found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of drawn lines that were found; 1 where there are none."""
        return self.right / self.drawn if self.drawn else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(self.drawn + self.found, 1)


def add_scores(scores: Iterable[LineScores]) -> LineScores:
    """Sum the counts of several pages."""
    counts = np.array([(s.drawn, s.found, s.right) for s in scores]).reshape(-1, 3).sum(axis=0)
    return LineScores(*counts.tolist())


def match_lines(
    drawn: Sequence[ArrayLike],
    found: Sequence[ArrayLike],
    size: tuple[int, int],
    least_height: float,
) -> LineScores:
    """Compare found lines with the drawn ones of a page.

    Args:
        drawn: Quads (4, 2) in reading direction, in pixels.
        found: Likewise.
        size: Height and width of the image.
        least_height: Pixels; lower lines, and those that the image's edge cuts off, neither count
            nor do the lines that are found there.
    """
    guesses = [np.asarray(quad, np.float32) for quad in found]
    height, width = size
    page = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    truths, ways, matters = [], [], []
    for corners in drawn:
        quad = np.asarray(corners, np.float32)
        visible = _common_polygon(quad, page)
        truths.append(visible)
        ways.append(quad[1] - quad[0])
        matters.append(
            cv2.contourArea(visible) >= LEAST_VISIBLE * cv2.contourArea(quad)
            and float(np.hypot(*(quad[3] - quad[0]))) >= least_height
        )
    free = set(range(len(guesses)))
    right = 0
    pairs = []
    for i, truth in enumerate(truths):
        for j, guess in enumerate(guesses):
            common = cv2.contourArea(_common_polygon(truth, guess))
            if common == 0:
                continue
            share = common / max(cv2.contourArea(truth), cv2.contourArea(guess))
            if matters[i] and share >= COVERAGE and _same_way(ways[i], guess[1] - guess[0]):
                pairs.append((share, i, j))
            elif not matters[i] and common > 0.5 * cv2.contourArea(guess):
                free.discard(j)
    counted = len(free)
    taken: set[int] = set()
    for _, i, j in sorted(pairs, reverse=True):
        if i not in taken and j in free:
            taken.add(i)
            free.remove(j)
            right += 1
    return LineScores(sum(matters), counted, right)


def _common_polygon(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """What two convex polygons share, (N, 2); a single point where they share nothing."""
    if len(a) < 3 or (a.min(axis=0) > b.max(axis=0)).any() or (b.min(axis=0) > a.max(axis=0)).any():
        return np.zeros((1, 2), np.float32)
    area, points = cv2.intersectConvexConvex(a, b)
    if area <= 0 or points is None:
        return np.zeros((1, 2), np.float32)
    return np.asarray(points, np.float32).reshape(-1, 2)


def _same_way(u: NDArray[np.float32], v: NDArray[np.float32]) -> bool:
    return bool(u @ v > np.sqrt(0.5) * np.hypot(*u) * np.hypot(*v))
