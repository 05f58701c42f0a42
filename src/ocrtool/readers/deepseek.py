"""DeepSeek-OCR as a reader of pages, by our own network: prompts, greedy decoding, guards, boxes.

Greedy decoding goes round in circles on some pages. A guard forbids any sequence of tokens that
was written shortly before to be completed again, but for the tags of tables, which repeat with good
reason; and a page that loops in spite of it is read once more in another mode, then marked.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ocrtool.document.tree import Block, BlockKind, Box, Cell, Page
from ocrtool.engines.torch import device_of
from ocrtool.errors import ModelError, UsageError
from ocrtool.models.causal import KeyValues
from ocrtool.models.deepencoder import image_positions
from ocrtool.models.deepocr import Deepocr
from ocrtool.models.deepseek import DeepseekOcr
from ocrtool.options import ReadOptions
from ocrtool.readers.deepseek_files import load_network
from ocrtool.readers.grounding import grounded, html_cells
from ocrtool.readers.line_results import char_probabilities
from ocrtool.readers.page_models import (
    WholePages,
    blocks_of,
    lines_of,
    page_of,
    sureness_of,
    table_of,
)
from ocrtool.readers.repetition import EVERY, loop_of
from ocrtool.readers.transformers import Written
from ocrtool.readers.views import DEFAULT_MODE, TILE, Mode, Views, mode_of, views_of
from ocrtool.weights.registry import Reads

Image = NDArray[np.uint8]

PROMPTS = {
    "ocr": "Free OCR.",
    "markdown": "<|grounding|>Convert the document to markdown.",
    "grounding": "<|grounding|>OCR this image.",
    "figure": "Parse the figure.",
    "describe": "Describe this image in detail.",
    "locate": "Locate <|ref|>{}<|/ref|> in the image.",
}
"""What is asked below the picture, as published."""
DEFAULT_PROMPT = "markdown"
LABELS: dict[str, BlockKind] = {
    "title": "heading",
    "sub_title": "heading",
    "image": "figure",
    "figure": "figure",
    "table": "table",
    "equation": "formula",
    "formula": "formula",
    "image_caption": "caption",
    "figure_caption": "caption",
    "table_caption": "caption",
    "footnote": "footnote",
    "header": "header",
    "footer": "footer",
    "code": "code",
}
"""What the model's labels mean; all others are text."""
NGRAM, WINDOW = 30, 90
"""Tokens of a sequence that must not come again, and how far back is looked."""
REPEATING = ("<td>", "</td>")
BEGIN, END = 0, 1
"""Tokens around a text."""
SECOND_MODES = {"gundam": "base", "base": "large", "large": "base", "small": "base", "tiny": "base"}
"""In which mode a page is read again that looped."""

