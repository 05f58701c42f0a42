from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ocrtool import console
from ocrtool.console import Color, OutputStream, ReaderGone, Talk, atomic_write
from ocrtool.errors import OutputError


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch):
    return lambda **options: monkeypatch.setattr(console, "_talk", Talk(**options))


def say_everything() -> None:
    console.error("e")
    console.warn("w")
    console.say("s")
    console.note("n")


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (-1, "error: e\n"),
        (0, "error: e\nwarning: w\ns\n"),
        (1, "error: e\nwarning: w\ns\nnote: n\n"),
    ],
)
def test_levels(level: int, said: str, talk, capsys: pytest.CaptureFixture[str]) -> None:
    talk(level=level)
    say_everything()
    captured = capsys.readouterr()
    assert captured.err == said
    assert captured.out == ""


class Terminal:
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals(talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert console.color_wanted(Terminal())
    assert not console.color_wanted()  # the captured stderr of a test is none
    talk(color=Color.ALWAYS)
    assert console.color_wanted()
    talk(color=Color.NEVER)
    assert not console.color_wanted(Terminal())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_environment_switches_colour_off(name, value, talk, monkeypatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(name, value)
    assert not console.color_wanted(Terminal())
    talk(color=Color.ALWAYS)
    assert console.color_wanted(Terminal()), "a flag wins over the environment"


def test_coloured_label(talk, capsys: pytest.CaptureFixture[str]) -> None:
    talk(color=Color.ALWAYS)
    console.error("no")
    assert capsys.readouterr().err == "\x1b[1;31merror:\x1b[0m no\n"


PROGRESS = """
import sys
from ocrtool import console
console.begin(console.Talk(level=int(sys.argv[1])))
with console.progress("Reading", 3) as step:
    step(1); step(2)
    console.say("beside the bar")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo-terminals")
@pytest.mark.parametrize(("level", "drawn"), [("0", True), ("-1", False)])
def test_progress_is_drawn_on_a_terminal(level: str, drawn: bool) -> None:
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", PROGRESS, level],
        stderr=theirs,
        check=True,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:
        pass  # Linux reports the end of a pseudo-terminal so.
    os.close(ours)
    assert (b"Reading" in seen) is drawn
    assert (b"beside the bar" in seen) is drawn


def test_progress_is_silent_without_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRESS, "0"], capture_output=True, check=True, text=True
    )
    assert done.stderr == "beside the bar\n"


def test_loggers_of_the_library_are_heard() -> None:
    code = (
        "import logging, sys; from ocrtool import console\n"
        "console.begin(console.Talk(level=int(sys.argv[1])))\n"
        "log = logging.getLogger('ocrtool.engines')\n"
        "log.info('chosen: %s', 'cpu'); log.warning('slow')\n"
    )
    said = [
        subprocess.run([sys.executable, "-c", code, level], capture_output=True, text=True).stderr
        for level in ("-1", "0", "1")
    ]
    assert said == ["", "warning: slow\n", "note: chosen: cpu\nwarning: slow\n"]


def test_data_writes_utf8_and_line_feeds(tmp_path: Path) -> None:
    path = tmp_path / "out"
    stream = OutputStream(os.open(path, os.O_CREAT | os.O_WRONLY))
    stream.write("ä\n")
    stream.close()
    assert path.read_bytes() == b"\xc3\xa4\n"


def test_data_knows_when_its_reader_is_gone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = OutputStream(writing)
    with pytest.raises(ReaderGone):
        stream.write("x")
    stream.close()


def test_atomic_write_replaces_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".json"
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_leaves_no_trace_of_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_gives_the_usual_permissions(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("a")
    (tmp_path / "b").write_text("b")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="needs links and devices")
def test_atomic_write_follows_links_and_spares_devices(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"
    with atomic_write(Path(os.devnull)) as temporary:
        assert temporary == Path(os.devnull)
    assert not Path(os.devnull).is_file()


def test_atomic_write_names_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wrong = {
        tmp_path: "is a folder",
        tmp_path / "missing" / "out": "No such file",
        tmp_path / "file" / "out": "Not a directory",
    }
    for path, reason in wrong.items():
        with pytest.raises(OutputError, match=reason), atomic_write(path):
            pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_to_a_full_device_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="No space left"), console.output("/dev/full") as write:
        write("x")


def test_output_keeps_files_that_exist(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(OutputError, match="exists; --overwrite"), console.output(str(path)):
        pass
    with console.output(str(path), overwrite=True) as write:
        write("new")
    assert path.read_text() == "new"


def test_cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OCRTOOL_CACHE", str(tmp_path))
    assert console.cache_directory() == tmp_path
    monkeypatch.delenv("OCRTOOL_CACHE")
    assert console.cache_directory().name == "ocrtool"
