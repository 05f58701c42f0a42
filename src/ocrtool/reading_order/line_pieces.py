"""Splitting and joining of lines together with their words and styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ocrtool.document.tree import Line, Quad, Span, Word


def words_at(line: Line) -> list[tuple[int, int]] | None:
    """Return start and end of each word in the text of a line; nothing if a word is missing."""
    places: list[tuple[int, int]] = []
    at = 0
    for word in line.words:
        start = line.text.find(word.text, at)
        if start < 0:
            return None
        at = start + len(word.text)
        places.append((start, at))
    return places


def cut(line: Line, first: int, last: int) -> Line:
    """Return the part of a line from word ``first`` to before word ``last``."""
    words = line.words[first:last]
    if len(words) == len(line.words):
        return line
    places = words_at(line)
    letters = max(1, sum(len(word.text) for word in line.words))
    share = sum(len(word.text) for word in words) / letters
    one, two = words[0].quad, words[-1].quad
    text, spans = " ".join(word.text for word in words), []
    if places is not None:
        start, end = places[first][0], places[last - 1][1]
        text = line.text[start:end]
        for span in line.spans:
            a, b = max(span.start, start) - start, min(span.end, end) - start
            if a < b:
                spans.append(replace(span, start=a, end=b))
    return replace(
        line,
        text=text,
        confidence=line.confidence**share,
        quad=(one[0], two[1], two[2], one[3]),
        words=words,
        spans=tuple(spans),
    )


def joined(lines: Sequence[Line], between: str = " ") -> Line:
    """Return the pieces of a line as one line, their texts joined by ``between``."""
    if len(lines) == 1:
        return lines[0]
    text, spans = "", []
    for line in lines:
        start = len(text) + len(between) if text else 0
        text = f"{text}{between}{line.text}" if text else line.text
        spans += [replace(s, start=s.start + start, end=s.end + start) for s in line.spans]
    confidence = 1.0
    for line in lines:
        confidence *= line.confidence
    longest = max(lines, key=lambda line: len(line.text))
    words = tuple(word for line in lines for word in line.words)
    if not between and lines[0].words and lines[1].words:  # a word is split between two lines
        words = _joined_words(lines)
    return replace(
        longest,
        text=text,
        confidence=confidence,
        quad=_around(lines, longest),
        words=words,
        spans=_merged(spans),
    )


def style(line: Line, name: str) -> float:
    """Return the share of a line's characters that are ``bold``, ``italic`` or ``mono``."""
    letters = sum(not c.isspace() for c in line.text)
    inside = sum(
        not c.isspace()
        for span in line.spans
        if getattr(span, name)
        for c in line.text[span.start : span.end]
    )
    return inside / letters if letters else 0.0


def _joined_words(lines: Sequence[Line]) -> tuple[Word, ...]:
    words = list(lines[0].words)
    for line in lines[1:]:
        head, *rest = line.words
        last = words[-1]
        quad = (last.quad[0], head.quad[1], head.quad[2], last.quad[3])
        words[-1] = replace(last, text=last.text + head.text, quad=quad)
        words += rest
    return tuple(words)


def _around(lines: Sequence[Line], longest: Line) -> Quad:
    """Return the corners of joined lines: as long as all of them, as high as the longest."""
    one, two = lines[0].quad, lines[-1].quad
    if abs(longest.quad[0][1] - longest.quad[1][1]) < 0.5:  # horizontal
        top, foot = longest.quad[0][1], longest.quad[3][1]
        left = min(line.quad[0][0] for line in lines)
        right = max(line.quad[1][0] for line in lines)
        return (left, top), (right, top), (right, foot), (left, foot)
    return one[0], two[1], two[2], one[3]


def _merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Join equal spans with at most one character between them."""
    found: list[Span] = []
    for span in spans:
        last = found[-1] if found else None
        if (
            last
            and span.start - last.end <= 1
            and replace(last, start=0, end=0) == replace(span, start=0, end=0)
        ):
            found[-1] = replace(last, end=span.end)
        else:
            found.append(span)
    return tuple(found)
