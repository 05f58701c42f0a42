"""Lines of low confidence, read again by a larger model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ocrtool.pages.upright import OrientedText
from ocrtool.readers.cascade import CascadeReader


def escalate(
    texts: Sequence[OrientedText], cascade: CascadeReader, below: float
) -> list[OrientedText]:
    """Return the texts of pages, their doubtful lines read by the larger model of a cascade.

    Args:
        texts: Of any number of pages; their lines share the batches and the budget.
        cascade: The models.
        below: Confidence, 0 to 1, below which a line is in doubt.
    """
    lines = [list(text.lines) for text in texts]
    doubtful = [
        (i, j)
        for i, text in enumerate(texts)
        for j, (_, result) in enumerate(text.lines)
        if result.confidence < below
    ]
    pairs = [(texts[i].cut(lines[i][j][0]), lines[i][j][1]) for i, j in doubtful]
    for (i, j), result in zip(doubtful, cascade.escalate(pairs), strict=True):
        lines[i][j] = lines[i][j][0], result
    return [replace(text, lines=tuple(one)) for text, one in zip(texts, lines, strict=True)]
