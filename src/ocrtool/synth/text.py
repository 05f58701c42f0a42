"""Texts of synthetic lines: real prose and code, and typical contents of forms.

A label is what a person would type: runs of spaces count once, characters with identical glyphs
are folded (``alphabet.canonical``).
"""

from __future__ import annotations

import lzma
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from ocrtool.errors import InputError
from ocrtool.synth.alphabet import canonical

Random = np.random.Generator

_MONTHS = (
    "January February March April May June July August September October November December "
    "Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec janvier février mars avril mai juin juillet "
    "août Januar Februar März Juni Juli Oktober Dezember enero marzo abril junio octubre"
).split()
_DAYS = "Mon Tue Wed Thu Fri Sat Sun Monday Tuesday Wednesday Thursday Friday Saturday".split()
_STREETS = "Street Road Avenue Lane Blvd. St. Rd. Ave. Jalan Strasse Platz rue Via Calle".split()
_CURRENCIES = ["$", "€", "£", "¥", "USD ", "EUR ", "RM", "RM ", "CHF ", "kr ", "₹", "Kč "]
_LABELS = (
    "Total Subtotal Tax GST VAT Invoice No Date Tel Fax Qty Amount Cash Change Receipt Page "
    "Ref Order Item Price Discount Balance Due Bill Cashier Table Account Name Address Phone "
    "Rounding Payment Visa Card Code Description Unit Net Gross Served by Doc Reg CO GST ID"
).split()
_OPERATORS = [
    "=",
    "==",
    "+",
    "-",
    "*",
    "/",
    "->",
    "=>",
    "<",
    ">",
    "<=",
    ">=",
    "!=",
    ":",
    "::",
    "&&",
]


@dataclass(frozen=True)
class Corpus:
    """Lines of one text file, stored compactly as one string with line offsets."""

    text: str
    starts: np.ndarray  # (lines + 1,) int64 offsets into text
    weight: float

    def line(self, rng: Random) -> str:
        """Return a line drawn uniformly."""
        i = int(rng.integers(len(self.starts) - 1))
        return self.text[self.starts[i] : self.starts[i + 1] - 1]


