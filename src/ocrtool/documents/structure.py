"""Analysis of a whole document: running headers, heading levels and continued blocks.

Two passes over stored pages: the first collects statistics, the second applies them and holds two
consecutive pages. The statistics grow with the number of distinct styles and edge rows, not with
the length of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ocrtool.document.hyphenation import words_in
from ocrtool.document.tree import RUNNING, Bookmark, Page
from ocrtool.documents.bold_body import BoldBody
from ocrtool.documents.continuations import joined_page, linked
from ocrtool.documents.headings import Headings
from ocrtool.documents.logos import Logos
from ocrtool.documents.running_headers import Running

MOST_WORDS = 200_000
"""Maximum number of distinct words kept to decide how words split at line ends are joined."""


def structured(
    pages: Callable[[], Iterable[Page]],
    bookmarks: Sequence[Bookmark] = (),
    run_on: bool = True,
) -> Iterator[Page]:
    """Put pages together.

    - Running heads and feet, page numbers and logos are told from the rest, over all pages.
    - Headings have levels that are consistent over the document.
    - Lines of paragraphs run on, split words are mended by the words of the document.
    - Bold type tells nothing where most is bold, and is left out.
    - What goes on over columns and pages is marked as such: ``Block.continued``.

    Args:
        pages: Gives the pages, in order; called twice.
        bookmarks: The document's own table of contents.
        run_on: Whether the lines of paragraphs become one row; else text keeps its lines, and no
            word moves from page to page.

    Returns:
        The pages, one by one. Every line is still in exactly one block.
    """
    running, logos, headings, weight = Running(), Logos(), Headings(bookmarks), BoldBody()
    known: set[str] = set()
    for page in pages():
        headings.observe(page, running.observe(page))
        logos.observe(page)
        weight.observe(page)
        if len(known) < MOST_WORDS:
            known |= words_in(block.text for block in page.blocks if block.kind in RUNNING)
    running.finalize(headings.body)
    headings.finalize()
    before: Page | None = None
    for page in pages():
        page = weight.apply(headings.apply(logos.apply(running.apply(page))))
        page = joined_page(page, known, run_on)
        if not run_on:
            yield page
            continue
        if before is not None:
            before, page = linked(before, page, known)
            yield before
        before = page
    if before is not None:
        yield before
