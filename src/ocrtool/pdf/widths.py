"""Widths of glyphs of fonts that state none, measured on the page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_MEASURED_LETTERS = 20
"""Minimum number of characters of a font whose widths are measured."""
MIN_WRONG_SHARE = 0.5
"""Share of glyphs that advance by another width than stated from which a font states none."""
MIN_WRONG_EMS = 0.04
"""Minimum difference of such an advance from the stated width, in ems."""
MIN_SPREAD_EMS = 0.05
"""Minimum standard deviation, in ems, of the advances in such a font; monospaced type has less."""
MAX_WIDTH_EMS = 1.2
"""Maximum advance, in ems, that is taken for a width; beyond it there is white space."""


def measured_widths(
    width: Floats, u: Floats, size: Floats, rows: Floats, font: Floats, text: list[str]
) -> Floats:
    """Return glyph widths, measured by the distance to the next glyph in fonts that state none.

    A font without a table of widths gives all glyphs one default.

    Args:
        width: (N,) stated advances, in pixels.
        u: (N,) starts along the reading direction, in pixels.
        size: (N,) type sizes in pixels.
        rows: (N,) number of the row that contains each glyph.
        font: (N,) number of the font of each glyph.
        text: Their N characters, white space included.
    """
    result = width
    if len(u) < 2:
        return result
    em = np.maximum(size, 1e-6)
    share = width / em
    step = np.append(np.diff(u), np.inf) / em
    inside = np.append((rows[1:] == rows[:-1]) & (font[1:] == font[:-1]), False) & (step > 0)
    for number in np.unique(font).tolist():
        own = np.flatnonzero(font == number)
        if len(own) < MIN_MEASURED_LETTERS or np.ptp(share[own]) > 0.02:
            continue
        told = own[inside[own] & (step[own] < MAX_WIDTH_EMS)]
        wrong = np.abs(step[told] - share[told]) > MIN_WRONG_EMS
        if not len(told) or wrong.mean() < MIN_WRONG_SHARE or step[told].std() < MIN_SPREAD_EMS:
            continue
        usual = float(np.median(step[told]))
        steps: dict[str, list[float]] = {}
        for i in told.tolist():
            steps.setdefault(text[i], []).append(float(step[i]))
        known = {char: float(np.quantile(some, 0.2)) for char, some in steps.items()}
        result = result.copy()
        result[own] = em[own] * np.array([known.get(text[i], usual) for i in own.tolist()])
    return result
