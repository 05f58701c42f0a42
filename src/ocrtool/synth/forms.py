"""Synthetic documents with positioned text: forms, tables, receipts, indices, titles, posters.

Each kind is a function of a random generator and a ``TypeLibrary`` that returns a ``Canvas``; rows
are recorded from left to right, then down.
"""

from __future__ import annotations

import numpy as np

from ocrtool.synth.canvas import Canvas, Rect, open_face
from ocrtool.synth.page_composer import SHEETS, PageComposer, new_composer
from ocrtool.synth.typefaces import TypeLibrary, marked_up

Random = np.random.Generator


def set_table(s: PageComposer, box: Rect, rows: int, step: float) -> float:
    """Set a table in the upper part of a box, record it as a region and return its bottom."""
    x0, y0, x1, _ = box
    count = s.count(2, max(2, min(7, int((x1 - x0) / (6 * s.size)))))
    shares = s.rng.uniform(0.5, 1.5, count)
    shares[0] *= s.uniform(1, 2)
    edges = x0 + (x1 - x0) * np.concatenate([[0], np.cumsum(shares / shares.sum())])
    kinds = [s.one(["words", "words", "number", "money", "field"]) for _ in range(count)]
    kinds[0] = s.one(["words", "words", "number", "field"])
    style = s.one(["grid", "rows", "book", "open", "open", "zebra", "columns"])
    pad = 0.6 * s.size if style in ("grid", "columns") else 0.9 * s.size
    block = s.canvas.new_block()
    header = s.yes(0.8)
    bottom = y0 + rows * step
    if header and s.yes(0.3):
        s.box((x0, y0, x1, y0 + step), s.uniform(170, 235))
    if style == "zebra":
        for i in range(1, rows, 2):
            s.box((x0, y0 + i * step, x1, y0 + (i + 1) * step), s.uniform(215, 240))
    thin = s.uniform(0.3, 0.9)
    if style in ("grid", "rows"):
        for i in range(rows + 1):
            s.line(x0, y0 + i * step, x1, y0 + i * step, thin)
    elif style == "book":
        for y in (y0, y0 + step, bottom):
            s.line(x0, y, x1, y, thin if y == y0 + step else 2 * thin)
    if style in ("grid", "columns"):
        for x in edges:
            s.line(float(x), y0, float(x), bottom, thin)
    empty = s.uniform(0, 0.2)
    for row in range(rows):
        base = y0 + row * step + 0.5 * step + 0.33 * s.size
        for column in range(count):
            left, right = float(edges[column]) + pad, float(edges[column + 1]) - pad
            if row and s.yes(empty):
                continue
            kind = "words" if row == 0 and header else kinds[column]
            text = _cell(s, kind)
            text = s.fit(text, right - left)
            numeric = kinds[column] in ("number", "money")
            x, anchor = (right, "right") if numeric else (left, "left")
            if text:
                s.label(x, base, text, anchor=anchor, bold=row == 0 and header, block=block)
    s.canvas.region("table", (x0, y0, x1, bottom))
    return bottom


def _cell(s: PageComposer, kind: str) -> str:
    if kind == "words":
        return s.words(1, 3)
    if kind == "number":
        return s.type.clean(s.one([f"{s.count(0, 99999)}", f"{s.uniform(0, 100):.1f}", "-",
                                   f"{s.count(1, 100)}%", f"{s.uniform(0, 1):.3f}"]))  # fmt: skip
    if kind == "money":
        return s.type.clean(f"{np.exp(s.uniform(0, 9)):,.2f}")
    return s.press.field(s.rng, s.type)


