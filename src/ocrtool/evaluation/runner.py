"""Runs a program on the items of a set, keeps what it read, and goes on where it stopped."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrtool import console
from ocrtool.errors import OcrToolError, OutputError, UsageError
from ocrtool.evaluation.items import Cost, Item, Reading, Readings
from ocrtool.evaluation.measure import Run, measured
from ocrtool.evaluation.staging import Staged, stage
from ocrtool.evaluation.systems import Output, System, reading_of, record_on
from ocrtool.version import __version__

TEXT_SUFFIXES = (".md", ".txt", ".mmd", ".html", ".tex", ".json")
"""Suffixes of the files that hold what was read, in the order in which they are looked for."""

Step = Callable[[int], None]


class SystemFailed(OcrToolError):
    """A program ended with an error and read nothing."""


def run_system(system: System, items: Sequence[Item], keep: Path | None) -> Readings:
    """Read items with a program; what ``keep`` has of an earlier run is not read again.

    Args:
        system: The program.
        items: What to read.
        keep: Folder for what was read; ``None`` to keep nothing.

    Raises:
        UsageError: Another command, or another state of its model, made what is kept.
        SystemFailed: It read nothing at all.
    """
    store = Store.open(keep, system, items) if keep else Store()
    left = [item for item in items if item.name not in store.readings]
    if left and len(left) < len(items):
        console.say(f"{system.name}: {len(items) - len(left)} of {len(items)} were read before")
    if left:
        with (
            tempfile.TemporaryDirectory(prefix="ocrtool-eval-") as folder,
            console.progress(system.name, len(left)) as step,
        ):
            staged = stage(left, Path(folder), system.reads_pdf)
            runs = _one_by_one if system.one_by_one else _together
            for cost in runs(system, staged, store, step):
                store.add_cost(cost)
    wanted = {item.name for item in items}
    return Readings(
        system.name,
        {name: reading for name, reading in store.readings.items() if name in wanted},
        store.cost,
        system.typed(),
    )


def _together(system: System, staged: Staged, store: Store, step: Step) -> Iterator[Cost]:
    """Read everything with one process."""
    collector = _Collector(staged, store, step)
    places = staged.places
    if system.output is Output.RECORDS:
        run = measured(
            system.arguments(staged.files, places),
            lambda line: collector.record(line, system.field),
        )
    elif system.output is Output.FORM_FEEDS:
        pieces: list[str] = []
        run = measured(system.arguments(staged.files, places), pieces.append)
        texts = "".join(pieces).split("\f")[:-1]
        if len(texts) != len(staged.files):
            # An input of several pages, or one that cannot be read: which text belongs to which
            # input can only be told by asking for one at a time.
            yield from _one_by_one(system, staged, store, step)
            return
        for file, text in zip(staged.files, texts, strict=True):
            collector.add(file.stem, Reading(text))
    else:
        run = measured(system.arguments(staged.files, places), lambda line: None)
        for file in staged.files:
            found = found_output(places["outputs"], file.stem)
            if found is not None:
                collector.add(file.stem, Reading(found))
    collector.finish()
    _check(system, run, collector.count)
    yield Cost(collector.count, run.seconds, run.cpu_seconds, run.peak_mb)


def _one_by_one(system: System, staged: Staged, store: Store, step: Step) -> Iterator[Cost]:
    """Read each input with a process of its own."""
    collector = _Collector(staged, store, step)
    last: Run | None = None
    for file in staged.files:
        output = staged.folder / "out" / file.stem
        pieces: list[str] = []
        places = staged.places | {"input": file, "output": output, "list": file}
        run = last = measured(system.arguments([file], places), pieces.append)
        printed = "".join(pieces).replace("\f", "\n")
        is_file = system.output is Output.FILE
        text = found_output(output.parent, file.stem) if is_file else printed
        before = collector.count
        if run.code == 0 and text is not None:
            collector.add(file.stem, Reading(text))
            collector.finish(file.stem)
        else:
            console.warn(f"{system.name}: {staged.names[file.stem]}: {_last_line(run)}")
        yield Cost(collector.count - before, run.seconds, run.cpu_seconds, run.peak_mb)
    if last is not None:
        _check(system, last, collector.count)


def found_output(folder: Path, stem: str) -> str | None:
    """Return the text that a program left for an input; ``None`` where there is none."""
    plain = folder / stem
    candidates = [plain, *(folder / (stem + end) for end in TEXT_SUFFIXES)]
    for end in TEXT_SUFFIXES:
        candidates += sorted(folder.rglob(f"{stem}{end}"))
        if plain.is_dir():
            candidates += sorted(plain.rglob(f"*{end}"))
    file = next((file for file in candidates if file.is_file()), None)
    return None if file is None else file.read_text("utf-8", errors="replace")


def _check(system: System, run: Run, count: int) -> None:
    if not count:
        raise SystemFailed(f"{system.name} read nothing: {_last_line(run)}")
    if run.code:
        console.note(f"{system.name}: {_last_line(run)}")


def _last_line(run: Run) -> str:
    lines = [line for line in run.talk.splitlines() if line.strip()]
    return f"exit code {run.code}" + (f": {lines[-1].strip()}" if lines else "")


class _Collector:
    """Puts the texts of a document's pages together and hands complete readings on."""

    def __init__(self, staged: Staged, store: Store, step: Step) -> None:
        self._staged = staged
        self._store = store
        self._step = step
        self._parts: dict[str, list[Reading]] = {}
        self.count = 0
        """Number of items that were read."""

    def record(self, line: str, field: str) -> None:
        """Take a line of output, which may hold a record."""
        record = record_on(line)
        if record is not None:
            self.add(Path(record["source"]).stem, reading_of(record, field))

    def add(self, stem: str, reading: Reading) -> None:
        """Take what was read of an input; those of other items are complete then."""
        name = self._staged.names.get(stem)
        if name is None:
            return
        for other in [other for other in self._parts if other != name]:
            self._complete(other)
        self._parts.setdefault(name, []).append(reading)

    def finish(self, stem: str = "") -> None:
        """Complete what is left."""
        for name in list(self._parts):
            self._complete(name)

    def _complete(self, name: str) -> None:
        parts = self._parts.pop(name)
        text = "\n\n".join(part.text for part in parts)
        self._store.add(name, Reading(text, tuple(word for part in parts for word in part.words)))
        self.count += 1
        self._step(1)


