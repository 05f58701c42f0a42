"""Pages with their texts for training in stages: JSON lines, PDFs with Markdown, and batches.

Images are read when they are needed; a sample that then is unusable is left out of its batch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ocrtool.errors import InputError, OcrToolError
from ocrtool.inputs.images import load_image
from ocrtool.models.deepencoder import image_positions
from ocrtool.pdf import PdfFile
from ocrtool.readers.deepocr_files import end_ids, prompt_ids
from ocrtool.readers.views import Mode, Views, views_of

PROMPT = "Free OCR."
"""Prompt of samples without one."""
DPI = 144
"""Resolution at which pages of PDFs are rasterised, that of the published model."""
_NUMBERED = re.compile(r"\.(\d+)$")


@dataclass(frozen=True)
class PromptSample:
    """An image with a prompt and the text to be read.

    Attributes:
        path: An image, or a PDF.
        text: The text, or the file that contains it.
        prompt: The prompt.
        page: Page of the PDF, from 1; 0 for the only page.
    """

    path: Path
    text: str | Path
    prompt: str = PROMPT
    page: int = 0

    def read_text(self) -> str:
        """Return the text.

        Raises:
            InputError: It cannot be read, or is empty.
        """
        try:
            text = self.text if isinstance(self.text, str) else self.text.read_text("utf-8-sig")
        except (OSError, ValueError) as error:
            raise InputError(f"{self.text}: cannot be read ({error})") from None
        if not text.strip():
            raise InputError(f"{self.path}: empty text")
        return text.strip()

    def pixels(self) -> NDArray[np.uint8]:
        """Return the image, (H, W) or (H, W, 3) uint8.

        Raises:
            InputError: It cannot be read, or the PDF lacks the page.
        """
        if self.path.suffix.lower() != ".pdf":
            return load_image(self.path)
        with PdfFile(self.path) as file:
            if self.page == 0 and len(file) != 1:
                raise InputError(
                    f"{self.path}: {len(file)} pages and one text",
                    f"name the texts of pages {self.path.stem}.1.md and so on",
                )
            if self.page > len(file):
                raise InputError(f"{self.path}: there is no page {self.page}")
            return file.rasterise(max(self.page, 1) - 1, DPI)


def read_samples(sources: Sequence[Path], problems: list[str]) -> list[PromptSample]:
    """List the samples of JSON lines and of folders (`StageOptions.data`).

    `problems` receives a line for every unusable row.

    Raises:
        InputError: A source is missing.
    """
    samples: list[PromptSample] = []
    for source in sources:
        samples += _from_folder(source) if source.is_dir() else _from_lines(source, problems)
    return samples


def _from_lines(path: Path, problems: list[str]) -> Iterator[PromptSample]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}", "give JSON lines, or a folder") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
            image, text, prompt = row["image"], row["text"], row.get("prompt", PROMPT)
            if not all(isinstance(value, str) for value in (image, text, prompt)):
                raise TypeError("image, prompt and text are strings")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            problems.append(f"{path}:{number}: {reason}")
            continue
        yield PromptSample(path.parent / image, text, prompt)


def _from_folder(folder: Path) -> Iterator[PromptSample]:
    """Pair ``stem.pdf`` with ``stem.md`` (its only page) and ``stem.N.md`` (its page N)."""
    for path in sorted(folder.rglob("*.md")):
        pdf = path.with_suffix(".pdf")
        if pdf.is_file():
            yield PromptSample(pdf, path)
            continue
        match = _NUMBERED.search(path.stem)
        if match and int(match[1]) > 0:
            pdf = path.with_name(path.stem[: match.start()] + ".pdf")
            if pdf.is_file():
                yield PromptSample(pdf, path, page=int(match[1]))


@dataclass(frozen=True)
class TrainingPdfPage:
    """A sample as input of the network.

    Attributes:
        views: Views of its image.
        ids: Tokens, ``IMAGE`` at the positions of the image; the last, an end, is only a target.
        start: Index of the first token of the text.
    """

    views: Views
    ids: list[int]
    start: int


@dataclass(frozen=True)
class PageBatch:
    """A batch of samples as NumPy arrays, which are picklable.

    Attributes:
        tokens: (B, T) int64, padded with 0.
        where: (B, T) bool, positions whose next token belongs to the text.
        targets: (N,) int64, these next tokens, row by row.
        views: (B, 3, S, S) float32.
        tiles: (K, 3, s, s) float32 for each image, or None.
        grids: Columns and rows of the tiles of each image.
        misfits: Reasons why samples were left out.
    """

    tokens: NDArray[np.int64]
    where: NDArray[np.bool_]
    targets: NDArray[np.int64]
    views: NDArray[np.float32]
    tiles: list[NDArray[np.float32] | None]
    grids: list[tuple[int, int]]
    misfits: list[str]


@dataclass(frozen=True)
class PageBatches:
    """The endless batches of a training set by number; picklable and without a state.

    Each pass over the samples has its own order, drawn from the seed and the number of the pass.

    Attributes:
        samples: The training set.
        tokenizer: The tokenizer.
        mode: Page resolution.
        max_length: Maximum number of positions of a sequence.
        size: Samples of a batch.
        seed: Seed of the order.
    """

    samples: Sequence[PromptSample]
    tokenizer: Tokenizer
    mode: Mode
    max_length: int
    size: int
    seed: int

    def __getitem__(self, number: int) -> PageBatch:
        """Return batch `number`."""
        batches = -(-len(self.samples) // self.size)
        turn, place = divmod(number, batches)
        order = np.random.default_rng((self.seed, turn)).permutation(len(self.samples))
        chosen = order[place * self.size : (place + 1) * self.size]
        return self.together([self.samples[i] for i in chosen])

    def numbers(self, start: int, rank: int, processes: int) -> Iterator[int]:
        """Return the numbers of a process's batches after its first ``start``."""
        return count(start * processes + rank, processes)

    def page(self, sample: PromptSample) -> TrainingPdfPage:
        """Convert a sample to the network's input.

        Raises:
            InputError: It cannot be read, or is too long; texts are never truncated.
        """
        text = sample.read_text()
        views = views_of(sample.pixels(), self.mode)
        places = image_positions(views.whole.shape[-1], views.grid, self.mode.tile)
        before = prompt_ids(self.tokenizer, sample.prompt, places)
        after = self.tokenizer.encode(text, add_special_tokens=False).ids
        ids = [*before, *after, end_ids(self.tokenizer)[0]]
        if len(ids) - 1 > self.max_length:
            raise InputError(
                f"{sample.path}: {len(ids) - 1} positions, the network has {self.max_length}"
            )
        return TrainingPdfPage(views, ids, len(before))

    def together(self, samples: Sequence[PromptSample]) -> PageBatch:
        """Return a batch of samples without the unusable ones."""
        pages: list[TrainingPdfPage] = []
        misfits: list[str] = []
        for sample in samples:
            try:
                pages.append(self.page(sample))
            except OcrToolError as error:
                misfits.append(error.message)
        longest = max((len(page.ids) - 1 for page in pages), default=0)
        tokens = np.zeros((len(pages), longest), np.int64)
        where = np.zeros((len(pages), longest), np.bool_)
        for i, page in enumerate(pages):
            tokens[i, : len(page.ids) - 1] = page.ids[:-1]
            where[i, page.start - 1 : len(page.ids) - 1] = True
        targets = [token for page in pages for token in page.ids[page.start :]]
        side = self.mode.side
        return PageBatch(
            tokens,
            where,
            np.array(targets, np.int64),
            np.array([page.views.whole for page in pages], np.float32).reshape(-1, 3, side, side),
            [page.views.tiles for page in pages],
            [page.views.grid for page in pages],
            misfits,
        )
