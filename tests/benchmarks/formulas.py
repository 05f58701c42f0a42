"""How well the formula reader reads drawn formulas that training never saw.

Run: python -m tests.benchmarks.formulas HELD [--count 100] [--model MODEL] [--beam 1]

HELD is a folder of formulas that were held back (``python -m ocrtool.synth.formulas ... --held``).
By length of the label: edit similarity in tokens and the share of formulas without an error, on
damaged pictures and on clean ones; then how many read the same at half and at twice their size,
seconds a formula, and the peak of memory. Markdown on standard output.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.autoregressive import DecodeOptions
from ocrtool.options import ReadOptions
from ocrtool.readers.formulas import FormulaReader
from ocrtool.synth.formulas import FormulaPicture, FormulaSource
from ocrtool.training.metrics import rates

LENGTHS = ((1, 20), (21, 60), (61, 200))
SCALES = (0.5, 0.7, 1.4, 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("held", type=Path)
    parser.add_argument("--count", type=int, default=100, help="formulas of each length (100)")
    parser.add_argument("--model")
    parser.add_argument("--beam", type=int, default=1)
    args = parser.parse_args()
    strategy = DecodeOptions(strategy="beam" if args.beam > 1 else "greedy", beam=args.beam)
    reader = FormulaReader(ReadOptions(model=args.model, device="cpu"), strategy)
    files = sorted(args.held.glob("*.npz"))
    print("| Tokens | pictures | edit similarity | exact |\n|---|---|---|---|")
    pictures: list[FormulaPicture] = []
    ends: list[int] = []
    for low, high in LENGTHS:
        for kind, looks in (("damaged", None), ("clean", {})):
            source = FormulaSource(files, 0, max_tokens=high, min_tokens=low, looks=looks)
            drawn = [source.draw(i) for i in range(min(args.count, len(source)))]
            texts, _ = read(reader, (picture.image for picture in drawn))
            found = rates(texts, [picture.text for picture in drawn], " ")
            print(f"| {low}-{high} | {kind} | {found.similarity:.3f} | {found.exact:.3f} |")
        pictures += drawn
        ends.append(len(pictures))
    texts, seconds = read(reader, (picture.image for picture in pictures))
    print(f"\n{len(pictures)} clean formulas, {seconds:.3f} s each")
    for scale in SCALES:
        sized = [resized(picture.image, scale) for picture in pictures]
        same = np.array([a == b for a, b in zip(read(reader, sized)[0], texts, strict=True)])
        parts = ", ".join(f"{part.mean():.1%}" for part in np.split(same, ends[:-1]))
        print(f"at {scale} of the size {same.mean():.1%} read the same; by length {parts}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak of memory {peak / (2**20 if sys.platform == 'darwin' else 2**10):.0f} MB")


def read(reader: FormulaReader, images: Iterable[NDArray[np.uint8]]) -> tuple[list[str], float]:
    """Texts in tokens, and seconds a formula."""
    named = [("", image) for image in images]
    start = time.perf_counter()
    texts = [" ".join(result.tokens) for result in reader.read_stream(named)]
    return texts, (time.perf_counter() - start) / len(named)


def resized(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=method), np.uint8)


if __name__ == "__main__":
    main()
