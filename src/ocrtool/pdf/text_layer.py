"""A copy of a PDF with invisible text laid over some of its pages."""

# PyMuPDF is typed only in part.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pymupdf

from ocrtool.document.tree import Box
from ocrtool.errors import OutputError
from ocrtool.pdf.file import PdfFile, reason
from ocrtool.pdf.invisible_text import (
    InvisibleFont,
    TextRun,
    lay_text,
    remove_invisible_text,
    words_on,
)


class PdfLayer:
    """Lays text over pages of a copy; bookmarks, links, forms and everything else are kept.

    Args:
        source: The PDF, which stays open and is not changed.

    Raises:
        InputError: The PDF is too damaged to be copied.
        OutputError: There is no room for temporary files.
    """

    def __init__(self, source: PdfFile) -> None:
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix="ocrtool-", ignore_cleanup_errors=True
            )
        except OSError as error:
            raise OutputError(f"no temporary files can be made: {error.strerror}") from None
        self._source = source
        try:
            self._copy = source.copied(Path(self._folder.name) / "copy.pdf")
        except OSError as error:
            raise OutputError(f"temporary files cannot be written ({error.strerror})") from None
        self._font: InvisibleFont | None = None
        self._pages: list[int] = []

    def add_page(self, index: int) -> None:
        """Keep the page with this index, from 0; all other pages are removed at the end."""
        self._pages.append(index)

    def words(self, width: int, height: int) -> list[tuple[str, Box]]:
        """Return the words of the last page; see :func:`words_on`."""
        return words_on(self._copy.document[self._pages[-1]], width, height)

    def remove_invisible_text(self) -> None:
        """Remove the invisible text of the last page; a damaged page keeps it."""
        remove_invisible_text(self._copy.document[self._pages[-1]])

    def add_text(self, runs: Iterable[TextRun], width: int, height: int) -> None:
        """Lay text over the last page that was added.

        Args:
            runs: The text in reading order.
            width: Width of the page image whose pixels the runs refer to.
            height: Height of that image in pixels.

        Raises:
            InputError: The page is damaged.
        """
        runs = list(runs)
        if not runs:
            return
        index = self._pages[-1]
        try:
            if self._font is None:
                self._font = InvisibleFont(self._copy.document)
            lay_text(self._font, self._copy.document[index], runs, width, height)
        except Exception as error:  # a damaged file makes MuPDF raise nearly anything
            raise self._source.damaged(index, error) from None

    def finish(self, write: Callable[[bytes], object]) -> None:
        """Pass the content of the file to ``write`` in chunks, and close.

        Where all pages are kept and the file is sound, the original bytes come first and the
        changes are appended (an incremental update).

        Raises:
            OutputError: No page was added, or there is no room for temporary files.
        """
        with self._folder:
            if not self._pages:
                raise OutputError("a PDF without pages cannot be written")
            path = self._saved()
            with path.open("rb") as file:
                while content := file.read(1 << 20):
                    write(content)

    def _saved(self) -> Path:
        document = self._copy.document
        whole = self._pages == list(range(len(self._copy)))
        path = Path(self._folder.name) / "copy.pdf"
        try:
            if self._font is not None:
                self._font.complete()
            if whole and not self._copy.encrypted and document.can_save_incrementally():
                if self._font is not None:
                    document.saveIncr()
            else:
                path = path.with_name("selected.pdf")
                if not whole:
                    document.select(self._pages)
                keep = pymupdf.PDF_ENCRYPT_KEEP
                document.save(str(path), garbage=0 if whole else 2, deflate=True, encryption=keep)
            return path
        except Exception as error:
            raise OutputError(f"the PDF cannot be written ({reason(error)})") from None
        finally:
            self._copy.close()
