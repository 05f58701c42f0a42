"""Export jobs: load a checkpoint, write ONNX graphs and verify them against it."""

from __future__ import annotations

import json
import platform
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ocrtool.engines import find_model, read_metadata, read_raw
from ocrtool.engines.onnx import OnnxEngine, import_runtime
from ocrtool.engines.torch import TorchEngine
from ocrtool.errors import ModelError, UsageError
from ocrtool.export import check, samples
from ocrtool.export.check import Parity
from ocrtool.export.describe import describe_graphs
from ocrtool.export.fused import fuse
from ocrtool.export.graphs import detector_graphs, reader_graphs
from ocrtool.export.precision import Feed, convert_precision
from ocrtool.export.sharing import share
from ocrtool.layout.detector import Detector, load_network, padded, standardize
from ocrtool.options import EngineName, Precision
from ocrtool.training.checkpoint import write_folder
from ocrtool.training.data import Preparation, Ready
from ocrtool.weights import CARD, DETECTOR, ENCODER, METADATA, TOKENIZER, WEIGHTS

OPSETS = (18, 21)
"""Minimum and maximum supported version of the standard operators."""
REPORT = "export-report.json"
"""File name of the export report."""
CHECKED_IMAGES = 200
"""Number of images that both networks read in the parity check."""
CALIBRATION_IMAGES = 32
"""Number of images from which int8 quantisation derives its ranges."""
CHECKED_PAGES = 6
"""Number of pages for the parity check, and for the calibration, of a detector."""
BATCH_SIZE = 8
"""Number of images per batch."""


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Args:
        precision: Precision of the computation; inputs and outputs stay float32.
        opset: Version of the standard operators.
        portable: Use standard operators only. The graphs then run in other runtimes, too, and more
            slowly in ONNX Runtime.
        optimize: Let ONNX Runtime optimise the graphs ahead of time, for a faster start. They then
            need its version or a later one.
        share: Leave the weights in ``model.safetensors``, which is copied beside the graphs.
        checked: Compare with PyTorch before anything is written.
        table: CSV of images (``image,text``) for the comparison, instead of synthetic ones.

    Raises:
        UsageError: The options contradict each other.
    """

    precision: Precision = Precision.FP32
    opset: int = 20
    portable: bool = False
    optimize: bool = False
    share: bool = False
    checked: bool = True
    table: Path | None = None

    def __post_init__(self) -> None:
        """Validate the options."""
        first, last = OPSETS
        if not first <= self.opset <= last:
            raise UsageError(f"--opset is {self.opset}", f"ocrtool writes {first} to {last}")
        if self.portable and self.optimize:
            raise UsageError(
                "--optimize writes operators of ONNX Runtime, --portable forbids them",
                "leave one of them out",
            )
        if self.share and (self.optimize or self.precision is not Precision.FP32):
            raise UsageError(
                "--share-weights leaves the weights as they are",
                "leave out --optimize and --precision",
            )
        if self.table is not None and not self.checked:
            raise UsageError("--check-on needs the check", "leave out --no-check")


@dataclass(frozen=True)
class ExportReport:
    """Result of an export.

    Attributes:
        folder: Folder of the exported model.
        nodes: Number of operators of each graph, by file name.
        bytes: Size of each graph in bytes, by file name.
        parity: Deviation from PyTorch; None where it was not checked.
    """

    folder: Path
    nodes: dict[str, int]
    bytes: dict[str, int]
    parity: Parity | None

    def lines(self) -> Iterator[str]:
        """Yield the results of the check as text lines."""
        if self.parity is None:
            yield "not compared with PyTorch"
            return
        yield f"greatest difference from PyTorch: {self.parity.difference:.1e}"
        if self.parity.texts:
            yield f"{self.parity.equal} of {self.parity.texts} pictures read the same"
        if self.parity.errors is not None:
            before, after = (100 * rate for rate in self.parity.errors)
            yield f"error rate on them: {before:.2f} % in PyTorch, {after:.2f} % in ONNX Runtime"
        if self.parity.other_pixels:
            yield f"{100 * self.parity.other_pixels:.3f} % of the pixels are seen otherwise"

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON types."""
        return {**asdict(self), "folder": str(self.folder)}

    @property
    def difference(self) -> float:
        """Maximum difference from PyTorch; 0 without a check."""
        return 0.0 if self.parity is None else self.parity.difference


def export_model(
    model: str | Path, output: Path, options: ExportOptions | None = None
) -> ExportReport:
    """Write and verify a model's ONNX graphs, ``model.json`` and ``export-report.json``.

    Args:
        model: Bundled name, or folder with ``model.json`` and ``model.safetensors``.
        output: Folder to create or replace atomically.
        options: Export options.

    Raises:
        ModelError: The checkpoint is unusable, or cannot be exported.
        ParityError: The graphs deviate from the checkpoint; nothing is written.
        OutputError: The folder cannot be written.
    """
    options = options or ExportOptions()
    folder = find_model(model)
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder} has no {WEIGHTS}", "name what ocrtool train wrote")
    raw = read_raw(folder)
    job = _Detector if raw.get("kind") == "detector" else _Reader
    return job(folder, raw, options).run(output)


