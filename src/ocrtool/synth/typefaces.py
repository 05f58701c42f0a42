"""Typefaces of synthetic documents, and texts that they can draw."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ocrtool.errors import InputError
from ocrtool.synth.alphabet import ALPHABET
from ocrtool.synth.canvas import Family, open_face
from ocrtool.synth.display_formulas import DisplayFormulaSource
from ocrtool.synth.fonts import Font, bundled_fonts, index_fonts
from ocrtool.synth.text import TextSource

Random = np.random.Generator

_BOLD = re.compile(r"bold|black|heavy|demi|extrab|bd\b", re.I)
_SLANTED = re.compile(r"ital|obli|slant|kursiv|[-_]it\b", re.I)
_THIN = re.compile(r"thin|hairline|light|extral", re.I)


@dataclass(frozen=True)
class Type:
    """A typeface for a document.

    Attributes:
        family: Its font files.
        characters: Characters that all of the files have.
        caps: Whether only capitals may be set.
    """

    family: Family
    characters: frozenset[str]
    caps: bool

    def clean(self, text: str) -> str:
        """Return the text without characters that the typeface lacks."""
        if self.caps:
            text = text.upper()
        return "".join(c for c in text if c in self.characters)


class TypeLibrary:
    """Typefaces and texts; every choice is made with the caller's random generator."""

    def __init__(
        self, fonts: Sequence[Path], texts: Sequence[Path], formulas: Sequence[Path] = ()
    ) -> None:
        """Index the fonts and read the texts (the bundled ones by default).

        Args:
            fonts: Font files.
            texts: UTF-8 text files.
            formulas: PDFs of display formulas, see ``ocrtool.synth.display_formulas``.

        Raises:
            InputError: No font is usable, or a text cannot be read.
        """
        self.texts = TextSource(texts, ALPHABET)
        self.displays = DisplayFormulaSource(formulas)
        self.paths = list(fonts) or bundled_fonts()
        usable = index_fonts(self.paths, ALPHABET)
        families: dict[str, list[Font]] = {}
        for font in usable:
            families.setdefault(font.family, []).append(font)
        self._all = list(families.values())
        plain = [m for m in self._all if m[0].likeness >= 0.62 and not m[0].caps]
        self._pools = {
            "plain": [m for m in plain if not m[0].mono] or plain or self._all,
            "mono": [m for m in self._all if m[0].mono and m[0].likeness >= 0.5],
            "typewriter": [m for m in self._all if m[0].typewriter],
            "display": self._all,
        }
        ordinary = [m for m in self._pools["plain"] if m[0].likeness >= 0.8]
        ordinary = [m for m in ordinary if len(m[0].characters) >= 180]
        self._pools["ordinary"] = ordinary or self._pools["plain"]
        self._pools["mono"] = self._pools["mono"] or self._pools["plain"]
        self._pools["typewriter"] = self._pools["typewriter"] or self._pools["mono"]

    def type(self, rng: Random, pool: str = "plain") -> Type:
        """Choose a ``plain``, ``mono``, ``typewriter`` or ``display`` typeface."""
        if pool == "plain" and rng.random() < 0.85:
            pool = "ordinary"  # few documents use a conspicuous typeface
        choices = self._pools[pool]
        for _ in range(20):
            members = choices[int(rng.integers(len(choices)))]
            upright = [f for f in members if not _SLANTED.search(_name(f))] or members
            book = [f for f in upright if not _BOLD.search(_name(f))] or upright
            book = [f for f in book if not _THIN.search(_name(f))] or book
            if pool == "display":
                book = members
            regular = book[int(rng.integers(len(book)))]
            bold = [f for f in upright if _BOLD.search(_name(f)) and f.caps == regular.caps]
            slanted = [
                f for f in members
                if _SLANTED.search(_name(f)) and not _BOLD.search(_name(f))
                and f.caps == regular.caps
            ]  # fmt: skip
            chosen = [regular]
            for others in (slanted, bold):
                if others:
                    chosen.append(others[int(rng.integers(len(others)))])
            family = Family(
                regular.path,
                chosen[1].path if slanted else regular.path,
                chosen[-1].path if bold else regular.path,
            )
            try:
                for font in chosen:
                    open_face(font.path)
            except InputError:  # FreeType through Pillow opens files that MuPDF does not
                continue
            characters = frozenset.intersection(*(frozenset(f.characters) for f in chosen))
            if len(characters) > 60 or regular.caps:
                return Type(family, characters, regular.caps)
        return self.bundled()

    def bundled(self) -> Type:
        """Return the bundled serif typeface."""
        folder = bundled_fonts()[0].parent
        path = str(folder / "Serif.ttf")
        characters = index_fonts([folder / "Serif.ttf"], ALPHABET)[0].characters
        return Type(
            Family(path, str(folder / "Serif-Italic.ttf"), path), frozenset(characters), False
        )

    def prose(self, rng: Random, kind: Type, low: int, high: int) -> str:
        """Return running text of about ``low`` to ``high`` characters."""
        target = int(rng.integers(low, high + 1))
        pieces: list[str] = []
        length = 0
        while length < target:
            piece = self.texts.prose(rng, min(40, target - length), min(150, target - length + 30))
            piece = kind.clean(piece).rstrip("-").strip()
            pieces.append(piece)
            length += max(8, len(piece))
        return " ".join(" ".join(pieces).split())

    def words(self, rng: Random, kind: Type, low: int, high: int) -> str:
        """Return a few words for headings and labels; never empty."""
        text = kind.clean(self.texts.words(rng, int(rng.integers(low, high + 1))))
        return " ".join(text.split()) or kind.clean(str(rng.integers(1, 999)))

    def field(self, rng: Random, kind: Type) -> str:
        """Return a number, date, code, address or similar; never empty."""
        text = kind.clean(self.texts.form(rng))
        return " ".join(text.split()) or kind.clean(str(rng.integers(1, 999)))

    def code(self, rng: Random, kind: Type, longest: int) -> str:
        """Return a line of program code; may be empty."""
        return kind.clean(self.texts.code(rng, longest)).strip()


