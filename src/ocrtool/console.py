"""Standard output for data, standard error for messages, and atomic files.

Libraries print. A banner of a GPU runtime or a ``printf`` in C would end up in the middle of a
piped JSON file, so :func:`begin` keeps the real standard output for :func:`data` alone and points
file descriptor 1 at standard error before anything heavy is loaded (the method of OCRmyPDF).
Nothing that is data goes through Rich, which wraps and colours; Rich draws progress on standard
error, and only when that is a terminal.

:func:`atomic_write` is what every output file goes through.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ocrtool.errors import (
    ExitCode,
    MissingDependencyError,
    OcrToolError,
    OutputError,
    install_command,
)

if TYPE_CHECKING:
    from rich.console import Console

EXTRA_OF_MODULE = {
    "docling_metrics_table": "eval",
    "fuzzysearch": "eval",
    "jiwer": "eval",
    "markdown_it": "eval",
    "rapidfuzz": "eval",
    "sacrebleu": "eval",
    "fontTools": "torch",
    "matplotlib": "torch",
    "onnx": "torch",
    "onnxscript": "torch",
    "safetensors": "torch",
    "tokenizers": "torch",
    "torch": "torch",
    "transformers": "hub",
}
"""The extra that installs a module which the base install does not have."""


class Color(StrEnum):
    """When talk is coloured."""

    AUTO = "auto"
    """On a terminal, unless NO_COLOR is set or the terminal is a dumb one."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class Talk:
    """How much is said on standard error.

    Args:
        level: -1 errors only; 0 warnings and summaries, too; 1 also the choices made and their
            reasons, and tracebacks; 2 everything.
        color: When it is coloured.
        progress: Whether progress may be drawn (it never is where stderr is no terminal).
    """

    level: int = 0
    color: Color = Color.AUTO
    progress: bool = True


class ReaderGone(Exception):
    """Whoever read our standard output has closed it; there is nothing left to do."""


STANDARD_OUTPUTS = ("-", "/dev/stdout", "/dev/fd/1")
"""Names of standard output."""


class OutputStream:
    """A stream for results: UTF-8, line feeds on every system, unbuffered, all or an error.

    A character that UTF-8 cannot carry (half of a surrogate pair, as in the name of a file with
    undecodable bytes) is written as its escape, which is a valid escape in JSON, too.

    Args:
        descriptor: An open file descriptor, which this object owns from now on.
        name: What it is called in an error.
    """

    def __init__(self, descriptor: int, name: str = "standard output") -> None:
        self._file = FileIO(descriptor, "wb")
        self._name = name

    def write(self, content: str | bytes) -> None:
        """Write text, or bytes as they are, through to the descriptor.

        Raises:
            ReaderGone: The other end of the pipe is closed.
            OutputError: The stream takes no more, as on a full disk.
        """
        if isinstance(content, str):
            content = content.encode("utf-8", errors="backslashreplace")
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            # Windows reports a closed pipe as an invalid argument.
            if error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL):
                raise ReaderGone from error
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error

    @property
    def is_terminal(self) -> bool:
        """Whether it is a terminal."""
        return self._file.isatty()

    def close(self) -> None:
        """Close the descriptor."""
        self._file.close()


_talk = Talk()
_data: OutputStream | None = None


def begin(talk: Talk) -> None:
    """Set up both streams for a command; call it before importing anything that may print."""
    global _talk
    _talk = talk
    _guard_stdout()
    _hear_loggers()


def data() -> OutputStream:
    """Return the stream for results.

    Raises:
        OutputError: Standard output is closed.
    """
    _guard_stdout()
    if _data is None:
        raise OutputError("standard output is closed", "write to a file with -o")
    return _data


def _guard_stdout() -> None:
    """Keep the real standard output for :func:`data`; what others print goes to stderr."""
    global _data
    if _data is not None:
        return
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        real = os.dup(1)
    except OSError:
        return
    try:
        os.dup2(2, 1)
    except OSError:  # No stderr either: stray prints go nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    _data = OutputStream(real)


