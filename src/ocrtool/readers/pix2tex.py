"""pix2tex (LaTeX-OCR) as a reader of formulas, where its package is installed: to compare with.

The package draws its tokens by lot, copies what it read to the clipboard, silences all logging and
fetches its weights by itself. Here it takes the likeliest token each time, so a picture always
reads the same, and does none of the others.
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
from ocrtool.readers.page_models import formula_of
from ocrtool.readers.transformers import Written

WEIGHTS = "model/checkpoints/weights.pth"
"""Where the package keeps them."""
COLD = 1e-6
"""Temperature at which the lot always falls on the likeliest token."""


class Pix2texFormulas:
    """Reads formulas with pix2tex's own model; see `ocrtool.readers.ReadsFormulas`.

    Args:
        options: Device.

    Raises:
        MissingDependencyError: The package is not installed, or not usable.
        ModelError: It has no weights yet.
        DeviceError: It is asked for a device that it cannot use.
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
        cli.clipboard = _Nothing()
        self.reader.args.temperature = COLD
        self._tokens: list[float] = []
        self.reader.model.decoder.net.register_forward_hook(self._note)

    def _note(self, _: Any, __: Any, logits: Any) -> None:
        """Note how sure the decoder is of the token that comes next."""
        self._tokens.append(float(logits[0, -1].float().softmax(-1).max()))

    def read_stream(
        self, images: Iterable[tuple[str, NDArray[np.uint8]]]
    ) -> Iterator[FormulaResult]:
        """Read any number of formulas, in their order."""
        from PIL import Image

        for source, pixels in images:
            self._tokens.clear()
            text = str(self.reader(Image.fromarray(pixels).convert("RGB")))
            yield formula_of(Written(text, tuple(self._tokens)), source)


class _Nothing:
    """A clipboard that keeps nothing."""

    def copy(self, _: str) -> None:
        """Forget a text."""
