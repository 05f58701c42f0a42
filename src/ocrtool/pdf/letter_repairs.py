"""Repairs of the characters of a page: copies, accents and underscores.

A file may print a word several times for bold type, or draw an accent or an underscore apart from
the letter it belongs to. What the page shows is one text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ocrtool.pdf.content import Flags, Letters, Vectors
from ocrtool.pdf.fonts import ACCENTS, accented

MAX_COPY_OFFSET = 0.15
"""Maximum offset, in ems, of a copy of a character that makes it bolder."""
MAX_COPY_SHIFT = 0.5
"""Maximum offset of a copy, in widths of the character; a repeated letter is a whole width away."""
ACCENT_RISE_EMS = (-0.1, 0.45)
"""Minimum and maximum rise of an accent's baseline above that of its letter, in ems."""
MAX_ACCENT_DISTANCE = 2
"""Maximum number of places in the file between an accent and its letter."""
UNDERSCORE_WIDTH_EMS = (0.2, 0.7)
"""Minimum and maximum width of a rule that is an underscore, in ems."""
MAX_UNDERSCORE_HEIGHT_EMS = 0.1
"""Maximum height of a rule that is an underscore, in ems."""
MAX_UNDERSCORE_DROP_EMS = 0.3
"""Maximum distance of an underscore below the baseline, in ems."""
MAX_UNDERSCORE_GAP_EMS = 0.12
"""Maximum gap between an underscore and the letters on both sides, in ems."""


def without_copies(letters: Letters) -> Letters:
    """Drop the characters that are printed again at a small offset, all but the last of them."""
    count = len(letters.text)
    if count < 2:
        return letters
    points = np.stack((letters.u, letters.v), axis=1)
    step = 2 * MAX_COPY_OFFSET * max(float(letters.size.max()), 1e-6)
    codes = np.array([hash(text) for text in letters.text], np.int64)
    suspects: dict[tuple[int, int], list[int]] = {}
    # Any two points within half a step are in one cell of one of four shifted grids.
    for shift in range(4):
        offset = np.array([shift & 1, shift >> 1]) * (step / 2)
        cells = np.floor((points + offset) / step).astype(np.int64)
        keys = np.column_stack((codes, cells))
        _, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        inverse = inverse.ravel()
        for i in np.flatnonzero(counts[inverse] > 1).tolist():
            suspects.setdefault((shift, int(inverse[i])), []).append(i)
    dropped: set[int] = set()
    for group in suspects.values():
        for at, i in enumerate(group):
            if any(_is_copy(letters, i, j) for j in group[at + 1 :]):
                dropped.add(i)  # the later one is painted on top
    if not dropped:
        return letters
    return letters.of(np.array([i for i in range(count) if i not in dropped]))


def _is_copy(letters: Letters, i: int, j: int) -> bool:
    size = float(letters.size[i])
    if abs(float(letters.size[j]) - size) > 0.05 * size:
        return False
    if np.abs(letters.turn[i] - letters.turn[j]).max() > 0.02:
        return False
    limit = min(MAX_COPY_OFFSET * size, MAX_COPY_SHIFT * max(float(letters.width[i]), 0.05 * size))
    return bool(
        abs(letters.u[i] - letters.u[j]) <= limit
        and abs(letters.v[i] - letters.v[j]) <= MAX_COPY_OFFSET * size
    )


def with_accents(letters: Letters) -> Letters:
    """Combine accents, drawn as glyphs of their own, with the letters that they stand over."""
    places = [i for i, text in enumerate(letters.text) if text in ACCENTS]
    if not places:
        return letters
    text, spaced = list(letters.text), letters.spaced.copy()
    gone: set[int] = set()
    for i in places:
        for j in _nearest(i, len(text)):
            if j in gone or len(text[j]) != 1 or not _is_over(letters, i, j):
                continue
            whole = accented(text[j], text[i])
            if whole:
                text[j] = whole
                spaced[j] |= spaced[i] and i < j
                gone.add(i)
                break
    if not gone:
        return letters
    kept = np.array([i for i in range(len(text)) if i not in gone])
    return replace(letters, text=text, spaced=spaced).of(kept)


