"""How fast it reads, by what: strategies, engines, precisions, batches, and the cache.

Run: python -m tests.benchmarks.speed [--threads 2] [--rounds 5] [--plot cache.png]

Lines are drawn by the data engine in the fonts of the package, 96 of 30 to 90 characters. Each
figure is the best of some rounds, warm, on the CPU. The tables are Markdown on standard output.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtool.decoding.autoregressive import DecodeOptions, decode, width_limits
from ocrtool.engines import Encoded, Engine, EngineCache
from ocrtool.engines.onnx import OnnxEngine
from ocrtool.engines.torch import TorchEngine
from ocrtool.export import ExportOptions, export_model
from ocrtool.options import Precision
from ocrtool.preprocess.lines import collate_lines, line_pixels
from ocrtool.readers.lines import CPU_BATCH_WIDTH, GPU_BATCH_WIDTH, batches
from ocrtool.synth.lines import STYLES, LineSource
from ocrtool.training.metrics import rates
from ocrtool.weights import BOS, BUNDLED, EOS

LINES, LETTERS = 96, (30, 90)
LENGTHS = (16, 32, 64, 128, 256, 512)
VERIFIED, GREEDY = "CTC, every line verified", "decoder, greedy, with the cache"
STRATEGIES: dict[str, DecodeOptions | None] = {
    "CTC alone": DecodeOptions(strategy="ctc"),
    "CTC, doubtful lines verified (default)": DecodeOptions(),
    VERIFIED: DecodeOptions(verify="all"),
    GREEDY: DecodeOptions(strategy="greedy"),
    "decoder, greedy, without it": None,
}
EXPORTS = {
    "ONNX Runtime, float32": ExportOptions(checked=False),
    "the same, optimised ahead": ExportOptions(checked=False, optimize=True),
    "the same, standard operators": ExportOptions(checked=False, portable=True),
    "ONNX Runtime, fp16": ExportOptions(Precision.FP16, checked=False),
    "ONNX Runtime, int8": ExportOptions(Precision.INT8, checked=False),
}

Pixels = NDArray[np.float32]


def best(rounds: int, work: Callable[[], Any]) -> float:
    """Seconds of the fastest of some rounds."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def drawn() -> tuple[list[Pixels], list[str]]:
    styles = {name: STYLES[name] for name in ("clean", "scan")}
    source = LineSource(seed=7, styles=styles)
    lines = (line for line in map(source.draw, itertools.count())
             if LETTERS[0] <= len(line.text) <= LETTERS[1])  # fmt: skip
    chosen = list(itertools.islice(lines, LINES))
    return [line_pixels(line.image, 32) for line in chosen], [line.text for line in chosen]


def batch_width(device: str) -> int:
    return CPU_BATCH_WIDTH if device == "cpu" else GPU_BATCH_WIDTH


def encoded(engine: Engine, pixels: Sequence[Pixels], width: int) -> Iterator[tuple[Any, Encoded]]:
    """Batches of like widths, each with the lines that are in it."""
    for batch in batches([line.shape[2] for line in pixels], width):
        yield batch, engine.encode(*collate_lines([pixels[i] for i in batch]))


def uncached(engine: Engine, images: Encoded) -> list[list[int]]:
    """Greedy decoding that reads the whole text again for every token."""
    texts: list[list[int]] = [[] for _ in images.lengths]
    limits = width_limits(engine, images)
    done = [False] * len(texts)
    while not all(done):
        tokens = np.array([[BOS, *text] for text in texts], np.int64)
        cache = EngineCache.allocate(engine.metadata.config.decoder, len(texts), engine.store)
        said = engine.step(tokens, images, cache)[:, -1].argmax(-1).tolist()
        for row, token in enumerate(said):
            done[row] = done[row] or token == EOS or len(texts[row]) >= limits[row]
            texts[row].append(EOS if done[row] else token)
    return [text[: text.index(EOS)] if EOS in text else text for text in texts]


def decoded(engine: Engine, images: Encoded, options: DecodeOptions | None) -> list[list[int]]:
    if options is None:
        return uncached(engine, images)
    return [list(reading.ids) for reading in decode(engine, images, options)]


def read_all(
    engine: Engine, ready: Iterable[tuple[Any, Encoded]], options: DecodeOptions | None
) -> list[list[int]]:
    """Tokens of every line, in the lines' order."""
    found = {}
    for batch, images in ready:
        found.update(zip(batch, decoded(engine, images, options), strict=True))
    return [found[i] for i in sorted(found)]


def error_rate(engine: Engine, found: Sequence[Sequence[int]], truths: Sequence[str]) -> float:
    texts = [engine.metadata.vocabulary.decode(ids) for ids in found]
    return 100 * rates(texts, list(truths)).cer


def strategies(engine: Engine, pixels: Sequence[Pixels], truths: Sequence[str], n: int) -> None:
    width = batch_width(engine.device)
    ready = list(encoded(engine, pixels, width))
    encoding = best(n, lambda: list(encoded(engine, pixels, width)))
    texts: dict[str, list[list[int]]] = {}
    seconds: dict[str, float] = {}
    for name, options in STRATEGIES.items():
        texts[name] = read_all(engine, ready, options)
        work = partial(read_all, engine, ready, options)
        seconds[name] = best(n if options else 1, work)
    greedy = texts[GREEDY]
    print("| How text is found | decoding, ms a line | with the encoder | as greedy | CER |")
    print("|---|---|---|---|---|")
    for name, found in texts.items():
        ms, whole = (1000 * s / len(pixels) for s in (seconds[name], seconds[name] + encoding))
        equal = sum(a == b for a, b in zip(found, greedy, strict=True))
        cer = error_rate(engine, found, truths)
        print(f"| {name} | {ms:.2f} | {whole:.2f} | {equal} of {len(pixels)} | {cer:.2f} % |")
    times = seconds[GREEDY] / seconds[VERIFIED]
    print(f"\nDraft and verify is {times:.1f} times as fast as greedy with the cache.\n")


