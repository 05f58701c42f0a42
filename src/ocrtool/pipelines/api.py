"""The Python API: `read`, `convert`, `latex`, and `Reader`, which keeps its models loaded.

::

    import ocrtool

    print(ocrtool.read("photo.jpg").text)
    ocrtool.convert("paper.pdf").save("paper.md")
    print(ocrtool.latex("equation.png").latex)

Every function takes the options of the command line as keywords, such as ``device="cpu"``,
``model="..."``, ``layout="sparse"``, ``ocr="never"`` or ``pages="1-3"``. Everything runs in the
calling process.
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrtool.document.json import to_record
from ocrtool.document.tree import Block, Box, DocumentTree, Line, Page, Word
from ocrtool.errors import InputError, UsageError
from ocrtool.options import (
    ImageChoice,
    LayoutMode,
    PageOptions,
    PageSelection,
    PictureKind,
    ReadOptions,
    WriteOptions,
)
from ocrtool.writers import PageFormat, PageInput, format_of, formats, open_writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from ocrtool.documents.page import PageConverter
    from ocrtool.inputs.page_source import PageSource
    from ocrtool.pipelines.transcribe import Transcriber
    from ocrtool.readers import ReadsLines

    ImageInput = str | Path | bytes | Image | NDArray[np.uint8]
    """A path, the content of a file, a Pillow image, or pixels (H, W) or (H, W, 3), uint8 RGB."""

OnPage = Callable[[Page], object]


@dataclasses.dataclass(frozen=True)
class Document:
    """A document that has been converted.

    Attributes:
        tree: Its pages and metadata.
        images: Content of the image files of its figures, by name.
    """

    tree: DocumentTree
    images: Mapping[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def pages(self) -> tuple[Page, ...]:
        """Pages in order."""
        return self.tree.pages

    @property
    def metadata(self) -> Mapping[str, str]:
        """Title, author and the like, where the file states them."""
        return self.tree.metadata

    @property
    def text(self) -> str:
        """Text of all pages, a blank line between blocks."""
        return "\n\n".join(page.text for page in self.pages if page.text)

    def to_markdown(self, **options: Any) -> str:
        """Return the document as Markdown; options are the fields of `WriteOptions`."""
        return self._written(formats.MD, options).decode()

    def to_html(self, **options: Any) -> str:
        """Return the document as an HTML page; options are the fields of `WriteOptions`."""
        return self._written(formats.HTML, options).decode()

    def to_dict(self) -> dict[str, Any]:
        """Return the document as plain values: what the JSON format holds."""
        return to_record(self.tree)

    def save(self, path: str | Path, **options: Any) -> None:
        """Write the document to a file; its figures go into a folder beside Markdown and LaTeX.

        Args:
            path: The file; its suffix names the format (``.md``, ``.html``, ``.json``, ...).
            **options: Fields of `WriteOptions`.

        Raises:
            UsageError: The suffix names no format of text.
            OutputError: The file cannot be written.
        """
        from ocrtool import console

        path = Path(path)
        form = format_of(path.name)
        if form is None or form.binary:
            raise UsageError(
                f"{path.name}: no format of text has this suffix", "use .md, .html, .json, .txt"
            )
        if self.images and form.running_text:
            folder = path.with_name(f"{path.stem}_images")
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in self.images.items():
                with console.output(str(folder / name), overwrite=True, binary=True) as write:
                    write(content)
            options = {"images": ImageChoice.REFS, "image_folder": folder.name, **options}
        with console.output(str(path), overwrite=True, binary=True) as write:
            write(self._written(form, options))

    def _written(self, form: PageFormat, options: Mapping[str, Any]) -> bytes:
        parts: list[str] = []
        writer = open_writer(form, parts.append, _typed(WriteOptions, options))
        for page in self.pages:
            writer.add(
                PageInput(self.tree.source, page, None, self.metadata, count=len(self.pages))
            )
        writer.finish()
        return "".join(parts).encode()


@dataclasses.dataclass(frozen=True)
class Formula:
    """A formula that has been read.

    Attributes:
        latex: LaTeX without delimiters, always parseable; empty for a blank image.
        confidence: Probability, 0 to 1, that all of it is right.
        is_repaired: Whether the network wrote LaTeX that did not parse and was repaired.
    """

    latex: str
    confidence: float
    is_repaired: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that has been read.

    Attributes:
        block: Its cells and lines.
        confidence: Mean confidence of its words, 0 to 1.
    """

    block: Block
    confidence: float

    @property
    def latex(self) -> str:
        """The table as a LaTeX ``tabular``."""
        from ocrtool.writers.latex_table import tabular

        return tabular(self.block)


