"""Synthetic screenshots: programs, terminals, slides, windows.

Each kind is a function of a random generator and a ``TypeLibrary`` that returns a ``Canvas`` whose
points are pixels at 96 dpi; bars, lists and panels are recorded one after the other.
"""

from __future__ import annotations

import numpy as np

from ocrtool.synth.canvas import Canvas, open_face
from ocrtool.synth.forms import set_table
from ocrtool.synth.page_composer import SHEETS, PageComposer, new_composer
from ocrtool.synth.typefaces import TypeLibrary, marked_up

Random = np.random.Generator


def code(rng: Random, press: TypeLibrary) -> Canvas:
    """A program: indented lines, optionally with line numbers, on light or dark background."""
    screen = rng.random() < 0.7
    sheet = (rng.uniform(420, 1100), rng.uniform(300, 800)) if screen else SHEETS[0]
    s = new_composer(rng, press, sheet, "mono", (10, 15) if screen else (8, 10))
    dark = screen and s.yes(0.6)
    if screen:
        s.canvas.ground = s.uniform(10, 60) if dark else s.uniform(235, 255)
        s.level = s.uniform(170, 255) if dark else s.uniform(0, 70)
    step = s.size * s.uniform(1.15, 1.6)
    numbered = s.yes(0.5)
    face = open_face(s.path())
    unit = face.width(" ", s.size)
    x, y = 12 + (5 * unit if numbered else 0) + s.uniform(0, 30), 14 + s.size
    first, depth = s.count(1, 900), 0
    block = s.canvas.new_block()
    levels = [s.level, *(s.level + s.uniform(-60, 60) for _ in range(3))]
    while y < s.canvas.height - 6:
        if numbered:
            pale = s.level + (100 if not dark else -90)
            s.label(x - 2 * unit, y, str(first), anchor="right", level=pale, block=block)
        first += 1
        if s.yes(0.88):
            depth = int(np.clip(depth + s.count(-1, 1), 0, 6))
            text = press.code(rng, s.type, 90)
            room = s.canvas.width - x - 4 * depth * unit - 8
            text = text[: max(1, int(room / unit))].rstrip()
            if text:
                level = float(np.clip(levels[s.count(0, 3)], 0, 255))
                s.label(x + 4 * depth * unit, y, text, level=level, block=block)
        y += step
    return s.canvas


def terminal(rng: Random, press: TypeLibrary) -> Canvas:
    """A dark terminal window: prompts, output in columns, messages."""
    s = new_composer(rng, press, (rng.uniform(400, 1200), rng.uniform(240, 800)), "mono", (10, 16))
    dark = s.yes(0.85)
    s.canvas.ground = s.uniform(0, 50) if dark else s.uniform(225, 255)
    s.level = s.uniform(160, 255) if dark else s.uniform(0, 60)
    step, y = s.size * s.uniform(1.1, 1.4), 8 + s.size
    unit = open_face(s.path()).width("n", s.size)
    letters = int((s.canvas.width - 16) / unit)
    block = s.canvas.new_block()
    while y < s.canvas.height - 4:
        kind = rng.random()
        if kind < 0.2:
            text = s.one(["$ ", "# ", "> ", "user@host:~$ ", ">>> "]) + press.code(rng, s.type, 50)
        elif kind < 0.5:
            text = press.code(rng, s.type, letters)
        elif kind < 0.75:
            text = s.prose(10, max(12, letters))
        elif kind < 0.95:
            text = press.field(rng, s.type)
        else:
            text = ""
        if text.strip():
            s.label(8, y, text[:letters], block=block)
        y += step
    return s.canvas


def slide(rng: Random, press: TypeLibrary) -> Canvas:
    """A slide: a large title, bullet points, optionally a picture or a chart."""
    s = new_composer(rng, press, (960, 540) if rng.random() < 0.6 else (800, 600), size=(17, 30))
    width, height = s.canvas.width, s.canvas.height
    dark = s.yes(0.35)
    s.canvas.ground = s.uniform(0, 80) if dark else s.uniform(225, 255)
    s.level = s.uniform(200, 255) if dark else s.uniform(0, 70)
    if s.yes(0.15):
        s.picture((0, 0, width, height), "photo", region=False)
        s.box((40, 30, width - 40, height - 30), s.canvas.ground)
    big = s.size * s.uniform(1.3, 2)
    y = 36 + big
    title_level = s.level
    if s.yes(0.3):
        bar = s.uniform(60, 190)
        title_level = 255.0 if bar < 130 else 0.0
        s.box((0, 0, width, y + 0.6 * big), bar)
    s.label(60, y, s.fit(s.heading(2, 6), width - 120, big, bold=True), big, bold=True,
            level=title_level)  # fmt: skip
    y += 1.2 * big
    right = width - 60
    if s.yes(0.45):
        right = width * s.uniform(0.45, 0.6)
        s.figure((right + 30, y, width - 50, height - 60 - s.size))
    css = s.css("left", s.uniform(1.15, 1.6))
    if s.yes(0.75):
        points = "".join(
            f'<li id="p{i}">{marked_up(rng, s.prose(8, 110))}</li>' for i in range(s.count(2, 7))
        )
        s.flow(f"<ul>{points}</ul>", [(60, y, right, height - 60)], css)
    else:
        s.flow(s.paragraphs(300), [(60, y, right, height - 60)], css)
    if s.yes(0.6):
        small = 0.5 * s.size
        s.label(60, height - 20, s.fit(s.words(2, 5), width * 0.5, small), small)
        s.label(width - 40, height - 20, str(s.count(1, 80)), small, anchor="right")
    return s.canvas