def tables(rng: Random, press: TypeLibrary) -> Canvas:
    """A report with alternating text and tables."""
    s = new_composer(rng, press, SHEETS[int(rng.integers(2))], size=(7.5, 11))
    width, height = s.canvas.width, s.canvas.height
    x0, x1, y = width * s.uniform(0.05, 0.12), width * s.uniform(0.88, 0.95), height * 0.07
    bottom, css = height * 0.93, s.css()
    while y < bottom - 6 * s.size:
        if s.yes(0.6):
            room = min(bottom - y, s.uniform(30, 220))
            text = s.paragraphs(int(2.2 * (x1 - x0) * room / s.size**2), 700)
            y = s.flow(text, [(x0, y, x1, y + room)], css)[0] + 1.5 * s.size
        if y > bottom - 6 * s.size:
            break
        if s.yes(0.6):
            caption = s.fit(f"Table {s.count(1, 20)}. {s.prose(10, 60)}", x1 - x0, bold=True)
            s.label((x0 + x1) / 2, y + s.size, caption, anchor="middle", bold=s.yes(0.5))
            y += 1.8 * s.size
        step = s.size * s.uniform(1.3, 2.3)
        rows = min(s.count(2, 22), int((bottom - y) / step))
        if rows < 2:
            break
        inset = s.uniform(0, 0.15) * (x1 - x0) if s.yes(0.4) else 0.0
        y = set_table(s, (x0 + inset, y, x1 - inset, bottom), rows, step) + 2 * s.size
    return s.canvas


def invoice(rng: Random, press: TypeLibrary) -> Canvas:
    """An invoice: sender, recipient, dates, item table, totals."""
    s = new_composer(rng, press, SHEETS[int(rng.integers(2))], size=(8, 10.5))
    width, height = s.canvas.width, s.canvas.height
    x0, x1, y = width * 0.08, width * 0.92, height * 0.06
    if s.yes(0.6):
        s.picture((x0, y - 10, x0 + s.uniform(40, 120), y + 40), "logo")
    big = s.uniform(14, 30)
    title = s.type.clean(s.one(["INVOICE", "Invoice", "Rechnung", "FACTURE", "Quotation"]))
    s.label(x1, y + big, title, big, bold=True, anchor="right")
    y += 60
    for column in range(2):
        x, top, block = x0 + column * 0.52 * (x1 - x0), y, s.canvas.new_block()
        s.label(x, top, s.words(1, 2) + ":", bold=True, block=block)
        for _ in range(s.count(2, 5)):
            top += 1.35 * s.size
            text = s.press.field(rng, s.type) if s.yes(0.6) else s.words(2, 3).title()
            s.label(x, top, s.fit(text, 0.42 * (x1 - x0)), block=block)
    y += 9 * s.size
    for _ in range(s.count(0, 4)):
        s.label(x0, y, s.fit(s.words(1, 2) + ":", 80), bold=s.yes(0.5))
        s.label(x0 + 110, y, s.fit(s.press.field(rng, s.type), 200))
        y += 1.4 * s.size
    step = s.size * s.uniform(1.5, 2.4)
    rows = min(s.count(3, 18), int((height * 0.72 - y) / step))
    y = set_table(s, (x0, y + s.size, x1, height), max(2, rows), step) + 2.2 * s.size
    block = s.canvas.new_block()
    for i in range(s.count(2, 4)):
        bold = i > 1
        s.label(x1 - 150, y, s.fit(s.one(["Subtotal", "VAT 19%", "Total", "Discount", "Due"]), 90),
                bold=bold, block=block)  # fmt: skip
        s.label(x1, y, _cell(s, "money"), anchor="right", bold=bold, block=block)
        y += 1.6 * s.size
    if s.yes(0.5):
        size = 0.8 * s.size
        css = f"body{{font-size:{size:.2f}px;line-height:1.2}}"
        html = f'<p id="t">{marked_up(rng, s.prose(80, 400))}</p>'
        s.flow(html, [(x0, y + s.size, x1, height * 0.97)], css)
    return s.canvas