def read_corpus(path: Path) -> Corpus:
    """Read a UTF-8 text file (also ``.xz``); its weight is the square root of its size.

    Raises:
        InputError: The file cannot be read or holds no text.
    """
    try:
        raw = path.read_bytes()
        if path.suffix == ".xz":
            raw = lzma.decompress(raw)
        lines = [line for line in canonical(raw.decode("utf-8")).split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise InputError(f"{path}: {error}") from error
    if not lines:
        raise InputError(f"{path}: holds no text")
    starts = np.cumsum([0] + [len(line) + 1 for line in lines])
    return Corpus("\n".join(lines) + "\n", starts, len(raw) ** 0.5)


@lru_cache(maxsize=1)
def bundled_corpus() -> Path:
    """Return the path of the bundled sample text in several languages."""
    return Path(str(files("ocrtool.synth"))) / "sample.txt"


class TextSource:
    """Source of texts of a kind: prose, words, form fields, code, rare characters."""

    def __init__(self, paths: Sequence[Path], alphabet: str) -> None:
        """Read the files; a file whose name starts with ``code`` is used for code only."""
        self.alphabet = alphabet
        self._known = frozenset(alphabet)
        paths = list(paths) or [bundled_corpus()]
        code = [p for p in paths if p.name.startswith("code")]
        self._prose = [read_corpus(p) for p in paths if p not in code]
        self._code = [read_corpus(p) for p in code] or self._prose
        self._prose = self._prose or self._code
        common = string.ascii_letters + string.digits + " "
        self._rare = [c for c in alphabet if c not in common] or list(alphabet)

    def prose(self, rng: Random, low: int, high: int) -> str:
        """Return whole words of about ``low`` to ``high`` characters; 1 in 8 ends hyphenated."""
        target = int(rng.integers(low, high + 1))
        line = self._pick(self._prose, rng).line(rng)
        if len(line) > target:
            start = int(rng.integers(len(line) - target + 1))
            if start:
                start = line.find(" ", start) + 1
            line = line[start : start + target + 12]
            if len(line) > target:
                end = line.rfind(" ", 0, target + 1)
                if end <= 0:
                    line = line[:target]
                elif rng.random() < 0.12 and line[end + 1 : end + 5].isalpha():
                    line = line[: end + int(rng.integers(3, 5))] + "-"
                else:
                    line = line[:end]
        return line.strip()

    def words(self, rng: Random, count: int) -> str:
        """Return ``count`` consecutive words of a text, mostly without surrounding punctuation."""
        words = self._pick(self._prose, rng).line(rng).split()
        start = int(rng.integers(max(1, len(words) - count + 1)))
        text = " ".join(words[start : start + count])
        return text.strip(".,;:!?\"'()“”‘’*_-—") or text if rng.random() < 0.8 else text

    def code(self, rng: Random, high: int) -> str:
        """Return a line of program code."""
        return self._pick(self._code, rng).line(rng).strip()[:high].rstrip()

    def rare(self, rng: Random, high: int) -> str:
        """Return prose or digits with inserted rare characters."""
        words = self.prose(rng, 4, high).split() or ["x"]
        for _ in range(int(rng.integers(1, 2 + len(words) // 2))):
            i = int(rng.integers(len(words)))
            rare = "".join(_choices(rng, self._rare, int(rng.integers(1, 4))))
            at = int(rng.integers(len(words[i]) + 1))
            words[i] = words[i][:at] + rare + words[i][at:]
        return " ".join(words)

    def form(self, rng: Random) -> str:
        """Return a field of a form, receipt, table or screen: number, date, code, address."""
        parts = [self._field(rng) for _ in range(1 + int(4 * rng.random() * rng.random()))]
        gap = _one(rng, [" ", " ", "  ", "    ", "        "])
        return gap.join(parts)

    def _field(self, rng: Random) -> str:
        kind = int(rng.integers(16))
        if kind == 0:
            return _number(rng)
        if kind == 1:
            return _money(rng)
        if kind == 2:
            return _date(rng)
        if kind == 3:
            return f"{rng.integers(24):02}:{rng.integers(60):02}" + str(
                rng.choice(["", f":{rng.integers(60):02}", " AM", " PM", " h"])
            )
        if kind == 4:
            label = _one(rng, _LABELS)
            colon = _one(rng, [":", " :", ": ", "", "."])
            return f"{label}{colon} {_number(rng) if rng.random() < 0.5 else _code(rng)}"
        if kind == 5:
            return _code(rng)
        if kind == 6:
            return _phone(rng)
        if kind == 7:
            return _address(rng, self)
        if kind == 8:
            return self._url(rng)
        if kind == 9:
            return f"{self.words(rng, 2)}{'.' * int(rng.integers(3, 24))}{rng.integers(1, 400)}"
        if kind == 10:
            return f"{rng.integers(1, 40)} {_one(rng, ['x', 'X', '@', '×'])} {_money(rng)}"
        if kind == 11:
            return f"({self.words(rng, 1)})" if rng.random() < 0.5 else f"[{rng.integers(1, 99)}]"
        if kind == 12:
            return f"{_number(rng)}{_one(rng, ['%', ' %', ' kg', ' km', '°C', ' mm', ' g', '″'])}"
        if kind == 13:
            operator = _one(rng, _OPERATORS)
            return f"{self.words(rng, 1)} {operator} {_number(rng)}"
        if kind == 14:
            bullet = _one(rng, ["•", "-", "–", "*", "1.", "2)", "a)", "§ 4", "■", "□", "№"])
            return f"{bullet} {self.words(rng, 3)}"
        return self.words(rng, int(rng.integers(1, 4)))

    def _url(self, rng: Random) -> str:
        word = "".join(c for c in self.words(rng, 1).lower() if c.isascii() and c.isalnum()) or "a"
        other = "".join(c for c in self.words(rng, 1).lower() if c.isascii() and c.isalnum())
        end = _one(rng, ["com", "org", "net", "de", "fr", "co.uk", "edu", "io", "gov"])
        kind = int(rng.integers(4))
        if kind == 0:
            return f"{word}{_one(rng, ['.', '_', '-', ''])}{other}@{word[::-1]}.{end}"
        if kind == 1:
            return f"https://www.{word}.{end}/{other}" + f"?id={rng.integers(9999)}"
        if kind == 2:
            return f"www.{word}{other}.{end}"
        root = _one(rng, ["/usr/", "C:\\", "~/", "./", "../"])
        return f"{root}{word}/{other}.{end[:3]}"

    def label(self, text: str) -> str:
        """Return the label of a text: characters of the alphabet, single spaces."""
        return " ".join("".join(c for c in text if c in self._known).split())

    def drawable(self, text: str) -> str:
        """Return the text without characters outside the alphabet (spaces are kept)."""
        return "".join(c for c in text if c in self._known)

    @staticmethod
    def _pick(corpora: Sequence[Corpus], rng: Random) -> Corpus:
        if len(corpora) == 1:
            return corpora[0]
        edges = np.cumsum([c.weight for c in corpora])
        return corpora[int(np.searchsorted(edges, rng.random() * edges[-1]))]


def change_case(text: str, rng: Random) -> str:
    """Change to upper, title or lower case, where a character has a one-letter counterpart."""
    kind = rng.random()
    if kind < 0.6:
        return "".join(c.upper() if len(c.upper()) == 1 else c for c in text)
    return text.title() if kind < 0.9 else text.lower()


def _one(rng: Random, items: Sequence[str]) -> str:
    return items[int(rng.integers(len(items)))]


def _choices(rng: Random, items: Sequence[str], count: int) -> list[str]:
    return [items[int(i)] for i in rng.integers(len(items), size=count)]


def _digits(rng: Random, count: int) -> str:
    return "".join(map(str, rng.integers(10, size=count)))


def _number(rng: Random) -> str:
    kind = int(rng.integers(6))
    value = int(10 ** rng.uniform(0, 7))
    if kind == 0:
        return f"{value:,}"
    if kind == 1:
        return f"{value:,}".replace(",", _one(rng, [".", " ", "'", "’"]))
    if kind == 2:
        return f"{value / 100:.2f}".replace(".", _one(rng, [".", ","]))
    if kind == 3:
        return f"{_one(rng, ['-', '+', '−', '±', '<', '>', '~', ''])}{value / 1000:.3g}"
    if kind == 4:
        return _digits(rng, int(rng.integers(1, 13)))
    return str(value)


def _money(rng: Random) -> str:
    value = f"{10 ** rng.uniform(0, 5):,.2f}"
    if rng.random() < 0.3:
        value = value.replace(",", "\0").replace(".", ",").replace("\0", ".")
    sign = _one(rng, _CURRENCIES)
    kind = rng.random()
    if kind < 0.4:
        return sign + value
    return f"{value} {sign.strip()}" if kind < 0.55 else value


def _date(rng: Random) -> str:
    day, month, year = (
        int(rng.integers(1, 29)),
        int(rng.integers(1, 13)),
        int(rng.integers(1850, 2031)),
    )
    kind = int(rng.integers(7))
    if kind == 0:
        sep = _one(rng, ["/", "-", ".", " / "])
        return f"{day:02}{sep}{month:02}{sep}{year}"
    if kind == 1:
        return (
            f"{day:02}{_one(rng, ['/', '-', '.'])}{month:02}{_one(rng, ['/', '.'])}{year % 100:02}"
        )
    if kind == 2:
        return f"{year}-{month:02}-{day:02}"
    if kind == 3:
        return f"{_one(rng, _MONTHS)} {day}, {year}"
    if kind == 4:
        return f"{day}{_one(rng, ['', '.', 'th', 'er'])} {_one(rng, _MONTHS)} {year}"
    if kind == 5:
        return f"{_one(rng, _DAYS)}, {day} {_one(rng, _MONTHS)}"
    return f"{_one(rng, _MONTHS)} {day}, '{year % 100:02}."


def _code(rng: Random) -> str:
    pool = _one(rng, [string.ascii_uppercase + string.digits, string.hexdigits, string.digits])
    parts = [
        "".join(_choices(rng, pool, int(rng.integers(1, 7))))
        for _ in range(int(rng.integers(1, 5)))
    ]
    return _one(rng, ["-", "", "/", " ", "_", "."]).join(parts)


def _phone(rng: Random) -> str:
    parts = [_digits(rng, int(rng.integers(2, 5))) for _ in range(int(rng.integers(2, 5)))]
    head = _one(rng, ["", "+", "(+", "Tel: ", "TEL : ", "Fax. "])
    text = head + _one(rng, [" ", "-", ".", ""]).join(parts)
    return text + ")" if "(" in text else text


def _address(rng: Random, texts: TextSource) -> str:
    name = texts.words(rng, 1).title()
    street = _one(rng, _STREETS)
    number = f"{rng.integers(1, 400)}{_one(rng, ['', '', 'A', 'b', '/2', '-4'])}"
    kind = int(rng.integers(3))
    if kind == 0:
        return f"{number} {name} {street}"
    if kind == 1:
        return f"{name}{street.lower()} {number}, {_digits(rng, 5)} {texts.words(rng, 1).title()}"
    return f"NO. {number}, {street.upper()} {name.upper()} {rng.integers(1, 60)},"
