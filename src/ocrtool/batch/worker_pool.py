"""Worker processes: jobs are handed out and watched, and the death of a worker costs one step.

A native library may crash, hang or take all memory over a damaged file, so nothing of a file is
touched in the process of the command. A job is a row of steps (the pages of a chunk); a worker
tells of each when it begins and when it ends. A step that takes too long, or whose process dies, is
reported as lost, and another worker takes the dead one's place.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Literal, Protocol

from ocrtool.errors import OcrToolError

OUT_OF_MEMORY = 98
"""Exit code of a worker that has no memory left: only its end gives back what it holds."""
GRACE = 15
"""Seconds past its limit after which a worker whose command was killed ends itself."""
STARTING = 60
"""Seconds that a worker may take to begin its first step, beyond the limit of that."""
LESS_DEAR = "600"
"""Out of 1000, how much rather than others a worker is killed when memory runs out (Linux)."""
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

logger = logging.getLogger(__name__)

LossReason = Literal["timeout", "crash", "memory"]


class Job(Protocol):
    """What a worker does; it and its values must be picklable."""

    @property
    def document(self) -> int:
        """What it is for: a worker that has done a job for it is preferred."""

    @property
    def steps(self) -> Sequence[int]:
        """Numbers of its steps, in order."""

    @property
    def limit(self) -> float:
        """Seconds that a step may take; 0 for no limit."""

    def run(self, desk: Any, step: int) -> Any:
        """Do a step; errors of :mod:`ocrtool.errors` are handed on as they are."""


@dataclass(frozen=True)
class Done:
    """A step has come to its end."""

    job: Job
    step: int
    value: Any


@dataclass(frozen=True)
class Failed:
    """A step has raised an error."""

    job: Job
    step: int
    error: OcrToolError
    seconds: float


@dataclass(frozen=True)
class Lost:
    """A worker has died over a step, or was ended because the step took too long.

    Attributes:
        job: What it was doing.
        step: The step.
        reason: Of what kind its end was.
        message: What happened, in words.
        seconds: Since the step began.
        left: Steps of the job that were not begun.
    """

    job: Job
    step: int
    reason: LossReason
    message: str
    seconds: float
    left: tuple[int, ...]


Event = Done | Failed | Lost


class WorkerPool:
    """Workers, started when they are needed; a context manager that ends them.

    Args:
        size: Most workers at a time.
        desk: Makes what a worker keeps from job to job, in its own process.
        threads: That each may use.
    """

    def __init__(self, size: int, desk: Callable[[], object], threads: int) -> None:
        self._size = size
        self._make = (desk, threads)
        self._workers: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    @property
    def free(self) -> int:
        """How many jobs can be taken now."""
        return self._size - self.busy

    @property
    def busy(self) -> int:
        """How many jobs are being done."""
        return sum(worker.job is not None for worker in self._workers)

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return len(self._workers) - self.busy

    @property
    def longest(self) -> float:
        """Seconds since the step began that has been going on for longest."""
        return max((worker.seconds for worker in self._workers if worker.job), default=0.0)

    @property
    def processes(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(worker.process.pid or 0 for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Have a job done by a free worker; there must be one."""
        idle = [worker for worker in self._workers if worker.job is None]
        idle.sort(key=lambda worker: worker.last != job.document)
        if not idle:
            idle = [_Worker(*self._make)]
            self._workers += idle
        idle[0].take(job)

    def events(self, patience: float | None = None) -> Iterator[Event]:
        """Wait until something has happened, and give it; nothing where nobody is at work.

        Args:
            patience: Seconds after which there may be nothing.
        """
        working = [worker for worker in self._workers if worker.job is not None]
        if not working:
            return
        times = [worker.deadline for worker in working if worker.deadline]
        rests = [max(0.0, min(times) - time.monotonic())] if times else []
        rests += [patience] if patience is not None else []
        ready = set(wait([worker.connection for worker in working], min(rests, default=None)))
        for worker in working:
            if worker.connection in ready:
                yield from self._heard(worker)
            elif worker.deadline and time.monotonic() > worker.deadline:
                yield self._lose(worker, timeout=True)

    def _heard(self, worker: _Worker) -> Iterator[Event]:
        """Give what a worker has told, all of it that is there."""
        try:
            while worker.connection.poll():
                event = worker.hear(worker.connection.recv())
                if event is not None:
                    yield event
        except (EOFError, OSError):
            yield self._lose(worker, timeout=False)

    def _lose(self, worker: _Worker, timeout: bool) -> Lost:
        """End a worker, and tell what is lost with it."""
        self._workers.remove(worker)
        return worker.lost(timeout)


