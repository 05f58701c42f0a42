"""Images of a run: its curves, and a contact sheet of training samples."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ocrtool.console import atomic_write


def draw_curves(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the losses and scores of the records of ``log.jsonl`` to a PNG file.

    Raises:
        OutputError: It cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    training = [record for record in records if record["kind"] == "train"]
    validation = [record for record in records if record["kind"] == "validation"]
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    losses, scores = figure.subplots(1, 2)

    def line(axes: Any, rows: Sequence[Mapping[str, Any]], name: str, **style: Any) -> None:
        points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), **style)

    line(losses, training, "loss", label="training", color="tab:blue", alpha=0.6, linewidth=1)
    line(losses, validation, "loss", label="validation", color="tab:orange", marker=".")
    losses.set(xlabel="step", ylabel="loss", yscale="log")
    kinds = {
        "accuracy": ("accuracy, text known so far", "tab:green"),
        "exact": ("exact lines", "tab:blue"),
        "similarity": ("edit similarity", "tab:olive"),
        "cer": ("character (token) error rate", "tab:red"),
        "wer": ("word error rate", "tab:purple"),
    }
    for name, (label, color) in kinds.items():
        line(scores, validation, name, label=label, color=color, marker=".")
    scores.set(xlabel="step", ylabel="validation", ylim=(0, 1))
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend()
    with atomic_write(path) as temporary:
        canvas.print_png(temporary)  # type: ignore[no-untyped-call]


def draw_sheet(samples: Sequence[tuple[NDArray[np.float32], str]], path: Path) -> None:
    """Draw samples, pixels (C, H, W) of any range with their texts, to a PNG file.

    Raises:
        OutputError: It cannot be written.
    """
    import matplotlib

    font_file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    font = ImageFont.truetype(str(font_file), 13)
    cells = [_cell(pixels, text, font) for pixels, text in samples]
    width = max(760, *(cell.width for cell in cells)) + 12
    rows: list[list[Image.Image]] = [[]]
    used = 0
    for cell in cells:  # narrow cells stand side by side
        if rows[-1] and used + cell.width + 12 > width:
            rows.append([])
            used = 0
        rows[-1].append(cell)
        used += cell.width + 12
    heights = [max(cell.height for cell in row) + 8 for row in rows]
    sheet = Image.new("RGB", (width, sum(heights)), (232, 236, 240))
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 6
        for cell in row:
            sheet.paste(cell, (left, top + 4))
            left += cell.width + 12
        top += height
    with atomic_write(path) as temporary:
        sheet.save(temporary, "PNG")


def _cell(pixels: NDArray[np.float32], text: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    low, high = float(pixels.min()), float(pixels.max())
    grey = ((pixels - low) * (255 / max(high - low, 1e-6))).astype(np.uint8)
    image = Image.fromarray(grey[0] if grey.shape[0] == 1 else np.moveaxis(grey, 0, 2))
    wide = max(image.width, 160)
    lines = textwrap.wrap(text, max(16, wide // 7), drop_whitespace=False) or [""]
    cell = Image.new("RGB", (wide + 4, image.height + 17 * len(lines) + 4), "white")
    cell.paste(image.convert("RGB"), (2, 2))
    pen = ImageDraw.Draw(cell)
    for number, line in enumerate(lines):
        pen.text((2, image.height + 3 + 17 * number), line, fill=(20, 60, 160), font=font)
    return cell
