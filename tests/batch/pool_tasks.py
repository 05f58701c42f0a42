"""Tasks for the tests of worker processes, in a module that those processes can import."""

from __future__ import annotations

import ctypes
import logging
import os
import time
from dataclasses import dataclass

from ocrtool.errors import EncryptedError, ModelError


def make_context() -> list[str]:
    """Return the list of what has been done."""
    return []


def broken_context() -> object:
    """Fail like a missing model."""
    raise ModelError("no model")


@dataclass(frozen=True)
class Act:
    """A task that acts as its name says."""

    act: str
    limit: float = 0.0
    document: int = 0

    def run(self, context: list[str]) -> object:
        context.append(self.act)
        return getattr(self, f"_{self.act}")(context)

    def _tell(self, context: list[str]) -> object:
        return os.getpid(), tuple(context)

    def _log(self, context: list[str]) -> object:
        logging.getLogger("ocrtool.batch.tasks").warning("a warning")
        return None

    def _sleep(self, context: list[str]) -> object:
        time.sleep(600)
        return None

    def _crash(self, context: list[str]) -> object:
        ctypes.string_at(0)
        return None

    def _exhaust(self, context: list[str]) -> object:
        raise MemoryError

    def _refuse(self, context: list[str]) -> object:
        raise EncryptedError("it is locked", "unlock it")

    def _stumble(self, context: list[str]) -> object:
        raise ZeroDivisionError("oh")
