"""The plan of a run: its documents, and the output paths of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ocrtool.batch.journal import IMAGES
from ocrtool.errors import InputError, UsageError
from ocrtool.inputs.paths import (
    PDF_SUFFIX,
    STDIN,
    FoundInput,
    OutputNames,
    expand,
    refuse_replacing,
)
from ocrtool.options import ImageChoice
from ocrtool.writers import PageFormat, format_of_target, formats

STDOUT = "-"
"""Output argument that stands for standard output."""


@dataclass(frozen=True)
class PlannedDocument:
    """A document and its outputs.

    Attributes:
        number: Index among the inputs, from 0.
        source: Path of the input, or ``-``.
        problem: Why the input was not found; ``None`` if it was.
        folder: Folder of the outputs and the journal; ``None`` for standard output.
        name: Path of the outputs below the folder, without suffix; unique in the folder.
        files: Output paths by format; empty for standard output.
    """

    number: int
    source: str
    problem: InputError | None = None
    folder: Path | None = None
    name: str = ""
    files: Mapping[PageFormat, Path] = field(default_factory=dict)

    @property
    def images(self) -> Path:
        """Folder for its picture files."""
        return (self.folder or Path()) / f"{self.name}{IMAGES}"


@dataclass(frozen=True)
class Plan:
    """All documents of a run.

    Attributes:
        documents: The documents in the order of the inputs.
        forms: Formats of the outputs.
        images: How pictures are written.
        streamed: Whether the output goes to standard output, a device or a pipe.
        device: The device or pipe, if the output goes to one.
    """

    documents: tuple[PlannedDocument, ...]
    forms: tuple[PageFormat, ...]
    images: ImageChoice
    streamed: bool
    device: Path | None = None


def make_plan(
    inputs: Sequence[str],
    recursive: bool,
    out: str,
    forms: Sequence[PageFormat],
    images: ImageChoice | None,
    default: PageFormat = formats.MD,
    suffixes: Collection[str] = frozenset({PDF_SUFFIX}),
) -> Plan:
    """Find the documents and determine their output paths.

    Args:
        inputs: Files, folders, patterns, or ``-``.
        recursive: Whether folders are searched to any depth.
        out: A folder (an existing one, a name that ends with a slash, or a name without suffix if
            there may be several documents), a file, or ``-`` for standard output.
        forms: Formats; if empty, the suffix of the output file determines it, else ``default``.
        images: How pictures are written; ``None`` for picture files beside output files.
        default: Format of outputs whose format nothing determines.
        suffixes: Suffixes, in lower case, of the files that a folder stands for.

    Raises:
        UsageError: The output cannot take so many formats or documents, or would replace an input.
    """
    several = len(inputs) > 1 or any(_is_folder(given) or "*" in given for given in inputs)
    folder = _folder(out, several)
    found = list(_each_once(expand(inputs, recursive, suffixes, folder)))
    chosen = tuple(dict.fromkeys(forms)) or (default if folder else format_of_target(out, default),)
    device = _device(out) if folder is None else None
    streamed = out == STDOUT or device is not None
    if folder is None:
        _check_single(chosen, len(found), out, streamed)
    if streamed and images is ImageChoice.REFS:
        raise UsageError(
            "pictures have no place beside standard output", "take --images embed, or a file"
        )
    if images is None:
        referring = not streamed and any(form.refers_to_pictures for form in chosen)
        images = ImageChoice.REFS if referring else ImageChoice.NONE
    names = OutputNames()
    documents = []
    for number, item in enumerate(found):
        if isinstance(item, InputError):
            documents.append(PlannedDocument(number, "", item))
        elif folder is not None:
            name = names.of(item.place)
            files = {form: folder / f"{name}.{form.name}" for form in chosen}
            documents.append(PlannedDocument(number, item.source, None, folder, name, files))
        elif streamed:
            documents.append(PlannedDocument(number, item.source))
        else:
            documents.append(_single(number, item, Path(out), chosen))
    refuse_replacing(
        (item.source for item in documents),
        (path for item in documents for path in item.files.values()),
    )
    return Plan(tuple(documents), chosen, images, streamed, device)


def _each_once(found: Iterable[FoundInput | InputError]) -> Iterator[FoundInput | InputError]:
    """Leave out files that were found before."""
    seen: set[Path] = set()
    for item in found:
        if isinstance(item, FoundInput) and item.source != STDIN:
            path = Path(item.source).absolute()
            if path in seen:
                continue
            seen.add(path)
        yield item


def _folder(out: str, several: bool) -> Path | None:
    path = Path(out)
    if out == STDOUT:
        return None
    if out.endswith(("/", "\\")) or path.is_dir():
        return path
    return path if several and not path.suffix and not path.exists() else None


def _device(out: str) -> Path | None:
    path = Path(out)
    return path if out != STDOUT and path.exists() and not path.is_file() else None


def _check_single(forms: Sequence[PageFormat], documents: int, out: str, streamed: bool) -> None:
    if streamed and len(forms) > 1:
        raise UsageError("standard output takes one format", "write into a folder: -o FOLDER/")
    if documents > 1 and not streamed:
        raise UsageError(
            f"{documents} documents cannot go to one file, {out}", "write into a folder: -o FOLDER/"
        )
    if documents > 1 and any(form.separator is None for form in forms):
        raise UsageError(
            f"one {forms[0].name} holds one document", "write into a folder: -o FOLDER/"
        )


def _single(
    number: int, item: FoundInput, path: Path, forms: Sequence[PageFormat]
) -> PlannedDocument:
    files = {form: path.with_suffix(f".{form.name}") for form in forms}
    if len(forms) == 1:
        files = {forms[0]: path}
    return PlannedDocument(number, item.source, None, path.parent, path.stem, files)


def _is_folder(given: str) -> bool:
    try:
        return Path(given).is_dir()
    except (OSError, ValueError):  # a name that the system does not take
        return False
