"""Export of networks to ONNX graphs with PyTorch's exporter.

A reader becomes two graphs. ``encoder.onnx``, run once per image: images (B, C, H, W) float32,
widths (B,) int64 (for formulas sizes (B, 2): heights and widths) -> cross_keys and cross_values
(L, B, G, N, D), lengths (B,), and with a CTC head ctc_log_probs (B, N * frames, V).
``decoder.onnx``, run once per step: tokens (B, T) int64, cross_keys, cross_values, lengths,
past_keys and past_values (L, B, G, P, D), past_lengths (B,) -> logits (B, T, V), new_keys and
new_values (L, B, G, T, D). B, W (lines), H and W (formulas), N, T and P are dynamic. The
decoder's rows may have different cache lengths, so that one graph serves prefill, single steps
and the verification of drafts.

A detector becomes one graph. ``detector.onnx``: images (1, 1, H, W) float32, normalised, H and W
dynamic multiples of 32 -> kernel (1, 1, H/2, W/2) probabilities, geometry (1, 3, H/4, W/4),
regions (1, 4, H/4, W/4) probabilities. Normalisations are folded into the convolutions.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ocrtool.errors import ModelError
from ocrtool.layout.detector import SIDE_MULTIPLE
from ocrtool.models.detector import ConvNorm, DetectorNet
from ocrtool.models.ocr import CrossCache, OcrModel
from ocrtool.weights import BOS, DECODER, DETECTOR, ENCODER

CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})
"""Control flow operators."""


class _Encoder(nn.Module):
    """Image encoding: from pixels to all inputs of the decoder."""

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
    """One decoding step for any number of tokens."""

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


class _Detector(nn.Module):
    """The detector with sigmoids on its probability maps."""

    def __init__(self, net: DetectorNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.net(images)
        return maps.kernel.sigmoid(), maps.geometry, maps.regions.sigmoid()


def reader_graphs(model: OcrModel, opset: int) -> dict[str, Any]:
    """Return the graphs of a reader, ``onnx.ModelProto`` objects by file name, with weights.

    Args:
        model: The network, or the result of ``fuse``.
        opset: Version of the standard operators.

    Raises:
        ModelError: PyTorch cannot export the network.
    """
    return {
        ENCODER: encoder_graph(model, opset),
        DECODER: _decoder_graph(model, opset),
    }


def encoder_graph(model: OcrModel, opset: int) -> Any:
    """Return the encoder graph of a reader; see ``reader_graphs``."""
    vision = model.config.vision
    rows = 2
    width = vision.width if vision.kind == "vit" else 64
    height = vision.height
    free = {0: "batch"} if vision.kind == "vit" else {0: "batch", 3: "width"}
    name, sizes = "widths", torch.full((rows,), width)
    if vision.kind == "formula":
        # No multiples of the cell size, or the exporter would assume divisible sides.
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
    return _export(_Encoder(model), inputs, outputs, opset)


def _decoder_graph(model: OcrModel, opset: int) -> Any:
    decoder = model.config.decoder

    # All sizes are different and no tensor is shared: the exporter would identify equal sizes
    # and shared tensors.
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
    return _export(_Decoder(model), inputs, ["logits", "new_keys", "new_values"], opset)


def detector_graphs(net: DetectorNet, opset: int, fold: bool = True) -> dict[str, Any]:
    """Return the graph of a detector, an ``onnx.ModelProto`` by file name, with weights.

    Args:
        net: The network.
        opset: Version of the standard operators.
        fold: Fold the normalisations into the convolutions. Otherwise the runtime does so when it
            loads the graph, whose weights are then those of the checkpoint.

    Raises:
        ModelError: PyTorch cannot export the network.
    """
    images = torch.zeros(1, 1, 3 * SIDE_MULTIPLE, 5 * SIDE_MULTIPLE)
    shapes = (
        {
            2: SIDE_MULTIPLE * torch.export.Dim("rows", min=1),
            3: SIDE_MULTIPLE * torch.export.Dim("columns"),
        },
    )
    outputs = ["kernel", "geometry", "regions"]
    module = _Detector(net.fold() if fold else _scaled(net))
    # The exporter's own optimiser would also fold them.
    return {DETECTOR: _run(module, (images,), shapes, ["images"], outputs, opset, optimize=fold)}


class _ScaledConv(nn.Module):
    """A convolution with its normalisation as a product of weights and factors."""

    factors: Tensor

    def __init__(self, part: ConvNorm) -> None:
        super().__init__()
        folded = fuse_conv_bn_eval(part.conv, cast(nn.BatchNorm2d, part.norm))
        norm = cast(Any, part.norm)
        factors = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        self.stride = part.conv.stride
        self.weight = part.conv.weight
        self.register_buffer("factors", factors.detach()[:, None, None, None])
        self.bias = folded.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.factors, self.bias, self.stride, 1)


def _scaled(net: DetectorNet) -> DetectorNet:
    for module in list(net.modules()):
        for name, part in module.named_children():
            if isinstance(part, ConvNorm):
                setattr(module, name, _ScaledConv(part))
    return net


def _export(
    module: nn.Module,
    inputs: dict[str, tuple[Tensor, dict[int, str]]],
    outputs: Sequence[str],
    opset: int,
) -> Any:
    """Export one graph with named dynamic axes; axes of one name have one size."""
    names = {name for _, free in inputs.values() for name in free.values()}
    sizes = {name: torch.export.Dim(name) for name in sorted(names)}
    shapes = tuple(
        {axis: sizes[name] for axis, name in free.items()} for _, free in inputs.values()
    )
    tensors = tuple(tensor for tensor, _ in inputs.values())
    return _run(module, tensors, shapes, list(inputs), outputs, opset)


def _run(
    module: nn.Module,
    tensors: tuple[Tensor, ...],
    shapes: tuple[dict[int, Any], ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int,
    optimize: bool = True,
) -> Any:
    with _quietly():
        program = torch.onnx.export(
            module.eval(),
            tensors,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            opset_version=opset,
            dynamo=True,
            external_data=False,
            optimize=optimize,
            verbose=False,
        )
    if program is None:
        raise ModelError("PyTorch exported nothing", "export with another version of PyTorch")
    graph = program.model_proto
    _strip(graph)
    written = max(entry.version for entry in graph.opset_import if not entry.domain)
    if written != opset:
        raise ModelError(f"this PyTorch writes opset {written}, not {opset}", "try another --opset")
    branching = sorted({node.op_type for node in graph.graph.node} & CONTROL_FLOW)
    if branching:
        raise ModelError(
            f"the graph holds {', '.join(branching)}", "export with another version of PyTorch"
        )
    return graph


def _strip(graph: Any) -> None:
    """Remove the exporter's debugging metadata, such as source file traces."""
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
    """Silence the exporter's progress messages and internal warnings."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
