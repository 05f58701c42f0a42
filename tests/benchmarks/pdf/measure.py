"""Runs a converter over a folder and measures it with everything that it starts (Linux)."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.05  # seconds between looks at the memory
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    Attributes:
        code: Exit code.
        seconds: From start to end.
        cpu_seconds: Of all its processes.
        peak_mb: Most memory of all its processes together, as far as it is not shared with files.
        talk: The end of what it said on stderr.
    """

    code: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    talk: str


def measured(command: Sequence[str], log: Path) -> Run:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        log: File that gets what it says.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with log.open("wb") as talk:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=talk, stderr=subprocess.STDOUT
        )
        peak = [0]
        ended = threading.Event()
        watch = threading.Thread(target=_watch, args=(child.pid, peak, ended))
        watch.start()
        try:
            code = child.wait()
        finally:
            ended.set()
            watch.join()
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(code, seconds, cpu, peak[0] / 1e6, log.read_text(errors="replace")[-1000:])


def _watch(root: int, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(_EVERY):
        peak[0] = max(peak[0], sum(map(_memory, _tree(root))))


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    found, left = [], [root]
    while left:
        number = left.pop()
        found.append(number)
        for path in Path(f"/proc/{number}/task").glob("*/children"):
            try:
                left += map(int, path.read_text().split())
            except OSError:  # ended in the meantime
                continue
    return found


def _memory(number: int) -> int:
    """Bytes of a process's own memory: resident less what is mapped from files."""
    try:
        parts = Path(f"/proc/{number}/statm").read_text().split()
    except OSError:
        return 0
    return (int(parts[1]) - int(parts[2])) * _PAGE if len(parts) > 2 else 0
