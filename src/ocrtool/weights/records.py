"""Records of a published model: its files as listed by the hub and as stored."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

WANTED = (
    "*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "LICENSE*", "*.tiktoken",
)  # fmt: skip
"""Files that a model is made of; pickles are none, for they can run any code."""


@dataclass(frozen=True)
class StoredFile:
    """A file of a model.

    Attributes:
        path: Within the repository.
        size: In bytes.
        digest: ``sha256:...`` of its content, or ``git:...`` of it as a git blob.
        touched: When it was last changed, in nanoseconds, as its hash was found right; 0 if that
            never was.
    """

    path: str
    size: int
    digest: str
    touched: int = 0


@dataclass(frozen=True)
class Listing:
    """What the hub says of a repository.

    Attributes:
        commit: That the revision means now.
        license: As its card says; empty if it says nothing.
        files: Those that a model is made of.
        left_out: The others.
    """

    commit: str
    license: str
    files: tuple[StoredFile, ...]
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class StoredModel:
    """A model in the cache."""

    repository: str
    revision: str
    folder: Path
    license: str
    files: tuple[StoredFile, ...]

    @property
    def commit(self) -> str:
        """Which state of the repository it is."""
        return self.folder.name

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def is_wanted(path: str) -> bool:
    """Tell whether a file of a repository belongs to the model."""
    return not path.startswith(".") and any(fnmatch(path, pattern) for pattern in WANTED)
