"""How close a converter's Markdown is to the truth.

Text is compared as a whole by edit distance; headings, list items, tables and the order of reading
by pieces that are found again by their text. Footnotes and captions may stand anywhere: a note
under its page or at the end, a caption amid a paragraph that goes on beyond its picture or below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import lxml.html
from docling_metrics_table.utils.teds import TEDScorer
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from ocrtool.evaluation.figures import Figure
from ocrtool.evaluation.items import Item, Reading
from ocrtool.evaluation.markdown_pieces import Piece, pieces
from ocrtool.evaluation.metrics import f1, word_overlap
from ocrtool.evaluation.normalise import Comparison

SAME = 0.8
"""Similarity (0 to 1) from which two headings, items or notes are the same one."""
_CAPTION = re.compile(r"(?:table|figure|fig\.) \d", re.I)
TABLE_SAME = 0.2
"""Similarity (0 to 1) of text from which two tables may be the same."""
KEY_CHARACTERS = 40
"""Number of characters at a piece's ends by which its place is found."""
KEY_SIMILARITY = 85.0
"""Per cent of them that must be right."""


@dataclass(frozen=True)
class TableScore:
    """A table of the truth: how it is drawn, and its similarities, 0 to 1.

    Attributes:
        look: Class of its HTML.
        teds: Tree edit distance similarity.
        structure: The same without the text of cells.
    """

    look: str
    teds: float
    structure: float


@dataclass(frozen=True)
class Score:
    """What is right in one document; pairs are (right, of).

    Attributes:
        text: Edit similarity of the plain text, 0 to 1.
        order: Ends of pieces that are followed by what follows them in the truth.
        headings_found: Of the truth's.
        headings_right: Of the converter's.
        levels: Of the headings found, by rank among them.
        items_found: Of the truth's.
        items_right: Of the converter's.
        nesting: Of the items found: depth and kind of list.
        tables: One for each of the truth's.
        false_tables: Tables that are none.
    """

    text: float
    order: tuple[int, int] = (0, 0)
    headings_found: tuple[int, int] = (0, 0)
    headings_right: tuple[int, int] = (0, 0)
    levels: tuple[int, int] = (0, 0)
    items_found: tuple[int, int] = (0, 0)
    items_right: tuple[int, int] = (0, 0)
    nesting: tuple[int, int] = (0, 0)
    tables: tuple[TableScore, ...] = field(default_factory=tuple)
    false_tables: int = 0


def score(truth: str, markdown: str) -> Score:
    """Compare Markdown with the truth."""
    wanted, given = pieces(truth), pieces(markdown)
    tables, false_tables = _tables(wanted, given)
    pairs = _same(wanted, given, "heading")
    items = _same(wanted, given, "item")
    count = {kind: (_count(wanted, kind), _count(given, kind)) for kind in ("heading", "item")}
    nested = sum(a.level == b.level and a.ordered == b.ordered for a, b in items)
    return Score(
        text=text_similarity(wanted, given),
        order=_order(wanted, given),
        headings_found=(len(pairs), count["heading"][0]),
        headings_right=(len(pairs), count["heading"][1]),
        levels=_levels(pairs),
        items_found=(len(items), count["item"][0]),
        items_right=(len(items), count["item"][1]),
        nesting=(nested, len(items)),
        tables=tables,
        false_tables=false_tables,
    )


def text_similarity(wanted: Sequence[Piece], given: Sequence[Piece]) -> float:
    """Return the normalised edit similarity of the plain text, notes and captions last."""
    notes = [p for p in wanted if _floats(p)]
    left, right = list(given), []
    for note in notes:
        choices = [_bare(p.text) if p.kind in ("paragraph", "note", "item") else "" for p in left]
        found = process.extractOne(
            _bare(note.text), choices, scorer=Levenshtein.normalized_similarity, score_cutoff=SAME
        )
        if found:
            right.append(left.pop(found[2]))
    a = " ".join([p.text for p in wanted if not _floats(p)] + [_bare(p.text) for p in notes])
    b = " ".join([p.text for p in left] + [_bare(p.text) for p in right])
    return float(Levenshtein.normalized_similarity(a, b))


def teds(wanted: str, given: str, structure_only: bool = False) -> float:
    """Return the tree edit distance similarity of two tables, 0 to 1.

    Zhong et al., "Image-based table recognition: data, model, and evaluation", ECCV 2020.

    Args:
        wanted: HTML of the truth.
        given: HTML of what was read.
        structure_only: Whether the text of cells does not count.
    """
    if wanted == given:
        return 1.0
    trees = [lxml.html.fromstring(html) for html in (wanted, given)]
    # The package's faster form counts a cell with one wrong letter as all wrong.
    return max(0.0, float(TEDScorer().teds(trees[0], trees[1], structure_only=structure_only)))


def _floats(piece: Piece) -> bool:
    caption = piece.kind == "paragraph" and bool(_CAPTION.match(piece.text))
    return piece.kind == "note" or caption


def _bare(text: str) -> str:
    """Return a note without its mark: a number, letter or asterisk."""
    head, _, rest = text.partition(" ")
    return rest if rest and len(head) <= 3 and not head.isalpha() else text


