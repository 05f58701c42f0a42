"""A run that is killed goes on where it was, and nobody can tell from what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from batch.drawn_pdfs import command, environment, run, text_pdf, tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def kept_pages(out: Path) -> dict[str, tuple[int, int]]:
    """Return the pages in the journal, each with what changes when it is written anew."""
    found = {}
    for path in out.glob(".ocrtool/*/*/*.page"):
        try:
            status = path.stat()
        except FileNotFoundError:  # its document has just been completed
            continue
        found[f"{path.parts[-3]}/{path.name}"] = (status.st_ino, status.st_mtime_ns)
    return found


def reported(path: Path, out: Path) -> Any:
    """Return a report without what differs from run to run."""
    documents = json.loads(path.read_text("utf-8"))["documents"]
    for document in documents:
        del document["seconds"], document["outcome"]
        document["outputs"] = [str(Path(name).relative_to(out)) for name in document["outputs"]]
        for page in document["pages"]:
            del page["seconds"]
    return documents


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_run_goes_on_and_ends_byte_for_byte_as_one_that_was_not(
    seed: int, tmp_path: Path
) -> None:
    text_pdf(tmp_path / "in" / "long.pdf", 40)
    text_pdf(tmp_path / "in" / "sub" / "short.pdf", 8)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    formats = ("-r", "-f", "md", "-f", "json", "--jobs", "2")
    done = run(tmp_path / "in", *formats, "-o", whole, "--report", tmp_path / "whole.json")
    assert done.returncode == 0, done.stderr
    arguments = (tmp_path / "in", *formats, "-o", killed, "--report", tmp_path / "killed.json")
    chance = random.Random(seed)
    counts = sorted(chance.sample(range(2, 40), 3))
    before: dict[str, tuple[int, int]] = {}
    for count in counts:
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
        )
        while process.poll() is None and len(kept_pages(killed)) < count:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.communicate()
        time.sleep(0.3)  # what its processes were doing is done
        after = kept_pages(killed)
        for name in before.keys() & after.keys():
            assert after[name] == before[name], f"{name} was done again"
        before = after
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "goes on" in done.stderr or "done before" in done.stderr
    assert tree(killed) == tree(whole)
    assert reported(tmp_path / "killed.json", killed) == reported(tmp_path / "whole.json", whole)
    assert {path.suffix for path in (killed / ".ocrtool").iterdir()} == {".json"}


def test_a_run_killed_while_its_outputs_take_their_names_goes_on(tmp_path: Path) -> None:
    """The moment is too short to be met: what it leaves is made by hand."""
    source, out = text_pdf(tmp_path / "a.pdf", 2), tmp_path / "out"
    arguments = (source, "-o", f"{out}/", "-f", "md", "-f", "json")
    assert run(*arguments).returncode == 0
    whole = tree(out)
    (marker,) = (out / ".ocrtool").iterdir()
    puts = json.loads(marker.read_text())["puts"]
    folder = marker.with_suffix("")
    folder.mkdir()
    intended = {name: put["digest"] for name, put in puts.items()}
    (folder / "puts.json").write_text(json.dumps(intended))
    marker.unlink()
    (out / "a.json").unlink()
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert tree(out) == whole
    assert [path.name for path in (out / ".ocrtool").iterdir()] == [marker.name]


def wait_for(path: Path, pattern: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not list(path.glob(pattern)):
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


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_a_worker_that_is_killed_twice_over_a_page_costs_that_page(
    slow_page: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = (slow_page, "-o", f"{out}/", "--jobs", "1", "--report", tmp_path / "report.json")
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, env=environment())
    wait_for(out, ".ocrtool/*/*/000001.page", process)
    while not list(out.glob(".ocrtool/*/*/000002.page")):  # which is where its failure is kept
        assert process.poll() is None
        for worker in workers_of(process):
            os.kill(worker, signal.SIGKILL)
        time.sleep(0.2)
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
    wait_for(out, ".ocrtool/*/*/000001.page", process)
    time.sleep(0.2)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.splitlines() == [
        b"what is done is kept: the same command goes on from there",
        b"error: interrupted",
    ]
    assert len(workers) == 1 and not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert not list(out.glob("*.md")) and len(kept_pages(out)) == 1
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
        pages = len(kept_pages(out))
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
