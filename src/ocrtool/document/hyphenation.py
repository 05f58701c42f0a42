r"""Words that were split at the ends of lines, and whether to put them together again.

A hyphen at the end of a line may have been set by the printer ("impor-\ntant") or belong to the
word ("well-\nknown"). Only the text itself is asked, so this works in every language that is
written with hyphens: a word that stands whole elsewhere in the document was split, a pair that
stands with its hyphen elsewhere was not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

Hyphens = Literal["keep", "join"]

SOFT = "\u00ad\u00ac"
"""The soft hyphen, and the sign that transcripts write for it: always the printer's."""
PRINTED = "\u2010"
"""A hyphen that addresses do not have."""
HYPHENS = "\u2010\u2011\u2e17-"
_INNER = re.escape(HYPHENS)
SPLIT = re.compile(rf"([\w'\u2019{_INNER}]*[^\W_])([{_INNER}{SOFT}])$")
"""What may be the first part of a split word at the end of a line, and its hyphen."""
REST = re.compile(rf"[^\W_][\w'\u2019{_INNER}{SOFT}]*")
WORD = re.compile(rf"[^\W_](?:[\w'\u2019{_INNER}]*[^\W_])?")
CONJUNCTIONS = frozenset({
    "a", "and", "bis", "e", "eller", "en", "et", "nebo", "o", "och", "oder", "of", "og", "or", "ou",
    "sowie", "und", "y",
})  # fmt: skip
"""Before these a hyphen stands for a part that is left out: "Hand- und Fußarbeit"."""
UNSPACED = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
"""Characters of Chinese and Japanese, which write no spaces between words."""
# Parts that mostly stand with a hyphen of their own, in several languages.
COMPOUND_FIRST = frozenset({
    "all", "c'est", "celle", "celui", "cross", "demi", "dit", "e", "est", "ex", "fait", "half",
    "non", "peut", "quasi", "self", "semi", "vice", "vis", "well", "x",
})  # fmt: skip
COMPOUND_REST = frozenset({
    "by", "elle", "elles", "il", "ils", "je", "là", "law", "même", "mêmes", "moi",
    "nous", "off", "on", "out", "toi", "up", "vous", "être",
})  # fmt: skip

ADDRESS = re.compile(
    r"(?:https?://|ftp://|www\.|doi:)\S*$|\S+@\S*$|(?:[\w-]+\.)+[a-z]{2,}/\S*$", re.IGNORECASE
)
"""The first part of an address on the network, at the end of a line."""
ADDRESS_REST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:[/?#:]|$|(?=[.,;)]))|[\w-]+[/?=&@]\w")
"""The rest of one, at the start of the next."""


def words_in(texts: Iterable[str]) -> set[str]:
    r"""Return the words of lines, in small letters, with the hyphens inside them.

    What may be one part of a split word is left out: the last word of a line that ends with a
    hyphen, and the first of the next.

    Args:
        texts: Lines, or texts with ``\n`` between lines.
    """
    known: set[str] = set()
    split = False
    for line in (line.strip() for text in texts for line in text.split("\n")):
        found = [match.group().lower() for match in WORD.finditer(line)]
        if split:
            found = found[1:]
        split = SPLIT.search(line) is not None
        known.update(word.replace("\u2019", "'") for word in (found[:-1] if split else found))
    return known


def joined(first: str, rest: str, known: Collection[str] = ()) -> str | None:
    """Put a split word together.

    Args:
        first: The end of a line, as ``"impor-"``.
        rest: The first word of the next line.
        known: Words of the document, as of `words_in`.

    Returns:
        The whole word; nothing where its hyphen belongs to it or may do so.
    """
    match = SPLIT.search(first)
    head = REST.match(rest)
    if match is None or head is None:
        return None
    stem, hyphen = match.groups()
    whole = first[:-1] + rest
    if hyphen in SOFT:
        return whole
    if ADDRESS.search(first) or ADDRESS_REST.match(rest):
        return whole if hyphen == PRINTED else None
    one = stem.lower().replace("\u2019", "'")
    two = head.group().lower().replace("\u2019", "'").rstrip(HYPHENS + SOFT)
    if any(c.isdigit() for c in one + two) or not stem[-1].islower() or not rest[:1].islower():
        # Capitals are split, too ("IMPOR-TANT"), but only a word that is known proves it.
        capitals = stem.isupper() and head.group().isupper() and one + two in known
        return whole if capitals else None
    if f"{one}-{two}" in known or any(c in HYPHENS for c in one + two):
        return None
    if one + two in known:
        return whole
    if (
        one in COMPOUND_FIRST
        or two in COMPOUND_REST | CONJUNCTIONS
        or one in known
        or min(len(one), len(two)) < 2
    ):
        return None
    return whole


def mend(lines: Sequence[str], known: Collection[str] = ()) -> list[str]:
    """Move the rest of each split word up to the line where it begins.

    Args:
        lines: Lines of a paragraph.
        known: Words of the document, as of `words_in`.

    Returns:
        As many lines; one whose only word has moved up is empty.
    """
    mended = list(lines)
    for i in range(len(mended) - 1):
        first, _, after = mended[i + 1].lstrip().partition(" ")
        whole = joined(mended[i].rstrip(), first, known)
        if whole is not None:
            mended[i], mended[i + 1] = whole, after.lstrip()
    return mended


def run_on(lines: Sequence[str], known: Collection[str] = ()) -> str:
    """Return the lines of a paragraph as one, split words mended.

    Args:
        lines: Lines of a paragraph.
        known: Words of the document, as of `words_in`.
    """
    text = ""
    for row in (row.strip() for row in lines):
        if row and text:
            dropped, between = seam(text, row, known)
            text = f"{text[: len(text) - dropped]}{between}{row}"
        else:
            text = text or row
    return text


def seam(text: str, row: str, known: Collection[str] = ()) -> tuple[int, str]:
    """Tell how a paragraph goes on with its next line.

    Args:
        text: The paragraph up to here, no white space at its end.
        row: The line, no white space at its start.
        known: Words of the document, as of `words_in`.

    Returns:
        How many characters at the end of the text are dropped, and what comes between: nothing
        after a word that goes on, after a hyphen that belongs to its word and in scripts that
        write no spaces, else a space.
    """
    if UNSPACED.match(text[-1:]) and UNSPACED.match(row[:1]):
        return 0, ""
    last = text.rpartition(" ")[2]
    if _is_address_split(last, row):
        return 0, ""
    if joined(last, row.partition(" ")[0], known) is not None:
        return 1, ""
    # A hyphen that stays belongs to its word, but for one that stands for a part left out.
    word = REST.match(row)
    tied = SPLIT.search(last) and word and word.group().lower() not in CONJUNCTIONS
    return 0, "" if tied else " "


def _is_address_split(last: str, row: str) -> bool:
    """Tell whether an address on the network goes on with the next line, no hyphen between."""
    if not ADDRESS.search(last):
        return False
    rest = row.partition(" ")[0]
    if last[-1] in "/?=&_#" or (last[-1] in ".@" and ADDRESS_REST.match(rest)):
        # Short words are those of the sentence: "at https://example.org/ and".
        return rest[:1].isalnum() and (len(rest) > 3 or any(c.isdigit() for c in rest))
    return rest[0] in "/?=&_#%" and len(rest) > 1
