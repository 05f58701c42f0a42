"""What ``ocrtool eval`` does, from the set to the reports."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrtool import console
from ocrtool.errors import ExitCode, InputError, UsageError
from ocrtool.evaluation import systems, truth
from ocrtool.evaluation.benchmarks import formulas
from ocrtool.evaluation.items import Readings, TestSet
from ocrtool.evaluation.normalise import Comparison, Normalisation
from ocrtool.evaluation.predictions import load_predictions
from ocrtool.evaluation.protocol import Protocol
from ocrtool.evaluation.protocols import PROTOCOLS
from ocrtool.evaluation.report_table import table
from ocrtool.evaluation.results import Evaluation, evaluate
from ocrtool.evaluation.runner import run_system

SHOWN_PROBLEMS = 20
"""Number of problems of the truth that are told one by one; JSON has all."""


@dataclass(frozen=True)
class EvalJob:
    """A call of the command.

    Attributes:
        path: The set.
        options: Options that every ocrtool gets.
        model: Of the first ocrtool; ``None`` for the bundled one.
        against: Other systems, as named.
        predictions: Outputs of other programs, ``[NAME=]PATH``; the first replaces ocrtool.
        protocol: Rules to score by; ``None`` to take those of the set.
        normalisation: ``None`` for the benchmark's own, or ``ocr`` where it has none.
        ignore_case: Whether case counts.
        cased: See :class:`Comparison`.
        punctuation: See :class:`Comparison`.
        recursive: Whether folders are searched to any depth.
        limit: Maximum number of items.
        seed: Of the draw of items and of the bootstrap.
        keep: Folder for readings.
        report: HTML file.
        as_json: Whether JSON is written instead of a table.
        out: Where the result goes.
        overwrite: Whether an existing file may be replaced.
        pythons: Pythons of peers.
        languages: Of Tesseract.
    """

    path: Path
    options: tuple[str, ...] = ()
    model: str | None = None
    against: tuple[str, ...] = ()
    predictions: tuple[str, ...] = ()
    protocol: str | None = None
    normalisation: Normalisation | None = None
    ignore_case: bool = False
    cased: bool = False
    punctuation: bool = False
    recursive: bool = False
    limit: int | None = None
    seed: int = 0
    keep: Path | None = None
    report: Path | None = None
    as_json: bool = False
    out: str = "-"
    overwrite: bool = False
    pythons: tuple[str, ...] = ()
    languages: str = "eng"


def run(job: EvalJob) -> int:
    """Score everything and write the results.

    Returns:
        The exit code: 1 where a truth was left out or the first system did not read an item.

    Raises:
        InputError: Nothing of the set can be scored.
        UsageError: Options contradict each other or the set.
    """
    found = load(job.path, job.protocol, job.recursive)
    _tell_problems(found.problems)
    if not found.items:
        raise InputError(f"{job.path}: nothing in it can be scored", "see docs/eval.md")
    found = truth.limited(found, job.limit, job.seed)
    protocol = PROTOCOLS[found.protocol].for_items(found.items)
    reason = f" ({found.why})" if found.why else ""
    console.say(f"{len(found.items)} items, protocol {protocol.name}{reason}")
    comparison = _comparison(job, protocol)
    with contextlib.ExitStack() as outputs:
        # Opened first: what cannot be written need not be read.
        write = outputs.enter_context(console.output(job.out, job.overwrite))
        report = outputs.enter_context(console.atomic_write(job.report)) if job.report else None
        readings = _readings(job, found, protocol)
        for said in readings:
            unread = said.unread(found.items)
            if unread:
                console.warn(f"{said.system}: no output for {len(unread)} items: {_some(unread)}")
        evaluation = evaluate(found, protocol, comparison, readings, job.seed)
        write(_result(job, evaluation))
        if report is not None:
            from ocrtool.evaluation.report_html import page

            report.write_text(page(evaluation), "utf-8")
    complete = not found.problems and not readings[0].unread(found.items)
    return ExitCode.OK if complete else ExitCode.FAILED


def load(path: Path, protocol: str | None, recursive: bool = False) -> TestSet:
    """Load a set; what it is follows from its files where no protocol is named.

    Raises:
        InputError: There is no such set.
        UsageError: There is no such protocol.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise UsageError(f"no protocol {protocol}", f"name one of {', '.join(PROTOCOLS)}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    found = _load_own(path, protocol, recursive)
    return formulas.checked(found) if found.protocol == formulas.PROTOCOL.name else found


def _load_own(path: Path, protocol: str | None, recursive: bool) -> TestSet:
    for benchmark in PROTOCOLS.values():
        known = protocol in (None, benchmark.name) and benchmark.recognise
        if known and benchmark.load and known(path):
            return benchmark.load(path)
    if path.is_dir():
        for name in ("labels.csv", "labels.tsv"):
            if (path / name).is_file():
                return truth.load_table(path / name, protocol)
        return truth.load_folder(path, protocol, recursive)
    if path.suffix.lower() in (".csv", ".tsv"):
        return truth.load_table(path, protocol)
    raise InputError(f"{path}: not a set that is known", "see docs/eval.md for the forms of sets")


def _comparison(job: EvalJob, protocol: Protocol) -> Comparison:
    wanted = job.normalisation
    if wanted is None:
        wanted = Normalisation.BENCHMARK if protocol.own_rules else Normalisation.OCR
    elif (wanted is Normalisation.BENCHMARK) != protocol.own_rules:
        rules = "its own rules only" if protocol.own_rules else "no rules of its own"
        raise UsageError(f"--normalise {wanted}: the protocol {protocol.name} has {rules}")
    return Comparison(wanted, job.ignore_case, job.cased, job.punctuation)


def _readings(job: EvalJob, found: TestSet, protocol: Protocol) -> list[Readings]:
    """Return what each system says; all are looked for before the first is run."""
    task, options = protocol.task, job.options
    model = ("--model", job.model) if job.model is not None else ()
    programs = [] if job.predictions else [systems.ocrtool(task, (*options, *model))]
    pythons = (*job.pythons, sys.executable)
    programs += [systems.named(name, task, pythons, job.languages, options) for name in job.against]
    given = [load_predictions(wanted, found.items) for wanted in job.predictions]
    names = [one.system for one in given] + [one.name for one in programs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"several systems are called {twice[0]}", "call them NAME=...")
    return given + [run_system(program, found.items, job.keep) for program in programs]


def _result(job: EvalJob, evaluation: Evaluation) -> str:
    """Return what goes to the output: JSON or a table."""
    if job.as_json:
        return json.dumps(evaluation.to_record(), ensure_ascii=False, indent=2) + "\n"
    terminal = job.out == "-" and console.data().is_terminal
    return table(evaluation, terminal, terminal and console.color_wanted())


def _tell_problems(problems: Sequence[str]) -> None:
    for problem in problems[:SHOWN_PROBLEMS]:
        console.warn(problem)
    if len(problems) > SHOWN_PROBLEMS:
        console.warn(f"{len(problems) - SHOWN_PROBLEMS} more truths have problems (JSON has all)")


def _some(names: Sequence[str]) -> str:
    """Return the first of many names."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
