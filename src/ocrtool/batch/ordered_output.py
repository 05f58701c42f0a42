"""Writes complete documents, in the order of the inputs, to standard output, a device or a pipe."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ocrtool import console
from ocrtool.batch.plan import Plan
from ocrtool.errors import OutputError

COPY_BYTES = 1 << 20
"""Number of bytes copied at a time."""


class OrderedOutput:
    """Accepts documents in any order and writes them in the order of the inputs.

    Args:
        plan: The documents of the run.

    Raises:
        OutputError: Standard output is closed, or a terminal while the format is binary.
    """

    def __init__(self, plan: Plan) -> None:
        (self._form,) = plan.forms
        self._target = str(plan.device) if plan.device else None
        self._waiting: dict[int, Path | None] = {}
        self._next = 0
        self._written = False
        self._stack = ExitStack()
        self._write: Callable[[str | bytes], None] | None = None
        if plan.device is None and console.data().is_terminal and self._form.binary:
            raise OutputError("a terminal shows no binary files", "name a file with -o")

    def put(self, number: int, draft: Path | None) -> None:
        """Accept a document, and write all documents whose predecessors have been accepted.

        Args:
            number: Index of the document among the inputs.
            draft: Its output, which is removed once written; ``None`` if it failed.

        Raises:
            OutputError: It cannot be written.
            ReaderGone: The other end of the pipe is closed.
        """
        self._waiting[number] = draft
        while self._next in self._waiting:
            path = self._waiting.pop(self._next)
            self._next += 1
            if path is not None:
                self._copy(path)

    def _copy(self, path: Path) -> None:
        if self._write is None:
            binary = self._form.binary
            opened = console.output(self._target, overwrite=True, binary=binary)
            self._write = self._stack.enter_context(opened)
        if self._written:
            self._write(self._form.separator or "")
        self._written = True
        with path.open("rb") as file:
            while content := file.read(COPY_BYTES):
                self._write(content)
        path.unlink()

    def close(self) -> None:
        """Close the output."""
        self._stack.close()
