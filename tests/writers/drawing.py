"""Drawing small pages with the fonts that the package ships, and writing them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import ocrtool
from ocrtool.document.tree import Block, Box, Cell, Line, Page, Quad, Word
from ocrtool.writers import PageInput, WriteOptions, formats, open_writer, page_format

FONTS = Path(ocrtool.__file__).parent / "synth" / "fonts"
WIDTH, HEIGHT, DPI = 900, 1000, 150.0


class Drawing:
    """Draws lines and notes where their words stand."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH, HEIGHT), "white")

    def line(
        self,
        text: str,
        x: float,
        y: float,
        size: int = 26,
        font: str = "Serif.ttf",
        confidences: tuple[float, ...] = (),
        turned: float = 0.0,
    ) -> Line:
        """Draw one line; ``turned`` degrees counter-clockwise round its start."""
        face = ImageFont.truetype(FONTS / font, size)
        left, top, right, bottom = face.getbbox(text)
        ink = Image.new("L", (2 * WIDTH, HEIGHT), 0)
        ImageDraw.Draw(ink).text((x - left, y - top), text, 255, face)
        if turned:
            ink = ink.rotate(turned, Image.Resampling.BICUBIC, center=(x, y))
        ink = ink.crop((0, 0, WIDTH, HEIGHT))
        self.image.paste("black", (0, 0), ink)

        def quad(start: float, end: float) -> Quad:
            angle = -math.radians(turned)
            foot = bottom - top
            corners = ((start, 0.0), (end, 0.0), (end, foot), (start, foot))
            a, b, c, d = (
                (
                    x + u * math.cos(angle) - v * math.sin(angle),
                    y + u * math.sin(angle) + v * math.cos(angle),
                )
                for u, v in corners
            )
            return a, b, c, d

        words, position = [], 0
        for i, part in enumerate(text.split()):
            position = text.index(part, position)
            start = face.getlength(text[:position])
            position += len(part)
            end = face.getlength(text[:position])
            confidence = confidences[i] if i < len(confidences) else 0.99
            words.append(Word(part, confidence, quad(start, end)))
        least = math.prod(word.confidence for word in words)
        return Line(text, least, quad(0, right - left), tuple(words))


def block(kind: str, *lines: Line, text: str | None = None, **more: object) -> Block:
    xs = [x for line in lines for x, _ in line.quad]
    ys = [y for line in lines for _, y in line.quad]
    text = " ".join(line.text for line in lines) if text is None else text
    return Block(kind, Box(min(xs), min(ys), max(xs), max(ys)), lines, text, **more)  # type: ignore[arg-type]


def draw_page() -> tuple[Page, np.ndarray]:
    """A page of every kind of block, and the document that it shows."""
    draw = Drawing()
    heading = draw.line("Größe & Maß", 60, 50, 44, "Sans-Bold.ttf")
    first = draw.line("Zażółć gęślą jaźń, read it as one exam-", 60, 140, confidences=(0.97, 0.4))
    second = draw.line("ple of <many> that costs 5 €.", 60, 176, confidences=(0.9,))
    items = [draw.line("• one *star*", 80, 240), draw.line("• two", 80, 276)]
    cells = [
        [draw.line(text, 60 + 200 * i, 340 + 36 * j) for i, text in enumerate(row)]
        for j, row in enumerate([("Item", "Price"), ("Pear", "1.20"), ("Fig", "0.35")])
    ]
    code = [
        draw.line("if x:", 60, 480, 22, "Mono.ttf"),
        draw.line("return `y`", 112, 510, 22, "Mono.ttf", confidences=(0.99, 0.3)),
    ]
    tilted = draw.line("Tilted words here", 80, 760, turned=15.0)
    upright = draw.line("Upwards", 800, 700, turned=90.0)
    ImageDraw.Draw(draw.image).ellipse((500, 580, 700, 700), fill="orange", outline="black")
    folio = draw.line("· 7 ·", 420, 940, 22)
    table = block(
        "table",
        *(line for row in cells for line in row),
        text="Item    Price\nPear    1.20\nFig     0.35",
        cells=tuple(
            Cell(j, i, lines=(line,), header=j == 0)
            for j, row in enumerate(cells)
            for i, line in enumerate(row)
        ),
    )
    blocks = (
        block("heading", heading, level=1),
        block(
            "paragraph",
            first,
            second,
            text="Zażółć gęślą jaźń, read it as one example of <many> that costs 5 €.",
        ),
        block("list", *items, text="• one *star*\n• two"),
        table,
        block("code", *code, text="if x:\n    return `y`"),
        Block("figure", Box(500, 580, 701, 701)),
        Block("formula", Box(300, 580, 400, 620), latex=r"\frac{a}{b}"),
        block("caption", tilted),
        block("paragraph", upright),
        block("footer", folio),
    )
    return Page(1, WIDTH, HEIGHT, blocks, dpi=DPI), np.asarray(draw.image)


def written(form: str, *sheets: PageInput, **options: Any) -> str:
    """What a format of text makes of some sheets, all that is on them wanted."""
    parts: list[str] = []
    wanted = WriteOptions(**{"keep_furniture": True, "page_breaks": True, **options})
    writer = open_writer(page_format(form), parts.append, wanted)
    for one in sheets:
        writer.add(one)
    writer.finish()
    return "".join(parts)


def written_pdf(*sheets: PageInput) -> bytes:
    parts: list[bytes] = []
    writer = open_writer(formats.PDF, parts.append)
    for one in sheets:
        writer.add(one)
    writer.finish()
    return b"".join(parts)


def all_words(page: Page) -> list[Word]:
    return [word for part in page.blocks for line in part.lines for word in line.words]
