"""Blocks of a PDF page with a text layer: its lines, ruling lines and pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.geometry import Boxes, centers, hull, points_inside
from ocrtool.document.hyphenation import words_in
from ocrtool.document.lines import Region
from ocrtool.document.patterns import CAPTION, LONE_MARK, PRIVATE_USE_BULLET
from ocrtool.document.tree import Block, Box, Cell, Line, Page
from ocrtool.reading_order.rows import cut, joined, style
from ocrtool.reading_order.xy_cut import line_height
from ocrtool.structure import AssembleOptions, mended
from ocrtool.structure.blocks import Whole, native_blocks, rows_as_blocks
from ocrtool.structure.equations import EQUATION, LONG_WORD
from ocrtool.tables.ruled import ruled_tables, with_rules

if TYPE_CHECKING:
    from ocrtool.pdf.native import NativePage

ABOVE, BELOW = 0.72, 0.2
"""Extent of a line's box above and below its baseline, in type sizes."""
BACKGROUND = 0.6
"""Minimum area of a background picture, as a share of the page area."""
DROPPED = 1.8
"""Minimum size of a drop capital, as a multiple of the type size of its paragraph."""
SMALL_BULLET = "◦"
"""What a letter "o" that is a bullet stands for."""
DOTS = re.compile(r"\s*(?:[.\u00b7\u2026_]\s*){4,}")
"""Dot leaders and fill-in lines, which are no text."""
MATHS = re.compile(r"[\d=+\u2212\u00b1\u00d7\u22c5/<>\u2264\u2265\u2200-\u22ff^(){}\[\]|]")
"""Characters of formulas."""


def assemble_native(
    number: int,
    native: NativePage,
    options: AssembleOptions | None = None,
    extra: Sequence[Line] = (),
    regions: Sequence[Region] = (),
) -> Page:
    """Put a page together from its own content.

    Args:
        number: Of the page, from 1.
        native: Its lines, rules, pictures.
        options: How lines become text.
        extra: Lines that were read from its pictures, in the same pixels.
        regions: What else was found there.

    Returns:
        The page, its blocks in reading order. Every word is in exactly one block; tables cut
        lines at their columns, pieces of a row become one line, and lines of dots are left out.
    """
    options = options or AssembleOptions()
    lines = [_clean(line) for line in (*native.lines, *extra)
             if line.text.strip() and not DOTS.fullmatch(line.text)]  # fmt: skip
    size = (native.width, native.height)
    boxes = native_boxes(lines)
    if options.order != "page":
        blocks = rows_as_blocks(lines, boxes, apart=options.order == "sparse")
        blocks += _apart(native)
        return Page(number, *size, tuple(blocks), dpi=native.dpi, fields=native.fields)
    wholes: list[Whole] = []
    if lines:
        lines, boxes = _gathered(lines, boxes)
    height = line_height(boxes) if lines else 10.0
    taken = np.zeros(len(lines), np.bool_)
    tables, charts = (
        ruled_tables(lines, boxes, native.rules, native.fills, height, size) if lines else ([], [])
    )
    for table in tables:
        if any(table.box.share_in(box) > 0.7 for box in native.drawings) and _is_sparse(
            table.cells
        ):
            continue  # boxes of a diagram
        wholes.append(Whole("table", table.box, table.lines, table.cells))
        taken[list(table.lines)] = True
    own = len(wholes)
    for box in (*native.formulas, *_seeds(lines, boxes, taken, height)):
        inside = _formula(box, lines, boxes, taken, height)
        if inside:
            box = Box.around((box, hull(boxes[inside])))
            wholes.append(Whole("formula", box, tuple(inside)))
            taken[inside] = True
    pictures = _Pictures(lines, boxes, height, size)
    given = [region.box for region in regions if region.kind == "figure"]
    for box in pictures.joined(native.pictures, given, native.drawings, charts):
        if any(box.share_in(whole.box) > 0.5 for whole in wholes[:own]):
            continue
        labels = pictures.labels(box, taken)
        if labels is not None:
            wholes.append(Whole("figure", box, tuple(labels)))
            taken[labels] = True
    for region in regions:
        if region.kind == "table" and not any(region.box.share_in(w.box) > 0.3 for w in wholes):
            inside = _inside(region.box, boxes, taken)
            if len(inside) > 1:
                wholes.append(Whole("table", region.box, tuple(inside)))
                taken[inside] = True
    dividers = [
        Region("rule", Box(rule.x0 - 1, rule.y0, rule.x1 + 1, rule.y1), 1.0)
        for rule in native.rules
        if rule.y1 - rule.y0 > 4 * height
    ]
    blocks = native_blocks(lines, boxes, wholes, dividers, size)
    blocks = [with_rules(block, native.rules) for block in blocks]
    if options.hyphens == "join":
        known = words_in(block.text for block in blocks) | set(options.known)
        blocks = [mended(block, known) for block in blocks]
    blocks += _apart(native)
    return Page(number, *size, tuple(blocks), dpi=native.dpi, fields=native.fields)


