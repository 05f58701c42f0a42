"""How well a reader of pages reads by how much text each of its vision tokens stands for.

Run: python -m tests.benchmarks.compression MODEL labels.jsonl... [--plot compression.png]

MODEL is a folder that `ocrtool train --preset deepocr-small` made, or any of DeepOCR's layout; the
JSON lines are those of `python -m ocrtool.synth --paragraphs`, drawn in several sizes. A page's
compression is its text tokens over its vision tokens, newlines and separator left out. The table is
Markdown on standard output.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ocrtool.inputs.images import load_image
from ocrtool.models.deepencoder import image_positions
from ocrtool.options import ReadOptions
from ocrtool.readers.deepocr import DeepocrPages
from ocrtool.readers.views import views_of
from ocrtool.training.metrics import edit_distance

EDGES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0)
"""Text tokens a vision token between which pages are counted together."""


def pages_of(lists: Sequence[Path]) -> list[tuple[np.ndarray, str]]:
    """Pictures and their texts."""
    return [
        (load_image(path.parent / row["image"]), row["text"])
        for path in lists
        for row in map(json.loads, path.read_text("utf-8").splitlines())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("labels", type=Path, nargs="+")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    options = ReadOptions(model=str(given.model), device="cpu", threads=given.threads, mode="base")
    reader = DeepocrPages(given.model, options)
    counts: dict[int, list[float]] = defaultdict(lambda: [0, 0, 0, 0])
    for image, text in pages_of(given.labels):
        views = views_of(image, reader._mode("base"))
        positions = image_positions(views.whole.shape[-1], views.grid, reader.network.config.tile)
        side = int((positions - 1) ** 0.5)  # side rows of side tokens and a newline, a separator
        tokens = len(reader.words.encode(text, add_special_tokens=False).ids)
        said = reader.write(image, "base").text.strip()
        sums = counts[int(np.searchsorted(EDGES, tokens / side**2))]
        wrong = edit_distance(said, text)
        for i, value in enumerate((1, tokens / side**2, wrong, len(text))):
            sums[i] += value
    print("| Text tokens a vision token | pages | characters right |\n|---|---|---|")
    curve = []
    for _, (pages, ratio, wrong, characters) in sorted(counts.items()):
        right = 100 * max(0.0, 1 - wrong / characters)
        curve.append((ratio / pages, right))
        print(f"| {ratio / pages:.1f} | {pages:.0f} | {right:.1f} % |")
    if given.plot:
        draw(curve, given.plot)


def draw(curve: Sequence[tuple[float, float]], path: Path) -> None:
    """Accuracy by compression as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*curve, strict=True), ".-")
    axes.set_xlabel("text tokens a vision token")
    axes.set_ylabel("characters right, %")
    axes.set_ylim(0, 102)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
