"""Puts the inputs of a program into a folder of its own."""

# PyMuPDF carries its type information in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pymupdf

from ocrtool.evaluation.items import Item

DRAWING_DPI = 300
"""Pixels an inch at which pages of PDFs are drawn for programs that read images only."""


@dataclass
class Staged:
    """Inputs of a program, under names without anything that could be misread.

    Attributes:
        folder: Where everything is.
        files: Inputs in order.
        names: The item of each input, by the name of the file without suffix.
    """

    folder: Path
    files: list[Path] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def places(self) -> dict[str, Path]:
        """What the placeholders of a command stand for."""
        return {
            "list": self.folder / "list.txt",
            "inputs": self.folder / "in",
            "outputs": self.folder / "out",
        }


def stage(items: Sequence[Item], folder: Path, reads_pdf: bool) -> Staged:
    """Put inputs into a folder: links to images and PDFs, single pages, drawn pages.

    Args:
        items: What is to be read.
        folder: An empty folder.
        reads_pdf: Whether PDFs stay PDFs; otherwise their pages are drawn.
    """
    staged = Staged(folder)
    for place in ("in", "out"):
        (folder / place).mkdir()
    for number, item in enumerate(items, 1):
        target = folder / "in" / f"{number:06}{item.source.suffix.lower()}"
        is_pdf = target.suffix == ".pdf"
        if is_pdf and (item.page is not None or not reads_pdf):
            files = _pages(item, target, drawn=not reads_pdf)
        else:
            _link(item.source, target)
            files = [target]
        staged.files += files
        staged.names.update({file.stem: item.name for file in files})
    listing = "".join(f"{file}\n" for file in staged.files)
    (folder / "list.txt").write_text(listing, "utf-8")
    return staged


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.resolve())
    except OSError:  # not allowed on this system
        shutil.copyfile(source, target)


def _pages(item: Item, target: Path, drawn: bool) -> list[Path]:
    """Write one page, or all, of a PDF: as images, or as a PDF."""
    files = []
    with pymupdf.open(item.source) as document:
        numbers = range(len(document)) if item.page is None else [item.page - 1]
        if not drawn:
            with pymupdf.open() as part:
                part.insert_pdf(document, from_page=numbers[0], to_page=numbers[-1])
                part.save(target)
            return [target]
        for number in numbers:
            file = target.with_name(f"{target.stem}-{number + 1:04}.png")
            document[number].get_pixmap(dpi=DRAWING_DPI, alpha=False).save(file)
            files.append(file)
    return files
