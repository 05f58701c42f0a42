"""Published readers of whole pages and of formulas: what they write becomes a page, or LaTeX.

Readers of pages write Markdown or plain text and do not tell where anything stands, so every block
and line has the box of the page.
"""

from __future__ import annotations

import logging
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
from markdown_it import MarkdownIt
from markdown_it.token import Token
from numpy.typing import NDArray

from ocrtool.document.tree import Block, BlockKind, Box, Cell, Line, Page, Quad, Word
from ocrtool.inputs.images import PageImage
from ocrtool.latex import LatexError, detokenize, normal, repair, tokenize
from ocrtool.options import Order
from ocrtool.readers.formulas import FormulaResult
from ocrtool.readers.transformers import LOOP_CONFIDENCE, Published, Written

Image = NDArray[np.uint8]

FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]", re.DOTALL)
"""A displayed formula in Markdown."""
LOOPED = "the model went round in circles; what it repeated was cut"

logger = logging.getLogger(__name__)


class WholePages(ABC):
    """What readers have in common that see a page as a whole; see `ocrtool.readers.ReadsPages`."""

    @abstractmethod
    def read(
        self, image: Image, number: int = 1, dpi: float = 0.0, known: Collection[str] = ()
    ) -> Page:
        """Read a page.

        Args:
            image: (H, W) grey or (H, W, 3) RGB, uint8.
            number: Of the page, from 1.
            dpi: Pixels an inch, where it is known; else 0.
            known: Of no use here.
        """

    def read_stream(
        self, pages: Iterable[PageImage], known: Collection[str] = ()
    ) -> Iterator[tuple[PageImage, Page]]:
        """Read the pages of a document, one by one."""
        for page in pages:
            yield page, self.read(page.picture.pixels, page.number, page.dpi, known)

    def with_order(self, _: Order) -> Self:
        """Return itself: it has an order of its own."""
        return self


class PublishedPages(WholePages):
    """Reads pages with a published network.

    Args:
        network: One that reads pages.
    """

    def __init__(self, network: Published) -> None:
        self.network = network

    def read(
        self, image: Image, number: int = 1, dpi: float = 0.0, known: Collection[str] = ()
    ) -> Page:
        """Read a page; see ``WholePages``."""
        (said,) = self.network.write([image])
        height, width = image.shape[:2]
        blocks = blocks_of(said, Box(0.0, 0.0, float(width), float(height)))
        return page_of(image, number, dpi, blocks, said.loops)


def page_of(image: Image, number: int, dpi: float, blocks: Iterable[Block], loops: bool) -> Page:
    """Return a page of blocks, marked where its model went round in circles."""
    if loops:
        logger.warning("page %d: %s", number, LOOPED)
    height, width = image.shape[:2]
    warning = LOOPED if loops else ""
    return Page(number, width, height, tuple(blocks), dpi=dpi, warning=warning)


class PublishedFormulas:
    """Reads formulas with a published network; see `ocrtool.readers.ReadsFormulas`.

    Args:
        network: One that reads formulas.
    """

    def __init__(self, network: Published) -> None:
        self.network = network

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[FormulaResult]:
        """Read any number of formulas, in their order."""
        for source, image in images:
            (said,) = self.network.write([image])
            yield formula_of(said, source)


def formula_of(said: Written, source: str) -> FormulaResult:
    """Return the formula that a network wrote, repaired where it is not valid LaTeX."""
    confidence = math.prod(said.letters)
    try:
        tokens, valid = tuple(normal(said.text)), True
    except LatexError:
        tokens, valid = tuple(repair(tokenize(said.text))), False
    if said.loops or not valid:
        confidence = min(confidence, LOOP_CONFIDENCE)
    latex = said.text.strip() if valid else detokenize(tokens)
    return FormulaResult(latex, confidence, tokens, valid, source)


