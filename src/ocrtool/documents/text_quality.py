"""Whether the text that a page of a PDF holds can be trusted, and what of it has to be read.

A page may have no text, text whose characters mean nothing, an unseen layer that another program
read from a scan, or pictures of text among its own. Pages of plain text are judged by that text
alone; only where there are pictures or drawings is the page looked at, in small.
"""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrtool.document.tree import Box, Line, Quad
from ocrtool.pdf.fonts import is_unknown
from ocrtool.pdf.native import NativePage

Grey = NDArray[np.uint8]

UNKNOWN_LINE = 0.3
"""Share of a line's characters that say nothing, from which it is bad."""
UNKNOWN_PAGE = 0.15
"""Share of a page's characters in bad lines, from which all of it is read from its picture."""
ENOUGH_LETTERS = 60
"""Letters of the Latin alphabet by which a language is told from nonsense."""
NONSENSE = 0.6
"""Bits a letter that text would lose if each letter were exchanged for the most fitting one, from
which it is no language. European languages lose 0.1 to 0.4, alphabets that are shifted by some
places 0.75 to 2."""
SCAN = 0.5
"""Share of the page that pictures cover on a scan."""
FEW_LETTERS = 60
"""Up to which a page with a scan has no text of its own but stamps and numbers."""
LOOK_DPI = 100.0
"""At which pages are looked at: small letters are 6 pixels high."""
LETTER_HEIGHT = (4, 40)
"""Pixels, at that resolution, of what may be a letter."""
RUN = 5
"""Shapes that stand on one line, close together and alike in height, from which they are text."""
TEXT_LETTERS, DRAWN_LETTERS = 30, 80
"""Such shapes from which pictures and drawings are read; the labels of a chart are left to it."""
LEAST_AREA = (0.5, 0.12)
"""Inches, width and height, of a picture that may hold text."""
OTHER_ALPHABET = 0.5
"""Share of letters that are not Latin, from which the reader cannot read a text."""
LATIN_END = 0x250
"""First character beyond the Latin letters."""
UNSAID = (8, 0.015)
"""Least shapes like letters between words of drawn letters, and least share of all letters, from
which a page's text lacks some."""
BLANK_CONTRAST = 16
"""Grey levels up to which a page is blank."""

# Of thousand letters in European languages; accents are left out.
_FREQUENCIES = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        (85, 13, 33, 40, 135, 14, 16, 26, 75, 4, 8, 45, 28, 73, 65, 27, 7, 66, 70, 68, 45, 14, 10,
         4, 10, 6),
        strict=True,
    )
)  # fmt: skip
_LOGARITHMS = {letter: math.log2(count / 1000) for letter, count in _FREQUENCIES.items()}
_LATIN, _LATIN_WORD = re.compile("[a-z]"), re.compile("[a-z]{3,}")
MIN_SIGNS, MIN_DISTINCT_SIGNS = 8, 4
"""Minimum characters of a line without letters, and minimum distinct signs among them, from which
they are codes of a font without a Unicode mapping instead of text."""

_SIGNS = frozenset("!\"#$%&'*;?@<>")
_UNMAPPED = re.compile(r"\(cid:\d+\)")


@dataclass(frozen=True)
class Judgement:
    """What is to be done with a page.

    Attributes:
        route: Whether its own text is taken, its picture read, or both; or it is blank.
        areas: Places that are read from the picture, where both are.
        bad: Numbers of its lines that are not taken.
        scan: Whether the page is one picture.
        warnings: What is wrong with it.
    """

    route: Literal["native", "ocr", "mixed", "blank"]
    areas: tuple[Box, ...] = ()
    bad: frozenset[int] = frozenset()
    scan: bool = False
    warnings: tuple[str, ...] = ()


def judge(native: NativePage, look: Callable[[float], Grey]) -> Judgement:
    """Judge a page.

    Args:
        native: What it holds.
        look: Draws it in grey at a resolution in dots an inch, or less where it is huge; called
            only where that is needed.
    """
    lines = native.lines
    letters = sum(_length(line.text) for line in lines)
    scan = _covered_by(native.pictures, native) >= SCAN
    if not letters:
        return _judge_without(native, scan, look)
    bad = frozenset(i for i, line in enumerate(lines) if is_unreadable(line.text))
    lost = sum(_length(lines[i].text) for i in bad)
    if lost >= UNKNOWN_PAGE * letters and lost >= 3:
        known = "".join(line.text for i, line in enumerate(lines) if i not in bad)
        if is_other_alphabet(known):
            said = "some characters are not known, in an alphabet that is not read"
            return Judgement("native", scan=scan, warnings=(said,))
        return Judgement("ocr", scan=scan, warnings=(
            "the characters of its text are not known; read from its picture",))  # fmt: skip
    if is_nonsense([line.text for i, line in enumerate(lines) if i not in bad]):
        return Judgement("ocr", scan=scan, warnings=(
            "its text is encoded as nonsense; read from its picture",))  # fmt: skip
    if native.drawn_letters and _has_unsaid_letters(native, look, letters):
        return Judgement("ocr", scan=scan, warnings=(
            "its text lacks letters that are seen; read from its picture",))  # fmt: skip
    if scan and letters <= FEW_LETTERS and _letters_in(native, look, native.pictures)[0]:
        return Judgement("ocr", scan=True)
    areas = _areas_of_text(native, look)
    areas += [_bounds(lines[i], native) for i in sorted(bad)]
    if not areas:
        return Judgement("native", scan=scan)
    warnings = (f"{len(bad)} lines have unknown characters; read from the picture",) if bad else ()
    return Judgement("mixed", tuple(areas), bad, scan, warnings)


