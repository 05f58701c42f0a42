"""olmOCR-bench: facts about pages of PDFs in JSON lines beside a folder ``pdfs``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ocrtool.evaluation.benchmarks.olmocr_facts import REQUIRED, holds, problem_of
from ocrtool.evaluation.figures import Array, Figure, ratio
from ocrtool.evaluation.items import Item, Reading, Task, TestSet
from ocrtool.evaluation.normalise import Comparison
from ocrtool.evaluation.protocol import Protocol, Score
from ocrtool.evaluation.truth import read_text

PDFS = "pdfs"
"""Folder of the documents."""
BASELINE = "baseline"
"""Group of the facts that every document has without being listed."""


def recognise(path: Path) -> str:
    """Return why a path is such a benchmark; empty where it is none."""
    folder = path if path.is_dir() else path.parent
    lines = path.suffix == ".jsonl" or (path.is_dir() and any(path.glob("*.jsonl")))
    return "JSON lines beside a folder pdfs" if lines and (folder / PDFS).is_dir() else ""


def load(path: Path) -> TestSet:
    """Load facts, grouped to pages; documents without a baseline fact get one."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    folder = (path if path.is_dir() else path.parent) / PDFS
    problems: list[str] = []
    pages: dict[tuple[str, int], list[dict[str, Any]]] = {}
    origins: dict[tuple[str, int], str] = {}
    seen: set[str] = set()
    for origin, group, fact in _lines(files, problems):
        place = (fact["pdf"], fact["page"])
        if fact["id"] in seen:
            problems.append(f"{origin}: the id {fact['id']} occurs twice")
        elif not (folder / fact["pdf"]).is_file():
            problems.append(f"{origin}: {folder / fact['pdf']} is missing")
        else:
            seen.add(fact["id"])
            pages.setdefault(place, []).append({**fact, "group": group})
            origins.setdefault(place, origin)
    based = {pdf for (pdf, _), facts in pages.items() if any(f["type"] == BASELINE for f in facts)}
    for pdf in sorted({pdf for pdf, _ in pages} - based):
        fact = {"id": f"{pdf}_baseline", "type": BASELINE, "group": BASELINE}
        pages.setdefault((pdf, 1), []).append(fact)
    items = [
        Item(
            f"{Path(pdf).with_suffix('').as_posix()}_pg{page}",
            folder / pdf,
            origins.get((pdf, page), str(path)),
            page=page,
            facts=tuple(facts),
        )
        for (pdf, page), facts in sorted(pages.items())
    ]
    return TestSet(path, PROTOCOL.name, tuple(items), tuple(problems), recognise(path))


def _lines(files: Sequence[Path], problems: list[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in files:
        for number, line in enumerate(read_text(file).splitlines(), 1):
            if not line.strip():
                continue
            origin = f"{file}:{number}"
            try:
                fact = json.loads(line)
            except ValueError as error:
                problems.append(f"{origin}: not JSON: {error}")
                continue
            problem = problem_of(fact)
            if problem:
                problems.append(f"{origin}: {problem}")
            else:
                yield origin, file.stem, fact


def figures(items: Sequence[Item]) -> tuple[Figure, ...]:
    """Return the mean over the files of facts, then the share of each file and type."""
    facts = [fact for item in items for fact in item.facts]
    groups = sorted({fact["group"] for fact in facts})
    types = [name for name in REQUIRED if any(fact["type"] == name for fact in facts)]
    overall = Figure(
        "overall",
        "Overall",
        combine=_mean_of_groups,
        width=2 * len(groups),
        note="Mean over the files of the share of facts that hold.",
    )
    return (
        overall,
        *(Figure(f"file_{name}", name, note=f"Facts of {name}.jsonl.") for name in groups),
        *(Figure(f"type_{name}", f"type {name}", note=f"Facts of type {name}.") for name in types),
    )


def _mean_of_groups(sums: Array) -> Array:
    """Return the mean of the groups' shares; groups that a bootstrap sample lacks are left out."""
    shares = ratio(sums.reshape(*sums.shape[:-1], -1, 2))
    known = ~np.isnan(shares)
    return np.asarray(
        np.divide(
            np.where(known, shares, 0).sum(-1),
            known.sum(-1),
            out=np.full(shares.shape[:-1], np.nan),
            where=known.sum(-1) > 0,
        )
    )


def score(groups: Sequence[str], item: Item, reading: Reading, how: Comparison) -> Score:
    """Count the facts of a page that hold, by file and by type."""
    counts: dict[str, list[float]] = {}
    for fact in item.facts:
        # Like the benchmark, a page without any output has no fact, not even of absence.
        right = not reading.missing and holds(fact, reading.text)
        for key in (f"file_{fact['group']}", f"type_{fact['type']}"):
            count = counts.setdefault(key, [0.0, 0.0])
            count[0] += right
            count[1] += 1
    shares = [counts.get(f"file_{group}", [0.0, 0.0]) for group in groups]
    found: Score = {key: (count[0], count[1]) for key, count in counts.items()}
    return found | {"overall": tuple(value for share in shares for value in share)}


def explain(item: Item, reading: Reading, how: Comparison) -> Iterator[str]:
    """Tell each fact and whether it holds."""
    for fact in item.facts:
        verdict = "holds" if not reading.missing and holds(fact, reading.text) else "FAILS"
        words = [
            f"{name}: {value}" for name, value in fact.items()
            if name not in ("pdf", "page", "id", "type", "group", "url", "checked")
        ]  # fmt: skip
        yield f"{verdict}  {fact['type']}  {'; '.join(words)}"


def specialise(protocol: Protocol, items: Sequence[Item]) -> Protocol:
    """Return the protocol with a figure for each file of facts."""
    groups = sorted({fact["group"] for item in items for fact in item.facts})
    return replace(protocol, figures=figures(items), score=partial(score, groups))


PROTOCOL = Protocol(
    "olmocr",
    "olmOCR-bench: facts about pages of PDFs",
    Task.MARKDOWN,
    (),
    partial(score, ()),
    own_rules=True,
    left_out=("drawn mathematics (KaTeX in a browser); the normal form of LaTeX decides instead",),
    explain=explain,
    specialise=specialise,
    recognise=recognise,
    load=load,
)
