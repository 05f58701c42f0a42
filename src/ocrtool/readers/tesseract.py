"""Tesseract as a reader of lines, where it is installed: to compare with, and as a second opinion.

One process reads many lines: they are handed over as a list of files, and told apart by their page
numbers in what it prints. ``--model`` names its languages: ``deu+eng``.
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

from ocrtool.document.readings import LineResult
from ocrtool.errors import MissingDependencyError, ModelError
from ocrtool.options import ReadOptions
from ocrtool.readers.line_results import SinglePassReader, plain_result

Image = NDArray[np.uint8]

TOGETHER = 64
"""Lines that one process reads."""
LANGUAGES = "eng"
SECONDS = 120
"""That a process may take."""
MARGIN = 10
"""Pixels of paper that it wants round a line."""


class TesseractReader(SinglePassReader):
    """Reads lines by running ``tesseract``.

    Args:
        options: ``model`` names languages, joined by ``+``; threads; least confidence.

    Raises:
        MissingDependencyError: It is not installed.
        ModelError: It has no such language.
    """

    def __init__(self, options: ReadOptions) -> None:
        program = shutil.which("tesseract")
        if program is None:
            raise MissingDependencyError(
                "tesseract is not installed", "install it, or leave out --engine tesseract"
            )
        self.program = program
        self.options = options
        self.languages = options.model or LANGUAGES
        printed = self._run(["--list-langs"])
        known = {line.strip() for line in printed.splitlines()[1:]}
        missing = sorted(set(self.languages.split("+")) - known)
        if missing:
            raise ModelError(
                f"tesseract has no language {missing[0]!r}",
                f"--model names its languages, such as {' or '.join(sorted(known)[:3])}",
            )

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[LineResult]:
        """Read any number of lines, in their order; see `ocrtool.readers.ReadsLines`."""
        stream = iter(images)
        while batch := list(itertools.islice(stream, TOGETHER)):
            said = self._read([image for _, image in batch])
            for (source, _), words in zip(batch, said, strict=True):
                text = " ".join(word for word, _ in words)
                letters = [
                    sure ** (1 / len(word))
                    for word, sure in words
                    for _ in range(len(word) + 1)  # the space behind it
                ]
                yield plain_result(source, text, letters, self.options.min_confidence)

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
                sure = min(1.0, max(0.0, float(cells[10]) / 100))
                found[int(cells[1]) - 1].append((cells[11].strip(), sure))
        return found

    def _run(self, arguments: Sequence[str]) -> str:
        threads = {"OMP_THREAD_LIMIT": str(self.options.threads)} if self.options.threads else {}
        try:
            done = subprocess.run(
                [self.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                timeout=SECONDS, check=True, env={**os.environ, **threads},
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            reason = getattr(error, "stderr", b"") or str(error).encode()
            last = reason.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise ModelError(f"tesseract failed: {''.join(last)}") from None
        return done.stdout.decode("utf-8", "replace")
