"""Synthetic documents with running text: books, papers, newspapers, letters, typescripts.

Each kind is a function of a random generator and a ``TypeLibrary`` that returns a ``Canvas``.
Lines are recorded in reading order: running header, columns from left to right with marginal notes
after their column, footnotes, page number.
"""

from __future__ import annotations

import re
from html import escape

import numpy as np

from ocrtool.synth.canvas import Canvas, PlacedLine, Rect, open_face
from ocrtool.synth.page_composer import SHEETS, PageComposer, new_composer
from ocrtool.synth.typefaces import TypeLibrary, marked_up

Random = np.random.Generator

MINUS = "\N{MINUS SIGN}"
"""The minus sign, which differs from the hyphen."""


def _running_head(s: PageComposer, margin: float, y: float) -> None:
    """Set title and page number at the top of a page."""
    width = s.canvas.width
    number = s.one([str(s.count(2, 480)), "xiv", "vii", f"- {s.count(1, 99)} -"])
    size = s.size * s.uniform(0.75, 1.0)
    kind = s.rng.random()
    if kind < 0.5:
        title = s.fit(s.heading(1, 5), width - 2 * margin - 60, size)
        left = s.yes(0.5)
        if left:
            s.label(margin, y, number, size)
        spacing = s.uniform(0, 0.12) * size if title.isupper() else 0.0
        s.label(width / 2, y, s.fit(title, width - 2 * margin - 90, size), size,
                anchor="middle", italic=s.yes(0.4), spacing=spacing)  # fmt: skip
        if not left:
            s.label(width - margin, y, number, size, anchor="right")
    elif kind < 0.75:
        s.label(width / 2, y, number, size, anchor="middle")
    else:
        s.label(margin, y, s.fit(s.heading(2, 6), width - 2 * margin, size), size)
    if s.yes(0.2):
        s.rule(margin, y + 0.6 * size, width - margin, y + 0.6 * size)


def _notes(s: PageComposer, box: Rect) -> float:
    """Set footnotes at the bottom of a box; return their top."""
    x0, y0, x1, y1 = box
    size = s.size * s.uniform(0.7, 0.85)
    count = s.count(1, 3)
    width = 0.45 * size
    lines = [s.count(1, 3) for _ in range(count)]
    top = y1 - sum(lines) * 1.25 * size
    if top < y0 + 0.4 * (y1 - y0):
        return y1
    if s.yes(0.7):
        s.rule(x0, top - 0.8 * size, x0 + (x1 - x0) * s.uniform(0.2, 1.0), top - 0.8 * size, 0.4)
    html = "".join(
        f'<p id="n{i}"><sup>{i + 1}</sup> '
        f"{marked_up(s.rng, s.prose(10, int(n * (x1 - x0) / width) - 12))}</p>"
        for i, n in enumerate(lines)
    )
    css = f"body{{font-size:{size:.2f}px;line-height:1.15;text-align:justify}}"
    s.flow(html, [(x0, top, x1, y1 + 0.3 * size)], css)
    return top - 1.6 * size


