"""A pool of worker processes that run tasks; the death of a worker costs one task.

A native library may crash, hang or exhaust the memory over a damaged file, so input files are only
opened in workers. A task that exceeds its time limit, or whose worker dies, is reported as lost,
and a new worker is started when there is more to do.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Literal, Protocol

from ocrtool.errors import OcrToolError

OUT_OF_MEMORY = 98
"""Exit code of a worker that ran out of memory: only its end returns what it has allocated."""
ORPHAN_GRACE_SECONDS = 15
"""Seconds past the time limit after which a worker ends itself if the command was killed."""
STARTUP_SECONDS = 60
"""Seconds that a worker may take before it begins a task, in addition to the task's limit."""
OOM_SCORE = "600"
"""Linux ``oom_score_adj`` of workers, 0 to 1000: the kernel kills them before other processes."""
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that limit the threads of native libraries."""

logger = logging.getLogger(__name__)

LossReason = Literal["timeout", "crash", "memory"]


class Task(Protocol):
    """A unit of work for a worker; it and its result must be picklable."""

    @property
    def document(self) -> int:
        """Number of its document: a worker that last worked on the same one is preferred."""

    @property
    def limit(self) -> float:
        """Time limit in seconds; 0 for none."""

    def run(self, context: Any) -> Any:
        """Do the work; errors of :mod:`ocrtool.errors` are passed on as they are."""


@dataclass(frozen=True)
class Done:
    """A task has returned a value."""

    task: Task
    value: Any


@dataclass(frozen=True)
class Failed:
    """A task has raised an error after some seconds."""

    task: Task
    error: OcrToolError
    seconds: float


@dataclass(frozen=True)
class Lost:
    """A worker died while it ran a task, or was killed because of the time limit.

    Attributes:
        task: What it was running.
        reason: Kind of loss.
        message: Description of the loss.
        seconds: Time since the task began.
    """

    task: Task
    reason: LossReason
    message: str
    seconds: float


Event = Done | Failed | Lost


class WorkerPool:
    """Worker processes, started on demand; a context manager that kills them.

    Args:
        size: Maximum number of workers.
        make_context: Picklable function that makes, inside a worker, the state it keeps from task
            to task.
        threads: Number of threads of each worker.
    """

    def __init__(self, size: int, make_context: Callable[[], object], threads: int) -> None:
        self._size = size
        self._arguments = (make_context, threads)
        self._workers: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
        self._workers.clear()

    @property
    def free(self) -> int:
        """Number of tasks that can be submitted now."""
        return self._size - self.busy

    @property
    def busy(self) -> int:
        """Number of tasks that are running."""
        return sum(worker.task is not None for worker in self._workers)

    @property
    def idle(self) -> int:
        """Number of started workers without a task."""
        return len(self._workers) - self.busy

    @property
    def longest(self) -> float:
        """Seconds since the longest-running task began."""
        return max((worker.seconds for worker in self._workers if worker.task), default=0.0)

    @property
    def processes(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    def submit(self, task: Task) -> None:
        """Have a task run by a free worker; :attr:`free` must not be 0."""
        idle = [worker for worker in self._workers if worker.task is None]
        idle.sort(key=lambda worker: worker.last_document != task.document)
        if not idle:
            idle = [_Worker(*self._arguments)]
            self._workers += idle
        idle[0].submit(task)

    def events(self, patience: float | None = None) -> Iterator[Event]:
        """Wait until a worker sends a message, and yield what has happened.

        Args:
            patience: Maximum waiting time in seconds.

        Yields:
            Events; possibly none.
        """
        busy = [worker for worker in self._workers if worker.task is not None]
        if not busy:
            return
        now = time.monotonic()
        times = [max(0.0, worker.deadline - now) for worker in busy if worker.deadline]
        times += [patience] if patience is not None else []
        ready = set(wait([worker.connection for worker in busy], min(times, default=None)))
        for worker in busy:
            if worker.connection in ready:
                yield from self._receive(worker)
            elif worker.deadline and time.monotonic() > worker.deadline:
                yield self._lose(worker, timeout=True)

    def _receive(self, worker: _Worker) -> Iterator[Event]:
        """Yield the events of all messages that have arrived from a worker."""
        try:
            while worker.task is not None and worker.connection.poll():
                event = worker.handle(worker.connection.recv())
                if event is not None:
                    yield event
        except (EOFError, OSError):
            yield self._lose(worker, timeout=False)

    def _lose(self, worker: _Worker, timeout: bool) -> Lost:
        self._workers.remove(worker)
        return worker.lose(timeout)


class _Worker:
    """A worker process as seen from the pool."""

    def __init__(self, make_context: Callable[[], object], threads: int) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork would copy locks of other threads
        self.connection, other = spawn.Pipe()
        self.process: SpawnProcess = spawn.Process(
            target=_serve,
            args=(other, make_context, threads, logger.getEffectiveLevel()),
            daemon=True,
            name="ocrtool worker",
        )
        with _interrupts_blocked():
            self.process.start()
        other.close()
        self.task: Task | None = None
        self.last_document: int | None = None
        self.deadline = 0.0
        """Time of :func:`time.monotonic` at which the task is lost; 0 for no limit."""
        self._begun = 0.0

    @property
    def seconds(self) -> float:
        """Time since the task began."""
        return time.monotonic() - self._begun

    def submit(self, task: Task) -> None:
        """Send a task to the process."""
        self.task, self.last_document = task, task.document
        self._start_clock(STARTUP_SECONDS)
        with contextlib.suppress(OSError):  # the process is dead, which the pool notices next
            self.connection.send(task)

    def _start_clock(self, extra: float = 0.0) -> None:
        assert self.task is not None
        self._begun = time.monotonic()
        self.deadline = self._begun + self.task.limit + extra if self.task.limit else 0.0

    def handle(self, message: tuple[Any, ...]) -> Event | None:
        """Handle a message of the process."""
        assert self.task is not None
        event: Event | None = None
        match message:
            case ("begun",):
                self._start_clock()
            case ("log", int(level), str(text)):
                logger.log(level, "%s", text)
            case ("done", value):
                event = Done(self.task, value)
            case ("failed", error, float(seconds)):
                event = Failed(self.task, error, seconds)
        if event is not None:
            self.task, self.deadline = None, 0.0
        return event

    def lose(self, timeout: bool) -> Lost:
        """Kill the process and describe the loss of its task."""
        assert self.task is not None
        seconds = self.seconds
        self.kill()
        code = self.process.exitcode
        reason: LossReason = "crash"
        message = f"its process ended with code {code}"
        if timeout:
            reason, message = "timeout", f"it took more than {self.task.limit:g} s"
        elif code == OUT_OF_MEMORY:
            reason, message = "memory", "it needs more memory than there is"
        elif code is not None and code < 0:
            with contextlib.suppress(ValueError):
                message = f"its process was killed by {signal.Signals(-code).name}"
        return Lost(self.task, reason, message, seconds)

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT, so that processes started meanwhile inherit this and ignore Ctrl-C."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    connection: Connection, make_context: Callable[[], object], threads: int, level: int
) -> None:
    """Run tasks until the pool closes the connection: the main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    for name in THREAD_LIMITS:  # before the libraries that read them are imported
        os.environ.setdefault(name, str(threads))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write(OOM_SCORE)
    _forward_logs(connection, level)
    context: object | None = None
    try:
        while True:
            task: Task = connection.recv()
            start = time.monotonic()
            try:
                if context is None:
                    context = make_context()
                connection.send(("begun",))
                start = time.monotonic()
                _set_alarm(task.limit)
                message: tuple[Any, ...] = ("done", task.run(context))
            except OcrToolError as error:
                message = ("failed", error, time.monotonic() - start)
            except MemoryError:
                os._exit(OUT_OF_MEMORY)
            except Exception as error:
                logger.info("%s", traceback.format_exc().rstrip())
                unexpected = OcrToolError(f"unexpected {type(error).__name__}: {error}")
                message = ("failed", unexpected, time.monotonic() - start)
            _set_alarm(0)
            connection.send(message)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the command has ended


def _exit_with_parent() -> None:
    """End this process when the command's process has ended, however it did."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _set_alarm(limit: float) -> None:
    """Have the system kill this process well past the time limit; 0 cancels the alarm.

    Usually the pool kills it in time. The alarm is for a worker whose command was killed while
    native code holds the interpreter lock, so that :func:`_exit_with_parent` cannot run.
    """
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(limit) + ORPHAN_GRACE_SECONDS if limit else 0)


def _forward_logs(connection: Connection, level: int) -> None:
    """Send the log records of the package to the command's process."""

    class Sender(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            connection.send(("log", record.levelno, record.getMessage()))

    package = logging.getLogger("ocrtool")
    package.handlers = [Sender()]
    package.propagate = False
    package.setLevel(level)
