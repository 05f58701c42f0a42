"""Plain text, JSON and tables of tab-separated values; and what all formats of text share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ocrtool.document.geometry import words_of
from ocrtool.document.tree import FURNITURE, Box, Page
from ocrtool.errors import UsageError
from ocrtool.options import WriteOptions
from ocrtool.writers.formats import PageInput


def nothing(_: PageInput) -> str:
    """Return the head of a format that has none."""
    return ""


@dataclass(frozen=True)
class TextForm:
    """How pages become one text.

    Attributes:
        page: Gives a page's text from its sheet, its number in the output (from 1) and the
            options.
        head: What comes before the first page, which it is given.
        between: What separates pages.
        foot: What comes after the last page.
        one_source: Whether all pages must be of one document.
    """

    page: Callable[[PageInput, int, WriteOptions], str]
    head: Callable[[PageInput], str] = nothing
    between: str = ""
    foot: str = ""
    one_source: bool = False

    def writer(self, write: Callable[[str], object], options: WriteOptions) -> TextWriter:
        """Return a writer of one output."""
        return TextWriter(self, write, options)


class TextWriter:
    """Writes pages in a format of text; see :class:`ocrtool.writers.formats.PageWriter`.

    Args:
        form: The format.
        write: Takes the text, piece by piece.
        options: How it is written.
    """

    def __init__(
        self, form: TextForm, write: Callable[[str], object], options: WriteOptions
    ) -> None:
        self._form = form
        self._write = write
        self._options = options
        self._first: PageInput | None = None
        self._count = 0

    def add(self, sheet: PageInput) -> None:
        """Write the next page.

        Raises:
            UsageError: It is of another document, and the format holds only one.
        """
        form = self._form
        if self._first is None:
            # Without its picture, which may be large.
            self._first = PageInput(sheet.source, sheet.page, metadata=sheet.metadata)
            self._write(form.head(sheet))
        else:
            if form.one_source and sheet.source != self._first.source:
                raise UsageError(
                    f"one file holds one document, not both {self._first.source} and"
                    f" {sheet.source}",
                    "write into a folder, or as jsonl",
                )
            self._write(form.between)
        self._count += 1
        self._write(form.page(sheet, self._count, self._options))

    def finish(self) -> None:
        """Write what comes after the last page."""
        if self._first is None:
            self._write(self._form.head(PageInput("", Page(1, 0, 0))))
        self._write(self._form.foot)


def txt_page(sheet: PageInput, number: int, options: WriteOptions) -> str:
    """Return the texts of the blocks, a blank line between them; nothing for an empty page."""
    page = sheet.page
    blocks = [
        block for block in page.blocks
        if block.text and (options.keep_furniture or block.kind not in FURNITURE)
    ]  # fmt: skip
    if options.min_confidence or page.doubtful_lines:
        from ocrtool.writers.low_confidence import marked_block

        texts = [marked_block(block, options.min_confidence) for block in blocks]
    else:
        texts = [block.text for block in blocks]
    if page.error:
        texts.append(f"[page {page.number}: unreadable: {page.error}]")
    return "\n\n".join(texts) + "\n" if texts else ""


TXT = TextForm(txt_page, between="\f")


def json_head(sheet: PageInput) -> str:
    """Return the start of a document up to its pages."""
    from ocrtool.document.json import SCHEMA, dump

    return dump({"schema": SCHEMA, "source": sheet.source, "facts": dict(sheet.metadata)})[:-1] + (
        ',"pages":[\n'
    )


def json_page(sheet: PageInput, number: int, options: WriteOptions) -> str:
    """Return a page on one line."""
    from ocrtool.document.json import dump, page_record

    return dump(page_record(sheet.page, options.min_confidence))


JSON = TextForm(json_page, json_head, between=",\n", foot="\n]}\n", one_source=True)


def jsonl_page(sheet: PageInput, number: int, options: WriteOptions) -> str:
    """Return a page as a record of its own, on one line."""
    from ocrtool.document.json import CONFIDENCE_DIGITS, SCHEMA, dump, page_record

    page = sheet.page
    record = page_record(page, options.min_confidence)
    del record["number"]
    blocks = record.pop("blocks")
    return dump(
        {
            "schema": SCHEMA,
            "source": sheet.source,
            "page": page.number,
            **record,
            "text": page.text,
            "confidence": round(float(page.confidence), CONFIDENCE_DIGITS),
            "blocks": blocks,
        }
    ) + "\n"  # fmt: skip


JSONL = TextForm(jsonl_page)

TSV_COLUMNS = (
    "level", "page_num", "block_num", "par_num", "line_num", "word_num",
    "left", "top", "width", "height", "conf", "text",
)  # fmt: skip


def tsv_head(_: PageInput) -> str:
    """Return the names of the columns."""
    return "\t".join(TSV_COLUMNS) + "\n"


def tsv_page(sheet: PageInput, number: int, options: WriteOptions) -> str:
    """Return Tesseract's rows: page, block, paragraph, line and word, levels 1 to 5.

    A block is one paragraph. Confidences are per cent, -1 for what is no word.
    """
    return "".join("\t".join(map(str, row)) + "\n" for row in _tsv_rows(sheet, number))


def _tsv_rows(sheet: PageInput, number: int) -> Iterator[tuple[object, ...]]:
    page = sheet.page
    yield 1, number, 0, 0, 0, 0, 0, 0, page.width, page.height, -1, ""
    for i, block in enumerate(page.blocks, 1):
        yield 2, number, i, 0, 0, 0, *_sides(block.box), -1, ""
        if not block.lines:
            continue
        text = Box.around(line.quad for line in block.lines)
        yield 3, number, i, 1, 0, 0, *_sides(text), -1, ""
        for j, line in enumerate(block.lines, 1):
            yield 4, number, i, 1, j, 0, *_sides(line.box), -1, ""
            for k, word in enumerate(words_of(line), 1):
                confidence = f"{100 * word.confidence:.2f}"
                yield 5, number, i, 1, j, k, *_sides(word.box), confidence, word.text


def _sides(box: Box) -> tuple[int, int, int, int]:
    """Return left, top, width and height in whole pixels."""
    left, top = round(box.x0), round(box.y0)
    return left, top, round(box.x1) - left, round(box.y1) - top


TSV = TextForm(tsv_page, tsv_head)