def book(rng: Random, press: TypeLibrary) -> Canvas:
    """A book page, optionally the first of a chapter, with a figure or footnotes."""
    s = new_composer(rng, press)
    width, height = s.canvas.width, s.canvas.height
    margin = width * s.uniform(0.06, 0.16)
    top, bottom = height * s.uniform(0.07, 0.12), height * s.uniform(0.88, 0.95)
    below: list[tuple[float, float, str]] = []
    if s.yes(0.75):
        _running_head(s, margin, top - 1.2 * s.size)
    elif s.yes(0.7):
        below.append((width / 2, min(height - 8, bottom + 2.2 * s.size), str(s.count(1, 700))))
    x0, x1, y = margin, width - margin, top
    if s.yes(0.2):
        y = _chapter(s, x0, x1, y)
    end = bottom
    first_line = len(s.canvas.lines)
    notes: list[PlacedLine] = []
    if s.yes(0.25):
        end = _notes(s, (x0, y, x1, bottom))
        notes = s.canvas.lines[first_line:]
        del s.canvas.lines[first_line:]
    text = s.paragraphs(int(2.6 * (x1 - x0) * (end - y) / s.size**2), s.count(200, 1600))
    if s.yes(0.12):
        text = f'<div style="font-style:italic">{text}</div>'
    css = s.css()
    if s.yes(0.2):  # a figure between two parts of the text
        tall = (end - y) * s.uniform(0.2, 0.45)
        at = y + (end - y - tall) * s.uniform(0, 0.9)
        wide = (x1 - x0) * s.uniform(0.4, 1.0)
        inset = (x1 - x0 - wide) / 2
        if at > y + 3 * s.size:
            s.flow(text, [(x0, y, x1, at - s.size)], css)
        caption = at + tall - 2.6 * s.size
        s.figure((x0 + inset, at, x1 - inset, caption - 1.2 * s.size))
        text_below = s.fit(f"{s.one(['Fig.', 'Figure', 'Abb.', 'Plate'])} {s.count(1, 90)}. "
                           f"{s.prose(10, 60)}", x1 - x0, 0.85 * s.size)  # fmt: skip
        s.label((x0 + x1) / 2, caption + s.size, text_below, 0.85 * s.size, anchor="middle")
        s.flow(s.paragraphs(3000), [(x0, at + tall, x1, end)], css)
    else:
        s.flow(text, [(x0, y, x1, end)], css)
    s.canvas.lines += notes
    for x, foot, number in below:
        s.label(x, foot, number, anchor="middle")
    return s.canvas


def _chapter(s: PageComposer, x0: float, x1: float, y: float) -> float:
    """Set a chapter heading; return the top of its text."""
    y += s.uniform(0.5, 8) * s.size
    middle = (x0 + x1) / 2
    if s.yes(0.7):
        number = s.one(["CHAPTER", "Chapter", "Kapitel", ""]) + " " + s.one(["I", "IV.", "12", "9"])
        s.label(middle, y, number.strip(), s.size * s.uniform(1, 1.5), anchor="middle")
        y += 2.4 * s.size
    big = s.size * s.uniform(1.2, 2.4)
    title = s.fit(s.heading(1, 6), x1 - x0, big, bold=True)
    s.label(middle, y + big, title, big, anchor="middle", bold=s.yes(0.6))
    return y + 2.4 * big


def old_book(rng: Random, press: TypeLibrary) -> Canvas:
    """A page with wide margins, marginal notes, a large initial and a catchword."""
    s = new_composer(rng, press, (rng.uniform(360, 520), rng.uniform(540, 760)), size=(10, 14))
    width, height = s.canvas.width, s.canvas.height
    outer = width * s.uniform(0.16, 0.26)
    on_left = s.yes(0.5)
    x0 = outer if on_left else width * 0.1
    x1 = width * 0.9 if on_left else width - outer
    top, bottom = height * s.uniform(0.1, 0.16), height * s.uniform(0.84, 0.92)
    _running_head(s, x0, top - 1.4 * s.size)
    css = s.css("justify", s.uniform(1.1, 1.4))
    y = top
    if s.yes(0.35):  # a big initial that takes two lines or three
        tall = s.count(2, 3)
        step = 1.3 * s.size
        big = tall * step / 0.95 * 0.98
        letter = s.type.clean(s.one("TAWSIDMPNBE"))
        face = open_face(s.path())
        end = x0 + face.width(letter, big) + 0.3 * s.size
        s.label(x0, y + tall * step - 0.35 * s.size, letter, big)
        text = marked_up(rng, s.prose(100, 160), emphasis=0.0)
        box = (end, y, x1, y + tall * step)
        s.flow(f'<p id="b0" style="text-indent:0">{text}</p>', [box], css + "p{line-height:1.3}")
        y += tall * step + 0.2 * s.size
    s.flow(s.paragraphs(4000, 1200, 1), [(x0, y, x1, bottom)], css)
    if s.yes(0.6):  # notes in the margin
        size, y = 0.7 * s.size, top
        left, right = (0.3 * outer, x0 - 8) if on_left else (x1 + 8, width - 0.3 * outer)
        while y < bottom - 60:
            y += s.uniform(0, 160)
            note = f'<p id="m">{marked_up(rng, s.prose(12, 70))}</p>'
            sheet = f"body{{font-size:{size:.2f}px;line-height:1.1;text-align:left}}"
            y = 20 + s.flow(note, [(left, y, right, min(bottom, y + 90))], sheet)[0]
    if s.yes(0.4):
        s.label(x1, bottom + 1.6 * s.size, s.words(1, 1), anchor="right")
    return s.canvas