class _Job(ABC):
    """Base class of export jobs.

    Args:
        folder: Folder of the checkpoint.
        raw: Content of its ``model.json``.
        options: Export options.
    """

    def __init__(self, folder: Path, raw: dict[str, Any], options: ExportOptions) -> None:
        self.folder, self.raw, self.options = folder, raw, options

    @abstractmethod
    def graphs(self) -> dict[str, Any]:
        """Return the graphs in float32 by file name."""

    @abstractmethod
    def feeds(self) -> Mapping[str, Sequence[Feed]]:
        """Return calibration inputs of the graphs with convolutions."""

    @abstractmethod
    def compare(self, folder: Path) -> Parity:
        """Compare a folder of graphs with the checkpoint."""

    def run(self, output: Path) -> ExportReport:
        """Export, check and write."""
        options = self.options
        graphs = self.graphs()
        if options.precision is not Precision.FP32:
            feeds = self.feeds() if options.precision is Precision.INT8 else {}
            graphs = {
                name: convert_precision(graph, options.precision, feeds.get(name, ()))
                for name, graph in graphs.items()
            }
        if options.optimize:
            graphs = {name: _optimized(graph) for name, graph in graphs.items()}
        if options.share:
            graphs = {name: share(g, self.folder / WEIGHTS) for name, g in graphs.items()}
        contents = {name: graph.SerializeToString() for name, graph in graphs.items()}
        metadata = {
            **self.raw,
            "onnx": describe_graphs(self.raw, graphs, contents, options.precision),
        }
        written = {**contents, METADATA: _json(metadata)}
        for name in (TOKENIZER, CARD, *[WEIGHTS] * options.share):
            if (self.folder / name).is_file():
                written[name] = (self.folder / name).read_bytes()
        parity = self._parity(written) if options.checked else None
        report = ExportReport(
            output,
            {name: len(graph.graph.node) for name, graph in graphs.items()},
            {name: len(content) for name, content in contents.items()},
            parity,
        )
        written[REPORT] = _json(self._report_dict(report))
        write_folder(output, written)
        return report

    def _parity(self, written: Mapping[str, bytes]) -> Parity:
        with tempfile.TemporaryDirectory() as name:
            for file, content in written.items():
                (Path(name) / file).write_bytes(content)
            parity = self.compare(Path(name))
        parity.require(self.options.precision)
        return parity

    def _report_dict(self, report: ExportReport) -> dict[str, Any]:
        options = asdict(self.options)
        options["table"] = None if options["table"] is None else options["table"].name
        return {
            "model": self.folder.name,
            "options": options,
            "nodes": report.nodes,
            "bytes": report.bytes,
            "parity": None if report.parity is None else asdict(report.parity),
            "bounds": {
                "difference": check.MAX_DIFFERENCE,
                "rise_of_error_rate": check.MAX_ERROR_INCREASE,
                "other_pixels": check.MAX_CHANGED_PIXELS,
            },
            "versions": {name: _version(name) for name in ("ocrtool", "torch", "onnx")}
            | {"onnxruntime": import_runtime().__version__, "python": platform.python_version()},
        }


class _Reader(_Job):
    """Export of a network that recognises text."""

    def __init__(self, folder: Path, raw: dict[str, Any], options: ExportOptions) -> None:
        super().__init__(folder, raw, options)
        self.metadata = read_metadata(folder)
        self.reference = TorchEngine.open(folder, "cpu", 0)
        self.preparation = Preparation(self.metadata.config, self.metadata.vocabulary)

    def graphs(self) -> dict[str, Any]:
        """Return encoder and decoder."""
        options = self.options
        # float16 and int8 need the standard operators.
        plain = options.portable or options.precision is not Precision.FP32
        model = self.reference.model if plain else fuse(self.reference.model)
        return reader_graphs(model, options.opset)

    def feeds(self) -> Mapping[str, Sequence[Feed]]:
        """Return batches of images for the encoder."""
        name = "sizes" if self.metadata.config.vision.kind == "formula" else "widths"
        feeds: list[Feed] = []
        for members in self._batches(CALIBRATION_IMAGES, samples.CALIBRATION_SEED):
            batch = self.preparation.collate(members)
            feeds.append({"images": batch.pixels, name: batch.sizes})
        if self.metadata.config.vision.kind == "vit":
            feeds = [{"images": feed["images"]} for feed in feeds]
        return {ENCODER: feeds}

    def compare(self, folder: Path) -> Parity:
        """Compare scores and texts."""
        batches = self._batches(CHECKED_IMAGES, samples.CHECK_SEED)
        return check.compare(self.reference, OnnxEngine(folder, "cpu"), self.preparation, batches)

    def _batches(self, count: int, seed: int) -> list[list[Ready]]:
        return samples.batches(self.preparation, count, seed, self.options.table, BATCH_SIZE)


class _Detector(_Job):
    """Export of a text detector."""

    def graphs(self) -> dict[str, Any]:
        """Return the single graph."""
        return detector_graphs(
            load_network(self.folder), self.options.opset, fold=not self.options.share
        )

    def feeds(self) -> Mapping[str, Sequence[Feed]]:
        """Return parts of pages."""
        drawn = samples.pages(CHECKED_PAGES, samples.CALIBRATION_SEED)
        feeds = [{"images": padded(standardize(page))[None, None]} for page in drawn]
        return {DETECTOR: feeds}

    def compare(self, folder: Path) -> Parity:
        """Compare output maps."""
        reference = Detector(self.folder, EngineName.TORCH, "cpu")
        candidate = Detector(folder, EngineName.ONNX, "cpu")
        drawn = samples.pages(CHECKED_PAGES, samples.CHECK_SEED)
        return check.compare_detectors(reference, candidate, drawn)


def _optimized(graph: Any) -> Any:
    """Let ONNX Runtime optimise a graph as on loading, for any processor."""
    import onnx

    runtime = import_runtime()
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "source.onnx", Path(name) / "target.onnx"
        onnx.save(graph, source)
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        runtime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
        return onnx.load(target)


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
