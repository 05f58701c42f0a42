"""Standard output carries data alone, whatever libraries print: seen from outside the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX shell and devices")

POLLUTED = """
import ctypes, os, subprocess, sys
print("early talk", file=sys.stderr)
from ocrtool import console
def work():
    console.begin(console.Talk())
    print("a library prints")
    os.write(1, b"a library writes to descriptor 1\\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"a C library prints, buffered")
    subprocess.run([sys.executable, "-c", "print('a child process prints')"])
    console.data().write("data 1\\n")
    print("a library prints again", flush=True)
    console.data().write("data 2\\n")
sys.exit(console.run(work))
"""

ENDLESS = """
import sys
from ocrtool import console
def work():
    console.begin(console.Talk())
    while True:
        console.data().write("a line of data\\n" * 1000)
sys.exit(console.run(work))
"""

UMLAUTS = """
import sys
from ocrtool import console
def work():
    console.begin(console.Talk())
    console.data().write("Z\\xfcrich \\u20ac\\udcff\\n")
    console.error("M\\xfcll")
sys.exit(console.run(work))
"""


def python(code: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, **options)


@posix
def test_what_libraries_print_does_not_reach_stdout() -> None:
    done = python(POLLUTED)
    assert done.returncode == 0
    assert done.stdout == b"data 1\ndata 2\n"
    for noise in (b"a library prints\n", b"descriptor 1", b"a C library", b"a child", b"again"):
        assert noise in done.stderr


def test_broken_pipe_is_a_quiet_end() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"a line of data\n"
    process.stdout.close()
    with process:
        assert process.stderr.read() == b""
        assert process.wait(20) == 0


@pytest.mark.parametrize("arguments", [["completions", "bash"], ["--help"]], ids=" ".join)
@posix
def test_broken_pipe_of_a_command_is_quiet(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ocrtool", *arguments], stdout=writing, stderr=subprocess.PIPE
        )
    finally:
        os.close(writing)
    assert done.stderr == b""


@posix
def test_utf8_whatever_the_locale() -> None:
    poor = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = python(UMLAUTS, env=os.environ | poor)
    assert done.returncode == 0
    # Half a surrogate pair (an undecodable byte of a file name) becomes its escape.
    assert done.stdout == "Zürich €\\udcff\n".encode()
    assert done.stderr.startswith(b"error: M")


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_behind_stdout() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ocrtool", "completions", "bash"],
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 5
    assert done.stderr.startswith(b"error: cannot write standard output: No space left")


@posix
@pytest.mark.parametrize(("closed", "code"), [(">&-", 5), (">&- 2>&-", 5), ("2>&-", 0)])
def test_closed_streams(closed: str, code: int) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m ocrtool completions fish {closed}', sys.executable],
        capture_output=True,
    )
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_doctor_prints_json_and_nothing_else() -> None:
    # ONNX Runtime prints a banner to stdout for each provider that cannot be loaded.
    done = subprocess.run(
        [sys.executable, "-m", "ocrtool", "doctor", "--json"], capture_output=True
    )
    assert json.loads(done.stdout)["schema"] == 1