def paper(rng: Random, press: TypeLibrary) -> Canvas:
    """A page of an article in one or two columns."""
    s = new_composer(rng, press, SHEETS[int(rng.integers(2))], size=(8.5, 10.5))
    width, height = s.canvas.width, s.canvas.height
    margin, gutter = width * s.uniform(0.07, 0.11), s.uniform(14, 26)
    y = height * 0.07
    if s.yes(0.5):
        head = s.fit(f"{s.heading(2, 5)}, Vol. {s.count(1, 60)}", 0.5 * width, 8)
        s.label(margin, y - 12, head, 8)
        s.label(width - margin, y - 12, str(s.count(1, 900)), 8, anchor="right")
    if s.yes(0.45):
        y = _paper_head(s, margin, y)
    bottom = height * s.uniform(0.9, 0.95)
    columns = 2 if s.yes(0.85) else 1
    column = (width - 2 * margin - (columns - 1) * gutter) / columns
    starts = [margin + i * (column + gutter) for i in range(columns)]
    css = s.css("justify", s.uniform(1.05, 1.25))
    tops = [y] * columns
    if s.yes(0.3):  # a figure over all columns
        tall = height * s.uniform(0.12, 0.25)
        s.figure((margin, y, width - margin, y + tall))
        tops = [_caption(s, margin, width - margin, y + tall + 1.2 * s.size)] * columns
    for x, start in zip(starts, tops, strict=True):
        end = bottom
        at = start
        notes: list[PlacedLine] = []
        if s.yes(0.2):
            before = len(s.canvas.lines)
            end = _notes(s, (x, at, x + column, bottom))
            notes = s.canvas.lines[before:]
            del s.canvas.lines[before:]
        while at < end - 3 * s.size:
            room = end - at
            part = room * s.uniform(0.15, 0.6) if s.yes(0.7) else room
            text = s.paragraphs(int(2.2 * column * part / s.size**2), 700)
            if s.yes(0.5):
                number = s.one(["1 ", "2. ", "III. ", "4.2 ", ""])
                head = marked_up(rng, s.type.clean(number) + s.heading(1, 5))
                text = f'<h2 id="h">{head}</h2>{text}'
            at = s.flow(text, [(x, at, x + column, min(end, at + part))], css)[0] + s.size
            kind = rng.random()
            if kind < 0.5 and end - at > 6 * s.size:
                for _ in range(s.count(1, 3)):
                    if end - at > 6 * s.size:
                        at = _display(s, x, x + column, at)
            elif kind < 0.75 and end - at > 110:
                tall = min(end - at - 40, s.uniform(70, 190))
                s.figure((x + 4, at + 4, x + column - 4, at + tall))
                at = _caption(s, x, x + column, at + tall + 1.4 * s.size)
        s.canvas.lines += notes
    if s.yes(0.6):
        s.label(width / 2, min(height - 10, bottom + 24), str(s.count(1, 40)), anchor="middle")
    if s.yes(0.1):  # the vertical stamp of a preprint server in the left margin
        s.label(margin * 0.5, height * 0.7, s.fit(s.press.field(rng, s.type) + " " + s.prose(9, 30),
                height * 0.5, 14), 14, level=120, quarter=1)  # fmt: skip
    return s.canvas


