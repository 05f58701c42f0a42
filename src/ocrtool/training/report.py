"""What a run tells: a log of JSON lines, and progress on standard error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrtool import console
from ocrtool.console import atomic_write
from ocrtool.errors import OutputError


class Log:
    """``log.jsonl``: one record a line, each on the disk as soon as it is made.

    Args:
        path: The file.
        until: Records after this step are dropped: a resumed run makes them again.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, until: int) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []
        if until and path.exists():
            for line in path.read_text("utf-8").splitlines():
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # cut off by a crash
                if record["step"] <= until:
                    self.records.append(record)
        with atomic_write(path) as temporary:
            temporary.write_text("".join(map(_line, self.records)), "utf-8")

    def add(self, record: Mapping[str, Any]) -> None:
        """Append a record."""
        self.records.append(dict(record))
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(record))
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from None


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


class TrainingProgress:
    """Progress on standard error: a live bar on a terminal, else a line a record."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        if quiet or not console.progress_wanted():
            return
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        self._bar = Progress(*columns, console=console.stderr(), transient=True)
        self._task = self._bar.add_task("starting", total=1.0)
        self._bar.start()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def training(self, record: Mapping[str, Any], progress: float, left: float | None) -> None:
        """Show a training record; `left` is in seconds."""
        text = (
            f"step {record['step']}  loss {_figure(record['loss'])}"
            f"  accuracy {record['accuracy']:.1%}  lr {record['learning_rate']:.2g}"
            f"  {record['samples_per_second']:.0f}/s  {_time(left)}"
        )
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=progress)
        elif not self._quiet:
            console.say(text)

    def validation(self, record: Mapping[str, Any], is_best: bool, tokens: bool = False) -> None:
        """Show a validation record with its samples; of a network that writes `tokens` or not."""
        if self._quiet:
            return
        rates = f"CER {record['cer']:.2%}  WER {record['wer']:.2%}"
        if tokens:
            rates = f"edit similarity {record['similarity']:.2%}"
        console.say(
            f"step {record['step']}: validation loss {_figure(record['loss'])}"
            f"  accuracy {record['accuracy']:.2%}  {rates}"
            f"  exact {record['exact']:.1%}{'  best' if is_best else ''}"
        )
        for truth, reading in record["samples"]:
            console.say(f"    {'=' if truth == reading else '!'} {truth!r} -> {reading!r}")


def _figure(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h left" if minutes >= 60 else f"{minutes} min left"
