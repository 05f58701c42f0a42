"""Seconds of whole pages, warm: image to text, one by one and overlapped; beside Tesseract.

Run: python -m tests.benchmarks.pages [PICTURE...] [--device cpu] [--rounds 3]

Without pictures, eight drawn pages of 300 dots an inch. Markdown on standard output. Overlapped is
what GPUs do: the lines of several pages are read together while those of the next ones are found.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ocrtool.inputs.images import load_image
from ocrtool.inputs.page_source import ImagePage
from ocrtool.options import ReadOptions
from ocrtool.pages.reader import PageReader
from ocrtool.synth.pages import KINDS, PageSource

A4 = 3508
"""Pixels of its longer side at 300 dots an inch."""
DRAWN = ("book", "paper", "letter", "tables")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    images = [np.asarray(load_image(path)) for path in given.pictures] or drawn()
    pages = [ImagePage(image, number=i + 1) for i, image in enumerate(images)]
    reader = PageReader(ReadOptions(device=given.device, threads=given.threads))
    print(f"{len(pages)} pages, {given.device}, {given.threads} threads\n")
    print("| | seconds a page | CPU seconds |\n|---|---|---|")
    for name, overlapped in (("one by one", False), ("overlapped", True)):
        reader.overlapped = overlapped
        wall, busy = [], []
        for _ in range(given.rounds):
            start = time.perf_counter(), time.process_time()
            for _ in reader.read_stream(pages):
                pass
            wall.append(time.perf_counter() - start[0])
            busy.append(time.process_time() - start[1])
        print(
            f"| {name} | {min(wall) / len(pages):.3f} | {min(busy) / len(pages):.3f} |", flush=True
        )
    if shutil.which("tesseract"):
        print(f"| Tesseract, whole processes | {tesseract(images):.3f} | |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"\npeak of memory {peak / (2**20 if sys.platform == 'darwin' else 2**10):.0f} MB")


def drawn() -> list[np.ndarray]:
    kinds = {name: KINDS[name] for name in DRAWN}
    source = PageSource(seed=1, kinds=kinds, size=(A4, A4))
    return [source.draw(i).image for i in range(8)]


def tesseract(images: Sequence[np.ndarray]) -> float:
    """Seconds a page."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.png" for i in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            Image.fromarray(image).save(path)
        start = time.perf_counter()
        for path in paths:
            subprocess.run(["tesseract", path, "-"], capture_output=True, check=True)
        return (time.perf_counter() - start) / len(images)


if __name__ == "__main__":
    main()
