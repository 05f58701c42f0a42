"""DeepSeek-OCR as a page reader: prompts, greedy decoding with a no-repeat n-gram rule, blocks.

Greedy decoding falls into repetition loops on some pages. Tokens that would repeat a recent n-gram
are therefore forbidden, except table tags, which repeat legitimately. A page that loops all the
same is read again in another mode; if it loops again, it is marked with a warning.
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
from ocrtool.readers.grounding import grounded_pieces, html_cells
from ocrtool.readers.line_results import char_probabilities
from ocrtool.readers.page_models import (
    WholePageReader,
    markdown_blocks,
    mean_confidence,
    page_from_blocks,
    table_block,
    text_lines,
)
from ocrtool.readers.repetition import CHECK_INTERVAL, loop_end
from ocrtool.readers.transformers import GeneratedText
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
"""Published prompts, by name; each stands below the image."""
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
"""Block kind of each layout label of the model; any other label is a paragraph."""
NGRAM = 30
"""Length in tokens of the sequences that must not be repeated."""
NGRAM_WINDOW = 90
"""Number of latest tokens in which such a sequence is searched."""
REPEATING = ("<td>", "</td>")
"""Tokens that the no-repeat rule never forbids."""
BEGIN, END = 0, 1
"""Ids of the tokens that begin and end a text."""
SECOND_MODES = {"gundam": "base", "base": "large", "large": "base", "small": "base", "tiny": "base"}
"""Mode in which a page is read again after a repetition loop, by the first mode."""

Network = DeepseekOcr | Deepocr
"""Networks that share this reader."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokens:
    """Token ids of the image placeholder, of the ends of a text, and of `REPEATING`."""

    image: int
    end: frozenset[int]
    repeating: frozenset[int]


def prompt_of(name: str) -> str:
    """Return the text of a prompt, given a name of `PROMPTS` or ``locate:TEXT``.

    Raises:
        UsageError: The name is unknown.
    """
    kind, _, what = name.partition(":")
    if kind not in PROMPTS or (kind == "locate") != bool(what):
        raise UsageError(f"there is no prompt {name!r}", f"prompts are {', '.join(PROMPTS)}:TEXT")
    return PROMPTS[kind].format(what)


class DeepseekPages(WholePageReader):
    """Page reader that runs DeepSeek-OCR in the project's own PyTorch implementation.

    Args:
        folder: Folder of the model.
        options: Device, threads, mode and prompt.

    Raises:
        ModelError: Files are missing, damaged, or of another network.
        UsageError: The mode or prompt is unknown.
        DeviceError: The requested device cannot be used.
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
        """Read a page; after a repetition loop, read it again in another mode."""
        generated = self.write(image, self.mode)
        if generated.looped:
            other = self.second_modes[self.mode]
            logger.info("page %d looped; it is read again in mode %s", number, other)
            again = self.write(image, other)
            generated = generated if again.looped else again
        height, width = image.shape[:2]
        return page_from_blocks(
            image, number, dpi, page_blocks(generated, width, height), generated.looped
        )

    @torch.inference_mode()
    def write(self, image: Image, mode: str) -> GeneratedText:
        """Generate the text of a page.

        Args:
            image: (H, W) grey or (H, W, 3) RGB, uint8.
            mode: Name of the resolution mode; see `ocrtool.readers.views.MODES`.
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
        """Return the prompt tokens: begin, image placeholders, text of the prompt."""
        places = image_positions(views.whole.shape[-1], views.grid, TILE)
        asked = self.words.encode("\n" + self.prompt, add_special_tokens=False).ids
        return [BEGIN, *[self.tokens.image] * places, *asked]

    def _generate(self, x: torch.Tensor, max_tokens: int) -> GeneratedText:
        """Decode greedily among the tokens that the no-repeat rule allows, with a KV cache."""
        past: KeyValues | None = None
        ids: list[int] = []
        probabilities: list[float] = []
        end: int | None = None
        while len(ids) < max_tokens:
            scores, past = self.network.read(x, past)
            row = scores[0].float()
            banned = forbidden(ids, self.tokens.repeating)
            if banned:
                row[list(banned)] = -torch.inf
            token = int(row.argmax())
            if token in self.tokens.end:
                break
            ids.append(token)
            probabilities.append(float(row.softmax(-1)[token]))
            if len(ids) % CHECK_INTERVAL == 0:
                end = loop_end(ids)
                if end is not None:
                    break
            x = self.network.embed(torch.tensor([[token]], device=self.device))
        looped = end is not None or len(ids) >= max_tokens
        ids = ids[:end]
        text = self.words.decode(ids, skip_special_tokens=False)
        pieces = [
            (self.words.id_to_token(i) or "?", p) for i, p in zip(ids, probabilities, strict=False)
        ]
        return GeneratedText(text, tuple(char_probabilities(text, pieces)), looped)


def forbidden(
    ids: Sequence[int],
    allowed: Collection[int] = (),
    ngram: int = NGRAM,
    window: int = NGRAM_WINDOW,
) -> set[int]:
    """Return the tokens that would repeat an n-gram of the latest tokens.

    Args:
        ids: Tokens generated so far.
        allowed: Tokens that are never forbidden.
        ngram: Length n of the n-grams in tokens.
        window: Number of latest tokens that are searched.
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


def page_blocks(generated: GeneratedText, width: int, height: int) -> Iterator[Block]:
    """Yield the blocks of a generated page, in their boxes where the text is grounded.

    Args:
        generated: Markdown, grounded or not.
        width: Width of the page in pixels.
        height: Height of the page in pixels.
    """
    whole = Box(0.0, 0.0, float(width), float(height))
    for piece in grounded_pieces(generated.text, width, height):
        probabilities = generated.probabilities[piece.start : piece.start + len(piece.text)]
        part = GeneratedText(piece.text, probabilities, generated.looped)
        for i, box in enumerate(piece.boxes or (whole,)):
            if i == 0:
                yield from _piece(piece.label, part, box)
            else:
                yield Block("figure" if piece.label == "image" else "paragraph", box)


def _piece(label: str, part: GeneratedText, box: Box) -> Iterator[Block]:
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
    blocks = list(markdown_blocks(part, box))
    if kind == "paragraph" or len(blocks) != 1 or blocks[0].kind in ("formula", "heading"):
        yield from blocks
    elif kind == "heading":
        yield replace(blocks[0], kind=kind, level=1 if label == "title" else 2)
    else:
        yield replace(blocks[0], kind=kind)


def _table(text: str, part: GeneratedText, box: Box) -> Block:
    confidence = mean_confidence(part)
    cells = (
        Cell(
            cell.row,
            cell.column,
            cell.row_span,
            cell.column_span,
            tuple(text_lines(cell.text, box, confidence)),
            cell.header,
        )
        for cell in html_cells(text)
    )
    return table_block(list(cells), box)