def is_unreadable(text: str) -> bool:
    """Tell whether too many characters of a line say nothing."""
    text = "".join(text.split())
    if not text:
        return False
    if _is_of_signs(text):
        return True
    unknown = sum(map(is_unknown, text)) + sum(len(m) for m in _UNMAPPED.findall(text))
    # One private sign before an item of a list is its bullet.
    if unknown == 1 and is_unknown(text[0]) and not _UNMAPPED.search(text):
        return False
    return unknown > UNKNOWN_LINE * len(text)


def _is_of_signs(text: str) -> bool:
    """Tell whether a line has many different signs and no letter.

    Codes of subset fonts often count up from 0x21 and reach the letters only in the longest texts.
    """
    if len(text) < MIN_SIGNS or any(map(str.isalpha, text)):
        return False
    return len(_SIGNS.intersection(text)) >= MIN_DISTINCT_SIGNS


def is_nonsense(texts: Sequence[str]) -> bool:
    """Tell whether text in the Latin alphabet is of no language, by how frequent its letters are.

    What it has is compared with what a text that uses its letters as often could best have: so
    long and short texts, and languages, compare. Fonts whose table of characters is missing or
    wrong give an alphabet that is shifted. Text in other alphabets, numbers and short texts are
    not judged.

    Args:
        texts: Lines.
    """
    text = " ".join(text for text in texts if not _is_address(text)).lower()
    # Each word once: what is repeated, as in forms, tells nothing of the language.
    counts = Counter("".join(set(_LATIN_WORD.findall(text))))
    letters = sum(counts.values())
    signs = sum(not c.isspace() for c in text)
    if letters < ENOUGH_LETTERS or len(_LATIN.findall(text)) < 0.4 * signs:
        return False
    found = sum(_LOGARITHMS[letter] * count for letter, count in counts.items())
    most = sorted(counts.values(), reverse=True)
    fitting = sum(map(operator.mul, most, sorted(_LOGARITHMS.values(), reverse=True)))
    return bool(fitting - found > NONSENSE * letters)


def is_other_alphabet(text: str) -> bool:
    """Tell whether most letters of a text are not Latin, so that the reader cannot read them."""
    letters = [c for c in text if c.isalpha() and not is_unknown(c)]
    other = sum(ord(c) >= LATIN_END for c in letters)
    return other > OTHER_ALPHABET * len(letters)


def text_letters(grey: Grey) -> int:
    """Return how many shapes in a picture stand like the letters of lines, dark or light.

    Args:
        grey: (H, W), at about ``LOOK_DPI``.
    """
    return max(_aligned(grey), _aligned(np.asarray(255 - grey, np.uint8)))


def _judge_without(native: NativePage, scan: bool, look: Callable[[float], Grey]) -> Judgement:
    """Judge a page without text that is seen."""
    grey = look(LOOK_DPI)
    if int(np.ptp(grey)) < BLANK_CONTRAST:
        unseen = ("has only text that is not seen; left out",) if native.hidden else ()
        return Judgement("blank", warnings=unseen)
    return Judgement("ocr", scan=scan)


def _has_unsaid_letters(native: NativePage, look: Callable[[float], Grey], letters: int) -> bool:
    """Tell whether letters are seen in lines of text between what the file says are its words."""
    ink = _ink(look(LOOK_DPI))
    scale = ink.shape[1] / native.width
    within = np.zeros(ink.shape, np.uint8)
    for line in native.lines:
        _fill(within, line.quad, scale, 1)
    for word in (word for line in native.lines for word in line.words):
        _fill(within, word.quad, scale, 0)
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink & within, connectivity=8)
    w, h, area = stats[1:, 2], stats[1:, 3], stats[1:, 4]
    shaped = (h >= LETTER_HEIGHT[0]) & (h <= LETTER_HEIGHT[1]) & (w >= 2) & (area >= 8)
    return count > 1 and int(shaped.sum()) > max(UNSAID[0], UNSAID[1] * letters)


def _fill(mask: Grey, quad: Quad, scale: float, value: int) -> None:
    xs, ys = zip(*quad, strict=True)
    rows = slice(max(0, round(min(ys) * scale)), max(0, round(max(ys) * scale)))
    mask[rows, max(0, round(min(xs) * scale)) : max(0, round(max(xs) * scale))] = value


