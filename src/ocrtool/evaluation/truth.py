"""Sets of one's own: folders of images beside their truth, and tables of images with texts."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ocrtool.errors import InputError
from ocrtool.evaluation.items import Item, TestSet
from ocrtool.inputs.paths import READABLE_SUFFIXES

LATEX_SHARE = 0.3
"""Share of labels with a backslash from which a table of labels holds formulas."""
ABOUT = ("README", "LICENSE", "NOTICE")
"""Names, without suffix, of texts that are about a set and no truth."""
HEADINGS = {"text": "lines", "label": "lines", "latex": "formulas", "formula": "formulas"}
"""Names of the column of a table that holds the truth, and the protocol that they suggest."""


@dataclass(frozen=True)
class Form:
    """A form of truth beside an image.

    Attributes:
        suffix: Of its files, after the name of the image without suffix.
        load: From the content of a file to its text.
        protocols: Protocols that it serves; the first is that which it suggests.
    """

    suffix: str
    load: Callable[[str, str], str]
    protocols: tuple[str, ...]


def _plain(content: str, protocol: str) -> str:
    return content


def _xml(content: str, protocol: str) -> str:
    from ocrtool.evaluation.alto_page_xml import text_of_xml

    return text_of_xml(content)


def _json(content: str, protocol: str) -> str:
    """Return a document of ocrtool's JSON as Markdown or as text."""
    from ocrtool.document.json import from_json

    document = from_json(content)
    if protocol != "markdown":
        return "\n\n".join(page.text for page in document.pages)
    from ocrtool.writers import PageInput, WriteOptions, formats, open_writer

    written: list[str] = []
    writer = open_writer(formats.MD, written.append, WriteOptions(0.0))
    for page in document.pages:
        writer.add(PageInput(document.source, page))
    writer.finish()
    return "".join(written)


FORMS: list[Form] = [
    Form(".md", _plain, ("markdown",)),
    Form(".txt", _plain, ("text", "lines", "words", "formulas")),
    Form(".gt.txt", _plain, ("text", "lines", "words")),
    Form(".json", _json, ("markdown", "text")),
    Form(".xml", _xml, ("text",)),
]
"""Forms of truth; where an image has several, the first counts."""


@dataclass
class Found:
    """What a search for truth has found so far."""

    items: list[Item] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    protocols: list[str] = field(default_factory=list)


def load_folder(path: Path, protocol: str | None, recursive: bool) -> TestSet:
    """Load a folder of images and PDFs, each with its truth beside it.

    Args:
        path: The folder.
        protocol: Rules to score by; ``None`` to take those that most truths suggest.
        recursive: Whether folders below are searched, too.
    """
    files = sorted(path.rglob("*") if recursive else path.iterdir())
    present = {file for file in files if file.is_file()}
    sources = [file for file in files if file.suffix.lower() in READABLE_SUFFIXES]
    pairs: list[tuple[Path, Form]] = []
    problems: list[str] = []
    for source in sources:
        beside = [form for form in FORMS if _beside(source, form.suffix) in present]
        fitting = [form for form in beside if protocol in (None, *form.protocols)]
        if fitting:
            pairs.append((source, fitting[0]))
        else:
            problems.append(f"{source}: no truth beside it ({_expected(source, protocol)})")
    if protocol is None and pairs:
        suggested = [form.protocols[0] for _, form in pairs]
        protocol = max(dict.fromkeys(suggested), key=suggested.count)
        # A source of the other kind can still have truth of this kind beside it.
        found = load_folder(path, protocol, recursive)
        count = suggested.count(protocol)
        return replace(found, why=f"{count} of {len(sources)} images or PDFs have it beside")
    used = {_beside(source, form.suffix) for source, form in pairs}
    for file in sorted(present - used):
        form = next((f for f in FORMS if file.name.endswith(f.suffix)), None)
        stray = file.suffix == ".json" or file.stem.upper() in ABOUT
        fitting_form = form is not None and protocol in form.protocols and not stray
        if form and fitting_form and not _has_source(file, form.suffix, present):
            problems.append(f"{file}: no image or PDF beside it")
    items = []
    for source, form in pairs:
        file = _beside(source, form.suffix)
        try:
            truth = form.load(read_text(file), str(protocol))
        except InputError as error:
            problems.append(_told(file, error))
            continue
        if not truth.strip():
            problems.append(f"{file}: empty")
            continue
        name = source.relative_to(path).with_suffix("").as_posix()
        try:
            items.append(Item(name, source, str(file), truth, page=_page_of(source, present)))
        except InputError as error:
            problems.append(str(error))
    return TestSet(path, protocol or "text", unique(items), tuple(problems))


def _beside(source: Path, suffix: str) -> Path:
    return source.with_name(source.stem + suffix)


