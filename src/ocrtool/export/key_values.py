"""ONNX graphs that append to and select from the KV cache (``ocrtool.engines.onnx``).

Run: python -m ocrtool.export.key_values FOLDER

take
    entries (L, B, G, P, D), rows (R,) int64, end (1,) int64 -> taken (L, R, G, min(P, end), D)
append
    entries (L, B, G, P, D), new (L, B, G, T, D), lengths (B,) int64 -> grown (L, B, G, max + T, D),
    where ``max`` is the maximum length: new entries follow each row's own end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

OPSET = 17
"""Version of the standard operators."""
AXES = ["layers", "batch", "heads", "past", "width"]
"""Names of the axes of the cache."""


def key_value_graphs() -> dict[str, Any]:
    """Return both graphs, ``onnx.ModelProto`` objects by file name.

    Raises:
        ModuleNotFoundError: The package ``onnx`` is not installed.
    """
    return {"take.onnx": _take(), "append.onnx": _append()}


def _take() -> Any:
    from onnx import TensorProto, helper

    node = helper.make_node
    nodes = [
        node("Gather", ["entries", "rows"], ["chosen"], axis=1),
        node("Slice", ["chosen", "zero", "end", "time"], ["taken"]),
    ]
    inputs = [
        helper.make_tensor_value_info("entries", TensorProto.FLOAT, AXES),
        helper.make_tensor_value_info("rows", TensorProto.INT64, ["rows"]),
        helper.make_tensor_value_info("end", TensorProto.INT64, [1]),
    ]
    taken = ["layers", "rows", "heads", "kept", "width"]
    outputs = [helper.make_tensor_value_info("taken", TensorProto.FLOAT, taken)]
    return _model("take", nodes, inputs, outputs, {"zero": [0], "time": [3]})


def _append() -> Any:
    from onnx import TensorProto, helper

    node = helper.make_node
    nodes = [
        node("Concat", ["entries", "new"], ["all"], axis=3),
        node("Shape", ["entries"], ["past"], start=3, end=4),
        node("Shape", ["new"], ["steps"], start=3, end=4),
        node("Shape", ["new"], ["front"], start=0, end=3),
        node("Shape", ["new"], ["width"], start=4, end=5),
        node("ReduceMax", ["lengths"], ["longest"], keepdims=1),
        node("Add", ["longest", "steps"], ["end"]),
        node("Squeeze", ["end"], ["stop"]),
        node("Range", ["first", "stop", "stride"], ["slots"]),
        # Slot t of a row is its old entry t, or after its end a new entry.
        node("Unsqueeze", ["lengths", "one"], ["ends"]),
        node("Sub", ["slots", "ends"], ["beyond"]),
        node("Less", ["beyond", "zero"], ["old"]),
        node("Add", ["past", "beyond"], ["fresh"]),
        node("Where", ["old", "slots", "fresh"], ["wanted"]),
        # Slots after the new entries of a short row are stale.
        node("Add", ["past", "steps"], ["total"]),
        node("Sub", ["total", "one"], ["last"]),
        node("Min", ["wanted", "last"], ["sources"]),
        node("Unsqueeze", ["sources", "axes"], ["spread"]),
        node("Concat", ["front", "end", "width"], ["shape"], axis=0),
        node("Expand", ["spread", "shape"], ["indices"]),
        node("GatherElements", ["all", "indices"], ["grown"], axis=3),
    ]
    inputs = [
        helper.make_tensor_value_info("entries", TensorProto.FLOAT, AXES),
        helper.make_tensor_value_info(
            "new", TensorProto.FLOAT, ["layers", "batch", "heads", "steps", "width"]
        ),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    grown = ["layers", "batch", "heads", "grown", "width"]
    outputs = [helper.make_tensor_value_info("grown", TensorProto.FLOAT, grown)]
    numbers: dict[str, int | list[int]] = {
        "first": 0, "stride": 1, "zero": [0], "one": [1], "axes": [0, 2, 4],
    }  # fmt: skip
    return _model("append", nodes, inputs, outputs, numbers)


def _model(
    name: str,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    numbers: dict[str, int | list[int]],
) -> Any:
    import numpy as np
    from onnx import checker, helper, numpy_helper

    tensors = [numpy_helper.from_array(np.array(n, np.int64), key) for key, n in numbers.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Write both graphs to the folder given on the command line."""
    folder = Path(sys.argv[1])
    for name, model in key_value_graphs().items():
        (folder / name).write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
