"""A run that is killed can be resumed, with the same outputs as an undisturbed run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from batch.drawn_pdfs import command, environment, run, text_pdf, tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def stored_pages(out: Path) -> dict[str, str]:
    """Return the report entries of the pages in the journals, by journal and page number.

    The command locks the journals while it runs, so copies of them are read. A copy that was made
    while the journal was being written may not be readable; then it is made again.
    """
    while True:
        try:
            return {
                f"{path.name}/{number}": note
                for path in out.glob(".ocrtool/*.sqlite")
                for number, note in pages_in_copy(path)
            }
        except (FileNotFoundError, sqlite3.DatabaseError):
            continue


def pages_in_copy(path: Path) -> list[tuple[int, str]]:
    """Read the page numbers and report entries from a copy of a journal."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(f"{path}-wal", folder)
        with contextlib.closing(sqlite3.connect(copy)) as database:
            if not database.execute("SELECT * FROM sqlite_master").fetchall():
                return []
            return database.execute("SELECT number, note FROM pages").fetchall()


def reported(path: Path, out: Path) -> Any:
    """Return a report without what differs from run to run."""
    documents = json.loads(path.read_text("utf-8"))["documents"]
    for document in documents:
        del document["seconds"], document["outcome"]
        document["outputs"] = [str(Path(name).relative_to(out)) for name in document["outputs"]]
        for page in document["pages"]:
            del page["seconds"]
    return documents


@pytest.mark.parametrize(("seed", "kills"), [(1, 3), pytest.param(2, 20, marks=pytest.mark.slow)])
def test_a_killed_run_is_resumed_and_its_outputs_are_the_same_byte_by_byte(
    seed: int, kills: int, tmp_path: Path
) -> None:
    """Kill it at random moments: some while pages are read, some while outputs are written."""
    text_pdf(tmp_path / "in" / "long.pdf", 40)
    text_pdf(tmp_path / "in" / "sub" / "short.pdf", 8)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    formats = ("-r", "-f", "md", "-f", "json", "--jobs", "2")
    done = run(tmp_path / "in", *formats, "-o", whole, "--report", tmp_path / "whole.json")
    assert done.returncode == 0, done.stderr
    arguments = (tmp_path / "in", *formats, "-o", killed, "--report", tmp_path / "killed.json")
    chance = random.Random(seed)
    counts = sorted(chance.randrange(0, 48) for _ in range(kills))
    before: dict[str, str] = {}
    for count in counts:
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
        )
        while process.poll() is None and len(stored_pages(killed)) < count:
            time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.communicate()  # until its workers have ended, too
        after = stored_pages(killed)
        for name in before.keys() & after.keys():
            assert after[name] == before[name], f"{name} was read again"
        before = after
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "goes on" in done.stderr or "done before" in done.stderr
    assert tree(killed) == tree(whole)
    assert reported(tmp_path / "killed.json", killed) == reported(tmp_path / "whole.json", whole)
    assert {path.suffix for path in (killed / ".ocrtool").iterdir()} == {".sqlite"}


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_a_run_killed_while_its_outputs_are_renamed_is_resumed(
    renamed: int, tmp_path: Path
) -> None:
    """Kill it just before it gives a further output its final name."""
    source, out = text_pdf(tmp_path / "a.pdf", 2), tmp_path / "out"
    arguments = (source, "-o", f"{out}/", "-f", "md", "-f", "json", "-f", "txt")
    script = KILLED_WHILE_RENAMING.format(renamed=renamed, arguments=["pdf", *map(str, arguments)])
    path = tmp_path / "script.py"
    path.write_text(script, "utf-8")
    killed = subprocess.run([sys.executable, str(path)], capture_output=True, env=environment())
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(tree(out)) == renamed
    done = run(*arguments)
    assert done.returncode == 0 and "goes on, 2 of 2 pages" in done.stderr, done.stderr
    undisturbed = tmp_path / "undisturbed"
    assert run(source, "-o", f"{undisturbed}/", *arguments[3:]).returncode == 0
    assert tree(out) == tree(undisturbed)
    assert {path.suffix for path in (out / ".ocrtool").iterdir()} == {".sqlite"}


KILLED_WHILE_RENAMING = """
import os, signal
from ocrtool import cli
from ocrtool.batch import journal
if __name__ == "__main__":
    move, moved = journal.move, []
    def counted(draft, target):
        if len(moved) == {renamed}:
            os.kill(os.getpid(), signal.SIGKILL)
        moved.append(move(draft, target))
    journal.move = counted
    cli.main({arguments!r})
"""


def wait_for_page(out: Path, number: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not any(name.endswith(f"/{number}") for name in stored_pages(out)):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


def workers_of(process: subprocess.Popen[bytes]) -> set[int]:
    """Return the worker processes of a command, by what Linux tells."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    found = set()
    for child in map(int, children):
        with contextlib.suppress(OSError):  # it has just ended
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(child)
    return found


def wait_until_gone(process: int) -> None:
    end = time.monotonic() + 60
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_a_worker_that_is_killed_twice_over_a_page_costs_that_page(
    slow_page: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = (slow_page, "-o", f"{out}/", "--jobs", "1", "--report", tmp_path / "report.json")
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, env=environment())
    wait_for_page(out, 1, process)
    killed = 0
    while killed < 2:  # page 2 takes hours, so that a worker is alive until it is killed
        assert process.poll() is None
        for worker in workers_of(process):
            os.kill(worker, signal.SIGKILL)
            killed += 1
            wait_until_gone(worker)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"page 2 cannot be read: its process was killed by SIGKILL" in told
    assert "<!-- page 2: unreadable: its process was killed by SIGKILL -->" in (
        out / "slow.md"
    ).read_text("utf-8")
    (document,) = json.loads((tmp_path / "report.json").read_text())["documents"]
    assert [page["route"] for page in document["pages"]] == ["native", "failed", "native"]
    assert document["pages"][1]["failure"] == "crash"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_ctrl_c_ends_all_and_keeps_what_is_done(slow_page: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(slow_page, "-o", f"{out}/", "--jobs", "1"),
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    wait_for_page(out, 1, process)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.splitlines() == [
        b"what is done is kept: the same command goes on from there",
        b"error: interrupted",
    ]
    assert len(workers) == 1 and not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert not list(out.glob("*.md")) and len(stored_pages(out)) == 1
    assert not list((out / ".ocrtool").glob("*.lock"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures by /proc")
def test_memory_is_flat_over_a_long_file(tmp_path: Path) -> None:
    source = text_pdf(tmp_path / "long.pdf", 600, rows=4)
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(source, "-o", f"{out}/", "--jobs", "2"), stderr=subprocess.PIPE, env=environment()
    )
    peaks: dict[int, int] = {}
    while process.poll() is None:
        pages = len(stored_pages(out))
        try:
            used = sum(resident(number) for number in (process.pid, *workers_of(process)))
        except OSError:
            continue
        peaks[pages // 100] = max(peaks.get(pages // 100, 0), used)
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == 0
    assert max(peaks.values()) < 700e6
    late = [used for pages, used in peaks.items() if pages >= 2]
    assert max(late) < 1.1 * peaks[1]


def resident(process: int) -> int:
    """Return the bytes that a process holds."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    return 0