def form(rng: Random, press: TypeLibrary) -> Canvas:
    """A form: numbered fields, checkboxes, character combs, partly filled in."""
    s = new_composer(rng, press, SHEETS[int(rng.integers(2))], size=(7, 10))
    filler = PageComposer(rng, press, s.canvas, press.type(rng, "mono"), s.size * s.uniform(1, 1.4))
    width, height = s.canvas.width, s.canvas.height
    x0, x1, y = width * 0.06, width * 0.94, height * 0.05
    big = 1.6 * s.size
    s.label(x0, y + big, s.fit(s.heading(2, 6), x1 - x0, big, bold=True), big, bold=True)
    y += 2.2 * big
    boxed = s.yes(0.6)
    while y < height * 0.92:
        kind = rng.random()
        if kind < 0.15:  # the bar of a section
            tall = 1.6 * s.size
            dark = s.yes(0.5)
            s.box((x0, y, x1, y + tall), s.uniform(0, 70) if dark else s.uniform(190, 230))
            text = s.fit(s.heading(2, 6), x1 - x0 - 10, bold=True)
            s.label(x0 + 4, y + 1.15 * s.size, text, bold=True, level=255 if dark else 0)
            y += tall + 0.4 * s.size
        elif kind < 0.3:
            css = s.css("justify", 1.15)
            html = f'<p id="t">{marked_up(rng, s.prose(60, 300))}</p>'
            y = s.flow(html, [(x0, y, x1, y + 60)], css)[0] + s.size
        elif kind < 0.45:  # boxes to tick
            x = x0
            while x < x1 - 60:
                side = 0.9 * s.size
                s.box((x, y, x + side, y + side), s.level, 0.6)
                if s.yes(0.3):
                    s.line(x, y, x + side, y + side, 1)
                    s.line(x, y + side, x + side, y, 1)
                text = s.fit(s.words(1, 3), x1 - x - 2 * side)
                x = s.label(x + 1.5 * side, y + 0.85 * side, text) + s.uniform(2, 5) * s.size
            y += 2 * s.size
        else:  # a row of fields
            tall = s.size * s.uniform(2.4, 3.6)
            count = s.count(1, 4)
            for i in range(count):
                left = x0 + i * (x1 - x0) / count
                right = left + (x1 - x0) / count
                if boxed:
                    s.box((left, y, right, y + tall), s.level, 0.6)
                small = 0.8 * s.size
                text = s.fit(f"{s.count(1, 60)}. {s.words(1, 4)}", right - left - 6, small)
                s.label(left + 3, y + small, text, small)
                if s.yes(0.25):  # a comb of cells
                    cell = 1.5 * filler.size
                    for j in range(int((right - left - 10) / cell)):
                        a = left + 5 + j * cell
                        s.box((a, y + tall - 1.2 * filler.size, a + cell, y + tall - 1), 0, 0.4)
                elif not boxed:
                    s.line(left + 3, y + tall - 2, right - 8, y + tall - 2, 0.5)
                if s.yes(0.4 if boxed else 0.7):
                    value = filler.fit(press.field(rng, filler.type), right - left - 20)
                    if tall > 1.5 * filler.size + small:
                        filler.label(left + 8, y + tall - 0.35 * filler.size, value)
            y += tall + (0 if boxed else 0.3 * s.size)
    return s.canvas


