"""Assembly of characters into text lines with word boundaries and styles.

Files order characters arbitrarily: a line may be stored as a whole or letter by letter, with or
without spaces, twice for a shadow, or with its superscripts elsewhere in the file. Therefore only
positions and type sizes are used here; distances are in ems.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from ocrtool.document.tree import Line, Point, Quad, Span, Word
from ocrtool.pdf.content import Floats, Ints, Letters
from ocrtool.pdf.fonts import (
    BOLD,
    ITALIC,
    MATH,
    MONO,
    is_right_to_left,
    is_unknown,
)

ASCENT_EMS = 0.74
"""Height of a line box above the baseline, in ems."""
DESCENT_EMS = 0.22
"""Height of a line box below the baseline, in ems."""
MAX_BASELINE_SHIFT = 0.12
"""Maximum baseline difference within one line, in ems; beyond it small letters are superscripts."""
MIN_ADVANCE = -0.7
"""Minimum gap to the next letter, in ems; negative for accents and kerned pairs."""
MAX_MARKER_GAP = 3.0
"""Gap, in ems, beyond which a list marker is a line of its own."""
MIN_LINE_GAP = 1.0
"""Minimum gap, in ems, that may separate two lines on one row."""
MAX_WORD_GAP = 1.5
"""Maximum gap, in ems, between words of one line."""
MAX_MONO_WORD_GAP = 2.0
"""Maximum word gap, in ems, in monospaced type, where two spaces follow a full stop."""
LINE_GAP_RATIO = 1.8
"""Minimum gap that separates lines, in median word gaps of the row."""
MAX_DISTANT_GAP = 0.75
"""Maximum gap, in ems, between pieces of one line that are not consecutive in the file; a column
gutter may be only one em wide."""
MAX_MARKER_LETTERS = 4
"""Maximum number of letters of a list marker, which may be stored far from its item."""
MIN_WORD_GAP = 0.13
"""Minimum gap between words, in ems, beyond the line's usual letter spacing."""
MIN_SPACE_GAP = 0.05
"""Minimum gap, in ems, at which a space character of the file is accepted."""
TRACKING_RANGE = (0.04, 0.6)
"""Minimum and maximum letter spacing, in ems, of tracked (letter-spaced) words."""
MAX_SPACED_SHARE = 0.4
"""Maximum share of letters preceded by a space; beyond it the spaces are letter spacing."""
SCRIPT_SIZE_RATIO = 0.88
"""Maximum size of superscripts and subscripts, relative to the adjacent letters."""
MIN_SUBSCRIPT_DROP = 0.06
"""Minimum baseline drop of a subscript, in ems."""
MAX_SCRIPT_GAP = 0.35
"""Maximum horizontal gap between a letter and its superscript or subscript, in ems."""
MAX_SCRIPT_LETTERS = 14
"""Maximum number of letters of a superscript or subscript; longer runs are a line beside a large
letter."""
MAX_SHADOW_OFFSET = 0.3
"""Maximum offset, in ems, of a duplicate of the same text that is a shadow or simulated bold."""
RULE_OVERLAP = 0.1
"""Maximum overlap, in ems, of a vertical rule with the letters that it separates."""
BULLET = "•"
"""Replacement for an unmapped list bullet."""
CAPTION_LABEL = re.compile(r"[^\W\d_]{3,12}\.? ?\d+(?:[.-]\d+)*[.:]?")
"""Label before a caption, such as "Table 1."."""


@dataclass(frozen=True)
class NativeLine:
    """A text line of the page's own text layer.

    Attributes:
        line: The line.
        math: Share of its characters in math fonts.
        first: Index of its first character in the file.
    """

    line: Line
    math: float
    first: int


