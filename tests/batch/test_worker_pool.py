"""Worker processes: their tasks, their errors and their deaths."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batch.pool_tasks import Act, broken_context, make_context
from ocrtool.batch.worker_pool import Done, Event, Failed, Lost, WorkerPool
from ocrtool.errors import EncryptedError, ModelError, OcrToolError


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(1, make_context, 1) as pool:
        yield pool


def all_events(pool: WorkerPool, *tasks: Act) -> list[Event]:
    events: list[Event] = []
    for task in tasks:
        pool.submit(task)
    while pool.busy:
        events += pool.events()
    return events


def event_of(pool: WorkerPool, task: Act) -> Event:
    (event,) = all_events(pool, task)
    return event


def test_a_worker_keeps_its_context_from_task_to_task(pool: WorkerPool) -> None:
    first = event_of(pool, Act("tell"))
    assert isinstance(first, Done) and first.task == Act("tell")
    assert first.value == (pool.processes[0], ("tell",))
    second = event_of(pool, Act("tell"))
    assert isinstance(second, Done) and second.value == (pool.processes[0], ("tell", "tell"))


def test_errors_of_the_package_come_back_unchanged(pool: WorkerPool) -> None:
    event = event_of(pool, Act("refuse"))
    assert isinstance(event, Failed) and type(event.error) is EncryptedError
    assert (event.error.message, event.error.remedy) == ("it is locked", "unlock it")


def test_other_errors_are_reported_with_their_type(
    pool: WorkerPool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("ocrtool"), "propagate", True)
    event = event_of(pool, Act("stumble"))
    assert isinstance(event, Failed) and type(event.error) is OcrToolError
    assert str(event.error) == "unexpected ZeroDivisionError: oh"
    event_of(pool, Act("log"))
    assert "a warning" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_crash_costs_one_task(pool: WorkerPool) -> None:
    event_of(pool, Act("tell"))
    before = pool.processes
    lost = event_of(pool, Act("crash"))
    assert isinstance(lost, Lost)
    assert (lost.task, lost.reason) == (Act("crash"), "crash")
    assert lost.message == "its process was killed by SIGSEGV"
    assert isinstance(event_of(pool, Act("tell")), Done) and pool.processes != before


def test_a_process_without_memory_is_replaced(pool: WorkerPool) -> None:
    lost = event_of(pool, Act("exhaust"))
    assert isinstance(lost, Lost) and lost.reason == "memory"
    assert isinstance(event_of(pool, Act("tell")), Done)


def test_a_task_that_takes_too_long_is_ended(pool: WorkerPool) -> None:
    event_of(pool, Act("tell"))
    start = time.monotonic()
    lost = event_of(pool, Act("sleep", limit=0.5))
    assert isinstance(lost, Lost) and lost.reason == "timeout"
    assert lost.message == "it took more than 0.5 s"
    assert 0.5 <= time.monotonic() - start < 20


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_process_that_is_killed_while_idle_is_replaced(pool: WorkerPool) -> None:
    event_of(pool, Act("tell"))
    (process,) = pool.processes
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: is_gone(process))
    lost = event_of(pool, Act("tell"))
    assert isinstance(lost, Lost) and lost.task == Act("tell")
    assert isinstance(event_of(pool, Act("tell")), Done)


def test_an_error_of_the_context_fails_the_task() -> None:
    with WorkerPool(1, broken_context, 1) as pool:
        event = event_of(pool, Act("tell"))
        assert isinstance(event, Failed) and type(event.error) is ModelError


def test_the_worker_that_knows_the_document_is_preferred() -> None:
    with WorkerPool(2, make_context, 1) as pool:
        assert pool.free == 2 and pool.processes == ()
        tasks = [Act("tell", document=number) for number in (0, 1)]
        first = {event.task.document: event.value[0] for event in all_events(pool, *tasks)}  # type: ignore[union-attr]
        assert len(set(first.values())) == 2
        again = {event.task.document: event.value[0] for event in all_events(pool, *tasks[::-1])}  # type: ignore[union-attr]
        assert again == first
        assert [*pool.events()] == []
        processes = pool.processes
    assert all(is_gone(process) for process in processes)


ORPHANS = """
import sys
from batch.pool_tasks import Act, make_context
from ocrtool.batch.worker_pool import WorkerPool
if __name__ == "__main__":
    with WorkerPool(1, make_context, 1) as pool:
        pool.submit(Act("tell"))
        while pool.busy:
            for event in pool.events():
                pass
        pool.submit(Act("sleep"))
        print(*pool.processes, flush=True)
        while pool.busy:  # that it has begun is no event, but ends the wait for one
            list(pool.events())
"""


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{process}/stat")
    try:
        return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_no_process_outlives_a_command_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ORPHANS)
    paths = os.pathsep.join(path for path in sys.path if path)
    command = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert command.stdout is not None
    with command:
        worker = int(command.stdout.readline())
        assert not is_gone(worker)
        command.kill()
    wait_until(lambda: is_gone(worker))