def receipt(rng: Random, press: TypeLibrary) -> Canvas:
    """A narrow shop receipt: items left, amounts right, totals, closing line."""
    width = s_width = rng.uniform(170, 260)
    s = new_composer(rng, press, (width, 900), "mono" if rng.random() < 0.6 else "plain", (7.5, 11))
    step = s.size * s.uniform(1.05, 1.5)
    margin = s.uniform(6, 20)
    x0, x1, y = margin, s_width - margin, margin + 2 * s.size
    shout = s.yes(0.55)

    def case(text: str) -> str:
        return text.upper() if shout and len(text.upper()) == len(text) else text

    def put(x: float, text: str, anchor: str = "left", size: float = 0.0, bold: bool = False,
            block: int | None = None) -> None:  # fmt: skip
        text = s.fit(case(text), x1 - x0, size or s.size, bold)
        s.label(x, y, text, size or s.size, anchor=anchor, bold=bold, block=block)

    def part() -> None:
        kind = rng.random()
        if kind < 0.45:
            face = open_face(s.path())
            mark = s.one(["-", "=", "*", "_", "."])
            text = mark * int((x1 - x0) / face.width(mark, s.size))
            s.label(x0, y, text, silent=True)
            s.canvas.region("rule", (x0, y - 0.6 * s.size, x1, y + 0.1 * s.size))
        elif kind < 0.6:
            s.rule(x0, y - 0.3 * s.size, x1, y - 0.3 * s.size)

    if s.yes(0.3):
        s.picture((width * 0.35, y, width * 0.65, y + 40), "logo")
        y += 40 + 2 * s.size
    block = s.canvas.new_block()
    for i in range(s.count(3, 7)):
        size = s.size * (s.uniform(1.1, 1.8) if i == 0 else 1)
        text = s.words(1, 4) if i < 2 else press.field(rng, s.type)
        y += size - s.size
        put(width / 2, text, "middle", size, i == 0, block)
        y += step
    part()
    y += step
    block = s.canvas.new_block()
    for _ in range(s.count(1, 4)):
        put(x0, f"{s.words(1, 1)}: {press.field(rng, s.type)}", block=block)
        y += step
    part()
    y += step
    block = s.canvas.new_block()
    quantities = s.yes(0.5)
    for _ in range(s.count(2, 16)):
        name = s.fit(case(s.words(1, 4)), (x1 - x0) * 0.62)
        if quantities:
            put(x0, name, block=block)
            y += step
            text = f"{s.count(1, 9)} {s.one(['x', 'X', '@'])} {np.exp(s.uniform(0, 5)):.2f}"
            s.label(x0 + s.size * s.count(0, 6), y, text, block=block)
        else:
            s.label(x0, y, name, block=block)
        money = f"{np.exp(s.uniform(0, 5)):.2f}" + s.one(["", "", " A", " SR"])
        s.label(x1, y, money, anchor="right", block=block)
        y += step
    part()
    y += step
    block = s.canvas.new_block()
    for _ in range(s.count(2, 7)):
        big = s.size * (s.uniform(1.1, 1.6) if s.yes(0.2) else 1)
        bold = s.yes(0.3)
        label = s.one(["Total", "Subtotal", "Cash", "Change", "GST 6%", "Rounding", "TOTAL RM",
                       "VISA", "Tax", "Summe EUR"])  # fmt: skip
        money = f"{s.one(['', '', '$', 'RM '])}{np.exp(s.uniform(0, 6)):.2f}"
        y += big - s.size
        s.label(x0 if s.yes(0.7) else x0 + 0.2 * width, y, case(label), big, bold=bold, block=block)
        s.label(x1, y, money, big, anchor="right", bold=bold, block=block)
        y += step
    part()
    y += step
    if s.yes(0.3):
        s.picture((width * 0.2, y, width * 0.8, y + 30), "bars")
        y += 30 + 1.6 * s.size
    elif s.yes(0.2):
        s.picture((width * 0.3, y, width * 0.7, y + 0.4 * width), "qr")
        y += 0.4 * width + 1.6 * s.size
    block = s.canvas.new_block()
    for _ in range(s.count(1, 4)):
        put(width / 2, s.words(2, 6), "middle", block=block)
        y += step
    if s.yes(0.25):
        at = s.uniform(0, 0.4) * width
        s.picture((at, y, at + 0.5 * width, y + 40), "scrawl", region=False)
        y += 40
    s.canvas.height = y + margin
    return s.canvas


def title_page(rng: Random, press: TypeLibrary) -> Canvas:
    """A title page or cover: few centred lines of various sizes."""
    s = new_composer(rng, press)
    width, height = s.canvas.width, s.canvas.height
    if s.yes(0.3):
        s.box((20, 20, width - 20, height - 20), s.level, s.uniform(0.5, 3))
    y = height * s.uniform(0.08, 0.2)
    for _ in range(s.count(2, 6)):
        size = float(np.exp(s.uniform(np.log(9), np.log(44))))
        block = s.canvas.new_block()
        spacing = s.uniform(0, 0.35) * size if s.yes(0.3) else 0.0
        bold, italic = s.yes(0.3), s.yes(0.2)
        for _ in range(s.count(1, 3)):
            text = s.fit(s.heading(1, 5), (width - 90) * (0.62 if spacing else 1), size, bold)
            s.label(width / 2, y + size, text, size, anchor="middle", bold=bold,
                    italic=italic and not bold, spacing=spacing, block=block)  # fmt: skip
            y += 1.35 * size
        y += s.uniform(10, 60)
        kind = rng.random()
        if kind < 0.25:
            half = s.uniform(0.04, 0.3) * width
            s.rule(width / 2 - half, y, width / 2 + half, y, s.uniform(0.4, 2))
            y += 20
        elif kind < 0.4 and y < height * 0.6:
            half = s.uniform(0.06, 0.25) * width
            s.picture((width / 2 - half, y, width / 2 + half, y + 1.2 * half),
                      s.one(["logo", "drawing", "drawing"]))  # fmt: skip
            y += 1.2 * half + 20
        if y > height * 0.8:
            break
    s.label(width / 2, height * 0.93, str(s.count(1780, 2026)), 12, anchor="middle")
    return s.canvas


