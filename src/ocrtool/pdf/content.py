"""Characters and vector graphics of a PDF page as MuPDF extracts them, in column arrays."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymupdf
from numpy.typing import NDArray

from ocrtool.pdf.fonts import ACCENTS, ITALIC, normalize_character, style_of
from ocrtool.pdf.widths import measured_widths

# Flags of MuPDF's text extraction; not every version of PyMuPDF has names for them.
_INHIBIT_SPACES, _CLIP, _VECTORS = 8, 64, 1024
_PAINTED = 16 | 32
"""Bits of MuPDF's character flags that mark a filled or stroked glyph."""
MAX_INVISIBLE_ALPHA = 13
"""Maximum opacity, of 255, of content that counts as invisible."""
MAX_CHARACTERS = 150_000
"""Maximum number of characters of a page that are extracted one by one; beyond it, MuPDF's spans
are split into characters of equal width, which needs much less memory."""
MAX_VECTORS = 20_000
"""Maximum number of vector paths of a page, for example of a map; beyond it, only every n-th is
read."""

SLANT_OVERLAP_EMS = (0.12, 0.45)
"""Minimum and maximum overlap, in ems, of consecutive glyph boxes that reveals synthetically
slanted type."""
MIN_SWAPPED, MIN_SWAPPED_SHARE = 4, 0.9
"""Minimum number, and share among the characters of a font, of characters whose codes are
multiples of 256, from which the bytes of its ToUnicode table are swapped."""
MIN_COVER_SIDE = 4.0
"""Minimum side, in points, of a rectangle that may hide text under it."""
MAX_COVERS = 300
"""Maximum number of rectangles, largest first, that are checked for hiding text."""
EM_PER_WIDTH = 2.0
"""Type size of a font without a usable one, in median glyph widths."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Letters:
    """The N characters of a page, in file order.

    The coordinates u and v belong to each character's own reading direction: u runs along it and v
    across it, downwards for horizontal text. Both are in pixels from the page's top left corner.

    Attributes:
        text: Text of each glyph; usually one character.
        u: (N,) start of the glyph along the reading direction.
        v: (N,) baseline position across the reading direction.
        width: (N,) advance along the reading direction; 0 for the later letters of a ligature.
        size: (N,) type size in pixels.
        turn: (N, 2) cosine and sine of the reading direction, clockwise from the x axis.
        style: (N,) style bits, see ``fonts``.
        color: (N,) sRGB colour.
        row: (N,) number of MuPDF's line that contains the character.
        font: (N,) number of the font, within the page.
        seen: (N,) whether the glyph is painted visibly.
        spaced: (N,) whether white space precedes it.
        covered: (N,) whether an opaque rectangle was painted over it later.
    """

    text: list[str]
    u: Floats
    v: Floats
    width: Floats
    size: Floats
    turn: Floats
    style: Ints
    color: Ints
    row: Ints
    font: Ints
    seen: Flags
    spaced: Flags
    covered: Flags

    def of(self, chosen: Ints) -> Letters:
        """Return the characters at the given indices."""
        return Letters(
            [self.text[i] for i in chosen.tolist()],
            self.u[chosen],
            self.v[chosen],
            self.width[chosen],
            self.size[chosen],
            self.turn[chosen],
            self.style[chosen],
            self.color[chosen],
            self.row[chosen],
            self.font[chosen],
            self.seen[chosen],
            self.spaced[chosen],
            self.covered[chosen],
        )

    @property
    def middles(self) -> Floats:
        """(N, 2) x and y of the centre of each glyph, in pixels of the page."""
        u, v = self.u + self.width / 2, self.v - 0.3 * self.size
        cosine, sine = self.turn[:, 0], self.turn[:, 1]
        return np.stack((u * cosine - v * sine, u * sine + v * cosine), axis=1)


@dataclass(frozen=True, eq=False)
class Vectors:
    """The M vector paths of a page, in file order.

    Attributes:
        boxes: (M, 4) bounding boxes in pixels, stroke width included.
        stroked: (M,) whether the path is stroked instead of filled.
        straight: (M,) whether it is a horizontal or vertical line or an axis-aligned rectangle.
        color: (M,) sRGB colour.
    """

    boxes: Floats
    stroked: Flags
    straight: Flags
    color: Ints

    def of(self, chosen: Ints) -> Vectors:
        """Return the paths at the given indices."""
        return Vectors(
            self.boxes[chosen], self.stroked[chosen], self.straight[chosen], self.color[chosen]
        )


def read_content(shown: pymupdf.DisplayList, scale: float) -> tuple[Letters, Vectors]:
    """Extract the characters and vector graphics of a page.

    Args:
        shown: Display list of the page.
        scale: Pixels per point.
    """
    flags = _INHIBIT_SPACES | _CLIP
    with_vectors = pymupdf.TextPage(shown.get_textpage(flags | _VECTORS))
    step = _vector_count(with_vectors) // MAX_VECTORS + 1
    vectors = _to_vectors([], scale)
    if step > 1:
        vectors = _to_vectors(_sample_vectors(with_vectors, step), scale)
        del with_vectors
        with_vectors = pymupdf.TextPage(shown.get_textpage(flags))
    many = len(with_vectors.extractText()) > MAX_CHARACTERS
    blocks = (with_vectors.extractDICT() if many else with_vectors.extractRAWDICT())["blocks"]
    if step == 1:
        vectors = _to_vectors(
            [
                (*block["bbox"], block["stroked"], block["isrect"], block["color"])
                for block in blocks
                if block["type"] == 3 and block["alpha"] > MAX_INVISIBLE_ALPHA
            ],
            scale,
        )
    return _to_letters(blocks, scale), vectors


def _covered(blocks: Sequence[dict[str, Any]], middles: Floats) -> Flags:
    """Return which characters lie under an opaque rectangle that was painted after them.

    Args:
        blocks: Text and vector paths in the order of painting.
        middles: (N, 2) centres of the characters, in points.
    """
    covered = np.zeros(len(middles), bool)
    count = 0
    areas: list[tuple[float, int, tuple[float, float, float, float]]] = []
    for block in blocks:
        if block["type"] == 0:
            count += sum(
                len(span["chars"] if "chars" in span else span["text"])
                for line in block["lines"]
                for span in line["spans"]
            )
        elif block["type"] == 3 and block["isrect"] and not block["stroked"]:
            x0, y0, x1, y1 = block["bbox"]
            if count and block["alpha"] == 255 and min(x1 - x0, y1 - y0) > MIN_COVER_SIDE:
                areas.append(((x1 - x0) * (y1 - y0), count, (x0, y0, x1, y1)))
    for _, before, (x0, y0, x1, y1) in sorted(areas, reverse=True)[:MAX_COVERS]:
        x, y = middles[:before, 0], middles[:before, 1]
        covered[:before] |= (x > x0) & (x < x1) & (y > y0) & (y < y1)
    return covered


def _to_letters(blocks: Sequence[dict[str, Any]], scale: float) -> Letters:
    text: list[str] = []
    origins: list[tuple[float, float]] = []
    boxes: list[tuple[float, float, float, float]] = []
    spans: list[tuple[float, ...]] = []
    fonts: dict[str, int] = {}
    counts: list[int] = []
    row = 0
    for block in blocks:
        if block["type"] != 0:
            continue
        for line in block["lines"]:
            row += 1
            cosine, sine = line["dir"]
            for span in line["spans"]:
                chars = span["chars"] if "chars" in span else _split_span(span, cosine, sine)
                counts.append(len(chars))
                text += [char["c"] for char in chars]
                origins += [char["origin"] for char in chars]
                boxes += [char["bbox"] for char in chars]
                seen = span["char_flags"] & _PAINTED and span["alpha"] > MAX_INVISIBLE_ALPHA
                spans.append(
                    (cosine, sine, span["size"], span["ascender"] - span["descender"],
                     style_of(span["font"], span["flags"]), span["color"], row, bool(seen),
                     fonts.setdefault(span["font"], len(fonts)))
                )  # fmt: skip
    columns = np.repeat(np.array(spans, np.float64).reshape(-1, 9), counts, axis=0)
    origin = np.array(origins, np.float64).reshape(-1, 2) * scale
    box = np.array(boxes, np.float64).reshape(-1, 4) * scale
    cosine, sine, size = columns[:, 0], columns[:, 1], columns[:, 2] * scale
    width = _advance_widths(box, cosine, sine, size * columns[:, 3])
    size = _corrected_sizes(size, size * columns[:, 3], box, width, columns[:, 8])
    u = origin[:, 0] * cosine + origin[:, 1] * sine
    width = measured_widths(width, u, size, columns[:, 6], columns[:, 8], text)
    over = _slant_overlap(u, width, size, columns[:, 6], text)
    width = np.maximum(width - over, 0.0)
    style = np.where(over > 0, columns[:, 4].astype(np.int64) | ITALIC, columns[:, 4])
    text = _with_bytes_in_order(text, columns[:, 8])
    names = list(fonts)
    pairs = list(zip(text, columns[:, 8].astype(np.int64).tolist(), strict=True))
    meant = {(char, font): normalize_character(char, names[font]) for char, font in set(pairs)}
    text = [meant[pair] for pair in pairs]
    white = np.array([char == " " for char in text], bool)
    void = np.array([not char for char in text], bool)
    kept = np.flatnonzero(~white & ~void & np.isfinite(origin).all(1) & (size > 0))
    last = np.maximum.accumulate(np.where(white, np.arange(len(text)), -1))[kept]
    before = np.concatenate(([-1], kept))[: len(kept)]
    rows = columns[:, 6].astype(np.int64)
    return Letters(
        [text[i] for i in kept.tolist()],
        u[kept],
        (origin[:, 1] * cosine - origin[:, 0] * sine)[kept],
        width[kept],
        size[kept],
        columns[kept, :2],
        style[kept].astype(np.int64),
        columns[kept, 5].astype(np.int64),
        rows[kept],
        columns[kept, 8].astype(np.int64),
        columns[kept, 7] > 0,
        (last > before) & (rows[last] == rows[kept]) if len(kept) else np.zeros(0, bool),
        _covered(blocks, (box[:, :2] + box[:, 2:]) / (2 * scale))[kept],
    )


def _with_bytes_in_order(text: list[str], font: Floats) -> list[str]:
    """Return characters with the bytes of their codes exchanged in fonts that swap them.

    A ToUnicode table in little-endian order maps Latin letters to multiples of 256.
    """
    candidates = {char for char in set(text) if _is_swapped_latin(char)}
    if not candidates:
        return text
    swapped = np.array([char in candidates for char in text], bool)
    white = np.array([char.isspace() for char in text], bool)
    text = list(text)
    for number in np.unique(font[swapped]).tolist():
        own = (font == number) & ~white  # MuPDF gives U+2000, a swapped space, as a space
        if swapped[own].sum() >= max(MIN_SWAPPED, MIN_SWAPPED_SHARE * own.sum()):
            for i in np.flatnonzero(own).tolist():
                code = ord(text[i])
                if 0xFF < code <= 0xFFFF:
                    exchanged = (code & 0xFF) << 8 | code >> 8
                    text[i] = "\ufffd" if 0xD800 <= exchanged < 0xE000 else chr(exchanged)
    return text


def _is_swapped_latin(char: str) -> bool:
    code = ord(char)
    return code & 0xFF == 0 and (0x2000 <= code <= 0x7E00 or 0xA000 <= code <= 0xFF00)


def _advance_widths(box: Floats, cosine: Floats, sine: Floats, height: Floats) -> Floats:
    """Return glyph widths along the reading direction, from axis-aligned bounding boxes."""
    across, along = np.abs(sine), np.abs(cosine)
    level = along >= across
    extent = np.where(level, box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    main, other = np.where(level, along, across), np.where(level, across, along)
    return np.maximum((extent - height * other) / np.maximum(main, 1e-6), 0)


def _slant_overlap(u: Floats, width: Floats, size: Floats, rows: Floats, text: list[str]) -> Floats:
    """Return by how much synthetic slant widens each glyph box, in pixels."""
    over = np.zeros(len(u))
    if len(u) < 2:
        return over
    least, most = SLANT_OVERLAP_EMS
    em = np.maximum(size[:-1], 1e-6)
    reach = ((u + width)[:-1] - u[1:]) / em
    # A glyph that advances very little is an accent, or the same letter drawn twice.
    reaches = (reach > least) & (reach < most) & (u[1:] - u[:-1] > 0.1 * em)
    reaches &= rows[1:] == rows[:-1]
    edges = np.flatnonzero(np.diff(reaches.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        usual = float(np.median(reach[start:end]))
        alone = end - start < 3 and usual < 1.5 * least  # kerning, for example of A and V
        if alone or not ACCENTS.isdisjoint(text[start : end + 1]):
            continue
        ends = end == len(rows) - 1 or rows[end + 1 : end + 2].tolist() != [rows[start]]
        over[start : end + ends] = usual * em[start]
    return over


def _corrected_sizes(
    size: Floats, height: Floats, box: Floats, width: Floats, font: Floats
) -> Floats:
    """Return corrected type sizes; Type 3 fonts may state theirs in units of their own."""
    longest = np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    wrong = (longest > 4 * np.maximum(size, height)) & (width > 0)
    if not wrong.any():
        return size
    size = size.copy()
    for number in np.unique(font[wrong]).tolist():
        own = font == number
        if (wrong & own).sum() > 0.5 * own.sum():
            size[own] = EM_PER_WIDTH * np.median(width[wrong & own])
    return size


def _split_span(span: dict[str, Any], cosine: float, sine: float) -> list[dict[str, Any]]:
    """Split a span into characters of equal width, where MuPDF gave the span only as a whole."""
    x0, y0, x1, y1 = span["bbox"]
    text = span["text"]
    x, y = span["origin"]
    step = ((x1 - x0) * abs(cosine) + (y1 - y0) * abs(sine)) / max(1, len(text))
    letters = []
    for i, char in enumerate(text):
        ox, oy = x + i * step * cosine, y + i * step * sine
        ends = ox + step * cosine, oy + step * sine
        level = abs(cosine) >= abs(sine)
        box = (
            (min(ox, ends[0]), y0, max(ox, ends[0]), y1)
            if level
            else (x0, min(oy, ends[1]), x1, max(oy, ends[1]))
        )
        letters.append({"c": char, "origin": (ox, oy), "bbox": box})
    return letters


def _to_vectors(pieces: list[tuple[Any, ...]], scale: float) -> Vectors:
    table = np.array(pieces, np.float64).reshape(-1, 7)
    return Vectors(
        table[:, :4] * scale, table[:, 4] > 0, table[:, 5] > 0, table[:, 6].astype(np.int64)
    )


def _vector_count(page: pymupdf.TextPage) -> int:
    """Count the vector paths of a page without copying them to Python."""
    count = 0
    block = page.this.m_internal.first_block
    while block:
        count += block.type == 3
        block = block.next
    return count


def _sample_vectors(page: pymupdf.TextPage, step: int) -> list[tuple[Any, ...]]:
    """Return the bounding boxes of every n-th vector path, without copying the others."""
    pieces, count = [], 0
    block = page.this.m_internal.first_block
    while block:
        if block.type == 3:
            count += 1
            if count % step == 0:
                box = block.bbox
                thin = min(box.x1 - box.x0, box.y1 - box.y0) < 2.0
                pieces.append((box.x0, box.y0, box.x1, box.y1, True, thin, 0))
        block = block.next
    return pieces
