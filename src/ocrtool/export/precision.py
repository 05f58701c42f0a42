"""Conversion of ONNX graphs to float16 (half the size) or int8 (a quarter).

float16 is for GPUs: a CPU computes most operators in float32 anyway. int8 is for CPUs. Matrix
products are quantised dynamically (weights per column, activations at run time); convolutions
statically, with ranges from calibration images (Jacob et al., 2018).
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtool.options import Precision

Feed = Mapping[str, NDArray[Any]]
"""Inputs of one run by name."""

MATRIX_PRODUCTS = ("MatMul", "Gemm")
"""Operators that int8 quantises dynamically."""


def convert_precision(graph: Any, precision: Precision, feeds: Sequence[Feed]) -> Any:
    """Return a graph in another precision; inputs and outputs stay float32.

    Args:
        graph: An ``onnx.ModelProto``.
        precision: Precision of the weights.
        feeds: Typical inputs, for the calibration of convolutions.
    """
    if precision is Precision.FP16:
        return _halved(graph)
    if precision is Precision.INT8:
        return _quantized(graph, feeds)
    return graph


def _halved(graph: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with _quietly():
        return convert_float_to_float16(graph, keep_io_types=True, disable_shape_infer=True)


def _quantized(graph: Any, feeds: Sequence[Feed]) -> Any:
    import onnx
    from onnxruntime import quantization as quantize

    kinds = {node.op_type for node in graph.graph.node}
    with tempfile.TemporaryDirectory() as name, _quietly():
        source, target = Path(name) / "source.onnx", Path(name) / "target.onnx"
        onnx.save(graph, source)
        if "Conv" in kinds and feeds:
            quantize.quantize_static(
                source, target, _Feeds(feeds), op_types_to_quantize=["Conv"], per_channel=True,
                activation_type=quantize.QuantType.QUInt8,
            )  # fmt: skip
            source, target = target, source
        if kinds & set(MATRIX_PRODUCTS):
            quantize.quantize_dynamic(
                source, target, op_types_to_quantize=list(MATRIX_PRODUCTS), per_channel=True,
                extra_options={"MatMulConstBOnly": True},
            )  # fmt: skip
            source = target
        return onnx.load(source)


class _Feeds:
    """Calibration data reader of the quantiser."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        feed = next(self._left, None)
        return None if feed is None else {k: np.asarray(v) for k, v in feed.items()}

    def set_range(self, start_index: int, end_index: int) -> None:
        """Ignored: the inputs are few and need no ranges."""


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence tools that log to standard error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