def _apart(native: NativePage) -> list[Block]:
    """Return the notes and watermarks of a page, which are no part of its text."""
    notes = [Block("footnote", line.box, (line,), line.text) for line in native.notes]
    marks = [Block("footer", line.box, (line,), line.text) for line in native.watermarks]
    return notes + marks


def native_boxes(lines: Sequence[Line]) -> Boxes:
    """Return the boxes of lines, as high as their type: not as the room that fonts ask for.

    Args:
        lines: In pixels.

    Returns:
        (N, 4) x0, y0, x1, y1.
    """
    corners = np.array([line.quad for line in lines], np.float64).reshape(-1, 4, 2)
    low, high = corners.min(axis=1), corners.max(axis=1)
    boxes = np.concatenate((low, np.maximum(high, low + 1)), axis=1)
    sizes = np.array([line.size for line in lines])
    along = corners[:, 1] - corners[:, 0]
    level = np.abs(along[:, 0]) >= np.abs(along[:, 1])
    wanted = (ABOVE + BELOW) * sizes
    tall = level & (sizes > 0) & (boxes[:, 3] - boxes[:, 1] > wanted)
    spare = (boxes[:, 3] - boxes[:, 1] - wanted)[tall]
    boxes[tall, 1] += 0.5 * spare
    boxes[tall, 3] -= 0.5 * spare
    return boxes.astype(np.float32)


def _clean(line: Line) -> Line:
    """Name the bullets of symbol fonts, and leave out dots that lead on to another piece."""
    text = line.text.strip()
    dots = next((k for k in range(len(line.words))
                 if DOTS.fullmatch(" ".join(word.text for word in line.words[k:]))), 0)  # fmt: skip
    if dots and text[-1] in ".\u00b7\u2026_":
        return _clean(cut(line, 0, dots))
    if PRIVATE_USE_BULLET.match(text):
        return _with_first(replace(line, text=text), "•")
    if text[:2] == "o " and _is_mono_sign(line):
        return _with_first(replace(line, text=text), SMALL_BULLET)
    return replace(line, text=text) if text != line.text else line


def _with_first(line: Line, sign: str) -> Line:
    """Return a line with another first character."""
    words = line.words
    if words:
        words = (replace(words[0], text=sign + words[0].text[1:]), *words[1:])
    spans = tuple(span for span in line.spans if span.end > 1)
    return replace(line, text=sign + line.text[1:], words=words, spans=spans)


def _is_mono_sign(line: Line) -> bool:
    """Tell whether the first character alone is set in type of one width, as of bullets "o"."""
    return any(span.mono and span.start == 0 and span.end <= 2 for span in line.spans)


def _gathered(lines: list[Line], boxes: Boxes) -> tuple[list[Line], Boxes]:
    """Join bullets, numbers and drop capitals to the lines that they begin."""
    height = line_height(boxes)
    drop = {i for i, line in enumerate(lines) if _is_dropped(line, boxes[i], height)}
    signs = [i for i, line in enumerate(lines) if LONE_MARK.fullmatch(line.text) or i in drop]
    gone: set[int] = set()
    merged: dict[int, Line] = {}
    for i in signs:
        x0, y0, x1, y1 = boxes[i].tolist()
        if i in drop:
            reach, foot = 1.2 * height, y0 + 0.6 * (y1 - y0)
        else:
            reach, foot = 3.2 * height, y1
        right = np.flatnonzero(
            (boxes[:, 0] >= x1 - 0.2 * height)
            & (boxes[:, 0] < x1 + reach)
            & (boxes[:, 1] < foot)
            & (boxes[:, 3] > y0)
        )
        right = right[[k not in gone and k != i for k in right.tolist()]] if len(right) else right
        if not len(right):
            continue
        if i in drop:
            k = int(right[np.argmin(boxes[right, 1])])
            if boxes[k, 3] - boxes[k, 1] > 0.6 * (y1 - y0):
                continue
            between = "" if lines[k].text[:1].isalpha() and lines[i].text[-1:].isalpha() else " "
            lowered = _level_with(lines[i], lines[k])
        else:
            shared = np.minimum(boxes[right, 3], y1) - np.maximum(boxes[right, 1], y0)
            right = right[shared > 0.5 * np.minimum(boxes[right, 3] - boxes[right, 1], y1 - y0)]
            if not len(right):
                continue
            k = int(right[np.argmin(boxes[right, 0])])
            if not _marks(lines, boxes, i, k, height):
                continue
            between, lowered = " ", lines[i]
            if lowered.text == "o":
                lowered = _with_first(lowered, SMALL_BULLET)
        merged[k] = joined((lowered, merged.get(k, lines[k])), between)
        gone.add(i)
        boxes[k, 0] = min(x0, boxes[k, 0])
    kept = [i for i in range(len(lines)) if i not in gone]
    return [merged.get(i, lines[i]) for i in kept], boxes[kept]


