"""Published models that read whole pages or formulas: generated text to a page, or to LaTeX.

Page models write Markdown or plain text without positions, so each block and line has the box of
the whole page.
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
from ocrtool.inputs.page_source import PageSource
from ocrtool.latex_syntax import LatexError, detokenize, normal, repair, tokenize
from ocrtool.options import Order
from ocrtool.readers.formulas import FormulaResult
from ocrtool.readers.transformers import LOOP_CONFIDENCE, GeneratedText, Published

Image = NDArray[np.uint8]

FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]", re.DOTALL)
"""Display formula in Markdown: ``$$ ... $$`` or ``\\[ ... \\]``."""
LOOP_WARNING = "the model fell into a repetition loop; the repeated text was removed"
"""Warning of a page that fell into a repetition loop."""

logger = logging.getLogger(__name__)


class WholePageReader(ABC):
    """Base of page readers without separate layout analysis; see `ocrtool.readers.ReadsPages`."""

    @abstractmethod
    def read(
        self, image: Image, number: int = 1, dpi: float = 0.0, known: Collection[str] = ()
    ) -> Page:
        """Read a page.

        Args:
            image: (H, W) grey or (H, W, 3) RGB, uint8.
            number: Page number, from 1.
            dpi: Resolution in pixels per inch; 0 where it is unknown.
            known: Not used by these readers.
        """

    def read_stream(
        self, pages: Iterable[PageSource], known: Collection[str] = ()
    ) -> Iterator[tuple[PageSource, Page]]:
        """Read the pages of a document one by one."""
        for page in pages:
            yield page, self.read(page.pixels, page.number, page.dpi, known)

    def with_order(self, _: Order) -> Self:
        """Return the reader itself: the model decides the reading order."""
        return self


class PublishedPages(WholePageReader):
    """Page reader that runs a published network.

    Args:
        network: A network that reads pages.
    """

    def __init__(self, network: Published) -> None:
        self.network = network

    def read(
        self, image: Image, number: int = 1, dpi: float = 0.0, known: Collection[str] = ()
    ) -> Page:
        """Read a page; see ``WholePageReader``."""
        (generated,) = self.network.write([image])
        height, width = image.shape[:2]
        blocks = markdown_blocks(generated, Box(0.0, 0.0, float(width), float(height)))
        return page_from_blocks(image, number, dpi, blocks, generated.looped)


def page_from_blocks(
    image: Image, number: int, dpi: float, blocks: Iterable[Block], looped: bool
) -> Page:
    """Return a page of blocks, with a warning where generation fell into a loop."""
    if looped:
        logger.warning("page %d: %s", number, LOOP_WARNING)
    height, width = image.shape[:2]
    warning = LOOP_WARNING if looped else ""
    return Page(number, width, height, tuple(blocks), dpi=dpi, warning=warning)


class PublishedFormulas:
    """Formula reader that runs a published network; see `ocrtool.readers.ReadsFormulas`.

    Args:
        network: A network that reads formulas.
    """

    def __init__(self, network: Published) -> None:
        self.network = network

    def read_stream(self, images: Iterable[tuple[str, Image]]) -> Iterator[FormulaResult]:
        """Read any number of formulas in their order."""
        for source, image in images:
            (generated,) = self.network.write([image])
            yield formula_result(generated, source)


def formula_result(generated: GeneratedText, source: str) -> FormulaResult:
    """Return a generated formula, repaired where it is not valid LaTeX."""
    confidence = math.prod(generated.probabilities)
    try:
        tokens, valid = tuple(normal(generated.text)), True
    except LatexError:
        tokens, valid = tuple(repair(tokenize(generated.text))), False
    if generated.looped or not valid:
        confidence = min(confidence, LOOP_CONFIDENCE)
    latex = generated.text.strip() if valid else detokenize(tokens)
    return FormulaResult(latex, confidence, tokens, valid, source)


def markdown_blocks(generated: GeneratedText, box: Box) -> Iterator[Block]:
    """Yield the blocks of generated Markdown or plain text.

    Args:
        generated: Text of the page, or of a part of it.
        box: Box of that part in pixels, which each block and line gets.
    """
    source = generated.text
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
        confidence = mean_confidence(generated, first, last)
        text = source[first:last].strip("\n")
        if opening and lists == 1:
            yield _block("list", text, box, confidence)
        elif lists or quotes > 1 or _in_table(tokens[:i]):
            continue
        elif token.type == "blockquote_open":
            rows = [re.sub(r"^\s*>\s?", "", row) for row in text.split("\n")]
            yield _block("quote", "\n".join(rows), box, confidence)
        elif quotes:
            continue
        elif token.type == "heading_open":
            yield replace(
                _block("heading", tokens[i + 1].content, box, confidence), level=int(token.tag[1:])
            )
        elif token.type in ("fence", "code_block"):
            yield _block("code", token.content.strip("\n"), box, confidence)
        elif token.type == "table_open":
            yield _table(tokens[i:], box, confidence)
        elif token.type == "paragraph_open":
            yield from _paragraphs(tokens[i + 1].content, box, confidence)


def _paragraphs(text: str, box: Box, confidence: float) -> Iterator[Block]:
    """Yield the blocks of a paragraph, which is split at display formulas."""
    end = 0
    for match in FORMULA.finditer(text):
        latex = (match[1] or match[2]).strip()
        try:
            normal(latex)
        except LatexError:
            continue  # not valid LaTeX: it stays part of the paragraph
        if text[end : match.start()].strip():
            yield _block("paragraph", text[end : match.start()].strip(), box, confidence)
        yield replace(_block("formula", latex, box, confidence), latex=latex)
        end = match.end()
    if text[end:].strip():
        yield _block("paragraph", text[end:].strip(), box, confidence)


def _table(tokens: Sequence[Token], box: Box, confidence: float) -> Block:
    cells: list[Cell] = []
    row = column = -1
    for i, token in enumerate(tokens):
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            row, column = row + 1, -1
        elif token.type in ("th_open", "td_open"):
            column += 1
            lines = tuple(text_lines(tokens[i + 1].content, box, confidence))
            cells.append(Cell(row, column, lines=lines, header=token.type == "th_open"))
    return table_block(cells, box)


def table_block(cells: Sequence[Cell], box: Box) -> Block:
    """Return the table block of the cells; its text has a line per row, with tabs between cells."""
    rows = [[c for c in cells if c.row == row] for row in sorted({c.row for c in cells})]
    text = "\n".join(
        "\t".join(" ".join(line.text for line in cell.lines) for cell in one) for one in rows
    )
    lines = tuple(line for cell in cells for line in cell.lines)
    return Block("table", box, lines, text, cells=tuple(cells))


def _in_table(tokens: Sequence[Token]) -> bool:
    opened = sum(token.type == "table_open" for token in tokens)
    return opened > sum(token.type == "table_close" for token in tokens)


def _block(kind: BlockKind, text: str, box: Box, confidence: float) -> Block:
    return Block(kind, box, tuple(text_lines(text, box, confidence)), text)


def text_lines(text: str, box: Box, confidence: float) -> Iterator[Line]:
    """Yield the non-blank lines of a text; ``confidence`` is that of each character."""
    quad: Quad = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
    for row in text.split("\n"):
        if not row.strip():
            continue
        words = tuple(Word(word, confidence ** len(word), quad) for word in row.split())
        yield Line(row.strip(), math.prod(word.confidence for word in words), quad, words)


def _line_starts(source: str) -> list[int]:
    starts = [0]
    for row in source.split("\n"):
        starts.append(starts[-1] + len(row) + 1)
    return [min(start, len(source)) for start in starts]


def mean_confidence(generated: GeneratedText, first: int = 0, last: int | None = None) -> float:
    """Return the mean character confidence of a part, at most `LOOP_CONFIDENCE` after a loop."""
    part = GeneratedText(generated.text[first:last], generated.probabilities[first:last])
    mean = part.mean_char_confidence
    return min(mean, LOOP_CONFIDENCE) if generated.looped else mean