def _count(parts: Sequence[Piece], kind: str) -> int:
    return sum(p.kind == kind for p in parts)


def _same(wanted: Sequence[Piece], given: Sequence[Piece], kind: str) -> list[tuple[Piece, Piece]]:
    """Return the pieces of a kind found again, each once, in the order of the truth."""
    left = [p for p in given if p.kind == kind]
    found = []
    for piece in (p for p in wanted if p.kind == kind):
        best = process.extractOne(
            piece.text, [p.text for p in left], scorer=Levenshtein.normalized_similarity,
            score_cutoff=SAME,
        )  # fmt: skip
        if best:
            found.append((piece, left.pop(best[2])))
    return found


def _levels(pairs: Sequence[tuple[Piece, Piece]]) -> tuple[int, int]:
    """Compare levels by rank: whether a title is counted as the first level is taste."""
    ranks = [sorted({pair[side].level for pair in pairs}) for side in (0, 1)]
    right = sum(ranks[0].index(a.level) == ranks[1].index(b.level) for a, b in pairs)
    return right, len(pairs)


def _tables(wanted: Sequence[Piece], given: Sequence[Piece]) -> tuple[tuple[TableScore, ...], int]:
    """Score each table of the truth with that of the nearest text, which serves once."""
    truths = [p for p in wanted if p.kind == "table"]
    found = [p for p in given if p.kind == "table"]
    marks = sorted(
        (
            (Levenshtein.normalized_similarity(a.text, b.text), -i, -j)
            for i, a in enumerate(truths)
            for j, b in enumerate(found)
        ),
        reverse=True,
    )
    pairs: dict[int, int] = {}
    for mark, i, j in marks:
        if mark >= TABLE_SAME and -i not in pairs and -j not in pairs.values():
            pairs[-i] = -j
    tables = []
    for i, truth in enumerate(truths):
        html = found[pairs[i]].html if i in pairs else ""
        values = [teds(truth.html, html, only) if html else 0.0 for only in (False, True)]
        tables.append(TableScore(truth.look, *values))
    return tuple(tables), len(found) - len(pairs)


def _order(wanted: Sequence[Piece], given: Sequence[Piece]) -> tuple[int, int]:
    """Count the steps from one end of a piece to the next that the converter makes, too.

    Each piece is looked for by its first and its last characters, so that columns read across show
    even where their paragraphs begin in the right order. Ends that stand twice in the truth or
    nowhere in the text are left out: what is lost shows in the similarity of the text.
    """
    text = " ".join(p.text for p in given)
    keys: list[str] = []
    for piece in wanted:
        if _floats(piece) or len(piece.text) < KEY_CHARACTERS // 2:
            continue
        keys.append(piece.text[:KEY_CHARACTERS])
        if len(piece.text) >= 2 * KEY_CHARACTERS:
            keys.append(piece.text[-KEY_CHARACTERS:])
    places = []
    for number, key in enumerate(k for k in keys if keys.count(k) == 1):
        found = fuzz.partial_ratio_alignment(key, text, score_cutoff=KEY_SIMILARITY)
        if found:
            places.append((found.dest_start, number))
    rank = {number: i for i, (_, number) in enumerate(sorted(places))}
    kept = sorted(rank)
    right = sum(rank[b] == rank[a] + 1 for a, b in pairwise(kept))
    return right, max(0, len(kept) - 1)


TEXT = Figure("text", "Text", note="Mean edit similarity of the plain text, notes last.")
ORDER = Figure("order", "Order", note="Ends of blocks followed by what follows in the truth.")
HEADINGS = Figure("headings", "Headings F1", combine=f1, width=3)
LEVELS = Figure("levels", "Levels", note="Headings found whose level has the right rank.")
ITEMS = Figure("items", "List items F1", combine=f1, width=3)
TEDS = Figure("teds", "TEDS", note="Mean over tables; a table that is not found counts 0.")
TEDS_S = Figure("teds_s", "TEDS-S", note="The same without the text of cells.")
FALSE_TABLES = Figure(
    "false_tables", "False tables", True, percent=False, note="Tables an item that are none."
)


def score_markdown(item: Item, reading: Reading, how: Comparison) -> dict[str, tuple[float, ...]]:
    """Return the addends of the figures of Markdown."""
    wanted, given = pieces(item.truth), pieces(reading.text)
    truth, said = (how.normal(" ".join(p.text for p in part)) for part in (wanted, given))
    mark = score(item.truth, reading.text)
    return {
        "text": (mark.text, 1.0),
        "word_f1": word_overlap(truth, said),
        "order": _pair(mark.order),
        "headings": _f1(mark.headings_found, mark.headings_right),
        "levels": _pair(mark.levels),
        "items": _f1(mark.items_found, mark.items_right),
        "teds": (sum(table.teds for table in mark.tables), float(len(mark.tables))),
        "teds_s": (sum(table.structure for table in mark.tables), float(len(mark.tables))),
        "false_tables": (float(mark.false_tables), 1.0),
    }


def _pair(right_of: tuple[int, int]) -> tuple[float, float]:
    return float(right_of[0]), float(right_of[1])


def _f1(found: tuple[int, int], right: tuple[int, int]) -> tuple[float, float, float]:
    return float(found[0]), float(right[1]), float(found[1])