def _marks(lines: Sequence[Line], boxes: Boxes, i: int, k: int, height: float) -> bool:
    """Tell whether a lone sign belongs to the line on its right, and is no cell of a table."""
    sign, line = lines[i].text, lines[k].text
    gap = float(boxes[k, 0] - boxes[i, 2])
    if not any(c.isalpha() for c in line):
        return False
    beside = np.flatnonzero(
        (boxes[:, 1] < boxes[i, 3] - 0.3 * height) & (boxes[:, 3] > boxes[i, 1] + 0.3 * height)
    )
    if sign.isdigit() or re.fullmatch(r"\d+(?:\.\d+)+|[A-Z]|[IVX]+", sign):
        # The number of a heading is set like it.
        alike = abs(lines[i].size - lines[k].size) < 0.05 * max(lines[k].size, 1)
        bold = style(lines[i], "bold") > 0.5 and style(lines[k], "bold") > 0.5
        large = lines[k].size > 1.1 * height / (ABOVE + BELOW)
        return alike and (bold or large or "." in sign) and len(beside) == 2 and gap < 2.5 * height
    if sign == "o":
        return sum(other.text == "o" for other in lines) > 1
    return gap < (3.2 if len(beside) < 4 else 1.5) * height


def _is_dropped(line: Line, box: NDArray[np.float32], height: float) -> bool:
    tall = line.size > DROPPED * height / (ABOVE + BELOW)
    return tall and len(line.text) <= 2 and line.text[:1].isupper()


def _level_with(capital: Line, line: Line) -> Line:
    """Return a drop capital as high as the line that it begins."""
    top, foot = line.quad[0][1], line.quad[3][1]
    left, right = capital.quad[0][0], capital.quad[1][0]
    quad = ((left, top), (right, top), (right, foot), (left, foot))
    words = tuple(replace(word, quad=quad) for word in capital.words)
    return replace(capital, quad=quad, words=words, size=line.size)


def _inside(box: Box, boxes: Boxes, taken: NDArray[np.bool_], slack: float = 0.0) -> list[int]:
    """Return the free lines whose middle lies in a box."""
    if not len(boxes):
        return []
    return np.flatnonzero(points_inside(centers(boxes), box, slack) & ~taken).tolist()


def _seeds(
    lines: Sequence[Line], boxes: Boxes, taken: NDArray[np.bool_], height: float
) -> list[Box]:
    """Return where lines stand that say nothing but a formula, with no prose beside them."""
    found: list[Box] = []
    for i, line in enumerate(lines):
        if taken[i] or not EQUATION.search(line.text) or LONG_WORD.search(line.text):
            continue
        if line.size <= 0 or style(line, "mono") > 0.3 or len(line.text) < 5:
            continue
        x0, y0, x1, y1 = boxes[i].tolist()
        beside = np.flatnonzero(
            (boxes[:, 1] < y1 - 0.3 * height)
            & (boxes[:, 3] > y0 + 0.3 * height)
            & (boxes[:, 0] < x1 + 3 * height)
            & (boxes[:, 2] > x0 - 3 * height)
        )
        if not any(LONG_WORD.search(lines[k].text) for k in beside.tolist()):
            found.append(Box(x0, y0, x1, y1))
    return found


def _formula(
    box: Box, lines: Sequence[Line], boxes: Boxes, taken: NDArray[np.bool_], height: float
) -> list[int]:
    """Return the lines of a displayed formula, with what is left of it beside and below."""
    inside = _inside(box, boxes, taken)
    if not inside:
        return []
    known = set(inside)
    near = set(_inside(box, boxes, taken, slack=6 * height)) - known
    rest = [
        i
        for i in near
        if len(lines[i].text) <= 50
        and not LONG_WORD.search(lines[i].text)
        and (MATHS.search(lines[i].text) or len(lines[i].text) < 4)
    ]
    grown = True
    while grown:
        own = boxes[sorted(known)]
        grown = False
        for i in [i for i in rest if i not in known]:
            x0, y0, x1, y1 = boxes[i]
            beside = (own[:, 1] < y1 - 0.3 * height) & (own[:, 3] > y0 + 0.3 * height)
            gap = np.maximum(own[:, 0] - x1, x0 - own[:, 2])
            level = beside & (gap < 2.5 * height)
            over = (own[:, 0] < x1) & (own[:, 2] > x0)
            rise = np.maximum(own[:, 1] - y1, y0 - own[:, 3])
            if level.any() or (over & (rise < 1.1 * height)).any():
                known.add(i)
                grown = True
    return sorted(known)