def _paper_head(s: PageComposer, margin: float, y: float) -> float:
    """Set title, authors and abstract."""
    width = s.canvas.width
    big = s.uniform(14, 20)
    for _ in range(s.count(1, 2)):
        title = s.fit(s.prose(25, 70).rstrip(".,"), width - 2 * margin, big, bold=True)
        s.label(width / 2, y + big, title, big, bold=True, anchor="middle")
        y += 1.3 * big
    y += s.size
    for i in range(s.count(1, 3)):
        text = ", ".join(s.words(2, 2).title() for _ in range(s.count(1, 4 if i == 0 else 2)))
        s.label(width / 2, y + s.size, s.fit(text, width - 2 * margin), anchor="middle",
                italic=i > 0)  # fmt: skip
        y += 1.35 * s.size
    y += s.size
    if s.yes(0.8):
        inset = margin + s.uniform(0, 50)
        html = f'<h3 id="a">{s.type.clean(s.one(["Abstract", "ABSTRACT", "Summary"]))}</h3>'
        html += f'<p id="t">{marked_up(s.rng, s.prose(300, 900), soft=s.soft)}</p>'
        css = s.css("justify", 1.15) + f"body{{font-size:{0.93 * s.size:.2f}px}}"
        y = s.flow(html, [(inset, y, width - inset, y + 220)], css)[0] + 1.5 * s.size
    return y


def _caption(s: PageComposer, x0: float, x1: float, y: float) -> float:
    """Set a figure caption; return where the text continues."""
    word = s.one(["Figure", "Fig.", "FIGURE", "Table"])
    text = f"<b>{word} {s.count(1, 12)}.</b> {marked_up(s.rng, s.prose(20, 160))}"
    css = f"body{{font-size:{0.85 * s.size:.2f}px;line-height:1.15}}"
    return s.flow(f'<p id="c">{text}</p>', [(x0, y, x1, y + 60)], css)[0] + s.size


def mathematics(rng: Random, press: TypeLibrary) -> Canvas:
    """A page of a textbook or article with typeset formulas every few lines."""
    s = new_composer(rng, press, size=(8.5, 12))
    width, height = s.canvas.width, s.canvas.height
    margin, gutter = width * s.uniform(0.08, 0.17), s.uniform(14, 26)
    y, bottom = height * s.uniform(0.06, 0.1), height * s.uniform(0.9, 0.95)
    if s.yes(0.4):
        _running_head(s, margin, y)
        y += 2 * s.size
    columns = 2 if s.yes(0.25) else 1
    column = (width - 2 * margin - (columns - 1) * gutter) / columns
    css = s.css(leading=s.uniform(1.1, 1.3))
    for i in range(columns):
        x, at = margin + i * (column + gutter), y
        while at < bottom - 3 * s.size:
            if s.yes(0.12):
                title = s.fit(
                    f"{s.count(1, 9)}  {s.heading(1, 5)}", column, 1.2 * s.size, bold=True
                )
                at += 2 * s.size
                s.label(x, at, title, 1.2 * s.size, bold=True)
                at += s.size
            lines = s.count(1, 6)
            length = max(12, int(lines * 2 * column / s.size))
            text = f'<p id="p">{_reasoning(s, length)}</p>'
            at = s.flow(text, [(x, at, x + column, bottom)], css)[0] + s.uniform(0.3, 1.1) * s.size
            for _ in range(s.count(1, 2)):
                number = f"({s.one(['', '', 'A.', '2.'])}{s.count(1, 40)})" if s.yes(0.4) else ""
                foot = s.display(x, x + column, at, number, bottom)
                at = at if foot is None else foot + s.uniform(0.4, 1.3) * s.size
    if s.yes(0.6):
        s.label(width / 2, min(height - 10, bottom + 24), str(s.count(1, 400)), anchor="middle")
    return s.canvas


def _reasoning(s: PageComposer, length: int) -> str:
    """Return prose of at most so many characters as HTML, with short inline formulas."""
    if s.yes(0.3):
        return marked_up(s.rng, s.prose(10, length), soft=s.soft)
    parts: list[str] = []
    while length > 0:
        text = s.prose(10, max(12, min(length, 80)))
        parts += [marked_up(s.rng, text.rstrip(".,"), soft=s.soft), _inline(s)]
        length -= len(text) + 8
    return " ".join(parts)


