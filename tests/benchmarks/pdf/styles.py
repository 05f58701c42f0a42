"""How a document is set: everything a designer would choose, drawn by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocrtool.synth.canvas import Family
from ocrtool.synth.typefaces import TypeLibrary

Random = np.random.Generator

RULED = ("grid", "booktabs", "rows", "shaded")
LOOKS = (*RULED, "bare")
"""Ways to rule a table: all cells, three rules, one under each row, bands of grey, not at all."""

_ACCENTS = ("#000000", "#000000", "#1f3a5f", "#8a1c1c", "#2b5d34", "#444444", "#0a6ebd")
_TEX_FONTS = ("lmodern", "lmodern", "mathptmx", "mathpazo", "charter", "newcent", "helvet", "")


@dataclass(frozen=True)
class Style:
    """A style; lengths are points.

    Attributes:
        renderer: Name of the program that sets it.
        page: Width and height.
        margins: Left and right, top and bottom.
        columns: 1 or 2.
        family: Font files.
        mono: Font file for code.
        tex_font: Package that TeX takes its type from; none gives bitmaps without characters.
        size: Of the text.
        leading: Distance of lines in sizes.
        justified: Whether lines are filled.
        hyphenated: Whether words are split.
        indented: Whether paragraphs begin with an indent instead of a space above.
        ratio: Sizes of a heading over the next lower one's.
        headings: ``plain``, ``rule``, ``colour`` or ``centred``.
        numbered: Whether headings are.
        accent: Colour of headings and boxes.
        head: What stands at the head of each page: ``""``, ``title`` or ``sides``.
        foot: At its foot: ``""``, ``number``, ``of`` or ``firm``.
        look: How tables are ruled.
        links: ``blue``, ``underlined`` or ``plain``.
        boxed: Whether block quotes stand in coloured boxes.
        slides: Whether each section has a page of its own.
    """

    renderer: str
    page: tuple[float, float]
    margins: tuple[float, float]
    columns: int
    family: Family
    mono: str
    tex_font: str
    size: float
    leading: float
    justified: bool
    hyphenated: bool
    indented: bool
    ratio: float
    headings: str
    numbered: bool
    accent: str
    head: str
    foot: str
    look: str
    links: str
    boxed: bool
    slides: bool = False


def draw_style(
    rng: Random, press: TypeLibrary, renderer: str, *, slides: bool, columns: int
) -> Style:
    """Choose a style.

    Args:
        rng: Of every choice.
        press: The fonts.
        renderer: What will set it.
        slides: Whether it is for a screen.
        columns: 1 or 2; 0 leaves it to chance.
    """

    def one(*choices: str) -> str:
        return choices[int(rng.integers(len(choices)))]

    page = ((595.0, 842.0), (612.0, 792.0), (595.0, 842.0), (440.0, 640.0))[int(rng.integers(4))]
    columns = columns or int(rng.choice([1, 1, 2]))
    size = float(rng.uniform(9, 12.5))
    if columns == 2:
        page, size = (page if page[0] > 500 else (595.0, 842.0)), float(rng.uniform(8.5, 10))
    if slides:
        page, size, columns = (960.0, 540.0), float(rng.uniform(18, 24)), 1
    margin = float(rng.uniform(40, 80)), float(rng.uniform(54, 80))
    return Style(
        renderer=renderer,
        page=page,
        margins=margin,
        columns=columns,
        family=press.type(rng).family,
        mono=press.type(rng, "mono").family.regular,
        tex_font=one(*_TEX_FONTS),
        size=round(size * 2) / 2,
        leading=float(rng.uniform(1.15, 1.5)),
        justified=not slides and bool(rng.random() < 0.6),
        hyphenated=not slides and bool(rng.random() < (0.9 if columns == 2 else 0.5)),
        indented=not slides and bool(rng.random() < 0.35),
        ratio=float(rng.uniform(1.15, 1.4)),
        headings=one("plain", "plain", "rule", "colour", "centred"),
        numbered=not slides and bool(rng.random() < 0.4),
        accent=one(*_ACCENTS),
        head=one("", "title", "title", "sides"),
        foot=one("", "number", "number", "of", "firm"),
        look=str(rng.choice(LOOKS, p=[0.22, 0.18, 0.12, 0.14, 0.34])),
        links=one("blue", "underlined", "plain"),
        boxed=bool(rng.random() < 0.5),
        slides=slides,
    )