def index(rng: Random, press: TypeLibrary) -> Canvas:
    """A table of contents or an index: entries, leader dots, page numbers; one to three columns."""
    s = new_composer(rng, press)
    width, height = s.canvas.width, s.canvas.height
    margin, y = width * s.uniform(0.07, 0.14), height * 0.09
    big = s.size * s.uniform(1.2, 2)
    title = s.type.clean(s.one(["Contents", "INDEX", "Inhalt", "TABLE OF CONTENTS", "Register"]))
    s.label(width / 2, y, title, big, anchor="middle", bold=s.yes(0.5))
    y += 2.4 * big
    count = s.count(1, 3) if width > 450 else 1
    leaders = count < 3 and s.yes(0.75)
    dot = s.one([".", ".", " .", ". . ", "·"])
    column = (width - 2 * margin - (count - 1) * 16) / count
    step = s.size * s.uniform(1.1, 1.6)
    face = open_face(s.path())
    for i in range(count):
        x0 = margin + i * (column + 16)
        x1, base = x0 + column, y
        while base < height * 0.93:
            block = s.canvas.new_block()
            indent = s.size * s.count(0, 2) * (1.5 if s.yes(0.5) else 0)
            entry = f"{s.count(1, 14)}.{s.count(1, 9)} " if s.yes(0.3) else ""
            entry = s.fit(entry + s.words(1, 6 if count == 1 else 3), column * 0.7 - indent)
            page = str(s.count(1, 680))
            if leaders:
                room = x1 - x0 - indent - face.width(entry + page, s.size) - 0.8 * s.size
                unit = s.type.clean(dot) or "."
                dots = unit * max(0, int(room / face.width(unit, s.size)))
                text = f"{entry} {dots} {page}"
                if s.yes(0.5):  # all numbers end at the same place
                    s.label(x1, base, text, anchor="right", block=block)
                else:
                    s.label(x0 + indent, base, text, block=block)
            elif count > 1:
                text = f"{entry}, {page}" + (f", {s.count(1, 700)}" if s.yes(0.4) else "")
                s.label(x0 + indent, base, s.fit(text, column - indent), block=block)
            else:
                s.label(x0 + indent, base, entry, block=block)
                s.label(x1, base, page, anchor="right", block=block)
            base += step
            if s.yes(0.06):
                base += step
    return s.canvas