def _inline(s: PageComposer) -> str:
    """Return a short formula as HTML: italic letters with sub- and superscripts, operators."""
    minus = MINUS if MINUS in s.type.characters else "-"

    def term() -> str:
        if s.yes(0.15):
            return str(s.count(0, 40))
        text = f"<i>{s.one('abcdefghijklmnpqrstuvwxyzABCFGHKLMNPRSTUVX')}</i>"
        if s.yes(0.35):
            text += f"<sub>{s.one(['1', '2', '0', '<i>i</i>', '<i>n</i>', '<i>k</i>+1'])}</sub>"
        if s.yes(0.3):
            text += f"<sup>{s.one(['2', '3', '<i>n</i>', f'{minus}1', '<i>m</i>'])}</sup>"
        if s.yes(0.25):
            text += f"({term()})"
        return s.one(["", "", "", "2", minus]) + text

    signs = [minus] + [sign for sign in "+·=≤≥∈→<>∂" if sign in s.type.characters]
    text = term()
    for _ in range(s.count(0, 4)):
        text += f" {escape(s.one(signs))} {term()}"
    return text


def _display(s: PageComposer, x0: float, x1: float, y: float) -> float:
    """Set a display formula, optionally numbered; return where the text continues."""
    size = s.size * s.uniform(1.0, 1.25)
    base = y + 2.2 * size
    numbered = s.yes(0.6)
    start = x0 + (x1 - x0) * s.uniform(0.02, 0.3)
    terms = max(1, min(s.count(2, 5), int((x1 - start - 40) / (3.2 * size))))
    box = s.formula(start, base, size, terms)
    if numbered and box[2] < x1 - 3 * s.size:
        s.label(x1, base, f"({s.count(1, 40)})", anchor="right")
    return box[3] + 0.8 * size


def newspaper(rng: Random, press: TypeLibrary) -> Canvas:
    """Articles in three to six narrow columns under headlines of various sizes."""
    s = new_composer(rng, press, (rng.uniform(560, 900), rng.uniform(700, 1150)), size=(7.5, 10))
    width, height = s.canvas.width, s.canvas.height
    headline = PageComposer(rng, press, s.canvas, new_composer(rng, press).type, s.size)
    margin, gutter = s.uniform(20, 50), s.uniform(9, 18)
    y = margin
    if s.yes(0.35):
        big = s.uniform(34, 64)
        title = headline.fit(headline.heading(2, 3), width - 2 * margin, big, bold=True)
        headline.label(width / 2, y + big, title, big, anchor="middle", bold=s.yes(0.5))
        y += 1.4 * big
        s.rule(margin, y, width - margin, y, s.uniform(0.5, 2))
        s.label(margin, y + 1.4 * s.size, s.press.field(rng, s.type)[:30])
        y += 2 * s.size
        s.rule(margin, y, width - margin, y)
        y += s.size
    count = max(2, int((width - 2 * margin) / s.uniform(110, 190)))
    column = (width - 2 * margin - (count - 1) * gutter) / count
    css = s.css("justify", s.uniform(1.02, 1.2))
    parted = s.yes(0.4)
    while y < height - margin - 8 * s.size:
        tall = min(height - margin - y, s.uniform(140, 460))
        if height - margin - y - tall < 90:
            tall = height - margin - y
        cut = s.count(1, count - 1) if count > 2 and s.yes(0.5) else count
        for first, last in ((0, cut), (cut, count)):
            if first == last:
                continue
            boxes = [
                (margin + i * (column + gutter), margin + i * (column + gutter) + column)
                for i in range(first, last)
            ]
            _article(s, headline, boxes, y, y + tall, css)
            if parted:
                for _, end in boxes[:-1]:
                    s.rule(end + gutter / 2, y + 3 * s.size, end + gutter / 2, y + tall, 0.4)
        y += tall + s.size
        if y < height - margin - 8 * s.size and s.yes(0.5):
            s.rule(margin, y - 0.6 * s.size, width - margin, y - 0.6 * s.size, s.uniform(0.4, 1.5))
    return s.canvas


