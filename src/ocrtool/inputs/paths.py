"""Command-line inputs to an ordered list of files."""

from __future__ import annotations

import glob
import itertools
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from ocrtool.errors import InputError, UsageError

CLIPBOARD = "clipboard:"
"""Name of the clipboard among the inputs."""
STDIN = "-"
PDF_SUFFIX = ".pdf"
JOURNALS = ".ocrtool"
"""Folders of this name hold journals of conversions, and nothing to read."""
MAX_STREAM_BYTES = 2_000_000_000
"""Maximum number of bytes that are read from a pipe or standard input."""
MAX_SHOWN_NAME = 160
"""Maximum number of characters of a name in a message."""
CHUNK_BYTES = 1 << 20
"""Number of bytes that are read from a stream at a time."""
# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg",
    ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
})
# fmt: on
"""Suffixes of the images of a folder. A file that is named itself may have any name."""
READABLE_SUFFIXES = IMAGE_SUFFIXES | {PDF_SUFFIX}
"""Suffixes of the images and PDFs of a folder."""


@dataclass(frozen=True)
class FoundInput:
    """An input that was named or found.

    Attributes:
        source: Its path, or ``-``.
        place: Its path in a folder that mirrors the inputs: below the folder, or the constant part
            of the pattern, in which it was found.
    """

    source: str
    place: PurePath


def expand(
    inputs: Sequence[str],
    recursive: bool = False,
    suffixes: Collection[str] = IMAGE_SUFFIXES,
    excluded: Path | None = None,
) -> Iterator[FoundInput | InputError]:
    """List the files that inputs stand for, in order.

    A folder stands for its files with one of the suffixes, sorted; a pattern that the shell left
    alone (as shells on Windows do) for the files that match it, sorted; ``-`` for standard input.
    Whether a named file exists is found out when it is opened.

    Args:
        inputs: Files, folders, patterns, or ``-``.
        recursive: Whether folders are searched to any depth.
        suffixes: Suffixes, in lower case, of the files of a folder.
        excluded: A folder that is not searched unless it is named itself: that of the outputs.

    Yields:
        Inputs; an :class:`~ocrtool.errors.InputError` in the place of a folder without such files
        and of a pattern without a match.

    Raises:
        UsageError: ``-`` is given twice.
    """
    if list(inputs).count(STDIN) > 1:
        raise UsageError("standard input can be read only once", "give - only once")
    for given in inputs:
        if given == STDIN:
            yield FoundInput(STDIN, PurePath("stdin"))
        elif given == CLIPBOARD:
            yield FoundInput(given, PurePath("clipboard"))
        elif not given:
            yield InputError("an empty name is no input")
        else:
            try:
                yield from _named(given, recursive, suffixes, excluded)
            except (OSError, ValueError) as error:  # a name too long, a loop of links, a null byte
                reason = error.strerror if isinstance(error, OSError) else error
                yield InputError(f"{shortened(given)}: {reason}")


def _named(
    given: str, recursive: bool, suffixes: Collection[str], excluded: Path | None
) -> Iterator[FoundInput | InputError]:
    path = Path(given)
    if path.is_dir():
        yield from _folder(path, recursive, suffixes, excluded)
    elif glob.has_magic(given) and not path.exists():
        yield from _pattern(given)
    else:
        path.exists()  # raises where the system takes no such name
        yield FoundInput(given, PurePath(path.name))


def shortened(name: str) -> str:
    """Return a name as messages show it: not longer than a line or two."""
    return name if len(name) <= MAX_SHOWN_NAME else f"{name[:MAX_SHOWN_NAME]}..."


def refuse_replacing(sources: Iterable[str], targets: Iterable[Path]) -> None:
    """Refuse outputs that would replace an input.

    Args:
        sources: Inputs, as they were given.
        targets: Files that are to be written.

    Raises:
        UsageError: One of them is an input.
    """
    special = ("", STDIN, CLIPBOARD)
    # Unlike Path.resolve, realpath takes loops of links.
    inputs = {os.path.realpath(source) for source in sources if source not in special}
    for path in targets:
        if os.path.realpath(path) in inputs:
            raise UsageError(f"{path} is an input and would be replaced", "name another output")


def _folder(
    folder: Path, recursive: bool, suffixes: Collection[str], excluded: Path | None
) -> Iterator[FoundInput | InputError]:
    try:
        entries = sorted(folder.rglob("*") if recursive else folder.iterdir())
    except OSError as error:
        yield InputError(f"cannot list {folder}: {error.strerror}")
        return
    if excluded is not None and folder.absolute().is_relative_to(excluded.absolute()):
        excluded = None
    found = [
        FoundInput(str(entry), entry.relative_to(folder))
        for entry in entries
        if entry.suffix.lower() in suffixes
        and JOURNALS not in entry.parts
        and not (excluded and entry.absolute().is_relative_to(excluded.absolute()))
        and entry.is_file()
    ]
    yield from found
    if not found:
        kind = "PDFs" if set(suffixes) == {PDF_SUFFIX} else "images"
        remedy = None if recursive else "--recursive also searches the folders below"
        yield InputError(f"no {kind} in {folder}", remedy)


def _pattern(pattern: str) -> Iterator[FoundInput | InputError]:
    plain = itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts)
    root = Path(*plain)
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute, too
    files = [Path(match) for match in matches if Path(match).is_file()]
    yield from (FoundInput(str(file), file.relative_to(root)) for file in files)
    if not files:
        yield InputError(f"nothing matches {pattern}")


def paths_of(found: Iterable[FoundInput | InputError]) -> Iterator[str | InputError]:
    """Return the paths of inputs, and the errors between them."""
    return (one.source if isinstance(one, FoundInput) else one for one in found)


class OutputNames:
    """Unique names for the outputs of inputs; names are compared without case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, place: PurePath) -> str:
        """Return a name, without a suffix, that no other input has.

        Args:
            place: Path of the input in a folder that mirrors the inputs.
        """
        name, number = place.with_suffix("").as_posix(), 1
        if name.casefold() in self._taken:
            name = place.as_posix()
        while name.casefold() in self._taken:
            number += 1
            name = f"{place.as_posix()}-{number}"
        self._taken.add(name.casefold())
        return name


def stream_chunks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Read a pipe or standard input piece by piece.

    Raises:
        InputError: It is longer than :data:`MAX_STREAM_BYTES`.
    """
    read = 0
    while chunk := stream.read(CHUNK_BYTES):
        read += len(chunk)
        if read > MAX_STREAM_BYTES:
            limit = MAX_STREAM_BYTES // 10**6
            raise InputError(f"{name}: is longer than {limit} MB", "save it to a file first")
        yield chunk


def pipe_content(path: Path) -> bytes:
    """Return the content of a pipe.

    Raises:
        InputError: It is a folder or a device, or too long.
    """
    if not path.is_fifo():
        kind = "a folder" if path.is_dir() else "a device"
        raise InputError(f"{path}: is {kind}, not an image or PDF")
    with path.open("rb") as pipe:
        return b"".join(stream_chunks(pipe, str(path)))


def content_of(source: str) -> Path | bytes:
    """Return what there is to read of an input: its path, or its content where it has none.

    Raises:
        InputError: There is no image on the clipboard, or too much on standard input.
    """
    if source == STDIN:
        return b"".join(stream_chunks(sys.stdin.buffer, "standard input"))
    if source == CLIPBOARD:
        from ocrtool.inputs import clipboard

        return clipboard.grab()
    return Path(source)
