"""The text of blocks with the ways in which its parts are set.

A block's text is more than its lines: split words are joined, rows and columns are kept by white
space. How letters are set is known of the lines alone. So the words of the lines are aligned with
the parts of the text between its white space, and what is known of the ones is told of the others.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Literal

from ocrtool.document.geometry import words_of
from ocrtool.document.hyphenation import HYPHENS, SOFT, seam
from ocrtool.document.tree import Block, Line
from ocrtool.writers.low_confidence import MARK

Attribute = Literal["link", "struck", "bold", "italic", "script", "mono"]
ATTRIBUTES: tuple[Attribute, ...] = ("link", "struck", "bold", "italic", "script", "mono")
"""From the outermost to the innermost where all reach equally far."""
LETTERED: tuple[Attribute, ...] = ("bold", "italic", "mono")
"""Those that mean nothing where there is no letter or digit."""
MOSTLY = 0.6
"""Share of a text's letters from which a way of setting is that of the whole, not of a part."""
LEADS_OUT = re.compile(r"(?:https?|ftp)://\S|(?:mailto|tel|doi):\S", re.IGNORECASE)
"""Links that are written; those within the file lead nowhere in another form, others may harm."""


@dataclass(frozen=True)
class TextStyle:
    """How a character is set; see :class:`ocrtool.document.tree.Span`.

    Attributes:
        bold: In bold type.
        italic: In sloped type.
        mono: In type of one width.
        script: 1 where it is raised, -1 where it is lowered, else 0.
        link: Where it leads, empty where nowhere.
        page: Of the place where a page begins, its number; that character is not shown.
        struck: Struck out.
    """

    bold: bool = False
    italic: bool = False
    mono: bool = False
    script: Literal[-1, 0, 1] = 0
    link: str = ""
    page: int = 0
    struck: bool = False


PLAIN = TextStyle()


@dataclass(frozen=True)
class Runs:
    """A text of which it is known how each character is set.

    Attributes:
        text: Its characters.
        styles: As many.
    """

    text: str = ""
    styles: tuple[TextStyle, ...] = ()

    @classmethod
    def plain(cls, text: str, style: TextStyle = PLAIN) -> Runs:
        """Return a text that is set in one way."""
        return cls(text, (style,) * len(text))

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, part: slice) -> Runs:
        return Runs(self.text[part], self.styles[part])

    def __add__(self, other: Runs) -> Runs:
        return Runs(self.text + other.text, self.styles + other.styles)

    def strip(self) -> Runs:
        """Return it without white space at its ends."""
        start = len(self.text) - len(self.text.lstrip())
        return self[start : max(start, len(self.text.rstrip()))]

    def rows(self) -> list[Runs]:
        """Return what stands between its line feeds."""
        places = [-1, *(i for i, c in enumerate(self.text) if c == "\n"), len(self)]
        return [self[a + 1 : b] for a, b in itertools.pairwise(places)]

    def each(self, change: Callable[[TextStyle], TextStyle]) -> Runs:
        """Return it with every style changed."""
        known = {style: change(style) for style in set(self.styles)}
        return Runs(self.text, tuple(known[style] for style in self.styles))

    def share(self, attribute: Attribute) -> float:
        """Return the share of its letters that are set in a way."""
        letters = [s for c, s in zip(self.text, self.styles, strict=True) if c.isalnum()]
        return sum(bool(getattr(s, attribute)) for s in letters) / max(1, len(letters))

    def without(self, *attributes: Attribute) -> Runs:
        """Return it without some ways of setting."""
        empty = {name: getattr(PLAIN, name) for name in attributes}
        return self.each(lambda style: replace(style, **empty))

    def italicised(self) -> Runs:
        """Return it in sloped type."""
        return self.each(lambda style: replace(style, italic=True))


def runs_of_block(block: Block, min_confidence: float = 0.0) -> Runs:
    """Return a block's text, ``[?]`` in the place of each word below ``min_confidence``."""
    return runs_of(block.text, block.lines, min_confidence)


def runs_of(text: str, lines: Iterable[Line], min_confidence: float = 0.0) -> Runs:
    """Return a text made of some lines; what is not found in them is plain."""
    sources = [part for line in lines for part in _parts(line, min_confidence)]
    if not any(part.told for part in sources):
        return Runs.plain(text)
    places = list(re.finditer(r"\S+", text))
    result: list[Runs] = []
    position = 0
    matched = _matched([place.group() for place in places], sources)
    for place, origin in zip(places, matched, strict=True):
        result.append(Runs.plain(text[position : place.start()]))
        position = place.end()
        doubtful = any(part.doubtful for part in origin)
        result.append(Runs.plain(MARK) if doubtful else _styled(place.group(), origin))
        if any(part.ends_doubtful_line for part in origin):
            result.append(Runs.plain(f" {MARK}"))
    result.append(Runs.plain(text[position:]))
    styles = tuple(style for runs in result for style in runs.styles)
    return Runs("".join(runs.text for runs in result), styles)


