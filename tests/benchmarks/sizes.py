"""Geometries of the line reader side by side: size, work, speed, and how fast they learn.

Run: python -m tests.benchmarks.sizes [--train labels.csv --validation held.csv --epochs 4]

The encoders are exported with random weights and timed in ONNX Runtime, 2 threads, on a batch of
lines 1000 pixels wide and of words 240 wide; widths go with the height. With --train, each
geometry learns the same pictures from nothing, and the share of characters that its CTC head
reads wrong is told.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.utils.flop_counter import FlopCounterMode

from ocrtool.export.fused import fuse
from ocrtool.export.graphs import encoder_graph
from ocrtool.models.ocr import OcrModel
from ocrtool.models.presets import LINE
from ocrtool.training import make_options, run

CHARACTERS = 412
ROUNDS = 8
OPSET = 20
GEOMETRIES: dict[str, dict[str, Any]] = {
    "4 px, width 192, 6 blocks": {"patch": 4},
    "8 px, width 192, 6 blocks": {"patch": 8},
    "8 px, width 192, 8 blocks": {"patch": 8, "n_layer": 8},
    "8 px, width 224, 6 blocks": {"patch": 8, "d_model": 224, "d_ff": 896},
    "8 px, width 256, 4 blocks": {"patch": 8, "d_model": 256, "d_ff": 1024, "n_layer": 4},
    "8 px, thin stem": {"patch": 8, "stem": (16, 48, 128)},
    "8 px, 40 high": {"patch": 8, "height": 40},
    "8 px, 48 high": {"patch": 8, "height": 48},
}


def timings(model: OcrModel) -> list[float]:
    """Milliseconds a line and a word, the best of some rounds."""
    height = model.config.vision.height
    graph = encoder_graph(fuse(model.eval()), OPSET)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    content = graph.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found = []
    for width, batch in ((1000 * height // 32, 6), (240 * height // 32, 24)):
        pixels = np.random.default_rng(0).standard_normal((batch, 1, height, width))
        feed = {"images": pixels.astype(np.float32), "widths": np.full(batch, width)}
        best = float("inf")
        for _ in range(ROUNDS):
            start = time.perf_counter()
            session.run(None, feed)
            best = min(best, time.perf_counter() - start)
        found.append(1000 * best / batch)
    return found


def learned(changes: dict[str, Any], given: argparse.Namespace, out: Path) -> float:
    """Character error rate of the CTC head after the training that was asked for."""
    names = {"patch": "patch", "height": "img_size", "stem": "vision_stem"}
    names |= {"d_model": "vision_d_model", "d_ff": "vision_d_ff", "n_layer": "vision_layers"}
    options = {
        "data": (given.train,),
        "validation": given.validation,
        "preset": "line",
        "epochs": given.epochs,
        "batch_size": 32,
        "warmup": 60,
        "optimizer": "muon",
        "learning_rate": 3e-3,
        "ema": 0.99,
        "threads": given.threads,
        "dropout": 0.0,
        "validate_every": 10**9,
        "out": out,
        **{names[name]: value for name, value in changes.items()},
    }
    return float(run(make_options(options)).metrics["cer"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--only", action="append", metavar="GEOMETRY", help="repeatable")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-timing", action="store_true")
    given = parser.parse_args()
    for name in given.only or GEOMETRIES:
        changes = GEOMETRIES[name]
        vision = dataclasses.replace(LINE.vision, **changes)
        config = dataclasses.replace(LINE, vision=vision, vocab_size=CHARACTERS, flash=False)
        model = OcrModel(config).eval()
        counter = FlopCounterMode(display=False)
        height = vision.height
        with torch.no_grad(), counter:
            tokens, _ = model.vision(torch.zeros(1, 1, height, 10 * height))
            assert model.ctc is not None
            model.ctc(tokens)
        row = f"{name:28} {model.num_parameters() / 1e6:5.2f} M"
        row += f" {counter.get_total_flops() / 1e9:6.3f} GFLOP"
        if not given.no_timing:
            line, word = timings(model)
            row += f" {line:6.2f} ms a line {word:5.2f} ms a word"
        if given.train:
            with tempfile.TemporaryDirectory() as folder:
                row += f" {100 * learned(changes, given, Path(folder) / 'run'):6.2f} % wrong"
        print(row, flush=True)


if __name__ == "__main__":
    main()
