"""pix2tex (LaTeX-OCR) as a formula reader, where its package is installed, for comparison.

The package samples its tokens, copies each result to the clipboard, disables all logging and
downloads its weights by itself. Here it decodes greedily, so that results are deterministic, and
does none of the rest.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrtool.errors import DeviceError, MissingDependencyError, ModelError
from ocrtool.options import ReadOptions
from ocrtool.readers import PIX2TEX
from ocrtool.readers.formulas import FormulaResult
from ocrtool.readers.page_models import formula_result
from ocrtool.readers.transformers import GeneratedText

WEIGHTS = "model/checkpoints/weights.pth"
"""Path of the weights within the package."""
GREEDY_TEMPERATURE = 1e-6
"""Sampling temperature at which the most probable token is always drawn."""


class Pix2texFormulas:
    """Formula reader that runs pix2tex's own model; see `ocrtool.readers.ReadsFormulas`.

    Args:
        options: Device.

    Raises:
        MissingDependencyError: The package is not installed, or cannot be imported.
        ModelError: The package has no weights yet.
        DeviceError: pix2tex cannot use the requested device.
    """

    def __init__(self, options: ReadOptions) -> None:
        spec = importlib.util.find_spec(PIX2TEX)
        if spec is None or spec.origin is None:
            raise MissingDependencyError("pix2tex is not installed", "pip install pix2tex")
        if not (Path(spec.origin).parent / WEIGHTS).is_file():
            raise ModelError("pix2tex has no weights yet", "run pix2tex once, it fetches them")
        root = logging.getLogger()
        level = root.level
        try:
            from pix2tex import cli
        except ImportError as error:
            raise MissingDependencyError(
                f"pix2tex cannot be used: {error}", "see its own installation notes"
            ) from None
        try:
            self.reader: Any = cli.LatexOCR()
        finally:
            root.setLevel(level)
        if options.device not in ("auto", self.reader.args.device):
            raise DeviceError(f"pix2tex does not run on {options.device}", "leave out --device")
        cli.clipboard = _NoClipboard()
        self.reader.args.temperature = GREEDY_TEMPERATURE
        self._tokens: list[float] = []
        self.reader.model.decoder.net.register_forward_hook(self._record)

    def _record(self, _: Any, __: Any, logits: Any) -> None:
        """Record the probability of the next token."""
        self._tokens.append(float(logits[0, -1].float().softmax(-1).max()))

    def read_stream(
        self, images: Iterable[tuple[str, NDArray[np.uint8]]]
    ) -> Iterator[FormulaResult]:
        """Read any number of formulas in their order."""
        from PIL import Image

        for source, pixels in images:
            self._tokens.clear()
            text = str(self.reader(Image.fromarray(pixels).convert("RGB")))
            yield formula_result(GeneratedText(text, tuple(self._tokens)), source)


class _NoClipboard:
    """Replacement of the clipboard that discards what is copied."""

    def copy(self, _: str) -> None:
        """Discard a text."""
