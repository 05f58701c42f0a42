"""``ocrtool pdf``: PDFs to Markdown and other forms, page by page, many files at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ocrtool.document.tree import Bookmark, Page
from ocrtool.options import WriteOptions
from ocrtool.writers import PageFormat, PageInput, PageWriter

Route = Literal["native", "ocr", "mixed", "blank"]
"""Source of a page's text: its text layer, OCR of its image, both, or none (blank)."""


@dataclass(frozen=True)
class PageResult:
    """A page that has been converted.

    Attributes:
        page: Its content; geometry in pixels of the page rendered at ``page.dpi``.
        route: Source of its text.
        warnings: Possible defects, one line each.
        pictures: Contents of image files by name; ``Block.image`` refers to them.
    """

    page: Page
    route: Route
    warnings: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def keeps_lines(form: PageFormat, options: WriteOptions) -> bool:
    """Tell whether a format keeps the lines of the page instead of running paragraphs on."""
    return options.as_printed and not form.running_text


def options_of(form: PageFormat, options: WriteOptions) -> WriteOptions:
    """Return the options of one format: one that keeps the lines keeps all that is on the page."""
    if not keeps_lines(form, options):
        return options
    keep = options.keep_furniture is not False
    return replace(options, keep_furniture=keep, page_breaks=True)


def drops_headers(form: PageFormat, options: WriteOptions) -> bool:
    """Tell whether a format leaves running headers and footers out."""
    if form.shows_pictures and options.as_printed:  # the text stands beside the page image
        return False
    return form.omits_headers and not options_of(form, options).keep_furniture


def write_document(
    pages: Callable[[], Iterable[Page]],
    writers: Sequence[tuple[PageFormat, PageWriter]],
    page_input: Callable[[Page], PageInput],
    bookmarks: Sequence[Bookmark],
    options: WriteOptions,
) -> None:
    """Write all pages of a document with every writer; writers are not finished.

    Args:
        pages: Gives the pages in order; called several times.
        writers: Open writers and their formats.
        page_input: Adds to a page what writers need beside it.
        bookmarks: The document's own table of contents.
        options: How the document is written.
    """
    for keeping in (True, False):
        wanted = [(form, one) for form, one in writers if keeps_lines(form, options) is keeping]
        # Plain text that keeps all its lines needs no analysis of the whole document.
        plain = keeping and not any(
            form.needs_structure or drops_headers(form, options) for form, _ in wanted
        )
        if not wanted:
            continue
        read = pages() if plain else _structured(pages, bookmarks, not keeping)
        for given in map(page_input, read):
            for _, writer in wanted:
                writer.add(given)


def _structured(
    pages: Callable[[], Iterable[Page]], bookmarks: Sequence[Bookmark], run_on: bool
) -> Iterable[Page]:
    from ocrtool.documents.structure import structured  # not needed for plain text

    return structured(pages, bookmarks, run_on)