class Reader:
    """Reads images and documents; each model is loaded when it is first needed, and kept.

    Args:
        **options: Options of the command line: the fields of `ReadOptions` and `PageOptions`.

    Raises:
        UsageError: There is no such option, or a value that it cannot have.
    """

    def __init__(self, **options: Any) -> None:
        reading = {k: v for k, v in options.items() if k in _fields(ReadOptions)}
        others = {k: v for k, v in options.items() if k not in reading}
        _refuse_unknown(others, {*_fields(ReadOptions), *_fields(PageOptions)} - {"reading"})
        self._options = _typed(PageOptions, {**others, "reading": _typed(ReadOptions, reading)})

    @cached_property
    def _converter(self) -> PageConverter:
        from ocrtool.documents.page import PageConverter

        return PageConverter(self._options)

    @cached_property
    def _transcriber(self) -> Transcriber:
        from ocrtool.pipelines.transcribe import Transcriber

        return Transcriber(self._options.reading)

    def read(self, image: ImageInput) -> Page:
        """Read one image: a page, a photo, a screenshot or a single line.

        Args:
            image: A path, the content of a file, a Pillow image, or pixels, uint8 RGB.

        Returns:
            The page; of a file of several pages, the first.

        Raises:
            InputError: It is no image that can be read.
            ModelError: There is no such model, or it is damaged.
        """
        source = next(iter(_sources(image)))
        if self._options.layout is LayoutMode.LINE:
            return self._read_line(source)
        return self._converter.convert(source).page

    def _read_line(self, source: PageSource) -> Page:
        """Read a page that is one line of text."""
        from ocrtool.document.geometry import part_of

        result = next(self._lines.read_stream([("image", source.pixels)]))
        height, width = source.pixels.shape[:2]
        if not result.text:
            return Page(source.number, width, height, dpi=source.dpi)
        quad = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
        words = tuple(
            Word(word.text, word.confidence, part_of(quad, word.start, word.end))
            for word in result.words
        )
        line = Line(result.text, result.confidence, quad, words, reader=result.reader)
        block = Block("paragraph", Box(0, 0, width, height), (line,), result.text)
        return Page(source.number, width, height, (block,), dpi=source.dpi)

    @cached_property
    def _lines(self) -> ReadsLines:
        from ocrtool.readers import open_lines

        return open_lines(self._options.reading)

    def pages(self, source: ImageInput, pages: str | None = None) -> Iterator[Page]:
        """Read the pages of a document one by one, each as soon as it is read.

        What only all pages together tell (running headers, levels of headings, paragraphs that go
        on) is not known yet; `convert` tells it.

        Args:
            source: A path, the content of a file, a Pillow image, or pixels, uint8 RGB.
            pages: Page ranges, such as ``"1-3,7"``; all where not given.

        Raises:
            InputError: It is damaged, or a page of it is.
        """
        for _, result in self._converter.convert_stream(_sources(source, pages)):
            yield result.page

    def convert(
        self, source: ImageInput, pages: str | None = None, on_page: OnPage | None = None
    ) -> Document:
        """Convert a PDF, an image or a TIFF of several pages to a document.

        Args:
            source: A path, the content of a file, a Pillow image, or pixels, uint8 RGB.
            pages: Page ranges, such as ``"1-3,7"``; all where not given.
            on_page: Called with each page as soon as it is read, before the pages are put together.

        Raises:
            InputError: It is damaged, or a page of it is.
            EncryptedError: It is a PDF that needs a password.
        """
        from ocrtool.documents.structure import structured

        read: list[Page] = []
        images: dict[str, bytes] = {}
        metadata: Mapping[str, str] = {}
        bookmarks: tuple[Any, ...] = ()
        for page_source, result in self._converter.convert_stream(_sources(source, pages)):
            read.append(result.page)
            images |= result.pictures
            metadata, bookmarks = page_source.metadata, page_source.bookmarks
            if on_page:
                on_page(result.page)
        whole = tuple(structured(lambda: iter(read), bookmarks))
        name = str(source) if isinstance(source, str | Path) else "-"
        return Document(DocumentTree(name, whole, dict(metadata)), images)

    def latex(
        self, image: ImageInput, kind: PictureKind | str = PictureKind.AUTO
    ) -> Formula | Table | Page:
        """Read an image as LaTeX.

        Args:
            image: A path, the content of a file, a Pillow image, or pixels, uint8 RGB.
            kind: What the image holds; ``auto`` finds it out.

        Returns:
            A formula, a table, or a page whose displayed formulas have their LaTeX.

        Raises:
            InputError: It is no image that can be read.
            ModelError: There is no such model, or it reads no formulas.
        """
        from ocrtool.pipelines.transcribe import Given

        given = Given("image", next(iter(_sources(image))))
        said = next(self._transcriber.read([given], _enum(PictureKind, "kind", kind)))
        if said.formula is not None:
            formula = said.formula
            return Formula(formula.latex, said.confidence, not formula.valid)
        if said.block is not None:
            return Table(said.block, said.confidence)
        return said.pages[0]


