"""The codes are an interface: what docs/errors.md promises is what happens."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ocrtool import console, errors
from ocrtool.errors import ExitCode, OcrToolError, install_command

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"


def test_the_codes_are_those_documented() -> None:
    documented = re.findall(r"^\| (\d+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert [int(code) for code in documented] == sorted(ExitCode)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("OcrToolError", 1),
        ("UsageError", 2),
        ("MissingDependencyError", 3),
        ("DeviceError", 3),
        ("InputError", 4),
        ("OutputError", 5),
        ("ModelError", 6),
        ("EncryptedError", 8),
    ],
)
def test_every_error_has_its_code(name: str, code: int, capsys) -> None:
    error = getattr(errors, name)("it is broken", "mend it")

    def command() -> int:
        raise error

    assert console.run(command) == code
    assert capsys.readouterr().err == "error: it is broken; mend it\n"


def test_no_error_class_is_left_out() -> None:
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    known = [kind for kind in classes if issubclass(kind, OcrToolError)]
    assert len(known) == 8
    assert str(OcrToolError("only a message")) == "only a message"


def raising(error: BaseException):
    def command() -> int:
        raise error

    return command


def test_other_exceptions(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_talk", console.Talk())
    assert console.run(lambda: None) == 0
    assert console.run(lambda: ExitCode.FAILED) == 1
    assert console.run(raising(console.ReaderGone())) == 0
    assert capsys.readouterr().err == ""
    assert console.run(raising(KeyboardInterrupt())) == 130
    assert console.run(raising(MemoryError())) == 1
    assert console.run(raising(ZeroDivisionError("oh"))) == 1
    assert console.run(raising(ModuleNotFoundError("no", name="torch.nn"))) == 3
    assert console.run(raising(ModuleNotFoundError("No module named 'x'", name="x"))) == 3
    assert capsys.readouterr().err.splitlines() == [
        "error: interrupted",
        "error: out of memory",
        "error: unexpected ZeroDivisionError: oh (-v shows where)",
        f"error: this needs the package torch.nn; {install_command('torch')}",
        "error: No module named 'x'; reinstall ocrtool",
    ]


def test_traceback_only_with_verbose(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_talk", console.Talk(level=1))
    assert console.run(raising(ZeroDivisionError("oh"))) == 1
    told = capsys.readouterr().err
    assert told.startswith("Traceback") and told.endswith(
        "error: unexpected ZeroDivisionError: oh\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["bogus"], 2, "No such command 'bogus'"),
        (["read", "--nope", "x"], 2, "No such option: --nope"),
        (["read", "x.png", "--layout", "book"], 2, "'book'"),
        (["read", "x.png", "--pages", "5-3"], 2, "runs backwards"),
        (["read", "x.png", "-f", "txt", "-f", "md"], 2, "one format"),
        (["read", "x.png", "y.png", "-f", "json"], 2, "one document"),
        (["read", "x.png", "--layout", "line", "-f", "pdf"], 2, "single lines"),
        (["read", "x.png", "--device", "tpu"], 2, "unknown device 'tpu'; use auto, cpu"),
        (["read", "x.png", "--min-confidence", "2"], 2, "--min-confidence must lie in 0 to 1"),
        (["read", "x.png", "-q", "-v"], 2, "contradict"),
        (["read", "-", "-"], 2, "only once"),
        (["train"], 2, ""),
        (["train", "--steps", "1"], 2, "nothing to train on"),
        (["train", "missing.csv", "--config", "missing.json"], 4, "missing.json: No such file"),
        (["read", "x.png", "-o", "missing/out.txt"], 5, "cannot write missing"),
        (["read", "x.png", "--model", "nope"], 6, "no model 'nope'"),
        (["models", "show", "nope"], 6, "no model 'nope'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands(arguments, code, told, run_cli, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_cli(*arguments)
    assert done.code == code, done.err
    assert told in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_training_without_torch_names_the_extra(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"  # import torch now fails as if it were not installed
        "from ocrtool.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["train", "words.csv", "-o", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr == f"error: training needs torch; {install_command('torch')}\n"


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_interrupt(tmp_path: Path, model_that_reads_a: Path) -> None:
    arguments = ["read", "-", "--model", str(model_that_reads_a), "--engine", "torch"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ocrtool", *arguments, "-v"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    # More than a pipe holds: the write returns once the process has begun to read, and as standard
    # input stays open, the process then waits for the rest of it.
    process.stdin.write(bytes(1 << 20))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == b""
    assert err.startswith(b"note:") and err.endswith(b"error: interrupted\n")