def _name(font: Font) -> str:
    return Path(font.path).stem


def marked_up(rng: Random, text: str, *, emphasis: float = 0.02, soft: bool = False) -> str:
    """Return HTML prose with bold and italic runs, note references, soft hyphens, wide spaces.

    Old printers and typists left more space between sentences than between words.

    Args:
        rng: Random generator.
        text: Plain text.
        emphasis: Share of words at which an emphasised run starts.
        soft: Whether long words may be hyphenated at line ends.
    """
    words = text.split(" ")
    apart = "&nbsp;" * int(rng.integers(1, 3)) if rng.random() < 0.2 else ""
    parts: list[str] = []
    left, end = 0, ""
    for word in words:
        piece = html.escape(word, quote=False)
        if soft and len(word) > 6 and word.isalpha():
            at = int(rng.integers(2, 4))
            cuts = [word[i : i + 3] for i in range(at, len(word), 3)]
            if len(cuts) > 1 and len(cuts[-1]) < 2:
                cuts[-2:] = [cuts[-2] + cuts[-1]]
            piece = "&shy;".join([word[:at], *cuts])
        if not left and rng.random() < emphasis:
            tag = ("b", "i", "i", "sup")[int(rng.integers(4))]
            if tag == "sup":
                piece += f"<sup>{rng.integers(1, 60)}</sup>"
            else:
                left, end = int(rng.integers(1, 6)), f"</{tag}>"
                piece = f"<{tag}>{piece}"
        if apart and word.endswith((".", "?", "!", ":")):
            piece += apart
        if left:
            left -= 1
            if not left:
                piece, end = piece + end, ""
        parts.append(piece)
    return " ".join(parts) + end