def line_runs(lines: Sequence[Line], min_confidence: float = 0.0) -> Runs:
    """Return lines run on to one, split words mended."""
    return run_on([runs_of(line.text, (line,), min_confidence) for line in lines])


def run_on(rows: Iterable[Runs]) -> Runs:
    """Return the rows of a paragraph as one; see :func:`ocrtool.document.hyphenation.run_on`."""
    whole = Runs()
    for row in (row.strip() for row in rows):
        if whole and row:
            dropped, between = seam(whole.text[-100:], row.text)
            whole = whole[: len(whole) - dropped] + Runs.plain(between) + row
        else:
            whole = whole or row
    return whole


@dataclass(frozen=True)
class _Part:
    """A word of a line."""

    text: str
    styles: tuple[TextStyle, ...]
    doubtful: bool
    ends_doubtful_line: bool = False

    @property
    def told(self) -> bool:
        """Whether there is anything to tell of it."""
        return (
            self.doubtful or self.ends_doubtful_line or any(style != PLAIN for style in self.styles)
        )


def _parts(line: Line, min_confidence: float) -> list[_Part]:
    styles = [PLAIN] * len(line.text)
    for span in line.spans:
        link = span.link if LEADS_OUT.match(span.link) else ""
        style = TextStyle(span.bold, span.italic, span.mono, span.script, link, struck=span.struck)
        styles[span.start : span.end] = [style] * len(styles[span.start : span.end])
    parts, position = [], 0
    for word in words_of(line):
        start = line.text.find(word.text, position)
        found = tuple(styles[start : start + len(word.text)]) if start >= 0 else ()
        position = start + len(word.text) if start >= 0 else position
        whole = found if len(found) == len(word.text) else (PLAIN,) * len(word.text)
        parts.append(_Part(word.text, whole, word.confidence < min_confidence))
    if parts and line.is_doubtful and not any(part.doubtful for part in parts):
        parts[-1] = replace(parts[-1], ends_doubtful_line=True)
    return parts


def _matched(texts: Sequence[str], sources: Sequence[_Part]) -> list[Sequence[_Part]]:
    """Return of which parts each piece of a text was made."""
    found: list[Sequence[_Part]] = []
    i = 0
    for text in texts:
        taken = 1
        while i + taken <= len(sources) and not _makes(sources[i : i + taken], text):
            taken += 1
            if taken > 4:
                return _aligned(texts, sources)
        if i + taken > len(sources):
            return _aligned(texts, sources)
        found.append(sources[i : i + taken])
        i += taken
    return found if i == len(sources) else _aligned(texts, sources)


def _makes(parts: Sequence[_Part], text: str) -> bool:
    """Tell whether parts, at most hyphens between them left out, are a text."""
    if len(parts) == 1:
        return parts[0].text == text
    first, rest = parts[0].text, text
    for part in parts:
        first = part.text
        if rest.startswith(first) and (rest != first or part is parts[-1]):
            rest = rest[len(first) :]
        elif first[-1:] in HYPHENS + SOFT and rest.startswith(first[:-1]):
            rest = rest[len(first) - 1 :]
        else:
            return False
    return not rest


def _aligned(texts: Sequence[str], sources: Sequence[_Part]) -> list[Sequence[_Part]]:
    """Do the same where text and lines differ by more than split words."""
    found: list[Sequence[_Part]] = [()] * len(texts)
    matcher = SequenceMatcher(None, [part.text for part in sources], texts, autojunk=False)
    for _, i0, i1, j0, j1 in matcher.get_opcodes():
        for j in range(j0, j1):
            same = i1 - i0 == j1 - j0
            found[j] = sources[i0 + j - j0 : i0 + j - j0 + 1] if same else sources[i0:i1]
    return found


def _styled(text: str, parts: Sequence[_Part]) -> Runs:
    """Return a piece of a text, each character set as in the parts that it was made of."""
    letters = "".join(part.text for part in parts)
    known = [style for part in parts for style in part.styles]
    styles: list[TextStyle] = []
    place = 0
    for character in text:
        found = letters.find(character, place)
        if 0 <= found <= place + 1:
            place = found + 1
            styles.append(known[found])
        else:
            styles.append(styles[-1] if styles else PLAIN)
    return Runs(text, tuple(styles))


Piece = tuple[str, TextStyle]
"""Characters that are set alike."""


