"""Bundled models (one folder each), published models on request, and the vocabulary of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

BUNDLED = Path(__file__).parent
"""Parent folder of the bundled models."""
FORMULA_READER = "formula"
"""Name of the default formula model."""
METADATA = "model.json"
"""File with geometry, vocabulary and calibration."""
WEIGHTS = "model.safetensors"
"""Weights for PyTorch, from which training can start."""
TOKENIZER = "tokenizer.json"
"""Published tokenizer, of models that use one."""
CARD = "CARD.md"
"""Model card: data, training and scores."""
ENCODER = "encoder.onnx"
DECODER = "decoder.onnx"
DETECTOR = "detector.onnx"


def is_bundled(name: str) -> bool:
    """Tell whether a model of this name is bundled with the package."""
    return (BUNDLED / name / METADATA).is_file()


PAD, BOS, EOS, UNK = 0, 1, 2, 3
"""Padding, begin and end of a sequence, and what is outside the alphabet."""
BLANK = PAD
"""The CTC blank: padding never stands among CTC's labels, so the two share an id."""
SPECIALS = 4
"""Count of special ids; the entries follow."""
REPLACEMENT = "\ufffd"
"""What UNK is written as."""


@dataclass(frozen=True)
class Vocabulary:
    """What a model can write; the first entry has id 4.

    Attributes:
        entries: All different: single characters, or, with a separator, tokens of any length.
        separator: What stands between the tokens of a text; empty where entries are characters.

    Raises:
        ValueError: An entry is not one character or one token, or occurs twice.
    """

    entries: tuple[str, ...]
    separator: str = ""

    def __post_init__(self) -> None:
        """Refuse what would make ids ambiguous."""
        for entry in self.entries:
            if not self.separator and len(entry) != 1:
                raise ValueError(f"{entry!r} is not a single character")
            if self.separator and (not entry or self.separator in entry):
                raise ValueError(f"{entry!r} is not a single token")
        if len(set(self.entries)) != len(self.entries):
            raise ValueError("the alphabet holds an entry twice")

    @classmethod
    def from_texts(cls, texts: Iterable[str], separator: str = "") -> Vocabulary:
        """Collect the characters, or tokens, of all texts, ordered by code point."""
        found: set[str] = set()
        for text in texts:
            found.update(split(text, separator))
        return cls(tuple(sorted(found)), separator)

    def __len__(self) -> int:
        """Return the number of ids, the four special ones included."""
        return SPECIALS + len(self.entries)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {entry: i for i, entry in enumerate(self.entries, SPECIALS)}

    @property
    def unit(self) -> str:
        """What an entry is called: ``character`` or ``token``."""
        return "token" if self.separator else "character"

    def split(self, text: str) -> list[str]:
        """Return the characters, or tokens, of a text."""
        return split(text, self.separator)

    def encode(self, text: str) -> list[int]:
        """Return one id a character or token, UNK for those unknown; no BOS, no EOS."""
        return [self._ids.get(part, UNK) for part in self.split(text)]

    def encode_prompt(self, text: str) -> list[int]:
        """Return the ids of what a decoder is told before it writes, which need not be known."""
        return self.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids; PAD, BOS and EOS are dropped, UNK becomes U+FFFD."""
        return self.separator.join(
            REPLACEMENT if i == UNK else self.entries[i - SPECIALS] for i in ids if i >= UNK
        )

    def covers(self, text: str) -> bool:
        """Return whether every character or token of ``text`` is in the alphabet."""
        return all(part in self._ids for part in self.split(text))

    def to_json(self) -> str | list[str]:
        """Return characters as a plain string, tokens as a list; ``from_json`` reads it back."""
        return list(self.entries) if self.separator else "".join(self.entries)

    @classmethod
    def from_json(cls, entries: str | list[str]) -> Vocabulary:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: It is neither, or holds an entry twice.
        """
        if isinstance(entries, str):
            return cls(tuple(entries))
        if isinstance(entries, list) and all(isinstance(entry, str) for entry in entries):
            return cls(tuple(entries), " ")
        raise ValueError("the alphabet is neither a string of characters nor a list of tokens")


def split(text: str, separator: str) -> list[str]:
    """Return the parts of a text between separators; its characters where that is empty."""
    if not separator:
        return list(text)
    return [part for part in text.split(separator) if part]