def poster(rng: Random, press: TypeLibrary) -> Canvas:
    """An advertisement: very large and small type of several families, panels, pictures."""
    s = new_composer(rng, press, (rng.uniform(380, 800), rng.uniform(380, 900)), size=(8, 14))
    width, height = s.canvas.width, s.canvas.height
    dark = s.yes(0.35)
    s.canvas.ground = s.uniform(0, 110) if dark else s.uniform(150, 255)
    s.level = 255.0 if dark else s.uniform(0, 60)
    y = s.uniform(10, 40)
    while y < height - 50:
        kind = rng.random()
        if kind < 0.55:
            family = press.type(rng, "display" if s.yes(0.5) else "plain")
            line = PageComposer(rng, press, s.canvas, family, s.size)
            line.level = s.level
            size = float(np.exp(s.uniform(np.log(12), np.log(110))))
            text = line.fit(line.heading(1, 4), width - 30, size, bold=True)
            used = open_face(line.path(True)).width(text, size)
            tall = 1.35 * size
            if y + tall > height or not text.strip():
                y += 10
                continue
            if s.yes(0.25):
                shade = s.uniform(0, 255)
                line.level = 255.0 if shade < 128 else 0.0
                s.box((0, y, width, y + tall), shade)
            anchor, x = ("middle", width / 2) if s.yes(0.6) else ("left", 15.0)
            if used < width - 20:
                line.label(x, y + 1.02 * size, text, size, bold=True, anchor=anchor)
            y += tall
        elif kind < 0.75:
            tall = min(height - y - 10, s.uniform(60, 300))
            s.picture((15, y, width - 15, y + tall), s.one(["photo", "halftone", "stark", "logo"]))
            y += tall + 8
        else:
            room = min(height - y - 6, s.uniform(30, 120))
            inset = s.uniform(12, 0.25 * width)
            css = s.css(s.one(["left", "center", "justify"]), s.uniform(1.05, 1.3))
            html = s.paragraphs(int(2 * width * room / s.size**2), 300)
            y = s.flow(html, [(inset, y, width - inset, y + room)], css)[0] + 10
    return s.canvas


def snippet(rng: Random, press: TypeLibrary) -> Canvas:
    """A tight crop of a few lines."""
    pool = "mono" if rng.random() < 0.2 else "display" if rng.random() < 0.15 else "plain"
    s = new_composer(rng, press, (rng.uniform(90, 520), 400), pool, (9, 15))
    margin = s.uniform(2, 16)
    if s.yes(0.25):
        s.canvas.ground = s.uniform(0, 110)
        s.level = s.uniform(180, 255)
    x0, x1 = margin, s.canvas.width - margin
    if s.yes(0.3):
        y = margin + s.size
        for _ in range(s.count(1, 5)):
            size = s.size * s.uniform(0.8, 1.5)
            s.label(x0, y, s.fit(press.field(rng, s.type), x1 - x0, size), size)
            y += 1.6 * s.size
        s.canvas.height = y - 1.2 * s.size + margin
        return s.canvas
    lines = s.count(1, 9)
    text = s.paragraphs(int(lines * (x1 - x0) / (0.5 * s.size)), 400)
    leading = s.uniform(1.05, 1.5)
    room = lines * leading * s.size
    bottom, _ = s.flow(text, [(x0, margin, x1, margin + room)], s.css(None, leading))
    s.canvas.height = max(bottom + margin, margin + s.size)
    return s.canvas


def blank(rng: Random, press: TypeLibrary) -> Canvas:
    """A page without text: empty or ruled paper, pictures, boxes, signatures, codes."""
    width, height = SHEETS[int(rng.integers(len(SHEETS)))]
    s = PageComposer(rng, press, Canvas(width, height), press.bundled(), 10)
    kind = rng.random()
    if kind < 0.25:  # ruled, squared or music paper
        step = s.uniform(8, 26)
        s.level = s.uniform(60, 210)
        group = s.count(1, 5) if s.yes(0.4) else 1
        y = 30.0
        while y < height - 20:
            for i in range(group):
                s.line(20, y + i * 4, width - 20, y + i * 4, s.uniform(0.3, 0.8))
            y += step + 4 * group
        if s.yes(0.4):
            for x in np.arange(20, width - 20, step):
                s.line(float(x), 30, float(x), height - 30, 0.4)
    elif kind < 0.45:
        s.picture((0, 0, width, height), s.one(["photo", "photo", "stark", "halftone"]))
    elif kind < 0.8:
        for _ in range(s.count(1, 9)):
            x, y = s.uniform(10, width * 0.8), s.uniform(10, height * 0.8)
            w, h = s.uniform(20, 260), s.uniform(15, 220)
            style = s.one(["photo", "drawing", "drawing", "qr", "bars", "logo", "scrawl", "chart"])
            s.picture((x, y, min(width, x + w), min(height, y + h)), style)
        for _ in range(s.count(0, 5)):
            x, y = s.uniform(0, width), s.uniform(0, height)
            s.rule(x, y, x + s.uniform(10, 300), y, s.uniform(0.3, 3))
    return s.canvas
