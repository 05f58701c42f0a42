"""Texts to the pieces of a published tokenizer (``tokenizer.json``) and back.

A decoder that starts from published weights keeps the vocabulary that it was trained with: byte
pair encoding (Sennrich et al., 2016) of bytes, which can write every text. Needs ``tokenizers``.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ocrtool.errors import MissingDependencyError, ModelError, install_command
from ocrtool.latex_syntax import LatexError, detokenize, tokenize
from ocrtool.weights import SPECIALS, TOKENIZER, Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class BpeVocabulary(Vocabulary):
    """The pieces of a tokenizer, under its own ids; ``from_tokenizer`` makes it.

    Its first four ids have to be special tokens. SmolLM's are ``<|endoftext|>``, ``<|im_start|>``,
    ``<|im_end|>`` and one for names: they stand for padding, the begin and the end of a text, and
    for nothing, as bytes can write everything.

    With a separator, texts are LaTeX tokens between separators, as they are for a
    :class:`~ocrtool.weights.Vocabulary` of tokens; pieces are of the compact LaTeX that
    people write. Without, they are plain texts.

    Attributes:
        source: The content of ``tokenizer.json``.
    """

    source: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Allow entries of any length."""

    @classmethod
    def from_tokenizer(cls, source: str, separator: str = "") -> BpeVocabulary:
        """Read the content of ``tokenizer.json``.

        Raises:
            ModelError: It is damaged, or its first four ids are no special tokens.
            MissingDependencyError: The package ``tokenizers`` is not installed.
        """
        tokenizer = _load(source)
        size = tokenizer.get_vocab_size()
        pieces = [piece for piece in map(tokenizer.id_to_token, range(size)) if piece is not None]
        added = tokenizer.get_added_tokens_decoder()
        if len(pieces) < size:
            raise ModelError("the tokenizer's ids have gaps")
        if not all(i in added and added[i].special for i in range(SPECIALS)):
            raise ModelError(
                f"the tokenizer's first {SPECIALS} ids are no special tokens",
                "use one that begins as SmolLM's does",
            )
        ids = tokenizer.encode(string.printable, add_special_tokens=False).ids
        if tokenizer.decode(ids) != string.printable:
            raise ModelError("the tokenizer cannot write every text", "use one of bytes")
        return cls(tuple(pieces[SPECIALS:]), separator, source)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return _load(self.source)

    @property
    def unit(self) -> str:
        """What an entry is called."""
        return "token"

    def encode(self, text: str) -> list[int]:
        """Return the ids of the pieces of a text; no BOS, no EOS."""
        return self.encode_prompt(detokenize(self.split(text)) if self.separator else text)

    def encode_prompt(self, text: str) -> list[int]:
        """Return the ids of the pieces of a text as it stands."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids, special ones dropped; of LaTeX its tokens."""
        kept = [i for i in ids if i >= SPECIALS]
        text = str(self._tokenizer.decode(kept, skip_special_tokens=True))
        if not self.separator:
            return text
        try:
            return self.separator.join(tokenize(text))
        except LatexError:  # cut within a command
            return self.separator.join(tokenize(text[:-1]))

    def covers(self, text: str) -> bool:
        """Return that every text can be written."""
        return True

    def to_json(self) -> str | list[str]:
        """Refuse: the tokenizer itself is what is saved."""
        raise TypeError("a tokenizer is saved as its own file")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made anew."""
        return {name: getattr(self, name) for name in ("entries", "separator", "source")}


def _load(source: str) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "this model's vocabulary needs the package tokenizers", install_command("torch")
        ) from None
    try:
        return Tokenizer.from_str(source)
    except Exception as error:  # the library has no class of its own for what is no tokenizer
        raise ModelError(f"{TOKENIZER} is damaged: {error}") from None