def _areas_of_text(native: NativePage, look: Callable[[float], Grey]) -> list[Box]:
    """Return pictures, and drawings, that show text which the page does not hold."""
    areas: list[Box] = []
    for boxes, least in ((native.pictures, TEXT_LETTERS), (native.drawings, DRAWN_LETTERS)):
        joined = _joined(boxes, native)
        if joined:
            counts = _letters_in(native, look, joined)
            areas += [box for box, count in zip(joined, counts, strict=True) if count >= least]
    return areas


def _letters_in(
    native: NativePage, look: Callable[[float], Grey], boxes: Sequence[Box]
) -> list[int]:
    """Return for each box how many letters stand in it that are not of the page's own text."""
    if not boxes:
        return [0]
    grey = look(LOOK_DPI).copy()
    scale = grey.shape[1] / native.width
    hide(grey, native.lines, scale)
    counts = []
    for box in boxes:
        x0, y0 = math.floor(box.x0 * scale), math.floor(box.y0 * scale)
        x1, y1 = math.ceil(box.x1 * scale), math.ceil(box.y1 * scale)
        crop = grey[max(0, y0) : y1, max(0, x0) : x1]
        counts.append(text_letters(crop) if min(crop.shape) > 3 else 0)
    return counts


def hide(pixels: NDArray[np.uint8], lines: Sequence[Line], scale: float) -> None:
    """Paint over lines, with the colour round them, in place.

    Args:
        pixels: (H, W) or (H, W, 3).
        lines: What is painted over.
        scale: Pixels of the picture, in those of the lines.
    """
    height, width = pixels.shape[:2]
    for line in lines:
        xs, ys = zip(*line.quad, strict=True)
        margin = 0.08 * max(line.size, 4.0) * scale + 1
        x0, y0 = int(min(xs) * scale - margin), int(min(ys) * scale - margin)
        x1, y1 = int(max(xs) * scale + margin) + 1, int(max(ys) * scale + margin) + 1
        x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
        if x1 <= x0 or y1 <= y0:
            continue
        part = pixels[y0:y1, x0:x1]
        edge = np.concatenate((part[0], part[-1], part[:, 0], part[:, -1]))
        part[:] = np.median(edge, axis=0).astype(np.uint8)


def _ink(grey: Grey) -> Grey:
    """Return 1 where a picture is darker than round about, else 0."""
    mean, dark = cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV
    return np.asarray(cv2.adaptiveThreshold(grey, 1, mean, dark, 25, 14), np.uint8)


def _aligned(grey: Grey) -> int:
    ink = _ink(grey)
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    if count <= RUN:
        return 0
    x, y, w, h, area = stats[1:].T.astype(np.int64)
    shaped = (h >= LETTER_HEIGHT[0]) & (h <= LETTER_HEIGHT[1]) & (w <= 4 * h) & (area >= 4)
    x, y, w, h = x[shaped], y[shaped], w[shaped], h[shaped]
    if len(x) < RUN:
        return 0
    best = 0
    for shift in (0, 2):  # the feet of one line may fall into two strips
        strip = (y + h + shift) // 4
        order = np.lexsort((x, strip))
        gap = x[order][1:] - (x + w)[order][:-1]
        high, low = np.maximum(h[order][1:], h[order][:-1]), np.minimum(h[order][1:], h[order][:-1])
        joined = (
            (strip[order][1:] == strip[order][:-1])
            & (gap <= 1.5 * high)
            & (gap >= -0.3 * high)
            & (low >= 0.45 * high)
        )
        edges = np.flatnonzero(np.diff(joined.astype(np.int8), prepend=0, append=0))
        lengths = edges[1::2] - edges[::2] + 1
        best = max(best, int(lengths[lengths >= RUN].sum()))
    return best


def _joined(boxes: Sequence[Box], native: NativePage) -> list[Box]:
    """Return places, those that touch as one (scans are often cut in strips), small ones left out.

    What lies on the whole page counts, too: it may be a scan with some text of the file's own.
    """
    near = 0.02 * native.dpi
    found: list[Box] = []
    for box in sorted(boxes, key=lambda box: (box.y0, box.x0))[:2000]:
        for k, other in enumerate(found):
            if box.is_near(other, near):
                found[k] = Box.around((box, other))
                break
        else:
            found.append(box)
    wide, high = (side * native.dpi for side in LEAST_AREA)
    return [box for box in found if box.width >= wide and box.height >= high]


def _covered_by(boxes: Sequence[Box], native: NativePage) -> float:
    """Return the share of the page that boxes cover; strips of a scan count as one."""
    coarse = np.zeros((64, 64), bool)
    for box in boxes:
        x0, x1 = 64 * box.x0 / native.width, 64 * box.x1 / native.width
        y0, y1 = 64 * box.y0 / native.height, 64 * box.y1 / native.height
        coarse[round(y0) : round(y1), round(x0) : round(x1)] = True
    return float(coarse.mean())


def _bounds(line: Line, native: NativePage) -> Box:
    return line.box.expanded(0.3 * line.size).clipped(native.width, native.height)


def _length(text: str) -> int:
    return sum(not character.isspace() for character in text)


def _is_address(text: str) -> bool:
    return "://" in text or "www." in text
