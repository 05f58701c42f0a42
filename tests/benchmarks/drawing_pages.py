"""Crops and pages drawn a second on one core, by kind.

Run: python -m tests.benchmarks.drawing_pages [FONTS]...
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pymupdf

from ocrtool.synth import find_fonts
from ocrtool.synth.pages import KINDS, DrawnPage, PageSource

CROPS = 48
PAGES = 8


def rate(draw: Callable[[int], DrawnPage], count: int) -> float:
    """Drawings a second of processor time, once the first eighth has opened the fonts."""
    for index in range(count // 8):
        draw(index)
    start = time.process_time()
    for index in range(count // 8, count):
        draw(index)
    return (count - count // 8) / (time.process_time() - start)


def main() -> None:
    cv2.setNumThreads(1)
    fonts = find_fonts([Path(p) for p in sys.argv[1:]])
    print(f"PyMuPDF {pymupdf.__version__}, {len(fonts) or 'bundled'} fonts")
    print(f"{'kind':12} {'crops/s':>8} {'pages/s':>8}")
    for name in [*KINDS, "all"]:
        kinds = KINDS if name == "all" else {name: KINDS[name]}
        source = PageSource(fonts, kinds=kinds)
        share = 8 if name == "all" else 1
        crops = rate(source.draw_crop, share * CROPS)
        pages = rate(source.draw, share * PAGES)
        print(f"{name:12} {crops:8.1f} {pages:8.1f}")


if __name__ == "__main__":
    main()
