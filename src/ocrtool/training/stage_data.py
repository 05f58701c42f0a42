"""Pages with their texts, for training in stages: JSON lines, PDFs with Markdown, and batches.

Nothing of an image is read before it is needed. What then cannot be used is left out of its batch,
and told.
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
"""What is asked where the data do not say."""
DPI = 144
"""At which pages of PDFs are drawn, as they were for the published model."""
_NUMBERED = re.compile(r"\.(\d+)$")


@dataclass(frozen=True)
class PromptSample:
    """A picture and what shall be written.

    Attributes:
        path: An image, or a PDF.
        text: What is to be written, or where it stands: folders are large.
        prompt: What is asked.
        page: Of the PDF, from 1; 0 for the only one.
    """

    path: Path
    text: str | Path
    prompt: str = PROMPT
    page: int = 0

    def words(self) -> str:
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
        """Return the picture, (H, W) or (H, W, 3) uint8.

        Raises:
            InputError: It cannot be read, or a PDF has another number of pages.
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
    """List the samples of JSON lines and of folders.

    Args:
        sources: Files and folders; see `StageOptions.data`.
        problems: Gets a line for every row that cannot be used.

    Raises:
        InputError: A source is missing.
    """
    samples: list[PromptSample] = []
    for source in sources:
        if source.is_dir():
            samples += _from_folder(source)
        else:
            samples += _from_lines(source, problems)
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
    """Pair PDFs with the Markdown of the same stem: of the only page, or ``stem.N.md`` of one."""
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
    """A sample as the network takes it.

    Attributes:
        views: Of its picture.
        ids: Tokens, ``IMAGE`` in the places of the picture; the last, an end, is only a target.
        start: The first of the text among them.
    """

    views: Views
    ids: list[int]
    start: int


@dataclass(frozen=True)
class PageBatch:
    """Samples that go through the network together; arrays of NumPy, which travel.

    Attributes:
        tokens: (B, T) int64, filled up with 0 at the ends.
        where: (B, T) bool, after which positions a token of a text stands.
        targets: (N,) int64, these tokens, row by row.
        views: (B, 3, S, S) float32.
        tiles: Of each image (K, 3, s, s) float32, or None.
        grids: Columns and rows of the tiles.
        misfits: Why samples were left out.
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
    """All batches of a training set, by number, without end; picklable.

    Each pass over the samples has an order of its own, drawn from the seed and the number of the
    pass, so nothing has a state.

    Attributes:
        samples: The training set.
        words: The tokenizer.
        mode: How pictures are shown.
        max_length: Positions of the longest sequence.
        size: Samples of a batch.
        seed: Of the order.
    """

    samples: Sequence[PromptSample]
    words: Tokenizer
    mode: Mode
    max_length: int
    size: int
    seed: int

    def __getitem__(self, number: int) -> PageBatch:
        """Make a batch."""
        batches = -(-len(self.samples) // self.size)
        turn, place = divmod(number, batches)
        order = np.random.default_rng((self.seed, turn)).permutation(len(self.samples))
        chosen = order[place * self.size : (place + 1) * self.size]
        return self.together([self.samples[i] for i in chosen])

    def numbers(self, start: int, rank: int, processes: int) -> Iterator[int]:
        """Return the numbers of a process's batches, behind the first ``start``."""
        return count(start * processes + rank, processes)

    def page(self, sample: PromptSample) -> TrainingPdfPage:
        """Make a sample ready.

        Raises:
            InputError: It cannot be read, or is too long; it is never cut.
        """
        text = sample.words()
        views = views_of(sample.pixels(), self.mode)
        places = image_positions(views.whole.shape[-1], views.grid, self.mode.tile)
        before = prompt_ids(self.words, sample.prompt, places)
        after = self.words.encode(text, add_special_tokens=False).ids
        ids = [*before, *after, end_ids(self.words)[0]]
        if len(ids) - 1 > self.max_length:
            raise InputError(
                f"{sample.path}: {len(ids) - 1} positions, the network has {self.max_length}"
            )
        return TrainingPdfPage(views, ids, len(before))

    def together(self, samples: Sequence[PromptSample]) -> PageBatch:
        """Make a batch of samples; those that cannot be used are left out."""
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