def _article(
    s: PageComposer,
    headline: PageComposer,
    columns: list[tuple[float, float]],
    y: float,
    end: float,
    css: str,
) -> None:
    """Set an article with headline and optional picture in some adjacent columns."""
    x0, x1 = columns[0][0], columns[-1][1]
    if s.yes(0.85):
        big = min(s.uniform(12, 40), 0.16 * (x1 - x0))
        big = max(big, 1.2 * s.size)
        block = s.canvas.new_block()
        for _ in range(s.count(1, 3)):
            text = headline.fit(headline.prose(16, 90).rstrip(".,"), x1 - x0, big, bold=True)
            headline.label(x0, y + big, text, big, bold=True, block=block)
            y += 1.15 * big
        y += 0.4 * s.size
        if s.yes(0.3):
            s.label(x0, y + s.size, s.fit("By " + s.words(2, 2).title(), x1 - x0), italic=True)
            y += 1.7 * s.size
    boxes: list[Rect] = [(a, y, b, end) for a, b in columns]
    if s.yes(0.45) and end - y > 90:
        pick = s.count(0, len(boxes) - 1)
        span = pick + (1 if pick + 1 < len(boxes) and s.yes(0.4) else 0)
        tall = (end - y) * s.uniform(0.3, 0.7)
        left, right = boxes[pick][0], boxes[span][2]
        style = s.one(["halftone", "halftone", "photo", "stark", "drawing"])
        s.picture((left, y + 3, right, y + tall), style)
        under = y + tall + 4
        if s.yes(0.7):
            under = _caption(s, left, right, y + tall + 3)
        for i in range(pick, span + 1):
            boxes[i] = (boxes[i][0], under, boxes[i][2], end)
    boxes = [box for box in boxes if box[3] - box[1] > 2 * s.size]
    area = sum((b[2] - b[0]) * (b[3] - b[1]) for b in boxes)
    s.flow(s.paragraphs(int(2.9 * area / s.size**2), 500), boxes, css)


def letter(rng: Random, press: TypeLibrary) -> Canvas:
    """A letter: letterhead, address, date, salutation, text, signature."""
    pool = "plain" if rng.random() < 0.6 else "mono"
    return _letter(new_composer(rng, press, SHEETS[int(rng.integers(2))], pool, (9.5, 12)))


