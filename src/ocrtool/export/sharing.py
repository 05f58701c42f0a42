"""ONNX graphs that take their numbers from the checkpoint beside them.

A model folder with both would hold every number twice, once in float32. ONNX lets a graph name a
place in another file, and a safetensors file is nothing but numbers behind a header. So a graph's
weights are looked for in the checkpoint, by their bytes, as they are or transposed; what is found
there is left out of the graph, and read, transposed and widened when the graph is loaded. ONNX
Runtime does that once, while it loads.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocrtool.weights.bundled import WEIGHTS

LEAST = 256
"""Numbers from which a tensor is worth a place in another file."""
_TYPES = {"F16": np.float16, "F32": np.float32}


class _Place(NamedTuple):
    """Where a tensor lies in the checkpoint."""

    offset: int
    array: NDArray[Any]
    transposed: bool


def share(graph: Any, checkpoint: Path) -> Any:
    """Return a graph whose weights lie in a safetensors file of its own folder.

    Args:
        graph: An ``onnx.ModelProto`` in float32; it is changed.
        checkpoint: The file that will lie beside it, as ``model.safetensors``.
    """
    import onnx

    places = _places(checkpoint)
    kept, found, steps = [], [], []
    for tensor in graph.graph.initializer:
        place = None
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= LEAST:
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


def _places(checkpoint: Path) -> dict[str, _Place]:
    """Return where each tensor of a checkpoint lies, by a digest of it in float32."""
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
            places[_digest(array.T)] = _Place(start + first, array, transposed=True)
        places[_digest(array)] = _Place(start + first, array, transposed=False)
    return places


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, np.float32).tobytes()).hexdigest()


def _outside(name: str, shape: tuple[int, ...], place: _Place) -> Any:
    import onnx

    half = place.array.dtype == np.float16
    kind = onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    facts = {"location": WEIGHTS, "offset": place.offset, "length": place.array.nbytes}
    for key, value in facts.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _steps(name: str, place: _Place) -> list[Any]:
    """Return what makes the tensor that the graph knows of the one that is stored."""
    import onnx

    helper: Any = onnx.helper
    steps, last = [], f"{name}.stored"
    chain: list[tuple[str, dict[str, Any]]] = []
    if place.transposed:
        chain.append(("Transpose", {"perm": [1, 0]}))
    chain.append(("Cast", {"to": onnx.TensorProto.FLOAT}))  # of float32, nothing happens
    for i, (kind, settings) in enumerate(chain):
        output = name if i == len(chain) - 1 else f"{name}.{kind.lower()}"
        steps.append(helper.make_node(kind, [last], [output], **settings))
        last = output
    return steps
