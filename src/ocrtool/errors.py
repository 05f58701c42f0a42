"""Error classes of ocrtool, each with the exit code of the command line.

The codes are a stable interface (see ``docs/errors.md``); the wording of messages is not.
A message says what is wrong, and the remedy, where there is one, what to do about it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

DISTRIBUTION = "ocrtool-reader"
"""Name of the distribution package; ``ocrtool`` itself is another author's on the package index."""


class ExitCode(IntEnum):
    """Exit codes of the ``ocrtool`` process."""

    OK = 0
    """Success; an image without text is a success."""
    FAILED = 1
    """Some inputs failed, the others were read; or an error that has no code of its own."""
    USAGE = 2
    """The command line or a configuration file is invalid."""
    MISSING = 3
    """A runtime, an extra or the requested device is missing."""
    INPUT = 4
    """The input cannot be read."""
    OUTPUT = 5
    """The output cannot be written."""
    MODEL = 6
    """The model is not available or not usable."""
    ENCRYPTED = 8
    """The document is encrypted and needs a password."""
    INTERRUPTED = 130
    """Interrupted by Ctrl-C (128 + SIGINT)."""


class OcrToolError(Exception):
    """Base class of every error that ocrtool raises on purpose.

    Args:
        message: What is wrong, in one line.
        remedy: What to do about it, in one line; ``None`` where the message says it all.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Return ``message`` or ``message; remedy``."""
        return self.message if self.remedy is None else f"{self.message}; {self.remedy}"


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation, wherever it came from."""
    # Imported only when something is missing: they would delay the start of every command.
    import importlib.metadata
    import json
    from pathlib import Path
    from urllib.parse import unquote, urlparse

    root = Path(__file__).parents[2]
    origin: dict[str, object] = {}
    try:
        record = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        origin = json.loads(record or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        if (root / "pyproject.toml").is_file():  # run from a checkout
            origin = {"url": root.as_uri(), "dir_info": {"editable": True}}
    url = str(origin.get("url", ""))
    if url.startswith("file:"):
        editable = dict(origin.get("dir_info") or {}).get("editable")  # type: ignore[call-overload]
        path = unquote(urlparse(url).path)
        return f"pip install {'-e ' * bool(editable)}'{path}[{extra}]'"
    if url:
        vcs = origin.get("vcs_info")
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if isinstance(vcs, dict) else url
        return f"pip install '{DISTRIBUTION}[{extra}] @ {url}'"
    return f"pip install '{DISTRIBUTION}[{extra}]'"


class UsageError(OcrToolError):
    """Options or a configuration that contradict each other or do not exist."""

    exit_code = ExitCode.USAGE


class MissingDependencyError(OcrToolError):
    """A package, an extra or a runtime that the request needs is not installed."""

    exit_code = ExitCode.MISSING


class DeviceError(MissingDependencyError):
    """The requested device is missing or unusable."""


class InputError(OcrToolError):
    """An input does not exist, cannot be opened, or is damaged."""

    exit_code = ExitCode.INPUT


class OutputError(OcrToolError):
    """An output cannot be written: permissions, a full disk, a folder that does not exist."""

    exit_code = ExitCode.OUTPUT


class ModelError(OcrToolError):
    """A model does not exist, is damaged, or does not fit the task."""

    exit_code = ExitCode.MODEL


class EncryptedError(OcrToolError):
    """A document is encrypted and no (or a wrong) password was given."""

    exit_code = ExitCode.ENCRYPTED
