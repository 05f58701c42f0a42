"""Table of page formats: the one place that names every writer of pages and its properties.

A writer is a class of one file that implements :class:`PageWriter`. One entry of
:data:`PAGE_FORMATS` makes it known to the command line, to the recognition of file suffixes and to
the batch runner.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol, cast

from ocrtool.document.tree import Page
from ocrtool.errors import UsageError
from ocrtool.inputs.page_source import PageSource
from ocrtool.options import WriteOptions

if TYPE_CHECKING:
    from ocrtool.pdf import PdfFile


Write = Callable[[Any], object]
"""Takes the content of an output piece by piece: ``bytes`` of a binary format, else ``str``."""


@dataclass(frozen=True)
class PageFormat:
    """A format in which pages are written.

    Attributes:
        name: Value of ``--format`` and default suffix of its files, without the dot.
        description: One sentence about the content of a file.
        opener: ``module:attribute`` of a callable that creates a writer from a function that takes
            its content and from the options; imported when an output is opened.
        suffixes: Further suffixes of its files, with the dot, in lower case.
        binary: Whether the content is ``bytes``.
        holds_many_documents: Whether pages of several documents may go to one file.
        separator: Text between documents that follow each other on standard output; None where
            documents cannot be concatenated.
        shows_pictures: Whether the writer uses ``PageInput.picture``.
        refers_to_pictures: Whether the content can link to image files of figures.
        extends_original: Whether the writer needs ``PageInput.original``, the open PDF.
        running_text: Whether lines are joined to paragraphs even where others keep the lines.
        needs_structure: Whether it needs headings and the like, which all pages together determine,
            even where it keeps the lines.
        omits_headers: Whether running headers and footers are left out unless they are kept.
    """

    name: str
    description: str
    opener: str
    suffixes: tuple[str, ...] = ()
    binary: bool = False
    holds_many_documents: bool = True
    separator: str | None = None
    shows_pictures: bool = False
    refers_to_pictures: bool = False
    extends_original: bool = False
    running_text: bool = False
    needs_structure: bool = True
    omits_headers: bool = False

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    def __reduce__(self) -> tuple[Callable[[str], PageFormat], tuple[str]]:
        """Pickle the name only, so that worker processes use their own table."""
        return page_format, (self.name,)


PAGE_FORMATS: dict[str, PageFormat] = {}
"""All page formats by name, in the order of the help text."""


def register_format(form: PageFormat) -> PageFormat:
    """Add a format to :data:`PAGE_FORMATS`.

    Raises:
        ValueError: The name or a suffix belongs to another format.
    """
    taken = {suffix for known in PAGE_FORMATS.values() for suffix in suffixes_of(known)}
    if clash := sorted(taken & suffixes_of(form)):
        raise ValueError(f"{form.name}: {', '.join(clash)} belongs to another format")
    PAGE_FORMATS[form.name] = form
    return form


def suffixes_of(form: PageFormat) -> frozenset[str]:
    """Return the file suffixes of a format, with the dot."""
    return frozenset({f".{form.name}", *form.suffixes})


def page_format(name: str) -> PageFormat:
    """Return the format of a name.

    Raises:
        UsageError: There is no such format.
    """
    if name not in PAGE_FORMATS:
        raise UsageError(f"no output format {name!r}", f"choose one of {', '.join(PAGE_FORMATS)}")
    return PAGE_FORMATS[name]


def format_of(name: str) -> PageFormat | None:
    """Return the format that the suffix of a file name stands for, if any."""
    suffix = PurePath(name).suffix.lower()
    return next((form for form in PAGE_FORMATS.values() if suffix in suffixes_of(form)), None)


def format_of_target(target: str, default: PageFormat) -> PageFormat:
    """Return the format of an output file: that of its suffix, or the default without a suffix.

    Args:
        target: ``-`` for standard output, or a file.
        default: Format of a target without a suffix.

    Raises:
        UsageError: The suffix is that of no format.
    """
    found = format_of(target)
    suffix = PurePath(target).suffix
    is_device = target.startswith("/dev/")
    if found is None and suffix and not is_device:
        known = ", ".join(
            sorted(one for form in PAGE_FORMATS.values() for one in suffixes_of(form))
        )
        raise UsageError(
            f"{target}: no format has the suffix {suffix}", f"give -f, or one of {known}"
        )
    return found or default


def open_writer(form: PageFormat, write: Write, options: WriteOptions | None = None) -> PageWriter:
    """Create a writer of one output.

    Args:
        form: Format of the output.
        write: Takes the content piece by piece: ``bytes`` of a binary format, else ``str``.
        options: What is written; the default options if None.
    """
    opener = pkgutil.resolve_name(form.opener)
    return cast(PageWriter, opener(write, options or WriteOptions()))


@dataclass(frozen=True, eq=False)
class PageInput:
    """A page on its way to the writers.

    Attributes:
        source: Name of the input: a path, or ``-``.
        page: What was read.
        picture: What it was read from. An HTML page shows it beside the text; a PDF needs it where
            there is no ``original``.
        metadata: Of the document, where they are known; those of its first sheet count.
        pictures: Content of the image files that figures were cut out to, by ``Block.image``;
            needed where they become part of the output.
        count: Pages of the document, 0 where that is not known.
        original: The PDF, still open, whose page ``Page.number`` it is. Lines of known size of type
            are its own text; the others were read, and a PDF that is written gets them.
    """

    source: str
    page: Page
    picture: PageSource | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    count: int = 0
    original: PdfFile | None = None


class PageWriter(Protocol):
    """Writes one output; holds no more than a page at a time, and what goes on over pages."""

    def add(self, sheet: PageInput) -> None:
        """Write the next page."""

    def finish(self) -> None:
        """Write what comes after the last page. Without it the output is not complete."""


TXT, MD, JSON, JSONL, TSV, HOCR, ALTO, HTML, TEX, PDF = map(
    register_format,
    (
        PageFormat(
            "txt",
            "Plain text; a form feed between pages.",
            "ocrtool.writers.text:TXT.writer",
            (".text",),
            separator="\f",
            needs_structure=False,
            omits_headers=True,
        ),
        PageFormat(
            "md",
            "Markdown with tables of GitHub.",
            "ocrtool.writers.markdown:MARKDOWN.writer",
            (".markdown",),
            separator="\n",
            refers_to_pictures=True,
            running_text=True,
            omits_headers=True,
        ),
        PageFormat(
            "json",
            "The document tree; one document per file.",
            "ocrtool.writers.text:JSON.writer",
            holds_many_documents=False,
        ),
        PageFormat(
            "jsonl",
            "One record per page, written as soon as it is read.",
            "ocrtool.writers.text:JSONL.writer",
            separator="",
        ),
        PageFormat(
            "tsv",
            "The table of boxes that Tesseract writes.",
            "ocrtool.writers.text:TSV.writer",
        ),
        PageFormat(
            "hocr",
            "XHTML with word boxes, as of Tesseract.",
            "ocrtool.writers.hocr:HOCR.writer",
        ),
        PageFormat(
            "alto",
            "ALTO 4 XML; one document per file.",
            "ocrtool.writers.alto:ALTO.writer",
            (".xml",),
            holds_many_documents=False,
        ),
        PageFormat(
            "html",
            "An article, or page images beside their text where there are images.",
            "ocrtool.writers.html_article:HtmlWriter",
            (".htm",),
            shows_pictures=True,
            refers_to_pictures=True,
            omits_headers=True,
        ),
        PageFormat(
            "tex",
            "A complete LaTeX document.",
            "ocrtool.writers.tex:TEX.writer",
            refers_to_pictures=True,
            running_text=True,
            omits_headers=True,
        ),
        PageFormat(
            "pdf",
            "The page image, or the page of the original PDF, with an invisible text layer.",
            "ocrtool.writers.pdf:SearchablePdf",
            binary=True,
            shows_pictures=True,
            extends_original=True,
        ),
    ),
)
