"""Tesseract as a line reader, where it is installed: for comparison, or as the larger reader.

One process reads many lines. They are passed as a list of image files and identified by their page
numbers in the TSV output. ``--model`` gives Tesseract's languages, such as ``deu+eng``.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.lines import LineResult
from ocrtool.errors import MissingDependencyError, ModelError
from ocrtool.options import ReadOptions
from ocrtool.readers.line_results import SinglePassReader, plain_result

Image = NDArray[np.uint8]

BATCH_LINES = 64
"""Number of lines that one process reads."""
DEFAULT_LANGUAGES = "eng"
"""Languages without ``--model``."""
TIMEOUT = 120
"""Maximum running time of a process in seconds."""
MARGIN = 10
"""Margin in pixels that is added around a line, which Tesseract needs."""


class TesseractReader(SinglePassReader):
    """Line reader that runs the program ``tesseract``.

    Args:
        options: Languages, joined by ``+``, as ``model``; threads; minimum confidence.

    Raises:
        MissingDependencyError: Tesseract is not installed.
        ModelError: Tesseract does not have a requested language.
    """

    def __init__(self, options: ReadOptions) -> None:
        program = shutil.which("tesseract")
        if program is None:
            raise MissingDependencyError(
                "tesseract is not installed", "install it, or leave out --engine tesseract"
            )
        self.program = program
        self.options = options
        self.languages = options.model or DEFAULT_LANGUAGES
        printed = self._run(["--list-langs"])
        known = {line.strip() for line in printed.splitlines()[1:]}
        missing = sorted(set(self.languages.split("+")) - known)
        if missing:
            raise ModelError(
                f"tesseract has no language {missing[0]!r}",
                f"--model names its languages, such as {' or '.join(sorted(known)[:3])}",
            )

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines in their order; see `ocrtool.readers.ReadsLines`."""
        stream = iter(images)
        while batch := list(itertools.islice(stream, BATCH_LINES)):
            readings = self._read([image for _, image in batch])
            for (source, _), words in zip(batch, readings, strict=True):
                text = " ".join(word for word, _ in words)
                probabilities = [
                    confidence ** (1 / len(word))
                    for word, confidence in words
                    for _ in range(len(word) + 1)  # with the space after the word
                ]
                yield plain_result(source, text, probabilities, self.options.min_confidence)

    def _read(self, images: Sequence[Image]) -> list[list[tuple[str, float]]]:
        with tempfile.TemporaryDirectory(prefix="ocrtool-") as folder:
            paths = []
            for number, image in enumerate(images):
                path = Path(folder) / f"{number:03}.png"
                frame = cv2.copyMakeBorder(
                    image, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE
                )
                if frame.ndim == 3:
                    frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
                path.write_bytes(cv2.imencode(".png", frame)[1].tobytes())
                paths.append(path)
            table = Path(folder) / "lines.txt"
            table.write_text("".join(f"{path}\n" for path in paths), "utf-8")
            printed = self._run([str(table), "stdout", "--psm", "7", "-l", self.languages, "tsv"])
        found: list[list[tuple[str, float]]] = [[] for _ in images]
        for row in printed.splitlines()[1:]:
            cells = row.split("\t")
            if len(cells) == 12 and cells[0] == "5" and cells[11].strip():
                confidence = min(1.0, max(0.0, float(cells[10]) / 100))
                found[int(cells[1]) - 1].append((cells[11].strip(), confidence))
        return found

    def _run(self, arguments: Sequence[str]) -> str:
        threads = {"OMP_THREAD_LIMIT": str(self.options.threads)} if self.options.threads else {}
        try:
            done = subprocess.run(
                [self.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                timeout=TIMEOUT, check=True, env={**os.environ, **threads},
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            reason = getattr(error, "stderr", b"") or str(error).encode()
            last = reason.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise ModelError(f"tesseract failed: {''.join(last)}") from None
        return done.stdout.decode("utf-8", "replace")
