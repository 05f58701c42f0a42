"""Command-line inputs to an ordered list of files."""

from __future__ import annotations

import glob
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ocrtool.errors import InputError, UsageError
from ocrtool.inputs import clipboard

STDIN = "-"
PDF_SUFFIX = ".pdf"
JOURNALS = ".ocrtool"
"""Folders of this name hold journals of conversions, and nothing to read."""
# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
})
# fmt: on
"""What a folder is searched for. A file that is named outright may have any name."""


def expand(
    inputs: Sequence[str], recursive: bool = False, documents: bool = False
) -> Iterator[str | InputError]:
    """List the images that ``inputs`` stand for, in order.

    A folder stands for its images sorted by name; a pattern that the shell left alone (as shells
    on Windows do) for the files that match it, sorted; ``-`` for standard input. What does not
    exist is found out when it is opened.

    Args:
        inputs: Files, folders, patterns, or ``-``.
        recursive: Whether folders are searched to any depth.
        documents: Whether PDFs are searched for, too.

    Yields:
        The path of an image or ``-``; an :class:`~ocrtool.errors.InputError` in the place of a
        folder without images and of a pattern without a match.

    Raises:
        UsageError: ``-`` is given twice.
    """
    if list(inputs).count(STDIN) > 1:
        raise UsageError("standard input can be read only once", "give - only once")
    for given in inputs:
        path = Path(given)
        if given == STDIN:
            yield given
        elif path.is_dir():
            yield from _folder(path, recursive, documents)
        elif glob.has_magic(given) and not path.exists():
            matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - absolute, too
            files = [match for match in matches if Path(match).is_file()]
            yield from files
            if not files:
                yield InputError(f"nothing matches {given}")
        else:
            yield given


@dataclass(frozen=True)
class FoundInput:
    """A document that was named or found.

    Attributes:
        source: Its path, or ``-``.
        place: Where it belongs in a folder that mirrors the inputs: its path below the folder, or
            below the part of the pattern that names one, where it was found.
    """

    source: str
    place: PurePath


def expand_documents(
    inputs: Sequence[str], recursive: bool = False, apart: Path | None = None
) -> Iterator[FoundInput | InputError]:
    """List the documents that ``inputs`` stand for, in order, each once.

    A folder stands for its PDFs; all else is as in :func:`expand`.

    Args:
        inputs: Files, folders, patterns, or ``-``.
        recursive: Whether folders are searched to any depth.
        apart: A folder whose files are no inputs unless it is named itself: the outputs'.

    Yields:
        A document; an :class:`~ocrtool.errors.InputError` in the place of a folder without PDFs and
        of a pattern without a match.

    Raises:
        UsageError: ``-`` is given twice.
    """
    if list(inputs).count(STDIN) > 1:
        raise UsageError("standard input can be read only once", "give - only once")
    seen: set[Path] = set()
    for given in inputs:
        for found in _documents(given, recursive, apart):
            if isinstance(found, FoundInput) and found.source != STDIN:
                path = Path(found.source).absolute()
                if path in seen:
                    continue
                seen.add(path)
            yield found


def _documents(
    given: str, recursive: bool, apart: Path | None
) -> Iterator[FoundInput | InputError]:
    path = Path(given)
    if given == STDIN:
        yield FoundInput(STDIN, PurePath("stdin"))
    elif path.is_dir():
        try:
            entries = sorted(path.rglob("*") if recursive else path.iterdir())
        except OSError as error:
            yield InputError(f"cannot list {path}: {error.strerror}")
            return
        if apart is not None and path.absolute().is_relative_to(apart.absolute()):
            apart = None
        found = [
            FoundInput(str(entry), entry.relative_to(path))
            for entry in entries
            if entry.suffix.lower() == PDF_SUFFIX
            and JOURNALS not in entry.parts
            and not (apart and entry.absolute().is_relative_to(apart.absolute()))
            and entry.is_file()
        ]
        yield from found
        if not found:
            remedy = None if recursive else "--recursive also searches the folders below"
            yield InputError(f"no PDFs in {path}", remedy)
    elif glob.has_magic(given) and not path.exists():
        matches = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - absolute, too
        plain = itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)
        files = [Path(match) for match in matches if Path(match).is_file()]
        yield from (FoundInput(str(file), file.relative_to(Path(*plain))) for file in files)
        if not files:
            yield InputError(f"nothing matches {given}")
    else:
        yield FoundInput(given, PurePath(path.name))


def content_of(source: str) -> Path | bytes:
    """Return what there is to read of an input: its path, or its content where it has none.

    Raises:
        InputError: There is no image on the clipboard.
    """
    if source == STDIN:
        return sys.stdin.buffer.read()
    if source == clipboard.SOURCE:
        return clipboard.grab()
    return Path(source)


def _folder(folder: Path, recursive: bool, documents: bool) -> Iterator[str | InputError]:
    entries = folder.rglob("*") if recursive else folder.iterdir()
    suffixes = IMAGE_SUFFIXES | ({PDF_SUFFIX} if documents else set())
    try:
        images = sorted(
            str(entry) for entry in entries if entry.suffix.lower() in suffixes and entry.is_file()
        )
    except OSError as error:
        yield InputError(f"cannot list {folder}: {error.strerror}")
        return
    if images:
        yield from images
    else:
        remedy = None if recursive else "--recursive also searches the folders below"
        yield InputError(f"no images in {folder}", remedy)