def settled(runs: Runs) -> list[Piece]:
    """Return runs as they are written: white space is set as both its neighbours are.

    So nothing begins or ends with white space, and words that are set alike are set as one.
    Signs without a letter or digit are not bold and the like of themselves. Type of one width is
    nothing of its own where it is that of the whole.
    """
    if all(style is PLAIN or style == PLAIN for style in set(runs.styles)):
        return [(runs.text, PLAIN)] if runs.text else []
    if runs.share("mono") > MOSTLY:
        runs = runs.without("mono")
    styles = list(runs.styles)
    for space in re.finditer(r"\s+", runs.text):
        start, end = space.span()
        before = styles[start - 1] if start else PLAIN
        after = styles[end] if end < len(styles) else PLAIN
        both = _common(before, after)
        styles[start:end] = [both if not style.page else style for style in styles[start:end]]
    pieces: list[Piece] = []
    start = 0
    for style, group in itertools.groupby(styles):
        end = start + sum(1 for _ in group)
        pieces.append((runs.text[start:end], style))
        start = end
    for name in LETTERED:
        pieces = _without_signs(pieces, name)
    return pieces


def _common(one: TextStyle, other: TextStyle) -> TextStyle:
    if one is other or one == other:
        return one
    same = {
        name: getattr(one, name)
        for name in ATTRIBUTES
        if getattr(one, name) == getattr(other, name)
    }
    return replace(PLAIN, **same)


def _without_signs(pieces: Sequence[Piece], name: Attribute) -> list[Piece]:
    """Return pieces plain in a way where no letter or digit is set so."""
    result: list[Piece] = []
    for marked, group in itertools.groupby(pieces, lambda piece: bool(getattr(piece[1], name))):
        some = list(group)
        if marked and not any(c.isalnum() for text, _ in some for c in text):
            empty = {name: getattr(PLAIN, name)}
            some = [(text, replace(style, **empty)) for text, style in some]
        result += some
    return result


class Inline(ABC):
    """Writes runs in a form, one way of setting inside the other; forms say how.

    The way that reaches furthest is the outermost.
    """

    def write(self, runs: Runs) -> str:
        """Return runs, white space at their ends left out."""
        return self._write(settled(runs.strip()), frozenset())

    @abstractmethod
    def text(self, text: str) -> str:
        """Return plain text so that it is shown as it is."""

    @abstractmethod
    def wrap(self, name: Attribute, style: TextStyle, inner: str, before: str, after: str) -> str:
        """Return what is set in a way.

        Args:
            name: Which way.
            style: Tells more of it.
            inner: What is set, already written, no white space at its ends; of ``mono`` the
                plain text.
            before: What is written right before it, from the last white space on.
            after: The character behind it, as the text has it; empty at the end.
        """

    def page(self, number: int) -> str:
        """Return the sign that a page begins here."""
        return ""

    def _write(self, pieces: Sequence[Piece], within: frozenset[Attribute]) -> str:
        result = ""
        i = 0
        while i < len(pieces):
            text, style = pieces[i]
            names = [name for name in ATTRIBUTES if getattr(style, name) and name not in within]
            if style.page:
                result += self.page(style.page)
                i += 1
            elif not names:
                j = i + 1
                while j < len(pieces) and self._is_plain(pieces[j][1], within):
                    text += pieces[j][0]
                    j += 1
                result += self.text(text)
                i = j
            else:
                ends = {name: self._end(pieces, i, name) for name in names}
                if len(names) > 1:  # in code nothing else can be set
                    ends.pop("mono", None)
                name = max(ends, key=lambda name: ends[name])
                after = pieces[ends[name]][0][:1] if ends[name] < len(pieces) else ""
                result += self._wrapped(name, pieces[i : ends[name]], within, result, after)
                i = ends[name]
        return result

    def _wrapped(
        self,
        name: Attribute,
        pieces: Sequence[Piece],
        within: frozenset[Attribute],
        before: str,
        after: str,
    ) -> str:
        """Return pieces set in a way; white space at their ends stays outside."""
        whole = "".join(text for text, _ in pieces)
        lead = whole[: len(whole) - len(whole.lstrip())]
        trail = whole[len(whole.rstrip()) :]
        if not whole.strip():
            return whole
        first, last = pieces[0], pieces[-1]
        core = [first, *pieces[1:]] if not lead else [(first[0].lstrip(), first[1]), *pieces[1:]]
        if trail:
            core[-1] = (core[-1][0].rstrip(), last[1])
        inner = whole.strip() if name == "mono" else self._write(core, within | {name})
        said = lead or before.rpartition(" ")[2]
        return lead + self.wrap(name, first[1], inner, said, trail[:1] or after) + trail

    @staticmethod
    def _is_plain(style: TextStyle, within: frozenset[Attribute]) -> bool:
        return not style.page and not any(
            getattr(style, name) for name in ATTRIBUTES if name not in within
        )

    @staticmethod
    def _end(pieces: Sequence[Piece], start: int, name: Attribute) -> int:
        first = pieces[start][1]
        end = start + 1
        while end < len(pieces) and getattr(pieces[end][1], name) == getattr(first, name):
            if name == "mono" and pieces[end][1] != first:
                break
            end += 1
        return end