def typescript(rng: Random, press: TypeLibrary) -> Canvas:
    """A typewritten page, monospaced and widely spaced: report, list or letter."""
    s = new_composer(rng, press, SHEETS[int(rng.integers(2))], "typewriter", (10, 12.5))
    if s.yes(0.35):
        return _letter(s)
    width, height = s.canvas.width, s.canvas.height
    x0, x1 = width * s.uniform(0.06, 0.16), width * s.uniform(0.86, 0.95)
    face = open_face(s.path())
    letters = int((x1 - x0) / face.width("n", s.size))
    step = s.size * s.uniform(0.95, 2.2)
    y = height * s.uniform(0.06, 0.14)
    foot = height * s.uniform(0.8, 0.95)
    if s.yes(0.5):
        s.label(width / 2, y, s.one(["- 2 -", "-7-", "14", "3-56"]), anchor="middle")
        y += 2 * step
    block = s.canvas.new_block()
    indent = s.count(0, 8)
    first = True
    apart = s.one(["", " ", " ", "  "])  # extra spaces between sentences
    while y < foot:
        kind = rng.random()
        if first:
            block, pad = s.canvas.new_block(), " " * indent
        else:
            pad = ""
        if kind < 0.04:
            text = s.heading(2, 5)
            end = s.label(x0, y, text, block=s.canvas.new_block())
            if s.yes(0.6):  # underlined
                s.line(x0, y + 0.18 * s.size, end, y + 0.18 * s.size, 0.06 * s.size)
            y += 1.6 * step
            first = True
            continue
        line = pad + re.sub("(?<=[.?!:]) ", " " + apart, s.prose(letters - 10, letters - 2))
        last = s.yes(0.14)
        line = line[: letters // 2] if last else line[:letters]
        if s.yes(0.04):
            line = " ".join(line[: letters // 2].replace(" ", ""))  # s p a c e d
        if line.strip():
            s.label(x0, y + rng.normal(0, 0.1), line, block=block)
        y += step * (1.6 if last and s.yes(0.5) else 1.0)
        first = last
    _office(s)
    return s.canvas


def _office(s: PageComposer) -> None:
    """Add signatures, stamps, handwritten notes and letterheads of offices."""
    width, height = s.canvas.width, s.canvas.height
    if s.yes(0.4):
        x, y = s.uniform(0.3, 0.6) * width, s.uniform(0.86, 0.94) * height
        s.picture((x, y, x + 130, y + 40), "scrawl", region=False)
    if s.yes(0.25):
        x, y = s.uniform(0.1, 0.6) * width, s.uniform(0.01, 0.05) * height
        s.picture((x, y, x + 90, y + 26), "scrawl", region=False)
    if s.yes(0.3):
        x, y = s.uniform(0.05, 0.75) * width, s.uniform(0.01, 0.8) * height
        wide = s.uniform(60, 130)
        s.picture((x, y, x + wide, y + wide * s.uniform(0.5, 1)), "stamp", region=False)


def _letter(s: PageComposer) -> Canvas:
    width, height = s.canvas.width, s.canvas.height
    margin = width * s.uniform(0.09, 0.16)
    y = height * s.uniform(0.05, 0.1)
    if s.yes(0.5):
        if s.yes(0.6):
            s.picture((margin, y - 20, margin + 46, y + 24), "logo")
        head = PageComposer(s.rng, s.press, s.canvas, new_composer(s.rng, s.press).type, 9)
        right = s.yes(0.5)
        for i in range(s.count(1, 4)):
            size = head.size * (1.7 if i == 0 else 0.85)
            text = head.press.field(s.rng, head.type) if i else head.heading(1, 3)
            text = head.fit(text, width - 2 * margin - 60, size)
            if right:
                head.label(width - margin, y, text, size, bold=i == 0, anchor="right")
            else:
                head.label(margin + 56, y, text, size, bold=i == 0)
            y += 1.4 * size
        if s.yes(0.4):
            s.rule(margin, y, width - margin, y)
    y = max(y + 2 * s.size, height * s.uniform(0.12, 0.2))
    step = s.size * s.uniform(1.15, 1.4)
    date = s.type.clean(f"{s.count(1, 28)} {s.one(['March', 'June', 'May'])} {s.count(1890, 2026)}")
    if s.yes(0.5):
        s.label(width - margin, y, date, anchor="right")
    else:
        s.label(margin, y, date)
    y += 2 * step
    block = s.canvas.new_block()
    for _ in range(s.count(2, 5)):
        text = s.press.field(s.rng, s.type) if s.yes(0.4) else s.words(1, 3).title()
        s.label(margin, y, s.fit(text, 0.5 * width), block=block)
        y += step
    y += step
    greeting = f"{s.one(['Dear', 'Dear Mr.', 'My dear', 'Sehr geehrte', 'Cher'])} {s.words(1, 1)}:"
    s.label(margin, y, greeting)
    y += 0.8 * step
    css = s.css("left" if s.yes(0.8) else "justify", step / s.size) + "p{margin-bottom:0.8em}"
    html = "".join(
        f'<p id="b{i}">{marked_up(s.rng, s.prose(80, 480), emphasis=0.005)}</p>'
        for i in range(s.count(1, 5))
    )
    y = s.flow(html, [(margin, y, width - margin, height * 0.82)], css)[0] + 2 * step
    x = margin if s.yes(0.5) else width * 0.5
    s.label(x, y, s.one(["Sincerely yours,", "Very truly yours,", "Mit freundlichen Gruessen"]))
    if s.yes(0.7):
        s.picture((x, y + 5, x + 110, y + 40), "scrawl", region=False)
    block = s.canvas.new_block()
    for i in range(s.count(1, 3)):
        s.label(x, y + 48 + i * step, s.words(2, 3).title(), block=block)
    _office(s)
    if s.yes(0.3):
        s.label(margin, height * 0.95, "Enc. " + s.press.field(s.rng, s.type)[:30], 0.85 * s.size)
    return s.canvas
