"""Description of an exported model in ``model.json``, for use without ocrtool."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ocrtool.layout import detector
from ocrtool.models import FORMULA_CELL, FRAME, ModelConfig
from ocrtool.preprocess import formulas, lines
from ocrtool.weights import BOS, EOS, PAD, SPECIALS, UNK

_TYPES = {1: "float32", 6: "int32", 7: "int64", 10: "float16"}
"""Names of the element types of ``onnx.TensorProto.DataType``."""


def describe_graphs(
    raw: Mapping[str, Any], graphs: Mapping[str, Any], contents: Mapping[str, bytes], precision: str
) -> dict[str, Any]:
    """Return the ``onnx`` section of ``model.json``.

    Args:
        raw: Content of ``model.json`` without this section.
        graphs: ``onnx.ModelProto`` objects by file name.
        contents: File contents by file name.
        precision: Precision of the weights.
    """
    some = next(iter(graphs.values()))
    domains = {node.domain for graph in graphs.values() for node in graph.graph.node}
    description: dict[str, Any] = {
        "opset": max(entry.version for entry in some.opset_import if not entry.domain),
        "operators": sorted({"ai.onnx"} | (domains - {""})),
        "precision": precision,
        "graphs": {
            name: {
                "sha256": hashlib.sha256(contents[name]).hexdigest(),
                "bytes": len(contents[name]),
                "inputs": [_tensor(value) for value in graph.graph.input],
                "outputs": [_tensor(value) for value in graph.graph.output],
            }
            for name, graph in graphs.items()
        },
    }
    if raw.get("kind") == "detector":
        return {**description, "preprocessing": _detector_preprocessing()}
    config = ModelConfig.from_dict(raw["config"])
    special = {"pad": PAD, "bos": BOS, "eos": EOS, "unk": UNK, "first": SPECIALS}
    if config.ctc:
        special["ctc_blank"] = PAD
    return {
        **description,
        "preprocessing": _reader_preprocessing(config),
        "special_tokens": special,
    }


def _tensor(value: Any) -> dict[str, Any]:
    """Return name, type and shape of an input or output; free axes are given by name."""
    kind = value.type.tensor_type
    shape = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
    return {"name": value.name, "type": _TYPES.get(kind.elem_type, "other"), "shape": shape}


def _reader_preprocessing(config: ModelConfig) -> dict[str, Any]:
    vision = config.vision
    if vision.kind == "vit":
        return {
            "colour": "rgb",
            "size": [vision.height, vision.width],
            "aspect": "not kept",
            "mean": [127.5] * 3,
            "deviation": [127.5] * 3,
        }
    if vision.kind == "line":
        return {
            "colour": "grey",
            "height": vision.height,
            "aspect": "kept",
            "width_multiple": lines.WIDTH_STEP,
            "least_width": lines.MIN_WIDTH,
            "width_filled_by": "the last column",
            "mean": "of the image",
            "deviation": "of the image",
            "least_deviation": lines.MIN_DEVIATION,
            "pixels_per_frame": FRAME,
            "cut": "loose space above and below the line",
        }
    return {
        "colour": "grey",
        "greatest_size": [vision.height, vision.width],
        "aspect": "kept",
        "letter_height": formulas.LETTER,
        "margin": formulas.MARGIN,
        "side_multiples": list(FORMULA_CELL),
        "paper": formulas.PAPER_VALUE,
        "ink": formulas.INK_VALUE,
    }


def _detector_preprocessing() -> dict[str, Any]:
    return {
        "colour": "grey",
        "side_multiples": [detector.SIDE_MULTIPLE, detector.SIDE_MULTIPLE],
        "sides_filled_by": "the last row and column",
        "mean": "of the image",
        "deviation": "of the image",
        "least_deviation": detector.MIN_DEVIATION,
    }
