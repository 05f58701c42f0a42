"""Columns that prose proves, and what stands between them."""

from __future__ import annotations

import numpy as np

from ocrtool.reading_order.gutters import page_columns

HEIGHT, PITCH = 20.0, 30.0
SAYING = "words of a line of prose that is long enough"


def column(x0: float, x1: float, rows: range, y: float = 0.0) -> list[tuple[float, ...]]:
    return [(x0, y + PITCH * row, x1, y + PITCH * row + HEIGHT) for row in rows]


def parts_of(*groups: list[tuple[float, ...]]) -> list[list[int]]:
    """Which groups the lines of each part are of, in reading order."""
    boxes = [box for group in groups for box in group]
    owner = [i for i, group in enumerate(groups) for _ in group]
    parts = page_columns(np.array(boxes, np.float32), [SAYING] * len(boxes), HEIGHT)
    return [sorted({owner[i] for i in part}) for part in parts]


def test_a_title_over_both_columns_parts_them() -> None:
    parts = parts_of(
        column(0, 400, range(8)),
        column(450, 850, range(8), 7.0),
        column(60, 790, range(9, 10)),
        column(0, 400, range(11, 19)),
        column(450, 850, range(11, 19), 7.0),
    )
    assert parts == [[0], [1], [2], [3], [4]]


def test_a_caption_that_the_columns_flow_round_does_not() -> None:
    """What is above and below it on one side belongs together."""
    parts = parts_of(
        column(0, 400, range(8)),
        column(450, 850, range(8), 7.0),
        column(330, 520, range(9, 13)),
        column(0, 290, range(8, 14)),
        column(560, 850, range(8, 14), 7.0),
        column(0, 400, range(14, 22)),
        column(450, 850, range(14, 22), 7.0),
    )
    assert parts == [[0, 1, 2, 3, 4, 5, 6]]
