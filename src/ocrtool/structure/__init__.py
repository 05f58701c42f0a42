"""Assembly of recognised lines into a page of blocks in reading order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocrtool.document.geometry import part_of, straight_boxes, straight_rules
from ocrtool.document.lines import DetectedLayout, ReadLine, ReadWord, Region
from ocrtool.document.patterns import ITEM_MARK
from ocrtool.document.tree import RUNNING, Block, Box, Line, Page, Word
from ocrtool.options import Order
from ocrtool.reading_order.rows import split_lines
from ocrtool.structure.blocks import blocks_of, rows_as_blocks

if TYPE_CHECKING:
    from ocrtool.document.hyphenation import Hyphens

__all__ = ["AssembleOptions", "ReadLine", "ReadWord", "assemble", "join_lines"]


@dataclass(frozen=True)
class AssembleOptions:
    """How lines become text.

    Attributes:
        hyphens: ``keep`` leaves words that are split at the ends of lines as they stand;
            ``join`` moves the rest of each up to its first line, where it was the printer who
            split it.
        known: Words of other pages of the document, as of
            `ocrtool.document.hyphenation.words_in`, that help
            to tell.
        order: ``page`` looks for columns, tables and the like; ``block`` takes all for rows of
            one column; ``sparse`` makes every line a paragraph; ``table`` takes all for one table.
    """

    hyphens: Hyphens = "keep"
    known: Collection[str] = ()
    order: Order = "page"


def assemble(
    number: int,
    size: tuple[int, int],
    layout: DetectedLayout,
    readings: Sequence[ReadLine],
    options: AssembleOptions | None = None,
) -> Page:
    """Put a page together from its lines.

    Args:
        number: Of the page, from 1.
        size: Width and height of its image in pixels.
        layout: Lines and regions, upright but for a little skew.
        readings: What each line of the layout says. Lines without text are left out.
        options: How lines become text.

    Returns:
        The page, its blocks in reading order. Every line that has text is in exactly one block.

    Raises:
        ValueError: There is not one reading a line.
    """
    options = options or AssembleOptions()
    if options.order == "table":
        whole = Region("table", Box(0, 0, *size), 1.0)
        layout, options = replace(layout, regions=(whole,)), replace(options, order="page")
    kept = [(found, said) for found, said in zip(layout.lines, readings, strict=True)
            if said.text.strip()]  # fmt: skip
    lines = [
        Line(
            said.text.strip(),
            said.confidence,
            found.quad,
            tuple(
                Word(word.text, word.confidence, part_of(found.quad, word.start, word.end))
                for word in said.words
            ),
            reader=said.reader,
        )
        for found, said in kept
    ]
    if options.order == "page":
        lines = split_lines(lines)
    quads = [line.quad for line in lines]
    seen: Sequence[Region] = layout.regions
    if options.order == "page" and any(region.kind == "formula" for region in seen):
        from ocrtool.structure.equations import with_formulas

        seen = with_formulas(seen, lines)
    places = [region.box for region in seen]
    boxes, areas = straight_boxes(quads, places)
    if options.order == "page":
        regions = [
            replace(region, box=Box(*area))
            for region, area in zip(seen, areas.tolist(), strict=True)
        ]
        rules = straight_rules(layout.rules, quads) if lines and layout.rules else []
        blocks = blocks_of(lines, boxes, regions, places, size, rules)
        if layout.rules:
            from ocrtool.tables.ruled import with_rules

            blocks = [with_rules(block, layout.rules) for block in blocks]
    else:
        blocks = rows_as_blocks(lines, boxes, apart=options.order == "sparse")
    if options.hyphens == "join":
        from ocrtool.document.hyphenation import words_in

        known = words_in(block.text for block in blocks) | set(options.known)
        blocks = [mended(block, known) for block in blocks]
    return Page(number, *size, tuple(blocks))


def join_lines(block: Block, known: Collection[str] = ()) -> str:
    r"""Return the text of a block as one line; of a list, one line an item.

    Words that were split at the ends of lines are put together where it was the printer who split
    them. The text of tables, code and the like is returned as it is.

    Args:
        block: A block of a page.
        known: Words of the document, as of `ocrtool.document.hyphenation.words_in`.
    """
    from ocrtool.document.hyphenation import mend, run_on

    if block.kind not in RUNNING:
        return block.text
    lines = block.text.split("\n")
    if block.kind != "list":
        return run_on(lines, known)
    items: list[str] = []
    for line in (line for line in mend(lines, known) if line.strip()):
        if not items or ITEM_MARK.match(line.strip()):
            items.append(line.rstrip())
        else:
            indent = items[-1][: len(items[-1]) - len(items[-1].lstrip())]
            items[-1] = indent + run_on((items[-1], line), known)
    return "\n".join(items)


def mended(block: Block, known: Collection[str]) -> Block:
    """Return a block with words that were split at the ends of lines put together."""
    from ocrtool.document.hyphenation import mend

    if block.kind not in RUNNING:
        return block
    rows = mend(block.text.split("\n"), known)
    return replace(block, text="\n".join(row for row in rows if row.strip()))
