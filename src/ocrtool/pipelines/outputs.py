"""Where pages go: standard output, one file, or a file for each input in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ocrtool import console
from ocrtool.errors import OutputError, UsageError
from ocrtool.writers import BINARY, PageFormat, PageWriter, WriteOptions, format_of, open_writer

STDOUT = "-"
MANY = frozenset(PageFormat) - {PageFormat.JSON, PageFormat.ALTO}
"""Formats of which one file holds any number of documents."""


FLOWING = frozenset({PageFormat.MD, PageFormat.TEX})
"""Formats of running text: running headers are left out, lines of paragraphs are run on."""


def as_read(form: PageFormat, min_confidence: float) -> WriteOptions:
    """Return how pages are written: all that is on them, but in formats of running text.

    Args:
        form: The format.
        min_confidence: Words below it (0 to 1) are marked.
    """
    whole = form not in FLOWING
    return WriteOptions(min_confidence=min_confidence, keep_furniture=whole, page_breaks=whole)


class Names:
    """Names for the files of inputs, no two of them the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, source: str) -> str:
        """Return a name, without a suffix, that no other input has.

        Args:
            source: Path of the input, or ``-``.
        """
        path = Path("stdin" if source == STDOUT else source)
        name, number = path.stem, 1
        if name in self._taken:
            name = path.name
        while name in self._taken:
            number += 1
            name = f"{path.name}-{number}"
        self._taken.add(name)
        return name


@dataclass
class PageOutputs:
    """Takes the pages of one input after the other and writes them in every format.

    Args:
        target: ``-`` for standard output, a file, or a folder: one that exists, or a name that ends
            with a slash.
        forms: Formats; none means what the suffix of a file tells, else text.
        overwrite: Whether files that exist may be replaced.
        min_confidence: Words below it are marked; see :class:`ocrtool.writers.WriteOptions`.
        inputs: How many inputs there are.

    Raises:
        UsageError: The target cannot take so many formats or inputs.
    """

    target: str
    forms: Sequence[PageFormat]
    overwrite: bool
    min_confidence: float
    inputs: int
    _names: Names = field(default_factory=Names)
    _whole: list[PageWriter] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse what cannot be, before any work."""
        self.folder = folder_of(self.target)
        named = None if self.target == STDOUT or self.folder else format_of(self.target)
        self.forms = tuple(dict.fromkeys(self.forms)) or (named or PageFormat.TXT,)
        if self.folder:
            return
        if self.target == STDOUT and len(self.forms) > 1:
            raise UsageError("standard output takes one format", "write into a folder: -o FOLDER/")
        single = [form for form in self.forms if form not in MANY]
        if self.inputs > 1 and single:
            raise UsageError(
                f"one {single[0]} holds one document",
                "write into a folder, -o FOLDER/, or as jsonl",
            )

    @contextmanager
    def opened(self) -> Iterator[PageOutputs]:
        """Open what all inputs share; files appear when everything is written."""
        if self.folder:
            made(self.folder)
            yield self
            return
        with ExitStack() as stack:
            for form in self.forms:
                name = self.target
                if len(self.forms) > 1:
                    name = str(Path(self.target).with_suffix(f".{form}"))
                self._whole.append(self._open(stack, name, form))
            yield self
            for writer in self._whole:
                writer.finish()

    @contextmanager
    def document(self, source: str) -> Iterator[Sequence[PageWriter]]:
        """Open the writers of an input, one for each of ``forms``; close them behind it."""
        if not self.folder:
            yield self._whole
            return
        name = self._names.of(source)
        with ExitStack() as stack:
            writers = [
                self._open(stack, str(self.folder / f"{name}.{form}"), form) for form in self.forms
            ]
            yield writers
            for writer in writers:
                writer.finish()

    def _open(self, stack: ExitStack, name: str, form: PageFormat) -> PageWriter:
        write = stack.enter_context(console.output(name, self.overwrite, binary=form in BINARY))
        return open_writer(form, write, as_read(form, self.min_confidence))


def folder_of(target: str) -> Path | None:
    """Return the folder that a target means: one that exists, or a name that ends with a slash."""
    if target != STDOUT and (target.endswith(("/", "\\")) or Path(target).is_dir()):
        return Path(target)
    return None


def made(folder: Path) -> Path:
    """Make a folder where there is none.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}") from None
    return folder
