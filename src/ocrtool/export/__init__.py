"""Export of PyTorch checkpoints to ONNX. Needs the extra ``[torch]``."""

from __future__ import annotations

from ocrtool.export.job import ExportOptions, ExportReport, export_model

__all__ = ["ExportOptions", "ExportReport", "export_model"]