class _Worker:
    """A process, as the pool sees it."""

    def __init__(self, desk: Callable[[], object], threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks of threads
        self.connection, other = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve,
            args=(other, desk, threads, logger.getEffectiveLevel()),
            daemon=True,
            name="ocrtool worker",
        )
        with _interrupts_held():
            self.process.start()
        other.close()
        self.job: Job | None = None
        self.last: int | None = None
        self.deadline = 0.0
        self._left: list[int] = []
        self._step = 0
        self._begun = 0.0

    @property
    def seconds(self) -> float:
        """Since its step began."""
        return time.monotonic() - self._begun

    def take(self, job: Job) -> None:
        """Hand over a job."""
        self.job, self.last = job, job.document
        self._left = list(job.steps)
        self._begin(self._left[0])
        if self.deadline:
            self.deadline += STARTING
        with contextlib.suppress(OSError):  # it is dead, which is noticed in its turn
            self.connection.send(job)

    def _begin(self, step: int) -> None:
        assert self.job is not None
        self._step, self._begun = step, time.monotonic()
        self.deadline = self._begun + self.job.limit if self.job.limit else 0.0

    def hear(self, message: tuple[Any, ...]) -> Event | None:
        """Take what the process tells."""
        job = self.job
        assert job is not None
        match message:
            case ("begun", int(step)):
                self._left.remove(step)
                self._begin(step)
            case ("done", int(step), value):
                return Done(job, step, value)
            case ("failed", int(step), error, float(seconds)):
                return Failed(job, step, error, seconds)
            case ("said", int(level), str(text)):
                logger.log(level, "%s", text)
            case ("free",):
                self.job, self.deadline = None, 0.0
        return None

    def lost(self, timeout: bool) -> Lost:
        """End the process, and tell what is lost with it."""
        assert self.job is not None
        seconds = self.seconds
        limit = self.job.limit
        self.end()
        code = self.process.exitcode
        left = tuple(step for step in self._left if step != self._step)
        reason: LossReason = "crash"
        message = f"its process ended with code {code}"
        if timeout:
            reason, message = "timeout", f"it took more than {limit:g} s"
        elif code == OUT_OF_MEMORY:
            reason, message = "memory", "it needs more memory than there is"
        elif code is not None and code < 0:
            with contextlib.suppress(ValueError):
                message = f"its process was killed by {signal.Signals(-code).name}"
        return Lost(self.job, self._step, reason, message, seconds, left)

    def end(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.connection.close()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that Ctrl-C passes by: they inherit that the signal is blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    connection: Connection, make_desk: Callable[[], object], threads: int, level: int
) -> None:
    """Do jobs until the other side closes the connection; what a worker process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in THREAD_LIMITS:  # before the libraries that obey them are imported
        os.environ.setdefault(name, str(threads))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write(LESS_DEAR)
    _hear_loggers(connection, level)
    desk = _Desk(make_desk)
    try:
        while True:
            job: Job = connection.recv()
            desk.prepare()
            for step in job.steps:
                connection.send(("begun", step))
                _set_alarm(job.limit)
                connection.send(desk.outcome(job, step))
                _set_alarm(0)
            connection.send(("free",))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # nobody is left to work for


class _Desk:
    """What a worker keeps, made at its first job; what goes wrong in that is told at a step."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._made: object | None = None
        self._error: OcrToolError | None = None

    def prepare(self) -> None:
        """Make it."""
        if self._made is None and self._error is None:
            try:
                self._made = self._make()
            except OcrToolError as error:
                self._error = error

    def outcome(self, job: Job, step: int) -> tuple[Any, ...]:
        """Do a step and return the message that tells of it."""
        start = time.monotonic()
        try:
            if self._error:
                raise self._error
            return "done", step, job.run(self._made, step)
        except OcrToolError as error:
            told = error
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except Exception as error:
            logger.info("%s", traceback.format_exc().rstrip())
            told = OcrToolError(f"unexpected {type(error).__name__}: {error}")
        return "failed", step, told, time.monotonic() - start


def _end_with_parent() -> None:
    """End this process when the command's has ended, however it did."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _set_alarm(limit: float) -> None:
    """Have the system end this process long past the limit.

    The pool does so in time; this is for a process that hangs in native code, where no thread of
    Python runs, after the command itself was killed.
    """
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(limit) + GRACE if limit else 0)


def _hear_loggers(connection: Connection, level: int) -> None:
    """Send what the library logs to the command."""

    class Sender(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            connection.send(("said", record.levelno, record.getMessage()))

    package = logging.getLogger("ocrtool")
    package.handlers = [Sender()]
    package.propagate = False
    package.setLevel(level)