def _nearest(i: int, count: int) -> Iterator[int]:
    for step in range(1, MAX_ACCENT_DISTANCE + 1):
        for j in (i + step, i - step):
            if 0 <= j < count:
                yield j


def _is_over(letters: Letters, i: int, j: int) -> bool:
    """Tell whether accent ``i`` stands over letter ``j``."""
    size = max(float(letters.size[j]), 1e-6)
    rise = float(letters.v[j] - letters.v[i]) / size
    middle = float(letters.u[i] + letters.width[i] / 2)
    start = float(letters.u[j])
    return (
        ACCENT_RISE_EMS[0] < rise < ACCENT_RISE_EMS[1]
        and start < middle < start + float(letters.width[j])
        and float(np.abs(letters.turn[i] - letters.turn[j]).max()) < 0.02
    )


def with_underscores(letters: Letters, vectors: Vectors) -> tuple[Letters, Flags]:
    """Add the underscores that are drawn as rules between the letters of a word.

    Args:
        letters: Characters of the page.
        vectors: Vector graphics of the page.

    Returns:
        The characters, and (M,) which vectors are underscores.
    """
    marks = np.zeros(len(vectors.boxes), bool)
    level = np.flatnonzero(letters.turn[:, 0] > 0.999) if len(letters.text) else np.zeros(0, int)
    if not len(level) or not len(marks):
        return letters, marks
    size = float(np.median(letters.size[level]))
    wide = vectors.boxes[:, 2] - vectors.boxes[:, 0]
    high = vectors.boxes[:, 3] - vectors.boxes[:, 1]
    likely = vectors.straight & (high < 2 * MAX_UNDERSCORE_HEIGHT_EMS * size)
    likely &= (wide > 0.5 * UNDERSCORE_WIDTH_EMS[0] * size) & (wide < 2 * size)
    found: dict[int, list[tuple[float, float]]] = {}
    u0, u1, v = letters.u[level], (letters.u + letters.width)[level], letters.v[level]
    sizes = letters.size[level]
    for k in np.flatnonzero(likely).tolist():
        x0, y0, x1, y1 = vectors.boxes[k].tolist()
        drop = ((y0 + y1) / 2 - v) / sizes
        row = (drop > -0.05) & (drop < MAX_UNDERSCORE_DROP_EMS)
        gap = MAX_UNDERSCORE_GAP_EMS * sizes
        before = row & (np.abs(u1 - x0) < gap)
        after = row & (np.abs(u0 - x1) < gap)
        over = row & (u0 < x1 - gap) & (u1 > x0 + gap)
        if not before.any() or not after.any() or over.any():
            continue
        at = int(level[np.flatnonzero(before)[0]])
        em = float(letters.size[at])
        least, most = (share * em for share in UNDERSCORE_WIDTH_EMS)
        if least < x1 - x0 < most and y1 - y0 < MAX_UNDERSCORE_HEIGHT_EMS * em:
            found.setdefault(at, []).append((x0, x1))
            marks[k] = True
    if not found:
        return letters, marks
    order = [i for at in range(len(letters.text)) for i in [at, *([at] * len(found.get(at, ())))]]
    copied = letters.of(np.array(order))
    text, u, width, spaced = list(copied.text), copied.u, copied.width, copied.spaced
    place = 0
    for at in range(len(letters.text)):
        place += 1
        for x0, x1 in found.get(at, ()):
            text[place], u[place], width[place], spaced[place] = "_", x0, x1 - x0, False
            place += 1
    # The letter after an underscore is of the same word, whatever white space the file has there.
    spaced[1:] &= np.array([one != "_" for one in text[:-1]], bool)
    return replace(copied, text=text), marks
