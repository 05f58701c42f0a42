"""Plots of the HTML report as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ocrtool.evaluation.figures import Estimate, Figure

PLOT_WIDTH = 420
"""Width of a plot in pixels."""
ROW_HEIGHT = 26
"""Height of a row of an interval plot in pixels."""
LABEL_WIDTH = 130
"""Width in pixels of the names at the left of a plot."""
SCATTER_SIZE = 300
"""Width and height of a scatter plot in pixels."""
MARGIN = 34
"""Pixels around a plot."""


def interval_plot(figure: Figure, rows: Sequence[tuple[str, Estimate]]) -> str:
    """Return a plot of one figure: a dot and its interval for each system."""
    values = [v for _, e in rows for v in (e.value, e.low, e.high) if v is not None]
    low, high = min(values), max(values)
    span = (high - low) or max(abs(high), 1e-9)
    low, high = low - span / 20, high + span / 20

    def x(value: float) -> float:
        inside = PLOT_WIDTH - LABEL_WIDTH - MARGIN
        return LABEL_WIDTH + inside * (value - low) / (high - low)

    parts = []
    for number, (name, value) in enumerate(rows):
        y = ROW_HEIGHT * (number + 0.5)
        parts.append(f'<text x="0" y="{y + 4:.1f}">{escape(name[:20])}</text>')
        if value.low is not None and value.high is not None:
            parts.append(
                f'<line class="mark" stroke-width="2" x1="{x(value.low):.1f}" y1="{y}" '
                f'x2="{x(value.high):.1f}" y2="{y}"/>'
            )
        parts.append(f'<circle class="mark" cx="{x(value.value):.1f}" cy="{y}" r="4"/>')
    foot = ROW_HEIGHT * len(rows)
    ends = f'x1="{LABEL_WIDTH}" y1="{foot}" x2="{PLOT_WIDTH}" y2="{foot}"'
    parts.append(f'<line class="axis" {ends}/>')
    for bound, anchor in ((low, "start"), (high, "end")):
        parts.append(
            f'<text x="{x(bound):.1f}" y="{foot + 16}" text-anchor="{anchor}">'
            f"{figure.show(bound)}</text>"
        )
    return _figure(f"{figure.title}, with 95 % intervals", PLOT_WIDTH, foot + 22, parts)


def scatter_plot(
    figure: Figure, names: tuple[str, str], points: Sequence[tuple[float, float, str]]
) -> str:
    """Return a plot of two systems against each other, a point for each item.

    Args:
        figure: What is plotted.
        names: Of the system at the bottom and of that at the left.
        points: Values of both and the name of the item.
    """
    top = max((value for point in points for value in point[:2]), default=1.0) or 1.0
    inside = SCATTER_SIZE - 2 * MARGIN

    def x(value: float) -> float:
        return MARGIN + inside * value / top

    def y(value: float) -> float:
        return SCATTER_SIZE - MARGIN - inside * value / top

    parts = [
        f'<rect class="axis" fill="none" x="{MARGIN}" y="{MARGIN}" '
        f'width="{inside}" height="{inside}"/>',
        f'<line class="axis" x1="{x(0)}" y1="{y(0)}" x2="{x(top)}" y2="{y(top)}"/>',
    ]
    parts += [
        f'<circle class="mark" fill-opacity=".5" cx="{x(a):.1f}" cy="{y(b):.1f}" r="3">'
        f"<title>{escape(name)}: {figure.show(a)}, {figure.show(b)}</title></circle>"
        for a, b, name in points
    ]
    foot = SCATTER_SIZE - MARGIN + 16
    parts += [
        f'<text x="{SCATTER_SIZE / 2}" y="{foot}" text-anchor="middle">{escape(names[0])}</text>',
        f'<text x="{MARGIN}" y="{MARGIN - 8}">{escape(names[1])}, up to {figure.show(top)}</text>',
    ]
    return _figure(f"{figure.title} of each item", SCATTER_SIZE, SCATTER_SIZE, parts)


def _figure(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"{''.join(parts)}</svg></figure>"
    )
