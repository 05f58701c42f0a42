"""Headings and their levels, the same over a whole document.

What a heading is and how high, the document's own bookmarks tell best, then numbers ("2.3.1"), then
how it is set. Each way of setting has one level; so what all pages say is counted by it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ocrtool.document.patterns import DECIMAL_SECTION
from ocrtool.document.tree import Block, Bookmark, Box, Page
from ocrtool.documents.heading_styles import (
    Setting,
    common_size,
    depth_of,
    follows,
    grouped,
    like,
    plain,
    rounded,
    setting_of,
)
from ocrtool.documents.rows import is_exact, size_of
from ocrtool.documents.running_headers import RunningRow

MOST_LETTERS, MOST_WORDS, MOST_ROWS = 200, 25, 5
"""Maximum number of characters, words and rows of a heading."""
SHORT_LETTERS, SHORT_WORDS = 120, 14
"""Maximum number of characters and words of a heading that only its style indicates."""
PROSE = 250
"""Minimum number of characters of a block that is body text."""
BYLINES = 3
"""Maximum number of author lines of a document."""
DEEPEST = 6
BIGGER = 1.15
"""Minimum ratio to the body type size of a style of headings, if most of its blocks are short."""
SLIGHTLY = 1.04
"""Minimum ratio to the body type size of type that counts as larger."""
OFTEN = 0.5
"""Minimum share of headings among the short blocks of a style of headings."""
BOOKED = 2
"""Minimum number of bookmarks found in the text for bookmarks to determine the levels."""


@dataclass(frozen=True)
class _Note:
    """What is noted of a block: where and how it is set, and what speaks for a heading."""

    setting: Setting
    page: int
    short: bool
    heading: bool
    depth: int
    booked: int
    below: Setting | None


@dataclass
class _Seen:
    """What is known of short blocks that are set in a way."""

    count: int = 0
    headings: int = 0
    first_page: int = 0
    depths: Counter[int] = field(default_factory=Counter)
    booked: Counter[int] = field(default_factory=Counter)
    prose: int = 0
    below: Counter[Setting] = field(default_factory=Counter)


class Headings:
    """Learns from all pages of a document how headings are set, then tells them.

    Args:
        bookmarks: The document's own table of contents.
    """

    def __init__(self, bookmarks: Sequence[Bookmark] = ()) -> None:
        self._bookmarks: dict[int, list[tuple[str, int]]] = {}
        for mark in bookmarks:
            if mark.page and len(plain(mark.title)) > 1:
                self._bookmarks.setdefault(mark.page, []).append((plain(mark.title), mark.level))
        self._sizes: dict[bool, Counter[float]] = {True: Counter(), False: Counter()}
        self._seen: dict[Setting, _Seen] = {}
        self._pages = 0
        self._doubtful: list[tuple[RunningRow, _Note]] = []
        self._matched = 0
        self._groups: dict[Setting, Setting] = {}
        self._levels: dict[Setting, int] = {}
        self._base = 0
        self._booked = False
        self._counted: frozenset[Setting] = frozenset()
        self._last = 0

    @property
    def body(self) -> float:
        """The common size of type in points; 0 where nothing is known."""
        return common_size(self._sizes[True], self._sizes[False])

    def observe(self, page: Page, doubtful: Mapping[int, RunningRow]) -> None:
        """Take in the next page.

        Args:
            page: The page.
            doubtful: Blocks, by index, that do not count if they are running heads or feet.
        """
        self._pages += 1
        for i, block in enumerate(page.blocks):
            if block.kind in ("paragraph", "list", "heading"):
                size = rounded(size_of(block.lines, page))
                if size:
                    self._sizes[is_exact(block)][size] += len(block.text)
            if block.kind not in ("paragraph", "heading"):
                continue
            short = _may_be(block) and (block.kind == "heading" or _is_short(block))
            note = _Note(
                setting_of(block, page),
                self._pages,
                short,
                block.kind == "heading",
                depth_of(block.text),
                self._bookmark(block, page.number) if short else 0,
                self._below(page, i) if short else None,
            )
            if i in doubtful:
                self._doubtful.append((doubtful[i], note))
            else:
                self._count(note)

    def _count(self, note: _Note) -> None:
        if not note.short and not note.setting.exact:
            return  # sizes that are estimated scatter: those of text reach those of headings
        seen = self._seen.setdefault(note.setting, _Seen(first_page=note.page))
        seen.first_page = min(seen.first_page, note.page)
        if not note.short:
            seen.prose += 1
            return
        seen.count += 1
        seen.headings += note.heading
        seen.depths[note.depth] += note.heading
        if note.below is not None:
            seen.below[note.below] += 1
        if note.booked:
            seen.booked[note.booked] += 1
            self._matched += 1

    @staticmethod
    def _below(page: Page, i: int) -> Setting | None:
        """Return how a heading right above is set, where no text follows below."""
        before, after = page.blocks[i - 1 : i], page.blocks[i + 1 : i + 2]
        if not i or before[0].kind != "heading" or any(len(b.text) > PROSE for b in after):
            return None
        return setting_of(before[0], page)

    def finalize(self) -> None:
        """Give each setting its level, when all pages and what runs on them are known."""
        for found, note in self._doubtful:
            if not found.sure:
                self._count(note)
        self._doubtful = []
        self._merge()
        body = self.body
        chosen = {s: seen for s, seen in self._seen.items() if self._heads(s, seen, body)}
        order = sorted(chosen, key=lambda setting: setting.rank)
        # What stands below the title each time, and nowhere else, names the authors.
        bylines = [s for s in order[1:] if chosen[s].below[order[0]] == chosen[s].count <= BYLINES
                   and not chosen[s].booked and not any(chosen[s].depths.keys() - {0})]  # fmt: skip
        if len(order) - len(bylines) > 1:
            order = [setting for setting in order if setting not in bylines]
        booked = self._booked = self._matched >= BOOKED
        evidence: dict[Setting, int] = {}
        for setting in order:
            seen = chosen[setting]
            depths = seen.booked if booked else seen.depths
            told = {depth: count for depth, count in depths.items() if depth}
            if told and sum(told.values()) >= (1 if booked else 0.5 * seen.headings):
                evidence[setting] = max(told, key=lambda depth: (told[depth], -depth))
        first = next((i for i, setting in enumerate(order) if setting in evidence), len(order))
        level = 0
        for setting in order[:first]:
            # What is set so once, on a title page, takes no level of its own below the title.
            if level == 0 or not self._is_single(chosen[setting]):
                level += 1
                self._levels[setting] = level
            else:
                self._levels[setting] = level + 1
        least = min(evidence.values(), default=1)
        self._base = level + 1 - least
        for setting in order[first:]:
            if setting in evidence:
                level = max(level, self._base + evidence[setting])
                self._levels[setting] = self._base + evidence[setting]
        self._fill(order[first:], evidence, chosen)
        self._levels = {s: min(max(1, level), DEEPEST) for s, level in self._levels.items()}
        self._counted = frozenset() if booked else frozenset(evidence)

    def apply(self, page: Page) -> Page:
        """Return a page with its headings told from its paragraphs, at their levels."""
        blocks: list[Block] = []
        parts = (part for block in page.blocks for part in _apart(block))
        for block in (self._told(part, page) for part in parts):
            if blocks and self._goes_on(blocks[-1], block, page):
                blocks[-1] = _together(blocks[-1], block)
            else:
                blocks.append(block)
        return replace(page, blocks=tuple(blocks))

    def _goes_on(self, before: Block, block: Block, page: Page) -> bool:
        """Tell whether a heading is the next line of the one before it."""
        if not before.kind == block.kind == "heading" or before.level != block.level:
            return False
        setting, other = (self._nearest(setting_of(one, page)) for one in (block, before))
        if setting.size != other.size or depth_of(block.text):
            return False
        if self._booked and self._bookmark(before, page.number):
            return False
        gap = block.box.y0 - before.box.y1
        height = max(line.box.height for line in block.lines[:1])
        beside = before.box.overlap_x(block.box) <= 0
        whole = _together(before, block)
        ended = before.text.rstrip()[-1:] in ".?!"
        return -0.5 * height < gap < 0.9 * height and not beside and not ended and _may_be(whole)

    def _told(self, block: Block, page: Page) -> Block:
        if block.kind not in ("paragraph", "heading"):
            return block
        setting = self._nearest(setting_of(block, page))
        booked = self._bookmark(block, page.number)
        level = self._level(block, setting, booked)
        if level == 0:
            return replace(block, kind="paragraph", level=0) if block.kind == "heading" else block
        level = min(max(1, level), DEEPEST)
        seen = self._seen.get(setting)
        if seen is None or seen.count <= 2:  # rare: it shall not skip a level
            level = min(level, self._last + 1) if self._last else level
        self._last = level
        return replace(block, kind="heading", level=level)

    def _level(self, block: Block, setting: Setting, booked: int) -> int:
        """Return the level of a block, 0 where it is no heading."""
        if not _may_be(block):
            return 0
        depth = depth_of(block.text)
        known = self._levels.get(setting, 0)
        if booked and self._booked:
            return self._base + booked
        counted = depth and self._counted and (setting in self._counted or not known)
        told = self._base + depth if counted else known
        if block.kind == "heading":
            return told if known or setting.bold or (counted and not setting.exact) else 0
        seen = self._seen.get(setting)
        if not known or seen is None or not _is_short(block) or block.text.rstrip()[-1:] in ".,;:":
            return 0
        if not (block.text[:1].isupper() or block.text[:1].isdigit()):
            return 0
        large = setting.size >= BIGGER * self.body
        if depth and told and (setting.bold or large) and seen.depths[depth]:
            return told
        often = seen.headings >= OFTEN * seen.count and seen.prose <= seen.headings
        return known if often and (large or (setting.bold and seen.headings > 1)) else 0

    def _heads(self, setting: Setting, seen: _Seen, body: float) -> bool:
        """Tell whether headings are set so."""
        if seen.booked:
            return True
        if not seen.headings:
            return False
        if setting.size >= SLIGHTLY * body:
            return True
        if 4 * seen.headings < seen.prose:  # it is how paragraphs are set
            return False
        numbered = sum(count for depth, count in seen.depths.items() if depth)
        return setting.bold or setting.capitals or setting.italic or numbered > 1

    def _fill(
        self,
        order: Sequence[Setting],
        evidence: dict[Setting, int],
        chosen: dict[Setting, _Seen],
    ) -> None:
        """Give levels to settings between and below those whose levels are told."""
        above = 0
        for i, setting in enumerate(order):
            if setting in evidence:
                above = self._levels[setting]
                continue
            below = [self._levels[s] for s in order[i + 1 :] if s in evidence]
            level = min([above + 1, *below])
            self._levels[setting] = level
            if not below and chosen[setting].headings > 1:
                above = level

    def _is_single(self, seen: _Seen) -> bool:
        return seen.headings <= 1 and seen.first_page == 1 and self._pages > 1

    def _bookmark(self, block: Block, number: int) -> int:
        """Return the level of the bookmark that names a block, 0 where none does."""
        if not _may_be(block) or not self._bookmarks:
            return 0
        text = plain(block.text)
        if len(text) < 2:
            return 0
        bare = plain(DECIMAL_SECTION.sub("", block.text.strip(), count=1))
        for page in (number, number - 1, number + 1):
            for title, level in self._bookmarks.get(page, ()):
                if title in (text, bare) or (len(text) > 5 and title.endswith(text)):
                    return level
        return 0

    def _merge(self) -> None:
        """Put settings together that differ in size by no more than is measured wrongly."""
        self._groups = grouped(
            {s: seen.headings for s, seen in self._seen.items() if seen.headings and not s.exact}
        )
        merged: dict[Setting, _Seen] = {}
        for setting in sorted(self._seen, key=lambda s: (not s.exact, *s.rank)):
            seen = self._seen[setting]
            mean = self._groups.get(setting, setting)
            same = like(mean, merged)
            if same is None:
                merged[mean] = seen
                continue
            into = merged[same]
            into.count += seen.count
            into.headings += seen.headings
            into.prose += seen.prose
            into.first_page = min(into.first_page, seen.first_page)
            into.depths += seen.depths
            into.booked += seen.booked
            into.below += seen.below
        self._seen = merged

    def _nearest(self, setting: Setting) -> Setting:
        mean = self._groups.get(setting, setting)
        return like(mean, self._seen) or mean


def _apart(block: Block) -> list[Block]:
    """Return the headings that one block holds: the next number begins another."""
    rows = block.text.split("\n")
    if block.kind != "heading" or len(rows) != len(block.lines):
        return [block]
    starts = [0]
    for i in range(1, len(rows)):
        if follows(rows[starts[-1]], rows[i]):
            starts.append(i)
    parts = [slice(a, b) for a, b in itertools.pairwise([*starts, len(rows)])]
    return (
        [
            replace(
                block,
                box=Box.around(line.quad for line in block.lines[part]),
                lines=block.lines[part],
                text="\n".join(rows[part]),
            )
            for part in parts
        ]
        if len(parts) > 1
        else [block]
    )


def _together(before: Block, block: Block) -> Block:
    return replace(
        before,
        box=Box.around((before.box, block.box)),
        lines=before.lines + block.lines,
        text=f"{before.text}\n{block.text}",
    )


def _may_be(block: Block) -> bool:
    """Tell whether a block is short enough for any heading."""
    text = block.text.strip()
    return (
        any(c.isalpha() for c in text)
        and len(text) <= MOST_LETTERS
        and len(text.split()) <= MOST_WORDS
        and text.count("\n") < MOST_ROWS
    )


def _is_short(block: Block) -> bool:
    text = block.text.strip()
    short = len(text) <= SHORT_LETTERS and len(text.split()) <= SHORT_WORDS
    return short and text.count("\n") < 2