@dataclass(frozen=True, eq=False)
class _Runs:
    """Runs of characters that are consecutive both in the file and on the page, R of them.

    Attributes:
        start: (R,) index of the first character.
        end: (R,) index after the last character.
        u0: (R,) start along the reading direction, in pixels.
        u1: (R,) end along the reading direction, in pixels.
        v: (R,) baseline, in pixels.
        size: (R,) type size, in pixels.
        turn: (R,) reading direction in whole degrees.
    """

    start: Ints
    end: Ints
    u0: Floats
    u1: Floats
    v: Floats
    size: Floats
    turn: Ints


def assemble_lines(
    letters: Letters,
    links: NDArray[np.int64] | None = None,
    targets: Sequence[str] = (),
    upright: Floats | None = None,
) -> list[NativeLine]:
    """Assemble characters into lines.

    Args:
        letters: Characters in file order.
        links: (N,) index into ``targets`` of each character's link; -1 for none.
        targets: Link targets.
        upright: (K, 3) x, top and bottom of vertical rules, which separate horizontal text.

    Returns:
        Lines in file order.
    """
    if not len(letters.text):
        return []
    if links is None:
        links = np.full(len(letters.text), -1)
    if upright is None:
        upright = np.zeros((0, 3))
    rtl_rows = {
        row
        for row, char in zip(letters.row.tolist(), letters.text, strict=True)
        if char > "\u0590" and is_right_to_left(char)
    }
    found: list[NativeLine] = []
    if rtl_rows:
        rtl = np.isin(letters.row, list(rtl_rows))
        found += _right_to_left(letters, np.flatnonzero(rtl))
        places = np.flatnonzero(~rtl)
    else:
        places = np.arange(len(letters.text))
    if len(places):
        own = letters.of(places) if rtl_rows else letters
        setting = _LineBuilder(own, links[places], targets, upright, places)
        runs = _runs(own)
        for group in _line_groups(runs):
            found += setting.lines(runs, group)
    found.sort(key=lambda line: line.first)
    return _without_duplicates(found)


def _runs(letters: Letters) -> _Runs:
    u, v, width, size, turn = letters.u, letters.v, letters.width, letters.size, letters.turn
    larger = np.maximum(size[1:], size[:-1])
    gap = u[1:] - (u[:-1] + width[:-1])
    breaks = (
        (np.abs(turn[1:] - turn[:-1]).max(axis=1) > 0.02)
        | (np.abs(v[1:] - v[:-1]) > MAX_BASELINE_SHIFT / 2 * larger)
        | (gap > MAX_WORD_GAP * larger)
        | (gap < MIN_ADVANCE * larger)
        | (np.minimum(size[1:], size[:-1]) < SCRIPT_SIZE_RATIO * larger)
    )
    # A letter drawn twice moves back by less than ``MIN_ADVANCE`` allows.
    wide = np.minimum(width[1:], width[:-1]) > 0.15 * larger
    again = wide & (u[1:] - u[:-1] < MAX_SHADOW_OFFSET / 2 * larger)
    for i in np.flatnonzero(again).tolist():
        breaks[i] |= letters.text[i] == letters.text[i + 1]
    edges = np.concatenate(([0], np.flatnonzero(breaks) + 1, [len(u)]))
    start, end = edges[:-1], edges[1:]
    ends = u + width
    directions = np.round(np.degrees(np.arctan2(turn[start, 1], turn[start, 0]))).astype(np.int64)
    return _Runs(
        start,
        end,
        np.minimum.reduceat(u, start),
        np.maximum.reduceat(ends, start),
        v[start],
        np.maximum.reduceat(size, start),
        directions,
    )


