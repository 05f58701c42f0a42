"""Jobs for the tests of worker processes, in a module that those processes can import."""

from __future__ import annotations

import ctypes
import logging
import os
import time
from dataclasses import dataclass

from ocrtool.errors import EncryptedError, ModelError


def desk() -> list[int]:
    """Keep what has been done."""
    return []


def broken_desk() -> object:
    """Fail as a model does that is not there."""
    raise ModelError("no model")


@dataclass(frozen=True)
class Act:
    """Does something in every step, by its name."""

    act: str
    steps: tuple[int, ...] = (1,)
    limit: float = 0.0
    document: int = 0
    argument: str = ""

    def run(self, desk: list[int], step: int) -> object:
        desk.append(step)
        return getattr(self, f"_{self.act}")(desk, step)

    def _tell(self, desk: list[int], step: int) -> object:
        return os.getpid(), tuple(desk)

    def _log(self, desk: list[int], step: int) -> object:
        logging.getLogger("ocrtool.batch.tasks").warning("step %d", step)
        return None

    def _sleep(self, desk: list[int], step: int) -> object:
        time.sleep(600)
        return None

    def _crash(self, desk: list[int], step: int) -> object:
        if step == 2:
            ctypes.string_at(0)
        return None

    def _exhaust(self, desk: list[int], step: int) -> object:
        raise MemoryError

    def _refuse(self, desk: list[int], step: int) -> object:
        raise EncryptedError("it is locked", "unlock it")

    def _stumble(self, desk: list[int], step: int) -> object:
        raise ZeroDivisionError("oh")
