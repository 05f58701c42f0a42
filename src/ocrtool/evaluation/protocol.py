"""What a protocol is: the rules by which a kind of set is scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrtool.evaluation.figures import Figure
from ocrtool.evaluation.items import Item, Reading, Task, TestSet
from ocrtool.evaluation.normalise import Comparison

Score = dict[str, tuple[float, ...]]
"""Addends of the figures of an item, by the key of the figure."""


@dataclass(frozen=True)
class Protocol:
    """How a kind of set is scored.

    Attributes:
        name: Value of ``--protocol``.
        about: What is compared, in a sentence.
        task: What a program is asked to do.
        figures: The first one counts; it orders the worst items.
        score: From an item and a reading to addends.
        own_rules: Whether it brings a normalisation of its own.
        left_out: Figures of the benchmark that are not computed, each with the reason.
        explain: What a benchmark's facts ask of an item, a line each, and whether it is met.
        specialise: From the protocol and the items to the protocol with the figures of this set.
        recognise: Tells why a path is such a benchmark; empty where it is none.
        load: Loads it.
    """

    name: str
    about: str
    task: Task
    figures: tuple[Figure, ...]
    score: Callable[[Item, Reading, Comparison], Score]
    own_rules: bool = False
    left_out: tuple[str, ...] = ()
    explain: Callable[[Item, Reading, Comparison], Iterable[str]] | None = None
    specialise: Callable[[Protocol, Sequence[Item]], Protocol] | None = None
    recognise: Callable[[Path], str] | None = None
    load: Callable[[Path], TestSet] | None = None

    def for_items(self, items: Sequence[Item]) -> Protocol:
        """Return the protocol with the figures that a set has."""
        return self.specialise(self, items) if self.specialise else self
