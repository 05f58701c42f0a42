"""Styles of headings, grouping of similar styles, and depth of section numbers."""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ocrtool.document.patterns import (
    DECIMAL_SECTION,
    LETTERED_SECTION,
    NAMED_SECTION,
    ROMAN_SECTION,
)
from ocrtool.document.tree import Block, Page
from ocrtool.documents.rows import is_exact, size_of

SAME_SIZE = 0.03
"""Maximum relative difference of two type sizes stated by the file that count as equal."""
ABOUT_SAME_SIZE = 0.14
"""Maximum relative difference of a stated and an estimated type size that count as equal."""
GROUPED = 0.12
"""Minimum relative difference of the means of two groups of estimated type sizes."""
LONE, SOME = 0.19, 3
"""Minimum relative difference of mean sizes where one of two groups, neither of them the largest,
has a single heading; and number of headings that the other one needs."""

_LETTERS = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Setting:
    """How a heading is set.

    Attributes:
        size: Of its type in points, rounded so that equal ones are equal.
        bold: In bold type.
        capitals: In capitals.
        italic: In sloped type.
        exact: Whether the file tells the size.
    """

    size: float
    bold: bool = False
    capitals: bool = False
    italic: bool = False
    exact: bool = True

    @property
    def rank(self) -> tuple[float, bool, bool, bool]:
        """What orders settings from the highest heading to the lowest."""
        return (-self.size, not self.bold, not self.capitals, self.italic)


def setting_of(block: Block, page: Page) -> Setting:
    """Return how a block is set."""
    exact = is_exact(block)
    size = rounded(size_of(block.lines, page))
    letters = sum(c.isalpha() for c in block.text)
    upper = block.text.isupper() and (letters > 7 or len(block.text.split()) > 1)
    return Setting(size, _mostly(block, "bold"), upper, _mostly(block, "italic"), exact)


def depth_of(text: str) -> int:
    """Return how deep the number of a heading is, "2.3.1" being 3; 0 where it has none."""
    text = text.strip()
    for sign in (DECIMAL_SECTION, LETTERED_SECTION):
        match = sign.match(text)
        if match:
            return len(match[1].rstrip(".").split("."))
    return 1 if ROMAN_SECTION.match(text) or NAMED_SECTION.match(text) else 0


def follows(text: str, other: str) -> bool:
    """Tell whether the number of a heading is the next one: 2 after 1 or 1.3, or 1.1 after 1."""
    before, after = (DECIMAL_SECTION.match(one.strip()) for one in (text, other))
    if before is None or after is None:
        return False
    one, two = ([int(part) for part in match[1].split(".")] for match in (before, after))
    deeper = [*one, 1]
    return two == deeper or any(two == [*one[:i], one[i] + 1] for i in range(len(one)))


def plain(title: str) -> str:
    """Return the letters and digits of a title, small."""
    return "".join(_LETTERS.findall(title.casefold()))


def rounded(size: float) -> float:
    """Return a size in points so that equal ones are equal."""
    return round(size * 4) / 4


def common_size(told: Mapping[float, int], estimated: Mapping[float, int]) -> float:
    """Return the size of most letters in points; 0 where nothing is known.

    Args:
        told: Letters of each size that the file tells.
        estimated: Letters of each size that is estimated, so that equal ones scatter.
    """
    half = sum(estimated.values()) / 2
    if told and sum(told.values()) >= half:
        return max(told, key=lambda size: told[size])
    total = 0
    for size in sorted(estimated):
        total += estimated[size]
        if total >= half:
            return size
    return 0.0


def grouped(counts: Mapping[Setting, int]) -> dict[Setting, Setting]:
    """Find which settings of estimated sizes are one.

    The two whose means are nearest are put together, again and again.

    Args:
        counts: How often headings are set so.

    Returns:
        The mean setting that stands for each.
    """
    found: dict[Setting, Setting] = {}
    for capitals in (False, True):
        some = sorted((s for s in counts if s.capitals == capitals), key=lambda s: s.size)
        groups = [[setting] for setting in some]
        means = [setting.size for setting in some]
        while len(groups) > 1:
            weights = [sum(counts[setting] for setting in group) for group in groups]
            ratios = [
                above / max(below, 0.25)
                / (1 + (LONE if k < len(groups) - 2 and _is_lone(weights[k : k + 2]) else GROUPED))
                for k, (below, above) in enumerate(itertools.pairwise(means))
            ]  # fmt: skip
            i = min(range(len(ratios)), key=ratios.__getitem__)
            if ratios[i] > 1:
                break
            groups[i : i + 2] = [groups[i] + groups[i + 1]]
            weights = [counts[setting] for setting in groups[i]]
            sizes = [setting.size for setting in groups[i]]
            means[i : i + 2] = [sum(map(operator.mul, sizes, weights)) / sum(weights)]
        for group, mean in zip(groups, means, strict=True):
            found |= dict.fromkeys(group, replace(group[0], size=rounded(mean)))
    return found


def _is_lone(weights: Sequence[int]) -> bool:
    return min(weights) == 1 and max(weights) >= SOME


def like(setting: Setting, known: Iterable[Setting]) -> Setting | None:
    """Return the one of some settings that is the same but for how exactly it is known."""
    best: Setting | None = None
    for other in known:
        if setting == other:
            return other
        if (setting.capitals, setting.bold, setting.italic) != (
            other.capitals, other.bold, other.italic
        ):  # fmt: skip
            continue
        mixed = setting.exact != other.exact
        limit = ABOUT_SAME_SIZE if mixed else SAME_SIZE if setting.exact else GROUPED / 2
        apart = abs(setting.size - other.size)
        if apart <= limit * max(setting.size, other.size) and (
            best is None or apart < abs(setting.size - best.size)
        ):
            best = other
    return best


def _mostly(block: Block, name: str) -> bool:
    marked = sum(
        span.end - span.start
        for line in block.lines for span in line.spans if getattr(span, name)
    )  # fmt: skip
    return marked > 0.8 * max(1, sum(len(line.text) for line in block.lines))
