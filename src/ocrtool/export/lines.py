"""A checkpoint to two ONNX graphs: the encoder, once an image, and the decoder, once a step.

``encoder.onnx``: images (B, C, H, W) float32, widths (B,) int64 (of formulas sizes (B, 2): heights
and widths) -> cross_keys and cross_values (L, B, G, N, D), lengths (B,), ctc_log_probs
(B, N * frames, V) where there is a CTC head.
``decoder.onnx``: tokens (B, T) int64, cross_keys, cross_values, lengths, past_keys and past_values
(L, B, G, P, D), past_lengths (B,) -> logits (B, T, V), new_keys and new_values (L, B, G, T, D).
All of B, W (lines), H and W (formulas), N, T and P are free. The decoder's rows may have pasts of
different lengths, so that one graph serves prefill, single steps and the verification of drafts.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ocrtool.bundled import DECODER, ENCODER, FACTS
from ocrtool.engines.base import Cache, Engine, FloatArray, IntArray, read_facts
from ocrtool.engines.onnx import OnnxEngine
from ocrtool.engines.torch import TorchEngine
from ocrtool.errors import ModelError
from ocrtool.export.fused import fuse
from ocrtool.models.config import ModelConfig
from ocrtool.models.ocr import CrossCache, OcrModel
from ocrtool.training.checkpoint import write_folder
from ocrtool.vocabulary import BOS, SPECIALS

OPSET = 20
"""The first with ``Gelu``; ONNX Runtime 1.20, the oldest that ocrtool takes, knows up to 21."""
TOLERANCE = 1e-3
"""Greatest difference between the engines, in natural logarithms of probabilities."""
LOOPS = frozenset({"If", "Loop", "Scan"})


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        folder: The exported model.
        nodes: Operators of each graph, by file name.
        bytes: Size of each graph, by file name.
        difference: Greatest difference from PyTorch met in the check.
    """

    folder: Path
    nodes: dict[str, int]
    bytes: dict[str, int]
    difference: float


