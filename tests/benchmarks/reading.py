"""Milliseconds a line of the bundled reader, warm. Run: python -m tests.benchmarks.reading."""

from __future__ import annotations

import time

from ocrtool.decoding.autoregressive import DecodeOptions
from ocrtool.options import ReadOptions
from ocrtool.readers.lines import LineReader
from ocrtool.synth import LineSource

PAGE = 48  # lines
ROUNDS = 5


def main() -> None:
    source = LineSource(seed=7)
    lines = [line for line in map(source.draw, range(400)) if len(line.text) > 30][:PAGE]
    images = [(str(i), line.image) for i, line in enumerate(lines)]
    mean = sum(len(line.text) for line in lines) / len(lines)
    print(f"{len(lines)} lines of {mean:.0f} characters")
    for threads in (1, 2):
        for strategy in ("ctc", "verify", "greedy"):
            decoding = DecodeOptions(strategy=strategy)  # type: ignore[arg-type]
            reader = LineReader(ReadOptions(device="cpu", threads=threads), decoding)
            best = float("inf")
            for _ in range(ROUNDS):
                start = time.perf_counter()
                list(reader.read_stream(images))
                best = min(best, time.perf_counter() - start)
            print(f"{threads} threads  {strategy:7} {1000 * best / len(lines):6.2f} ms a line")


if __name__ == "__main__":
    main()
