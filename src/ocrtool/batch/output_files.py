"""Output files on disk: how a later run recognises them, and how drafts take their final names."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from ocrtool import console


@dataclass(frozen=True)
class OutputRecord:
    """Content and modification time of an output as it was written.

    Attributes:
        digest: Result of :func:`digest_of`.
        size: Size in bytes; 0 for a folder.
        time: Modification time in nanoseconds since the epoch.
    """

    digest: str
    size: int
    time: int

    @classmethod
    def of(cls, path: Path) -> OutputRecord:
        """Return the record of an existing file or folder.

        Raises:
            OSError: It cannot be read.
        """
        status = path.stat()
        return cls(digest_of(path), 0 if path.is_dir() else status.st_size, status.st_mtime_ns)

    def has_time_and_size_of(self, path: Path) -> bool:
        """Tell whether a file has this size and time, which saves hashing its content."""
        status = path.stat()
        return not path.is_dir() and (status.st_size, status.st_mtime_ns) == (self.size, self.time)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder's files.

    Raises:
        OSError: It cannot be read.
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    parts = [(entry.name, digest_of(entry)) for entry in sorted(path.iterdir())]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def move(draft: Path, target: Path) -> None:
    """Rename a finished file or folder, replacing the target; a link to a file is followed.

    Raises:
        OSError: The target cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if draft.is_dir():
        if target.exists():
            shutil.rmtree(target)
        draft.replace(target)
        return
    try:
        draft.replace(target.resolve())
    except OSError as error:
        if error.errno != errno.EXDEV:  # a link may lead to another file system
            raise
        with console.atomic_write(target) as temporary:
            shutil.copyfile(draft, temporary)