def engines(
    pixels: Sequence[Pixels], truths: Sequence[str], device: str, threads: int, n: int
) -> None:
    width = batch_width(device)
    print("| Engine | MB | opens in, s | ms a line | CER | as float32 on the CPU |")
    print("|---|---|---|---|---|---|")
    plain = OnnxEngine(BUNDLED / "line", "cpu", threads)
    usual = read_all(plain, encoded(plain, pixels, CPU_BATCH_WIDTH), DecodeOptions())

    def row(title: str, files: Iterable[Path], start: Callable[[], Engine]) -> None:
        engine, opening = start(), best(n, start)
        size = sum(path.stat().st_size for path in files) / 1e6

        def work() -> list[list[int]]:
            return read_all(engine, encoded(engine, pixels, width), DecodeOptions())

        found, ms = work(), 1000 * best(n, work) / len(pixels)
        cer = error_rate(engine, found, truths)
        same = f"{sum(a == b for a, b in zip(found, usual, strict=True))} of {len(usual)}"
        cells = f"{title} | {size:.1f} | {opening:.2f} | {ms:.2f} | {cer:.2f} % | {same}"
        print(f"| {cells} |", flush=True)

    with tempfile.TemporaryDirectory() as name:
        for number, (title, options) in enumerate(EXPORTS.items()):
            folder = export_model("line", Path(name) / str(number), options).folder
            row(title, folder.glob("*.onnx"), partial(OnnxEngine, folder, device, threads))
    line = BUNDLED / "line"
    start = partial(TorchEngine.open, line, device, threads)
    row(
        "PyTorch, float32" if device == "cpu" else "PyTorch, fp16, CUDA graphs",
        [line / "model.safetensors"],
        start,
    )
    print()


def widths(engine: Engine, pixels: Sequence[Pixels], n: int) -> None:
    print("| Batch, pixels of width | ms a line |")
    print("|---|---|")
    for width in (1, 2_500, CPU_BATCH_WIDTH, 10_000, 40_000):

        def work(width: int = width) -> list[list[int]]:
            return read_all(engine, encoded(engine, pixels, width), DecodeOptions())

        name = "one line" if width == 1 else f"{width:,}"
        print(f"| {name} | {1000 * best(n, work) / len(pixels):.2f} |", flush=True)
    print()


def cache_growth(engine: Engine, pixels: Sequence[Pixels], n: int, plot: Path | None) -> None:
    """Seconds of the decoder for texts of several lengths, with the cache and without."""
    images = engine.encode(*collate_lines([max(pixels, key=lambda line: line.shape[2])]))
    config = dataclasses.replace(engine.metadata.config.decoder, max_length=max(LENGTHS) + 2)
    token = np.full((1, 1), 40, np.int64)

    def cached(length: int) -> None:
        cache = EngineCache.allocate(config, 1, engine.store)
        for _ in range(length):
            engine.step(token, images, cache)

    def plain(length: int) -> None:
        for count in range(1, length + 1):
            engine.step(
                np.repeat(token, count, 1), images, EngineCache.allocate(config, 1, engine.store)
            )

    found = {
        length: tuple(
            1000 * best(n if length < 256 else 1, partial(work, length)) for work in (cached, plain)
        )
        for length in LENGTHS
    }
    print("| Tokens | with the cache, ms | without, ms |")
    print("|---|---|---|")
    for length, (with_it, without) in found.items():
        print(f"| {length} | {with_it:.0f} | {without:.0f} |")
    print()
    if plot is None:
        return
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for index, name in enumerate(("with the cache", "without")):
        axes.plot(LENGTHS, [found[length][index] for length in LENGTHS], marker="o", label=name)
    axes.set(xlabel="tokens of the text", ylabel="milliseconds of the decoder")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(plot, dpi=100)


def processes(n: int) -> None:
    sample = Path(__file__).parents[2] / "docs" / "images" / "sample-line.png"
    page = sample.with_name("sample-page.jpg")
    print("| Whole process | seconds |")
    print("|---|---|")
    for name, arguments in {
        "`ocrtool --help`": ["--help"],
        "`ocrtool read --layout line` of a line": ["read", "--layout", "line", str(sample), "-q"],
        "`ocrtool read` of a small picture": ["read", str(sample), "-q"],
        "`ocrtool read` of a photographed page": ["read", str(page), "-q"],
    }.items():
        command = [sys.executable, "-m", "ocrtool", *arguments]
        seconds = best(
            n, lambda command=command: subprocess.run(command, capture_output=True, check=True)
        )
        print(f"| {name} | {seconds:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="picture of the decoder's time by length")
    given = parser.parse_args()
    pixels, truths = drawn()
    engine = OnnxEngine(BUNDLED / "line", given.device, given.threads)
    mean = sum(map(len, truths)) / len(truths)
    print(
        f"{len(pixels)} lines of {mean:.0f} characters, {given.device}, {given.threads} threads\n"
    )
    strategies(engine, pixels, truths, given.rounds)
    widths(engine, pixels, given.rounds)
    engines(pixels, truths, given.device, given.threads, given.rounds)
    cache_growth(engine, pixels, given.rounds, given.plot)
    processes(given.rounds)


if __name__ == "__main__":
    main()
