"""Runs a whole process and measures it with everything that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrtool.errors import MissingDependencyError

WATCH_SECONDS = 0.05
"""Seconds between looks at the memory of the processes."""
TALK_CHARACTERS = 2_000
"""Number of characters kept of the end of what a process says on standard error."""


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    Attributes:
        code: Exit code.
        seconds: From start to end.
        cpu_seconds: Of all its processes; ``None`` on Windows.
        peak_mb: On Linux, the most memory of all its processes together, without what is mapped
            from files; elsewhere that of the largest process; ``None`` on Windows.
        talk: The end of what it said on standard error.
    """

    code: int
    seconds: float
    cpu_seconds: float | None
    peak_mb: float | None
    talk: str


def measured(
    command: Sequence[str],
    hear: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        hear: Gets standard output, line by line, each with its line end.
        environment: Variables beside those of this process.

    Raises:
        MissingDependencyError: There is no such program.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as talk:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=talk,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise MissingDependencyError(f"{command[0]}: {error.strerror or error}") from None
        peak = [0.0]
        ended = threading.Event()
        watch = threading.Thread(target=_watch, args=(child.pid, peak, ended), daemon=True)
        watch.start()
        try:
            assert child.stdout is not None
            with child.stdout:
                for line in child.stdout:
                    hear(line.decode("utf-8", "replace"))
            code, cpu, largest = _wait(child)
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            ended.set()
            watch.join()
        seconds = time.perf_counter() - start
        size = talk.seek(0, os.SEEK_END)
        talk.seek(max(0, size - 4 * TALK_CHARACTERS))
        said = talk.read().decode("utf-8", "replace")[-TALK_CHARACTERS:]
    return Run(code, seconds, cpu, peak[0] or largest, said.strip())


def _wait(child: subprocess.Popen[bytes]) -> tuple[int, float | None, float | None]:
    """Wait for the end; return exit code, CPU seconds and the memory of the largest process."""
    if sys.platform == "win32":
        return child.wait(), None, None
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return child.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / unit


def _watch(root: int, peak: list[float], ended: threading.Event) -> None:
    if not Path("/proc/self/statm").exists():
        return
    while not ended.wait(WATCH_SECONDS):
        peak[0] = max(peak[0], sum(map(_memory, _tree(root))) / 1e6)


def _tree(root: int) -> list[int]:
    """Return a process and all below it."""
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
    """Return bytes of a process's own memory: resident less what is mapped from files."""
    try:
        parts = Path(f"/proc/{number}/statm").read_text().split()
    except OSError:
        return 0
    page = os.sysconf("SC_PAGE_SIZE")
    return (int(parts[1]) - int(parts[2])) * page if len(parts) > 2 else 0
