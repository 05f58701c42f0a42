"""Reports of a training run: means over steps, a log of JSON lines, progress on standard error."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocrtool import console
from ocrtool.console import atomic_write
from ocrtool.errors import OcrToolError, OutputError


class MetricsWindow:
    """Means over the optimizer steps between two log records, without waiting for the device.

    Args:
        processes: Processes that train together; each adds its own share of a step's means.
    """

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes
        self.since = time.monotonic()
        self._sums: Tensor | None = None
        self._names: list[str] = []
        self._step: Tensor | None = None
        self._samples = self._misfits = 0.0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add scalars by name: the shares that a part of a step has in the means over the step."""
        self._names = list(values)
        stacked = torch.stack([value.detach().float() for value in values.values()])
        self._step = stacked if self._step is None else self._step + stacked

    def forget(self) -> None:
        """Drop the parts of a step that is repeated."""
        self._step = None

    def close(self, norm: Tensor, samples: float, misfits: float) -> None:
        """End a step, with its samples used and left out; skipped if `norm` is not finite."""
        self._samples += samples
        self._misfits += misfits
        if self._step is None:
            return
        taken = norm.isfinite() & self._step.isfinite().all()
        values = torch.cat((self._step, torch.stack((norm, torch.ones_like(norm)))))
        values = torch.where(taken, values, torch.zeros_like(values))
        self._sums = values if self._sums is None else self._sums + values
        self._step = None

    def record(self, step: int, rate: float, seconds: float, steps: int) -> dict[str, Any]:
        """Return the means over `steps` steps as a log record and start the next window.

        Raises:
            OcrToolError: No step of the window had a finite loss and gradient.
        """
        *sums, norm, taken = [0.0, 0.0] if self._sums is None else self._sums.tolist()
        if self._sums is not None and not taken:
            raise OcrToolError(
                f"no loss or gradient of the steps up to {step} is a number",
                "lower the learning rate, or resume from last/",
            )
        spent = time.monotonic() - self.since
        means = [round(value * self.processes / max(taken, 1), 6) for value in sums]
        record = {
            "kind": "train",
            "step": step,
            **dict(zip(self._names, means, strict=False)),
            "learning_rate": rate,
            "gradient_norm": round(norm / max(taken, 1), 4),
            "samples_per_second": round(self._samples / max(spent, 1e-9), 2),
            "seconds": round(seconds, 1),
            "skipped_steps": max(0, steps - round(taken)),
            "misfits": round(self._misfits),
        }
        self.__init__(self.processes)  # type: ignore[misc]
        return record


class Log:
    """``log.jsonl``: one record a line, each on the disk as soon as it is made.

    Records after the step `until` are dropped, because a resumed run makes them again.

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
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def training(self, record: Mapping[str, Any], progress: float, left: float | None) -> None:
        """Show a training record and the seconds that are left."""
        text = f"step {record['step']}  loss {record.get('loss', 0.0):.4f}"
        if "accuracy" in record:
            text += f"  accuracy {record['accuracy']:.1%}"
        text += (
            f"  lr {record['learning_rate']:.2g}  {record['samples_per_second']:.0f}/s"
            f"  {_time(left)}"
        )
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=progress)
        elif not self._quiet:
            console.say(text)

    def validation(self, step: int, lines: Sequence[str], is_best: bool) -> None:
        """Show the scores of a validation, the first line with the step."""
        if self._quiet:
            return
        console.say(f"step {step}: {lines[0]}{'  best' if is_best else ''}")
        for line in lines[1:]:
            console.say(f"    {line}")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h left" if minutes >= 60 else f"{minutes} min left"
