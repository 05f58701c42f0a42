"""A trained detector to one ONNX graph, checked against PyTorch.

``detector.onnx``: images (1, 1, H, W) float32, standardised, H and W free multiples of 32 ->
kernel (1, 1, H/2, W/2) probabilities, geometry (1, 3, H/4, W/4), regions (1, 4, H/4, W/4)
probabilities. Normalisations are folded into the convolutions.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ocrtool.bundled import DETECTOR, FACTS, WEIGHTS
from ocrtool.errors import ExitCode, ModelError, OcrToolError
from ocrtool.export.lines import OPSET, strip
from ocrtool.layout.detector import STEP, Detector, load_network
from ocrtool.models.detector import DetectorNet
from ocrtool.options import EngineName
from ocrtool.training.checkpoint import write_folder

TOLERANCE = 1e-3
"""Greatest difference between PyTorch and ONNX Runtime, in probability or geometry."""
SIDES = ((96, 160), (224, 64))
"""Heights and widths that the check looks at."""


@dataclass(frozen=True)
class DetectorReport:
    """What was written.

    Attributes:
        folder: The exported model.
        nodes: Operators of the graph.
        bytes: Its size.
        difference: Greatest difference from PyTorch met in the check.
    """

    folder: Path
    nodes: int
    bytes: int
    difference: float


class _Graph(nn.Module):
    """The network with its sigmoids."""

    def __init__(self, net: DetectorNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = self.net(images)
        return maps.kernel.sigmoid(), maps.geometry, maps.regions.sigmoid()


def export_detector(checkpoint: Path, output: Path) -> DetectorReport:
    """Write ``detector.onnx``, ``model.json`` and ``model.safetensors``, and check them.

    Args:
        checkpoint: Folder with ``model.json`` and ``model.safetensors``.
        output: Folder to make or replace: wholly, or not at all.

    Raises:
        ModelError: The checkpoint is unusable, or the graph differs from it.
        OutputError: The folder cannot be written.
    """
    graph = _export(_Graph(load_network(checkpoint).fold()))
    content = graph.SerializeToString()
    contents = {DETECTOR: content}
    contents |= {name: (checkpoint / name).read_bytes() for name in (FACTS, WEIGHTS)}
    with tempfile.TemporaryDirectory() as name:
        for file, part in contents.items():
            (Path(name) / file).write_bytes(part)
        difference = parity(Path(name))
    write_folder(output, contents)
    return DetectorReport(output, len(graph.graph.node), len(content), difference)


def parity(folder: Path) -> float:
    """Return the greatest difference between the engines on random images of two sizes.

    Raises:
        ModelError: It is above ``TOLERANCE``.
    """
    engines = [Detector(folder, engine, "cpu") for engine in (EngineName.TORCH, EngineName.ONNX)]
    rng = np.random.default_rng(0)
    worst = 0.0
    for height, width in SIDES:
        grey = rng.integers(0, 256, (height, width), dtype=np.uint8)
        seen = [engine.maps(grey) for engine in engines]
        for name in ("kernel", "geometry", "regions"):
            a, b = (getattr(maps, name) for maps in seen)
            worst = max(worst, float(np.abs(a - b).max()))
    if not worst <= TOLERANCE:
        raise ModelError(
            f"the exported graph differs from PyTorch by {worst:.2g}, more than {TOLERANCE:g}",
            "export with another version of PyTorch",
        )
    return worst


def _export(module: nn.Module) -> Any:
    """Export the graph as an ``onnx.ModelProto`` with weights inside."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter warns of its own internals
            program = torch.onnx.export(
                module.eval(),
                (torch.zeros(1, 1, 3 * STEP, 5 * STEP),),
                input_names=["images"],
                output_names=["kernel", "geometry", "regions"],
                dynamic_shapes=({2: STEP * rows, 3: STEP * columns},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    if program is None:
        raise ModelError("PyTorch exported nothing", "export with another version of PyTorch")
    graph = program.model_proto
    strip(graph)
    return graph


def main() -> int:
    """Export the detector that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ocrtool.export.detector", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of the trained detector")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    given = parser.parse_args()
    try:
        report = export_detector(given.checkpoint, given.output)
    except OcrToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(
        f"{report.folder / DETECTOR}: {report.nodes} operators, {report.bytes / 1e6:.1f} MB, "
        f"differs from PyTorch by {report.difference:.1e} at most",
        file=sys.stderr,
    )
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
