"""Worker processes: what they do, and what is left of a job when one dies."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.pool_tasks import Act, broken_desk, desk
from ocrtool.batch.worker_pool import Done, Event, Failed, Lost, WorkerPool
from ocrtool.errors import EncryptedError, ModelError, OcrToolError


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(1, desk, 1) as pool:
        yield pool


def all_events(pool: WorkerPool, *jobs: Act) -> list[Event]:
    events: list[Event] = []
    for job in jobs:
        pool.submit(job)
    while pool.busy:
        events += pool.events()
    return events


def first_event(pool: WorkerPool, job: Act) -> Event:
    return all_events(pool, job)[0]


def test_steps_are_done_in_order_at_one_desk(pool: WorkerPool) -> None:
    job = Act("tell", (3, 4))
    first, second = all_events(pool, job)
    assert isinstance(first, Done) and isinstance(second, Done)
    assert (first.step, second.step) == (3, 4) and first.job == job
    assert first.value == (pool.processes[0], (3,)) and second.value[1] == (3, 4)
    (third,) = all_events(pool, Act("tell", (5,)))
    assert isinstance(third, Done) and third.value == (pool.processes[0], (3, 4, 5))


def test_errors_of_the_tool_come_back_as_they_are(pool: WorkerPool) -> None:
    event = first_event(pool, Act("refuse"))
    assert isinstance(event, Failed) and type(event.error) is EncryptedError
    assert (event.error.message, event.error.remedy) == ("it is locked", "unlock it")


def test_other_errors_are_told_with_their_kind(
    pool: WorkerPool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("ocrtool"), "propagate", True)
    event = first_event(pool, Act("stumble"))
    assert isinstance(event, Failed) and type(event.error) is OcrToolError
    assert str(event.error) == "unexpected ZeroDivisionError: oh"
    all_events(pool, Act("log", (7,)))
    assert "step 7" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_crash_costs_one_step(pool: WorkerPool) -> None:
    before = pool.processes
    done, lost = all_events(pool, Act("crash", (1, 2, 3, 4)))
    assert isinstance(done, Done) and done.step == 1
    assert isinstance(lost, Lost)
    assert (lost.step, lost.reason, lost.left) == (2, "crash", (3, 4))
    assert lost.message == "its process was killed by SIGSEGV"
    (event,) = all_events(pool, Act("tell"))
    assert isinstance(event, Done) and pool.processes != before


def test_a_process_without_memory_is_replaced(pool: WorkerPool) -> None:
    lost = first_event(pool, Act("exhaust"))
    assert isinstance(lost, Lost) and lost.reason == "memory"
    assert isinstance(first_event(pool, Act("tell")), Done)


def test_a_step_that_takes_too_long_is_ended(pool: WorkerPool) -> None:
    first_event(pool, Act("tell"))
    start = time.monotonic()
    lost = first_event(pool, Act("sleep", (1, 2), limit=0.5))
    assert isinstance(lost, Lost)
    assert (lost.step, lost.reason, lost.left) == (1, "timeout", (2,))
    assert lost.message == "it took more than 0.5 s"
    assert 0.5 <= time.monotonic() - start < 20


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_process_that_is_killed_while_idle_is_replaced(pool: WorkerPool) -> None:
    first_event(pool, Act("tell"))
    os.kill(pool.processes[0], signal.SIGKILL)
    time.sleep(0.2)
    lost = first_event(pool, Act("tell", (8, 9)))
    assert isinstance(lost, Lost) and (lost.step, lost.left) == (8, (9,))
    assert isinstance(first_event(pool, Act("tell")), Done)


def test_what_goes_wrong_at_the_start_is_told_at_the_step() -> None:
    with WorkerPool(1, broken_desk, 1) as pool:
        event = first_event(pool, Act("tell"))
        assert isinstance(event, Failed) and type(event.error) is ModelError


def test_jobs_go_to_several_processes_and_back_to_the_one_that_knows_the_document() -> None:
    with WorkerPool(2, desk, 1) as pool:
        assert pool.free == 2 and pool.processes == ()
        jobs = [Act("tell", document=number) for number in (0, 1)]
        first = {event.job.document: event.value[0] for event in all_events(pool, *jobs)}  # type: ignore[union-attr]
        assert len(set(first.values())) == 2
        again = {event.job.document: event.value[0] for event in all_events(pool, *jobs[::-1])}  # type: ignore[union-attr]
        assert again == first
        assert [*pool.events()] == []
        processes = pool.processes
    assert all(is_gone(process) for process in processes)


ORPHANS = """
import sys
from batch.pool_tasks import Act, desk
from ocrtool.batch.worker_pool import WorkerPool
if __name__ == "__main__":
    with WorkerPool(1, desk, 1) as pool:
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
    end = time.monotonic() + 20
    while not is_gone(worker) and time.monotonic() < end:
        time.sleep(0.05)
    assert is_gone(worker)