def blocks_of(said: Written, box: Box) -> Iterator[Block]:
    """Return the blocks of what a reader of pages wrote.

    Args:
        said: Markdown, or plain text.
        box: Of the page.
    """
    source = said.text
    starts = _line_starts(source)
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(source)
    quotes = lists = 0
    for i, token in enumerate(tokens):
        quotes += (token.type == "blockquote_open") - (token.type == "blockquote_close")
        opening = token.type in ("bullet_list_open", "ordered_list_open")
        lists += opening - (token.type in ("bullet_list_close", "ordered_list_close"))
        if token.map is None:
            continue
        first, last = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
        sure = sureness_of(said, first, last)
        text = source[first:last].strip("\n")
        if opening and lists == 1:
            yield _block("list", text, box, sure)
        elif lists or quotes > 1 or _in_table(tokens[:i]):
            continue
        elif token.type == "blockquote_open":
            rows = [re.sub(r"^\s*>\s?", "", row) for row in text.split("\n")]
            yield _block("quote", "\n".join(rows), box, sure)
        elif quotes:
            continue
        elif token.type == "heading_open":
            yield replace(
                _block("heading", tokens[i + 1].content, box, sure), level=int(token.tag[1:])
            )
        elif token.type in ("fence", "code_block"):
            yield _block("code", token.content.strip("\n"), box, sure)
        elif token.type == "table_open":
            yield _table(tokens[i:], box, sure)
        elif token.type == "paragraph_open":
            yield from _paragraphs(tokens[i + 1].content, box, sure)


def _paragraphs(text: str, box: Box, sure: float) -> Iterator[Block]:
    """Return a paragraph, parted where a displayed formula stands in it."""
    end = 0
    for match in FORMULA.finditer(text):
        latex = (match[1] or match[2]).strip()
        try:
            normal(latex)
        except LatexError:
            continue  # it stays as it was written
        if text[end : match.start()].strip():
            yield _block("paragraph", text[end : match.start()].strip(), box, sure)
        yield replace(_block("formula", latex, box, sure), latex=latex)
        end = match.end()
    if text[end:].strip():
        yield _block("paragraph", text[end:].strip(), box, sure)


def _table(tokens: Sequence[Token], box: Box, sure: float) -> Block:
    cells: list[Cell] = []
    row = column = -1
    for i, token in enumerate(tokens):
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            row, column = row + 1, -1
        elif token.type in ("th_open", "td_open"):
            column += 1
            lines = tuple(lines_of(tokens[i + 1].content, box, sure))
            cells.append(Cell(row, column, lines=lines, header=token.type == "th_open"))
    return table_of(cells, box)


def table_of(cells: Sequence[Cell], box: Box) -> Block:
    """Return the table that cells make, in the order of its rows."""
    rows = [[c for c in cells if c.row == row] for row in sorted({c.row for c in cells})]
    text = "\n".join(
        "\t".join(" ".join(line.text for line in cell.lines) for cell in one) for one in rows
    )
    lines = tuple(line for cell in cells for line in cell.lines)
    return Block("table", box, lines, text, cells=tuple(cells))


def _in_table(tokens: Sequence[Token]) -> bool:
    opened = sum(token.type == "table_open" for token in tokens)
    return opened > sum(token.type == "table_close" for token in tokens)


def _block(kind: BlockKind, text: str, box: Box, sure: float) -> Block:
    return Block(kind, box, tuple(lines_of(text, box, sure)), text)


def lines_of(text: str, box: Box, sure: float) -> Iterator[Line]:
    """Return the lines of a text."""
    quad: Quad = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
    for row in text.split("\n"):
        if not row.strip():
            continue
        words = tuple(Word(word, sure ** len(word), quad) for word in row.split())
        yield Line(row.strip(), math.prod(word.confidence for word in words), quad, words)


def _line_starts(source: str) -> list[int]:
    starts = [0]
    for row in source.split("\n"):
        starts.append(starts[-1] + len(row) + 1)
    return [min(start, len(source)) for start in starts]


def sureness_of(said: Written, first: int = 0, last: int | None = None) -> float:
    """Return how sure each letter of a part is; of what looped, next to nothing."""
    part = Written(said.text[first:last], said.letters[first:last])
    return (
        min(part.mean_char_confidence, LOOP_CONFIDENCE) if said.loops else part.mean_char_confidence
    )
