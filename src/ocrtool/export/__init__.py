"""PyTorch checkpoints to ONNX. Needs the extra ``[torch]``."""

from __future__ import annotations

from ocrtool.export.lines import ExportReport, export_model, parity

__all__ = ["ExportReport", "export_model", "parity"]
