"""The tree that every stage hands on: DocumentTree > Page > Block > Line > Word.

Geometry is in pixels of the page's image as it was given, origin top left, x to the right and y
down. Confidences are probabilities, 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal[
    "heading",
    "paragraph",
    "quote",
    "list",
    "table",
    "formula",
    "figure",
    "caption",
    "footnote",
    "header",
    "footer",
    "code",
]
MIN_CHAR_CONFIDENCE = 0.75
"""Minimum mean character confidence (geometric mean, 0 to 1) of a line that is not doubtful."""
RUNNING: frozenset[BlockKind] = frozenset(
    {"paragraph", "quote", "heading", "caption", "footnote", "list"}
)
"""Kinds of blocks whose lines run on."""

FURNITURE: frozenset[BlockKind] = frozenset({"header", "footer"})
"""Kinds of blocks that repeat on the pages of a document."""

Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
"""Corners in reading direction: where the first letter's head is, the last letter's head, the last
letter's foot, the first letter's foot. An upright line starts top left and runs clockwise."""


@dataclass(frozen=True)
class Box:
    """An upright rectangle; ``x1`` and ``y1`` are one past the last pixel."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def around(cls, parts: Iterable[Box | Quad]) -> Box:
        """Return the bounding box of at least one box or quad."""
        boxes = [part if isinstance(part, Box) else cls.of(part) for part in parts]
        return cls(
            min(box.x0 for box in boxes),
            min(box.y0 for box in boxes),
            max(box.x1 for box in boxes),
            max(box.y1 for box in boxes),
        )

    @classmethod
    def of(cls, quad: Quad) -> Box:
        """Return the bounding box of a quad."""
        xs, ys = zip(*quad, strict=True)
        return cls(min(xs), min(ys), max(xs), max(ys))

    @property
    def width(self) -> float:
        """Horizontal size in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Vertical size in pixels."""
        return self.y1 - self.y0

    @property
    def center_x(self) -> float:
        """Horizontal position of the centre."""
        return (self.x0 + self.x1) / 2

    @property
    def center_y(self) -> float:
        """Vertical position of the centre."""
        return (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Area in square pixels; 0 for an empty box."""
        return max(0.0, self.width) * max(0.0, self.height)

    def overlap_x(self, other: Box) -> float:
        """Return the width shared with another box; below 0, the gap between the two."""
        return min(self.x1, other.x1) - max(self.x0, other.x0)

    def overlap_y(self, other: Box) -> float:
        """Return the height shared with another box; below 0, the gap between the two."""
        return min(self.y1, other.y1) - max(self.y0, other.y0)

    def share_in(self, other: Box) -> float:
        """Return the share of the area, 0 to 1, inside another box; at least 1 px² is assumed."""
        shared = max(0.0, self.overlap_x(other)) * max(0.0, self.overlap_y(other))
        return shared / max(1.0, self.area)

    def is_near(self, other: Box, gap: float) -> bool:
        """Tell whether two boxes overlap or are less than ``gap`` pixels apart."""
        return (
            self.x0 < other.x1 + gap
            and other.x0 < self.x1 + gap
            and self.y0 < other.y1 + gap
            and other.y0 < self.y1 + gap
        )

    def contains(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Tell whether a point lies inside, or less than ``margin`` pixels outside."""
        return self.x0 - margin < x < self.x1 + margin and self.y0 - margin < y < self.y1 + margin

    def is_inside(self, other: Box, margin: float) -> bool:
        """Tell whether the box exceeds another by less than ``margin`` pixels on each side."""
        return (
            self.x0 > other.x0 - margin
            and self.x1 < other.x1 + margin
            and self.y0 > other.y0 - margin
            and self.y1 < other.y1 + margin
        )

    def expanded(self, margin: float) -> Box:
        """Return the box grown by ``margin`` pixels on each side."""
        return Box(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)

    def clipped(self, width: float, height: float) -> Box:
        """Return the part inside an image of this size."""
        return Box(max(0.0, self.x0), max(0.0, self.y0), min(width, self.x1), min(height, self.y1))

    def scaled(self, scale: float) -> Box:
        """Return the box with all coordinates multiplied by ``scale``."""
        return Box(self.x0 * scale, self.y0 * scale, self.x1 * scale, self.y1 * scale)

    def moved(self, x: float, y: float) -> Box:
        """Return the box shifted by ``x`` and ``y`` pixels."""
        return Box(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)


@dataclass(frozen=True)
class Word:
    """A word of a line.

    Attributes:
        text: Its characters, no white space.
        confidence: Probability that all of them are right.
        quad: Where it stands.
    """

    text: str
    confidence: float
    quad: Quad

    @property
    def box(self) -> Box:
        """Bounding box of the quad."""
        return Box.of(self.quad)


@dataclass(frozen=True)
class Span:
    """A part of a line that is set in a way of its own, or leads somewhere.

    Attributes:
        start: Its first character in the text of the line, from 0.
        end: One past its last.
        bold: In bold type.
        italic: In sloped type.
        mono: In type of one width.
        script: 1 where it is raised and small, -1 where it is lowered and small, else 0.
        link: Where it leads: a URL, or ``#page=N``; empty where nowhere.
        struck: Struck out by a rule.
    """

    start: int
    end: int
    bold: bool = False
    italic: bool = False
    mono: bool = False
    script: Literal[-1, 0, 1] = 0
    link: str = ""
    struck: bool = False


@dataclass(frozen=True)
class Line:
    """A line of text.

    Attributes:
        text: Its text, without white space at the ends.
        confidence: Probability that all of it is right.
        quad: Where it stands.
        words: Its words in reading order.
        size: Size of its type in pixels where the file tells it; else 0.
        spans: In order and apart from each other; what none covers is plain.
        reader: Name of the model that read it, where that is not the one that was asked first.
    """

    text: str
    confidence: float
    quad: Quad
    words: tuple[Word, ...] = ()
    size: float = 0.0
    spans: tuple[Span, ...] = ()
    reader: str = ""

    @property
    def box(self) -> Box:
        """Bounding box of the quad."""
        return Box.of(self.quad)

    @property
    def is_doubtful(self) -> bool:
        """Whether the mean character confidence (geometric mean) is below the minimum.

        Writers mark such lines; see :data:`MIN_CHAR_CONFIDENCE`.
        """
        letters = sum(len(word.text) for word in self.words)
        logs = sum(math.log(max(word.confidence, 1e-4)) for word in self.words)
        return letters > 0 and logs < letters * math.log(MIN_CHAR_CONFIDENCE)


@dataclass(frozen=True)
class Cell:
    """A cell of a table; rows and columns count from 0.

    Attributes:
        row: First row.
        column: First column.
        row_span: Rows it takes.
        column_span: Columns it takes.
        lines: Its lines, in reading order.
        header: Whether it names its column or row.
    """

    row: int
    column: int
    row_span: int = 1
    column_span: int = 1
    lines: tuple[Line, ...] = ()
    header: bool = False


@dataclass(frozen=True)
class Block:
    r"""A part of a page that is read in one go.

    Attributes:
        kind: What it is.
        box: Where it stands.
        lines: Its lines in reading order; of a table, all lines row by row.
        text: Its text as it reads: lines joined to paragraphs, rows and indentation kept where
            they carry meaning (tables, code, receipts); ``\n`` between rows.
        level: 1 for the highest heading; 0 where it is none.
        cells: Of a table.
        latex: Of a formula, where it has been read.
        image: Name of the file that a figure was cut out to, if any.
        continued: Whether it goes on with the last block of its kind before it, of the page before
            or of the same.
        rules: Of a table, the strokes that are drawn in and round it, as thin boxes.
    """

    kind: BlockKind
    box: Box
    lines: tuple[Line, ...] = ()
    text: str = ""
    level: int = 0
    cells: tuple[Cell, ...] = ()
    latex: str = ""
    image: str = ""
    continued: bool = False
    rules: tuple[Box, ...] = ()


@dataclass(frozen=True)
class FormField:
    """A field of a form.

    Attributes:
        name: What the file calls it.
        kind: ``text``, ``check box``, ``radio button`` or ``choice``.
        value: What it holds; of a check box or radio button empty unless it is chosen.
        box: Where it stands.
        shown: Whether the page shows it.
    """

    name: str
    kind: str
    value: str
    box: Box
    shown: bool = True


@dataclass(frozen=True)
class Page:
    """A page or picture.

    Attributes:
        number: From 1.
        width: Pixels of its image.
        height: Pixels of its image.
        blocks: In reading order.
        turned: Degrees, counter-clockwise, by which the image had to be turned to read upright:
            0, 90, 180 or 270; boxes are those of the image as given.
        dpi: Pixels an inch, where it is known; else 0.
        error: Why it could not be read; such a page has no blocks.
        warning: What is doubtful about the whole of it, such as a model that went round in circles.
        unread_lines: Number of places that look like lines of text to the detector, but not to the
            reader; they are left out as noise.
        fields: Of forms, in the order of the file.
    """

    number: int
    width: int
    height: int
    blocks: tuple[Block, ...] = ()
    turned: int = 0
    dpi: float = 0.0
    error: str = ""
    warning: str = ""
    unread_lines: int = 0
    fields: tuple[FormField, ...] = ()

    @property
    def doubtful_lines(self) -> int:
        """Number of lines that were read with low confidence."""
        return sum(line.is_doubtful for block in self.blocks for line in block.lines)

    @property
    def text(self) -> str:
        """The text of its blocks, a blank line between them."""
        return "\n\n".join(block.text for block in self.blocks if block.text)

    @property
    def confidence(self) -> float:
        """Mean confidence of its words; 1 where there are none."""
        marks = [word.confidence for block in self.blocks for line in block.lines
                 for word in line.words]  # fmt: skip
        return sum(marks) / len(marks) if marks else 1.0


@dataclass(frozen=True)
class Bookmark:
    """An entry of a document's own table of contents.

    Attributes:
        level: From 1, the outermost.
        title: What it is called.
        page: Where it leads, from 1; 0 where nowhere.
    """

    level: int
    title: str
    page: int


@dataclass(frozen=True)
class DocumentTree:
    """What was read from one input.

    Attributes:
        source: Name of the input: a path, or ``-``.
        pages: Its pages, in order.
        metadata: Title, author and the like, where they are known.
    """

    source: str
    pages: tuple[Page, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
