"""The scores of one or several programs on a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ocrtool.evaluation.figures import (
    Difference,
    Estimate,
    Figure,
    addends_of,
    difference,
    estimate,
)
from ocrtool.evaluation.items import Readings, TestSet
from ocrtool.evaluation.normalise import Comparison
from ocrtool.evaluation.protocol import Protocol, Score


@dataclass(frozen=True)
class SystemResult:
    """How a program did.

    Attributes:
        readings: What it said.
        scores: Addends of the figures of each item, in the order of the set.
        estimates: By the key of the figure; figures without items are absent.
        differences: The first program's figures less this one's; empty for the first.
    """

    readings: Readings
    scores: tuple[Score, ...]
    estimates: Mapping[str, Estimate]
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class Evaluation:
    """Scores of programs on a set; the first one is compared with each of the others.

    Attributes:
        found: The set.
        protocol: Rules of the scores.
        comparison: Normalisation of texts.
        seed: Of the bootstrap.
        systems: Results in the order of the programs.
    """

    found: TestSet
    protocol: Protocol
    comparison: Comparison
    seed: int
    systems: tuple[SystemResult, ...]

    @property
    def normalisation(self) -> str:
        """What texts were made of before they were compared."""
        if self.protocol.name == "words":
            return f"{self.comparison.label}; words: {self.comparison.word_label}"
        return self.comparison.label

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Figures that at least one program has."""
        return tuple(
            figure
            for figure in self.protocol.figures
            if any(figure.key in system.estimates for system in self.systems)
        )

    def worst(self, system: SystemResult) -> list[tuple[float, int]]:
        """Return (first figure, index of the item), the worst first."""
        figure = self.protocol.figures[0]
        values = figure.combine(addends_of(figure, system.scores))
        marks = [(float(value), i) for i, value in enumerate(values) if value == value]
        return sorted(marks, key=lambda mark: mark[0], reverse=figure.lower_is_better)

    def to_record(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "set": str(self.found.path),
            "protocol": self.protocol.name,
            "recognised_by": self.found.why,
            "normalisation": self.normalisation,
            "seed": self.seed,
            "items": len(self.found.items),
            "problems": list(self.found.problems),
            "left_out": list(self.protocol.left_out),
            "systems": [self._system_record(system) for system in self.systems],
        }

    def _system_record(self, result: SystemResult) -> dict[str, Any]:
        readings = result.readings
        return {
            "name": readings.system,
            "command": readings.command,
            "unread": list(readings.unread(self.found.items)),
            "figures": {key: asdict(value) for key, value in result.estimates.items()},
            "first_less_this": {
                key: {**asdict(value.estimate), "first_is": str(value.verdict)}
                for key, value in result.differences.items()
            },
            "cost": None if readings.cost is None else asdict(readings.cost),
            "scores": [
                {"item": item.name, "truth": item.origin, **self._item_record(score)}
                for item, score in zip(self.found.items, result.scores, strict=True)
            ],
        }

    def _item_record(self, score: Score) -> dict[str, float]:
        values: dict[str, float] = {}
        for figure in self.protocol.figures:
            value = float(figure.combine(addends_of(figure, [score]))[0])
            if value == value:
                values[figure.key] = round(value, 6)
        return values


def evaluate(
    found: TestSet,
    protocol: Protocol,
    comparison: Comparison,
    readings: Sequence[Readings],
    seed: int,
) -> Evaluation:
    """Score what programs said of a set.

    Args:
        found: The set, with at least one item.
        protocol: Rules of the scores.
        comparison: Normalisation of texts.
        readings: What each program said; the first is compared with the others.
        seed: Of the bootstrap.
    """
    all_scores = [
        tuple(protocol.score(item, said.of(item), comparison) for item in found.items)
        for said in readings
    ]
    results = []
    for said, scores in zip(readings, all_scores, strict=True):
        estimates: dict[str, Estimate] = {}
        differences: dict[str, Difference] = {}
        for figure in protocol.figures:
            addends = addends_of(figure, scores)
            value = estimate(figure, addends, seed)
            if value is None:
                continue
            estimates[figure.key] = value
            if scores is not all_scores[0]:
                first = addends_of(figure, all_scores[0])
                gap = difference(figure, first, addends, seed)
                if gap is not None:
                    differences[figure.key] = gap
        results.append(SystemResult(said, scores, estimates, differences))
    return Evaluation(found, protocol, comparison, seed, tuple(results))