@dataclass
class Store:
    """Readings of a system, in a file to which each is added as it comes.

    Attributes:
        path: The file; ``None`` where nothing is kept.
        readings: By the name of the item.
        sources: State of the source of each item.
        cost: Of all runs together.
    """

    path: Path | None = None
    readings: dict[str, Reading] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)

    @classmethod
    def open(cls, folder: Path, system: System, items: Sequence[Item]) -> Store:
        """Open what a folder has of a system, or begin anew.

        Readings of files that have changed since are passed over.

        Raises:
            UsageError: Another command, or another state of the files it names, made it.
            OutputError: The folder cannot be written.
        """
        label = "".join(c if c.isalnum() or c in "-_." else "-" for c in system.name)
        path = folder / f"{label}.jsonl"
        store = cls(path, sources={item.name: _state(item.source) for item in items})
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = path.read_text("utf-8").splitlines() if path.exists() else []
        except OSError as error:
            raise OutputError(f"{folder}: {error.strerror or error}") from None
        records = list(_records(lines))
        made_by = {"command": list(system.command), "state": _state_of_command(system)}
        if not records:
            store._append(made_by)
            return store
        if records[0] != made_by:
            raise UsageError(
                f"{path} was made by another command or model", "name another folder for --keep"
            )
        for record in records[1:]:
            if "name" in record:
                if record["source"] == store.sources.get(record["name"]):
                    store.readings[record["name"]] = reading_from(record)
            elif "cost" in record:
                store.cost += Cost(**record["cost"])
        return store

    def add(self, name: str, reading: Reading) -> None:
        """Keep a reading."""
        self.readings[name] = reading
        record = {"name": name, "source": self.sources.get(name), "text": reading.text}
        self._append(record | {"words": reading.words})

    def add_cost(self, cost: Cost) -> None:
        """Keep what reading cost."""
        self.cost += cost
        self._append({"cost": vars(cost)})

    def _append(self, record: Mapping[str, Any]) -> None:
        if self.path is None:
            return
        try:
            with self.path.open("ab+") as file:
                start = b""
                if file.tell():
                    file.seek(-1, 2)
                    start = b"\n" if file.read(1) != b"\n" else b""  # the run was stopped amid it
                file.write(start + json.dumps(record, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror or error}") from None


def _state(path: Path) -> str:
    """Return what changes when a file does; of a folder, when one of its files does."""
    try:
        files = [path] if path.is_file() else sorted(path.iterdir())
        return " ".join(f"{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files)
    except OSError:
        return ""


def _state_of_command(system: System) -> list[str]:
    """Return the version of ocrtool and the states of the files that a command names: a model."""
    named = [Path(part) for part in system.command[1:] if "{" not in part]
    return [__version__, *(_state(path) for path in named if path.exists())]


def reading_from(record: Mapping[str, Any]) -> Reading:
    """Return the reading that a line of a store holds."""
    return Reading(
        str(record["text"]),
        tuple((str(word), float(confidence)) for word, confidence in record.get("words", ())),
    )


def _records(lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:  # the run was stopped amid it
            continue
        if isinstance(record, dict):
            yield record
