"""Normalisation of texts before they are compared; its name is part of every report."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛`´", "'"),
        **dict.fromkeys("“”„‟«»", '"'),
        **dict.fromkeys("‐‑‒–—−", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\ufeff", ""),
    }
)
"""Quotation marks and dashes to those of ASCII; invisible characters to nothing."""
_SPLIT_WORD = re.compile(r"(?<=\w)[-¬]\s*\n\s*(?=\w)")
"""The hyphen at the end of a line with the line break after it."""


class Normalisation(StrEnum):
    """What counts as the same text."""

    NONE = "none"
    """Characters as they are, apart from white space at the ends."""
    OCR = "ocr"
    """Compatibility forms (NFKC), one kind of quotation mark and of dash, words split at line ends
    put together, runs of white space as one space."""
    BENCHMARK = "benchmark"
    """The rules of the benchmark itself."""


@dataclass(frozen=True)
class Comparison:
    """How texts are compared.

    Attributes:
        normalisation: What counts as the same text.
        ignore_case: Whether capitals count as small letters.
        cased: Whether the word protocol tells capitals from small letters.
        punctuation: Whether the word protocol compares punctuation, too.
    """

    normalisation: Normalisation = Normalisation.OCR
    ignore_case: bool = False
    cased: bool = False
    punctuation: bool = False

    def normal(self, text: str) -> str:
        """Return a text in its normal form."""
        text = text.strip() if self.normalisation is Normalisation.NONE else normalise_ocr(text)
        return text.casefold() if self.ignore_case else text

    def word(self, text: str) -> str:
        """Return a word as the word protocols of scene text compare it.

        By default the 36 digits and small letters are compared, with ``cased`` 62 characters, with
        ``punctuation`` the 94 of ASCII (Baek et al., "What Is Wrong With Scene Text Recognition
        Model Comparisons?", ICCV 2019).
        """
        if not (self.cased and self.punctuation):
            text = text if self.cased else text.lower()
        kept = "!-~" if self.punctuation else "0-9A-Za-z"
        return re.sub(f"[^{kept}]", "", text)

    @property
    def label(self) -> str:
        """Name for reports."""
        return str(self.normalisation) + ", case ignored" * self.ignore_case

    @property
    def word_label(self) -> str:
        """Name of the word protocol for reports."""
        if self.punctuation:
            return "94 characters" if self.cased else "68 characters: no capitals"
        return "62 characters" if self.cased else "36 characters"


def normalise_ocr(text: str) -> str:
    """Return a text without differences that no reader of the page can see."""
    text = _SPLIT_WORD.sub("", text.translate(_ALIKE))
    # Once more, since compatibility forms can be made of such characters.
    text = unicodedata.normalize("NFKC", text).translate(_ALIKE)
    return " ".join(text.split())
