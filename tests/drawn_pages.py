"""Pages of many kinds, set with the metrics of real fonts, whose order of reading is known.

Nothing is rasterised: a page is the tight boxes of its lines with what they say.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pymupdf

TEXT = """
time year people way day man thing woman life child world school state family student group
country problem hand part place case week company system program question work government number
night point home water room mother area money story fact month lot right study book eye job word
business issue side kind head house service friend father power hour game line end member law car
city community name president team minute idea body information back parent face others level
office door health person art war history party result change morning reason research girl guy
moment air teacher force education foot boy age policy the of and to in is that for was on with as
it at by from which an had not but were this
"""
WORDS = TEXT.split()
FONTS = {name: pymupdf.Font(name) for name in ("helv", "tiro", "cour", "hebo")}
WIDTH, HEIGHT = 1240, 1754


@lru_cache(10_000)
def advance(font: str, word: str) -> float:
    """Return the width of a word at a size of 1."""
    return float(FONTS[font].text_length(word, 1))


def length(font: str, words: list[str], size: float) -> float:
    """Return the width of words with spaces between."""
    return size * (sum(advance(font, w) for w in words) + advance(font, " ") * (len(words) - 1))


@dataclass
class Drawn:
    """A page: lines in reading order, each with its box, what it says and its kind."""

    rng: random.Random
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    font: str = "tiro"

    def put(self, x: float, y: float, text: str, size: float = 24, align: str = "left") -> float:
        """Set a line with its foot at ``y``; return where it ends."""
        width = length(self.font, text.split(" "), size)
        x = x - width if align == "right" else x - width / 2 if align == "centre" else x
        high = any(c.isupper() or c.isdigit() or c in "bdfhklt" for c in text)
        low = any(c in "gjpqy,;(" for c in text)
        jitter = [self.rng.uniform(-0.04, 0.04) * size for _ in range(4)]
        self.boxes.append(
            (x + jitter[0], y - (0.7 if high else 0.47) * size + jitter[1],
             x + width + jitter[2], y + 0.2 * low * size + jitter[3])
        )  # fmt: skip
        self.texts.append(text)
        return x + width

    def sentence(self, words: int) -> list[str]:
        chosen = [self.rng.choice(WORDS) for _ in range(words)]
        return [chosen[0].capitalize(), *chosen[1:-1], chosen[-1] + "."]

    def prose(
        self, x: float, y: float, width: float, count: int, size: float = 24, leading: float = 1.3
    ) -> float:
        """Set ``count`` lines of prose from ``y`` on; return where the next line would stand."""
        words: list[str] = []
        while count:
            words += self.sentence(self.rng.randint(6, 18))
            line: list[str] = []
            while words and count:
                fits = length(self.font, [*line, words[0]], size) <= width
                if fits or not line:
                    line.append(words.pop(0))
                    continue
                self._set(x, y, width, line, size)
                line, y, count = [], y + leading * size, count - 1
            if line:
                words = [*line, *words]
        self.put(x, y, " ".join(words[:2]) + ".", size)
        return y + leading * size

    def _set(self, x: float, y: float, width: float, line: list[str], size: float) -> None:
        self.put(x, y, " ".join(line), size)
        if self.justified and len(line) > 2:
            x0, y0, _, y1 = self.boxes[-1]
            self.boxes[-1] = (x0, y0, x + width, y1)

    justified: bool = True

    def title(self, words: int) -> str:
        return " ".join(self.rng.choice(WORDS).capitalize() for _ in range(words))

    def words(self, count: int) -> str:
        return " ".join(self.rng.choice(WORDS) for _ in range(count))

    def address(self, x: float, y: float) -> None:
        lines = [
            self.title(self.rng.randint(2, 3)),
            f"{self.rng.randint(1, 200)} {self.title(2)}",
            f"{self.rng.randint(10000, 99999)} {self.title(self.rng.randint(1, 2))}",
            *[self.title(1)] * self.rng.randint(0, 1),
        ]
        for k, line in enumerate(lines):
            self.put(x, y + 31 * k, line)

    def amount(self) -> str:
        return f"{self.rng.uniform(0, 500):.2f}"

    def arrays(self) -> np.ndarray:
        return np.array(self.boxes, np.float32)


def book(d: Drawn) -> None:
    d.put(120, 90, "12", 20)
    d.put(620, 90, d.title(4), 20, "centre")
    y = d.prose(120, 200, 1000, d.rng.randint(4, 12))
    d.put(120, y + 60, d.title(3), 34)
    y = d.prose(120, y + 130, 1000, d.rng.randint(4, 12))
    d.put(120, y + 70, "1.2 " + d.title(3), 28)
    d.prose(120, y + 120, 1000, d.rng.randint(4, 8))


def paper(d: Drawn) -> None:
    d.put(120, 60, d.title(5), 18)
    d.put(1120, 60, "417", 18, "right")
    d.put(620, 160, d.title(6), 44, "centre")
    d.put(620, 230, d.title(2) + ", " + d.title(2), 26, "centre")
    d.put(620, 300, "Abstract", 24, "centre")
    y = d.prose(220, 340, 800, d.rng.randint(3, 6), 20)
    for x in (120, 640):
        at = y + 70
        if x == 120 or d.rng.random() < 0.5:
            d.put(x, at, "1 " + d.title(2), 28)
            at += 50
        at = d.prose(x, at, 480, d.rng.randint(8, 12), 22)
        d.put(x, at + 40, "2.1 " + d.title(2), 26)
        at = d.prose(x, at + 90, 480, d.rng.randint(6, 8), 22)
        if x == 120:
            d.prose(x, at + 50, 480, 2, 17)
        else:
            d.prose(x, at, 480, 5, 22)
    d.put(620, 1700, "3", 20, "centre")


def newsletter(d: Drawn) -> None:
    d.put(620, 140, d.title(3).upper(), 70, "centre")
    for x in (80, 450, 820):
        y = d.prose(x, 240, 340, d.rng.randint(12, 16), 21, 1.25)
        d.put(x, y + 40, d.title(2), 30)
        d.prose(x, y + 90, 340, d.rng.randint(8, 14), 21, 1.25)


def newspaper(d: Drawn) -> None:
    d.put(620, 120, d.title(2).upper(), 90, "centre")
    d.put(60, 220, d.title(4), 48)
    for x in (60, 345):
        d.prose(x, 270, 255, d.rng.randint(25, 30), 20, 1.2)
    for x in (630, 915):
        y = d.prose(x, 220, 255, d.rng.randint(15, 20), 20, 1.2)
        d.put(x, y + 40, d.title(1), 30)
        d.prose(x, y + 80, 255, d.rng.randint(10, 14), 20, 1.2)


def bands(d: Drawn) -> None:
    y = 120.0
    for _ in range(2):
        d.put(100, y, d.title(2), 40)
        ends = [d.prose(x, y + 70, 490, d.rng.randint(6, 14), 22) for x in (100, 650)]
        y = max(ends) + 80
    d.prose(100, y, 1040, 4, 22)


def letter(d: Drawn) -> None:
    d.justified = False
    y = 120.0
    for _ in range(4):
        d.put(120, y, d.title(3))
        y += 32
    d.put(1120, y + 60, "12 March 1998", 24, "right")
    d.put(120, y + 140, "Dear " + d.title(2) + ",")
    y = d.prose(120, y + 200, 1000, d.rng.randint(4, 7))
    y = d.prose(120, y + 30, 1000, d.rng.randint(4, 7))
    d.put(120, y + 60, "Yours sincerely,")
    d.put(120, y + 180, d.title(2))
    d.put(620, 1690, "Tel. 030 1234567  Fax 030 1234568", 17, "centre")


def invoice(d: Drawn) -> None:
    d.put(120, 140, d.title(2), 50)
    for x in (120, 700):
        d.put(x, 250, "Bill to" if x == 120 else "Ship to", 24)
        d.address(x, 285)
    y = 500.0
    for x, name in ((120, "Item"), (700, "Qty"), (900, "Price"), (1120, "Total")):
        d.put(x, y, name, 24, "left" if x == 120 else "right")
    for _ in range(d.rng.randint(4, 9)):
        y += 46
        d.put(120, y, d.title(d.rng.randint(1, 4)))
        d.put(700, y, str(d.rng.randint(1, 20)), 24, "right")
        d.put(900, y, d.amount(), 24, "right")
        d.put(1120, y, d.amount(), 24, "right")
    for name in ("Net", "VAT 19%", "Total"):
        y += 50
        d.put(850, y, name)
        d.put(1120, y, d.amount(), 24, "right")
    d.prose(120, y + 120, 1000, 3)


def receipt(d: Drawn) -> None:
    d.font = "cour"
    y = 80.0
    for _ in range(4):
        d.put(300, y, d.title(2).upper(), 24, "centre")
        y += 30
    for _ in range(d.rng.randint(5, 12)):
        y += 30
        d.put(60, y, d.title(d.rng.randint(1, 3)).upper())
        if d.rng.random() < 0.7:
            d.put(560, y, d.amount(), 24, "right")
    for name in ("SUBTOTAL", "TAX", "TOTAL", "CASH", "CHANGE"):
        y += 34
        d.put(60, y, name)
        d.put(560, y, d.amount(), 24, "right")
    d.put(300, y + 70, "THANK YOU", 24, "centre")


def form(d: Drawn) -> None:
    d.put(620, 120, d.title(4), 40, "centre")
    y = 220.0
    for _ in range(d.rng.randint(6, 12)):
        d.put(120, y, d.title(d.rng.randint(1, 2)) + ":")
        d.put(380, y, d.title(d.rng.randint(1, 2)))
        if d.rng.random() < 0.8:
            d.put(700, y, d.title(1) + ":")
            d.put(900, y, d.rng.choice([d.title(1), "12.04.1977", "4711"]))
        y += 56
    d.prose(120, y + 60, 1000, 3, 18)


def table(d: Drawn) -> None:
    y = d.prose(120, 150, 1000, d.rng.randint(3, 7))
    d.put(120, y + 40, "Table 1: " + d.words(6), 20)
    y += 100
    columns = d.rng.randint(3, 6)
    step = 1000 / columns
    for _ in range(d.rng.randint(4, 12)):
        d.put(120, y, d.title(1))
        for k in range(1, columns):
            d.put(120 + k * step, y, d.rng.choice([d.amount(), d.title(1)]))
        y += 40
    d.prose(120, y + 60, 1000, d.rng.randint(3, 7))


def table_in_column(d: Drawn) -> None:
    for x in (100, 650):
        y = d.prose(x, 140, 490, d.rng.randint(5, 10), 22)
        d.put(x, y + 30, "Table 2. " + d.words(4), 19)
        y += 80
        for _ in range(d.rng.randint(4, 8)):
            d.put(x, y, d.title(1), 20)
            d.put(x + 320, y, d.amount(), 20, "right")
            d.put(x + 480, y, d.amount(), 20, "right")
            y += 30
        d.prose(x, y + 50, 490, d.rng.randint(8, 14), 22)


def index(d: Drawn) -> None:
    d.put(620, 120, "Index", 46, "centre")
    columns = d.rng.randint(2, 3)
    for k in range(columns):
        y = 220.0
        for _ in range(d.rng.randint(25, 35)):
            if d.rng.random() < 0.1:
                y += 40
            inset = 30 if d.rng.random() < 0.3 else 0
            pages = ", ".join(str(d.rng.randint(1, 400)) for _ in range(d.rng.randint(1, 3)))
            d.put(
                100 + k * 1060 / columns + inset, y, f"{d.words(d.rng.randint(1, 2))}, {pages}", 22
            )
            y += 29


def side_notes(d: Drawn) -> None:
    notes = []
    y = 150.0
    for _ in range(4):
        if d.rng.random() < 0.8:
            notes.append(y + d.rng.uniform(-10, 40))
        y = d.prose(120, y, 800, d.rng.randint(4, 8)) + 20
    for y in notes:
        for k in range(d.rng.randint(2, 3)):
            d.put(960, y + 24 * k, d.words(2), 17)


def figures(d: Drawn) -> None:
    d.put(120, 70, "84 " + d.title(3), 18)
    for x in (120, 640):
        y = d.prose(x, 150, 480, d.rng.randint(5, 12), 22)
        end = y + d.rng.randint(250, 400)
        d.boxes.append((x, y, x + 480, end - 40))
        d.texts.append("")
        y = end
        y = d.prose(x, y, 480, 1, 18)
        d.prose(x, y + 40, 480, d.rng.randint(6, 12), 22)
    d.put(1120, 1700, "84", 20, "right")


def contents(d: Drawn) -> None:
    d.put(120, 140, "Contents", 46)
    y, page = 240.0, 1
    for k in range(d.rng.randint(10, 22)):
        page += d.rng.randint(1, 20)
        d.put(120 + 40 * (k % 3 > 0), y, f"{k} {d.title(d.rng.randint(2, 5))}")
        d.put(1120, y, str(page), 24, "right")
        y += 42


def slide(d: Drawn) -> None:
    d.font = "helv"
    d.put(80, 110, d.title(3), 60)
    for x in (80, 640):
        y = 250.0
        d.put(x, y, d.title(2), 38)
        for _ in range(d.rng.randint(3, 5)):
            y += 62
            d.put(x, y, "• " + d.words(d.rng.randint(3, 5)), 30)


def addresses(d: Drawn) -> None:
    y = 120.0
    d.put(620, y, d.title(3), 40, "centre")
    for _ in range(d.rng.randint(1, 3)):
        y += 190
        for k in range(3):
            d.address(100 + 380 * k, y)
    d.prose(100, y + 220, 1040, 5)


def career(d: Drawn) -> None:
    d.put(120, 120, d.title(2), 46)
    y = 240.0
    for _ in range(d.rng.randint(4, 7)):
        year = d.rng.randint(1980, 2010)
        d.put(120, y, f"{year}-{year + d.rng.randint(1, 9)}")
        y = d.prose(400, y, 720, d.rng.randint(1, 3)) + 20


def numbered(d: Drawn) -> None:
    y = d.prose(120, 150, 1000, 3)
    for k in range(d.rng.randint(4, 9)):
        d.put(120, y + 20, f"{k + 1}.")
        y = d.prose(170, y + 20, 950, d.rng.randint(1, 3))


def verse(d: Drawn) -> None:
    d.put(620, 130, d.title(4), 36, "centre")
    for x in (140, 680):
        y = 240.0
        for _ in range(d.rng.randint(3, 5)):
            for k in range(4):
                d.put(x + 30 * (k % 2), y, d.title(1) + " " + d.words(d.rng.randint(3, 5)))
                y += 32
            y += 32


KINDS: dict[str, Callable[[Drawn], None]] = {
    make.__name__: make
    for make in (
        book, paper, newsletter, newspaper, bands, letter, invoice, receipt, form, table,
        table_in_column, index, side_notes, figures, contents, slide, addresses, career, numbered,
        verse,
    )
}  # fmt: skip


def draw(kind: str, seed: int, broken: float = 0.0) -> Drawn:
    """Draw a page; a share of its longer lines is broken in two at a space."""
    rng = random.Random(f"{kind}{seed}")
    page = Drawn(rng, font=rng.choice(["tiro", "helv"]))
    KINDS[kind](page)
    boxes, texts = page.boxes, page.texts
    page.boxes, page.texts = [], []
    for box, text in zip(boxes, texts, strict=True):
        words = text.split(" ")
        if len(words) < 5 or rng.random() >= broken:
            page.boxes.append(box)
            page.texts.append(text)
            continue
        k = rng.randint(2, len(words) - 2)
        first = " ".join(words[:k])
        step = (box[2] - box[0]) / len(text)
        place = box[0] + step * len(first)
        page.boxes += [(box[0], box[1], place, box[3]), (place + step, box[1], box[2], box[3])]
        page.texts += [first, " ".join(words[k:])]
    return page


def successions(order: list[int]) -> tuple[int, int]:
    """Return how many of the steps from line to line are right, and how many there are.

    ``order`` holds the true places of the lines in the order that was found.
    """
    place = {line: k for k, line in enumerate(order)}
    steps = len(order) - 1
    return sum(place.get(i + 1, -9) == place[i] + 1 for i in range(steps)), steps
