"""One self-contained page: the picture with its words coloured by confidence, beside the text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from importlib.resources import files

from PIL import Image

from ocrtool.document.geometry import words_of
from ocrtool.document.tree import Block, Cell, Line, Word
from ocrtool.inputs.page_source import PageSource
from ocrtool.options import WriteOptions
from ocrtool.writers.flow_writer import IMAGE_TYPES, data_url
from ocrtool.writers.formats import PageInput
from ocrtool.writers.markup import escape, number
from ocrtool.writers.tables import html_table
from ocrtool.writers.text import TextForm

JPEG_QUALITY = 85
"""Of pictures that are no such file."""
UNSURE = 0.5
"""Confidence that has the colour of the least."""


def _head(sheet: PageInput) -> str:
    style = files("ocrtool.writers").joinpath("html.css").read_text("utf-8")
    title = escape(sheet.metadata.get("title", sheet.source))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
    )


def _foot() -> str:
    script = files("ocrtool.writers").joinpath("html.js").read_text("utf-8")
    return f"<script>\n{script}</script>\n</body>\n</html>\n"


def html_page(sheet: PageInput, count: int, options: WriteOptions) -> str:
    """Return a section: the picture on one side, what was read on the other."""
    page = sheet.page
    image = f'<img alt="" src="{_data_url(sheet.picture)}">' if sheet.picture else ""
    return (
        f"<section>\n<header>{escape(sheet.source)} · page {page.number}"
        f" · words sure to {100 * page.confidence:.0f} %</header>\n"
        f'<figure>{image}<svg viewBox="0 0 {page.width} {page.height}">\n'
        + "".join(_polygons(page.blocks, count))
        + "</svg></figure>\n<article>\n"
        + "".join(_texts(page.blocks, count, options.min_confidence))
        + "</article>\n</section>\n"
    )


def _data_url(picture: PageSource) -> str:
    content = picture.file or b""
    if not content.startswith(tuple(IMAGE_TYPES)):
        buffer = io.BytesIO()
        Image.fromarray(picture.pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
        content = buffer.getvalue()
    return data_url(content)


def _polygons(blocks: Sequence[Block], count: int) -> Iterator[str]:
    for i, block in enumerate(blocks):
        box = block.box
        yield (
            f'<rect x="{number(box.x0)}" y="{number(box.y0)}"'
            f' width="{number(box.width)}" height="{number(box.height)}"/>\n'
        )
        for j, line in enumerate(block.lines):
            for k, word in enumerate(words_of(line)):
                points = " ".join(f"{number(x)},{number(y)}" for x, y in word.quad)
                yield (
                    f'<polygon data-w="{count}-{i}-{j}-{k}" style="--h:{hue(word)}"'
                    f' points="{points}"><title>{escape(word.text)}'
                    f" {100 * word.confidence:.0f} %</title></polygon>\n"
                )


def hue(word: Word) -> int:
    """Return the angle on the colour circle: red at :data:`UNSURE` and below, green at 1."""
    return round(120 * min(1.0, max(0.0, (word.confidence - UNSURE) / (1 - UNSURE))))


def _texts(blocks: Sequence[Block], count: int, min_confidence: float) -> Iterator[str]:
    """Give each block with its lines as they stand; a table with cells as a table."""
    for i, block in enumerate(blocks):
        lines = [
            f'<div class="line">{_spans(line, f"{count}-{i}-{j}", min_confidence)}</div>\n'
            for j, line in enumerate(block.lines)
        ]
        if block.cells:
            body = _table(block, lines)
        elif block.latex and not lines:
            body = f"<code>{escape(block.latex)}</code>\n"
        else:
            body = "".join(lines)
        yield f'<div class="block {block.kind}" title="{block.kind}">\n{body}</div>\n'


def _spans(line: Line, name: str, min_confidence: float) -> str:
    spans = []
    for k, word in enumerate(words_of(line)):
        uncertain = word.confidence < min_confidence or line.is_doubtful
        doubt = ' class="doubtful"' if uncertain else ""
        spans.append(
            f'<span data-w="{name}-{k}" style="--h:{hue(word)}"{doubt}>{escape(word.text)}</span>'
        )
    return " ".join(spans)


def _table(block: Block, lines: Sequence[str]) -> str:
    """Put the lines that cells share with their block into cells; others follow the table."""
    left = dict(enumerate(zip(block.lines, lines, strict=True)))

    def inside(cell: Cell) -> str:
        found = ""
        for line in cell.lines:
            place = next((j for j, (own, _) in left.items() if own == line), None)
            found += left.pop(place)[1] if place is not None else ""
        return found

    table = html_table(block.cells, inside)
    return f"{table}\n" + "".join(text for _, text in left.values())


HTML = TextForm(html_page, _head, foot=_foot())