def window(rng: Random, press: TypeLibrary) -> Canvas:
    """A web page or an application window: menus, lists, cards, buttons, small labels."""
    s = new_composer(rng, press, (rng.uniform(480, 1300), rng.uniform(300, 900)), size=(9, 14))
    width, height = s.canvas.width, s.canvas.height
    dark = s.yes(0.3)
    s.canvas.ground = s.uniform(15, 70) if dark else s.uniform(235, 255)
    s.level = s.uniform(190, 255) if dark else s.uniform(0, 80)
    bar = s.canvas.ground + (s.uniform(15, 40) if dark else -s.uniform(5, 60))
    tall = 2.4 * s.size
    s.box((0, 0, width, tall), bar)
    x, block = 12.0, s.canvas.new_block()
    while x < width * s.uniform(0.4, 0.9):
        x = s.label(x, 1.55 * s.size, s.words(1, 2).title(), block=block) + 1.9 * s.size
    left, y = 16.0, tall + 10
    if s.yes(0.55) and width > 600:  # a list at the side
        side = s.uniform(130, 220)
        s.box((0, tall, side, height), bar)
        base, block = y + s.size, s.canvas.new_block()
        step = s.size * s.uniform(1.6, 2.6)
        while base < height * s.uniform(0.5, 1.0) - 4:
            icon = s.yes(0.4)
            if icon:
                s.picture((10, base - s.size, 10 + s.size, base), "logo", region=False)
            s.label(16 + s.size, base, s.fit(s.words(1, 3), side - 30 - s.size), block=block)
            base += step
        left = side + 16
    right = width - 16
    big = s.size * s.uniform(1.4, 2.4)
    s.label(left, y + big, s.fit(s.heading(1, 6), right - left, big, bold=True), big, bold=True)
    y += 1.8 * big
    css = s.css("left", s.uniform(1.25, 1.6))
    while y < height - 4 * s.size:
        kind = rng.random()
        if kind < 0.35:
            room = min(height - y - 6, s.uniform(40, 220))
            text = s.paragraphs(int(1.8 * (right - left) * room / s.size**2), 400)
            y = s.flow(text, [(left, y, right, y + room)], css)[0] + s.size
        elif kind < 0.5:
            y = _buttons(s, left, right, y, dark)
        elif kind < 0.65 and height - y > 7 * s.size:
            rows = min(s.count(2, 9), int((height - y) / (1.9 * s.size)))
            y = set_table(s, (left, y, right, height), rows, 1.9 * s.size) + s.size
        elif kind < 0.85 and height - y > 110:  # cards
            count = max(1, int((right - left) / s.uniform(130, 260)))
            gap, tall = 14, min(height - y - 10, s.uniform(100, 220))
            wide = (right - left - gap * (count - 1)) / count
            for i in range(count):
                a = left + i * (wide + gap)
                s.box((a, y, a + wide, y + tall), bar, s.uniform(0.6, 1.5) if s.yes(0.5) else 0.0)
                top = y + 6
                if s.yes(0.6):
                    s.picture((a + 6, top, a + wide - 6, y + 0.5 * tall), "photo")
                    top = y + 0.5 * tall + 4
                html = f'<h3 id="h">{marked_up(rng, s.words(1, 4))}</h3><p id="t">'
                html += marked_up(rng, s.prose(20, 140)) + "</p>"
                s.flow(html, [(a + 8, top, a + wide - 8, y + tall - 4)], css)
            y += tall + 14
        else:  # fields to fill
            s.label(left, y + s.size, s.words(1, 3))
            high = 1.9 * s.size
            s.box((left, y + 1.5 * s.size, left + 220, y + 1.5 * s.size + high), s.level, 0.8)
            if s.yes(0.6):
                text = s.fit(press.field(rng, s.type), 205)
                s.label(left + 6, y + 2.8 * s.size, text, level=(s.level + s.canvas.ground) / 2)
            y += 4.2 * s.size
    return s.canvas


def _buttons(s: PageComposer, left: float, right: float, y: float, dark: bool) -> float:
    """Set a row of buttons; return where the next part starts."""
    x, tall = left, 2.1 * s.size
    while x < right - 90:
        text = s.fit(s.words(1, 2).title(), 140)
        wide = open_face(s.path()).width(text, s.size) + s.uniform(1.4, 3) * s.size
        filled = s.yes(0.6)
        level = s.uniform(40, 150)
        s.box((x, y, x + wide, y + tall), level if filled else s.level, 0.0 if filled else 0.8)
        ink = 255.0 if filled else s.level
        s.label(x + wide / 2, y + 1.38 * s.size, text, anchor="middle", level=ink)
        x += wide + s.uniform(0.8, 3) * s.size
        if s.yes(0.3):
            break
    return y + tall + s.size
