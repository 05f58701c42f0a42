"""Precision and recall of line detection, counted in whole lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

COVERAGE = 0.7
"""Minimum share of the larger of a drawn and a found line in their intersection."""
LEAST_VISIBLE = 0.6
"""Minimum share of a drawn line's area within the image for it to count."""


@dataclass(frozen=True)
class LineScores:
    """Counts over some pages.

    Attributes:
        drawn: Lines to be found.
        found: Lines found, without those on lines that do not count.
        right: Lines found as a whole, once, and in the correct reading direction.
    """

    drawn: int = 0
    found: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        """Share of found lines that are correct; 1 if none were found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of drawn lines that were found; 1 if there are none."""
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
    """Compare the found lines of a page with the drawn ones.

    Args:
        drawn: Quads (4, 2) in reading direction, in pixels.
        found: Quads in the same form.
        size: Height and width of the image in pixels.
        least_height: Minimum height in pixels of lines that count. Lower lines and lines cut off by
            the image's edge do not count, nor do the lines found there.
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
    """Return the intersection (N, 2) of convex polygons; a single point if it is empty."""
    if len(a) < 3 or (a.min(axis=0) > b.max(axis=0)).any() or (b.min(axis=0) > a.max(axis=0)).any():
        return np.zeros((1, 2), np.float32)
    area, points = cv2.intersectConvexConvex(a, b)
    if area <= 0 or points is None:
        return np.zeros((1, 2), np.float32)
    return np.asarray(points, np.float32).reshape(-1, 2)


def _same_way(u: NDArray[np.float32], v: NDArray[np.float32]) -> bool:
    return bool(u @ v > np.sqrt(0.5) * np.hypot(*u) * np.hypot(*v))
