"""How well pictures of tables become tables: drawn ones, in every style, ruled and not.

    python -m tests.benchmarks.latex_tables --count 120 [--fonts DIR] [--keep FOLDER]

Each table is set alone on a page by a program chosen by chance, drawn at 100 to 300 dots an inch,
clean as a screenshot or as a scanner sees it, and cut out with some white. Tree edit distance
similarity (TEDS) of the cells that ``ocrtool latex --kind table`` finds.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import lxml.html
import numpy as np
import pymupdf
from PIL import Image

from ocrtool.evaluation.markdown_scores import teds
from ocrtool.inputs.page_source import ImagePage
from ocrtool.options import PictureKind
from ocrtool.pipelines.transcribe import Given, Transcriber
from ocrtool.synth import find_fonts
from ocrtool.synth.typefaces import TypeLibrary
from ocrtool.writers.tables import html_table
from tests.benchmarks.pdf.content import load
from tests.benchmarks.pdf.pages_tex import can_set
from tests.benchmarks.pdf.render import render, renderers
from tests.benchmarks.pdf.styles import RULED, draw_style


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--fonts", type=Path, action="append", default=[])
    parser.add_argument("--keep", type=Path, help="folder for pictures and results")
    args = parser.parse_args()
    press = TypeLibrary(find_fonts(args.fonts), [])
    transcriber = Transcriber()
    scores: dict[str, list[float]] = defaultdict(list)
    seconds = 0.0
    for number in range(args.count):
        rng = np.random.default_rng([args.seed, number])
        look, wanted, image = draw(rng, press)
        start = time.perf_counter()
        said = next(transcriber.read([Given(str(number), ImagePage(image))], PictureKind.TABLE))
        seconds += time.perf_counter() - start
        cells = said.block.cells if said.block else ()
        found = html_table(cells, _text) if cells else "<table></table>"
        score = teds(wanted, found)
        scores["ruled" if look in RULED else "unruled"].append(score)
        scores[look].append(score)
        print(f"{number:03} {look:9} {score:.3f}", file=sys.stderr)
        if args.keep:
            args.keep.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(args.keep / f"{number:03}.png")
            (args.keep / f"{number:03}.html").write_text(wanted + "\n\n" + found, encoding="utf-8")
    for name, values in scores.items():
        print(f"{name:9} {len(values):4} tables  TEDS {np.mean(values):.3f}")
    print(f"{seconds / args.count:.2f} s a table")


def draw(rng: np.random.Generator, press: TypeLibrary) -> tuple[str, str, np.ndarray]:
    """Return how a table is ruled, its HTML, and its picture in grey."""
    programs = renderers()
    while True:
        program = programs[int(rng.integers(len(programs)))]
        style = draw_style(rng, press, program, slides=False, columns=1)
        style = dataclasses.replace(style, head="", foot="")  # nothing but the table
        if program == "story" and style.look == "shaded":
            continue  # which it does not do
        spans = program not in ("latex", "story")
        content = load("{{table}}", rng, style.look, spans=spans)
        for node in [n for n in content.body.iter("p")]:
            node.drop_tree()
        if program != "latex" or can_set(content):
            break
    table = next(content.body.iter("table"))
    wanted = lxml.html.tostring(table, encoding="unicode")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "table.pdf"
        render(content, style, target)
        return style.look, wanted, _picture(target, rng)


def _picture(path: Path, rng: np.random.Generator) -> np.ndarray:
    dpi = int(rng.choice([100, 150, 200, 300]))
    with pymupdf.open(path) as file:
        page = file[0]
        pixels = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY, alpha=False)
    image = np.frombuffer(pixels.samples, np.uint8).reshape(pixels.h, pixels.w)
    rows, columns = np.nonzero(image < 200)
    margin = int(dpi * rng.uniform(0.05, 0.3))
    image = image[
        max(0, rows.min() - margin) : rows.max() + margin,
        max(0, columns.min() - margin) : columns.max() + margin,
    ]
    if rng.random() < 0.5:
        blurred = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.8)) * dpi / 200)
        noise = rng.normal(0, rng.uniform(1, 8), image.shape)
        image = np.clip(blurred * rng.uniform(0.88, 1.0) + noise, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image)


def _text(cell: object) -> str:
    return " ".join(line.text for line in cell.lines)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