def _hear_loggers() -> None:
    """Tell what the library logs, as talk; a library does not print."""
    import logging

    class Teller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            if record.levelno >= logging.ERROR:
                error(message)
            elif record.levelno >= logging.WARNING:
                warn(message)
            else:
                note(message)

    logger = logging.getLogger("ocrtool")
    logger.handlers = [Teller()]
    logger.propagate = False
    levels = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
    logger.setLevel(levels.get(_talk.level, logging.DEBUG))


def color_wanted(stream: TextIO | None = None) -> bool:
    """Tell whether talk on ``stream`` (standard error) is coloured.

    ``--color`` decides; without it a terminal is coloured unless ``NO_COLOR`` is set to anything
    (https://no-color.org).
    """
    if _talk.color is not Color.AUTO:
        return _talk.color is Color.ALWAYS
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    stream = sys.stderr if stream is None else stream
    return stream is not None and stream.isatty()


@cache
def stderr() -> Console:
    """Return the Rich console on standard error, made when it is first needed."""
    from rich.console import Console

    wanted = color_wanted()
    return Console(
        stderr=True,
        no_color=not wanted,
        color_system="auto" if wanted else None,
        force_terminal=True if _talk.color is Color.ALWAYS else None,
    )


def progress_wanted() -> bool:
    """Tell whether progress is drawn: on a terminal, unless it or all talk is switched off."""
    return _talk.progress and _talk.level >= 0 and sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Draw a progress bar while the block runs.

    Args:
        description: What is going on, in a word or two.
        total: Number of steps; ``None`` where it is not known.

    Yields:
        A function that moves the bar on by a number of steps.
    """
    if not progress_wanted():
        yield lambda steps: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def transfer(description: str, size: int) -> Iterator[Callable[[int], None]]:
    """Draw the progress of a transfer while the block runs; say what it is where none is drawn.

    Args:
        description: What is transferred.
        size: Bytes in all.

    Yields:
        A function that is told of bytes as they come.
    """
    if not progress_wanted():
        say(f"fetching {description}")
        yield lambda count: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task(description, total=size)
        yield lambda count: bar.advance(task, count)


def ask(question: str) -> bool | None:
    """Put a question to the user; None where there is no terminal to ask on.

    Args:
        question: Answered by yes or no; Enter is no.
    """
    if _talk.level < 0 or sys.stderr is None or not (sys.stderr.isatty() and sys.stdin.isatty()):
        return None
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def error(message: str) -> None:
    """Say what went wrong. Never silenced."""
    _say("error", "31", message)


def warn(message: str) -> None:
    """Say what the user should know although the work goes on; silenced by ``-q``."""
    if _talk.level >= 0:
        _say("warning", "33", message)


def say(message: str) -> None:
    """Say how it went, in one line; silenced by ``-q``."""
    if _talk.level >= 0:
        _say(None, "", message)


def note(message: str) -> None:
    """Say what was chosen and why; only with ``-v``."""
    if _talk.level >= 1:
        _say("note", "36", message)


def verbosity() -> int:
    """Return the level of :class:`Talk` in force."""
    return _talk.level


def _say(label: str | None, color: str, message: str) -> None:
    if sys.stderr is None:
        return
    if label is not None:
        head = f"\x1b[1;{color}m{label}:\x1b[0m" if color_wanted() else f"{label}:"
        message = f"{head} {message}"
    # Written with print: while a progress bar is drawn, Rich puts lines printed so above it.
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        return  # Standard error is closed.


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Lend a temporary path beside ``path``; it becomes ``path`` when the block succeeds.

    The temporary file keeps the suffix, since some writers choose the format by it. Its content is
    on the disk before it takes the name. When the block fails, it is removed and ``path`` is as it
    was. A ``path`` that is a link is followed; a device or a pipe is lent as it is.

    Args:
        path: The file to write; its folder must exist.

    Yields:
        The path to write to.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full. Any
            :class:`OSError` inside the block counts as such.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder", "name a file")
    if path.exists() and not path.is_file():
        yield path
        return
    target = path.resolve()
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{target.suffix}")
    try:
        # Made here, so that a folder that takes no files is known before the work begins; with the
        # permissions that the user's umask gives to any new file.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # Nothing to remove after success.
            temporary.unlink()


@contextmanager
def output(
    target: str | None, overwrite: bool = False, binary: bool = False
) -> Iterator[Callable[[str | bytes], None]]:
    """Open where results go: standard output, or a file that appears when it is complete.

    Args:
        target: Path of a file; ``-`` or ``None`` is standard output.
        overwrite: Whether a file that exists may be replaced.
        binary: Whether bytes are written, which no terminal shall get.

    Yields:
        A function that writes text, or bytes as they are.

    Raises:
        OutputError: The file exists, cannot be written, or is a terminal that would get bytes.
    """
    if target is None or target in STANDARD_OUTPUTS:
        if binary and data().is_terminal:
            raise OutputError("a terminal shows no binary files", "name a file with -o")
        yield data().write
        return
    path = Path(target)
    if path.is_char_device() or path.is_fifo():
        device = OutputStream(os.open(path, os.O_WRONLY), target)
        try:
            yield device.write
        finally:
            device.close()
        return
    if path.is_file() and not overwrite:
        raise OutputError(f"{path} exists", "--overwrite replaces it")
    with atomic_write(path) as temporary:
        stream = OutputStream(os.open(temporary, os.O_WRONLY | getattr(os, "O_BINARY", 0)), target)
        try:
            yield stream.write
        finally:
            stream.close()


def cache_directory() -> Path:
    """Return the folder for what can be made or fetched again; it need not exist.

    ``OCRTOOL_CACHE`` names it; without that it is the system's cache folder of the user.
    """
    import platformdirs

    named = os.environ.get("OCRTOOL_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("ocrtool", appauthor=False))


def run(command: Callable[[], int | None]) -> int:
    """Call ``command`` and turn whatever comes of it into an exit code.

    This is the only place that does so. Errors of the tool are told in one line; a traceback is
    shown with ``-v`` only.

    Args:
        command: Does the work and returns an exit code, or ``None`` for success.

    Returns:
        The exit code of the process.
    """
    from typer.exceptions import TyperException

    try:
        code = command()
    except ReaderGone:
        return ExitCode.OK
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except TyperException as problem:  # A usage error shows the usage with itself.
        show = getattr(problem, "show", None)
        if show is None:
            error(problem.format_message())
        else:
            show()
        return problem.exit_code
    except OcrToolError as problem:
        return _failed(problem, problem.exit_code, str(problem))
    except ModuleNotFoundError as problem:
        extra = EXTRA_OF_MODULE.get((problem.name or "").partition(".")[0])
        if extra is None:
            return _failed(problem, ExitCode.MISSING, f"{problem}; reinstall ocrtool")
        missing = MissingDependencyError(
            f"this needs the package {problem.name}", install_command(extra)
        )
        return _failed(problem, missing.exit_code, str(missing))
    except MemoryError as problem:
        return _failed(problem, ExitCode.FAILED, "out of memory")
    except Exception as problem:
        text = f"unexpected {type(problem).__name__}: {problem}"
        hint = "" if _talk.level >= 1 else " (-v shows where)"
        return _failed(problem, ExitCode.FAILED, text + hint)
    if code == ExitCode.INTERRUPTED:
        error("interrupted")
    return ExitCode.OK if code is None else code


def _failed(problem: BaseException, code: ExitCode, message: str) -> ExitCode:
    if _talk.level >= 1 and sys.stderr is not None:
        traceback.print_exception(problem, file=sys.stderr)
    error(message)
    return code
