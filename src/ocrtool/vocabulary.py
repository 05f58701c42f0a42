"""Characters to token ids and back. Torch-free and NumPy-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

PAD, BOS, EOS, UNK = 0, 1, 2, 3
"""Padding, begin and end of a sequence, and a character outside the alphabet."""
BLANK = PAD
"""The CTC blank: padding never stands among CTC's labels, so the two share an id."""
SPECIALS = 4
"""Count of special ids; the characters follow."""
REPLACEMENT = "\ufffd"
"""What UNK is written as."""


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model can write; the first has id 4.

    Attributes:
        characters: Single characters, all different.

    Raises:
        ValueError: An entry is not one character, or occurs twice.
    """

    characters: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what would make ids ambiguous."""
        for character in self.characters:
            if len(character) != 1:
                raise ValueError(f"{character!r} is not a single character")
        if len(set(self.characters)) != len(self.characters):
            raise ValueError("the alphabet holds a character twice")

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Vocabulary:
        """Collect the characters of all texts, ordered by code point."""
        found: set[str] = set()
        for text in texts:
            found.update(text)
        return cls(tuple(sorted(found)))

    def __len__(self) -> int:
        """Return the number of ids, the four special ones included."""
        return SPECIALS + len(self.characters)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {character: i for i, character in enumerate(self.characters, SPECIALS)}

    def encode(self, text: str) -> list[int]:
        """Return one id a character, UNK for those outside the alphabet; no BOS, no EOS."""
        return [self._ids.get(character, UNK) for character in text]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids; PAD, BOS and EOS are dropped, UNK becomes U+FFFD."""
        return "".join(
            REPLACEMENT if i == UNK else self.characters[i - SPECIALS] for i in ids if i >= UNK
        )

    def covers(self, text: str) -> bool:
        """Return whether every character of ``text`` is in the alphabet."""
        return all(character in self._ids for character in text)

    def to_json(self) -> str:
        """Return the alphabet as a plain string; ``from_json`` reads it back."""
        return "".join(self.characters)

    @classmethod
    def from_json(cls, characters: str) -> Vocabulary:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: It is not a string, or holds a character twice.
        """
        if not isinstance(characters, str):
            raise ValueError("the alphabet is not a string of characters")
        return cls(tuple(characters))