class _Encoder(nn.Module):
    """From pixels to everything that decoding needs."""

    def __init__(self, model: OcrModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        encoding = self.model.encode(images, sizes)
        cross = self.model.cross(encoding)
        if encoding.ctc_logits is None:
            return cross.keys, cross.values, cross.lengths
        return cross.keys, cross.values, cross.lengths, encoding.ctc_logits.log_softmax(-1)


class _Decoder(nn.Module):
    """One step over any number of tokens."""

    def __init__(self, model: OcrModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        tokens: Tensor,
        cross_keys: Tensor,
        cross_values: Tensor,
        lengths: Tensor,
        past_keys: Tensor,
        past_values: Tensor,
        past_lengths: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        cross = CrossCache(cross_keys, cross_values, lengths)
        return self.model.step(tokens, cross, past_keys, past_values, past_lengths)


def export_model(checkpoint: Path, output: Path, *, portable: bool = False) -> ExportReport:
    """Write ``encoder.onnx``, ``decoder.onnx`` and ``model.json``, and check them.

    Args:
        checkpoint: Folder with ``model.json`` and ``model.safetensors``.
        output: Folder to make or replace: wholly, or not at all.
        portable: Use standard ONNX operators only. The graphs then run in other runtimes, too,
            and more slowly in ONNX Runtime.

    Raises:
        ModelError: The checkpoint is unusable or of a kind that is not exported, or the graphs
            differ from it.
        OutputError: The folder cannot be written.
    """
    facts = read_facts(checkpoint)
    if facts.config.decoder.fusion == "prefix":
        raise ModelError(
            f"{checkpoint} reads images as a prefix, which cannot be exported to ONNX yet",
            "read with --engine torch",
        )
    reference = TorchEngine.open(checkpoint, "cpu", 0)
    source = reference.model if portable else fuse(reference.model)
    graphs = {ENCODER: _export_encoder(source), DECODER: _export_decoder(source)}
    contents = {name: graph.SerializeToString() for name, graph in graphs.items()}
    contents[FACTS] = (json.dumps(facts.raw, ensure_ascii=False, indent=1) + "\n").encode()
    with tempfile.TemporaryDirectory() as name:
        trial = Path(name)
        for file, content in contents.items():
            (trial / file).write_bytes(content)
        difference = parity(reference, OnnxEngine(trial, "cpu"))
    write_folder(output, contents)
    return ExportReport(
        output,
        {name: len(graph.graph.node) for name, graph in graphs.items()},
        {name: len(contents[name]) for name in graphs},
        difference,
    )


def parity(reference: Engine, candidate: Engine) -> float:
    """Return the greatest difference between two engines on random images of two sizes.

    Raises:
        ModelError: It is above ``TOLERANCE``.
    """
    config = reference.facts.config
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch, past in ((1, 1), (3, 5)):
        pixels, sizes = _random_images(config, batch, rng)
        encoded = [engine.encode(pixels, sizes) for engine in (reference, candidate)]
        valid = np.arange(encoded[0].cross_keys.shape[3]) < encoded[0].lengths[:, None]
        if encoded[0].ctc_log_probs is not None and encoded[1].ctc_log_probs is not None:
            ctc = np.abs(encoded[0].ctc_log_probs - encoded[1].ctc_log_probs)
            ctc = ctc[np.repeat(valid, config.vision.frames, axis=1)]
            worst = max(worst, float(ctc.max()))
        tokens = rng.integers(SPECIALS, config.vocab_size, (batch, past + 3))
        tokens[:, 0] = BOS
        kept = np.arange(batch, dtype=np.int64) % past + 1  # rows with pasts of several lengths
        scores = []
        for engine, images in zip((reference, candidate), encoded, strict=True):
            cache = Cache.allocate(config.decoder, batch)
            first = engine.step(tokens[:, :past], images, cache)
            cache.truncate(kept)
            second = engine.step(tokens[:, past:], images, cache)
            scores.append(np.concatenate((first, second), axis=1))
        worst = max(worst, float(np.abs(scores[0] - scores[1]).max()))
    if not worst <= TOLERANCE:
        raise ModelError(
            f"the exported graphs differ from PyTorch by {worst:.2g}, more than {TOLERANCE:g}",
            "export with another version of PyTorch",
        )
    return worst


def _random_images(
    config: ModelConfig, batch: int, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """Return one or three images of noise, of different sizes where they may differ."""
    vision = config.vision
    width = vision.width if vision.kind == "vit" else 64 if batch == 1 else 212
    height = vision.height if vision.kind != "formula" else 32 if batch == 1 else 80
    pixels = rng.standard_normal((batch, vision.channels, height, width)).astype(np.float32)
    widths = np.array([width, width // 8 * 4, 8][:batch], np.int64)
    if vision.kind != "formula":
        return pixels, widths
    heights = np.array([height // 2, height, 16][:batch], np.int64)
    return pixels, np.stack((heights, widths), 1)


def _export_encoder(model: OcrModel) -> Any:
    vision = model.config.vision
    rows = 2
    width = vision.width if vision.kind == "vit" else 64
    height = vision.height
    free = {0: "batch"} if vision.kind == "vit" else {0: "batch", 3: "width"}
    name, sizes = "widths", torch.full((rows,), width)
    if vision.kind == "formula":
        # Sides that are no multiples of a cell, or the exporter would take them for such.
        height, width, free = 75, 333, {0: "batch", 2: "height", 3: "width"}
        name, sizes = "sizes", torch.tensor([[height, width]]).repeat(rows, 1)
    images = torch.zeros(rows, vision.channels, height, width)
    outputs = ["cross_keys", "cross_values", "lengths"]
    if model.config.ctc:
        outputs.append("ctc_log_probs")
    inputs = {
        "images": (images, free),
        name: (sizes, {0: "batch"}),
    }
    return _export(_Encoder(model), inputs, outputs)


def _export_decoder(model: OcrModel) -> Any:
    decoder = model.config.decoder

    # Sizes that are all different, and every tensor one of its own: the exporter would take
    # equal ones for the same.
    def heads(length: int) -> Tensor:
        return torch.zeros(decoder.n_layer, 2, decoder.n_kv_head, length, decoder.d_head)

    columns = {1: "batch", 3: "columns"}
    past = {1: "batch", 3: "past"}
    inputs = {
        "tokens": (torch.full((2, 3), BOS), {0: "batch", 1: "tokens"}),
        "cross_keys": (heads(7), columns),
        "cross_values": (heads(7), columns),
        "lengths": (torch.full((2,), 7), {0: "batch"}),
        "past_keys": (heads(5), past),
        "past_values": (heads(5), past),
        "past_lengths": (torch.full((2,), 5), {0: "batch"}),
    }
    return _export(_Decoder(model), inputs, ["logits", "new_keys", "new_values"])


def _export(
    module: nn.Module,
    inputs: dict[str, tuple[Tensor, dict[int, str]]],
    outputs: Sequence[str],
) -> Any:
    """Export one graph as an ``onnx.ModelProto`` with weights inside."""
    names = {name for _, free in inputs.values() for name in free.values()}
    sizes = {name: torch.export.Dim(name) for name in sorted(names)}
    shapes = tuple(
        {axis: sizes[name] for axis, name in free.items()} for _, free in inputs.values()
    )
    with _quietly():
        program = torch.onnx.export(
            module.eval(),
            tuple(tensor for tensor, _ in inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("PyTorch exported nothing", "export with another version of PyTorch")
    graph = program.model_proto
    strip(graph)
    branching = sorted({node.op_type for node in graph.graph.node} & LOOPS)
    if branching:
        raise ModelError(
            f"the graph holds {', '.join(branching)}", "export with another version of PyTorch"
        )
    return graph


def strip(graph: Any) -> None:
    """Drop what the exporter notes for debugging: traces of source files and the like."""
    del graph.metadata_props[:], graph.graph.metadata_props[:], graph.functions[:]
    graph.doc_string = graph.graph.doc_string = ""
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        del value.metadata_props[:]
        value.doc_string = ""
    for tensor in graph.graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the exporter, which prints its progress and warns of its own internals."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
