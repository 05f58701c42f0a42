"""Page composition: a canvas with the main typeface, and helpers shared by all documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrtool.rendering.tex import MARGIN
from ocrtool.synth.canvas import Canvas, Rect, open_face
from ocrtool.synth.pictures import Mark
from ocrtool.synth.typefaces import Type, TypeLibrary, marked_up

Random = np.random.Generator

SHEETS = ((595, 842), (612, 792), (420, 595), (360, 576), (432, 648), (480, 700), (500, 709))
"""Widths and heights of paper in points."""

TEX_SIZE = 10.0
"""Type size of most typeset formulas in points."""


class PageComposer:
    """A canvas with its main typeface, and the helpers for composing a page."""

    def __init__(
        self, rng: Random, press: TypeLibrary, canvas: Canvas, kind: Type, size: float
    ) -> None:
        self.rng, self.press, self.canvas, self.type, self.size = rng, press, canvas, kind, size
        self.level = 0.0 if rng.random() < 0.85 else float(rng.uniform(0, 90))
        self.soft = bool(rng.random() < 0.6)

    def one(self, items: Sequence[str]) -> str:
        """Return a random item."""
        return items[int(self.rng.integers(len(items)))]

    def yes(self, share: float) -> bool:
        """Return True with the given probability."""
        return bool(self.rng.random() < share)

    def uniform(self, low: float, high: float) -> float:
        """Return a uniform random number."""
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """Return a random integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def fit(self, text: str, width: float, size: float | None = None, bold: bool = False) -> str:
        """Return the first words that fit into ``width`` points; at least some letters."""
        face = open_face(self.path(bold))
        size = size or self.size
        while text and face.width(text, size) > width:
            text = text.rpartition(" ")[0] if " " in text else text[:-1]
        return text.rstrip()

    def path(self, bold: bool = False, italic: bool = False) -> str:
        """Return a font file of the family."""
        family = self.type.family
        return family.bold if bold else family.italic if italic else family.regular

    def label(
        self,
        x: float,
        y: float,
        text: str,
        size: float | None = None,
        *,
        bold: bool = False,
        italic: bool = False,
        anchor: str = "left",
        level: float | None = None,
        spacing: float = 0.0,
        block: int | None = None,
        quarter: int = 0,
        silent: bool = False,
    ) -> float:
        """Set a line in the document's typeface; see ``Canvas.label``."""
        return self.canvas.label(
            x, y, self.type.clean(text), self.path(bold, italic), size or self.size,
            anchor=anchor, level=self.level if level is None else level, spacing=spacing,
            block=block, quarter=quarter, silent=silent,
        )  # fmt: skip

    def rule(self, x0: float, y0: float, x1: float, y1: float, width: float = 0.5) -> None:
        """Draw a rule that separates parts of the page, and record it as a region."""
        self.line(x0, y0, x1, y1, width)
        reach = max(0.8, width / 2)
        self.canvas.region("rule", (x0 - reach, y0 - reach, x1 + reach, y1 + reach))

    def line(self, x0: float, y0: float, x1: float, y1: float, width: float = 0.5) -> None:
        """Draw a line without recording it."""
        self.canvas.marks.append(Mark("line", ((x0, y0), (x1, y1)), self.level, width))

    def box(self, box: Rect, level: float, width: float = 0.0) -> None:
        """Draw a filled panel or a frame."""
        x0, y0, x1, y1 = box
        kind = "frame" if width else "panel"
        points = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        self.canvas.marks.append(Mark(kind, points, level, width))  # type: ignore[arg-type]

    def picture(self, box: Rect, style: str, *, region: bool = True) -> None:
        """Place a picture on the page."""
        seed = int(self.rng.integers(1 << 31))
        points = ((box[0], box[1]), (box[2], box[3]))
        self.canvas.marks.append(Mark("picture", points, style=style, seed=seed))
        if region:
            self.canvas.region("figure", box)

    def figure(self, box: Rect) -> None:
        """Place a picture of any style; charts get axis labels."""
        style = self.one(["photo", "halftone", "stark", "drawing", "drawing", "chart", "chart"])
        self.picture(box, style)
        if self.yes(0.15):
            self.box(box, self.level, 0.6)
        if style in ("chart", "drawing") and self.yes(0.75):
            x0, y0, x1, y1 = box
            size = self.size * self.uniform(0.55, 0.85)
            words = style == "drawing" or self.yes(0.3)
            group = self.canvas.new_block()
            count = self.count(2, 6)
            for i in range(count):
                text = self.press.words(self.rng, self.type, 1, 2) if words else f"{(i + 1) * 10}"
                if style == "chart":
                    step = (x1 - x0) * 0.9 / count
                    x, y = x0 + (x1 - x0) * 0.1 + (i + 0.5) * step, y1 + size
                    text = self.fit(text, step - size, size)
                    self.label(x, y, text, size, anchor="middle", block=group)
                else:
                    step = (y1 - y0) / (count + 1)
                    text = self.fit(text, (x1 - x0) * 0.4, size)
                    x = self.uniform(x0, x1 - 0.4 * (x1 - x0))
                    y = y0 + (i + 1) * step
                    box_width = open_face(self.path()).width(text, size)
                    panel = (x - 2, y - size * 0.9, x + box_width + 2, y + size * 0.3)
                    self.box(panel, 255.0)
                    if step > 1.4 * size:
                        self.label(x, y, text, size, block=group)

    def prose(self, low: int, high: int) -> str:
        """Return running text."""
        return self.press.prose(self.rng, self.type, low, high)

    def words(self, low: int, high: int) -> str:
        """Return a few words."""
        return self.press.words(self.rng, self.type, low, high)

    def heading(self, low: int = 1, high: int = 6) -> str:
        """Return the words of a heading."""
        text = self.words(low, high)
        kind = self.rng.random()
        if kind < 0.3 and len(text.upper()) == len(text):
            return self.type.clean(text.upper())
        return text.title() if kind < 0.5 else text[:1].upper() + text[1:]

    def paragraphs(self, characters: int, longest: int = 900, first: int = 0) -> str:
        """Return HTML paragraphs of about so many characters, some as lists or headings."""
        parts: list[str] = []
        number = first
        while characters > 0:
            number += 1
            kind = self.rng.random()
            if kind < 0.06 and number > first + 1:
                level = self.one(["h2", "h3"])
                parts.append(f'<{level} id="b{number}">{marked_up(self.rng, self.heading())}'
                             f"</{level}>")  # fmt: skip
                characters -= 80
            elif kind < 0.10:
                items = [self.prose(10, 140) for _ in range(self.count(2, 5))]
                tag = self.one(["ul", "ol"])
                inner = "".join(
                    f'<li id="b{number}i{i}">{marked_up(self.rng, item)}</li>'
                    for i, item in enumerate(items)
                )
                parts.append(f"<{tag}>{inner}</{tag}>")
                characters -= sum(map(len, items))
            else:
                length = self.count(60, min(longest, max(120, characters)))
                text = self.prose(length // 2, length)
                characters -= len(text)
                markup = marked_up(self.rng, text, soft=self.soft)
                parts.append(f'<p id="b{number}">{markup}</p>')
        return "".join(parts)

    def css(self, align: str | None = None, leading: float | None = None) -> str:
        """Return a style sheet for running text in the document's size."""
        leading = leading or self.uniform(1.02, 1.5)
        indent, gap = (self.uniform(0.8, 2.4), 0.0) if self.yes(0.6) else (0.0, 0.6)
        align = align or ("justify" if self.yes(0.7) else "left")
        grey = f"{round(self.level):02x}" * 3
        return (
            f"body{{font-size:{self.size:.2f}px;line-height:{leading:.2f};color:#{grey};"
            f"text-align:{align}}} p{{text-indent:{indent:.1f}em;margin-bottom:{gap:.1f}em}}"
            f"h2,h3{{text-align:{self.one(['left', 'center'])};margin:0.7em 0 0.4em 0}}"
            f"h2{{font-size:{self.uniform(1.1, 1.5):.2f}em}} h3{{font-size:1em}}"
            "ul,ol{margin:0.3em 0}"
        )

    def flow(self, html: str, boxes: Sequence[Rect], css: str) -> tuple[float, bool]:
        """Pour HTML through boxes; see ``Canvas.flow``."""
        return self.canvas.flow(html, boxes, self.type.family, css)

    def display(self, x0: float, x1: float, y: float, number: str, bottom: float) -> float | None:
        """Place a typeset display formula in a column, its top at y, and record it as a region.

        Args:
            x0: Left edge of the column.
            x1: Right edge of the column.
            y: Top of the formula.
            number: Equation number at the right edge; may be empty.
            bottom: End of the column.

        Returns:
            The bottom; None where no formula is small enough.
        """
        scale = self.size / TEX_SIZE * self.uniform(0.95, 1.1)
        room = x1 - x0 - (6 * self.size if number else 0)
        formula = self.press.displays.choose(self.rng, room / scale)
        if formula is None or y + scale * formula.height > bottom:
            return None
        wide, high = scale * formula.width, scale * formula.height
        left = (x0 + x1 - wide) / 2 if self.yes(0.85) else x0 + min(3 * self.size, room - wide)
        self.canvas.place(formula.drawing, left - scale * MARGIN, y - scale * MARGIN, scale)
        self.canvas.region("formula", (left, y, left + wide, y + high))
        if number:
            self.label(x1, y + high / 2 + 0.3 * self.size, number, anchor="right")
        return y + high

    def formula(self, x: float, y: float, size: float, terms: int) -> Rect:
        """Draw a formula with its baseline at y, record it as a region and return its box."""
        start, high, low = x, y - 0.8 * size, y + 0.25 * size

        def put(text: str, scale: float = 1.0, rise: float = 0.0, italic: bool = True) -> None:
            nonlocal x
            x = self.label(x, y - rise, text, size * scale, italic=italic, silent=True)

        for i in range(terms):
            kind = self.rng.random()
            if i:
                put(f" {self.one(['+', '-', '=', '=', '<'])} ", italic=False)
            if kind < 0.3:  # a fraction
                above, below = (self.one("abcdxyzkmnpt") + self.one(["", "2", "+1", "-b"])
                                for _ in range(2))  # fmt: skip
                face = open_face(self.path(italic=True))
                width = max(face.width(above, size), face.width(below, size)) + 0.2 * size
                axis = y - 0.28 * size
                for text, dy in ((above, -0.25), (below, 0.95)):
                    self.label(x + width / 2, axis + dy * size, text, size, italic=True,
                               anchor="middle", silent=True)  # fmt: skip
                self.line(x, axis, x + width, axis, max(0.4, 0.04 * size))
                x += width + 0.1 * size
                high, low = min(high, y - 1.35 * size), max(low, y + 0.95 * size)
            elif kind < 0.5:
                put(
                    self.one("∑∫∏√") if {*"∑∫∏√"} <= self.type.characters else "S", 1.5, -0.2 * size
                )
                put(self.one("abcxyzn"))
                high, low = min(high, y - 1.3 * size), max(low, y + 0.6 * size)
            else:
                if self.yes(0.3):
                    put("(", italic=False)
                put(self.one("abcdefgxyzuvwmnt"))
                if self.yes(0.5):
                    put(self.one(["1", "2", "i", "n", "k+1"]), 0.7, -0.25 * size)
                if self.yes(0.4):
                    put(self.one(["2", "n", "-1", "T"]), 0.7, 0.35 * size)
                if self.yes(0.3):
                    put(")", italic=False)
        box = (start, high, x, low)
        self.canvas.region("formula", box)
        return box


def new_composer(
    rng: Random, press: TypeLibrary, sheet: tuple[float, float] | None = None, pool: str = "plain",
    size: tuple[float, float] = (8.5, 12.5),
) -> PageComposer:  # fmt: skip
    """Return a canvas of a random paper size with a random typeface of the pool."""
    width, height = sheet or SHEETS[int(rng.integers(len(SHEETS)))]
    kind = press.type(rng, pool)
    while kind.caps:
        kind = press.type(rng, "plain") if rng.random() < 0.9 else press.bundled()
    return PageComposer(rng, press, Canvas(width, height), kind, float(rng.uniform(*size)))
