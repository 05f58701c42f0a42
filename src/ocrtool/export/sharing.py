"""ONNX graphs whose weights are stored in the checkpoint beside them.

A model folder with both would store all weights twice, once in float32. ONNX allows a tensor to
refer to a range of another file, and a safetensors file is raw numbers after a header. So the
weights of a graph are looked up in the checkpoint by their bytes, as they are or transposed; those
found are removed from the graph, and read, transposed and converted to float32 when ONNX Runtime
loads it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocrtool.weights import WEIGHTS

MIN_SHARED_ELEMENTS = 256
"""Minimum number of elements of a tensor that is stored outside the graph."""
_TYPES = {"F16": np.float16, "F32": np.float32}


class _Location(NamedTuple):
    """Location of a tensor in the checkpoint."""

    offset: int
    array: NDArray[Any]
    transposed: bool


def share(graph: Any, checkpoint: Path) -> Any:
    """Return a graph whose weights are stored in a safetensors file of its own folder.

    Args:
        graph: An ``onnx.ModelProto`` in float32; it is modified.
        checkpoint: The file that will be beside it as ``model.safetensors``.
    """
    import onnx

    places = _locations(checkpoint)
    kept, found, steps = [], [], []
    for tensor in graph.graph.initializer:
        place = None
        if (
            tensor.data_type == onnx.TensorProto.FLOAT
            and np.prod(tensor.dims) >= MIN_SHARED_ELEMENTS
        ):
            place = places.get(_digest(onnx.numpy_helper.to_array(tensor)))
        if place is None:
            kept.append(tensor)
            continue
        wanted = tuple(tensor.dims)
        shape = wanted[::-1] if place.transposed else wanted
        found.append(_outside(f"{tensor.name}.stored", shape, place))
        steps += _steps(tensor.name, place)
    del graph.graph.initializer[:]
    graph.graph.initializer.extend([*kept, *found])
    nodes = [*steps, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return graph


def _locations(checkpoint: Path) -> dict[str, _Location]:
    """Return the location of each tensor of a checkpoint, by a digest of its float32 values."""
    content = checkpoint.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    places = {}
    for entry in header.values():
        kind = _TYPES.get(entry["dtype"])
        if kind is None:
            continue
        first, last = entry["data_offsets"]
        array = np.frombuffer(content[start + first : start + last], kind)
        array = array.reshape(entry["shape"])
        if array.ndim == 2:
            places[_digest(array.T)] = _Location(start + first, array, transposed=True)
        places[_digest(array)] = _Location(start + first, array, transposed=False)
    return places


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, np.float32).tobytes()).hexdigest()


def _outside(name: str, shape: tuple[int, ...], place: _Location) -> Any:
    import onnx

    half = place.array.dtype == np.float16
    kind = onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    facts = {"location": WEIGHTS, "offset": place.offset, "length": place.array.nbytes}
    for key, value in facts.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _steps(name: str, place: _Location) -> list[Any]:
    """Return the operators that convert a stored tensor to the one of the graph."""
    import onnx

    helper: Any = onnx.helper
    steps, last = [], f"{name}.stored"
    chain: list[tuple[str, dict[str, Any]]] = []
    if place.transposed:
        chain.append(("Transpose", {"perm": [1, 0]}))
    chain.append(("Cast", {"to": onnx.TensorProto.FLOAT}))  # no change for float32
    for i, (kind, settings) in enumerate(chain):
        output = name if i == len(chain) - 1 else f"{name}.{kind.lower()}"
        steps.append(helper.make_node(kind, [last], [output], **settings))
        last = output
    return steps