def _is_sparse(cells: Sequence[Cell]) -> bool:
    """Tell whether many cells of a table are empty."""
    rows = max(cell.row + cell.row_span for cell in cells)
    columns = max(cell.column + cell.column_span for cell in cells)
    return sum(bool(cell.lines) for cell in cells) < 0.6 * rows * columns


@dataclass(frozen=True)
class _Pictures:
    """Pictures and drawings among the lines of a page.

    Attributes:
        lines: All lines.
        boxes: (N, 4) of them, in pixels.
        height: Common height of a line in pixels.
        size: Width and height of the page in pixels.
    """

    lines: Sequence[Line]
    boxes: Boxes
    height: float
    size: tuple[int, int]

    def joined(self, *groups: Sequence[Box]) -> list[Box]:
        """Return the places of pictures, those that touch as one, without the very small."""
        found: list[Box] = []
        for box in (box for group in groups for box in group):
            box = box.clipped(*self.size)
            if box.width < 1 or box.height < 1 or self._is_background(box):
                continue
            touching = [other for other in found if box.is_near(other, 0.3 * self.height)]
            found = [other for other in found if other not in touching]
            found.append(Box.around((box, *touching)))
        least = 2.0 * self.height
        return [box for box in found if box.width > least and box.height > least]

    def labels(self, box: Box, taken: NDArray[np.bool_]) -> list[int] | None:
        """Return the lines of text in a picture and right at its edge.

        Args:
            box: The picture.
            taken: Lines that are in a table already.

        Returns:
            Indices of lines; nothing where prose stands in it, which makes it a background.
        """
        inside = _inside(box, self.boxes, taken)
        prose = self._prose(inside)
        if prose:
            own = self.boxes[inside]
            covered = np.prod(own[:, 2:] - own[:, :2], axis=1).sum()
            return None if covered > 0.15 * box.area or len(prose) > 2 else []
        common = self._common()
        letters = sum(len(self.lines[i].text) for i in inside)
        large = sum(len(self.lines[i].text) for i in inside if self.lines[i].size > 1.05 * common)
        if large > 0.5 * letters:  # a title on its ground
            return None if box.height < 4 * self.height else []
        return sorted(self._with_edge(box, set(inside), taken, 0.97 * common))

    def _with_edge(
        self, box: Box, inside: set[int], taken: NDArray[np.bool_], size: float
    ) -> set[int]:
        """Add what is written right beside a picture: names and numbers of axes."""
        whole, near = box, 0.9 * self.height
        for _ in range(3):
            found: set[int] = set()
            for i in set(_inside(whole, self.boxes, taken, slack=3 * self.height)) - inside:
                x0, y0, x1, y1 = self.boxes[i].tolist()
                level = box.y0 - near < (y0 + y1) / 2 < box.y1 + near
                under = box.x0 - near < (x0 + x1) / 2 < box.x1 + near
                gap = max(x0 - whole.x1, whole.x0 - x1), max(y0 - whole.y1, whole.y0 - y1)
                line = self.lines[i]
                if (
                    line.size <= size
                    and len(line.text) < 40
                    and not CAPTION.match(line.text)
                    and ((level and gap[0] < near) or (under and gap[1] < near))
                ):
                    found.add(i)
            if not found:
                break
            inside |= found
            whole = Box.around((whole, hull(self.boxes[sorted(inside)])))
        return inside

    def _common(self) -> float:
        """Return the size of type that most of the text has."""
        if not self.lines:
            return 0.0
        sizes = [line.size for line in self.lines]
        order = np.argsort(sizes)
        weights = np.cumsum([len(self.lines[i].text) for i in order])
        return float(sizes[int(order[int(np.searchsorted(weights, weights[-1] / 2))])])

    def _prose(self, inside: Sequence[int]) -> list[int]:
        """Return the lines of prose among some, where they are the most of them."""
        long = [
            i
            for i in inside
            if len(self.lines[i].text) > 30 and len(self.lines[i].text.split()) > 4
        ]
        letters = sum(len(self.lines[i].text) for i in inside)
        told = sum(len(self.lines[i].text) for i in long)
        return long if len(long) > 1 and told > 0.5 * letters else []

    def _is_background(self, box: Box) -> bool:
        if box.area < BACKGROUND * self.size[0] * self.size[1] or not self.lines:
            return False
        inside = _inside(box, self.boxes, np.zeros(len(self.lines), np.bool_))
        return sum(len(self.lines[i].text) for i in inside) > 40