Network = DeepseekOcr | Deepocr
"""What sees and writes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokens:
    """Ids that the network knows by name."""

    image: int
    end: frozenset[int]
    repeating: frozenset[int]


def prompt_of(name: str) -> str:
    """Return the wording of a prompt: a name of `PROMPTS`, or ``locate:WHAT``.

    Raises:
        UsageError: There is no such prompt.
    """
    kind, _, what = name.partition(":")
    if kind not in PROMPTS or (kind == "locate") != bool(what):
        raise UsageError(f"there is no prompt {name!r}", f"prompts are {', '.join(PROMPTS)}:TEXT")
    return PROMPTS[kind].format(what)


class DeepseekPages(WholePages):
    """Reads pages with DeepSeek-OCR.

    Args:
        folder: Of the model.
        options: Device, threads, mode, prompt.

    Raises:
        ModelError: Files are missing, damaged, or of another network.
        UsageError: There is no such mode or prompt.
        DeviceError: The device that is asked for cannot be used.
    """

    reads: Reads = "pages"
    second_modes: ClassVar[Mapping[str, str]] = SECOND_MODES
    default_prompt = DEFAULT_PROMPT
    tokenizer = "tokenizer.json"

    def __init__(self, folder: Path, options: ReadOptions) -> None:
        self.mode = options.mode or DEFAULT_MODE
        if self.mode not in self.second_modes:
            known = ", ".join(self.second_modes)
            raise UsageError(f"there is no mode {self.mode!r}", f"modes are {known}")
        self.prompt = prompt_of(options.prompt or self.default_prompt)
        self.device = device_of(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        half = self.device != "cpu" and torch.cuda.is_bf16_supported()
        self.dtype = torch.bfloat16 if half else torch.float32
        self.network: Network = self._load(folder, options)
        try:
            self.words = Tokenizer.from_file(str(folder / self.tokenizer))
        except Exception as error:  # the library raises nothing more special
            raise ModelError(f"{folder / self.tokenizer} cannot be read: {error}") from None
        self.tokens = self._tokens()

    def _load(self, folder: Path, options: ReadOptions) -> Network:
        return load_network(folder, self.device, self.dtype, options.int8)

    def _tokens(self) -> Tokens:
        return Tokens(self._id("<image>"), frozenset((END,)), frozenset(map(self._id, REPEATING)))

    def _mode(self, name: str) -> Mode:
        return mode_of(name)

    def _id(self, name: str) -> int:
        found = self.words.token_to_id(name)
        if found is None:
            raise ModelError(f"the tokenizer does not know {name}")
        return int(found)

    def read(
        self, image: Image, number: int = 1, dpi: float = 0.0, known: Collection[str] = ()
    ) -> Page:
        """Read a page; one that loops is read again in another mode."""
        said = self.write(image, self.mode)
        if said.loops:
            other = self.second_modes[self.mode]
            logger.info("page %d looped; it is read again in mode %s", number, other)
            again = self.write(image, other)
            said = said if again.loops else again
        height, width = image.shape[:2]
        return page_of(image, number, dpi, page_blocks(said, width, height), said.loops)

    @torch.inference_mode()
    def write(self, image: Image, mode: str) -> Written:
        """Let the network write what a page says.

        Args:
            image: (H, W) grey or (H, W, 3) RGB, uint8.
            mode: How it is shown.
        """
        views = views_of(image, self._mode(mode))
        whole = torch.from_numpy(views.whole).to(self.device, self.dtype)
        tiles = None
        if views.tiles is not None:
            tiles = torch.from_numpy(views.tiles).to(self.device, self.dtype)
        seen = self.network.see(whole, tiles, views.grid)
        ids = self.prompt_ids(views)
        tokens = torch.tensor([ids], device=self.device)
        x = self.network.embed(tokens, seen, self.tokens.image)
        return self._generate(x, self.network.config.decoder.max_length - len(ids))

    def prompt_ids(self, views: Views) -> list[int]:
        """Return the tokens before the text: begin, places of the image, what is asked."""
        places = image_positions(views.whole.shape[-1], views.grid, TILE)
        asked = self.words.encode("\n" + self.prompt, add_special_tokens=False).ids
        return [BEGIN, *[self.tokens.image] * places, *asked]

    def _generate(self, x: torch.Tensor, most: int) -> Written:
        """Write the likeliest tokens that the guard allows, with the key-value cache."""
        past: KeyValues | None = None
        ids: list[int] = []
        sure: list[float] = []
        end: int | None = None
        while len(ids) < most:
            scores, past = self.network.read(x, past)
            row = scores[0].float()
            banned = forbidden(ids, self.tokens.repeating)
            if banned:
                row[list(banned)] = -torch.inf
            token = int(row.argmax())
            if token in self.tokens.end:
                break
            ids.append(token)
            sure.append(float(row.softmax(-1)[token]))
            if len(ids) % EVERY == 0:
                end = loop_of(ids)
                if end is not None:
                    break
            x = self.network.embed(torch.tensor([[token]], device=self.device))
        loops = end is not None or len(ids) >= most
        ids = ids[:end]
        text = self.words.decode(ids, skip_special_tokens=False)
        pieces = [(self.words.id_to_token(i) or "?", p) for i, p in zip(ids, sure, strict=False)]
        return Written(text, tuple(char_probabilities(text, pieces)), loops)


def forbidden(
    ids: Sequence[int], allowed: Collection[int] = (), ngram: int = NGRAM, window: int = WINDOW
) -> set[int]:
    """Return the tokens that would complete a sequence which stands in the last tokens already.

    Args:
        ids: What was written.
        allowed: Tokens that may always come.
        ngram: Tokens of a sequence.
        window: Tokens back that are looked at.
    """
    recent = list(ids[-window:])
    if len(recent) < ngram:
        return set()
    tail = recent[len(recent) - ngram + 1 :]
    starts = range(len(recent) - ngram + 1)
    return {
        recent[start + ngram - 1] for start in starts if recent[start : start + ngram - 1] == tail
    } - set(allowed)


# --------------------------------------------------------------------------- pages


def page_blocks(said: Written, width: int, height: int) -> Iterator[Block]:
    """Return the blocks of what was written, in their boxes where it tells them.

    Args:
        said: What was written.
        width: Of the page, in pixels.
        height: Of the page.
    """
    whole = Box(0.0, 0.0, float(width), float(height))
    for piece in grounded(said.text, width, height):
        letters = said.letters[piece.start : piece.start + len(piece.text)]
        part = Written(piece.text, letters, said.loops)
        for i, box in enumerate(piece.boxes or (whole,)):
            if i == 0:
                yield from _piece(piece.label, part, box)
            else:
                yield Block("figure" if piece.label == "image" else "paragraph", box)


def _piece(label: str, part: Written, box: Box) -> Iterator[Block]:
    kind = LABELS.get(label, "paragraph")
    if kind == "figure":
        yield Block("figure", box)
        return
    text = part.text.strip()
    if "<table" in text or "<td" in text:
        yield _table(text, part, box)
        return
    if not text:
        return
    blocks = list(blocks_of(part, box))
    if kind == "paragraph" or len(blocks) != 1 or blocks[0].kind in ("formula", "heading"):
        yield from blocks
    elif kind == "heading":
        yield replace(blocks[0], kind=kind, level=1 if label == "title" else 2)
    else:
        yield replace(blocks[0], kind=kind)


def _table(text: str, part: Written, box: Box) -> Block:
    sure = sureness_of(part)
    cells = (
        Cell(
            cell.row,
            cell.column,
            cell.row_span,
            cell.column_span,
            tuple(lines_of(cell.text, box, sure)),
            cell.header,
        )
        for cell in html_cells(text)
    )
    return table_of(list(cells), box)
