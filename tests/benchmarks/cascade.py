"""What a larger reader behind the fast one costs, and what it mends.

Run: python -m tests.benchmarks.cascade SET[:LANGUAGES]... [--every 3] [--plot cascade.png]

A SET is a folder of lines as ``cut_lines`` makes them, LANGUAGES are Tesseract's. Each reader reads
each line once; what a cascade would have said and taken follows from that for every threshold:
lines below it go to the larger reader too, and the surer answer wins. The table is Markdown on
standard output.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.autoregressive import DecodeOptions
from ocrtool.document.lines import LineResult
from ocrtool.inputs.images import load_image
from ocrtool.options import EngineName, ReadOptions
from ocrtool.readers import ReadsLines, open_lines
from ocrtool.training.metrics import rates

FIRST = "CTC alone"
READERS = {
    FIRST: DecodeOptions(strategy="ctc"),
    "default": DecodeOptions(),
    "decoder, beam of 5": DecodeOptions(strategy="beam"),
}
TESSERACT = "Tesseract"
THRESHOLDS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.01)
STATED = 0.85  # of the command


@dataclass(frozen=True)
class Read:
    """What a reader said of all lines, and its milliseconds a line."""

    results: list[LineResult]
    cost: float


def read(reader: ReadsLines, lines: Sequence[tuple[str, NDArray[np.uint8]]]) -> Read:
    list(reader.read_stream(lines[:4]))
    start = time.perf_counter()
    results = list(reader.read_stream(lines))
    return Read(results, 1000 * (time.perf_counter() - start) / len(lines))


def joined(reads: Sequence[Read]) -> Read:
    """The readings of several sets, one behind the other."""
    counts = [len(part.results) for part in reads]
    costs = [part.cost * count for part, count in zip(reads, counts, strict=True)]
    return Read([r for part in reads for r in part.results], sum(costs) / sum(counts))


def cascade(first: Read, larger: Read, below: float) -> tuple[list[str], float]:
    """Texts and milliseconds a line of one reader behind another."""
    texts, asked = [], 0
    for small, large in zip(first.results, larger.results, strict=True):
        doubted = small.confidence < below
        asked += doubted
        better = doubted and large.text and large.confidence > small.confidence
        texts.append(large.text if better else small.text)
    return texts, first.cost + larger.cost * asked / len(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="read every nth line")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    truths: list[str] = []
    parts: dict[str, list[Read]] = {name: [] for name in (*READERS, TESSERACT)}
    for name in args.sets:
        folder, _, languages = name.partition(":")
        rows = (Path(folder) / "labels.tsv").read_text("utf-8").splitlines()[:: args.every]
        pairs = [row.split("\t", 1) for row in rows if "\t" in row]
        lines = [(file, load_image(Path(folder) / file)) for file, _ in pairs]
        truths += [" ".join(text.split()) for _, text in pairs]
        for reader, decoding in READERS.items():
            parts[reader].append(read(open_lines(ReadOptions(device="cpu"), decoding), lines))
        other = ReadOptions(model=languages or None, engine=EngineName.TESSERACT)
        parts[TESSERACT].append(read(open_lines(other), lines))
    reads = {name: joined(part) for name, part in parts.items()}
    curves: dict[str, list[tuple[float, float]]] = {}
    print(f"{len(truths)} lines\n\n| Reader | character errors | ms a line |\n|---|---|---|")
    for name, alone in reads.items():
        error = rates([result.text for result in alone.results], truths).cer
        curves[name] = [(alone.cost, error)]
        print(f"| {name} | {error:.2%} | {alone.cost:.1f} |")
    for small in (FIRST, "default"):
        for large in ("decoder, beam of 5", TESSERACT):
            points = []
            for below in THRESHOLDS:
                texts, cost = cascade(reads[small], reads[large], below)
                points.append((cost, rates(texts, truths).cer))
                if below == STATED:
                    print(f"| {small}, then {large} | {points[-1][1]:.2%} | {cost:.1f} |")
            curves[f"{small}, then {large}"] = points
    if args.plot:
        draw(curves, args.plot)


def draw(curves: dict[str, list[tuple[float, float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, points in curves.items():
        costs, errors = zip(*points, strict=True)
        alone = len(points) == 1
        axes.plot(costs, [100 * e for e in errors], "o" if alone else ".-", label=name)
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds a line")
    axes.set_ylabel("character errors, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