def _told(file: Path, error: InputError) -> str:
    """Return a problem with its file, and with the line where the error states one."""
    if str(file) in str(error):
        return str(error)
    line = re.search(r"\bline (\d+)", error.message)
    return f"{file}:{line[1]}: {error}" if line else f"{file}: {error}"


def _page_of(source: Path, present: set[Path]) -> int | None:
    """Return the page of a PDF that its truth is about, as ``NAME.page.json`` states it.

    Raises:
        InputError: The file states no page.
    """
    file = _beside(source, ".page.json")
    if file not in present:
        return None
    try:
        page = json.loads(read_text(file))["page"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not an object with a page: {error}") from None
    if not isinstance(page, int) or page < 1:
        raise InputError(f"{file}: no page {page!r}")
    return page


def _has_source(truth: Path, suffix: str, present: set[Path]) -> bool:
    stem = truth.name.removesuffix(suffix)
    return any(truth.with_name(stem + end) in present for end in _all_suffixes())


def _all_suffixes() -> Iterator[str]:
    for suffix in READABLE_SUFFIXES:
        yield suffix
        yield suffix.upper()


def _expected(source: Path, protocol: str | None) -> str:
    forms = [form for form in FORMS if protocol in (None, *form.protocols)]
    return ", ".join(source.stem + form.suffix for form in forms)


def load_table(path: Path, protocol: str | None) -> TestSet:
    """Load a table of images and texts: CSV, or TSV with or without a line of headings.

    Raises:
        InputError: It cannot be read, or has no columns for image and text.
    """
    tabs = path.suffix.lower() in (".tsv", ".txt")
    reader = csv.reader(
        read_text(path).splitlines(keepends=True),
        delimiter="\t" if tabs else ",",
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
        strict=True,
    )
    found = Found()
    try:
        heading = _rows(path, reader, tabs, found)
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not CSV: {error}") from None
    why = ""
    if protocol is None:
        protocol, why = _suggested(heading, found.items)
    return TestSet(path, protocol, unique(found.items), tuple(found.problems), why)


def _rows(path: Path, reader: csv.Reader, tabs: bool, found: Found) -> str:  # type: ignore[name-defined]
    """Read the rows of a table; return the heading of the column of texts."""
    image_column, text_column, heading, width = 0, 1, "text", 2
    end = 0
    for number, cells in enumerate(reader):
        line, end = end + 1, reader.line_num  # quoted texts may span lines
        names = [name.strip().lower() for name in cells]
        if number == 0 and "image" in names and set(names) & set(HEADINGS):
            image_column = names.index("image")
            heading = next(name for name in names if name in HEADINGS)
            text_column, width = names.index(heading), len(names)
            continue
        if number == 0 and not tabs:
            raise InputError(
                f"{path}:1: no columns 'image' and 'text'",
                "start the file with the line image,text",
            )
        if not cells:
            continue
        origin = f"{path}:{line}"
        if len(cells) != width:
            found.problems.append(f"{origin}: {len(cells)} cells instead of {width}")
            continue
        name, text = cells[image_column].strip(), cells[text_column].strip()
        if not name or not text:
            found.problems.append(f"{origin}: no {'text' if name else 'image'}")
        elif not (path.parent / name).is_file():
            found.problems.append(f"{origin}: {path.parent / name} is missing")
        else:
            stem = Path(name).with_suffix("").as_posix()
            found.items.append(Item(stem, path.parent / name, origin, text))
    return heading


def _suggested(heading: str, items: Sequence[Item]) -> tuple[str, str]:
    """Return the protocol of a table of labels, and the reason."""
    if HEADINGS[heading] != "lines":
        return HEADINGS[heading], f"the column of truths is called {heading}"
    slashes = sum("\\" in item.truth for item in items)
    if items and slashes >= LATEX_SHARE * len(items):
        return "formulas", f"{slashes} of {len(items)} labels have LaTeX commands"
    if items and not any(len(item.truth.split()) > 1 for item in items):
        return "words", "every label is a single word"
    return "lines", "a table of images and texts"


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason})") from None


def unique(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return items sorted by name, those of equal names told apart by a number."""
    taken: dict[str, int] = {}
    named = []
    for item in items:
        number = taken[item.name] = taken.get(item.name, 0) + 1
        named.append(item if number == 1 else replace(item, name=f"{item.name}-{number}"))
    return tuple(sorted(named, key=lambda item: item.name))


def limited(found: TestSet, limit: int | None, seed: int) -> TestSet:
    """Return a set of at most ``limit`` items, drawn by a seed and in order."""
    if limit is None or len(found.items) <= limit:
        return found
    drawn = set(random.Random(seed).sample(range(len(found.items)), limit))
    return replace(found, items=tuple(item for i, item in enumerate(found.items) if i in drawn))
