"""Lines drawn a second on one core, by style. Run: python -m tests.benchmarks.drawing [FONTS]."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2

from ocrtool.synth import STYLES, LineSource, find_fonts

COUNT = 1000


def main() -> None:
    cv2.setNumThreads(0)
    fonts = find_fonts([Path(p) for p in sys.argv[1:]])
    for name in [*STYLES, "all"]:
        styles = STYLES if name == "all" else {name: STYLES[name]}
        source = LineSource(fonts, styles=styles)
        for index in range(200):  # fonts are opened once
            source.draw(index)
        start = time.perf_counter()
        for index in range(200, 200 + COUNT):
            source.draw(index)
        rate = COUNT / (time.perf_counter() - start)
        print(f"{name:12} {rate:6.0f} lines/s")


if __name__ == "__main__":
    main()