def read(image: ImageInput, **options: Any) -> Page:
    """Read one image; see `Reader.read`, and `Reader` for the options."""
    return Reader(**options).read(image)


def convert(
    source: ImageInput, pages: str | None = None, on_page: OnPage | None = None, **options: Any
) -> Document:
    """Convert a PDF or an image to a document; see `Reader.convert`, and `Reader` for options."""
    return Reader(**options).convert(source, pages, on_page)


def latex(
    image: ImageInput, kind: PictureKind | str = PictureKind.AUTO, **options: Any
) -> Formula | Table | Page:
    """Read an image as LaTeX; see `Reader.latex`, and `Reader` for the options."""
    return Reader(**options).latex(image, kind)


def _sources(image: ImageInput, pages: str | None = None) -> Iterator[PageSource]:
    """Open whatever may be read as pages."""
    import numpy as np

    from ocrtool.inputs.page_source import ImagePage, open_pages

    if isinstance(image, str | Path | bytes):
        selection = PageSelection.parse(pages) if pages else None
        yield from open_pages(image if isinstance(image, bytes) else Path(image), selection)
        return
    if not isinstance(image, np.ndarray):  # Pillow's: what its own files hold, read in one way
        if not hasattr(image, "save"):
            raise InputError(
                f"a {type(image).__name__} is no image",
                "give a path, bytes, a Pillow image or pixels",
            )
        content = io.BytesIO()
        image.save(content, "PNG" if image.mode != "CMYK" else "TIFF")
        yield from open_pages(content.getvalue())
        return
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or not image.size:
        raise InputError(
            f"an image is uint8 (H, W) or (H, W, 3), not {image.dtype} {image.shape}",
            "convert it to uint8 RGB",
        )
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.shape[2] != 3:
        raise InputError(
            f"an image has 3 channels, not {image.shape[2]}", "convert it to RGB without alpha"
        )
    yield ImagePage(np.ascontiguousarray(image))


# --------------------------------------------------------------------------- options by keyword


def _fields(kind: type) -> dict[str, Any]:
    return {field.name: field for field in dataclasses.fields(kind)}


def _refuse_unknown(given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(sorted(known))}"
            )
            raise UsageError(f"there is no option {name!r}", hint)


def _typed(kind: Any, given: Mapping[str, Any]) -> Any:
    """Build a dataclass of options; values of choices may be given as strings."""
    _refuse_unknown(given, set(_fields(kind)))
    hints = typing.get_type_hints(kind)
    values = {
        name: _enum(hints[name], name, value)
        if isinstance(hints[name], type) and issubclass(hints[name], StrEnum)
        else value
        for name, value in given.items()
    }
    return kind(**values)


def _enum(kind: Any, name: str, value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(str(choice) for choice in kind)
        raise UsageError(f"{name} cannot be {value!r}", f"use one of {choices}") from None
