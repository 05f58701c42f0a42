"""What the commands run: reading images, converting documents, writing results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ocrtool import console
from ocrtool.documents import options_of
from ocrtool.errors import OutputError, UsageError
from ocrtool.options import WriteOptions
from ocrtool.writers import PageFormat, PageWriter, format_of_target, formats, open_writer

STDOUT = "-"


@dataclass
class PageOutputs:
    """Outputs that hold the pages of all inputs: standard output, or a file in each format.

    Args:
        target: ``-`` for standard output, or a file.
        forms: Formats; if empty, the suffix of the file determines it, else text.
        overwrite: Whether files that exist may be replaced.
        options: How pages are written.
        inputs: Number of inputs.

    Attributes:
        writers: The formats and their writers, once the outputs are opened.

    Raises:
        UsageError: The target cannot take so many formats or inputs.
    """

    target: str
    forms: Sequence[PageFormat]
    overwrite: bool
    options: WriteOptions
    inputs: int
    writers: list[tuple[PageFormat, PageWriter]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse what cannot be written, before any work."""
        self.forms = tuple(dict.fromkeys(self.forms)) or (
            format_of_target(self.target, formats.TXT),
        )
        if self.target == STDOUT and len(self.forms) > 1:
            raise UsageError("standard output takes one format", "write into a folder: -o FOLDER/")
        single = [form for form in self.forms if not form.holds_many_documents]
        if self.inputs > 1 and single:
            raise UsageError(
                f"one {single[0]} holds one document",
                "write into a folder, -o FOLDER/, or as jsonl",
            )

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the outputs; files appear when everything is written."""
        with ExitStack() as stack:
            for form in self.forms:
                name = self.target
                if len(self.forms) > 1:
                    name = str(Path(self.target).with_suffix(f".{form}"))
                write = stack.enter_context(
                    console.output(name, self.overwrite, binary=form.binary)
                )
                self.writers.append(
                    (form, open_writer(form, write, options_of(form, self.options)))
                )
            yield
            for _, writer in self.writers:
                writer.finish()


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