def _line_groups(runs: _Runs) -> Iterator[list[int]]:
    """Yield the indices of the runs of each line, from its start to its end."""
    parent = list(range(len(runs.start)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for turn in np.unique(runs.turn).tolist():
        some = np.flatnonzero(runs.turn == turn)
        if len(some) > 1:
            for i, j in _neighbours(runs, some):
                parent[root(i)] = root(j)
    groups: dict[int, list[int]] = {}
    for i in range(len(parent)):
        groups.setdefault(root(i), []).append(i)
    for group in groups.values():
        yield sorted(group, key=lambda i: (runs.u0[i], i))


def _neighbours(runs: _Runs, some: Ints) -> list[tuple[int, int]]:
    """Return pairs of runs that are adjacent in one line."""
    some = some[np.argsort(runs.v[some], kind="stable")]
    v, size = runs.v[some], runs.size[some]
    low = np.searchsorted(v, v - 0.8 * size)
    high = np.searchsorted(v, v + 0.8 * size, side="right")
    counts = high - low
    i = np.repeat(np.arange(len(some)), counts)
    j = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + low[i]
    larger = (size[i] > size[j]) | ((size[i] == size[j]) & (i < j))
    i, j = some[i[larger]], some[j[larger]]
    em = runs.size[i]
    gap = np.maximum(runs.u0[j] - runs.u1[i], runs.u0[i] - runs.u1[j]) / em
    rise = (runs.v[j] - runs.v[i]) / em  # positive: lower on the page
    share = runs.size[j] / em
    rows = _row_numbers(runs)
    left = np.where(runs.u0[i] < runs.u0[j], i, j)
    marker = runs.end[left] - runs.start[left] <= MAX_MARKER_LETTERS
    near = np.where((rows[i] == rows[j]) | marker, MAX_WORD_GAP, MAX_DISTANT_GAP)
    level = (np.abs(rise) <= MAX_BASELINE_SHIFT * share) & (gap <= near * share) & (gap >= -0.3)
    short = runs.end[j] - runs.start[j] <= MAX_SCRIPT_LETTERS
    small = (runs.size[j] <= SCRIPT_SIZE_RATIO * em) & short
    script = small & (rise > -0.8) & (rise < 0.5) & (gap <= MAX_SCRIPT_GAP) & (gap >= -0.3)
    chosen = level | script
    return list(zip(i[chosen].tolist(), j[chosen].tolist(), strict=True))


def _row_numbers(runs: _Runs) -> Ints:
    """Return (R,) row numbers; consecutive runs share one while the baseline stays the same."""
    larger = np.maximum(runs.size[1:], runs.size[:-1])
    other = (np.abs(np.diff(runs.v)) > 0.8 * larger) | (np.diff(runs.turn) != 0)
    return np.concatenate(([0], np.cumsum(other)))


class _LineBuilder:
    """Builds lines with words and styles from runs."""

    def __init__(
        self,
        letters: Letters,
        links: Ints,
        targets: Sequence[str],
        upright: Floats,
        numbers: Ints,
    ) -> None:
        self.letters = letters
        self.links = links
        self.targets = targets
        self.upright = upright
        self.numbers = numbers
        self.has_math = bool((letters.style & MATH).any())
        self.keys = (letters.style & (BOLD | ITALIC | MONO)) + 16 + 64 * (links + 1)

    def lines(self, runs: _Runs, group: Sequence[int]) -> Iterator[NativeLine]:
        """Yield the lines of one row of runs, split at wide gaps."""
        own = self.letters
        alike = len(group) == 1  # a single run has no superscripts or subscripts
        if alike:
            run = group[0]
            order = np.arange(runs.start[run], runs.end[run])
            size, foot = float(runs.size[run]), float(runs.v[run])
        else:
            order = np.concatenate([np.arange(runs.start[i], runs.end[i]) for i in group])
            size, foot = self._main_size_and_baseline(order)
        u, width = own.u[order], own.width[order]
        reach = np.maximum.accumulate(u + width)
        em = np.maximum(own.size[order][1:], own.size[order][:-1])
        gaps = (u[1:] - reach[:-1]) / em
        spaces = self._word_boundaries(order, gaps)
        cuts = self._line_cuts(order, gaps, spaces, foot)
        starts, ends = [0, *(c + 1 for c in cuts)], [*(c + 1 for c in cuts), len(order)]
        for a, b in zip(starts, ends, strict=True):
            if len(starts) > 1 and not alike:
                size, foot = self._main_size_and_baseline(order[a:b])
            breaks = (spaces[a : b - 1].nonzero()[0] + 1).tolist()
            yield self._line(order[a:b], [0, *breaks, b - a], size, foot, alike)

    def _main_size_and_baseline(self, order: Ints) -> tuple[float, float]:
        """Return the predominant type size and baseline of a line."""
        sizes, feet = self.letters.size[order], self.letters.v[order]
        if sizes[0] == sizes[-1] and np.ptp(sizes) < 0.01 and np.ptp(feet) < 0.01:
            return float(sizes[0]), float(feet[0])
        steps, counts = np.unique(np.round(sizes * 4), return_counts=True)
        main = steps[np.argmax(counts * np.sqrt(steps))] / 4
        chosen = np.abs(sizes - main) < 0.15
        return float(np.median(sizes[chosen])), float(np.median(feet[chosen]))

    def _word_boundaries(self, order: Ints, gaps: Floats) -> NDArray[np.bool_]:
        """Return between which characters of a line there is a word boundary."""
        own = self.letters
        usual = 0.0
        if len(gaps) >= 4:
            usual = float(sorted(gaps.tolist())[int(0.3 * (len(gaps) - 1))])
            if usual > TRACKING_RANGE[0]:
                letters = sum(own.text[i].isalpha() for i in order.tolist())
                if usual > TRACKING_RANGE[1] or letters < 0.7 * len(order):
                    usual = 0.0
            usual = max(usual, -0.1)
        marked = own.spaced[order][1:]
        tracked = usual > TRACKING_RANGE[0]
        spaces = gaps > usual + max(MIN_WORD_GAP, 0.5 * usual)
        if tracked and marked.mean() > MAX_SPACED_SHARE:
            # "C H A P T E R": spaces between all letters are no word boundaries.
            return spaces
        return spaces | (marked & (gaps > MIN_SPACE_GAP + max(usual, 0.0)))

    def _line_cuts(
        self, order: Ints, gaps: Floats, spaces: NDArray[np.bool_], foot: float
    ) -> list[int]:
        """Return the indices of the characters after which a row is split into lines."""
        between = np.flatnonzero(spaces)
        if not len(between):
            return []
        white = gaps[between]
        cuts: set[int] = set()
        if white.max() > MIN_LINE_GAP:
            usual = float(np.median(white)) if len(white) >= 3 else 0.0
            limit = min(max(MIN_LINE_GAP, LINE_GAP_RATIO * usual), MAX_WORD_GAP)
            if (self.letters.style[order] & MONO).mean() > 0.5:
                limit = MAX_MONO_WORD_GAP
            for k, place in enumerate(between.tolist()):
                if white[k] > limit and not (
                    not cuts
                    and white[k] < MAX_MARKER_GAP
                    and self._is_marker(order[: place + 1], between[:k])
                ):
                    cuts.add(place)
        if len(self.upright) and self.letters.turn[order[0], 0] > 0.999:
            own = self.letters
            middle = foot - 0.3 * own.size[order[0]]
            x = self.upright[(self.upright[:, 1] < middle) & (self.upright[:, 2] > middle), 0]
            if len(x):
                margin = RULE_OVERLAP * own.size[order[0]]
                left = own.u[order[between]] + own.width[order[between]] - margin
                right = own.u[order[between + 1]] + margin
                crossed = ((x > left[:, None]) & (x < right[:, None])).any(axis=1)
                cuts |= set(between[crossed].tolist())
        return sorted(cuts)

    def _is_marker(self, order: Ints, breaks: Ints) -> bool:
        """Tell whether the characters before a wide gap are a list marker or a caption label."""
        spaces = set(breaks.tolist())
        text = "".join(
            self.letters.text[i] + " " * (k in spaces) for k, i in enumerate(order.tolist())
        )
        if CAPTION_LABEL.fullmatch(text):
            return bool((self.letters.style[order] & BOLD).all()) or text[-1] in ".:"
        if len(text) > 8:
            return False
        bare = text.strip("().[]:")
        if not bare or (len(text) == 1 and not text.isalnum()):
            return text != "|"
        dotted = all(part.isdigit() for part in bare.split(".")) and text != bare
        short = len(bare) <= 4 and text != bare and bare.isalnum()
        bold = bool((self.letters.style[order] & BOLD).all())
        return dotted or short or (bold and bare.replace(".", "").isdigit())

    def _line(
        self, order: Ints, edges: list[int], size: float, foot: float, alike: bool
    ) -> NativeLine:
        own = self.letters
        places = order.tolist()
        texts = [own.text[i] for i in places]
        words = ["".join(texts[a:b]) for a, b in itertools.pairwise(edges)]
        cosine, sine = own.turn[places[0]].tolist()
        u0 = own.u[order]
        u1 = u0 + own.width[order]
        lows = np.minimum.reduceat(u0, edges[:-1]).tolist()
        highs = np.maximum.reduceat(u1, edges[:-1]).tolist()
        head, base = foot - ASCENT_EMS * size, foot + DESCENT_EMS * size
        quads = [
            _quad(low, max(high, low + 0.05 * size), head, base, cosine, sine)
            for low, high in zip(lows, highs, strict=True)
        ]
        if len(words) > 1 and len(words[0]) == 1 and is_unknown(words[0]):
            words[0] = BULLET  # an unmapped glyph before text
        kept = [(word, quad) for word, quad in zip(words, quads, strict=True) if word]
        quad = _quad(min(lows), max(max(highs), min(lows) + 0.05 * size), head, base, cosine, sine)
        line = Line(
            " ".join(word for word, _ in kept),
            1.0,
            quad,
            tuple(Word(word, 1.0, place) for word, place in kept),
            size,
            self._spans(order, texts, edges, 0.0 if alike else size, foot),
        )
        math = float((own.style[order] & MATH > 0).mean()) if self.has_math else 0.0
        return NativeLine(line, math, int(self.numbers[order].min()))

    def _spans(
        self, order: Ints, texts: list[str], edges: list[int], size: float, foot: float
    ) -> tuple[Span, ...]:
        own = self.letters
        keys = self.keys[order]
        if size:
            rise, small = foot - own.v[order], own.size[order] <= SCRIPT_SIZE_RATIO * size
            raised, lowered = rise > MAX_BASELINE_SHIFT * size, rise < -MIN_SUBSCRIPT_DROP * size
            keys = keys + 16 * (small & raised) - 16 * (small & lowered)
        key = keys.tolist()
        if key.count(16) == len(key):
            return ()
        spans: list[Span] = []
        starts = set(edges)
        at, begun, last = 0, 0, key[0]
        for k, text in enumerate(texts):
            space = 1 if k and k in starts else 0
            if key[k] != last:
                if at > begun:
                    spans += _span(begun, at, last, self.targets)
                begun, last = at + space, key[k]
            at += space + len(text)
        spans += _span(begun, at, last, self.targets)
        return tuple(spans)


def _span(start: int, end: int, key: int, targets: Sequence[str]) -> list[Span]:
    link, rest = divmod(key, 64)
    script, style = divmod(rest, 16)
    if end <= start or (not style and script == 1 and not link):
        return []
    return [
        Span(
            start,
            end,
            bold=bool(style & BOLD),
            italic=bool(style & ITALIC),
            mono=bool(style & MONO),
            script=cast(Literal[-1, 0, 1], script - 1),
            link=targets[link - 1] if link else "",
        )
    ]


def _quad(u0: float, u1: float, head: float, base: float, cosine: float, sine: float) -> Quad:
    if sine == 0 and cosine == 1:
        return (u0, head), (u1, head), (u1, base), (u0, base)

    def point(u: float, v: float) -> Point:
        return u * cosine - v * sine, u * sine + v * cosine

    return point(u0, head), point(u1, head), point(u1, base), point(u0, base)


def _without_duplicates(lines: list[NativeLine]) -> list[NativeLine]:
    """Drop duplicates of lines at a small offset: shadows and simulated bold type."""
    dropped: set[int] = set()
    seen: dict[str, list[int]] = {}
    for i, found in enumerate(lines):
        line = found.line
        for j in seen.get(line.text, ()):
            other = lines[j].line
            near = MAX_SHADOW_OFFSET * line.size
            if all(
                abs(a - b) <= near
                for one, two in zip(line.quad, other.quad, strict=True)
                for a, b in zip(one, two, strict=True)
            ):
                dropped.add(j)  # the later one is painted on top
        seen.setdefault(line.text, []).append(i)
    return [line for i, line in enumerate(lines) if i not in dropped]


def _right_to_left(letters: Letters, places: Ints) -> Iterator[NativeLine]:
    """Yield lines with right-to-left letters, in logical order.

    MuPDF has already ordered the characters of each of its rows; adjacent rows are joined here.
    """
    rows = np.split(places, np.flatnonzero(np.diff(letters.row[places])) + 1)
    joined: list[list[Ints]] = []
    for row in rows:
        if joined and _continues(letters, joined[-1][-1], row):
            joined[-1].append(row)
        else:
            joined.append([row])
    for parts in joined:
        order = np.concatenate(parts)
        texts, tokens = _tokens(letters, order)
        size = float(np.median(letters.size[order]))
        foot = float(np.median(letters.v[order]))
        cosine, sine = letters.turn[order[0]].tolist()
        head, base = foot - ASCENT_EMS * size, foot + DESCENT_EMS * size
        words = []
        for a, b in zip(tokens, [*tokens[1:], len(order)], strict=True):
            chosen = order[a:b]
            low = float(letters.u[chosen].min())
            high = float((letters.u + letters.width)[chosen].max())
            words.append(Word("".join(texts[a:b]), 1.0, _quad(low, high, head, base, cosine, sine)))
        low = float(letters.u[order].min())
        high = float((letters.u + letters.width)[order].max())
        text = " ".join(word.text for word in words)
        quad = _quad(low, high, head, base, cosine, sine)
        line = Line(text, 1.0, quad, tuple(words), size)
        yield NativeLine(line, 0.0, int(order[0]))


def _continues(letters: Letters, before: Ints, row: Ints) -> bool:
    size = letters.size[row[0]]
    if abs(letters.v[row[0]] - letters.v[before[0]]) > MAX_BASELINE_SHIFT * size:
        return False
    if np.abs(letters.turn[row[0]] - letters.turn[before[0]]).max() > 0.02:
        return False
    ends = letters.u + letters.width
    return bool(-0.3 * size <= letters.u[before].min() - ends[row].max() <= MAX_WORD_GAP * size)


def _tokens(letters: Letters, order: Ints) -> tuple[list[str], list[int]]:
    """Return the text of each character of a line, and the indices at which words begin."""
    texts = [letters.text[i] for i in order.tolist()]
    u0 = letters.u[order]
    u1 = u0 + letters.width[order]
    size = letters.size[order]
    flat = letters.width[order] < 0.02 * size
    for k in range(len(texts) - 1):
        # The second letter of a ligature has no width; in reversed rows it comes first.
        if flat[k] and not flat[k + 1] and abs(u0[k] - u1[k + 1]) < 0.05 * size[k]:
            texts[k], texts[k + 1] = texts[k + 1], texts[k]
    kinds = [is_right_to_left(text) for text in texts]
    edges = [0] + [
        k for k in range(1, len(texts)) if letters.spaced[order[k]] or kinds[k] != kinds[k - 1]
    ]
    starts = [0]
    for n in range(1, len(edges)):
        a, b = edges[n - 1], edges[n]
        c = edges[n + 1] if n + 1 < len(edges) else len(texts)
        gap = max(u0[b:c].min() - u1[a:b].max(), u0[a:b].min() - u1[b:c].max())
        if letters.spaced[order[b]] or gap > MIN_WORD_GAP * size[b]:
            starts.append(b)
    return texts, starts
